// compressed-tensors (llm-compressor), and FP8 folders, whose weights are the same but for the scale's name.
//   pack-quantized   weight_packed int32 [out, words], values plus 2^(bits-1) from the lowest bits: a dense stream, or
//                    (versions before 0.13, where 32 is no multiple of the bits) 32 / bits values a word, the rest unused;
//                    weight_scale [out, groups]; weight_zero_point int32 [words, groups], packed down the rows in the same
//                    way; weight_shape int64 [2]; weight_g_idx int32 [in] (act-order)
//   int-quantized, float-quantized, naive-quantized   weight I8 or F8_E4M3 [out, in]; weight_scale [1], [out, 1],
//                    [out, groups] or one per block [out / b, in / b]; weight_zero_point I8 of the same shape
//   nvfp4-pack-quantized   weight_packed U8 [out, in / 2], E2M1 codes, even column in the low nibble; weight_scale F8_E4M3
//                    [out, in / 16], divided by weight_global_scale F32 [1]
//   mxfp4-pack-quantized   the same with weight_scale U8 [out, in / 32], 2^(code - 127)
// w = scale · (code - zero). Activation scales are not used: the weights are what the folder holds.
// FP8: weight F8_E4M3 [out, in]; weight_scale_inv F32, one per block, or weight_scale as above; both are multiplied.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/formats/quantized_parts.h"

namespace retort::formats {
namespace {

using nlohmann::json;

// Scales (or zeros) of one weight as a grid: `rows` × `columns` of them cover [outputs, inputs] in equal blocks.
struct ScaleGrid {
  TensorEntry values;
  std::int64_t columns = 1, block_rows = 1;   // block_rows outputs share a row of the grid
  float at(std::int64_t row, std::int64_t group) const noexcept {
    return value_at(values, row / block_rows * columns + group);
  }
};

struct Blocks {
  std::int64_t rows = 1, columns = 1;   // of weights under one scale
};

// Which blocks a scale tensor of this shape means for [outputs, inputs]; `stated` counts where sizes don't divide.
Result<Blocks> blocks_of(const PartTable& table, const TensorEntry& scale, std::int64_t outputs, std::int64_t inputs,
                         const Blocks& stated) {
  RETORT_CHECK(expect_type(table, scale, {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kF8_E4M3,
                                          TensorType::kU8, TensorType::kI8}));
  const std::vector<std::int64_t>& shape = scale.shape;
  if (shape.empty() || (shape.size() == 1 && shape[0] == 1)) return Blocks{outputs, inputs};
  const std::int64_t rows = shape[0], columns = shape.size() > 1 ? shape[1] : 1;
  const auto covers = [](std::int64_t count, std::int64_t block, std::int64_t size) {
    return block > 0 && (size + block - 1) / block == count;
  };
  if (shape.size() <= 2 && covers(rows, stated.rows, outputs) && covers(columns, stated.columns, inputs)) return stated;
  if (shape.size() > 2 || rows < 1 || columns < 1 || outputs % rows != 0 || inputs % columns != 0)
    return table.error(ErrorCode::kBadShape, scale.name, fmt::format("scales of equal blocks of [{}, {}]", outputs, inputs),
                       shape_text(shape));
  return Blocks{outputs / rows, inputs / columns};
}

Result<ScaleGrid> grid_of(const TensorEntry& values, const Blocks& blocks, std::int64_t inputs) {
  return ScaleGrid{values, (inputs + blocks.columns - 1) / blocks.columns, blocks.rows};
}

// What the integer and float layouts share: scales in a grid, maybe zeros, maybe act-order.
class ScaledTensor : public GroupedTensor {
 public:
  ScaleGrid scale;
  ColumnGroups groups;
  std::string file;
  std::optional<float> divisor;   // of the scales: NVFP4's global scale

  Result<void> check() const override { return groups.check(file); }

 protected:
  std::int64_t group_of(std::int64_t column) const noexcept override { return groups.of(column); }
  void scales(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r) {
      out[r] = scale.at(first + r, group);
      if (divisor) out[r] /= *divisor;
    }
  }
};

// One stored element a weight: I8 or F8.
class PlainTensor final : public ScaledTensor {
 public:
  TensorEntry weight;
  std::optional<ScaleGrid> zero;

 private:
  void zeros(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r) out[r] = zero ? zero->at(first + r, group) : 0.0f;
  }
  void codes(std::int64_t column, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    const std::int64_t inputs = weight.columns();
    for (std::int64_t r = 0; r < rows; ++r) out[r] = value_at(weight, (first + r) * inputs + column);
  }
};

// Words that `count` values of `bits` bits take.
std::int64_t words_for(std::int64_t count, std::int64_t bits, bool dense) noexcept {
  return dense ? (count * bits + 31) / 32 : (count + 32 / bits - 1) / (32 / bits);
}

// Integers in 32-bit words.
class PackedTensor final : public ScaledTensor {
 public:
  TensorEntry weight;
  std::optional<TensorEntry> zero;        // int32, packed down the rows
  std::optional<ScaleGrid> plain_zero;    // I8, as older files have it
  int bits = 4;
  bool dense = true;

 private:
  // Value `index` of the words first, first + stride …
  float value(const TensorEntry& words, std::int64_t first, std::int64_t stride, std::int64_t index) const noexcept {
    const std::int64_t n = 32 / bits;
    const std::uint32_t code = dense ? stream_value(words, first, stride, index, bits)
                                     : stream_value(words, first + index / n * stride, stride, index % n, bits);
    return static_cast<float>(static_cast<int>(code) - (1 << (bits - 1)));
  }
  void zeros(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r)
      out[r] = zero ? value(*zero, group, zero->columns(), first + r)
                    : plain_zero ? plain_zero->at(first + r, group) : 0.0f;
  }
  void codes(std::int64_t column, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    const std::int64_t words = weight.columns();
    for (std::int64_t r = 0; r < rows; ++r) out[r] = value(weight, (first + r) * words, 1, column);
  }
};

// E2M1 codes, two a byte.
class Float4Tensor final : public ScaledTensor {
 public:
  TensorEntry weight;
  bool power_of_two = false;   // scales are exponents

 private:
  void scales(std::int64_t group, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    ScaledTensor::scales(group, first, rows, out);
    for (std::int64_t r = 0; power_of_two && r < rows; ++r) out[r] = std::ldexp(1.0f, static_cast<int>(out[r]) - 127);
  }
  void codes(std::int64_t column, std::int64_t first, std::int64_t rows, float* out) const noexcept override {
    constexpr float kValues[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    const std::int64_t bytes = weight.columns();
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto pair = std::to_integer<unsigned>(weight.data[static_cast<std::size_t>((first + r) * bytes + column / 2)]);
      out[r] = kValues[pair >> (column % 2 * 4) & 15u];
    }
  }
};

// One config group's statement about its weights.
struct WeightScheme {
  std::int64_t bits = 8;
  std::string kind, format;   // "int" or "float"; "pack-quantized" …
  std::int64_t group_size = 0;
  Blocks blocks;
};

std::vector<WeightScheme> schemes_of(const json& config) {
  std::vector<WeightScheme> schemes;
  const auto groups = config.find("config_groups");
  if (groups == config.end() || !groups->is_object()) return schemes;
  for (const auto& [name, group] : groups->items()) {
    if (!group.is_object() || !group.contains("weights") || !group["weights"].is_object()) continue;
    const json& weights = group["weights"];
    WeightScheme scheme;
    scheme.bits = number_of(weights, "num_bits", 8);
    scheme.kind = text_of(weights, "type");
    scheme.format = text_of(group, "format");
    if (scheme.format.empty()) scheme.format = text_of(config, "format");
    scheme.group_size = number_of(weights, "group_size", 0);
    const auto block = weights.find("block_structure");
    if (block != weights.end() && block->is_array() && block->size() == 2)
      scheme.blocks = {bounded((*block)[0], 1), bounded((*block)[1], 1)};
    schemes.push_back(std::move(scheme));
  }
  return schemes;
}

class Assembler {
 public:
  Assembler(std::vector<WeightScheme> schemes, PartTable& table) : schemes_(std::move(schemes)), table_(table) {}

  // weight_packed of either kind. Errors: kBadShape, kCorrupt, kMissingPart.
  Result<void> packed(const std::string& base) {
    RETORT_TRY(const TensorEntry* weight, table_.need(base + ".weight_packed"));
    RETORT_TRY(const TensorEntry* scale, table_.need(base + ".weight_scale"));
    if (weight->shape.size() != 2 || weight->shape[0] < 1 || weight->shape[1] < 1)
      return table_.error(ErrorCode::kBadShape, weight->name, "two sizes", shape_text(weight->shape));
    if (weight->type == TensorType::kU8) return float4(base, *weight, *scale);
    return integers(base, *weight, *scale);
  }

  // One stored element a weight; `scale_name` is weight_scale or weight_scale_inv.
  Result<void> plain(const std::string& base, const std::string& scale_name, const std::string& scheme, const Blocks& stated) {
    RETORT_TRY(const TensorEntry* weight, table_.need(base + ".weight"));
    RETORT_TRY(const TensorEntry* scale, table_.need(base + scale_name));
    RETORT_CHECK(expect_type(table_, *weight, {TensorType::kI8, TensorType::kF8_E4M3, TensorType::kF8_E5M2}));
    if (weight->shape.size() != 2 || weight->shape[0] < 1 || weight->shape[1] < 1)
      return table_.error(ErrorCode::kBadShape, weight->name, "two sizes", shape_text(weight->shape));
    const std::int64_t outputs = weight->shape[0], inputs = weight->shape[1];
    auto tensor = std::make_shared<PlainTensor>();
    RETORT_TRY(const Blocks blocks, set_scales(*tensor, base, *scale, outputs, inputs, stated));
    if (const TensorEntry* zero = table_.find(base + ".weight_zero_point")) {
      RETORT_CHECK(expect_type(table_, *zero, {TensorType::kI8, TensorType::kF8_E4M3}));
      RETORT_CHECK(expect_shape(table_, *zero, scale->shape));
      RETORT_TRY(tensor->zero, grid_of(*zero, blocks, inputs));
    }
    const bool float8 = weight->type != TensorType::kI8;
    tensor->weight = *weight;
    tensor->scheme_ = fmt::format("{}, {}, {}", scheme, float8 ? "FP8" : "8 bits", blocks_text(blocks, outputs, inputs));
    table_.replace(base, {".weight", scale_name, ".weight_zero_point", ".weight_g_idx"}, std::move(tensor), outputs, inputs);
    return {};
  }

 private:
  static std::string blocks_text(const Blocks& blocks, std::int64_t outputs, std::int64_t inputs) {
    if (blocks.rows == outputs && blocks.columns == inputs) return "one scale";
    if (blocks.columns == inputs) return blocks.rows == 1 ? "a scale per row" : fmt::format("a scale per {} rows", blocks.rows);
    if (blocks.rows == 1) return fmt::format("groups of {}", blocks.columns);
    return fmt::format("blocks of {}×{}", blocks.rows, blocks.columns);
  }

  Result<Blocks> set_scales(ScaledTensor& tensor, const std::string& base, const TensorEntry& scale, std::int64_t outputs,
                            std::int64_t inputs, const Blocks& stated) {
    RETORT_TRY(const Blocks blocks, blocks_of(table_, scale, outputs, inputs, stated));
    RETORT_TRY(tensor.scale, grid_of(scale, blocks, inputs));
    tensor.file = table_.file();
    tensor.groups.size = blocks.columns;
    tensor.groups.count = tensor.scale.columns;
    if (const TensorEntry* index = table_.find(base + ".weight_g_idx")) {
      RETORT_CHECK(expect_type(table_, *index, {TensorType::kI32}));
      RETORT_CHECK(expect_shape(table_, *index, {inputs}));
      // -1 everywhere means "in order", as llm-compressor initialises it.
      if (inputs > 0 && static_cast<std::int32_t>(word_at(*index, 0)) >= 0) tensor.groups.index = *index;
    }
    return blocks;
  }

  // weight_shape [outputs, inputs] holds two numbers: the one thing that is read at opening.
  Result<std::int64_t> inputs_of(const std::string& base, std::int64_t outputs) {
    RETORT_TRY(const TensorEntry* shape, table_.need(base + ".weight_shape"));
    RETORT_CHECK(expect_type(table_, *shape, {TensorType::kI64, TensorType::kI32}));
    RETORT_CHECK(expect_shape(table_, *shape, {2}));
    const auto rows = static_cast<double>(value_at(*shape, 0)), columns = static_cast<double>(value_at(*shape, 1));
    if (rows != static_cast<double>(outputs) || !(columns >= 1 && columns < 16777216))
      return table_.error(ErrorCode::kCorrupt, shape->name, fmt::format("[{}, inputs]", outputs),
                          fmt::format("[{}, {}]", rows, columns));
    return static_cast<std::int64_t>(columns);
  }

  Result<void> integers(const std::string& base, const TensorEntry& weight, const TensorEntry& scale) {
    RETORT_CHECK(expect_type(table_, weight, {TensorType::kI32, TensorType::kU32}));
    const std::int64_t outputs = weight.shape[0], words = weight.shape[1];
    RETORT_TRY(const std::int64_t inputs, inputs_of(base, outputs));
    const auto scheme = std::find_if(schemes_.begin(), schemes_.end(), [&](const WeightScheme& s) {
      return words_for(inputs, s.bits, true) == words || words_for(inputs, s.bits, false) == words;
    });
    if (scheme == schemes_.end())
      return table_.error(ErrorCode::kBadShape, weight.name,
                          fmt::format("{} inputs packed as a config group says", inputs), shape_text(weight.shape));
    auto tensor = std::make_shared<PackedTensor>();
    const Blocks stated = scheme->group_size > 0 ? Blocks{1, scheme->group_size} : Blocks{1, inputs};
    RETORT_TRY(const Blocks blocks, set_scales(*tensor, base, scale, outputs, inputs, stated));
    tensor->dense = words_for(inputs, scheme->bits, true) == words;
    if (const TensorEntry* zero = table_.find(base + ".weight_zero_point"); zero && zero->type == TensorType::kI8) {
      RETORT_CHECK(expect_shape(table_, *zero, scale.shape));
      RETORT_TRY(tensor->plain_zero, grid_of(*zero, blocks, inputs));
    } else if (zero) {
      RETORT_CHECK(expect_type(table_, *zero, {TensorType::kI32, TensorType::kU32}));
      RETORT_CHECK(expect_shape(table_, *zero, {words_for(outputs, scheme->bits, tensor->dense), tensor->groups.count}));
      tensor->zero = *zero;
    }
    tensor->weight = weight;
    tensor->bits = static_cast<int>(scheme->bits);
    tensor->scheme_ = fmt::format("compressed-tensors, {} bits, {}", scheme->bits, blocks_text(blocks, outputs, inputs));
    table_.replace(base, {".weight_packed", ".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx"},
                   std::move(tensor), outputs, inputs);
    return {};
  }

  Result<void> float4(const std::string& base, const TensorEntry& weight, const TensorEntry& scale) {
    const std::int64_t outputs = weight.shape[0], inputs = 2 * weight.shape[1];
    const TensorEntry* const global = table_.find(base + ".weight_global_scale");
    auto tensor = std::make_shared<Float4Tensor>();
    RETORT_TRY(const Blocks blocks, set_scales(*tensor, base, scale, outputs, inputs, {1, global ? 16 : 32}));
    if (global) {
      RETORT_CHECK(expect_type(table_, *global, {TensorType::kF32}));
      if (global->elements() != 1) return table_.error(ErrorCode::kBadShape, global->name, "one number", shape_text(global->shape));
      RETORT_CHECK(expect_type(table_, scale, {TensorType::kF8_E4M3}));
      tensor->divisor = value_at(*global, 0);
    } else {
      RETORT_CHECK(expect_type(table_, scale, {TensorType::kU8}));
      tensor->power_of_two = true;
    }
    tensor->weight = weight;
    tensor->scheme_ = fmt::format("compressed-tensors, {}, {}", global ? "NVFP4" : "MXFP4", blocks_text(blocks, outputs, inputs));
    table_.replace(base, {".weight_packed", ".weight_scale", ".weight_global_scale", ".weight_g_idx"}, std::move(tensor),
                   outputs, inputs);
    return {};
  }

  std::vector<WeightScheme> schemes_;
  PartTable& table_;
};

// Activation scales and the like: facts about how the original runs.
void drop_activation_parts(PartTable& table) {
  for (const char* suffix : {".input_scale", ".input_zero_point", ".input_global_scale", ".output_scale", ".input_scale_ub",
                             ".k_scale", ".v_scale", ".q_scale"})
    for (const std::string& base : table.bases(suffix)) table.drop(base + suffix);
}

}  // namespace

Result<void> assemble_compressed_tensors(const json& config, PartTable& table) {
  std::vector<WeightScheme> schemes = schemes_of(config);
  const std::string format = text_of(config, "format");
  for (const char* known : {"sparse", "marlin"})
    if (format.find(known) != std::string::npos)
      return unsupported_scheme(table, "format", format, "pack-, int-, float-, naive-, nvfp4-pack- or mxfp4-pack-quantized");
  Blocks stated;
  for (const WeightScheme& scheme : schemes) {
    if (scheme.bits < 1 || scheme.bits > 8) return unsupported_scheme(table, "num_bits", std::to_string(scheme.bits), "1 to 8");
    stated = scheme.blocks.rows > 1 || scheme.blocks.columns > 1 ? scheme.blocks
             : scheme.group_size > 0                             ? Blocks{1, scheme.group_size}
                                                                 : stated;
  }
  Assembler assembler(std::move(schemes), table);
  for (const std::string& base : table.bases(".weight_packed")) RETORT_CHECK(assembler.packed(base));
  for (const std::string& base : table.bases(".weight_scale"))
    RETORT_CHECK(assembler.plain(base, ".weight_scale", "compressed-tensors", stated));
  drop_activation_parts(table);
  return {};
}

Result<void> assemble_fp8(const json& config, PartTable& table) {
  Blocks stated;
  const auto size = config.find("weight_block_size");
  if (size != config.end() && size->is_array() && size->size() == 2) stated = {bounded((*size)[0], 1), bounded((*size)[1], 1)};
  Assembler assembler({}, table);
  for (const char* suffix : {".weight_scale_inv", ".weight_scale"})
    for (const std::string& base : table.bases(suffix)) RETORT_CHECK(assembler.plain(base, suffix, "FP8", stated));
  drop_activation_parts(table);
  return {};
}

}  // namespace retort::formats
