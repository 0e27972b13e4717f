// Tests ("x is defined"), attribute and item access, operators, and the global functions.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

#include "core/text/chat_template_builtins.h"
#include "core/text/unicode.h"

namespace retort::text::jinja {
namespace {

const Value& first_argument(const Arguments& a, std::string_view test) {
  if (a.positional.empty()) fail(ErrorCode::kCorrupt, "the test " + std::string(test) + " without an argument");
  return a.positional[0];
}

std::int64_t whole(const Value& v, std::string_view test) {
  if (const auto* i = v.integer()) return *i;
  if (const bool* b = v.boolean()) return *b;
  fail(ErrorCode::kCorrupt, fmt::format("the test {} of {}", test, type_name(v)));
}

std::optional<bool> type_test(std::string_view name, const Value& v) {
  if (name == "defined") return !v.is_undefined();
  if (name == "undefined") return v.is_undefined();
  if (name == "none") return v.is_none();
  if (name == "string") return v.string() != nullptr;
  if (name == "mapping") return v.dict() != nullptr && !v.dict()->is_namespace;
  if (name == "sequence" || name == "iterable")
    return v.string() || v.list() || (v.dict() && !v.dict()->is_namespace) || v.is_undefined();
  if (name == "number") return v.is_number();
  if (name == "integer") return v.integer() != nullptr;
  if (name == "float") return v.real() != nullptr;
  if (name == "boolean") return v.boolean() != nullptr;
  if (name == "true") return v.boolean() && *v.boolean();
  if (name == "false") return v.boolean() && !*v.boolean();
  if (name == "callable") return v.callable() != nullptr;
  return std::nullopt;
}

// The signs of the comparison that each name accepts: −1, 0, 1 as bits 1, 2, 4.
std::optional<int> comparison_signs(std::string_view name) {
  if (name == "lt" || name == "<" || name == "lessthan") return 1;
  if (name == "le" || name == "<=") return 3;
  if (name == "gt" || name == ">" || name == "greaterthan") return 4;
  if (name == "ge" || name == ">=") return 6;
  return std::nullopt;
}

Value checked(bool overflowed, const std::int64_t& value) {
  if (overflowed) fail(ErrorCode::kUnsupported, "a whole number beyond 64 bits");
  return {value};
}

Value integer_operation(std::string_view op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (op == "+") return checked(__builtin_add_overflow(a, b, &out), out);
  if (op == "-") return checked(__builtin_sub_overflow(a, b, &out), out);
  if (op == "*") return checked(__builtin_mul_overflow(a, b, &out), out);
  if (op == "**") {
    if (b < 0) return {std::pow(static_cast<double>(a), static_cast<double>(b))};
    out = 1;
    for (std::int64_t i = 0; i < b; ++i) {
      if (a == 0 || a == 1 || a == -1) {
        out = a == -1 && b % 2 == 0 ? 1 : a;
        break;
      }
      if (__builtin_mul_overflow(out, a, &out)) fail(ErrorCode::kUnsupported, "a whole number beyond 64 bits");
    }
    return {out};
  }
  if (b == 0) fail(ErrorCode::kCorrupt, "a division by zero");
  if (a == INT64_MIN && b == -1) fail(ErrorCode::kUnsupported, "a whole number beyond 64 bits");
  // Python rounds down, and the remainder takes the divisor's sign.
  const std::int64_t quotient = a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
  return {op == "//" ? quotient : a - quotient * b};
}

Value real_operation(std::string_view op, double a, double b) {
  if (op == "+") return {a + b};
  if (op == "-") return {a - b};
  if (op == "*") return {a * b};
  if (op == "**") return {std::pow(a, b)};
  if (b == 0) fail(ErrorCode::kCorrupt, "a division by zero");
  if (op == "/") return {a / b};
  if (op == "//") return {std::floor(a / b)};
  return {a - std::floor(a / b) * b};
}

Value repeated(const Value& v, std::int64_t times) {
  const std::size_t n = times > 0 ? static_cast<std::size_t>(times) : 0;
  const std::size_t size = v.string() ? v.string()->size() : v.list()->size();
  if (size > 0 && n > (v.string() ? kMaxText : static_cast<std::size_t>(kMaxRange)) / size)
    fail(ErrorCode::kOutOfMemory, "a repetition beyond the limit");
  if (v.string()) {
    std::string out;
    for (std::size_t i = 0; i < n && size > 0; ++i) out += *v.string();
    return make_string(std::move(out));
  }
  List out;
  for (std::size_t i = 0; i < n && size > 0; ++i) out.insert(out.end(), v.list()->begin(), v.list()->end());
  return make_list(std::move(out));
}

Value range(const Arguments& a) {
  std::array<std::int64_t, 3> n{0, 0, 1};
  const std::size_t given = a.positional.size();
  if (given < 1 || given > 3) fail(ErrorCode::kCorrupt, "range with another number of arguments");
  for (std::size_t i = 0; i < given; ++i) n[given == 1 ? 1 : i] = whole(a.positional[i], "range");
  if (n[2] == 0) fail(ErrorCode::kCorrupt, "range with a step of 0");
  List out;
  for (std::int64_t i = n[0]; n[2] > 0 ? i < n[1] : i > n[1];) {
    if (static_cast<std::int64_t>(out.size()) >= kMaxRange) fail(ErrorCode::kUnsupported, "a range above 100,000");
    out.push_back({i});
    if (__builtin_add_overflow(i, n[2], &i)) break;
  }
  return make_list(std::move(out));
}

Value dictionary(const Arguments& a, bool is_namespace) {
  auto out = std::make_shared<Dict>();
  out->is_namespace = is_namespace;
  for (const Value& from : a.positional) {
    if (from.dict() == nullptr) fail(ErrorCode::kUnsupported, fmt::format("dict of {}", type_name(from)));
    for (const auto& [key, value] : from.dict()->items) out->set(key, value);
  }
  for (const auto& [key, value] : a.named) out->set(make_string(key), value);
  return make_dict(std::move(out));
}

Value strftime_now(const Arguments& a) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  std::array<char, 512> buffer{};
  const std::string format = a.positional.empty() ? "%Y-%m-%d" : to_text(a.positional[0]);
  const std::size_t n = std::strftime(buffer.data(), buffer.size(), format.c_str(), &parts);
  return make_string(std::string(buffer.data(), n));
}

}  // namespace

bool apply_test(std::string_view name, const Value& v, const Arguments& a) {
  if (const std::optional<bool> result = type_test(name, v)) return *result;
  if (const std::optional<int> signs = comparison_signs(name))
    return (*signs >> (compare(v, first_argument(a, name)) + 1)) & 1;
  if (name == "eq" || name == "equalto" || name == "==") return equal(v, first_argument(a, name));
  if (name == "ne" || name == "!=") return !equal(v, first_argument(a, name));
  if (name == "in") return contains(first_argument(a, name), v);
  if (name == "sameas") {
    const Value& other = first_argument(a, name);
    return v.v.index() == other.v.index() && equal(v, other);
  }
  if (name == "odd") return whole(v, name) % 2 != 0;
  if (name == "even") return whole(v, name) % 2 == 0;
  if (name == "divisibleby") {
    const std::int64_t by = whole(first_argument(a, name), name);
    if (by == 0) fail(ErrorCode::kCorrupt, "a division by zero");
    return by == -1 || whole(v, name) % by == 0;
  }
  const std::string text = to_text(v);
  if (name == "lower") return lower_case(text) == text && upper_case(text) != text;
  if (name == "upper") return upper_case(text) == text && lower_case(text) != text;
  fail(ErrorCode::kUnsupported, "the test " + std::string(name));
}

Value get_attribute(const Value& value, std::string_view name) {
  if (const auto* u = std::get_if<Undefined>(&value.v))
    fail(ErrorCode::kCorrupt, fmt::format("'{}' is undefined, and .{} was asked of it", u->name, name));
  if (!(value.dict() && value.dict()->is_namespace))
    if (std::optional<Value> method = find_method(value, name)) return *std::move(method);
  if (value.dict())
    if (const Value* found = value.dict()->find(name)) return *found;
  return {Undefined{std::string(name)}};
}

Value get_item(const Value& value, const Value& key) {
  if (const auto* u = std::get_if<Undefined>(&value.v))
    fail(ErrorCode::kCorrupt, fmt::format("'{}' is undefined, and [{}] was asked of it", u->name, to_repr(key)));
  if (const Dict* dict = value.dict())
    if (const Value* found = dict->find(key)) return *found;
  if (const std::int64_t* index = key.integer()) {
    const auto size = static_cast<std::int64_t>(value.list() || value.string() ? length_of(value) : 0);
    const std::int64_t at = *index < 0 ? *index + size : *index;
    if (at >= 0 && at < size)
      return value.list() ? (*value.list())[static_cast<std::size_t>(at)]
                          : make_string(characters(*value.string())[static_cast<std::size_t>(at)]);
  }
  if (key.string()) return get_attribute(value, *key.string());
  return {Undefined{to_repr(key)}};
}

Value binary(std::string_view op, const Value& a, const Value& b) {
  if (op == "~") {
    std::string text = to_text(a) + to_text(b);
    if (text.size() > kMaxText) fail(ErrorCode::kOutOfMemory, "a text above 16 MiB");
    return make_string(std::move(text));
  }
  if (a.is_number() && b.is_number()) {
    if (!a.real() && !b.real() && op != "/")
      return integer_operation(op, static_cast<std::int64_t>(a.integer() ? *a.integer() : *a.boolean()),
                               static_cast<std::int64_t>(b.integer() ? *b.integer() : *b.boolean()));
    return real_operation(op, a.number(), b.number());
  }
  if (op == "+" && a.string() && b.string()) {
    if (a.string()->size() + b.string()->size() > kMaxText) fail(ErrorCode::kOutOfMemory, "a text above 16 MiB");
    return make_string(*a.string() + *b.string());
  }
  if (op == "+" && a.list() && b.list()) {
    if (a.list()->size() + b.list()->size() > static_cast<std::size_t>(kMaxRange)) fail(ErrorCode::kOutOfMemory, "a list above 100,000");
    List out = *a.list();
    out.insert(out.end(), b.list()->begin(), b.list()->end());
    return make_list(std::move(out));
  }
  if (op == "*" && (a.string() || a.list()) && b.integer()) return repeated(a, *b.integer());
  if (op == "*" && (b.string() || b.list()) && a.integer()) return repeated(b, *a.integer());
  fail(ErrorCode::kCorrupt, fmt::format("{} {} {}", type_name(a), op, type_name(b)));
}

std::optional<Value> find_function(std::string_view name) {
  if (name == "range") return make_callable("range", range);
  if (name == "dict") return make_callable("dict", [](const Arguments& a) { return dictionary(a, false); });
  if (name == "namespace") return make_callable("namespace", [](const Arguments& a) { return dictionary(a, true); });
  if (name == "strftime_now") return make_callable("strftime_now", strftime_now);
  if (name == "raise_exception")
    return make_callable("raise_exception", [](const Arguments& a) -> Value {
      fail(ErrorCode::kBadArgument, a.positional.empty() ? "the template refuses this conversation" : to_text(a.positional[0]));
    });
  return std::nullopt;
}

}  // namespace retort::text::jinja
