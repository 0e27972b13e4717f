#include "core/model/inspect_config.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/formats/json_text.h"

namespace retort {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kLongest = 4000;     // bytes of a value
constexpr std::size_t kShown = 12;         // elements of a list
constexpr int kDeepest = 16;               // objects within objects that are opened

// At most kLongest bytes, cut between characters.
std::string shortened(std::string text) {
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text + " …";
}

std::string dumped(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : formats::json_text(value);
}

std::string list_text(const ordered_json& list) {
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(list.size(), kShown); ++i) text += (i > 0 ? ", " : "") + shortened(dumped(list[i]));
  return text + (list.size() > kShown ? ", …]" : "]");
}

class JsonEntries {
 public:
  JsonEntries(std::string source, std::vector<ConfigEntry>& out) : source_(std::move(source)), out_(out) {}

  void add(const std::string& text) {
    if (text.empty()) return;
    const ordered_json root = ordered_json::parse(text, nullptr, false);
    if (!root.is_object()) return put("", "unreadable", "not a JSON object");
    open("", root, 0);
  }

 private:
  void put(std::string key, std::string kind, std::string value) {
    out_.push_back({source_, std::move(key), std::move(kind), shortened(std::move(value))});
  }
  void open(const std::string& prefix, const ordered_json& object, int depth) {
    for (const auto& [name, value] : object.items()) {
      const std::string key = prefix + name;
      if (value.is_object() && !value.empty() && depth < kDeepest) open(key + ".", value, depth + 1);
      else if (value.is_array()) put(key, fmt::format("list of {}", value.size()), list_text(value));
      else if (value.is_boolean()) put(key, "yes or no", value.get<bool>() ? "true" : "false");
      else put(key, value.is_string() ? "text" : value.is_number() ? "number" : value.is_null() ? "nothing" : "object", dumped(value));
    }
  }
  std::string source_;
  std::vector<ConfigEntry>& out_;
};

template <class T>
constexpr const char* name_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return "u8";
  else if constexpr (std::is_same_v<T, std::int8_t>) return "i8";
  else if constexpr (std::is_same_v<T, std::uint16_t>) return "u16";
  else if constexpr (std::is_same_v<T, std::int16_t>) return "i16";
  else if constexpr (std::is_same_v<T, std::uint32_t>) return "u32";
  else if constexpr (std::is_same_v<T, std::int32_t>) return "i32";
  else if constexpr (std::is_same_v<T, std::uint64_t>) return "u64";
  else if constexpr (std::is_same_v<T, std::int64_t>) return "i64";
  else if constexpr (std::is_same_v<T, float>) return "f32";
  else if constexpr (std::is_same_v<T, double>) return "f64";
  else if constexpr (std::is_same_v<T, bool>) return "yes or no";
  else return "text";
}

// Line ends as written, so that a value stays one line.
std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : std::string_view(text).substr(0, kLongest + 4)) {
    if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else out += c;
  }
  return out;
}

template <class T>
std::string value_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) return value.substr(0, kLongest + 4);
  else return fmt::format("{}", value);
}

struct MetadataText {
  std::string kind, value;
  template <class T>
  void operator()(const T& plain) {
    kind = name_of<T>();
    value = value_text(plain);
  }
  void operator()(const std::shared_ptr<const MetadataArray>& array) {
    if (!array) return;
    std::visit([this](const auto& values) {
      using T = typename std::decay_t<decltype(values)>::value_type;
      kind = fmt::format("list of {} {}", values.size(), name_of<T>());
      value = "[";
      for (std::size_t i = 0; i < std::min(values.size(), kShown); ++i) value += (i > 0 ? ", " : "") + value_text<T>(values[i]);
      value += values.size() > kShown ? ", …]" : "]";
    }, array->values);
  }
};

}  // namespace

std::vector<ConfigEntry> config_entries(const Checkpoint& checkpoint) {
  std::vector<ConfigEntry> out;
  for (const auto& [key, value] : checkpoint.metadata.entries()) {
    MetadataText text;
    std::visit([&text](const auto& held) { text(held); }, value);
    out.push_back({"GGUF", key, std::move(text.kind), shortened(std::move(text.value))});
  }
  JsonEntries("config.json", out).add(checkpoint.config_json);
  JsonEntries("generation_config.json", out).add(checkpoint.generation_config_json);
  JsonEntries("tokenizer_config.json", out).add(checkpoint.tokenizer_config_json);
  for (ConfigEntry& entry : out) entry.value = one_line(entry.value);
  return out;
}

}  // namespace retort
