// How a weight lies in device memory. The stored blocks of Q4_0, Q8_0 and Q6_K have odd sizes, so their f16 scales are split
// off: what is left of a block is a multiple of 16 bytes and every load is one of 16 bytes. Rows of dense types are padded
// with zeros to a multiple of 32 columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/simt.h"

namespace retort::cuda {

enum class Type : std::uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_K, kQ6_K, kCount };

struct Layout {
  int block;          // weights of a block; 32 for dense types: what rows are padded to
  int stored;         // bytes of a block as GGUF stores it
  int body;           // bytes of a block without its scale; a multiple of 16
  int scale_at;       // where the f16 scale lies in the stored block; -1: it stays in the body
};

RETORT_BOTH constexpr Layout layout_of(Type type) {
  switch (type) {
    case Type::kF32: return {32, 128, 128, -1};
    case Type::kF16:
    case Type::kBF16: return {32, 64, 64, -1};
    case Type::kQ8_0: return {32, 34, 32, 0};
    case Type::kQ4_0: return {32, 18, 16, 0};
    case Type::kQ4_K: return {256, 144, 144, -1};
    case Type::kQ6_K: return {256, 210, 208, 208};
    case Type::kCount: break;
  }
  return {0, 0, 0, -1};
}

RETORT_BOTH constexpr bool is_dense(Type type) { return type == Type::kF32 || type == Type::kF16 || type == Type::kBF16; }
RETORT_BOTH constexpr int element_bytes(Type type) { return layout_of(type).stored / 32; }   // dense types

// A matrix [rows, columns] on the device.
struct Matrix {
  const unsigned char* body = nullptr;      // [rows, blocks, layout.body], on 16 bytes
  const std::uint16_t* scales = nullptr;    // [rows, blocks] f16; null where they stay in the body
  std::int32_t rows = 0, columns = 0;
  std::int32_t blocks = 0;                  // of a row
  Type type = Type::kF32;
};

struct MatrixBytes { std::uint64_t body, scales; };
inline MatrixBytes matrix_bytes(Type type, std::int64_t rows, std::int64_t columns) {
  const Layout l = layout_of(type);
  const std::uint64_t blocks = static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(divide_up(columns, l.block));
  return {blocks * static_cast<std::uint64_t>(l.body), l.scale_at < 0 ? 0 : blocks * 2};
}
// Bytes of rows as GGUF stores them; packed types: columns are whole blocks.
inline std::uint64_t stored_bytes(Type type, std::int64_t rows, std::int64_t columns) {
  const Layout l = layout_of(type);
  const std::uint64_t row = is_dense(type) ? static_cast<std::uint64_t>(columns * element_bytes(type))
                                           : static_cast<std::uint64_t>(columns / l.block * l.stored);
  return static_cast<std::uint64_t>(rows) * row;
}

// Host: `rows` stored rows into bodies and scales.
inline void split_rows(Type type, const unsigned char* stored, std::int64_t rows, std::int64_t columns, unsigned char* body,
                       unsigned char* scales) {
  const Layout l = layout_of(type);
  const std::int64_t blocks = divide_up(columns, l.block);
  if (is_dense(type)) {
    const std::size_t row = static_cast<std::size_t>(columns * element_bytes(type));
    const std::size_t padded = static_cast<std::size_t>(blocks * l.body);
    for (std::int64_t r = 0; r < rows; ++r, stored += row, body += padded) {
      std::memcpy(body, stored, row);
      std::memset(body + row, 0, padded - row);
    }
    return;
  }
  const std::size_t before = static_cast<std::size_t>(l.scale_at < 0 ? l.stored : l.scale_at);
  for (std::int64_t b = 0; b < rows * blocks; ++b, stored += l.stored, body += l.body) {
    std::memcpy(body, stored, before);
    if (l.scale_at < 0) continue;
    std::memcpy(scales, stored + before, 2);
    std::memcpy(body + before, stored + before + 2, static_cast<std::size_t>(l.stored) - before - 2);
    scales += 2;
  }
}

RETORT_DEVICE const unsigned char* block_at(const Matrix& w, std::int64_t row, int block, int body) {
  return w.body + (row * w.blocks + block) * body;
}
RETORT_DEVICE float scale_at(const Matrix& w, std::int64_t row, int block) { return f16_to_float(w.scales[row * w.blocks + block]); }

// The 6-bit scale and minimum of sub-block `sub` (0…7) of a Q4_K block, from its first 16 bytes.
struct ScaleAndMinimum { float scale, minimum; };
RETORT_DEVICE ScaleAndMinimum q4_k_scale(const Bytes16& head, int sub) {
  const float d = f16_to_float(half_of(head, 0)), dmin = f16_to_float(half_of(head, 1));
  // packed[i] is byte 4 + i: words 1, 2 and 3 hold packed[0…3], [4…7] and [8…11].
  const int shift = 8 * (sub % 4);
  const std::uint32_t a = head.word[1] >> shift & 255u, b = head.word[2] >> shift & 255u, c = head.word[3] >> shift & 255u;
  const std::uint32_t scale = sub < 4 ? a & 63u : (c & 15u) | a >> 6 << 4;
  const std::uint32_t minimum = sub < 4 ? b & 63u : c >> 4 | b >> 6 << 4;
  return {d * static_cast<float>(scale), dmin * static_cast<float>(minimum)};
}

// One element, decoded as the reference does, bit for bit: for tables that rows are looked up in.
RETORT_DEVICE float element_at(const Matrix& w, std::int64_t row, int column) {
  const Layout l = layout_of(w.type);
  const int i = column % l.block;
  const unsigned char* const block = block_at(w, row, column / l.block, l.body);
  switch (w.type) {
    case Type::kF32: return reinterpret_cast<const float*>(block)[i];
    case Type::kF16: return f16_to_float(reinterpret_cast<const std::uint16_t*>(block)[i]);
    case Type::kBF16: return bf16_to_float(reinterpret_cast<const std::uint16_t*>(block)[i]);
    case Type::kQ8_0: return static_cast<float>(static_cast<std::int8_t>(block[i])) * scale_at(w, row, column / 32);
    case Type::kQ4_0: {
      const int code = block[i % 16] >> (i / 16 * 4) & 15;
      return static_cast<float>(code - 8) * scale_at(w, row, column / 32);
    }
    case Type::kQ4_K: {
      Bytes16 head;
      memcpy(&head, block, 16);
      const ScaleAndMinimum s = q4_k_scale(head, i / 32);
      const int code = block[16 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
#ifdef __CUDA_ARCH__
      return __fsub_rn(__fmul_rn(s.scale, static_cast<float>(code)), s.minimum);   // not fused: as the reference rounds
#else
      return s.scale * static_cast<float>(code) - s.minimum;
#endif
    }
    case Type::kQ6_K: {
      const int half = i / 128, field = i % 128 / 32, at = i % 32;
      const int low = block[half * 64 + field % 2 * 32 + at] >> (field < 2 ? 0 : 4) & 15;
      const int high = block[128 + half * 32 + at] >> (2 * field) & 3;
      const float scale = static_cast<float>(static_cast<std::int8_t>(block[192 + i / 16]));
      return scale_at(w, row, column / 256) * scale * static_cast<float>((low | high << 4) - 32);
    }
    case Type::kCount: break;
  }
  return 0;
}

}  // namespace retort::cuda
