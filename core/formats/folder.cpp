#include "core/formats/folder.h"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "core/formats/byte_reader.h"
#include "core/formats/foreign.h"
#include "core/formats/gguf.h"
#include "core/formats/json_text.h"
#include "core/formats/pytorch.h"
#include "core/formats/quantized.h"
#include "core/formats/safetensors.h"

namespace retort::formats {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Configuration and tokenizer files beyond this are no such files. tokenizer.json of large vocabularies is about 30 MB.
constexpr std::uint64_t kMaxJsonBytes = 256u << 20;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// Empty when the file does not exist.
Result<std::string> read_optional(const fs::path& path) {
  if (!is_file(path)) return std::string();
  return read_text_file(path, kMaxJsonBytes);
}

// A shard's name comes out of a file: it must stay in the folder.
bool is_plain_file_name(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\\') == std::string_view::npos && is_clean_utf8(name);
}

// Where the weights of a folder stand; the first kind that is there counts.
struct WeightFiles {
  const char* single;
  const char* index;
  CheckpointFormat format;
};
constexpr std::array kWeightFiles = {
    WeightFiles{"model.safetensors", "model.safetensors.index.json", CheckpointFormat::kSafetensors},
    WeightFiles{"pytorch_model.bin", "pytorch_model.bin.index.json", CheckpointFormat::kPyTorch},
};

const WeightFiles* find_weights(const fs::path& folder) {
  for (const WeightFiles& files : kWeightFiles)
    if (is_file(folder / files.single) || is_file(folder / files.index)) return &files;
  return nullptr;
}

class FolderReader {
 public:
  explicit FolderReader(const fs::path& folder) : folder_(folder) {}

  Result<std::shared_ptr<const Checkpoint>> read() {
    out_->path = folder_;
    out_->format = CheckpointFormat::kSafetensors;
    RETORT_CHECK(read_texts());
    const WeightFiles* const weights = find_weights(folder_);
    if (!weights) return no_weights();
    out_->format = weights->format;
    if (is_file(folder_ / weights->single)) RETORT_CHECK(add_file(folder_ / weights->single));
    else RETORT_CHECK(add_shards(folder_ / weights->index));
    RETORT_TRY(const std::string quantize_config, read_optional(folder_ / "quantize_config.json"));
    RETORT_CHECK(assemble_quantized(*out_, quantize_config));
    return std::shared_ptr<const Checkpoint>(std::move(out_));
  }

 private:
  Result<void> read_texts() {
    RETORT_TRY(out_->config_json, read_text_file(folder_ / "config.json", kMaxJsonBytes));
    RETORT_TRY(const json config, parse_json(out_->config_json, (folder_ / "config.json").string(), "configuration"));
    if (!config.is_object()) return not_an_object("config.json");
    RETORT_TRY(out_->generation_config_json, read_optional(folder_ / "generation_config.json"));
    RETORT_TRY(out_->tokenizer_json, read_optional(folder_ / "tokenizer.json"));
    RETORT_TRY(out_->tokenizer_config_json, read_optional(folder_ / "tokenizer_config.json"));
    if (out_->tokenizer_json.empty()) RETORT_CHECK(read_older_tokenizer());
    return read_template();
  }

  Error not_an_object(const char* name) const {
    return Error{.code = ErrorCode::kCorrupt, .file = (folder_ / name).string(), .expected = "a JSON object",
                 .found = "another JSON value"};
  }

  // The files from before tokenizer.json.
  Result<void> read_older_tokenizer() {
    RETORT_TRY(out_->vocab_txt, read_optional(folder_ / "vocab.txt"));
    RETORT_TRY(out_->vocab_json, read_optional(folder_ / "vocab.json"));
    RETORT_TRY(out_->merges_txt, read_optional(folder_ / "merges.txt"));
    RETORT_TRY(out_->added_tokens_json, read_optional(folder_ / "added_tokens.json"));
    RETORT_TRY(out_->special_tokens_map_json, read_optional(folder_ / "special_tokens_map.json"));
    for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model"})
      if (out_->sentencepiece_model.empty()) {
        RETORT_TRY(out_->sentencepiece_model, read_optional(folder_ / name));
      }
    return {};
  }

  // chat_template.jinja wins, as in transformers; else tokenizer_config.json, where it is a string or a list of
  // {name, template} of which "default" is meant.
  Result<void> read_template() {
    RETORT_TRY(out_->chat_template, read_optional(folder_ / "chat_template.jinja"));
    if (!out_->chat_template.empty() || out_->tokenizer_config_json.empty()) return {};
    const std::string file = (folder_ / "tokenizer_config.json").string();
    RETORT_TRY(const json config, parse_json(out_->tokenizer_config_json, file, "tokenizer configuration"));
    if (!config.is_object()) return not_an_object("tokenizer_config.json");
    const auto found = config.find("chat_template");
    if (found == config.end()) return {};
    if (found->is_string()) out_->chat_template = found->get<std::string>();
    if (!found->is_array()) return {};
    for (const json& entry : *found) {
      if (!entry.is_object() || !entry.contains("template") || !entry["template"].is_string()) continue;
      const bool is_default = entry.contains("name") && entry["name"] == "default";
      if (is_default || out_->chat_template.empty()) out_->chat_template = entry["template"].get<std::string>();
      if (is_default) break;
    }
    return {};
  }

  Result<void> add_file(const fs::path& path) {
    RETORT_TRY(auto file, MappedFile::open(path));
    if (file->bytes().empty()) return foreign_error({}, path.string());
    const bool pytorch = out_->format == CheckpointFormat::kPyTorch;
    if (pytorch && !looks_like_pytorch(file->bytes())) return foreign_error(file->bytes(), path.string());
    RETORT_TRY(auto tensors, pytorch ? read_pytorch(*file, out_->files.size()) : read_safetensors(*file, out_->files.size()));
    for (TensorEntry& tensor : tensors) {
      const auto [where, is_new] = owners_.emplace(tensor.name, path.filename().string());
      if (!is_new)
        return Error{.code = ErrorCode::kCorrupt, .file = path.string(), .place = "tensor " + printable(tensor.name),
                     .offset = tensor.offset, .expected = "each tensor in one shard",
                     .found = "the same name in " + where->second};
      out_->tensors.push_back(std::move(tensor));
    }
    out_->files.push_back(std::move(file));
    return {};
  }

  Result<void> add_shards(const fs::path& index_path) {
    const std::string name = index_path.string();
    RETORT_TRY(const std::string text, read_text_file(index_path, kMaxJsonBytes));
    RETORT_TRY(const json index, parse_json(text, name, "index"));
    const auto corrupt = [&](std::string place, std::string expected, std::string found) {
      return Error{.code = ErrorCode::kCorrupt, .file = name, .place = std::move(place),
                   .expected = std::move(expected), .found = std::move(found)};
    };
    if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
      return corrupt("weight_map", "an object of tensor names and files", "none");
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : index["weight_map"].items()) {
      if (!shard.is_string() || !is_plain_file_name(shard.get_ref<const std::string&>()))
        return corrupt("tensor " + printable(tensor), "the name of a file in the same folder",
                       shard.is_string() ? printable(shard.get_ref<const std::string&>()) : shard.type_name());
      shards.insert(shard.get<std::string>());
    }
    for (const std::string& shard : shards) {
      if (!is_file(folder_ / shard))
        return Error{.code = ErrorCode::kMissingPart, .file = folder_.string(), .place = "shard " + printable(shard),
                     .next_step = "download " + printable(shard) + " into this folder"};
      RETORT_CHECK(add_file(folder_ / shard));
    }
    for (const auto& [tensor, shard] : index["weight_map"].items()) {
      const auto owner = owners_.find(tensor);
      if (owner == owners_.end() || owner->second != shard.get_ref<const std::string&>())
        return corrupt("tensor " + printable(tensor), "this tensor in " + shard.get<std::string>(),
                       owner == owners_.end() ? "no such tensor" : "it in " + owner->second);
    }
    return {};
  }

  Error no_weights() const {
    Error error{.code = ErrorCode::kMissingPart, .file = folder_.string(), .place = "model.safetensors",
                .next_step = "put model.safetensors, or its shards with their index, into this folder"};
    for (const char* other : {"consolidated.00.pth", "tf_model.h5", "flax_model.msgpack", "model.onnx"})
      if (is_file(folder_ / other)) {
        error.found = std::string("only ") + other;
        error.next_step = "in transformers, load the model and save it with save_pretrained(folder), then open that folder";
      }
    return error;
  }

  fs::path folder_;
  std::shared_ptr<Checkpoint> out_ = std::make_shared<Checkpoint>();
  std::unordered_map<std::string, std::string> owners_;   // tensor → file name
};

std::vector<fs::path> gguf_files(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed))
    if (it->path().extension() == ".gguf" && is_file(it->path())) found.push_back(it->path());
  std::sort(found.begin(), found.end());
  return found;
}

// Whether all files are parts of one model.
bool is_one_split(const std::vector<fs::path>& files) {
  if (files.empty()) return false;
  const auto first = first_of_split(files.front().filename().string());
  return first && std::all_of(files.begin(), files.end(), [&](const fs::path& file) {
    return first_of_split(file.filename().string()) == first;
  });
}

}  // namespace

Result<std::shared_ptr<const Checkpoint>> open_folder(const fs::path& folder) {
  const bool has_config = is_file(folder / "config.json");
  const bool has_weights = find_weights(folder) != nullptr;
  if (has_config && has_weights) return FolderReader(folder).read();

  const std::vector<fs::path> gguf = gguf_files(folder);
  if (gguf.size() == 1 || is_one_split(gguf)) {
    RETORT_TRY(auto file, MappedFile::open(gguf.front()));
    if (file->bytes().empty()) return foreign_error({}, gguf.front().string());
    return open_gguf(std::move(file));
  }
  if (has_config) return FolderReader(folder).read();
  Error error{.code = ErrorCode::kMissingPart, .file = folder.string(), .place = "config.json",
              .next_step = "open a folder with config.json and safetensors, or a GGUF file"};
  if (gguf.size() > 1) {
    error.code = ErrorCode::kForeign;
    error.place.clear();
    error.found = "a folder with " + std::to_string(gguf.size()) + " GGUF files";
    error.next_step = "open one of them, such as " + printable(gguf.front().filename().string());
  } else if (is_file(folder / "adapter_config.json")) {
    error.code = ErrorCode::kUnsupported;
    error.place = "adapter_config.json";
    error.found = "an adapter without its base model";
    error.next_step = "merge the adapter into its model and open the result";
  } else if (has_weights) {
    error.next_step = "download the model's config.json into this folder";
  }
  return error;
}

}  // namespace retort::formats
