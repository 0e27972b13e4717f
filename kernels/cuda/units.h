// What one thread takes of a weight row at a time for a product with few rows of activations: the weights of one load of 16
// bytes. A unit has `kRuns` runs of `kRun` neighbouring columns, each with one scale (and one minimum).
#pragma once

#include "kernels/cuda/matrix.h"

namespace retort::cuda {

template <Type T>
struct Unit;

template <>
struct Unit<Type::kF32> {
  static constexpr int kRuns = 1, kRun = 4;
  static constexpr bool kScaled = false, kMinimum = false;
  struct Raw { Bytes16 data; };
  static RETORT_DEVICE int column(int unit, int) { return unit * 4; }
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int unit) {
    return {load16_once(block_at(w, row, 0, 128) + static_cast<std::int64_t>(unit) * 16)};
  }
  static RETORT_DEVICE float code(const Raw& raw, int, int i) { return bits_as<float>(raw.data.word[i]); }
  static RETORT_DEVICE float scale(const Raw&, int) { return 1; }
  static RETORT_DEVICE float minimum(const Raw&, int) { return 0; }
};

template <>
struct Unit<Type::kF16> {
  static constexpr int kRuns = 1, kRun = 8;
  static constexpr bool kScaled = false, kMinimum = false;
  struct Raw { Bytes16 data; };
  static RETORT_DEVICE int column(int unit, int) { return unit * 8; }
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int unit) {
    return {load16_once(block_at(w, row, 0, 64) + static_cast<std::int64_t>(unit) * 16)};
  }
  static RETORT_DEVICE float code(const Raw& raw, int, int i) { return f16_to_float(half_of(raw.data, i)); }
  static RETORT_DEVICE float scale(const Raw&, int) { return 1; }
  static RETORT_DEVICE float minimum(const Raw&, int) { return 0; }
};

template <>
struct Unit<Type::kBF16> : Unit<Type::kF16> {
  static RETORT_DEVICE float code(const Raw& raw, int, int i) { return bf16_to_float(half_of(raw.data, i)); }
};

template <>
struct Unit<Type::kQ8_0> {
  static constexpr int kRuns = 1, kRun = 16;
  static constexpr bool kScaled = true, kMinimum = false;
  struct Raw { Bytes16 codes; float d; };
  static RETORT_DEVICE int column(int unit, int) { return unit * 16; }
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int unit) {
    return {load16_once(block_at(w, row, 0, 32) + static_cast<std::int64_t>(unit) * 16), scale_at(w, row, unit / 2)};
  }
  // With its sign bit turned round a byte is code + 128.
  static RETORT_DEVICE float code(const Raw& raw, int, int i) { return byte_float(raw.codes.word[i / 4] ^ 0x80808080u, i % 4) - 128.0f; }
  static RETORT_DEVICE float scale(const Raw& raw, int) { return raw.d; }
  static RETORT_DEVICE float minimum(const Raw&, int) { return 0; }
};

// Low nibbles are one run, high nibbles the other.
template <>
struct Unit<Type::kQ4_0> {
  static constexpr int kRuns = 2, kRun = 16;
  static constexpr bool kScaled = true, kMinimum = false;
  struct Raw { Bytes16 codes; float d; };
  static RETORT_DEVICE int column(int unit, int run) { return unit * 32 + run * 16; }
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int unit) {
    return {load16_once(block_at(w, row, unit, 16)), scale_at(w, row, unit)};
  }
  static RETORT_DEVICE float code(const Raw& raw, int run, int i) {
    return byte_float(raw.codes.word[i / 4] >> (4 * run) & 0x0f0f0f0fu, i % 4) - 8.0f;
  }
  static RETORT_DEVICE float scale(const Raw& raw, int) { return raw.d; }
  static RETORT_DEVICE float minimum(const Raw&, int) { return 0; }
};

// Half of 32 code bytes: 16 columns of an even sub-block in the low nibbles, 16 of the odd one after it in the high ones.
template <>
struct Unit<Type::kQ4_K> {
  static constexpr int kRuns = 2, kRun = 16;
  static constexpr bool kScaled = true, kMinimum = true;
  struct Raw { Bytes16 codes; ScaleAndMinimum of[2]; };
  static RETORT_DEVICE int column(int unit, int run) { return unit / 8 * 256 + unit % 8 / 2 * 64 + run * 32 + unit % 2 * 16; }
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int unit) {
    const unsigned char* const block = block_at(w, row, unit / 8, 144);
    const Bytes16 head = load16_once(block);
    const int sub = unit % 8 / 2 * 2;
    return {load16_once(block + 16 + unit % 8 * 16), {q4_k_scale(head, sub), q4_k_scale(head, sub + 1)}};
  }
  static RETORT_DEVICE float code(const Raw& raw, int run, int i) {
    return byte_float(raw.codes.word[i / 4] >> (4 * run) & 0x0f0f0f0fu, i % 4);
  }
  static RETORT_DEVICE float scale(const Raw& raw, int run) { return raw.of[run].scale; }
  static RETORT_DEVICE float minimum(const Raw& raw, int run) { return raw.of[run].minimum; }
};

// 16 of the low bytes: with q = 0 or 1 their low nibbles belong to field q of a half, their high ones to field q + 2.
template <>
struct Unit<Type::kQ6_K> {
  static constexpr int kRuns = 2, kRun = 16;
  static constexpr bool kScaled = true, kMinimum = false;
  struct Raw { Bytes16 low, high; float of[2]; };
  static RETORT_DEVICE int column(int unit, int run) {
    const int half = unit % 8 / 4, q = unit % 4 / 2, part = unit % 2;
    return unit / 8 * 256 + half * 128 + (q + 2 * run) * 32 + part * 16;
  }
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int unit) {
    const unsigned char* const block = block_at(w, row, unit / 8, 208);
    const int half = unit % 8 / 4, q = unit % 4 / 2, part = unit % 2;
    const float d = scale_at(w, row, unit / 8);
    const auto* const scales = reinterpret_cast<const std::int8_t*>(block + 192 + half * 8 + q * 2 + part);
    Raw raw{load16_once(block + unit % 8 * 16), load16_once(block + 128 + half * 32 + part * 16),
            {d * static_cast<float>(scales[0]), d * static_cast<float>(scales[4])}};
    RETORT_UNROLL
    for (int i = 0; i < 4; ++i) raw.high.word[i] >>= 2 * q;   // field q in bits 0, 1, field q + 2 in bits 4, 5
    return raw;
  }
  static RETORT_DEVICE float code(const Raw& raw, int run, int i) {
    const std::uint32_t low = raw.low.word[i / 4] >> (4 * run) & 0x0f0f0f0fu;
    const std::uint32_t high = raw.high.word[i / 4] >> (4 * run) & 0x03030303u;
    return byte_float(low | high << 4, i % 4) - 32.0f;
  }
  static RETORT_DEVICE float scale(const Raw& raw, int run) { return raw.of[run]; }
  static RETORT_DEVICE float minimum(const Raw&, int) { return 0; }
};

// 16 neighbouring weights of a 32-column slice of a row, as f16, for products with many rows: the slice is `slice`, `part`
// says which half of it.
template <Type T>
struct Slice;

template <>
struct Slice<Type::kF16> {
  struct Raw { Bytes16 data[2]; };
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int slice, int part) {
    const unsigned char* const at = block_at(w, row, slice, 64) + part * 32;
    return {{load16_once(at), load16_once(at + 16)}};
  }
  static RETORT_DEVICE void halves(const Raw& raw, int, Bytes16 (&out)[2]) { out[0] = raw.data[0], out[1] = raw.data[1]; }
};

// Exact where the magnitude lies within f16's range (6e-5 … 65504); smaller ones lose bits below 2^-24.
template <>
struct Slice<Type::kBF16> : Slice<Type::kF16> {
  static RETORT_DEVICE void halves(const Raw& raw, int, Bytes16 (&out)[2]) {
    RETORT_UNROLL
    for (int j = 0; j < 8; ++j)
      out[j / 4].word[j % 4] = pack_f16(bf16_to_float(half_of(raw.data[j / 4], j % 4 * 2)), bf16_to_float(half_of(raw.data[j / 4], j % 4 * 2 + 1)));
  }
};

template <>
struct Slice<Type::kQ8_0> {
  struct Raw { Bytes16 codes; float d; };
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int slice, int part) {
    return {load16_once(block_at(w, row, slice, 32) + part * 16), scale_at(w, row, slice)};
  }
  static RETORT_DEVICE void halves(const Raw& raw, int, Bytes16 (&out)[2]) {
    RETORT_UNROLL
    for (int j = 0; j < 8; ++j) {
      const std::uint32_t word = raw.codes.word[j / 2] ^ 0x80808080u;
      const float a = byte_float(word, j % 2 * 2) - 128.0f, b = byte_float(word, j % 2 * 2 + 1) - 128.0f;
      out[j / 4].word[j % 4] = pack_f16(a * raw.d, b * raw.d);
    }
  }
};

template <>
struct Slice<Type::kQ4_0> {
  struct Raw { Bytes16 codes; float d; };
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int slice, int) {
    return {load16_once(block_at(w, row, slice, 16)), scale_at(w, row, slice)};
  }
  static RETORT_DEVICE void halves(const Raw& raw, int part, Bytes16 (&out)[2]) {
    RETORT_UNROLL
    for (int j = 0; j < 8; ++j) {
      const std::uint32_t word = raw.codes.word[j / 2] >> (4 * part) & 0x0f0f0f0fu;
      const float a = byte_float(word, j % 2 * 2) - 8.0f, b = byte_float(word, j % 2 * 2 + 1) - 8.0f;
      out[j / 4].word[j % 4] = pack_f16(a * raw.d, b * raw.d);
    }
  }
};

template <>
struct Slice<Type::kQ4_K> {
  struct Raw { Bytes16 codes; ScaleAndMinimum of; int nibble; };
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int slice, int part) {
    const unsigned char* const block = block_at(w, row, slice / 8, 144);
    const int sub = slice % 8;
    return {load16_once(block + 16 + sub / 2 * 32 + part * 16), q4_k_scale(load16_once(block), sub), sub % 2};
  }
  static RETORT_DEVICE void halves(const Raw& raw, int, Bytes16 (&out)[2]) {
    RETORT_UNROLL
    for (int j = 0; j < 8; ++j) {
      const std::uint32_t word = raw.codes.word[j / 2] >> (4 * raw.nibble) & 0x0f0f0f0fu;
      const float a = byte_float(word, j % 2 * 2), b = byte_float(word, j % 2 * 2 + 1);
      out[j / 4].word[j % 4] = pack_f16(a * raw.of.scale - raw.of.minimum, b * raw.of.scale - raw.of.minimum);
    }
  }
};

template <>
struct Slice<Type::kQ6_K> {
  struct Raw { Bytes16 low, high; float scale; int field; };
  static RETORT_DEVICE Raw load(const Matrix& w, std::int64_t row, int slice, int part) {
    const unsigned char* const block = block_at(w, row, slice / 8, 208);
    const int half = slice % 8 / 4, field = slice % 4;
    const float code = static_cast<float>(static_cast<std::int8_t>(block[192 + half * 8 + field * 2 + part]));
    return {load16_once(block + half * 64 + field % 2 * 32 + part * 16), load16_once(block + 128 + half * 32 + part * 16),
            scale_at(w, row, slice / 8) * code, field};
  }
  static RETORT_DEVICE void halves(const Raw& raw, int, Bytes16 (&out)[2]) {
    RETORT_UNROLL
    for (int j = 0; j < 8; ++j) {
      const std::uint32_t low = raw.low.word[j / 2] >> (raw.field < 2 ? 0 : 4) & 0x0f0f0f0fu;
      const std::uint32_t high = raw.high.word[j / 2] >> (2 * raw.field) & 0x03030303u;
      const std::uint32_t word = low | high << 4;
      const float a = byte_float(word, j % 2 * 2) - 32.0f, b = byte_float(word, j % 2 * 2 + 1) - 32.0f;
      out[j / 4].word[j % 4] = pack_f16(a * raw.scale, b * raw.scale);
    }
  }
};

}  // namespace retort::cuda
