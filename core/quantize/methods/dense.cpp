// Dense targets: F32, F16 and BF16, rounded to nearest even.
#include <cstring>

#include "core/quantize/methods/methods.h"
#include "kernels/api/half.h"
#include "kernels/dispatch/ops.h"

namespace retort {
namespace {

using kernels::TensorType;

class F32 final : public Quantizer {
 public:
  TensorType type() const noexcept override { return TensorType::kF32; }
  std::uint32_t version() const noexcept override { return 1; }
  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float>,
                     std::byte* out, float*) const noexcept override {
    std::memcpy(out, rows, static_cast<std::size_t>(count * columns) * sizeof(float));
  }
};

class F16 final : public Quantizer {
 public:
  TensorType type() const noexcept override { return TensorType::kF16; }
  std::uint32_t version() const noexcept override { return 1; }
  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float>,
                     std::byte* out, float*) const noexcept override {
    kernels::to_f16(rows, static_cast<std::size_t>(count * columns), out);
  }
};

class BF16 final : public Quantizer {
 public:
  TensorType type() const noexcept override { return TensorType::kBF16; }
  std::uint32_t version() const noexcept override { return 1; }
  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float>,
                     std::byte* out, float*) const noexcept override {
    for (std::int64_t i = 0; i < count * columns; ++i) {
      const std::uint16_t half = kernels::f32_to_bf16(rows[i]);
      std::memcpy(out + 2 * i, &half, 2);
    }
  }
};

}  // namespace

const Quantizer& dense_f32() noexcept {
  static const F32 quantizer;
  return quantizer;
}
const Quantizer& dense_f16() noexcept {
  static const F16 quantizer;
  return quantizer;
}
const Quantizer& dense_bf16() noexcept {
  static const BF16 quantizer;
  return quantizer;
}

}  // namespace retort
