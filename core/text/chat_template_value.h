// Values of the template language: what Jinja templates compute with. Immutable, but for namespaces.
//
// The parts of the template engine report failures by throwing Failure; render_chat is the one place that catches it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace retort::text::jinja {

struct Failure {
  Error error;
};
// `line` 0: filled in by whoever knows it.
[[noreturn]] void fail(ErrorCode code, std::string found, int line = 0);

struct Value;
struct List;

struct Undefined {
  std::string name;  // for messages
};
struct None {};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  // By position or name; null when not given.
  const Value* find(std::size_t position, std::string_view name) const;
};

struct Callable {
  std::string name;
  std::function<Value(const Arguments&)> call;
};

struct Dict;  // keys in the order of insertion

struct Value {
  std::variant<Undefined, None, bool, std::int64_t, double, std::string, std::shared_ptr<const List>, std::shared_ptr<Dict>,
               std::shared_ptr<const Callable>>
      v = Undefined{};

  bool is_undefined() const noexcept { return v.index() == 0; }
  bool is_none() const noexcept { return v.index() == 1; }
  const bool* boolean() const noexcept { return std::get_if<bool>(&v); }
  const std::int64_t* integer() const noexcept { return std::get_if<std::int64_t>(&v); }
  const double* real() const noexcept { return std::get_if<double>(&v); }
  const std::string* string() const noexcept { return std::get_if<std::string>(&v); }
  const List* list() const noexcept;
  Dict* dict() const noexcept;
  const Callable* callable() const noexcept;
  bool is_number() const noexcept { return v.index() >= 2 && v.index() <= 4; }  // booleans count, as in Python
  double number() const noexcept;
  bool truthy() const;
};

struct List : std::vector<Value> {
  using vector::vector;
  bool is_tuple = false;  // prints with round brackets, and equals no list
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;
  bool is_namespace = false;
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(const Value& key, Value value);
};

Value make_string(std::string text);
Value make_list(List items);
Value make_tuple(List items);
Value make_dict(std::shared_ptr<Dict> dict);
Value make_callable(std::string name, std::function<Value(const Arguments&)> call);

std::string_view type_name(const Value& value);          // as Python says: "str", "int", "dict" …
bool equal(const Value& a, const Value& b);
int compare(const Value& a, const Value& b);             // −1, 0, 1; fails on kinds without an order
bool contains(const Value& container, const Value& item);
std::string to_text(const Value& value);                 // str(): what {{ … }} prints
std::string to_repr(const Value& value);                 // repr(): what stands inside printed lists
// json.dumps(…, ensure_ascii=False); indent < 0: on one line.
std::string to_json(const Value& value, int indent);
// What a for loop runs over: items, characters, keys. Fails on the rest.
List elements(const Value& value);
std::size_t length_of(const Value& value);
// The code points of a text, as strings.
std::vector<std::string> characters(std::string_view text);
// str.isspace of one code point.
bool is_python_space(char32_t c) noexcept;
std::string strip(std::string_view text, const std::string* set, bool left, bool right);

}  // namespace retort::text::jinja
