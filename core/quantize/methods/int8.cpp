// I8: symmetric 8 bits with one f32 scale per row (per output channel): scale = max|w| / 127, codes -127 … 127.
#include <algorithm>
#include <bit>

#include "core/quantize/methods/lanes.h"
#include "core/quantize/methods/methods.h"

namespace retort {
namespace {

class Int8 final : public Quantizer {
 public:
  kernels::TensorType type() const noexcept override { return kernels::TensorType::kI8; }
  std::uint32_t version() const noexcept override { return 1; }

  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float>,
                     std::byte* out, float* row_scales) const noexcept override {
    for (std::int64_t r = 0; r < count; ++r) {
      const float* x = rows + r * columns;
      std::byte* codes = out + r * columns;
      std::int32_t largest = 0;   // magnitudes are ordered like their bits
      for (std::int64_t i = 0; i < columns; ++i) {
        largest = std::max(largest, std::bit_cast<std::int32_t>(x[i]) & 0x7fffffff);
      }
      const float scale = std::bit_cast<float>(largest) / 127.0f;
      // A row so small that its scale has no inverse is a row of zeros.
      const float inverse = scale >= 0x1p-126f ? 1.0f / scale : 0.0f;
      row_scales[r] = inverse != 0 ? scale : 0.0f;
      for (std::int64_t i = 0; i < columns; ++i) {
        const float code = clamped(nearest(x[i] * inverse), -127.0f, 127.0f);
        codes[i] = static_cast<std::byte>(static_cast<std::int8_t>(code));
      }
    }
  }
};

}  // namespace

const Quantizer& int8_per_row() noexcept {
  static const Int8 quantizer;
  return quantizer;
}

}  // namespace retort
