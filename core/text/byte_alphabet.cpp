#include "core/text/byte_alphabet.h"

#include <array>

#include "core/text/unicode.h"

namespace retort::text {
namespace {

constexpr bool is_printable(unsigned b) noexcept {
  return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<std::array<char, 2>, 256> utf8{};
  std::array<unsigned char, 256> length{};
  std::array<int, 512> byte{};  // −1 outside
};

// Printable Latin-1 stands for itself; the other 68 bytes take U+0100 onwards, in order.
constexpr Alphabet make_alphabet() noexcept {
  Alphabet a;
  for (int& b : a.byte) b = -1;
  unsigned next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    const unsigned c = is_printable(b) ? b : next++;
    a.character[b] = c;
    a.byte[c] = static_cast<int>(b);
    if (c < 0x80) {
      a.utf8[b] = {static_cast<char>(c), 0};
      a.length[b] = 1;
    } else {
      a.utf8[b] = {static_cast<char>(static_cast<unsigned char>(0xC0 | (c >> 6))),
                   static_cast<char>(static_cast<unsigned char>(0x80 | (c & 0x3F)))};
      a.length[b] = 2;
    }
  }
  return a;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string_view byte_character(unsigned char byte) noexcept {
  return {kAlphabet.utf8[byte].data(), kAlphabet.length[byte]};
}

std::optional<unsigned char> character_byte(char32_t c) noexcept {
  if (c >= kAlphabet.byte.size() || kAlphabet.byte[c] < 0) return std::nullopt;
  return static_cast<unsigned char>(kAlphabet.byte[c]);
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (const char c : bytes) out.append(byte_character(static_cast<unsigned char>(c)));
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    const std::optional<unsigned char> byte = character_byte(c.value);
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
    i += c.length;
  }
  return out;
}

}  // namespace retort::text
