#include "kernels/onednn/conv.h"

#ifdef RETORT_HAVE_ONEDNN
#include <cstring>
#include <exception>
#include <string_view>
#include <vector>

#include "kernels/onednn/engine.h"
#include "kernels/onednn/prepare_thread.h"

namespace retort::kernels::onednn {
namespace {

using dnnl::convolution_forward;
using dnnl::memory;

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, alpha, beta);
#else
  ops.append_eltwise(1.0f, algorithm, alpha, beta);
#endif
}

dnnl::primitive_attr attributes(const ConvSpec& spec) {
  dnnl::post_ops ops;
  switch (spec.after) {
    case ConvAfter::kNone: break;
    case ConvAfter::kRelu: append_eltwise(ops, dnnl::algorithm::eltwise_relu, 0, 0); break;
    case ConvAfter::kLeakyRelu: append_eltwise(ops, dnnl::algorithm::eltwise_relu, spec.alpha, 0); break;
    case ConvAfter::kClip: append_eltwise(ops, dnnl::algorithm::eltwise_clip, spec.alpha, spec.beta); break;
    case ConvAfter::kSigmoid: append_eltwise(ops, dnnl::algorithm::eltwise_logistic, 0, 0); break;
    case ConvAfter::kSilu: append_eltwise(ops, dnnl::algorithm::eltwise_swish, 1, 0); break;
    case ConvAfter::kGelu: append_eltwise(ops, dnnl::algorithm::eltwise_gelu_erf, 0, 0); break;
    // Version 2 has the numbers built in, version 3 takes them.
    case ConvAfter::kHardSwish: append_eltwise(ops, dnnl::algorithm::eltwise_hardswish, 1.0f / 6, 0.5f); break;
  }
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  return attr;
}

struct Descriptors {
  memory::desc in, weights, bias, out;
  memory::dims strides, dilations, before, behind;
};

convolution_forward::primitive_desc describe(const Descriptors& d, const dnnl::primitive_attr& attr) {
  constexpr auto kKind = dnnl::prop_kind::forward_inference;
  constexpr auto kHow = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kKind, kHow, d.in, d.weights, d.bias, d.out, d.strides, d.dilations, d.before, d.behind, attr, true};
#else
  return {convolution_forward::desc(kKind, kHow, d.in, d.weights, d.bias, d.out, d.strides, d.dilations, d.before, d.behind), attr, engine(), true};
#endif
}

class Conv : public ConvKernel {
 public:
  explicit Conv(const ConvSpec& spec) : spec_(spec), attr_(attributes(spec)) {
    bias_.assign(static_cast<std::size_t>(spec.out_channels), 0.0f);
    if (spec.bias != nullptr) std::memcpy(bias_.data(), spec.bias, bias_.size() * sizeof(float));
  }

  int prepare(const ConvStrip& strip) noexcept override {
    for (std::size_t i = 0; i < prepared_.size(); ++i)
      if (prepared_[i].strip == strip) return static_cast<int>(i);
    try {
      prepare_thread();
      return add(strip);
    } catch (const std::exception&) {
      return -1;   // a shape that oneDNN refuses, or no memory
    }
  }

  bool run(int prepared, const float* in, float* out) const noexcept override {
    try {
      prepare_thread();
      thread_local dnnl::stream stream(engine());
      const Prepared& made = prepared_[static_cast<std::size_t>(prepared)];
      // oneDNN's memory has no constness; sources are only read.
      const memory source(made.in, engine(), const_cast<float*>(in)), bias(made.bias, engine(), const_cast<float*>(bias_.data()));
      made.primitive.execute(stream, {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, packed_[made.weights]}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, memory(made.out, engine(), out)}});
      stream.wait();
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

 private:
  struct Prepared {
    ConvStrip strip;
    convolution_forward primitive;
    memory::desc in, bias, out;
    std::size_t weights;             // of packed_
  };

  // Padding behind, along one dimension; -1: the sizes don't belong together.
  static std::int64_t behind(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t dilation, std::int64_t before) noexcept {
    const std::int64_t reach = (kernel - 1) * dilation + 1, pad = std::max<std::int64_t>(0, (out - 1) * stride + reach - in - before);
    return (in + before + pad - reach) / stride + 1 == out ? pad : -1;
  }

  int add(const ConvStrip& strip) {
    const std::int64_t bottom = behind(strip.in_rows, strip.out_rows, spec_.kernel[0], spec_.stride[0], spec_.dilation[0], strip.pad_top);
    const std::int64_t right = behind(strip.in_columns, strip.out_columns, spec_.kernel[1], spec_.stride[1], spec_.dilation[1], strip.pad_left);
    if (bottom < 0 || right < 0) return -1;
    using tag = memory::format_tag;
    constexpr auto kF32 = memory::data_type::f32;
    const memory::dims kernel = weight_sizes();
    const Descriptors d{.in = {{1, spec_.in_channels, strip.in_rows, strip.in_columns}, kF32, tag::nhwc}, .weights = {kernel, kF32, tag::any},
                        .bias = {{spec_.out_channels}, kF32, tag::x}, .out = {{1, spec_.out_channels, strip.out_rows, strip.out_columns}, kF32, tag::nhwc},
                        .strides = {spec_.stride[0], spec_.stride[1]}, .dilations = {spec_.dilation[0] - 1, spec_.dilation[1] - 1},
                        .before = {strip.pad_top, strip.pad_left}, .behind = {bottom, right}};
    const auto described = describe(d, attr_);
    if (!described || std::string_view(described.impl_info_str()).starts_with("ref")) return -1;
    prepared_.push_back({strip, convolution_forward(described), d.in, d.bias, d.out, pack(described.weights_desc())});
    return static_cast<int>(prepared_.size() - 1);
  }

  memory::dims weight_sizes() const {
    const std::int64_t filters = spec_.out_channels / spec_.groups, depth = spec_.in_channels / spec_.groups;
    if (spec_.groups == 1) return {filters, depth, spec_.kernel[0], spec_.kernel[1]};
    return {spec_.groups, filters, depth, spec_.kernel[0], spec_.kernel[1]};
  }

  // The weights in the layout that a primitive wants, made once for each layout.
  std::size_t pack(const memory::desc& wanted) {
    for (std::size_t i = 0; i < packed_.size(); ++i)
      if (packed_[i].get_desc() == wanted) return i;
    using tag = memory::format_tag;
    const memory plain({weight_sizes(), memory::data_type::f32, spec_.groups > 1 ? tag::goihw : spec_.inputs_first ? tag::ihwo : tag::oihw}, engine(), const_cast<float*>(spec_.weights));
    memory packed(wanted, engine());
    dnnl::stream stream(engine());
    dnnl::reorder(plain, packed).execute(stream, {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, packed}});
    stream.wait();
    packed_.push_back(std::move(packed));
    return packed_.size() - 1;
  }

  ConvSpec spec_;
  dnnl::primitive_attr attr_;
  std::vector<float> bias_;          // zeros where there is none
  std::vector<Prepared> prepared_;
  std::vector<memory> packed_;
};

}  // namespace

std::unique_ptr<ConvKernel> make_conv(const ConvSpec& spec) noexcept {
  try {
    return std::make_unique<Conv>(spec);
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace retort::kernels::onednn

#else

namespace retort::kernels::onednn {

std::unique_ptr<ConvKernel> make_conv(const ConvSpec&) noexcept { return nullptr; }

}  // namespace retort::kernels::onednn

#endif
