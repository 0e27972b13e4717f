// Conv, ConvTranspose, ConvInteger: the definition as plain loops, and the fast way: patches of the input put in columns and
// multiplied by the weights, or, where each channel has a filter of its own, one row of outputs per tap.
#include "core/onnx/layout.h"
#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"
#include "core/onnx/ops/products.h"
#include "core/onnx/ops/window.h"

namespace retort::onnx {
namespace {

struct Conv {
  Window window;
  std::int64_t batch = 0, channels = 0, filters = 0, groups = 1;
  std::int64_t depth() const noexcept { return channels / groups; }          // channels of one group
  std::int64_t group_filters() const noexcept { return filters / groups; }
};

Result<std::int64_t> groups_of(const Call& call, std::int64_t channels) {
  const std::int64_t groups = call.attributes.whole("group", 1);
  if (groups < 1 || channels % groups != 0) return bad_input("groups that divide " + std::to_string(channels) + " channels", std::to_string(groups));
  return groups;
}

Result<void> check_bias(const Call& call, std::size_t input, std::int64_t filters) {
  const Tensor* bias = call.optional(input);
  if (bias && bias->elements() != filters) return bad_input(std::to_string(filters) + " biases", shape_text(bias->shape()));
  return {};
}

Shape output_shape(const Conv& conv) {
  Shape shape = {conv.batch, conv.filters};
  const auto& out = conv.window.out;
  shape.insert(shape.end(), out.end() - static_cast<std::ptrdiff_t>(conv.window.dims), out.end());
  return shape;
}

Result<Conv> plan_conv(const Call& call) {
  const Shape& x = call.in(0).shape();
  const Shape& w = call.in(1).shape();
  if (w.size() != x.size() || x.size() < 3) return bad_input("x and weights of the same number of dimensions", shape_text(x) + " and " + shape_text(w));
  Conv conv;
  conv.batch = x[0];
  conv.channels = x[1];
  conv.filters = w[0];
  RETORT_TRY(conv.groups, groups_of(call, conv.channels));
  if (w[1] != conv.depth() || w[0] % conv.groups != 0) return bad_input("weights for " + std::to_string(conv.depth()) + " channels in each of " + std::to_string(conv.groups) + " groups", shape_text(w));
  RETORT_TRY(conv.window, window_of(call, x, std::span(w).subspan(2)));
  return conv;
}

// f(x index, weight index) for every tap inside the input, of filter m at output (o0, o1, o2).
template <class F>
void for_taps(const Conv& conv, std::int64_t n, std::int64_t m, const Window::Sizes& o, const F& f) {
  const Window& w = conv.window;
  const std::int64_t first = m / conv.group_filters() * conv.depth();
  for (std::int64_t c = 0; c < conv.depth(); ++c) {
    const std::int64_t plane = (n * conv.channels + first + c) * w.in_points(), taps = (m * conv.depth() + c) * w.taps();
    for (std::int64_t a = 0; a < w.kernel[0]; ++a) {
      const std::int64_t z = w.at(0, o[0], a);
      if (z < 0 || z >= w.in[0]) continue;
      for (std::int64_t b = 0; b < w.kernel[1]; ++b) {
        const std::int64_t y = w.at(1, o[1], b);
        if (y < 0 || y >= w.in[1]) continue;
        for (std::int64_t k = 0; k < w.kernel[2]; ++k) {
          const std::int64_t x = w.at(2, o[2], k);
          if (x >= 0 && x < w.in[2]) f(plane + (z * w.in[1] + y) * w.in[2] + x, taps + (a * w.kernel[1] + b) * w.kernel[2] + k);
        }
      }
    }
  }
}

// f(output index, n, m, o) for every output.
template <class F>
void for_outputs(const Call& call, const Conv& conv, const F& f) {
  const Window& w = conv.window;
  const std::int64_t points = w.out_points();
  if (points == 0) return;
  for_each(call.device, conv.batch * conv.filters * points, conv.depth() * w.taps(), [&](std::int64_t i) {
    const std::int64_t plane = i / points, p = i % points;
    f(i, plane / conv.filters, plane % conv.filters, Window::Sizes{p / (w.out[1] * w.out[2]), p / w.out[2] % w.out[1], p % w.out[2]});
  });
}

void reference_conv(const Call& call, const Conv& conv) {
  const float* const x = call.in(0).data<float>();
  const float* const weights = call.in(1).data<float>();
  const Tensor* bias = call.optional(2);
  for_outputs(call, conv, [&](std::int64_t i, std::int64_t n, std::int64_t m, const Window::Sizes& o) {
    double sum = bias ? static_cast<double>(bias->data<float>()[m]) : 0;
    for_taps(conv, n, m, o, [&](std::int64_t at, std::int64_t tap) { sum += static_cast<double>(x[at]) * static_cast<double>(weights[tap]); });
    call.out<float>(0)[i] = static_cast<float>(sum);
  });
}

void add_row(float factor, const float* from, std::int64_t step, float* to, std::int64_t n) noexcept {
  if (step == 1) for (std::int64_t i = 0; i < n; ++i) to[i] += factor * from[i];
  else for (std::int64_t i = 0; i < n; ++i) to[i] += factor * from[i * step];
}

// One filter per channel: each tap adds a stretch of an input row to a stretch of the output row.
void depthwise_conv(const Call& call, const Conv& conv) {
  const Window& w = conv.window;
  const Tensor* bias = call.optional(2);
  for_each(call.device, conv.batch * conv.filters * w.out[0], w.out[1] * w.out[2] * w.taps(), [&](std::int64_t i) {
    const std::int64_t plane = i / w.out[0], o0 = i % w.out[0], m = plane % conv.filters;
    const float* const from = call.in(0).data<float>() + (plane / conv.filters * conv.channels + m / conv.group_filters()) * w.in_points();
    const float* const taps = call.in(1).data<float>() + m * w.taps();
    float* const to = call.out<float>(0) + i * w.out[1] * w.out[2];
    std::fill_n(to, w.out[1] * w.out[2], bias ? bias->data<float>()[m] : 0.0f);
    for (std::int64_t a = 0; a < w.kernel[0]; ++a) {
      const std::int64_t z = w.at(0, o0, a);
      if (z < 0 || z >= w.in[0]) continue;
      for (std::int64_t o1 = 0; o1 < w.out[1]; ++o1)
        for (std::int64_t b = 0; b < w.kernel[1]; ++b) {
          const std::int64_t y = w.at(1, o1, b);
          if (y < 0 || y >= w.in[1]) continue;
          const float* const line = from + (z * w.in[1] + y) * w.in[2];
          for (std::int64_t k = 0; k < w.kernel[2]; ++k) {
            const Valid valid = valid_outputs(w, 2, k);
            if (valid.last > valid.first)
              add_row(taps[(a * w.kernel[1] + b) * w.kernel[2] + k], line + w.at(2, valid.first, k), w.stride[2], to + o1 * w.out[2] + valid.first,
                      valid.last - valid.first);
          }
        }
    }
  });
}

// One row of the matrix of patches: what one tap of one channel sees at outputs [first, first + count).
void put_patches(const Window& w, const float* plane, const Window::Sizes& tap, std::int64_t first, std::int64_t count, float* out) {
  const Valid valid = valid_outputs(w, 2, tap[2]);
  while (count > 0) {
    const std::int64_t line = first / w.out[2], from = first % w.out[2], n = std::min(count, w.out[2] - from);
    const std::int64_t z = w.at(0, line / w.out[1], tap[0]), y = w.at(1, line % w.out[1], tap[1]);
    const std::int64_t begin = std::clamp(valid.first, from, from + n), end = std::clamp(valid.last, begin, from + n);
    if (z < 0 || z >= w.in[0] || y < 0 || y >= w.in[1]) {
      std::fill_n(out, n, 0.0f);
    } else {
      std::fill(out, out + (begin - from), 0.0f);
      const float* const row = plane + (z * w.in[1] + y) * w.in[2];
      if (w.stride[2] == 1) std::copy_n(row + w.at(2, begin, tap[2]), end - begin, out + (begin - from));
      else for (std::int64_t o = begin; o < end; ++o) out[o - from] = row[w.at(2, o, tap[2])];
      std::fill(out + (end - from), out + n, 0.0f);
    }
    out += n;
    first += n;
    count -= n;
  }
}

// A kernel of one tap without strides or pads: the input is its own matrix of patches.
bool is_pointwise(const Window& w) noexcept {
  return w.taps() == 1 && w.in == w.out && w.stride == Window::Sizes{1, 1, 1} && w.before == Window::Sizes{};
}

void fill_bias(const Call& call, const Conv& conv) {
  const std::int64_t points = conv.window.out_points();
  const Tensor* bias = call.optional(2);
  for_each(call.device, conv.batch * conv.filters, points, [&](std::int64_t i) {
    std::fill_n(call.out<float>(0) + i * points, points, bias ? bias->data<float>()[i % conv.filters] : 0.0f);
  });
}

kernels::MatmulTile group_tile(const Call& call, const Conv& conv, std::int64_t n, std::int64_t g) noexcept {
  kernels::MatmulTile tile;
  tile.m = conv.group_filters();
  tile.k = conv.depth() * conv.window.taps();
  tile.a = call.in(1).data<float>() + g * tile.m * tile.k;
  tile.a_stride = tile.k;
  tile.c = call.out<float>(0) + (n * conv.filters + g * tile.m) * conv.window.out_points();
  tile.c_stride = conv.window.out_points();
  tile.accumulate = true;
  return tile;
}

Result<void> patch_conv(const Call& call, const Conv& conv) {
  const Window& w = conv.window;
  const std::int64_t depth = conv.depth() * w.taps(), points = w.out_points();
  const std::int64_t step = std::clamp<std::int64_t>(std::int64_t{1} << 17, 64 * depth, 1024 * depth) / depth / 16 * 16;
  const std::int64_t strips = (points + step - 1) / step;
  const int threads = call.device.pool->threads();
  RETORT_TRY(Tensor scratch, Tensor::make(call.memory, ElementType::kFloat, {threads, depth * step}));
  for (std::int64_t n = 0; n < conv.batch; ++n) {
    RETORT_CHECK(call.job.check());
    call.device.pool->parallel_for(static_cast<std::size_t>(conv.groups * strips), [&](std::size_t index, int worker) {
      const std::int64_t g = static_cast<std::int64_t>(index) / strips, first = static_cast<std::int64_t>(index) % strips * step;
      float* const patches = scratch.write<float>() + worker * depth * step;
      kernels::MatmulTile tile = group_tile(call, conv, n, g);
      tile.n = std::min(step, points - first);
      for (std::int64_t row = 0; row < depth; ++row) {
        const std::int64_t channel = g * conv.depth() + row / w.taps(), tap = row % w.taps();
        put_patches(w, call.in(0).data<float>() + (n * conv.channels + channel) * w.in_points(),
                    {tap / (w.kernel[1] * w.kernel[2]), tap / w.kernel[2] % w.kernel[1], tap % w.kernel[2]}, first, tile.n, patches + row * tile.n);
      }
      tile.b = patches;
      tile.b_stride = tile.n;
      tile.c += first;
      tile.scratch = call.device.matmul_scratch + worker * kernels::kMatmulScratch;
      call.device.matmul->run(tile);
    });
  }
  return {};
}

Result<void> pointwise_conv(const Call& call, const Conv& conv) {
  for (std::int64_t n = 0; n < conv.batch; ++n)
    for (std::int64_t g = 0; g < conv.groups; ++g) {
      RETORT_CHECK(call.job.check());
      kernels::MatmulTile tile = group_tile(call, conv, n, g);
      tile.n = conv.window.out_points();
      tile.b = call.in(0).data<float>() + (n * conv.channels + g * conv.depth()) * tile.n;
      tile.b_stride = tile.n;
      product(call.device, tile);
    }
  return {};
}

}  // namespace

Result<void> run_conv(const Call& call) {
  if (call.in(0).is_channels_last()) {   // after a convolution with a kernel of its own
    RETORT_TRY(const Tensor x, to_plain(call.memory, call.device, call.in(0)));
    std::vector<const Tensor*> inputs(call.inputs.begin(), call.inputs.end());
    inputs[0] = &x;
    return run_conv(Call{.node = call.node, .attributes = call.attributes, .opset = call.opset, .inputs = inputs, .outputs = call.outputs,
                         .memory = call.memory, .device = call.device, .job = call.job, .wanted = call.wanted});
  }
  RETORT_TRY(const Conv conv, plan_conv(call));
  RETORT_CHECK(check_bias(call, 2, conv.filters));
  RETORT_CHECK(call.make(0, ElementType::kFloat, output_shape(conv)));
  if (call.outputs[0].elements() == 0) return {};
  if (call.device.reference() || conv.depth() == 0) {
    reference_conv(call, conv);
    return {};
  }
  if (conv.depth() == 1) {
    depthwise_conv(call, conv);
    return {};
  }
  fill_bias(call, conv);
  return is_pointwise(conv.window) ? pointwise_conv(call, conv) : patch_conv(call, conv);
}

namespace {

template <class X, class W>
Result<void> integer_conv(const Call& call, const Conv& conv) {
  const Tensor* x_zero = call.optional(2);
  const Tensor* w_zero = call.optional(3);
  if (x_zero && x_zero->elements() != 1) return bad_input("one zero point", shape_text(x_zero->shape()));
  if (w_zero && w_zero->elements() != 1 && w_zero->elements() != conv.filters) return bad_input("1 or " + std::to_string(conv.filters) + " zero points", shape_text(w_zero->shape()));
  const std::int32_t zx = x_zero ? *x_zero->data<X>() : 0;
  const X* const x = call.in(0).data<X>();
  const W* const weights = call.in(1).data<W>();
  for_outputs(call, conv, [&](std::int64_t i, std::int64_t n, std::int64_t m, const Window::Sizes& o) {
    const std::int32_t zw = w_zero ? w_zero->data<W>()[w_zero->elements() > 1 ? m : 0] : 0;
    std::uint32_t sum = 0;
    for_taps(conv, n, m, o, [&](std::int64_t at, std::int64_t tap) { sum += static_cast<std::uint32_t>((x[at] - zx) * (weights[tap] - zw)); });
    call.out<std::int32_t>(0)[i] = static_cast<std::int32_t>(sum);
  });
  return {};
}

}  // namespace

Result<void> run_conv_integer(const Call& call) {
  RETORT_TRY(const Conv conv, plan_conv(call));
  RETORT_CHECK(call.make(0, ElementType::kInt32, output_shape(conv)));
  Result<void> done;
  with_type(call.in(0).type(), Bytes8(), [&](auto x) {
    with_type(call.in(1).type(), Bytes8(), [&](auto w) { done = integer_conv<decltype(x), decltype(w)>(call, conv); });
  });
  return done;
}

namespace {

// Weights of ConvTranspose are [channels, filters of a group, kernel …].
Result<Conv> plan_transposed(const Call& call) {
  const Shape& x = call.in(0).shape();
  const Shape& w = call.in(1).shape();
  if (w.size() != x.size() || x.size() < 3 || x[1] != w[0]) return bad_input("weights for the channels of x", shape_text(x) + " and " + shape_text(w));
  Conv conv;
  conv.batch = x[0];
  conv.channels = x[1];
  RETORT_TRY(conv.groups, groups_of(call, conv.channels));
  if (__builtin_mul_overflow(w[1], conv.groups, &conv.filters)) return bad_input("filters", std::to_string(w[1]));
  RETORT_TRY(conv.window, transposed_window_of(call, x, std::span(w).subspan(2)));
  return conv;
}

void reference_transposed(const Call& call, const Conv& conv) {
  const Window& w = conv.window;
  const Tensor* bias = call.optional(2);
  const float* const x = call.in(0).data<float>();
  const float* const weights = call.in(1).data<float>();
  // The input's place that tap k of output o comes from; -1: none.
  const auto source = [&w](std::size_t d, std::int64_t o, std::int64_t k) {
    const std::int64_t at = o + w.before[d] - k * w.dilation[d];
    return at < 0 || at % w.stride[d] != 0 || at / w.stride[d] >= w.in[d] ? std::int64_t{-1} : at / w.stride[d];
  };
  for_outputs(call, conv, [&](std::int64_t i, std::int64_t n, std::int64_t m, const Window::Sizes& o) {
    const std::int64_t g = m / conv.group_filters();
    double sum = bias ? static_cast<double>(bias->data<float>()[m]) : 0;
    for (std::int64_t tap = 0; tap < w.taps(); ++tap) {
      const std::int64_t z = source(0, o[0], tap / (w.kernel[1] * w.kernel[2])), y = source(1, o[1], tap / w.kernel[2] % w.kernel[1]),
                         at = source(2, o[2], tap % w.kernel[2]);
      if (z < 0 || y < 0 || at < 0) continue;
      for (std::int64_t c = g * conv.depth(); c < (g + 1) * conv.depth(); ++c)
        sum += static_cast<double>(x[(n * conv.channels + c) * w.in_points() + (z * w.in[1] + y) * w.in[2] + at]) *
               static_cast<double>(weights[(c * conv.group_filters() + m % conv.group_filters()) * w.taps() + tap]);
    }
    call.out<float>(0)[i] = static_cast<float>(sum);
  });
}

// Adds what one filter's taps gave at every input to the places of the output that they reach.
void spread(const Window& w, const float* columns, float* out) {
  for (std::int64_t tap = 0; tap < w.taps(); ++tap, columns += w.in_points()) {
    const Window::Sizes k = {tap / (w.kernel[1] * w.kernel[2]), tap / w.kernel[2] % w.kernel[1], tap % w.kernel[2]};
    for (std::int64_t i = 0; i < w.in[0] * w.in[1]; ++i) {
      const std::int64_t z = w.at(0, i / w.in[1], k[0]), y = w.at(1, i % w.in[1], k[1]);
      if (z < 0 || z >= w.out[0] || y < 0 || y >= w.out[1]) continue;
      float* const line = out + (z * w.out[1] + y) * w.out[2];
      for (std::int64_t j = 0; j < w.in[2]; ++j) {
        const std::int64_t x = w.at(2, j, k[2]);
        if (x >= 0 && x < w.out[2]) line[x] += columns[i * w.in[2] + j];
      }
    }
  }
}

Result<void> fast_transposed(const Call& call, const Conv& conv) {
  const Window& w = conv.window;
  const std::int64_t filters = conv.group_filters();
  RETORT_TRY(Tensor columns, Tensor::make(call.memory, ElementType::kFloat, {filters * w.taps(), w.in_points()}));
  fill_bias(call, conv);
  for (std::int64_t n = 0; n < conv.batch; ++n)
    for (std::int64_t g = 0; g < conv.groups; ++g) {
      RETORT_CHECK(call.job.check());
      kernels::MatmulTile tile;
      tile.transpose_a = true;
      tile.m = filters * w.taps();
      tile.n = w.in_points();
      tile.k = conv.depth();
      tile.a = call.in(1).data<float>() + g * conv.depth() * tile.m;
      tile.a_stride = tile.m;
      tile.b = call.in(0).data<float>() + (n * conv.channels + g * conv.depth()) * tile.n;
      tile.b_stride = tile.n;
      tile.c = columns.write<float>();
      tile.c_stride = tile.n;
      product(call.device, tile);
      for_each(call.device, filters, w.taps() * w.in_points(), [&](std::int64_t m) {
        spread(w, columns.data<float>() + m * w.taps() * w.in_points(), call.out<float>(0) + (n * conv.filters + g * filters + m) * w.out_points());
      });
    }
  return {};
}

}  // namespace

Result<void> run_conv_transpose(const Call& call) {
  RETORT_TRY(const Conv conv, plan_transposed(call));
  RETORT_CHECK(check_bias(call, 2, conv.filters));
  RETORT_CHECK(call.make(0, ElementType::kFloat, output_shape(conv)));
  if (call.outputs[0].elements() == 0) return {};
  if (!call.device.reference() && conv.depth() > 0) return fast_transposed(call, conv);
  reference_transposed(call, conv);
  return {};
}

}  // namespace retort::onnx
