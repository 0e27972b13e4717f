#include "core/model/model.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace retort {
namespace {

std::string shown(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool computable(TensorType type) noexcept {
  switch (type) {
    case TensorType::kF64:
    case TensorType::kI8:      // needs row scales, which no checkpoint of ours carries; candidates do
    case TensorType::kI16:
    case TensorType::kI32:
    case TensorType::kI64:
    case TensorType::kU8:
    case TensorType::kU16:
    case TensorType::kU32:
    case TensorType::kU64:
    case TensorType::kCount: return false;
    default: return true;
  }
}

// The shape that the tensor should have in the file.
std::vector<std::int64_t> stored_shape(const WeightSpec& spec) {
  std::vector<std::int64_t> shape = spec.shape;
  if (spec.stored == Stored::kTransposed) std::reverse(shape.begin(), shape.end());
  if (spec.stored == Stored::kStacked) shape.insert(shape.begin(), spec.of);
  return shape;
}

// [1, n] and [n] hold the same: GGUF drops the first.
bool same_shape(const std::vector<std::int64_t>& found, const std::vector<std::int64_t>& expected) {
  return found == expected || (found.size() == 1 && expected.size() == 2 && expected[0] == 1 && expected[1] == found[0]);
}

struct Turned {
  std::vector<std::byte> bytes;
};

// Elements of `size` bytes: [columns, rows] becomes [rows, columns], in squares that fit the first cache.
std::shared_ptr<const Turned> transpose(std::span<const std::byte> from, std::size_t rows, std::size_t columns, std::size_t size) {
  auto out = std::make_shared<Turned>();
  out->bytes.resize(from.size());
  constexpr std::size_t kSquare = 32;
  for (std::size_t c0 = 0; c0 < columns; c0 += kSquare)
    for (std::size_t r0 = 0; r0 < rows; r0 += kSquare)
      for (std::size_t c = c0; c < std::min(columns, c0 + kSquare); ++c)
        for (std::size_t r = r0; r < std::min(rows, r0 + kSquare); ++r)
          std::memcpy(out->bytes.data() + (r * columns + c) * size, from.data() + (c * rows + r) * size, size);
  return out;
}

// Views of the tensor's bytes, which are whole and of a computable type, or a turned copy.
Result<WeightHandle> take(const WeightSpec& spec, const TensorEntry& tensor, const std::shared_ptr<const Checkpoint>& checkpoint) {
  WeightHandle handle{.type = tensor.type, .shape = spec.shape, .data = tensor.data, .row_scales = {},
                      .keep_alive = checkpoint, .version = 0};
  if (tensor.file < checkpoint->files.size()) handle.file = checkpoint->files[tensor.file];
  if (spec.stored == Stored::kStacked) {
    const std::size_t bytes = tensor.data.size() / static_cast<std::size_t>(spec.of);
    handle.data = tensor.data.subspan(bytes * static_cast<std::size_t>(spec.part), bytes);
  }
  if (spec.stored == Stored::kTransposed) {
    const kernels::TypeTraits& traits = kernels::traits(tensor.type);
    if (traits.block_size != 1)
      return Error{.code = ErrorCode::kUnsupported, .file = checkpoint->path.string(), .place = spec.source_name,
                   .expected = "a floating type for a weight stored by inputs", .found = std::string(traits.name)};
    auto turned = transpose(tensor.data, static_cast<std::size_t>(spec.shape[0]), static_cast<std::size_t>(spec.shape[1]),
                            traits.block_bytes);
    handle.data = turned->bytes;
    handle.keep_alive = std::move(turned);
    handle.file = nullptr;
  }
  return handle;
}

Result<WeightHandle> bind_weight(const WeightSpec& spec, const std::shared_ptr<const Checkpoint>& checkpoint) {
  const std::string file = checkpoint->path.string();
  const TensorEntry* tensor = checkpoint->find(spec.source_name);
  const std::vector<std::int64_t> expected = stored_shape(spec);
  if (!tensor)
    return Error{.code = ErrorCode::kMissingPart, .file = file, .place = spec.source_name,
                 .expected = shown(expected), .found = "no such tensor",
                 .next_step = "take a complete copy of the model"};
  if (!same_shape(tensor->shape, expected))
    return Error{.code = ErrorCode::kBadShape, .file = file, .place = spec.source_name, .expected = shown(expected),
                 .found = shown(tensor->shape)};
  if (tensor->coded && spec.stored != Stored::kPlain)
    return Error{.code = ErrorCode::kUnsupported, .file = file, .place = spec.source_name,
                 .expected = "a weight stored by outputs", .found = "codes in several parts"};
  if (tensor->coded)
    return WeightHandle{.type = TensorType::kF32, .shape = spec.shape, .data = {}, .row_scales = {},
                        .keep_alive = checkpoint, .version = 0, .coded = tensor->coded};
  const kernels::TypeTraits& traits = kernels::traits(tensor->type);
  if (!computable(tensor->type))
    return Error{.code = ErrorCode::kUnsupported, .file = file, .place = spec.source_name,
                 .expected = "a floating or packed type", .found = std::string(traits.name)};
  const std::size_t columns = static_cast<std::size_t>(tensor->columns());
  const std::size_t bytes = kernels::row_bytes(tensor->type, columns) * static_cast<std::size_t>(tensor->rows());
  if (columns % traits.block_size != 0 || tensor->data.size() != bytes)
    return Error{.code = ErrorCode::kCorrupt, .file = file, .place = spec.source_name, .offset = tensor->offset,
                 .expected = fmt::format("{} bytes of {}", bytes, traits.name),
                 .found = fmt::format("{}", tensor->data.size())};
  return take(spec, *tensor, checkpoint);
}

}  // namespace

std::int64_t Model::parameters() const noexcept {
  std::int64_t sum = 0;
  for (const WeightSpec& spec : graph.weights) sum += shape_elements(spec.shape);
  return sum;
}

std::uint64_t Model::weight_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const WeightHandle& weight : weights) sum += weight.stored_bytes();
  return sum;
}

WeightId Model::find_weight(std::string_view canonical_name) const noexcept {
  for (std::size_t i = 0; i < graph.weights.size(); ++i)
    if (graph.weights[i].name == canonical_name) return static_cast<WeightId>(i);
  return kNoWeight;
}

Result<WeightData> in_one_piece(const WeightHandle& weight) {
  if (!weight.coded) return WeightData{weight.type, weight.data, {}};
  RETORT_CHECK(weight.coded->check());
  const std::int64_t rows = weight.shape[0], columns = weight.shape[1];
  WeightData out;
  try {
    out.owned.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  } catch (const std::bad_alloc&) {
    return Error{.code = ErrorCode::kOutOfMemory, .place = weight.coded->scheme(),
                 .expected = fmt::format("{} bytes for one weight", 4 * rows * columns), .found = "less"};
  }
  weight.coded->decode(0, rows, 0, columns, out.owned.data());
  out.data = std::as_bytes(std::span(out.owned));
  return out;
}

Result<Model> bind_model(std::shared_ptr<const Checkpoint> checkpoint) {
  if (checkpoint->quantization_problem) return Error(*checkpoint->quantization_problem);
  Model model;
  RETORT_TRY(model.architecture, find_architecture(*checkpoint));
  RETORT_TRY(model.config, model.architecture->configure(*checkpoint));
  RETORT_TRY(model.graph, model.architecture->build(model.config, *checkpoint));
  model.weights.reserve(model.graph.weights.size());
  for (const WeightSpec& spec : model.graph.weights) {
    RETORT_TRY(WeightHandle handle, bind_weight(spec, checkpoint));
    model.weights.push_back(std::move(handle));
  }
  auto tokenizer = load_tokenizer(*checkpoint);
  if (tokenizer.ok()) {
    model.tokenizer = std::move(tokenizer).value();
  } else if (tokenizer.error().code != ErrorCode::kMissingPart && tokenizer.error().code != ErrorCode::kUnsupported) {
    return std::move(tokenizer).error();
  }
  model.chat_template = checkpoint->chat_template;
  model.checkpoint = std::move(checkpoint);
  return model;
}

Result<Model> open_model(const std::filesystem::path& path) {
  RETORT_TRY(std::shared_ptr<const Checkpoint> checkpoint, open_checkpoint(path));
  return bind_model(std::move(checkpoint));
}

}  // namespace retort
