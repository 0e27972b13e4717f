// Pools: the greatest or the mean of each window, or of everything.
#include <limits>

#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"
#include "core/onnx/ops/window.h"

namespace retort::onnx {
namespace {

// Taps [first, last) of a window at output o that stand inside the input.
Valid taps_inside(const Window& w, std::size_t d, std::int64_t o) noexcept {
  const std::int64_t start = o * w.stride[d] - w.before[d];
  const std::int64_t first = start >= 0 ? 0 : (-start + w.dilation[d] - 1) / w.dilation[d];
  const std::int64_t room = w.in[d] - start;
  const std::int64_t last = room <= 0 ? 0 : std::min(w.kernel[d], (room + w.dilation[d] - 1) / w.dilation[d]);
  return {std::min(first, last), last};
}

// Taps that stand inside the input or its padding: what count_include_pad divides by.
std::int64_t taps_counted(const Window& w, std::size_t d, std::int64_t o) noexcept {
  const std::int64_t room = w.in[d] + w.before[d] + w.after[d] - o * w.stride[d];
  return std::clamp<std::int64_t>((room + w.dilation[d] - 1) / w.dilation[d], 0, w.kernel[d]);
}

// The same with the channels innermost: all channels of a point at once.
template <class F>
Result<void> pool_last(const Call& call, const Window& w, const F& f) {
  const Tensor& x = call.in(0);
  const std::int64_t channels = x.size(1);
  Shape shape = {x.size(0)};
  shape.insert(shape.end(), w.out.end() - static_cast<std::ptrdiff_t>(w.dims), w.out.end());
  shape.push_back(channels);
  RETORT_CHECK(call.make(0, ElementType::kFloat, shape));
  for_each(call.device, channels == 0 ? 0 : x.size(0) * w.out_points(), channels * std::min<std::int64_t>(w.taps(), 1024), [&](std::int64_t point) {
    const std::int64_t o0 = point / (w.out[1] * w.out[2]) % w.out[0], o1 = point / w.out[2] % w.out[1], o2 = point % w.out[2];
    const float* const image = x.data<float>() + point / w.out_points() * w.in_points() * channels;
    float* const to = call.out<float>(0) + point * channels;
    const Valid k0 = taps_inside(w, 0, o0), k1 = taps_inside(w, 1, o1), k2 = taps_inside(w, 2, o2);
    std::fill_n(to, channels, f.start());
    for (std::int64_t a = k0.first; a < k0.last; ++a)
      for (std::int64_t b = k1.first; b < k1.last; ++b)
        for (std::int64_t c = k2.first; c < k2.last; ++c) {
          const float* const from = image + ((w.at(0, o0, a) * w.in[1] + w.at(1, o1, b)) * w.in[2] + w.at(2, o2, c)) * channels;
          for (std::int64_t i = 0; i < channels; ++i) to[i] = f.add(to[i], from[i]);
        }
    const std::int64_t inside = (k0.last - k0.first) * (k1.last - k1.first) * (k2.last - k2.first);
    const auto counted = [&] { return taps_counted(w, 0, o0) * taps_counted(w, 1, o1) * taps_counted(w, 2, o2); };
    for (std::int64_t i = 0; i < channels; ++i) to[i] = f.end(to[i], inside, counted);
  });
  call.outputs[0] = Tensor::channels_last(call.outputs[0]);
  return {};
}

// f(window of one output → value): start, add, end.
template <class F>
Result<void> pool(const Call& call, const F& f) {
  const Tensor& x = call.in(0);
  if (!call.attributes.has("kernel_shape")) return bad_input("kernel_shape", "none");
  RETORT_TRY(const Window w, window_of(call, x.shape(), {}, call.attributes.whole("ceil_mode", 0) != 0));
  if (x.is_channels_last()) return pool_last(call, w, f);
  Shape shape = {x.size(0), x.size(1)};
  shape.insert(shape.end(), w.out.end() - static_cast<std::ptrdiff_t>(w.dims), w.out.end());
  RETORT_CHECK(call.make(0, ElementType::kFloat, shape));
  const std::int64_t rows = x.size(0) * x.size(1) * w.out[0] * w.out[1];
  for_each(call.device, w.out[2] == 0 ? 0 : rows, w.out[2] * std::min<std::int64_t>(w.taps(), 1024), [&](std::int64_t row) {
    const std::int64_t plane = row / (w.out[0] * w.out[1]), o0 = row / w.out[1] % w.out[0], o1 = row % w.out[1];
    const float* from = x.data<float>() + plane * w.in_points();
    const Valid k0 = taps_inside(w, 0, o0), k1 = taps_inside(w, 1, o1);
    for (std::int64_t o2 = 0; o2 < w.out[2]; ++o2) {
      const Valid k2 = taps_inside(w, 2, o2);
      float sum = f.start();
      for (std::int64_t a = k0.first; a < k0.last; ++a)
        for (std::int64_t b = k1.first; b < k1.last; ++b) {
          const float* line = from + (w.at(0, o0, a) * w.in[1] + w.at(1, o1, b)) * w.in[2];
          for (std::int64_t c = k2.first; c < k2.last; ++c) sum = f.add(sum, line[w.at(2, o2, c)]);
        }
      const std::int64_t inside = (k0.last - k0.first) * (k1.last - k1.first) * (k2.last - k2.first);
      call.out<float>(0)[row * w.out[2] + o2] = f.end(sum, inside, [&] { return taps_counted(w, 0, o0) * taps_counted(w, 1, o1) * taps_counted(w, 2, o2); });
    }
  });
  return {};
}

struct Greatest {
  static float start() noexcept { return -std::numeric_limits<float>::infinity(); }
  static float add(float best, float x) noexcept { return x > best ? x : best; }
  template <class Counted> static float end(float best, std::int64_t, const Counted&) noexcept { return best; }
};
struct Average {
  bool with_padding;
  static float start() noexcept { return 0; }
  static float add(float sum, float x) noexcept { return sum + x; }
  template <class Counted> float end(float sum, std::int64_t inside, const Counted& counted) const noexcept {
    return sum / static_cast<float>(std::max<std::int64_t>(with_padding ? counted() : inside, 1));
  }
};

template <class F>
Result<void> global_pool(const Call& call, const F& f) {
  const Tensor& x = call.in(0);
  if (x.rank() < 3) return bad_input("[batch, channels, space …]", shape_text(x.shape()));
  Shape shape(x.rank(), 1);
  shape[0] = x.size(0);
  shape[1] = x.size(1);
  const std::int64_t planes = x.size(0) * x.size(1), n = planes == 0 ? 0 : x.elements() / planes;
  if (n == 0 && planes > 0) return bad_input("values to pool", shape_text(x.shape()));
  RETORT_CHECK(call.make(0, ElementType::kFloat, shape));
  if (x.is_channels_last()) {   // the result lies the same either way
    const std::int64_t channels = x.size(1);
    for_each(call.device, x.size(0), x.elements() / std::max<std::int64_t>(x.size(0), 1), [&](std::int64_t image) {
      f.by_channel(x.data<float>() + image * n * channels, n, channels, call.out<float>(0) + image * channels);
    });
    return {};
  }
  for_each(call.device, planes, n, [&](std::int64_t i) {
    const float* from = x.data<float>() + i * n;
    call.out<float>(0)[i] = f(from, n);
  });
  return {};
}

struct MeanOfAll {
  float operator()(const float* x, std::int64_t n) const {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    return static_cast<float>(sum / static_cast<double>(n));
  }
  void by_channel(const float* x, std::int64_t n, std::int64_t channels, float* out) const {
    std::vector<double> sums(static_cast<std::size_t>(channels));
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t c = 0; c < channels; ++c) sums[static_cast<std::size_t>(c)] += static_cast<double>(x[i * channels + c]);
    for (std::int64_t c = 0; c < channels; ++c) out[c] = static_cast<float>(sums[static_cast<std::size_t>(c)] / static_cast<double>(n));
  }
};
struct GreatestOfAll {
  float operator()(const float* x, std::int64_t n) const { return *std::max_element(x, x + n); }
  void by_channel(const float* x, std::int64_t n, std::int64_t channels, float* out) const {
    std::copy_n(x, channels, out);
    for (std::int64_t i = 1; i < n; ++i)
      for (std::int64_t c = 0; c < channels; ++c) out[c] = std::max(out[c], x[i * channels + c]);
  }
};

}  // namespace

Result<void> run_max_pool(const Call& call) { return pool(call, Greatest()); }
Result<void> run_average_pool(const Call& call) { return pool(call, Average{call.attributes.whole("count_include_pad", 0) != 0}); }

Result<void> run_global_average_pool(const Call& call) { return global_pool(call, MeanOfAll()); }
Result<void> run_global_max_pool(const Call& call) { return global_pool(call, GreatestOfAll()); }

}  // namespace retort::onnx
