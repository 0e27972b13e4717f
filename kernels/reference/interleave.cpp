// Stored blocks → interleaved groups (api/interleaved.h). Works on four bytes at a time: a 32-bit word holds one row's
// quad, and most of the work is moving nibbles and bits between words.
#include "kernels/api/interleaved.h"

#include <cstring>

#include "kernels/api/blocks.h"
#include "kernels/reference/k_scales.h"

namespace retort::kernels {
namespace {

std::uint32_t word(const void* from) {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// One row's place in a record: vectors of 4·rows bytes, of which it owns word `row`.
struct Slot {
  std::uint8_t* planes;
  int rows, row;
  void put(int vector, std::uint32_t value) const {
    std::memcpy(planes + static_cast<std::ptrdiff_t>(vector) * 4 * rows + 4 * row, &value, sizeof(value));
  }
};

constexpr std::uint32_t kLow = 0x0f0f0f0f, kHigh = 0xf0f0f0f0, kTwo = 0x03030303, kOne = 0x01010101;

// Blocks of 32 already hold element j + 16 above element j: their bytes only change place.
void put_nibbles32(const Slot& slot, const std::uint8_t* codes) {
  for (int v = 0; v < 4; ++v) slot.put(v, word(codes + 4 * v));
}

// The fifth bits, 32 in a word: byte j of the plane collects bits j, j + 4, …
void put_fifth_bits(const Slot& slot, const std::uint8_t* high) {
  const std::uint32_t bits = word(high);
  std::uint32_t plane = 0;
  for (int q = 0; q < 8; ++q) plane |= ((bits >> (4 * q) & 15) * 0x00204081u & kOne) << q;
  slot.put(4, plane);
}

// 32 nibbles of one run of 32 bytes (`upper`: their high halves) → 4 nibble vectors.
void put_nibbles(const Slot& slot, const std::uint8_t* bytes, bool upper) {
  for (int v = 0; v < 4; ++v) {
    const std::uint32_t a = word(bytes + 4 * v), b = word(bytes + 16 + 4 * v);
    slot.put(v, upper ? (a >> 4 & kLow) | (b & kHigh) : (a & kLow) | (b & kLow) << 4);
  }
}

// 32 two-bit fields, bits 2·field of 32 bytes → 2 vectors from `at`.
void put_two_bits(const Slot& slot, const std::uint8_t* bytes, int field, int at) {
  for (int h = 0; h < 2; ++h) {
    std::uint32_t plane = 0;
    for (int f = 0; f < 4; ++f) plane |= (word(bytes + 16 * h + 4 * f) >> (2 * field) & kTwo) << (2 * f);
    slot.put(at + h, plane);
  }
}

// 32 single bits, bit `field` of 32 bytes → 1 vector at `at`.
void put_one_bit(const Slot& slot, const std::uint8_t* bytes, int field, int at) {
  std::uint32_t plane = 0;
  for (int q = 0; q < 8; ++q) plane |= (word(bytes + 4 * q) >> field & kOne) << q;
  slot.put(at, plane);
}

void put_scale(std::uint8_t* record, int rows, int row, int index, std::uint16_t value) {
  std::memcpy(record + 2 * (index * rows + row), &value, sizeof(value));
}

// `count` sub-block entries of one row, two sub-blocks side by side.
void put_sub(std::uint8_t* sub, int rows, int row, const void* entries, int count) {
  const auto* const bytes = static_cast<const std::uint8_t*>(entries);
  for (int s = 0; s < count; ++s) sub[s / 2 * 2 * rows + 2 * row + s % 2] = bytes[s];
}

// The record of one block and where its parts begin.
struct Record {
  std::uint8_t* start;
  std::uint8_t* sub;
  std::uint8_t* planes;
  int rows, bits;
  Slot chunk(int index, int row) const {
    return {planes + static_cast<std::ptrdiff_t>(index) * bits * 4 * rows, rows, row};
  }
};

void put_block(const BlockQ4_0& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_nibbles32(record.chunk(0, row), block.codes);
}
void put_block(const BlockQ4_1& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_scale(record.start, record.rows, row, 1, block.m);
  put_nibbles32(record.chunk(0, row), block.codes);
}
void put_block(const BlockQ5_0& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_nibbles32(record.chunk(0, row), block.codes);
  put_fifth_bits(record.chunk(0, row), block.high);
}
void put_block(const BlockQ5_1& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_scale(record.start, record.rows, row, 1, block.m);
  put_nibbles32(record.chunk(0, row), block.codes);
  put_fifth_bits(record.chunk(0, row), block.high);
}
void put_block(const BlockQ8_0& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  for (int q = 0; q < 8; ++q) record.chunk(0, row).put(q, word(block.codes + 4 * q));
}
void put_block(const BlockQ2_K& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_scale(record.start, record.rows, row, 1, block.dmin);
  put_sub(record.sub, record.rows, row, block.scales, 16);
  for (int c = 0; c < 8; ++c) put_two_bits(record.chunk(c, row), block.codes + c / 4 * 32, c % 4, 0);
}
void put_block(const BlockQ3_K& block, const Record& record, int row) {
  std::int8_t scales[16];
  unpack_q3_k_scales(block.scales, scales);
  put_scale(record.start, record.rows, row, 0, block.d);
  put_sub(record.sub, record.rows, row, scales, 16);
  for (int c = 0; c < 8; ++c) {
    put_two_bits(record.chunk(c, row), block.codes + c / 4 * 32, c % 4, 0);
    put_one_bit(record.chunk(c, row), block.high, c, 2);
  }
}
void put_q4_k_scales(const std::uint8_t packed[12], const Record& record, int row) {
  std::uint8_t scales[8], minima[8];
  unpack_q4_k_scales(packed, scales, minima);
  put_sub(record.sub, record.rows, row, scales, 8);
  put_sub(record.sub + 8 * record.rows, record.rows, row, minima, 8);
}
void put_block(const BlockQ4_K& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_scale(record.start, record.rows, row, 1, block.dmin);
  put_q4_k_scales(block.scales, record, row);
  for (int c = 0; c < 8; ++c) put_nibbles(record.chunk(c, row), block.codes + c / 2 * 32, c % 2 == 1);
}
void put_block(const BlockQ5_K& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_scale(record.start, record.rows, row, 1, block.dmin);
  put_q4_k_scales(block.scales, record, row);
  for (int c = 0; c < 8; ++c) {
    put_nibbles(record.chunk(c, row), block.codes + c / 2 * 32, c % 2 == 1);
    put_one_bit(record.chunk(c, row), block.high, c, 4);
  }
}
void put_block(const BlockQ6_K& block, const Record& record, int row) {
  put_scale(record.start, record.rows, row, 0, block.d);
  put_sub(record.sub, record.rows, row, block.scales, 16);
  for (int c = 0; c < 8; ++c) {
    const int half = c / 4, field = c % 4;
    put_nibbles(record.chunk(c, row), block.low + half * 64 + field % 2 * 32, field >= 2);
    put_two_bits(record.chunk(c, row), block.high + half * 32, field, 4);
  }
}

struct GroupArgs {
  const std::uint8_t* stored;
  std::int64_t total_rows, columns, first_row;
  int rows;
  std::uint8_t* out;
};

template <class Block>
void interleave(TensorType type, const GroupArgs& args) {
  const InterleavedShape shape = interleaved_shape(type);
  const std::int64_t blocks = args.columns / shape.block;
  const std::ptrdiff_t record_bytes = static_cast<std::ptrdiff_t>(shape.row_bytes()) * args.rows;
  for (int row = 0; row < args.rows; ++row) {
    if (args.first_row + row >= args.total_rows) break;  // stays zero
    const std::uint8_t* const from =
        args.stored + (args.first_row + row) * blocks * static_cast<std::int64_t>(sizeof(Block));
    for (std::int64_t b = 0; b < blocks; ++b) {
      Block block;
      std::memcpy(&block, from + b * static_cast<std::int64_t>(sizeof(Block)), sizeof(Block));
      std::uint8_t* const start = args.out + b * record_bytes;
      std::uint8_t* const sub = start + shape.scale_bytes * args.rows;
      put_block(block, {start, sub, sub + shape.sub_bytes * args.rows, args.rows, shape.bits}, row);
    }
  }
}

void interleave_i8(const GroupArgs& args) {
  for (int row = 0; row < args.rows && args.first_row + row < args.total_rows; ++row) {
    const std::uint8_t* const from = args.stored + (args.first_row + row) * args.columns;
    for (std::int64_t k = 0; k < args.columns; ++k)
      args.out[k / 4 * 4 * args.rows + 4 * row + k % 4] = from[k];
  }
}

}  // namespace

void interleave_group(TensorType type, const void* stored, std::int64_t total_rows, std::int64_t columns,
                      std::int64_t first_row, int rows, void* out) noexcept {
  const GroupArgs args{static_cast<const std::uint8_t*>(stored), total_rows, columns, first_row, rows,
                       static_cast<std::uint8_t*>(out)};
  std::memset(out, 0, interleaved_group_bytes(type, columns, rows));
  switch (type) {
    case TensorType::kQ4_0: interleave<BlockQ4_0>(type, args); return;
    case TensorType::kQ4_1: interleave<BlockQ4_1>(type, args); return;
    case TensorType::kQ5_0: interleave<BlockQ5_0>(type, args); return;
    case TensorType::kQ5_1: interleave<BlockQ5_1>(type, args); return;
    case TensorType::kQ8_0: interleave<BlockQ8_0>(type, args); return;
    case TensorType::kQ2_K: interleave<BlockQ2_K>(type, args); return;
    case TensorType::kQ3_K: interleave<BlockQ3_K>(type, args); return;
    case TensorType::kQ4_K: interleave<BlockQ4_K>(type, args); return;
    case TensorType::kQ5_K: interleave<BlockQ5_K>(type, args); return;
    case TensorType::kQ6_K: interleave<BlockQ6_K>(type, args); return;
    case TensorType::kI8: interleave_i8(args); return;
    default: return;
  }
}

}  // namespace retort::kernels
