// What the methods of quantized folders share. For the quantized_*.cpp files only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/formats/checkpoint.h"
#include "core/formats/json_text.h"

namespace retort::formats {

// The stored tensors by name, and what they become.
class PartTable {
 public:
  explicit PartTable(Checkpoint& checkpoint);

  // Bases of all names that end with `suffix`: "…q_proj" for "…q_proj.qweight" and ".qweight".
  std::vector<std::string> bases(std::string_view suffix) const;
  const TensorEntry* find(const std::string& name) const;
  // Errors: kMissingPart.
  Result<const TensorEntry*> need(const std::string& name) const;
  // Replaces the parts named `base` + each suffix (those that exist) by one coded tensor `base`.weight [rows, columns],
  // and sums up their bytes.
  void replace(const std::string& base, std::initializer_list<std::string_view> suffixes,
               std::shared_ptr<CodedTensor> coded, std::int64_t rows, std::int64_t columns);
  // Removes a part that has no use here (activation scales, a copy of the shape).
  void drop(const std::string& name);
  // Writes the result into the checkpoint.
  void finish();

  Error error(ErrorCode code, const std::string& tensor, std::string expected, std::string found) const;
  const std::string& file() const noexcept { return file_; }

 private:
  Checkpoint& checkpoint_;
  std::string file_;
  std::unordered_map<std::string, std::size_t> places_;
  std::vector<bool> gone_;
};

// "[4, 64]"
std::string shape_text(const std::vector<std::int64_t>& shape);
// Errors: kBadShape.
Result<void> expect_shape(const PartTable& table, const TensorEntry& tensor, const std::vector<std::int64_t>& shape);
// Errors: kCorrupt.
Result<void> expect_type(const PartTable& table, const TensorEntry& tensor, std::initializer_list<TensorType> types);

// Element `index` of a tensor of any dense type, as f32.
inline float value_at(const TensorEntry& tensor, std::int64_t index) noexcept {
  const kernels::TypeTraits& type = kernels::traits(tensor.type);
  float value = 0;
  type.decode(tensor.data.data() + static_cast<std::size_t>(index) * type.block_bytes, &value, 1);
  return value;
}

inline std::uint32_t word_at(const TensorEntry& tensor, std::int64_t index) noexcept {
  std::uint32_t word;
  std::memcpy(&word, tensor.data.data() + static_cast<std::size_t>(index) * sizeof(word), sizeof(word));
  return word;
}

// Value number `index` of `bits` bits in a dense little-endian stream of 32-bit words, word w of which stands at
// `first` + w · `stride`. Values of 3, 5, 6 and 7 bits straddle words.
inline std::uint32_t stream_value(const TensorEntry& words, std::int64_t first, std::int64_t stride, std::int64_t index,
                                  int bits) noexcept {
  const std::int64_t bit = index * bits, word = bit / 32;
  const int shift = static_cast<int>(bit % 32);
  std::uint32_t value = word_at(words, first + word * stride) >> shift;
  if (shift + bits > 32) value |= word_at(words, first + (word + 1) * stride) << (32 - shift);
  return value & ((1u << bits) - 1);
}

// Weights that are scale · (code - zero), scale and zero belonging to a row and a group of columns.
class GroupedTensor : public CodedTensor {
 public:
  void decode(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns,
              float* out) const noexcept final;

 protected:
  static constexpr std::int64_t kRows = 64;   // at most so many rows are asked of the functions below
  virtual std::int64_t group_of(std::int64_t column) const noexcept = 0;
  virtual void scales(std::int64_t group, std::int64_t first_row, std::int64_t rows, float* out) const noexcept = 0;
  // Zeros stay 0 unless overridden.
  virtual void zeros(std::int64_t group, std::int64_t first_row, std::int64_t rows, float* out) const noexcept;
  // Codes of one column.
  virtual void codes(std::int64_t column, std::int64_t first_row, std::int64_t rows, float* out) const noexcept = 0;
};

// Which group a column belongs to: by number, or as an int32 per column says (act-order).
struct ColumnGroups {
  std::int64_t size = 0;                    // columns of a group
  std::int64_t count = 0;                   // groups
  std::optional<TensorEntry> index{};       // int32 [columns]
  std::int64_t of(std::int64_t column) const noexcept {
    if (!index) return column / size;
    // A number out of range is reported by check(); here it must only stay within the scales.
    const auto group = static_cast<std::int64_t>(static_cast<std::int32_t>(word_at(*index, column)));
    return group < 0 ? 0 : group < count ? group : count - 1;
  }
  // Errors: kCorrupt.
  Result<void> check(const std::string& file) const;
};

// The methods. `config` is the quantization_config object. Errors: as assemble_quantized, and kUnsupported for variants.
Result<void> assemble_gptq(const nlohmann::json& config, PartTable& table);
Result<void> assemble_awq(const nlohmann::json& config, PartTable& table);
Result<void> assemble_compressed_tensors(const nlohmann::json& config, PartTable& table);
Result<void> assemble_bitsandbytes(const nlohmann::json& config, PartTable& table);
Result<void> assemble_fp8(const nlohmann::json& config, PartTable& table);

// A whole number, cut to ±2^31; `otherwise` when it is none.
std::int64_t bounded(const nlohmann::json& value, std::int64_t otherwise);
// A whole number of the configuration, `otherwise` when absent or no number.
std::int64_t number_of(const nlohmann::json& config, const char* key, std::int64_t otherwise);
std::string text_of(const nlohmann::json& config, const char* key);
Error unsupported_scheme(const PartTable& table, std::string method, std::string found, std::string expected);

}  // namespace retort::formats
