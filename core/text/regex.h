// Regular expressions as tokenizer files mean them: Oniguruma's Ruby syntax, run by PCRE2 with its JIT.
// Const after compiling; one instance serves all threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace retort::text {

// Rewrites what PCRE2 reads otherwise: \s \w \d \h \b, character-class intersections and nesting, \uHHHH,
// the m flag, stacked interval quantifiers. Errors: kUnsupported, kCorrupt (an unclosed class …); `place` names the key.
Result<std::string> translate_oniguruma(std::string_view pattern, std::string_view place);
// The literal text as a pattern.
std::string escape_regex(std::string_view literal);

struct Match {
  std::size_t begin = 0, end = 0;
};

class Regex {
 public:
  // `pattern` in Oniguruma syntax. Errors: kCorrupt (does not compile), kUnsupported; `place` names the key.
  static Result<Regex> compile(std::string_view pattern, std::string_view place);
  static Result<Regex> literal(std::string_view text, std::string_view place);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // Appends all matches from left to right. An empty match right after another match is not one. `subject` is valid
  // UTF-8 and is all that the expression sees. A pattern that runs out of its work limits matches nothing further.
  void find_all(std::string_view subject, std::vector<Match>& out) const;

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace retort::text
