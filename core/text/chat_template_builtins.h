// What templates may call: filters, tests, methods of values, and the functions that transformers provides.
// All throw Failure; without a line, which the renderer adds.
#pragma once

#include <optional>
#include <string_view>

#include "core/text/chat_template_value.h"

namespace retort::text::jinja {

constexpr std::size_t kMaxText = std::size_t{16} << 20;  // bytes of any one text or of the output
constexpr std::int64_t kMaxRange = 100'000;              // as Jinja's sandbox

// Calls a filter on `value`. Filters that call filters or tests by name (map, select …) come back here.
Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments);
bool apply_test(std::string_view name, const Value& value, const Arguments& arguments);
// The method of a string, list or dictionary, bound to it; nullopt when there is none by that name.
std::optional<Value> find_method(const Value& value, std::string_view name);
// value.name and value[key] as templates see them; undefined when absent. Fails on an undefined `value`.
Value get_attribute(const Value& value, std::string_view name);
Value get_item(const Value& value, const Value& key);
// + - * / // % ** ~
Value binary(std::string_view op, const Value& a, const Value& b);
// range, dict, namespace, raise_exception, strftime_now.
std::optional<Value> find_function(std::string_view name);

}  // namespace retort::text::jinja
