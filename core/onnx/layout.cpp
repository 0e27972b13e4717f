#include "core/onnx/layout.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/onnx/ops/loops.h"

namespace retort::onnx {
namespace {

constexpr auto kPointwise = std::to_array<std::string_view>({
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual",
    "HardSigmoid", "HardSwish", "Identity", "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul",
    "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt",
    "Sub", "Sum", "Tanh", "Where", "Xor"});
static_assert(std::is_sorted(kPointwise.begin(), kPointwise.end()));
constexpr auto kAware = std::to_array<std::string_view>({"AveragePool", "BatchNormalization", "Concat", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Resize", "Upsample"});
static_assert(std::is_sorted(kAware.begin(), kAware.end()));

// [rows, columns] → [columns, rows] of each image, in squares that stay in the cache.
template <class Word>
void transpose_images(const Device& device, std::int64_t images, std::int64_t rows, std::int64_t columns, const Word* from, Word* to) {
  constexpr std::int64_t kSide = 32;
  const std::int64_t strips = (columns + kSide - 1) / kSide;
  for_each(device, images * strips, rows * kSide, [&](std::int64_t i) {
    const Word* const x = from + i / strips * rows * columns;
    Word* const y = to + i / strips * rows * columns;
    const std::int64_t first = i % strips * kSide, last = std::min(columns, first + kSide);
    for (std::int64_t r = 0; r < rows; r += kSide)
      for (std::int64_t c = first; c < last; ++c)
        for (std::int64_t k = r; k < std::min(rows, r + kSide); ++k) y[c * rows + k] = x[k * columns + c];
  });
}

Result<Tensor> transposed(Memory& memory, const Device& device, const Tensor& x, const Shape& shape, std::int64_t rows, std::int64_t columns) {
  RETORT_TRY(Tensor out, Tensor::make(memory, x.type(), shape));
  if (out.elements() == 0) return out;
  const std::int64_t images = x.size(0);
  if (x.element_size() == 1) transpose_images(device, images, rows, columns, x.data<std::uint8_t>(), out.write<std::uint8_t>());
  else if (x.element_size() == 4) transpose_images(device, images, rows, columns, x.data<std::uint32_t>(), out.write<std::uint32_t>());
  else transpose_images(device, images, rows, columns, x.data<std::uint64_t>(), out.write<std::uint64_t>());
  return out;
}

std::int64_t points_of(const Tensor& x) noexcept {
  std::int64_t n = 1;
  for (std::size_t d = 2; d < x.rank(); ++d) n *= x.size(d);
  return n;
}

// Both orders of these bytes are the same.
bool lies_either_way(const Tensor& x) noexcept { return x.rank() >= 3 && (x.size(1) == 1 || points_of(x) == 1); }

}  // namespace

LayoutUse layout_use(const Node& node) noexcept {
  if (!node.domain.empty()) return LayoutUse::kPlain;
  if (std::binary_search(kPointwise.begin(), kPointwise.end(), std::string_view(node.op))) return LayoutUse::kPointwise;
  return std::binary_search(kAware.begin(), kAware.end(), std::string_view(node.op)) ? LayoutUse::kAware : LayoutUse::kPlain;
}

Result<Tensor> to_plain(Memory& memory, const Device& device, const Tensor& x) {
  if (!x.is_channels_last()) return x;
  return transposed(memory, device, x, x.shape(), points_of(x), x.size(1));
}

Result<Tensor> to_channels_last(Memory& memory, const Device& device, const Tensor& x) {
  if (x.is_channels_last()) return x;
  Shape lying = x.shape();
  lying.erase(lying.begin() + 1);
  lying.push_back(x.size(1));
  if (lies_either_way(x)) return Tensor::channels_last(x.reshaped(lying));
  RETORT_TRY(const Tensor out, transposed(memory, device, x, lying, x.size(1), points_of(x)));
  return Tensor::channels_last(out);
}

std::optional<std::vector<Tensor>> lying_inputs(std::span<const Tensor* const> inputs) {
  std::size_t rank = 0;
  for (const Tensor* x : inputs)
    if (x && x->is_channels_last()) rank = x->rank();
  std::vector<Tensor> out;
  for (const Tensor* x : inputs) {
    if (x == nullptr || x->is_channels_last()) {
      out.push_back(x == nullptr ? Tensor() : x->as_lying());
      continue;
    }
    if (x->rank() > rank) return std::nullopt;
    // Seen with leading sizes of 1, as broadcasting does.
    Shape whole(rank - x->rank(), 1);
    whole.insert(whole.end(), x->shape().begin(), x->shape().end());
    const Tensor filled = x->reshaped(whole);
    if (x->elements() != 1 && !lies_either_way(filled)) return std::nullopt;
    whole.erase(whole.begin() + 1);
    whole.push_back(filled.size(1));
    out.push_back(x->elements() == 1 ? *x : filled.reshaped(whole));
  }
  return out;
}

}  // namespace retort::onnx
