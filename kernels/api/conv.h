// f32 convolutions of images whose channels lie innermost ([rows, columns, channels]), with a bias and a pointwise function
// on the result. A convolution is made once for its weights; an image is then computed in strips of rows, each by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace retort::kernels {

enum class ConvAfter : std::uint8_t {
  kNone,
  kRelu,
  kClip,        // to [alpha, beta]
  kSigmoid,
  kHardSwish,   // x · clamp(x + 3, 0, 6) / 6
  kLeakyRelu,   // x < 0: alpha · x
  kSilu,        // x · sigmoid(x)
  kGelu,        // x · Φ(x), by the error function
};

struct ConvSpec {
  using Sizes = std::array<std::int64_t, 2>;     // rows, columns
  std::int64_t groups = 1, in_channels = 0, out_channels = 0;   // channels of all groups
  Sizes kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  const float* weights = nullptr;                // [out_channels, in_channels / groups, rows, columns]; must live as long as the kernel
  bool inputs_first = false;                     // weights of a kernel without space: [in_channels, out_channels] instead
  const float* bias = nullptr;                   // [out_channels], likewise; null: none
  ConvAfter after = ConvAfter::kNone;
  float alpha = 0, beta = 0;
};

// A strip of the image: the rows of the input that its outputs see, and what padding it sees before them. Padding behind
// follows from the sizes.
struct ConvStrip {
  std::int64_t in_rows = 0, in_columns = 0, out_rows = 0, out_columns = 0;
  std::int64_t pad_top = 0, pad_left = 0;
  bool operator==(const ConvStrip&) const = default;
};

class ConvKernel {
 public:
  virtual ~ConvKernel() = default;
  // Makes ready for strips of these sizes and says how to name them; -1: this kernel can't. One thread at a time.
  virtual int prepare(const ConvStrip& strip) noexcept = 0;
  // in: [in_rows, in_columns, in_channels], out: [out_rows, out_columns, out_channels]. Any thread. False: it failed, `out`
  // is unspecified.
  virtual bool run(int prepared, const float* in, float* out) const noexcept = 0;
};

}  // namespace retort::kernels
