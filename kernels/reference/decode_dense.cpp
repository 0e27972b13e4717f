// Dense types: one element after the other. memcpy because tensors in a file need not be aligned.
#include <cstring>

#include "kernels/api/half.h"
#include "kernels/reference/decode.h"

namespace retort::kernels::reference {
namespace {

template <class T, class Convert>
void decode_each(const void* packed, float* out, std::size_t n, Convert convert) {
  const auto* bytes = static_cast<const unsigned char*>(packed);
  for (std::size_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
    out[i] = convert(value);
  }
}

constexpr auto kCast = [](auto value) { return static_cast<float>(value); };

}  // namespace

void decode_f32(const void* packed, float* out, std::size_t n) {
  if (n > 0) std::memcpy(out, packed, n * sizeof(float));
}
void decode_f16(const void* packed, float* out, std::size_t n) {
  decode_each<std::uint16_t>(packed, out, n, [](std::uint16_t h) { return f16_to_f32(h); });
}
void decode_bf16(const void* packed, float* out, std::size_t n) {
  decode_each<std::uint16_t>(packed, out, n, [](std::uint16_t h) { return bf16_to_f32(h); });
}
void decode_f64(const void* packed, float* out, std::size_t n) {
  // A magnitude above the largest float is undefined for a plain cast; it becomes infinity here.
  decode_each<double>(packed, out, n, [](double value) {
    constexpr double kOverflow = 0x1.ffffffp127;  // half way between the largest float and 2^128
    if (value >= kOverflow) return __builtin_inff();
    if (value <= -kOverflow) return -__builtin_inff();
    return static_cast<float>(value);
  });
}
void decode_i8(const void* packed, float* out, std::size_t n) { decode_each<std::int8_t>(packed, out, n, kCast); }
void decode_u8(const void* packed, float* out, std::size_t n) { decode_each<std::uint8_t>(packed, out, n, kCast); }
void decode_i16(const void* packed, float* out, std::size_t n) { decode_each<std::int16_t>(packed, out, n, kCast); }
void decode_i32(const void* packed, float* out, std::size_t n) { decode_each<std::int32_t>(packed, out, n, kCast); }
void decode_i64(const void* packed, float* out, std::size_t n) { decode_each<std::int64_t>(packed, out, n, kCast); }
void decode_u16(const void* packed, float* out, std::size_t n) { decode_each<std::uint16_t>(packed, out, n, kCast); }
void decode_u32(const void* packed, float* out, std::size_t n) { decode_each<std::uint32_t>(packed, out, n, kCast); }
void decode_u64(const void* packed, float* out, std::size_t n) { decode_each<std::uint64_t>(packed, out, n, kCast); }
void decode_f8_e4m3(const void* packed, float* out, std::size_t n) {
  decode_each<std::uint8_t>(packed, out, n, [](std::uint8_t code) { return f8_e4m3_to_f32(code); });
}
void decode_f8_e5m2(const void* packed, float* out, std::size_t n) {
  decode_each<std::uint8_t>(packed, out, n, [](std::uint8_t code) { return f8_e5m2_to_f32(code); });
}

}  // namespace retort::kernels::reference
