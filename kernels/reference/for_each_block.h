// Walks over packed blocks that may lie unaligned.
#pragma once

#include <cstddef>
#include <cstring>

namespace retort::kernels::reference {

// decode_block(block, x): writes the `Size` elements of one block to x.
template <class Block, std::size_t Size, class F>
void for_each_block(const void* packed, float* out, std::size_t n, F decode_block) {
  const auto* bytes = static_cast<const unsigned char*>(packed);
  for (std::size_t b = 0; b < n / Size; ++b) {
    Block block;
    std::memcpy(&block, bytes + b * sizeof(Block), sizeof(Block));
    decode_block(block, out + b * Size);
  }
}

}  // namespace retort::kernels::reference
