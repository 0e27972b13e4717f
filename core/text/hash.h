// A fast hash of short byte strings for the tables of this folder. Not for keeping: it may change.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace retort::text {

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_bytes(std::string_view bytes) noexcept {
  constexpr std::uint64_t kA = 0x9E3779B97F4A7C15ull, kB = 0xD6E8FEB86659FD93ull;
  std::uint64_t state = bytes.size() * kA + kB;
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; p += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    state = mix(state ^ word, kA);
  }
  if (left > 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, left);
    state = mix(state ^ word, kB);
  }
  return mix(state, kA);
}

inline std::uint64_t hash_pair(std::uint32_t a, std::uint32_t b) noexcept {
  return mix((static_cast<std::uint64_t>(a) << 32) | b, 0x9E3779B97F4A7C15ull);
}

}  // namespace retort::text
