// Templates cut into text and the tokens of tags, with Jinja's whitespace control as transformers sets it
// (trim_blocks and lstrip_blocks on, one trailing newline dropped).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace retort::text::jinja {

enum class TokenKind {
  kText,          // literal output
  kOutputBegin,   // {{
  kOutputEnd,
  kBlockBegin,    // {%
  kBlockEnd,
  kName,
  kString,        // text is the decoded literal
  kInteger,
  kReal,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

// Throws Failure: kCorrupt with the line (an unclosed tag or string, a stray character).
std::vector<Token> tokenize(std::string_view source);

}  // namespace retort::text::jinja
