// The GPT-2 alphabet: each byte stands as one printable character, so that any bytes are text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace retort::text {

// The character of a byte, as UTF-8 (1 or 2 bytes).
std::string_view byte_character(unsigned char byte) noexcept;
// The byte of a character; nullopt outside the alphabet.
std::optional<unsigned char> character_byte(char32_t c) noexcept;
// "a b" → "aĠb".
std::string to_byte_alphabet(std::string_view bytes);
// The inverse; nullopt when a character lies outside the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace retort::text
