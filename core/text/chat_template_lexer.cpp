#include "core/text/chat_template_lexer.h"

#include <algorithm>
#include <array>

#include "core/text/chat_template_value.h"
#include "core/text/unicode.h"

namespace retort::text::jinja {
namespace {

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }

std::string normalized_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') out += source[i];
    else if (out += '\n'; i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized_newlines(source)), in_(source_) {}

  std::vector<Token> run() {
    while (at_ < in_.size()) {
      const std::size_t tag = next_tag();
      std::string text(in_.substr(at_, tag - at_));
      const char sign = tag + 2 < in_.size() ? in_[tag + 2] : '\0';
      if (tag < in_.size()) control_left(text, sign, in_[tag + 1] == '{');
      add_text(text);
      count_lines(tag);
      if (tag >= in_.size()) break;
      const char kind = in_[tag + 1];
      count_lines(tag + 2 + (sign == '-' || (sign == '+' && kind != '{') ? 1 : 0));
      if (kind == '#') comment();
      else if (kind == '%' && raw_block()) continue;
      else tag_tokens(kind == '%');
      line_starting_ = at_ > 0 && in_[at_ - 1] == '\n';
    }
    tokens_.push_back({TokenKind::kEnd, "", line_});
    return std::move(tokens_);
  }

 private:
  std::size_t next_tag() const {
    for (std::size_t i = in_.find('{', at_); i != std::string_view::npos; i = in_.find('{', i + 1))
      if (i + 1 < in_.size() && (in_[i + 1] == '{' || in_[i + 1] == '%' || in_[i + 1] == '#')) return i;
    return in_.size();
  }

  // What the sign of the tag that follows does to the text before it.
  void control_left(std::string& text, char sign, bool output) const {
    if (sign == '-') {
      text = strip(text, nullptr, false, true);
    } else if (sign != '+' && !output) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
      if ((begin > 0 || line_starting_) && text.find_first_not_of(" \t", begin) == std::string::npos) text.resize(begin);
    }
  }

  void add_text(const std::string& text) {
    if (!text.empty()) tokens_.push_back({TokenKind::kText, text, line_});
  }

  void count_lines(std::size_t to) {
    line_ += static_cast<int>(std::count(in_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         in_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }

  void skip_space() {
    std::size_t to = at_;
    while (to < in_.size()) {
      const CodePoint c = code_point_at(in_, to);
      if (!is_python_space(c.value)) break;
      to += c.length;
    }
    count_lines(to);
  }

  // Goes past a closing delimiter that begins at at_, with the whitespace that it swallows.
  void close(std::size_t delimiter, char sign, bool trims_newline) {
    count_lines(at_ + delimiter);
    if (sign == '-') skip_space();
    else if (sign != '+' && trims_newline && at_ < in_.size() && in_[at_] == '\n') count_lines(at_ + 1);
  }

  void comment() {
    const std::size_t end = in_.find("#}", at_);
    if (end == std::string_view::npos) fail(ErrorCode::kCorrupt, "a comment without end", line_);
    const char sign = end > at_ ? in_[end - 1] : '\0';
    count_lines(end);
    close(2, sign, true);
  }

  // {% raw %} … {% endraw %}: its content is text. at_ stands behind "{%" and its sign.
  bool raw_block() {
    std::size_t i = skip_blanks(at_);
    if (in_.substr(i, 3) != "raw") return false;
    i = skip_blanks(i + 3);
    const char sign = i < in_.size() && in_[i] == '-' ? '-' : '\0';
    if (sign) ++i;
    if (in_.substr(i, 2) != "%}") return false;
    count_lines(i);
    close(2, sign, false);
    for (std::size_t tag = in_.find("{%", at_); tag != std::string_view::npos; tag = in_.find("{%", tag + 1)) {
      const char left = tag + 2 < in_.size() ? in_[tag + 2] : '\0';
      std::size_t j = skip_blanks(tag + 2 + (left == '-' || left == '+' ? 1 : 0));
      if (in_.substr(j, 6) != "endraw") continue;
      j = skip_blanks(j + 6);
      const char right = j < in_.size() && (in_[j] == '-' || in_[j] == '+') ? in_[j] : '\0';
      if (right) ++j;
      if (in_.substr(j, 2) != "%}") continue;
      std::string text(in_.substr(at_, tag - at_));
      line_starting_ = at_ > 0 && in_[at_ - 1] == '\n';
      control_left(text, left, false);
      add_text(text);
      count_lines(j);
      close(2, right, true);
      line_starting_ = at_ > 0 && in_[at_ - 1] == '\n';
      return true;
    }
    fail(ErrorCode::kCorrupt, "raw without endraw", line_);
  }

  std::size_t skip_blanks(std::size_t i) const {
    while (i < in_.size() && (in_[i] == ' ' || in_[i] == '\n' || in_[i] == '\t')) ++i;
    return i;
  }

  void tag_tokens(bool block) {
    tokens_.push_back({block ? TokenKind::kBlockBegin : TokenKind::kOutputBegin, "", line_});
    const std::string_view closing = block ? "%}" : "}}";
    int open = 0;  // brackets: inside them "}}" closes two dictionaries
    for (;;) {
      skip_space();
      if (at_ >= in_.size()) fail(ErrorCode::kCorrupt, "a tag without end", line_);
      const char c = in_[at_];
      if (open == 0) {
        const bool signed_end = (c == '-' || (c == '+' && block)) && in_.substr(at_ + 1, 2) == closing;
        if (signed_end || in_.substr(at_, 2) == closing) {
          tokens_.push_back({block ? TokenKind::kBlockEnd : TokenKind::kOutputEnd, "", line_});
          close(signed_end ? 3 : 2, signed_end ? c : '\0', block);
          return;
        }
      }
      if (c == '"' || c == '\'') string_literal(c);
      else if (is_digit(c)) number();
      else if (is_name_start(c)) name();
      else open += operator_token();
    }
  }

  void name() {
    std::size_t end = at_;
    while (end < in_.size() && is_name(in_[end])) ++end;
    tokens_.push_back({TokenKind::kName, std::string(in_.substr(at_, end - at_)), line_});
    at_ = end;
  }

  void number() {
    std::size_t end = at_;
    bool real = false;
    while (end < in_.size() && (is_digit(in_[end]) || in_[end] == '_')) ++end;
    if (end + 1 < in_.size() && in_[end] == '.' && is_digit(in_[end + 1])) {
      real = true;
      ++end;
      while (end < in_.size() && (is_digit(in_[end]) || in_[end] == '_')) ++end;
    }
    if (end < in_.size() && (in_[end] == 'e' || in_[end] == 'E')) {
      std::size_t exponent = end + 1;
      if (exponent < in_.size() && (in_[exponent] == '+' || in_[exponent] == '-')) ++exponent;
      if (exponent < in_.size() && is_digit(in_[exponent])) {
        real = true;
        end = exponent;
        while (end < in_.size() && is_digit(in_[end])) ++end;
      }
    }
    std::string text(in_.substr(at_, end - at_));
    std::erase(text, '_');
    tokens_.push_back({real ? TokenKind::kReal : TokenKind::kInteger, std::move(text), line_});
    at_ = end;
  }

  void string_literal(char quote) {
    std::string out;
    std::size_t i = at_ + 1;
    for (; i < in_.size() && in_[i] != quote; ++i) {
      if (in_[i] != '\\') {
        out += in_[i];
        continue;
      }
      if (++i >= in_.size()) break;
      i = escape(i, out);
    }
    if (i >= in_.size()) fail(ErrorCode::kCorrupt, "a string without end", line_);
    tokens_.push_back({TokenKind::kString, std::move(out), line_});
    count_lines(i + 1);
  }

  // Python's escapes. `i` is at the letter behind the backslash; returns the last place used.
  std::size_t escape(std::size_t i, std::string& out) const {
    const char c = in_[i];
    constexpr std::string_view kLetters = "ntrabfv'\"\\", kMeaning = "\n\t\r\a\b\f\v'\"\\";
    if (const std::size_t known = kLetters.find(c); known != std::string_view::npos) {
      out += kMeaning[known];
      return i;
    }
    if (c == '0') {
      out += '\0';
      return i;
    }
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const std::string_view hex = in_.substr(std::min(i + 1, in_.size()), digits);
    if (digits > 0 && hex.size() == digits && hex.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos) {
      append_utf8(out, static_cast<char32_t>(std::stoul(std::string(hex), nullptr, 16)));
      return i + digits;
    }
    if (c == '\n') return i;  // a continued line
    out += '\\';
    out += c;
    return i;
  }

  // Returns by how much brackets got deeper.
  int operator_token() {
    static constexpr std::array<std::string_view, 27> kOperators = {
        "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ",", ":", "|", "(", ")",
        "[", "]", "{", "}", ";", "@"};
    for (const std::string_view op : kOperators) {
      if (in_.substr(at_, op.size()) != op) continue;
      tokens_.push_back({TokenKind::kOperator, std::string(op), line_});
      at_ += op.size();
      if (op == "(" || op == "[" || op == "{") return 1;
      return op == ")" || op == "]" || op == "}" ? -1 : 0;
    }
    fail(ErrorCode::kCorrupt, "the character " + std::string(in_.substr(at_, 1)), line_);
  }

  std::string source_;
  std::string_view in_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the text before at_ ends a line
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace retort::text::jinja
