// Unicode facts that the tokenizer families ask for: UTF-8, general categories, normal forms, graphemes.
// Every function that takes text wants valid UTF-8; to_valid_utf8 makes it so. Thread-safe: no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort::text {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 1;  // bytes
};

// The code point at `at` (< text.size()). On invalid UTF-8: U+FFFD and the length of the bad part.
CodePoint code_point_at(std::string_view text, std::size_t at) noexcept;
// Surrogates and values above U+10FFFF become U+FFFD.
void append_utf8(std::string& out, char32_t code_point);
bool is_valid_utf8(std::string_view text) noexcept;
// Each maximal ill-formed part becomes one U+FFFD, as Rust's String::from_utf8_lossy and Python's "replace" do.
std::string to_valid_utf8(std::string_view text);
// Length of the longest prefix that doesn't cut a code point; the rest is the start of an unfinished one.
std::size_t complete_utf8_length(std::string_view text) noexcept;

bool is_whitespace(char32_t c) noexcept;         // White_Space
bool is_numeric(char32_t c) noexcept;            // Nd, Nl, No
bool is_word(char32_t c) noexcept;               // \w of UTS 18
bool is_bert_punctuation(char32_t c) noexcept;   // P and the symbols of ASCII
bool is_bert_control(char32_t c) noexcept;       // Cc, Cf, Co without tab, newline, return
bool is_cjk_ideograph(char32_t c) noexcept;      // the blocks that BERT separates
bool is_mark(char32_t c) noexcept;               // Mn, Mc, Me
bool is_nonspacing_mark(char32_t c) noexcept;    // Mn

// Full lower case without context (Σ is always σ), as char::to_lowercase in Rust.
std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);

enum class NormalForm : std::uint8_t { kNfc, kNfd, kNfkc, kNfkd };
// Linear up to the sorting of each run of combining marks.
std::string normal_form(std::string_view text, NormalForm form);

// Ends of the extended grapheme clusters, in bytes, ascending; the last is text.size().
std::vector<std::size_t> grapheme_ends(std::string_view text);

}  // namespace retort::text
