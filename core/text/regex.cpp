#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/text/regex.h"

#include <pcre2.h>

#include <array>

#include "core/text/unicode.h"

namespace retort::text {

struct FreeCode { void operator()(pcre2_code* p) const noexcept { pcre2_code_free(p); } };

namespace {

struct FreeData { void operator()(pcre2_match_data* p) const noexcept { pcre2_match_data_free(p); } };
struct FreeContext { void operator()(pcre2_match_context* p) const noexcept { pcre2_match_context_free(p); } };
struct FreeStack { void operator()(pcre2_jit_stack* p) const noexcept { pcre2_jit_stack_free(p); } };

// A pattern out of a file may backtrack without end; these limits stop it within about a second.
constexpr std::uint32_t kMatchLimit = 20'000'000;
constexpr std::uint32_t kHeapLimitKib = 512 * 1024;

// Match state that belongs to one thread and serves every pattern.
struct Scratch {
  std::unique_ptr<pcre2_match_data, FreeData> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack{pcre2_jit_stack_create(32 * 1024, 16 * 1024 * 1024, nullptr)};
  std::unique_ptr<pcre2_match_context, FreeContext> context{pcre2_match_context_create(nullptr)};
  Scratch() {
    if (!context) return;
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

Scratch& scratch() {
  thread_local Scratch instance;
  return instance;
}

std::string pcre_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, FreeCode> code;
  bool jit = false;

  bool find(std::string_view subject, std::size_t from, Match& match) const {
    Scratch& s = scratch();
    if (!s.data || !s.context) return false;
    const auto* bytes = reinterpret_cast<PCRE2_SPTR>(subject.data());
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (jit)
      rc = pcre2_jit_match(code.get(), bytes, subject.size(), from, PCRE2_NO_UTF_CHECK, s.data.get(), s.context.get());
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)  // deep nesting: the interpreter keeps its state on the heap
      rc = pcre2_match(code.get(), bytes, subject.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s.data.get(),
                       s.context.get());
    if (rc < 0) return false;
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(s.data.get());
    match = {ends[0], ends[1]};
    return match.begin <= match.end;  // \K in a lookahead can turn them round
  }
};

Regex::Regex(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern, std::string_view place) {
  RETORT_TRY(const std::string translated, translate_oniguruma(pattern, place));
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Ruby's ^ and $ match at every line.
  pcre2_code* raw = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (raw == nullptr)
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .expected = "a regular expression",
                 .found = pcre_message(error) + " in " + std::string(pattern.substr(0, 200))};
  auto code = std::make_unique<Code>();
  code->code.reset(raw);
  code->jit = pcre2_jit_compile(raw, PCRE2_JIT_COMPLETE) == 0;
  return Regex(std::move(code));
}

Result<Regex> Regex::literal(std::string_view text, std::string_view place) {
  return compile(escape_regex(text), place);
}

void Regex::find_all(std::string_view subject, std::vector<Match>& out) const {
  std::size_t from = 0;
  bool matched_before = false;
  std::size_t previous_end = 0;
  Match match;
  while (from <= subject.size() && code_->find(subject, from, match)) {
    if (match.begin == match.end && matched_before && match.end == previous_end) {
      from = from < subject.size() ? from + code_point_at(subject, from).length : from + 1;
      continue;
    }
    out.push_back(match);
    matched_before = true;
    from = previous_end = match.end;
  }
}

std::string escape_regex(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (std::string_view("\\.+*?()|[]{}^$#&-~/ ").find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

}  // namespace retort::text
