// Result<T>: a value or an Error, for everything that input or the machine can cause.
// Asserts are for our own bugs; core prints nothing and never aborts.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace retort {

// Codes are stable: the command line maps them to exit codes, the window to remedies.
enum class ErrorCode : std::uint8_t {
  kNotFound,          // a file, tensor, candidate or key does not exist
  kPermission,        // may not read or write
  kRead,              // reading failed half way
  kWrite,             // writing failed half way
  kDiskFull,          // no room left on the disk
  kOutOfMemory,       // does not fit the memory
  kTruncated,         // the file ends before what it promises
  kCorrupt,           // the bytes contradict the format
  kForeign,           // not a file of a known format
  kUnsupported,       // a known format or model, but a part that Retort does not do
  kMissingPart,       // a folder lacks a file that it needs (tokenizer.json, config.json, a shard)
  kBadShape,          // a shape differs from what the architecture says
  kNonFinite,         // NaN or infinity where numbers are needed
  kBadArgument,       // the caller's wish makes no sense
  kBadData,           // a data set that cannot be used for this
  kBadRecipe,         // a recipe that does not validate
  kConflict,          // another process holds it, or two roles overlap
  kCanceled,          // stopped by the user
  kChildFailed,       // a measuring process ended without a result
  kCheckFailed,       // a verification said no
  kInternal,          // our own bug, reported instead of a crash
};

// What went wrong, as data. error_text() in error_text.h makes the sentence.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string file{};                    // path, when a file is concerned
  std::string place{};                   // tensor, key, line, stage …
  std::optional<std::uint64_t> offset{}; // bytes from the start of the file
  std::string expected{};                // what should have been there
  std::string found{};                   // what was
  std::string next_step{};               // overrides the code's usual advice when set
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & { assert(ok()); return std::get<0>(state_); }
  const T& value() const& { assert(ok()); return std::get<0>(state_); }
  T&& value() && { assert(ok()); return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { assert(!ok()); return std::get<1>(state_); }
  Error&& error() && { assert(!ok()); return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return ok(); }
  const Error& error() const& { assert(!ok()); return *error_; }
  Error&& error() && { assert(!ok()); return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

// RETORT_TRY(auto x, f()): x is f()'s value, or the function returns f()'s error.
#define RETORT_CONCAT_(a, b) a##b
#define RETORT_CONCAT(a, b) RETORT_CONCAT_(a, b)
#define RETORT_TRY(declaration, expression) \
  RETORT_TRY_(RETORT_CONCAT(retort_result_, __LINE__), declaration, expression)
#define RETORT_TRY_(result, declaration, expression)      \
  auto result = (expression);                             \
  if (!result.ok()) return std::move(result).error();     \
  declaration = std::move(result).value()
// RETORT_CHECK(f()): for Result<void>.
#define RETORT_CHECK(expression)                                        \
  do {                                                                  \
    auto retort_check_ = (expression);                                  \
    if (!retort_check_.ok()) return std::move(retort_check_).error();   \
  } while (false)

}  // namespace retort
