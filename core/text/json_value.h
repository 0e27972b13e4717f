// JsonValue: a JSON document as plain values, for the files of this folder. Object members keep their order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace retort::text {

struct JsonValue {
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value = nullptr;

  bool is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(value); }
  const bool* boolean() const noexcept { return std::get_if<bool>(&value); }
  const std::int64_t* integer() const noexcept { return std::get_if<std::int64_t>(&value); }
  const std::string* string() const noexcept { return std::get_if<std::string>(&value); }
  const Array* array() const noexcept { return std::get_if<Array>(&value); }
  const Object* object() const noexcept { return std::get_if<Object>(&value); }
  // The member of an object; null when this is no object or has none. Of equal keys the last counts.
  const JsonValue* find(std::string_view key) const noexcept;
  std::string_view kind() const noexcept;  // "null", "boolean", "number", "string", "array", "object"
};

// Builds a value from the events of a parser. Says false when the nesting is deeper than kMaxDepth.
class JsonBuilder {
 public:
  static constexpr std::size_t kMaxDepth = 100;
  bool scalar(JsonValue value);
  bool begin(bool object);
  void key(std::string key) { key_ = std::move(key); }
  void end();
  JsonValue take() { return std::move(root_); }

 private:
  struct Open {
    JsonValue value;
    std::string key;  // under which it goes into its parent
  };
  void place(JsonValue value, std::string key);
  std::vector<Open> open_;
  std::string key_;
  JsonValue root_;
};

// Errors: kCorrupt with the byte; `place` names the file or key.
Result<JsonValue> parse_json(std::string_view text, std::string_view place);

}  // namespace retort::text
