// GPTQ (AutoGPTQ, GPTQModel) and AWQ (AutoAWQ, "gemm"). Both store, for a linear [out, in] with groups of inputs:
//   scales f16 [groups, out];  w[o, i] = scale[g(i), o] · (q[i, o] - z[g(i), o])
// GPTQ: qweight int32 [in·bits/32, out], a dense bit stream down the inputs; qzeros int32 [groups, out·bits/32], a stream
//   along the outputs; g_idx int32 [in] names each input's group. Format v1 (the default) stores z - 1, v2 stores z.
// AWQ: qweight int32 [in, out/8], qzeros int32 [groups, out/8]: nibble k of a word is column (0, 2, 4, 6, 1, 3, 5, 7)[k].
#include <fmt/format.h>

#include "core/formats/quantized_parts.h"

namespace retort::formats {
namespace {

using nlohmann::json;

class GptqTensor final : public GroupedTensor {
 public:
  TensorEntry weight, zero, scale;
  ColumnGroups groups;
  std::string file;
  int bits = 4, zero_offset = 0;
  std::int64_t outputs = 0;

  Result<void> check() const override { return groups.check(file); }

 private:
  std::int64_t group_of(std::int64_t column) const noexcept override { return groups.of(column); }
  void scales(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r) out[r] = value_at(scale, group * outputs + first + r);
  }
  void zeros(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    const std::int64_t words = outputs * bits / 32;
    for (std::int64_t r = 0; r < rows; ++r)
      out[r] = static_cast<float>(static_cast<int>(stream_value(zero, group * words, 1, first + r, bits)) + zero_offset);
  }
  void codes(std::int64_t column, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r)
      out[r] = static_cast<float>(stream_value(weight, first + r, outputs, column, bits));
  }
};

class AwqTensor final : public GroupedTensor {
 public:
  TensorEntry weight, zero, scale;
  std::int64_t outputs = 0, group_size = 0;

 private:
  // Where column j of eight lies: the inverse of (0, 2, 4, 6, 1, 3, 5, 7), times four bits.
  static constexpr int kShift[8] = {0, 16, 4, 20, 8, 24, 12, 28};

  static float nibble(const TensorEntry& words, std::int64_t row, std::int64_t column, std::int64_t outputs) noexcept {
    return static_cast<float>(word_at(words, row * (outputs / 8) + column / 8) >> kShift[column % 8] & 15u);
  }
  std::int64_t group_of(std::int64_t column) const noexcept override { return column / group_size; }
  void scales(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r) out[r] = value_at(scale, group * outputs + first + r);
  }
  void zeros(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r) out[r] = nibble(zero, group, first + r, outputs);
  }
  void codes(std::int64_t column, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r) out[r] = nibble(weight, column, first + r, outputs);
  }
};

// scales [groups, out], both at least 1. Errors: kBadShape, kCorrupt.
Result<void> check_scales(const PartTable& table, const TensorEntry& scales) {
  RETORT_CHECK(expect_type(table, scales, {TensorType::kF16, TensorType::kBF16, TensorType::kF32}));
  if (scales.shape.size() != 2 || scales.shape[0] < 1 || scales.shape[1] < 1)
    return table.error(ErrorCode::kBadShape, scales.name, "[groups, outputs]", shape_text(scales.shape));
  return {};
}

Result<void> check_words(const PartTable& table, const TensorEntry& words) {
  RETORT_CHECK(expect_type(table, words, {TensorType::kI32, TensorType::kU32}));
  if (words.shape.size() != 2 || words.shape[0] < 1 || words.shape[1] < 1)
    return table.error(ErrorCode::kBadShape, words.name, "two sizes", shape_text(words.shape));
  return {};
}

std::string groups_text(std::int64_t groups, std::int64_t size) {
  return groups == 1 ? "one group a row" : fmt::format("groups of {}", size);
}

struct GptqSettings {
  std::int64_t bits, group_size;
  int zero_offset;
};

Result<void> assemble_gptq_linear(const GptqSettings& settings, const std::string& base, PartTable& table) {
  auto tensor = std::make_shared<GptqTensor>();
  RETORT_TRY(const TensorEntry* weight, table.need(base + ".qweight"));
  RETORT_TRY(const TensorEntry* zero, table.need(base + ".qzeros"));
  RETORT_TRY(const TensorEntry* scale, table.need(base + ".scales"));
  const TensorEntry* const index = table.find(base + ".g_idx");
  RETORT_CHECK(check_words(table, *weight));
  RETORT_CHECK(check_words(table, *zero));
  RETORT_CHECK(check_scales(table, *scale));

  const std::int64_t groups = scale->shape[0], outputs = scale->shape[1], words = weight->shape[0];
  if (index) {
    RETORT_CHECK(expect_type(table, *index, {TensorType::kI32}));
    if (index->shape.size() != 1 || index->shape[0] < 1)
      return table.error(ErrorCode::kBadShape, index->name, "[inputs]", shape_text(index->shape));
  }
  // Layers of one model may have different bits: where every input is listed, the sizes tell.
  const std::int64_t inputs = index ? index->shape[0] : words * 32 / settings.bits;
  const std::int64_t bits = index ? words * 32 / inputs : settings.bits;
  if (bits < 2 || bits > 8 || inputs * bits != words * 32)
    return table.error(ErrorCode::kBadShape, weight->name, fmt::format("rows for {} inputs of 2 to 8 bits", inputs),
                       shape_text(weight->shape));
  RETORT_CHECK(expect_shape(table, *weight, {words, outputs}));
  RETORT_CHECK(expect_shape(table, *zero, {groups, outputs * bits / 32}));
  if (outputs * bits % 32 != 0)
    return table.error(ErrorCode::kBadShape, scale->name, "outputs that fill whole words", shape_text(scale->shape));
  tensor->groups.count = groups;
  tensor->groups.size = groups == 1 ? inputs : settings.group_size > 0 ? settings.group_size : inputs;
  if (index) tensor->groups.index = *index;
  if (!index && (inputs + tensor->groups.size - 1) / tensor->groups.size != groups)
    return table.error(ErrorCode::kBadShape, scale->name,
                       fmt::format("scales for {} inputs in groups of {}", inputs, tensor->groups.size),
                       shape_text(scale->shape));
  tensor->weight = *weight;
  tensor->zero = *zero;
  tensor->scale = *scale;
  tensor->file = table.file();
  tensor->bits = static_cast<int>(bits);
  tensor->zero_offset = settings.zero_offset;
  tensor->outputs = outputs;
  tensor->scheme_ = fmt::format("GPTQ, {} bits, {}", bits, groups_text(groups, tensor->groups.size));
  table.replace(base, {".qweight", ".qzeros", ".scales", ".g_idx"}, std::move(tensor), outputs, inputs);
  return {};
}

}  // namespace

Result<void> assemble_gptq(const json& config, PartTable& table) {
  const std::string format = text_of(config, "checkpoint_format");
  if (!format.empty() && format != "gptq" && format != "gptq_v2")
    return unsupported_scheme(table, "checkpoint_format", format, "gptq or gptq_v2");
  const GptqSettings settings{number_of(config, "bits", 4), number_of(config, "group_size", 128), format == "gptq_v2" ? 0 : 1};
  if (settings.bits < 2 || settings.bits > 8)
    return unsupported_scheme(table, "bits", std::to_string(settings.bits), "2 to 8");
  for (const std::string& base : table.bases(".qweight")) RETORT_CHECK(assemble_gptq_linear(settings, base, table));
  return {};
}

Result<void> assemble_awq(const json& config, PartTable& table) {
  std::string version = text_of(config, "version");
  for (char& c : version) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (!version.empty() && version != "gemm") return unsupported_scheme(table, "version", version, "gemm");
  const std::int64_t bits = number_of(config, config.contains("bits") ? "bits" : "w_bit", 4);
  if (bits != 4) return unsupported_scheme(table, "bits", std::to_string(bits), "4");
  for (const std::string& base : table.bases(".qweight")) {
    RETORT_TRY(const TensorEntry* weight, table.need(base + ".qweight"));
    RETORT_TRY(const TensorEntry* zero, table.need(base + ".qzeros"));
    RETORT_TRY(const TensorEntry* scale, table.need(base + ".scales"));
    RETORT_CHECK(check_words(table, *weight));
    RETORT_CHECK(check_words(table, *zero));
    RETORT_CHECK(check_scales(table, *scale));
    const std::int64_t inputs = weight->shape[0], outputs = scale->shape[1], groups = scale->shape[0];
    if (outputs % 8 != 0 || inputs % groups != 0)
      return table.error(ErrorCode::kBadShape, scale->name,
                         fmt::format("[a divisor of {}, a multiple of 8]", inputs), shape_text(scale->shape));
    RETORT_CHECK(expect_shape(table, *weight, {inputs, outputs / 8}));
    RETORT_CHECK(expect_shape(table, *zero, {groups, outputs / 8}));
    auto tensor = std::make_shared<AwqTensor>();
    tensor->weight = *weight;
    tensor->zero = *zero;
    tensor->scale = *scale;
    tensor->outputs = outputs;
    tensor->group_size = inputs / groups;
    tensor->scheme_ = fmt::format("AWQ, 4 bits, {}", groups_text(groups, tensor->group_size));
    table.replace(base, {".qweight", ".qzeros", ".scales"}, std::move(tensor), outputs, inputs);
  }
  return {};
}

}  // namespace retort::formats
