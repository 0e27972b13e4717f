#include "core/distill/student.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/folders.h"
#include "core/formats/shape.h"
#include "core/formats/writers.h"
#include "kernels/api/half.h"

namespace retort::distill {
namespace {

using nlohmann::ordered_json;

// Names that a configuration gives its number of layers, and lists with one entry a layer.
constexpr std::array<std::string_view, 4> kLayerCounts = {"num_hidden_layers", "n_layers", "n_layer", "num_layers"};
constexpr std::array<std::string_view, 3> kLayerLists = {"layer_types", "no_rope_layers", "mlp_layer_types"};
// What belongs to a tokenizer, copied as it is.
constexpr std::array<std::string_view, 11> kTokenizerFiles = {
    "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "tokenizer.model", "spiece.model", "chat_template.jinja", "generation_config.json"};

// "model.layers.7.mlp.up_proj.weight": the layer's number is the first part that is one.
struct LayerName {
  std::size_t at = std::string::npos, length = 0;
  std::int64_t layer = -1;
};

LayerName layer_in(std::string_view name) {
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t end = std::min(name.find('.', at), name.size());
    const std::string_view part = name.substr(at, end - at);
    if (!part.empty() && part.size() < 9 && part.find_first_not_of("0123456789") == std::string_view::npos)
      return {at, part.size(), std::stoll(std::string(part))};
    at = end + 1;
  }
  return {};
}

Result<std::string> shorten_config(const std::string& text, std::span<const std::int64_t> kept) {
  ordered_json config = ordered_json::parse(text, nullptr, false);
  bool found = false;
  for (const std::string_view name : kLayerCounts) {
    if (!config.is_object() || !config.contains(name)) continue;
    config[std::string(name)] = kept.size();
    found = true;
  }
  if (!found)
    return Error{.code = ErrorCode::kUnsupported, .place = "config.json", .expected = "a number of layers under a known name", .found = "none"};
  for (const std::string_view name : kLayerLists) {
    const auto list = config.find(std::string(name));
    if (list == config.end() || !list->is_array()) continue;
    ordered_json shorter = ordered_json::array();
    for (const std::int64_t layer : kept)
      if (static_cast<std::size_t>(layer) < list->size()) shorter.push_back((*list)[static_cast<std::size_t>(layer)]);
    *list = shorter;
  }
  return config.dump(2) + "\n";
}

Result<void> shorten_metadata(Metadata& metadata, std::span<const std::int64_t> kept) {
  const std::string key = metadata.string_at("general.architecture").value_or("") + ".block_count";
  if (!metadata.find(key))
    return Error{.code = ErrorCode::kUnsupported, .place = key, .expected = "a number of layers", .found = "none"};
  metadata.set(key, static_cast<std::uint32_t>(kept.size()));
  metadata.erase("general.file_type");
  return {};
}

}  // namespace

Result<std::vector<std::byte>> packed_parameter(const Parameter& parameter, TensorType type, Stored stored) {
  const std::size_t size = kernels::traits(type).block_bytes;
  std::vector<std::byte> out(parameter.elements * size);
  const std::size_t columns = parameter.shape.size() == 2 ? static_cast<std::size_t>(parameter.shape[1]) : parameter.elements;
  const std::size_t rows = columns == 0 ? 0 : parameter.elements / columns;
  for (std::size_t i = 0; i < parameter.elements; ++i) {
    const std::size_t at = stored == Stored::kTransposed ? (i % columns) * rows + i / columns : i;
    const float value = parameter.data[i];
    std::byte* const to = out.data() + at * size;
    bool finite = std::isfinite(value);
    if (type == TensorType::kF32) {
      std::memcpy(to, &value, size);
    } else {
      const std::uint16_t half = type == TensorType::kF16 ? kernels::f32_to_f16(value) : kernels::f32_to_bf16(value);
      finite = finite && std::isfinite(type == TensorType::kF16 ? kernels::f16_to_f32(half) : kernels::bf16_to_f32(half));
      std::memcpy(to, &half, size);
    }
    if (!finite)
      return Error{.code = ErrorCode::kNonFinite, .place = parameter.source_name, .expected = "numbers that the file's type holds",
                   .found = fmt::format("{}", value), .next_step = "write f32, or train with a lower rate"};
  }
  return out;
}

TensorType written_student_type(std::string_view wish, TensorType source, std::size_t dimensions) {
  if (wish == "f32") return TensorType::kF32;
  if (wish == "f16") return dimensions >= 2 ? TensorType::kF16 : source == TensorType::kF32 ? TensorType::kF32 : TensorType::kF16;
  const bool dense = source == TensorType::kF32 || source == TensorType::kF16 || source == TensorType::kBF16;
  return dense ? source : TensorType::kF16;
}

std::vector<std::int64_t> choose_layers(std::int64_t layers, std::int64_t count, LayerChoice choice) {
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < count; ++i) {
    switch (choice) {
      case LayerChoice::kImportance:   // until it is measured: student_importance.h
      case LayerChoice::kEven: kept.push_back(count == 1 ? 0 : (2 * i * (layers - 1) + count - 1) / (2 * (count - 1))); break;
      case LayerChoice::kFirst: kept.push_back(i); break;
      case LayerChoice::kFirstLast: kept.push_back(i < (count + 1) / 2 ? i : layers - count + i); break;
      case LayerChoice::kEverySecond: kept.push_back(std::min(2 * i, layers - count + i)); break;
    }
  }
  return kept;
}

Result<std::vector<std::int64_t>> kept_layers(const StudentDesign& design, std::int64_t layers) {
  if (!design.kept.empty()) {
    for (std::size_t i = 0; i < design.kept.size(); ++i)
      if (design.kept[i] < 0 || design.kept[i] >= layers || (i > 0 && design.kept[i] <= design.kept[i - 1]))
        return Error{.code = ErrorCode::kBadRecipe, .place = "student.kept", .expected = fmt::format("ascending layers from 0 to {}", layers - 1),
                     .found = std::to_string(design.kept[i])};
    return design.kept;
  }
  if (design.layers > layers)
    return Error{.code = ErrorCode::kBadRecipe, .place = "student.layers", .expected = fmt::format("at most the teacher's {}", layers),
                 .found = std::to_string(design.layers)};
  return choose_layers(layers, design.layers > 0 ? design.layers : layers, design.choice);
}

std::shared_ptr<Checkpoint> derived_checkpoint(std::shared_ptr<const Checkpoint> base) {
  struct Derived {
    Checkpoint checkpoint;
    std::shared_ptr<const Checkpoint> base;
  };
  Checkpoint copy = *base;
  const auto derived = std::make_shared<Derived>(Derived{std::move(copy), std::move(base)});
  return {derived, &derived->checkpoint};
}

Result<std::shared_ptr<Checkpoint>> keep_layers(const Model& teacher, std::span<const std::int64_t> kept) {
  for (const WeightSpec& spec : teacher.graph.weights)
    if (spec.stored == Stored::kStacked)
      return Error{.code = ErrorCode::kUnsupported, .place = spec.source_name, .expected = "weights of their own", .found = "several stacked in one tensor"};
  auto checkpoint = derived_checkpoint(teacher.checkpoint);
  std::map<std::int64_t, std::int64_t> place;
  for (std::size_t i = 0; i < kept.size(); ++i) place[kept[i]] = static_cast<std::int64_t>(i);
  std::vector<TensorEntry> tensors;
  for (TensorEntry tensor : checkpoint->tensors) {
    const LayerName name = layer_in(tensor.name);
    if (name.layer >= 0 && name.layer < teacher.config.layers) {
      const auto found = place.find(name.layer);
      if (found == place.end()) continue;
      tensor.name.replace(name.at, name.length, std::to_string(found->second));
    }
    tensors.push_back(std::move(tensor));
  }
  checkpoint->tensors = std::move(tensors);
  if (checkpoint->format == CheckpointFormat::kGguf) {
    RETORT_CHECK(shorten_metadata(checkpoint->metadata, kept));
  } else {
    RETORT_TRY(checkpoint->config_json, shorten_config(checkpoint->config_json, kept));
  }
  return checkpoint;
}

Result<Model> make_student(const Model& teacher, std::span<const std::int64_t> kept) {
  RETORT_TRY(auto checkpoint, keep_layers(teacher, kept));
  return bind_model(std::move(checkpoint));
}

std::string positions_config(const std::string& text, std::int64_t rows) {
  ordered_json config = ordered_json::parse(text, nullptr, false);
  if (!config.is_object()) return text;
  for (const char* name : {"max_position_embeddings", "n_positions", "n_ctx"})
    if (config.contains(name)) config[name] = rows;
  return config.dump(2) + "\n";
}

Result<Model> trim_positions(const Model& student, std::int64_t most) {
  const WeightId id = student.find_weight("position_embd.weight");
  if (id == kNoWeight || student.checkpoint->format == CheckpointFormat::kGguf)
    return Error{.code = ErrorCode::kUnsupported, .place = "student.trim_positions", .expected = "a folder with a table of positions", .found = "none"};
  const std::int64_t rows = most + student.config.position_offset;
  if (rows > student.config.positions)
    return Error{.code = ErrorCode::kBadRecipe, .place = "data.max_tokens", .expected = fmt::format("at most {}, as the model has positions", student.config.positions - student.config.position_offset),
                 .found = std::to_string(most)};
  auto checkpoint = derived_checkpoint(student.checkpoint);
  for (TensorEntry& tensor : checkpoint->tensors) {
    if (tensor.name != student.graph.weights[static_cast<std::size_t>(id)].source_name) continue;
    if (tensor.coded || tensor.shape.size() != 2 || tensor.data.empty())
      return Error{.code = ErrorCode::kUnsupported, .place = "student.trim_positions: " + tensor.name, .expected = "rows by position", .found = "another layout"};
    tensor.shape[0] = rows;
    tensor.data = tensor.data.first(static_cast<std::size_t>(rows) * kernels::row_bytes(tensor.type, static_cast<std::size_t>(tensor.columns())));
  }
  // A buffer of older files, [1, positions]: numbers that the classes make themselves.
  std::erase_if(checkpoint->tensors, [](const TensorEntry& tensor) { return tensor.name.ends_with("position_ids"); });
  checkpoint->config_json = positions_config(checkpoint->config_json, rows);
  return bind_model(std::move(checkpoint));
}

std::uint64_t student_bytes(const Model& student, const PackedWeights* packed, std::string_view type) {
  std::uint64_t sum = packed ? packed->bytes() : 0;
  for (std::size_t id = 0; id < student.weights.size(); ++id) {
    const WeightHandle* const handle = packed ? packed->handle(static_cast<WeightId>(id)) : nullptr;
    if (handle) continue;
    const std::vector<std::int64_t>& shape = student.graph.weights[id].shape;
    const TensorType written = packed ? TensorType::kF32 : written_student_type(type, student.weights[id].type, shape.size());
    sum += static_cast<std::uint64_t>(shape_elements(shape)) * kernels::traits(written).block_bytes;
  }
  return sum;
}

namespace {

// A text of a student's folder: its own, which may differ from the teacher's (a trimmed vocabulary's), else the teacher's file.
struct FolderText {
  std::string_view name;
  const std::string* own = nullptr;
  std::filesystem::path from{};
};

std::vector<FolderText> folder_texts(const Model& student, bool lean) {
  std::error_code failed;
  const Checkpoint& source = *student.checkpoint;
  const std::pair<std::string_view, const std::string*> own[] = {
      {"tokenizer.json", &source.tokenizer_json}, {"tokenizer_config.json", &source.tokenizer_config_json}, {"vocab.txt", &source.vocab_txt}};
  std::vector<FolderText> texts;
  for (const std::string_view name : kTokenizerFiles) {
    if (lean && name == "vocab.txt" && !source.tokenizer_json.empty()) continue;
    const auto mine = std::find_if(std::begin(own), std::end(own), [&](const auto& one) { return one.first == name && !one.second->empty(); });
    if (mine != std::end(own)) texts.push_back({name, mine->second});
    else if (std::filesystem::is_regular_file(source.path / name, failed)) texts.push_back({name, nullptr, source.path / name});
  }
  return texts;
}

}  // namespace

Result<void> write_folder_texts(const Model& student, const std::string& config, const std::filesystem::path& output, bool lean) {
  for (const FolderText& text : folder_texts(student, lean)) {
    if (text.own) {
      RETORT_CHECK(write_text_file(output / text.name, *text.own));
      continue;
    }
    RETORT_TRY(const std::string copied, read_text_file(text.from));
    RETORT_CHECK(write_text_file(output / text.name, copied));
  }
  return write_text_file(output / "config.json", config);
}

std::uint64_t folder_text_bytes(const Model& student, const std::string& config, bool lean) {
  std::uint64_t sum = config.size();
  std::error_code failed;
  for (const FolderText& text : folder_texts(student, lean)) sum += text.own ? text.own->size() : std::filesystem::file_size(text.from, failed);
  return sum;
}

Result<std::uint64_t> predict_student_bytes(const Model& student, std::string_view type) {
  std::set<std::string> trained;
  for (const WeightSpec& spec : student.graph.weights) trained.insert(spec.source_name);
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : student.checkpoint->tensors)
    tensors.push_back({entry.name, entry.shape, trained.contains(entry.name) ? written_student_type(type, entry.type, entry.shape.size()) : entry.type, {}});
  if (student.checkpoint->format == CheckpointFormat::kGguf) return gguf_file_bytes(student.checkpoint->metadata, tensors);
  RETORT_TRY(const std::uint64_t bytes, safetensors_file_bytes(tensors));
  return bytes + folder_text_bytes(student, student.checkpoint->config_json);
}

Result<StudentFile> write_student(const Model& student, const Parameters& parameters, std::string_view type,
                                  const std::filesystem::path& output, const JobContext& job) {
  std::map<std::string, std::size_t> trained;
  for (std::size_t id = 0; id < student.graph.weights.size(); ++id) trained[student.graph.weights[id].source_name] = id;
  std::vector<TensorToWrite> tensors;
  std::vector<std::byte> room;
  StudentFile file{.output = output};
  for (const TensorEntry& entry : student.checkpoint->tensors) {
    const auto found = trained.find(entry.name);
    if (found == trained.end()) {   // nothing that the graph computes with: as it was
      tensors.push_back({entry.name, entry.shape, entry.type, [&entry] { return Result<std::span<const std::byte>>(entry.data); }});
      continue;
    }
    const Parameter& parameter = parameters[found->second];
    const Stored stored = student.graph.weights[found->second].stored;
    const TensorType as = written_student_type(type, entry.type, entry.shape.size());
    file.parameters += static_cast<std::int64_t>(parameter.elements);
    tensors.push_back({entry.name, entry.shape, as, [&room, &parameter, as, stored]() -> Result<std::span<const std::byte>> {
      RETORT_TRY(room, packed_parameter(parameter, as, stored));
      return std::span<const std::byte>(room);
    }});
  }
  if (student.checkpoint->format == CheckpointFormat::kGguf) {
    RETORT_CHECK(write_gguf(output, student.checkpoint->metadata, tensors, job));
    file.bytes = std::filesystem::file_size(output);
    return file;
  }
  std::error_code failed;
  std::filesystem::create_directories(output, failed);
  if (failed) return system_error(failed.value(), output, ErrorCode::kWrite);
  RETORT_CHECK(write_safetensors(output / "model.safetensors", tensors, job));
  RETORT_CHECK(write_folder_texts(student, student.checkpoint->config_json, output));
  file.bytes = folder_bytes(output);
  return file;
}

}  // namespace retort::distill
