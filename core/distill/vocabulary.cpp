#include "core/distill/vocabulary.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace retort::distill {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kEmbedding = "token_embd.weight";
// Names under which a configuration gives a token's number.
constexpr std::array<std::string_view, 7> kTokenKeys = {"pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id",
                                                        "cls_token_id", "mask_token_id", "unk_token_id"};

Error unsupported(std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kUnsupported, .place = "student.trim_vocabulary: " + std::move(place), .expected = std::move(expected), .found = std::move(found)};
}

Error corrupt(const Model& model, std::string place) {
  return Error{.code = ErrorCode::kCorrupt, .file = model.checkpoint->path.string(), .place = "tokenizer.json: " + std::move(place)};
}

// tokenizer.json with a WordPiece vocabulary of numbers below the embedding's rows.
Result<ordered_json> word_pieces(const Model& model) {
  if (model.checkpoint->tokenizer_json.empty()) return unsupported("tokenizer", "tokenizer.json", "none");
  ordered_json file = ordered_json::parse(model.checkpoint->tokenizer_json, nullptr, false);
  const std::string type = file.is_object() && file.contains("model") && file["model"].is_object() ? file["model"].value("type", "") : "";
  if (type != "WordPiece") return unsupported("tokenizer", "WordPiece", type.empty() ? "another kind" : type);
  const auto vocabulary = file["model"].find("vocab");
  if (vocabulary == file["model"].end() || !vocabulary->is_object()) return corrupt(model, "model.vocab");
  for (const auto& [piece, id] : vocabulary->items())
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= model.config.vocabulary) return corrupt(model, "vocab of " + piece);
  return file;
}

// What every ASCII word can be spelled with: one printable character, alone or after the prefix.
bool spells(std::string_view piece, std::string_view prefix) {
  if (!prefix.empty() && piece.starts_with(prefix) && piece.size() > prefix.size()) piece.remove_prefix(prefix.size());
  return piece.size() == 1 && piece[0] > ' ' && piece[0] < 0x7f;
}

// Old number → new number; -1 where a piece is gone.
class Renumbering {
 public:
  Renumbering(std::span<const TokenId> kept, std::int64_t pieces) : to_(static_cast<std::size_t>(pieces), -1) {
    for (std::size_t i = 0; i < kept.size(); ++i) to_[static_cast<std::size_t>(kept[i])] = static_cast<std::int64_t>(i);
  }
  std::int64_t of(std::int64_t id) const noexcept { return id < 0 || id >= static_cast<std::int64_t>(to_.size()) ? -1 : to_[static_cast<std::size_t>(id)]; }
  // In place, if it is the number of a piece that stays.
  bool apply(ordered_json& value) const {
    if (!value.is_number_integer() || of(value.get<std::int64_t>()) < 0) return false;
    value = of(value.get<std::int64_t>());
    return true;
  }

 private:
  std::vector<std::int64_t> to_;
};

// TemplateProcessing has lists of ids, the older processors [piece, id].
bool renumber_processor(ordered_json& processor, const Renumbering& numbers) {
  if (processor.is_null()) return true;
  if (!processor.is_object()) return false;
  for (const char* pair : {"sep", "cls"})
    if (const auto found = processor.find(pair); found != processor.end() && found->is_array() && found->size() == 2 && !numbers.apply((*found)[1])) return false;
  if (const auto special = processor.find("special_tokens"); special != processor.end() && special->is_object())
    for (auto& [name, token] : special->items())
      if (token.is_object() && token.contains("ids") && token["ids"].is_array())
        for (ordered_json& id : token["ids"])
          if (!numbers.apply(id)) return false;
  if (const auto parts = processor.find("processors"); parts != processor.end() && parts->is_array())
    for (ordered_json& part : *parts)
      if (!renumber_processor(part, numbers)) return false;
  return true;
}

std::string renumber_config(const std::string& text, const Renumbering& numbers, std::size_t pieces) {
  ordered_json config = ordered_json::parse(text, nullptr, false);
  if (!config.is_object()) return text;
  config["vocab_size"] = pieces;
  for (const std::string_view key : kTokenKeys)
    if (const auto found = config.find(std::string(key)); found != config.end()) numbers.apply(*found);
  return config.dump(2) + "\n";
}

// added_tokens_decoder: {"100": {…}}.
std::string renumber_tokenizer_config(const std::string& text, const Renumbering& numbers) {
  ordered_json config = ordered_json::parse(text, nullptr, false);
  if (!config.is_object() || !config.contains("added_tokens_decoder") || !config["added_tokens_decoder"].is_object()) return text;
  ordered_json added = ordered_json::object();
  for (const auto& [id, token] : config["added_tokens_decoder"].items()) {
    const bool number = !id.empty() && id.size() < 10 && id.find_first_not_of("0123456789") == std::string::npos;
    if (const std::int64_t to = number ? numbers.of(std::stoll(id)) : -1; to >= 0) added[std::to_string(to)] = token;
  }
  config["added_tokens_decoder"] = added;
  return config.dump(2) + "\n";
}

// A checkpoint and the embedding's rows that it points to.
struct Trimmed {
  Checkpoint checkpoint;
  std::vector<std::byte> rows;
  std::shared_ptr<const Checkpoint> base;   // of the other tensors
};

Result<void> trim_tensors(const Model& student, std::span<const TokenId> kept, Trimmed& out) {
  const WeightId id = student.find_weight(kEmbedding);
  if (id == kNoWeight) return unsupported("embedding", std::string(kEmbedding), "none");
  const std::string& name = student.graph.weights[static_cast<std::size_t>(id)].source_name;
  std::set<std::string> used;
  for (const WeightSpec& spec : student.graph.weights) used.insert(spec.source_name);
  std::vector<TensorEntry> tensors;
  for (TensorEntry tensor : out.checkpoint.tensors) {
    const bool by_piece = !tensor.shape.empty() && tensor.shape[0] == student.config.vocabulary;
    if (tensor.name == name) {
      if (tensor.coded || tensor.shape.size() != 2 || !by_piece) return unsupported(name, "rows by piece", "another layout");
      const std::size_t bytes = kernels::row_bytes(tensor.type, static_cast<std::size_t>(tensor.columns()));
      out.rows.resize(kept.size() * bytes);
      for (std::size_t i = 0; i < kept.size(); ++i)
        std::copy_n(tensor.data.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(kept[i]) * bytes), bytes, out.rows.begin() + static_cast<std::ptrdiff_t>(i * bytes));
      tensor.shape[0] = static_cast<std::int64_t>(kept.size());
      tensor.data = out.rows;
    } else if (by_piece && !used.contains(tensor.name)) {
      continue;   // of a head that this model doesn't use
    }
    tensors.push_back(std::move(tensor));
  }
  out.checkpoint.tensors = std::move(tensors);
  return {};
}

Result<void> trim_texts(const Model& student, std::span<const TokenId> kept, Checkpoint& out) {
  RETORT_TRY(ordered_json file, word_pieces(student));
  const Renumbering numbers(kept, student.config.vocabulary);
  std::vector<std::string> pieces(kept.size());
  for (const auto& [piece, id] : file["model"]["vocab"].items())
    if (const std::int64_t to = numbers.of(id.get<std::int64_t>()); to >= 0) pieces[static_cast<std::size_t>(to)] = piece;
  ordered_json vocabulary = ordered_json::object();
  out.vocab_txt.clear();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].empty()) return unsupported("tokenizer", "a vocabulary that names every piece that stays", fmt::format("no name for piece {}", kept[i]));
    vocabulary[pieces[i]] = i;
    out.vocab_txt += pieces[i] + "\n";
  }
  file["model"]["vocab"] = std::move(vocabulary);
  if (file.contains("added_tokens") && file["added_tokens"].is_array())
    for (ordered_json& token : file["added_tokens"])
      if (!token.is_object() || !token.contains("id") || !numbers.apply(token["id"])) return corrupt(student, "added_tokens");
  if (file.contains("post_processor") && !renumber_processor(file["post_processor"], numbers)) return corrupt(student, "post_processor");
  out.tokenizer_json = file.dump();
  out.tokenizer_config_json = renumber_tokenizer_config(out.tokenizer_config_json, numbers);
  out.config_json = renumber_config(out.config_json, numbers, kept.size());
  return {};
}

}  // namespace

Result<std::vector<TokenId>> needed_pieces(const Model& teacher, std::span<const TrainingExample> examples, std::int64_t most) {
  RETORT_TRY(const ordered_json file, word_pieces(teacher));
  const ordered_json& model = file["model"];
  const std::string prefix = model.value("continuing_subword_prefix", "##"), unknown = model.value("unk_token", "[UNK]");
  std::set<TokenId> kept;
  for (const auto& [piece, id] : model["vocab"].items())
    if (piece == unknown || spells(piece, prefix)) kept.insert(id.get<TokenId>());
  if (file.contains("added_tokens") && file["added_tokens"].is_array())
    for (const ordered_json& token : file["added_tokens"])
      if (token.is_object()) kept.insert(static_cast<TokenId>(std::clamp<std::int64_t>(token.value("id", std::int64_t{0}), 0, teacher.config.vocabulary - 1)));
  if (most > 0 && most < static_cast<std::int64_t>(kept.size()))
    return Error{.code = ErrorCode::kBadRecipe, .place = "student.most_pieces", .expected = fmt::format("at least the {} pieces that must stay", kept.size()), .found = std::to_string(most)};
  std::map<TokenId, std::int64_t> counts;
  for (const TrainingExample& example : examples)
    for (const TokenId id : example.ids) ++counts[id];
  std::vector<std::pair<std::int64_t, TokenId>> order;   // by falling count, then by number
  for (const auto& [id, count] : counts)
    if (!kept.contains(id)) order.emplace_back(-count, id);
  std::sort(order.begin(), order.end());
  for (const auto& [count, id] : order) {
    if (most > 0 && static_cast<std::int64_t>(kept.size()) >= most) break;
    kept.insert(id);
  }
  return std::vector<TokenId>(kept.begin(), kept.end());
}

Result<Model> trim_vocabulary(const Model& student, std::span<const TokenId> kept) {
  auto trimmed = std::make_shared<Trimmed>();
  trimmed->checkpoint = *student.checkpoint;
  trimmed->base = student.checkpoint;
  RETORT_CHECK(trim_tensors(student, kept, *trimmed));
  RETORT_CHECK(trim_texts(student, kept, trimmed->checkpoint));
  return bind_model(std::shared_ptr<const Checkpoint>(trimmed, &trimmed->checkpoint));
}

}  // namespace retort::distill
