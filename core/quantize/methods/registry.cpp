// Every quantizer there is. To add one: its file here, its line in methods.h and its line in this list.
#include <array>

#include "core/quantize/methods/methods.h"

namespace retort {

std::span<const Quantizer* const> quantizers() noexcept {
  static const std::array list = {
      &dense_f32(), &dense_f16(), &dense_bf16(), &int8_per_row(),
      &q4_0(), &q4_1(), &q5_0(), &q5_1(), &q8_0(),
      &q2_k(), &q3_k(), &q4_k(), &q5_k(), &q6_k(),
  };
  return list;
}

const Quantizer* find_quantizer(kernels::TensorType type) noexcept {
  for (const Quantizer* quantizer : quantizers()) {
    if (quantizer->type() == type) return quantizer;
  }
  return nullptr;
}

}  // namespace retort
