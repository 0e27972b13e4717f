#include "core/onnx/convolution.h"

#include <atomic>
#include <cmath>

#include "core/onnx/layout.h"
#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"
#include "core/onnx/ops/products.h"
#include "core/onnx/ops/window.h"
#include "kernels/dispatch/conv.h"

namespace retort::onnx {
namespace {

constexpr double kTileWork = 4 << 20;         // multiply-adds of a tile, about: a fraction of a millisecond
constexpr std::int64_t kMostTiles = 16;       // of an image
constexpr int kMostPrepared = 64;             // sizes of strips that are kept ready

std::int64_t pieces_for(double work, std::int64_t most) {
  return std::min(most, static_cast<std::int64_t>(std::clamp(work / kTileWork, 1.0, static_cast<double>(kMostTiles))));
}

}  // namespace

Convolution::Convolution(Tensor weights, Tensor bias, const Attributes& attributes, Afterwards after)
    : weights_(std::move(weights)), bias_(std::move(bias)), after_(after) {
  spec_.groups = attributes.whole("group", 1);
  spec_.out_channels = weights_.size(0);
  // Sizes beyond these are refused by window_of when the node runs; here they must only not overflow.
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  if (spec_.groups < 1 || spec_.groups > kMost || spec_.out_channels % spec_.groups != 0) return;
  if (weights_.elements() == 0 || weights_.rank() < 3 || weights_.rank() > 4) return;
  spec_.in_channels = weights_.size(1) * spec_.groups;
  const std::size_t dims = weights_.rank() - 2;
  const auto strides = attributes.wholes("strides"), dilations = attributes.wholes("dilations");
  for (std::size_t d = 0; d < dims; ++d) {
    const std::size_t at = 2 - dims + d;
    spec_.kernel[at] = weights_.size(2 + d);
    if (d < strides.size()) spec_.stride[at] = strides[d];
    if (d < dilations.size()) spec_.dilation[at] = dilations[d];
    if (spec_.stride[at] < 1 || spec_.stride[at] > kMost || spec_.dilation[at] < 1 || spec_.dilation[at] > kMost) return;
  }
  spec_.weights = weights_.data<float>();
  spec_.bias = bias_.elements() > 0 ? bias_.data<float>() : nullptr;
  spec_.after = after.kind;
  spec_.alpha = after.alpha;
  spec_.beta = after.beta;
  make_kernel();
}

Convolution::Convolution(Tensor matrix, bool transposed, Tensor bias, Afterwards after) : weights_(std::move(matrix)), bias_(std::move(bias)), after_(after), product_(true) {
  if (weights_.rank() != 2 || weights_.elements() == 0) return;
  spec_.out_channels = weights_.size(transposed ? 0 : 1);
  spec_.in_channels = weights_.size(transposed ? 1 : 0);
  spec_.inputs_first = !transposed;
  spec_.weights = weights_.data<float>();
  spec_.bias = bias_.elements() > 0 ? bias_.data<float>() : nullptr;
  spec_.after = after.kind;
  spec_.alpha = after.alpha;
  spec_.beta = after.beta;
  make_kernel();
}

void Convolution::make_kernel() {
  kernel_ = kernels::make_conv(spec_);
  most_prepared_ = 0;
}

int Convolution::prepare(const kernels::ConvStrip& strip) {
  const int made = kernel_->prepare(strip);
  most_prepared_ = std::max(most_prepared_, made + 1);
  return made;
}

// Multiply-adds of one point of the output, all channels.
double Convolution::work_of_point() const noexcept {
  return static_cast<double>(spec_.out_channels) * static_cast<double>(spec_.in_channels / spec_.groups) * static_cast<double>(spec_.kernel[0]) * static_cast<double>(spec_.kernel[1]);
}

// Without space in the kernel, all points of all images are one row. `least`: points of a tile, since each reads all weights.
bool Convolution::cut_points(std::int64_t points, std::int64_t least, std::vector<Tile>& tiles) {
  const std::int64_t pieces = pieces_for(work_of_point() * static_cast<double>(points), points);
  const std::int64_t step = std::max(((points + pieces - 1) / pieces + 7) / 8 * 8, least);
  for (std::int64_t first = 0; first < points; first += step) {
    const std::int64_t n = std::min(step, points - first);
    const int made = prepare({.in_rows = 1, .in_columns = n, .out_rows = 1, .out_columns = n});
    if (made < 0) return false;
    tiles.push_back({made, first * spec_.in_channels, first * spec_.out_channels});
  }
  return true;
}

bool Convolution::cut_rows(const Window& w, std::int64_t batch, std::vector<Tile>& tiles) {
  const std::int64_t pieces = pieces_for(work_of_point() * static_cast<double>(w.out[1]) * static_cast<double>(w.out[2]), w.out[1]), step = (w.out[1] + pieces - 1) / pieces;
  const std::int64_t reach = (w.kernel[1] - 1) * w.dilation[1] + 1;
  for (std::int64_t first = 0; first < w.out[1]; first += step) {
    const std::int64_t rows = std::min(step, w.out[1] - first), start = first * w.stride[1] - w.before[1];
    const std::int64_t from = std::max<std::int64_t>(0, start), to = std::min(w.in[1], (first + rows - 1) * w.stride[1] - w.before[1] + reach);
    if (to <= from) return false;   // sees nothing but padding
    const int made = prepare({.in_rows = to - from, .in_columns = w.in[2], .out_rows = rows, .out_columns = w.out[2], .pad_top = from - start, .pad_left = w.before[2]});
    if (made < 0) return false;
    for (std::int64_t n = 0; n < batch; ++n)
      tiles.push_back({made, (n * w.in[1] + from) * w.in[2] * spec_.in_channels, (n * w.out[1] + first) * w.out[2] * spec_.out_channels});
  }
  return true;
}

bool Convolution::cut(const Window& w, std::int64_t batch, std::vector<Tile>& tiles) {
  const bool points = w.taps() == 1 && w.in == w.out && w.stride == Window::Sizes{1, 1, 1} && w.before == Window::Sizes{};
  return points ? cut_points(batch * w.out_points(), 8, tiles) : cut_rows(w, batch, tiles);
}

Result<void> Convolution::run(const Call& call) {
  if (most_prepared_ > kMostPrepared) make_kernel();
  if (!kernel_) return Error{.code = ErrorCode::kOutOfMemory, .expected = "work space of a convolution", .found = "none"};
  if (product_) return run_product(call);
  const Tensor& given = call.in(0);
  if (given.rank() != weights_.rank() || given.size(1) != spec_.in_channels)
    return bad_input("[batch, " + std::to_string(spec_.in_channels) + " channels, " + std::to_string(weights_.rank() - 2) + " dimensions of space]", shape_text(given.shape()));
  RETORT_TRY(const Window window, window_of(call, given.shape(), std::span(weights_.shape()).subspan(2)));
  std::vector<Tile> tiles;
  if (given.elements() == 0 || window.out_points() == 0 || !cut(window, given.size(0), tiles)) return run_plainly(call);
  RETORT_TRY(const Tensor x, to_channels_last(call.memory, call.device, given));
  Shape shape = {given.size(0)};
  shape.insert(shape.end(), window.out.end() - static_cast<std::ptrdiff_t>(window.dims), window.out.end());
  shape.push_back(spec_.out_channels);
  RETORT_CHECK(call.make(0, ElementType::kFloat, shape));
  RETORT_CHECK(run_tiles(call, x, tiles));
  call.outputs[0] = Tensor::channels_last(call.outputs[0]);
  return {};
}

Result<void> Convolution::run_product(const Call& call) {
  constexpr std::int64_t kLeastRows = 32;
  RETORT_TRY(const Tensor x, to_plain(call.memory, call.device, call.in(0)));
  if (x.rank() == 0 || x.shape().back() != spec_.in_channels || (call.node.op == "Gemm" && x.rank() != 2)) return bad_input("rows of " + std::to_string(spec_.in_channels) + " values", shape_text(x.shape()));
  Shape shape = x.shape();
  shape.back() = spec_.out_channels;
  RETORT_CHECK(call.make(0, ElementType::kFloat, shape));
  std::vector<Tile> tiles;
  const std::int64_t rows = x.elements() / spec_.in_channels;
  if (rows == 0) return {};
  if (cut_points(rows, kLeastRows, tiles)) return run_tiles(call, x, tiles);
  // A kernel that takes some numbers of rows and not others: the plain product.
  kernels::MatmulTile tile;
  tile.transpose_b = !spec_.inputs_first;
  tile.m = rows;
  tile.n = spec_.out_channels;
  tile.k = spec_.in_channels;
  tile.a = x.data<float>();
  tile.a_stride = tile.k;
  tile.b = weights_.data<float>();
  tile.b_stride = spec_.inputs_first ? tile.n : tile.k;
  tile.c = call.out<float>(0);
  tile.c_stride = tile.n;
  product(call.device, tile);
  if (spec_.bias)
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = 0; i < tile.n; ++i) tile.c[r * tile.n + i] += spec_.bias[i];
  apply(call.device, after_, tile.c, rows * tile.n);
  return {};
}

Result<void> Convolution::run_tiles(const Call& call, const Tensor& x, const std::vector<Tile>& tiles) {
  RETORT_CHECK(call.job.check());
  std::atomic<bool> failed = false;
  call.device.pool->parallel_for(tiles.size(), [&](std::size_t i, int) {
    const Tile& tile = tiles[i];
    if (!kernel_->run(tile.prepared, x.data<float>() + tile.in, call.out<float>(0) + tile.out)) failed = true;
  });
  if (failed) return Error{.code = ErrorCode::kOutOfMemory, .expected = "work space of a convolution", .found = "oneDNN failed"};
  return {};
}

Result<void> Convolution::run_plainly(const Call& call) const {
  RETORT_TRY(const Tensor x, to_plain(call.memory, call.device, call.in(0)));
  const std::array<const Tensor*, 3> inputs = {&x, &weights_, bias_.elements() > 0 ? &bias_ : nullptr};
  const Call plain{.node = call.node, .attributes = call.attributes, .opset = call.opset, .inputs = inputs, .outputs = call.outputs,
                   .memory = call.memory, .device = call.device, .job = call.job, .wanted = call.wanted};
  RETORT_CHECK(run_conv(plain));
  apply(call.device, after_, call.out<float>(0), call.outputs[0].elements());
  return {};
}

void apply(const Device& device, const Afterwards& after, float* x, std::int64_t n) {
  using enum kernels::ConvAfter;
  if (after.kind == kNone) return;
  const float a = after.alpha, b = after.beta;
  for_tiles(device, n, [&](std::int64_t first, std::int64_t count) {
    for (float* v = x + first; v != x + first + count; ++v) switch (after.kind) {
        case kNone: break;
        case kRelu: *v = *v > 0 ? *v : 0; break;
        case kLeakyRelu: *v = *v > 0 ? *v : a * *v; break;
        case kClip: *v = std::min(std::max(*v, a), b); break;
        case kSigmoid: *v = 1 / (1 + std::exp(-*v)); break;
        case kHardSwish: *v = *v * std::min(std::max(*v + 3, 0.0f), 6.0f) / 6; break;
        case kGelu: *v = 0.5f * *v * (1 + std::erf(*v * 0.70710678f)); break;
        case kSilu: *v = *v / (1 + std::exp(-*v)); break;
      }
  });
}

}  // namespace retort::onnx
