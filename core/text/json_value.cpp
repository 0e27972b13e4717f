#include "core/text/json_value.h"

#include <nlohmann/json.hpp>

namespace retort::text {

const JsonValue* JsonValue::find(std::string_view key) const noexcept {
  const Object* members = object();
  if (members == nullptr) return nullptr;
  for (auto it = members->rbegin(); it != members->rend(); ++it)
    if (it->first == key) return &it->second;
  return nullptr;
}

std::string_view JsonValue::kind() const noexcept {
  constexpr std::string_view kKinds[] = {"null", "boolean", "number", "number", "string", "array", "object"};
  return kKinds[value.index()];
}

bool JsonBuilder::scalar(JsonValue value) {
  place(std::move(value), std::move(key_));
  return true;
}

bool JsonBuilder::begin(bool object) {
  if (open_.size() >= kMaxDepth) return false;
  JsonValue value;
  if (object) value.value = JsonValue::Object();
  else value.value = JsonValue::Array();
  open_.push_back({std::move(value), std::move(key_)});
  return true;
}

void JsonBuilder::end() {
  Open done = std::move(open_.back());
  open_.pop_back();
  place(std::move(done.value), std::move(done.key));
}

void JsonBuilder::place(JsonValue value, std::string key) {
  if (open_.empty()) {
    root_ = std::move(value);
  } else if (auto* members = std::get_if<JsonValue::Object>(&open_.back().value.value)) {
    members->emplace_back(std::move(key), std::move(value));
  } else {
    std::get<JsonValue::Array>(open_.back().value.value).push_back(std::move(value));
  }
}

namespace {

// nlohmann's events, handed on to a JsonBuilder.
class Events : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return builder.scalar({}); }
  bool boolean(bool value) override { return builder.scalar({value}); }
  bool number_integer(number_integer_t value) override { return builder.scalar({std::int64_t{value}}); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<std::uint64_t>(INT64_MAX)) return builder.scalar({static_cast<double>(value)});
    return builder.scalar({static_cast<std::int64_t>(value)});
  }
  bool number_float(number_float_t value, const string_t&) override { return builder.scalar({value}); }
  bool string(string_t& value) override { return builder.scalar({std::move(value)}); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return nested(builder.begin(true)); }
  bool start_array(std::size_t) override { return nested(builder.begin(false)); }
  bool key(string_t& value) override {
    builder.key(std::move(value));
    return true;
  }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::json::exception& e) override {
    position = at;
    message = e.what();
    return false;
  }

  JsonBuilder builder;
  std::size_t position = 0;
  std::string message;

 private:
  bool end() {
    builder.end();
    return true;
  }
  bool nested(bool ok) {
    if (!ok) message = "nested more than " + std::to_string(JsonBuilder::kMaxDepth) + " deep";
    return ok;
  }
};

}  // namespace

Result<JsonValue> parse_json(std::string_view text, std::string_view place) {
  Events events;
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &events)) return events.builder.take();
  return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .offset = events.position,
               .expected = "valid JSON", .found = events.message};
}

}  // namespace retort::text
