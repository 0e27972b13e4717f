#include "core/formats/json_text.h"

#include <algorithm>
#include <unordered_set>

#include "core/formats/byte_reader.h"

namespace retort::formats {
namespace {

using nlohmann::json;

// Deepest nesting of brackets outside strings, without recursion.
int depth_of(std::string_view text) noexcept {
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

// Where the parser gave up: a SAX pass that builds nothing.
class FailurePoint : public nlohmann::json_sax<json> {
 public:
  std::size_t position = 0;
  std::string message;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t at, const std::string& last, const json::exception&) override {
    position = at;
    message = last;
    return false;
  }
};

}  // namespace

Result<json> parse_json(std::string_view text, const std::string& file, std::string_view place, std::uint64_t base) {
  const auto corrupt = [&](std::uint64_t at, std::string expected, std::string found) {
    return Error{.code = ErrorCode::kCorrupt,
                 .file = file,
                 .place = std::string(place),
                 .offset = base + at,
                 .expected = std::move(expected),
                 .found = std::move(found)};
  };
  if (const int depth = depth_of(text); depth > kJsonMaxDepth)
    return corrupt(0, "JSON nested at most " + std::to_string(kJsonMaxDepth) + " deep", std::to_string(depth));

  std::unordered_set<std::string> keys;
  std::string twice;
  const auto callback = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth == 1 && event == json::parse_event_t::key && !keys.insert(parsed.get_ref<const std::string&>()).second)
      twice = parsed.get_ref<const std::string&>();
    return true;
  };
  json document = json::parse(text.begin(), text.end(), callback, /*allow_exceptions=*/false);
  if (document.is_discarded()) {
    FailurePoint failure;
    json::sax_parse(text.begin(), text.end(), &failure);
    return corrupt(failure.position, "valid JSON", "near '" + printable(failure.message) + "'");
  }
  if (!twice.empty()) return corrupt(0, "each key once", "\"" + printable(twice) + "\" twice");
  return document;
}

}  // namespace retort::formats
