// bitsandbytes. 4 bits: `weight` U8 [n / 2, 1], the first of each pair in the HIGH nibble, over the flattened row-major
// weight; weight.quant_map F32 [16]; weight.absmax F32, one per block; weight.quant_state.bitsandbytes__nf4 (or __fp4): JSON
// with blocksize and shape. w = quant_map[code] · absmax[block]. Double quantization stores absmax as U8:
// absmax[b] = nested_quant_map[code] · nested_absmax[b / nested_blocksize] + nested_offset.
// LLM.int8: `weight` I8 [out, in], SCB F32 [out]: w = (code · SCB) · 1/127 in this order, in f32, as the library computes.
#include <array>

#include <fmt/format.h>

#include "core/formats/quantized_parts.h"

namespace retort::formats {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 2> kStates = {".weight.quant_state.bitsandbytes__nf4",
                                                     ".weight.quant_state.bitsandbytes__fp4"};

class Bnb4Tensor final : public CodedTensor {
 public:
  TensorEntry weight, absmax;
  std::optional<TensorEntry> nested_absmax;
  float map[16] = {}, nested_map[256] = {};
  float offset = 0;
  std::int64_t columns_all = 0, block = 64, nested_block = 256;

  void decode(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns,
              float* out) const noexcept override {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t start = (first_row + r) * columns_all + first_column;
      float scale = 0;
      std::int64_t scale_of = -1;
      for (std::int64_t c = 0; c < columns; ++c) {
        const std::int64_t at = start + c;
        if (at / block != scale_of) {
          scale_of = at / block;
          scale = scale_at(scale_of);
        }
        const auto pair = std::to_integer<unsigned>(weight.data[static_cast<std::size_t>(at / 2)]);
        out[r * columns + c] = map[at % 2 == 0 ? pair >> 4 : pair & 15u] * scale;
      }
    }
  }

 private:
  float scale_at(std::int64_t number) const noexcept {
    if (!nested_absmax) return value_at(absmax, number);
    const auto code = std::to_integer<unsigned>(absmax.data[static_cast<std::size_t>(number)]);
    return nested_map[code] * value_at(*nested_absmax, number / nested_block) + offset;
  }
};

class Int8Tensor final : public CodedTensor {
 public:
  TensorEntry weight, scale;

  void decode(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns,
              float* out) const noexcept override {
    constexpr float kPart = 7.874015718698502e-3f;   // the library's 1/127
    for (std::int64_t r = 0; r < rows; ++r) {
      const float size = value_at(scale, first_row + r);
      const std::int64_t start = (first_row + r) * weight.columns() + first_column;
      for (std::int64_t c = 0; c < columns; ++c) out[r * columns + c] = value_at(weight, start + c) * size * kPart;
    }
  }
};

struct QuantState {
  std::int64_t rows = 0, columns = 0, block = 64, nested_block = 256;
  float offset = 0;
};

constexpr std::int64_t kLargestSize = std::int64_t{1} << 31;

Result<QuantState> read_state(const PartTable& table, const TensorEntry& tensor) {
  RETORT_CHECK(expect_type(table, tensor, {TensorType::kU8}));
  const std::string_view text(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
  RETORT_TRY(const json state, parse_json(text, table.file(), tensor.name, tensor.offset));
  const auto bad = [&](const char* what) { return table.error(ErrorCode::kCorrupt, tensor.name, what, "something else"); };
  if (!state.is_object()) return bad("a JSON object");
  QuantState out;
  const auto shape = state.find("shape");
  if (shape == state.end() || !shape->is_array() || shape->size() != 2 || !(*shape)[0].is_number_integer() ||
      !(*shape)[1].is_number_integer())
    return bad("a shape of two sizes");
  out.rows = (*shape)[0].get<std::int64_t>();
  out.columns = (*shape)[1].get<std::int64_t>();
  out.block = number_of(state, "blocksize", 64);
  out.nested_block = number_of(state, "nested_blocksize", 256);
  if (out.rows < 1 || out.columns < 1 || out.rows >= kLargestSize || out.columns >= kLargestSize || out.block < 1 ||
      out.nested_block < 1 || out.block >= kLargestSize || out.nested_block >= kLargestSize)
    return bad("sizes from 1");
  if (const auto offset = state.find("nested_offset"); offset != state.end() && offset->is_number())
    out.offset = offset->get<float>();
  return out;
}

// `count` f32 values of a table. Errors: kCorrupt, kBadShape, kMissingPart.
Result<void> read_map(const PartTable& table, const std::string& name, std::int64_t count, float* out) {
  RETORT_TRY(const TensorEntry* map, table.need(name));
  RETORT_CHECK(expect_type(table, *map, {TensorType::kF32}));
  RETORT_CHECK(expect_shape(table, *map, {count}));
  for (std::int64_t i = 0; i < count; ++i) out[i] = value_at(*map, i);
  return {};
}

Result<void> assemble_4bit(const std::string& base, std::string_view state_suffix, PartTable& table) {
  RETORT_TRY(const TensorEntry* stated, table.need(base + std::string(state_suffix)));
  RETORT_TRY(const QuantState state, read_state(table, *stated));
  RETORT_TRY(const TensorEntry* weight, table.need(base + ".weight"));
  RETORT_TRY(const TensorEntry* absmax, table.need(base + ".weight.absmax"));
  auto tensor = std::make_shared<Bnb4Tensor>();
  RETORT_CHECK(read_map(table, base + ".weight.quant_map", 16, tensor->map));
  const std::int64_t elements = state.rows * state.columns, blocks = (elements + state.block - 1) / state.block;
  if (static_cast<std::int64_t>(weight->data.size()) != (elements + 1) / 2)
    return table.error(ErrorCode::kBadShape, weight->name, fmt::format("{} bytes", (elements + 1) / 2),
                       fmt::format("{}", weight->data.size()));
  RETORT_CHECK(expect_shape(table, *absmax, {blocks}));
  if (const TensorEntry* nested = table.find(base + ".weight.nested_absmax")) {
    RETORT_CHECK(expect_type(table, *absmax, {TensorType::kU8}));
    RETORT_CHECK(expect_type(table, *nested, {TensorType::kF32}));
    RETORT_CHECK(expect_shape(table, *nested, {(blocks + state.nested_block - 1) / state.nested_block}));
    RETORT_CHECK(read_map(table, base + ".weight.nested_quant_map", 256, tensor->nested_map));
    tensor->nested_absmax = *nested;
  } else {
    RETORT_CHECK(expect_type(table, *absmax, {TensorType::kF32, TensorType::kF16, TensorType::kBF16}));
  }
  tensor->weight = *weight;
  tensor->absmax = *absmax;
  tensor->offset = state.offset;
  tensor->columns_all = state.columns;
  tensor->block = state.block;
  tensor->nested_block = state.nested_block;
  tensor->scheme_ = fmt::format("bitsandbytes, {}, blocks of {}{}", state_suffix.ends_with("nf4") ? "NF4" : "FP4", state.block,
                                tensor->nested_absmax ? ", scales in 8 bits" : "");
  table.replace(base, {".weight", ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map",
                       state_suffix}, std::move(tensor), state.rows, state.columns);
  return {};
}

Result<void> assemble_int8(const std::string& base, PartTable& table) {
  RETORT_TRY(const TensorEntry* weight, table.need(base + ".weight"));
  RETORT_TRY(const TensorEntry* scale, table.need(base + ".SCB"));
  RETORT_CHECK(expect_type(table, *weight, {TensorType::kI8}));
  RETORT_CHECK(expect_type(table, *scale, {TensorType::kF32, TensorType::kF16, TensorType::kBF16}));
  if (weight->shape.size() != 2 || weight->shape[0] < 1 || weight->shape[1] < 1)
    return table.error(ErrorCode::kBadShape, weight->name, "two sizes", shape_text(weight->shape));
  RETORT_CHECK(expect_shape(table, *scale, {weight->shape[0]}));
  auto tensor = std::make_shared<Int8Tensor>();
  tensor->weight = *weight;
  tensor->scale = *scale;
  tensor->scheme_ = "bitsandbytes, LLM.int8, a scale per row";
  const std::int64_t rows = weight->shape[0], columns = weight->shape[1];
  table.replace(base, {".weight", ".SCB", ".weight_format"}, std::move(tensor), rows, columns);
  return {};
}

}  // namespace

Result<void> assemble_bitsandbytes(const json&, PartTable& table) {
  for (const std::string_view state : kStates)
    for (const std::string& base : table.bases(state)) RETORT_CHECK(assemble_4bit(base, state, table));
  // weight_format 0 is row-major, the only one that can be saved today.
  for (const std::string& base : table.bases(".weight_format")) {
    RETORT_TRY(const TensorEntry* format, table.need(base + ".weight_format"));
    if (format->elements() != 1 || value_at(*format, 0) != 0)
      return unsupported_scheme(table, base + ".weight_format", "another order of the codes", "row-major (0)");
  }
  for (const std::string& base : table.bases(".SCB")) RETORT_CHECK(assemble_int8(base, table));
  return {};
}

}  // namespace retort::formats
