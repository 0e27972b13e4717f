// Oniguruma's Ruby syntax, as tokenizer files use it, rewritten for PCRE2. What both read alike passes unchanged.
#include <algorithm>
#include <optional>

#include "core/text/regex.h"
#include "core/text/unicode.h"

namespace retort::text {
namespace {

// The contents of a character class for each shorthand, as Oniguruma 6.9 defines it (checked over all code points).
// Each ends in a property, so that a hyphen behind it stays a hyphen.
constexpr std::string_view kSpace = R"(\t-\r\x{85}\x{2028}\x{2029}\p{Zs})";
constexpr std::string_view kWord =
    R"(\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}\p{M}\p{Nd}\p{Nl}\p{Pc}\p{L})";
// Outside of classes Oniguruma asks its Latin-1 table, which takes ² ³ ¹ ¼ ½ ¾ for word characters.
constexpr std::string_view kLatin1Word = R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
constexpr std::string_view kDigit = R"(\p{Nd})";
constexpr std::string_view kHex = "0-9a-fA-F";

std::optional<std::string_view> shorthand(char c) {
  switch (c) {
    case 's': case 'S': return kSpace;
    case 'w': case 'W': return kWord;
    case 'd': case 'D': return kDigit;
    case 'h': case 'H': return kHex;
    default: return std::nullopt;
  }
}

std::optional<std::string_view> posix_class(std::string_view name) {
  if (name == "alpha") return R"(\p{L}\p{Nl})";
  if (name == "alnum") return R"(\p{L}\p{Nl}\p{Nd})";
  if (name == "digit") return kDigit;
  if (name == "space") return kSpace;
  if (name == "punct") return R"(\p{P}\p{S})";
  if (name == "upper") return R"(\p{Lu})";
  if (name == "lower") return R"(\p{Ll})";
  if (name == "word") return kWord;
  if (name == "xdigit") return kHex;
  if (name == "cntrl") return R"(\p{Cc})";
  if (name == "blank") return R"(\t\p{Zs})";
  return std::nullopt;
}

constexpr std::size_t kMaxPattern = 1 << 20;
constexpr int kMaxNesting = 50;

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view place) : in_(pattern), place_(place) {}

  Result<std::string> run() {
    if (in_.size() > kMaxPattern) return error("at most 1 MiB", "a longer expression");
    std::vector<std::size_t> groups;  // where each open group begins in out_
    std::size_t atom = 0;             // where the newest atom begins: what a quantifier applies to
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        atom = out_.size();
        RETORT_CHECK(escape());
      } else if (c == '[') {
        atom = out_.size();
        RETORT_TRY(const std::string set, char_class(0));
        out_ += set;
      } else if (c == '(') {
        groups.push_back(out_.size());
        open_group();
        atom = out_.size();
      } else if (c == ')') {
        out_ += c;
        ++at_;
        if (!groups.empty()) {
          atom = groups.back();
          groups.pop_back();
        }
      } else if (c == '{' && stacked_interval(atom)) {
      } else {
        if (c != '*' && c != '+' && c != '?' && c != '{') atom = out_.size();
        const std::size_t length = code_point_at(in_, at_).length;
        out_.append(in_.substr(at_, length));
        at_ += length;
      }
    }
    return std::move(out_);
  }

 private:
  Error error(std::string expected, std::string found) const {
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place_), .expected = std::move(expected),
                 .found = std::move(found) + " in " + std::string(in_.substr(0, 200))};
  }

  char peek(std::size_t ahead) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  // \uHHHH, at the backslash.
  std::optional<std::string> unicode_escape() {
    if (peek(1) != 'u' || at_ + 6 > in_.size()) return std::nullopt;
    const std::string_view digits = in_.substr(at_ + 2, 4);
    if (digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return std::nullopt;
    at_ += 6;
    return "\\x{" + std::string(digits) + "}";
  }

  // \p{…} or \P{…}, at the backslash. Long names that PCRE2 10.42 spells otherwise are mapped.
  std::optional<std::string> property() {
    if ((peek(1) != 'p' && peek(1) != 'P') || peek(2) != '{') return std::nullopt;
    const std::size_t close = in_.find('}', at_);
    if (close == std::string_view::npos) return std::nullopt;
    std::string name(in_.substr(at_ + 3, close - at_ - 3));
    bool negated = peek(1) == 'P';
    if (!name.empty() && name[0] == '^') {
      negated = !negated;
      name.erase(0, 1);
    }
    at_ = close + 1;
    struct Alias { std::string_view from, to; };
    static constexpr Alias kAliases[] = {
        {"Letter", "L"}, {"Mark", "M"}, {"Number", "N"}, {"Punctuation", "P"}, {"Punct", "P"}, {"Symbol", "S"},
        {"Separator", "Z"}, {"Other", "C"}, {"Uppercase_Letter", "Lu"}, {"Lowercase_Letter", "Ll"},
        {"Titlecase_Letter", "Lt"}, {"Modifier_Letter", "Lm"}, {"Other_Letter", "Lo"}, {"Nonspacing_Mark", "Mn"},
        {"Spacing_Mark", "Mc"}, {"Enclosing_Mark", "Me"}, {"Decimal_Number", "Nd"}, {"Letter_Number", "Nl"},
        {"Other_Number", "No"}, {"Alpha", "Alphabetic"}, {"Digit", "Nd"}, {"Upper", "Uppercase"}, {"Lower", "Lowercase"}};
    for (const Alias& alias : kAliases)
      if (name == alias.from) name = alias.to;
    // A bare script name means the script itself here, and the script extensions in PCRE2.
    static constexpr std::string_view kNoScripts[] = {
        "Any", "ASCII", "Alphabetic", "Uppercase", "Lowercase", "White_Space", "Cased", "Math", "Dash", "Emoji", "ID_Start",
        "ID_Continue", "XID_Start", "XID_Continue", "Hex_Digit", "Ideographic", "Emoji_Presentation", "Extended_Pictographic"};
    if (name.size() > 2 && std::find(std::begin(kNoScripts), std::end(kNoScripts), name) == std::end(kNoScripts))
      name = "sc:" + name;
    return (negated ? "\\P{" : "\\p{") + name + "}";
  }

  Result<void> escape() {
    if (at_ + 1 >= in_.size()) return error("a character after the backslash", "the end");
    const char c = peek(1);
    if (const auto set = shorthand(c)) {
      out_ += c >= 'a' ? "[" : "[^";
      if (c == 'w' || c == 'W') out_ += kLatin1Word;
      out_ += *set;
      out_ += "]";
      at_ += 2;
    } else if (c == 'b' || c == 'B') {
      const std::string word = "[" + std::string(kLatin1Word) + std::string(kWord) + "]";
      const std::string edge = "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))";
      out_ += c == 'b' ? edge : "(?!" + edge + ")";
      at_ += 2;
    } else if (const auto escaped = unicode_escape()) {
      out_ += *escaped;
    } else if (const auto named = property()) {
      out_ += *named;
    } else {
      out_ += '\\';
      const std::size_t length = code_point_at(in_, at_ + 1).length;
      out_.append(in_.substr(at_ + 1, length));
      at_ += 1 + length;
    }
    return {};
  }

  // In Ruby (?m) lets the dot match newlines, which PCRE2 calls s. Other flags and groups mean the same.
  void open_group() {
    out_ += '(';
    ++at_;
    if (peek(0) != '?') return;
    std::size_t end = at_ + 1;
    while (end < in_.size() && (in_[end] == '-' || (in_[end] >= 'a' && in_[end] <= 'z'))) ++end;
    if (end == at_ + 1 || end >= in_.size() || (in_[end] != ':' && in_[end] != ')')) return;
    for (; at_ < end; ++at_) out_ += in_[at_] == 'm' ? 's' : in_[at_];
  }

  // x{1,3}+ : for Ruby one or more of x{1,3}, for PCRE2 a possessive interval. Says whether it took the interval.
  bool stacked_interval(std::size_t atom) {
    const std::size_t close = in_.find('}', at_);
    if (close == std::string_view::npos || close + 1 >= in_.size() || in_[close + 1] != '+') return false;
    const std::string_view inside = in_.substr(at_ + 1, close - at_ - 1);
    if (inside.empty() || inside.find_first_not_of("0123456789,") != std::string_view::npos) return false;
    out_.insert(atom, "(?:");
    out_ += "{" + std::string(inside) + "})+";
    at_ = close + 2;
    return true;
  }

  struct Operand {
    std::string simple;                // goes between [ and ]
    std::vector<std::string> complex;  // whole expressions of one character each
  };

  static std::string expression(const Operand& operand) {
    if (operand.complex.empty()) return operand.simple.empty() ? "(?!)" : "[" + operand.simple + "]";
    std::string out = "(?:";
    if (!operand.simple.empty()) out += "[" + operand.simple + "]|";
    for (std::size_t i = 0; i < operand.complex.size(); ++i) out += (i ? "|" : "") + operand.complex[i];
    return out + ")";
  }

  // A class at '[', to an expression that matches one character. Simple ones stay one class.
  Result<std::string> char_class(int depth) {
    if (depth > kMaxNesting) return error("classes nested at most 50 deep", "more");
    ++at_;
    const bool negated = peek(0) == '^';
    if (negated) ++at_;
    std::vector<Operand> operands(1);
    bool first = true;
    for (;; first = false) {
      if (at_ >= in_.size()) return error("]", "the end");
      const char c = in_[at_];
      if (c == ']' && !first) break;
      if (c == '&' && peek(1) == '&') {
        at_ += 2;
        operands.emplace_back();
        continue;
      }
      RETORT_CHECK(class_item(operands.back(), depth));
    }
    ++at_;
    if (operands.size() == 1 && operands[0].complex.empty())
      return (negated ? "[^" : "[") + operands[0].simple + "]";
    std::string all;
    for (std::size_t i = 0; i + 1 < operands.size(); ++i) all += "(?=" + expression(operands[i]) + ")";
    all += expression(operands.back());
    return negated ? "(?:(?!" + all + ")[\\x{0}-\\x{10FFFF}])" : "(?:" + all + ")";
  }

  Result<void> class_item(Operand& operand, int depth) {
    const char c = in_[at_];
    if (c == '[' && peek(1) == ':') {
      const std::size_t close = in_.find(":]", at_ + 2);
      if (close != std::string_view::npos) {
        std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
        const bool inverted = !name.empty() && name[0] == '^';
        if (inverted) name.remove_prefix(1);
        if (const auto set = posix_class(name)) {
          if (inverted) operand.complex.push_back("[^" + std::string(*set) + "]");
          else operand.simple += *set;
          at_ = close + 2;
          return {};
        }
      }
    }
    if (c == '[') {
      RETORT_TRY(std::string nested, char_class(depth + 1));
      operand.complex.push_back(std::move(nested));
      return {};
    }
    if (c == '\\') return class_escape(operand);
    const std::size_t length = code_point_at(in_, at_).length;
    operand.simple.append(in_.substr(at_, length));
    at_ += length;
    return {};
  }

  Result<void> class_escape(Operand& operand) {
    if (at_ + 1 >= in_.size()) return error("a character after the backslash", "the end");
    const char c = peek(1);
    if (const auto set = shorthand(c)) {
      if (c >= 'a') operand.simple += *set;
      else operand.complex.push_back("[^" + std::string(*set) + "]");
      at_ += 2;
    } else if (const auto escaped = unicode_escape()) {
      operand.simple += *escaped;
    } else if (const auto named = property()) {
      operand.simple += *named;
    } else {
      operand.simple += '\\';
      const std::size_t length = code_point_at(in_, at_ + 1).length;
      operand.simple.append(in_.substr(at_ + 1, length));
      at_ += 1 + length;
    }
    return {};
  }

  std::string_view in_;
  std::string_view place_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> translate_oniguruma(std::string_view pattern, std::string_view place) {
  if (!is_valid_utf8(pattern))
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .expected = "UTF-8 text"};
  return Translator(pattern, place).run();
}

}  // namespace retort::text
