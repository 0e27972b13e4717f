// Checkpoint: a model as it lies on disk, in any format: named tensors, metadata, tokenizer, chat template.
// Tensor bytes are views into memory-mapped files; opening reads headers only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/files.h"
#include "core/base/result.h"
#include "core/formats/coded_tensor.h"
#include "core/formats/shape.h"
#include "kernels/api/tensor_type.h"

namespace retort {

using kernels::TensorType;

struct TensorEntry {
  std::string name;                    // as the file says
  std::vector<std::int64_t> shape;     // outermost first: a linear is [outputs, inputs]
  TensorType type = TensorType::kF32;
  std::span<const std::byte> data;     // row-major, back to back; lives as long as the checkpoint
  std::size_t file = 0;                // index into Checkpoint::files
  std::uint64_t offset = 0;            // of the data in that file
  // Set when the values lie in several parts (GPTQ …): then `type` is kF32 and `data` is empty.
  std::shared_ptr<const CodedTensor> coded;

  std::int64_t elements() const noexcept { return shape_elements(shape); }
  std::int64_t columns() const noexcept { return shape.empty() ? 1 : shape.back(); }
  std::int64_t rows() const noexcept { return columns() == 0 ? 0 : elements() / columns(); }
  // Bytes in the file, of all parts.
  std::uint64_t stored_bytes() const noexcept { return coded ? coded->bytes() : data.size(); }
  // Values of rows [first, first + count) as f32; any thread.
  void decode_rows(std::int64_t first, std::int64_t count, float* out) const;
};

// Metadata of GGUF files, typed as in the file so that a writer can repeat it. Ordered as in the file.
struct MetadataArray;
using MetadataValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                                   std::uint64_t, std::int64_t, float, double, bool, std::string,
                                   std::shared_ptr<const MetadataArray>>;
struct MetadataArray {
  // One of these is filled, as the element type says. Numbers that are not f32/bool/i32 … keep their own vector.
  std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>, std::vector<std::int16_t>,
               std::vector<std::uint32_t>, std::vector<std::int32_t>, std::vector<std::uint64_t>,
               std::vector<std::int64_t>, std::vector<float>, std::vector<double>, std::vector<bool>,
               std::vector<std::string>> values;
};

class Metadata {
 public:
  const MetadataValue* find(std::string_view key) const noexcept;
  void set(std::string key, MetadataValue value);       // replaces or appends
  void append(std::string key, MetadataValue value);    // the caller knows that the key is new: no search
  void erase(std::string_view key);
  const std::vector<std::pair<std::string, MetadataValue>>& entries() const noexcept { return entries_; }

  // Conversions of any integer or float type; nullopt when absent or of another kind.
  std::optional<std::uint64_t> unsigned_at(std::string_view key) const;
  std::optional<double> number_at(std::string_view key) const;
  std::optional<std::string> string_at(std::string_view key) const;
  std::optional<bool> bool_at(std::string_view key) const;
  const MetadataArray* array_at(std::string_view key) const;

 private:
  std::vector<std::pair<std::string, MetadataValue>> entries_;
};

// kPyTorch: a folder with pytorch_model.bin; in everything but the container the same as a safetensors folder.
enum class CheckpointFormat : std::uint8_t { kGguf, kSafetensors, kPyTorch };

struct Checkpoint {
  std::filesystem::path path;                 // the file or folder that was opened
  CheckpointFormat format = CheckpointFormat::kGguf;
  std::vector<TensorEntry> tensors;           // in file order
  Metadata metadata;                          // GGUF; empty for folders
  std::string config_json;                    // config.json of a folder; empty for GGUF
  std::string generation_config_json;
  std::string tokenizer_json;                 // tokenizer.json; empty when absent
  std::string tokenizer_config_json;
  // Older tokenizer files, read where tokenizer.json is absent: each empty when it does not exist.
  std::string vocab_txt;                      // WordPiece: a token a line
  std::string sentencepiece_model;            // the bytes of tokenizer.model, spiece.model or sentencepiece.bpe.model
  std::string vocab_json, merges_txt;         // byte-level BPE
  std::string added_tokens_json, special_tokens_map_json;
  std::string chat_template;                  // Jinja source; empty when there is none
  std::vector<std::shared_ptr<const MappedFile>> files;
  // "gptq": how config.json says the weights are quantized; empty: not at all.
  std::string quantization_method;
  // Set when Retort cannot decode that method: tensors are then as stored, and no model can be bound.
  std::shared_ptr<const Error> quantization_problem;

  const TensorEntry* find(std::string_view name) const noexcept;
  std::uint64_t tensor_bytes() const noexcept;
};

// Opens a GGUF file, a .safetensors file or a Hugging Face folder (one or several safetensors files with index).
// Every size, offset and count is checked before it is used. Errors name file, tensor or key, and byte.
// Errors: kNotFound, kForeign, kTruncated, kCorrupt, kUnsupported (a tensor type), kMissingPart (shard, config.json).
Result<std::shared_ptr<const Checkpoint>> open_checkpoint(const std::filesystem::path& path);

// Plain safetensors, for `retort forward` and tests: names → entries, mapped.
Result<std::shared_ptr<const Checkpoint>> open_safetensors(const std::filesystem::path& path);

}  // namespace retort
