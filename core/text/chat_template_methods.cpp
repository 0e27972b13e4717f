// Methods of strings, dictionaries and lists, as Python has them. Those that would change a value don't exist here,
// as in Jinja's immutable sandbox.
#include <fmt/format.h>

#include <algorithm>

#include "core/text/chat_template_builtins.h"
#include "core/text/unicode.h"

namespace retort::text::jinja {
namespace {

using StringMethod = Value (*)(const std::string&, const Arguments&);

const std::string& text_at(const Arguments& a, std::size_t position, std::string_view name) {
  const Value* v = a.find(position, name);
  if (v == nullptr || v->string() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("no text for the argument {}", name));
  return *v->string();
}

const std::string* optional_text(const Arguments& a, std::size_t position, std::string_view name) {
  const Value* v = a.find(position, name);
  if (v == nullptr || v->is_none()) return nullptr;
  return &text_at(a, position, name);
}

std::int64_t number_at(const Arguments& a, std::size_t position, std::string_view name, std::int64_t otherwise) {
  const Value* v = a.find(position, name);
  if (v == nullptr) return otherwise;
  if (v->integer() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("no number for the argument {}", name));
  return *v->integer();
}

// One text or a list of them.
bool any_of_texts(const Arguments& a, auto matches) {
  if (!a.positional.empty() && a.positional[0].list()) {
    for (const Value& v : *a.positional[0].list())
      if (v.string() && matches(*v.string())) return true;
    return false;
  }
  return matches(text_at(a, 0, "prefix"));
}

List split_at(std::string_view text, std::string_view separator, std::int64_t most) {
  List out;
  if (separator.empty()) fail(ErrorCode::kCorrupt, "a split at nothing");
  while (most != 0) {
    const std::size_t at = text.find(separator);
    if (at == std::string_view::npos) break;
    out.push_back(make_string(std::string(text.substr(0, at))));
    text.remove_prefix(at + separator.size());
    if (most > 0) --most;
  }
  out.push_back(make_string(std::string(text)));
  return out;
}

List split_at_end(std::string_view text, std::string_view separator, std::int64_t most) {
  List out;
  if (separator.empty()) fail(ErrorCode::kCorrupt, "a split at nothing");
  while (most != 0) {
    const std::size_t at = text.rfind(separator);
    if (at == std::string_view::npos) break;
    out.push_back(make_string(std::string(text.substr(at + separator.size()))));
    text = text.substr(0, at);
    if (most > 0) --most;
  }
  out.push_back(make_string(std::string(text)));
  std::reverse(out.begin(), out.end());
  return out;
}

// At runs of whitespace, none at the edges.
List split_at_space(const std::string& text, std::int64_t most) {
  List out;
  std::string rest = strip(text, nullptr, true, true);
  while (!rest.empty()) {
    std::size_t end = 0;
    if (most == 0) end = rest.size();
    while (end < rest.size()) {
      const CodePoint c = code_point_at(rest, end);
      if (is_python_space(c.value)) break;
      end += c.length;
    }
    out.push_back(make_string(rest.substr(0, end)));
    rest = strip(std::string_view(rest).substr(end), nullptr, true, false);
    if (most > 0) --most;
  }
  return out;
}

Value split(const std::string& s, const Arguments& a) {
  const std::string* separator = optional_text(a, 0, "sep");
  const std::int64_t most = number_at(a, 1, "maxsplit", -1);
  return make_list(separator ? split_at(s, *separator, most) : split_at_space(s, most));
}

Value rsplit(const std::string& s, const Arguments& a) {
  const std::string* separator = optional_text(a, 0, "sep");
  const std::int64_t most = number_at(a, 1, "maxsplit", -1);
  if (separator == nullptr && most >= 0) fail(ErrorCode::kUnsupported, "rsplit at whitespace with a limit");
  return make_list(separator ? split_at_end(s, *separator, most) : split_at_space(s, -1));
}

Value replace(const std::string& s, const Arguments& a) {
  const std::string &from = text_at(a, 0, "old"), &to = text_at(a, 1, "new");
  std::int64_t most = number_at(a, 2, "count", -1);
  std::string out;
  std::size_t begin = 0;
  while (most != 0) {
    const std::size_t at = from.empty() ? begin : s.find(from, begin);
    if (at == std::string::npos || at > s.size()) break;
    out.append(s, begin, at - begin);
    out += to;
    if (out.size() > kMaxText) fail(ErrorCode::kOutOfMemory, "a text above 16 MiB");
    begin = at + from.size();
    if (from.empty()) {
      if (begin >= s.size()) {
        begin = s.size();
        break;
      }
      const std::size_t length = code_point_at(s, begin).length;
      out.append(s, begin, length);
      begin += length;
    }
    if (most > 0) --most;
  }
  out.append(s, std::min(begin, s.size()));
  return make_string(std::move(out));
}

// Positions are counted in code points.
Value position(const std::string& s, std::size_t at) {
  if (at == std::string::npos) return {std::int64_t{-1}};
  return {static_cast<std::int64_t>(characters(std::string_view(s).substr(0, at)).size())};
}

Value splitlines(const std::string& s, const Arguments&) {
  List out;
  std::size_t begin = 0;
  while (begin < s.size()) {
    const std::size_t end = std::min(s.find_first_of("\n\r", begin), s.size());
    out.push_back(make_string(s.substr(begin, end - begin)));
    begin = end + 1 + (s.compare(end, 2, "\r\n") == 0 ? 1 : 0);
  }
  return make_list(std::move(out));
}

bool every_character(const std::string& s, auto predicate) {
  if (s.empty()) return false;
  for (std::size_t i = 0; i < s.size();) {
    const CodePoint c = code_point_at(s, i);
    if (!predicate(c.value)) return false;
    i += c.length;
  }
  return true;
}

Value join(const std::string& s, const Arguments& a) {
  if (a.positional.empty()) fail(ErrorCode::kCorrupt, "join without a list");
  Arguments by;
  by.positional.push_back(make_string(s));
  return apply_filter("join", a.positional[0], by);
}

struct StringRow {
  std::string_view name;
  StringMethod call;
};
constexpr StringRow kStringMethods[] = {
    {"strip", [](const std::string& s, const Arguments& a) { return make_string(strip(s, optional_text(a, 0, "chars"), true, true)); }},
    {"lstrip", [](const std::string& s, const Arguments& a) { return make_string(strip(s, optional_text(a, 0, "chars"), true, false)); }},
    {"rstrip", [](const std::string& s, const Arguments& a) { return make_string(strip(s, optional_text(a, 0, "chars"), false, true)); }},
    {"split", split},
    {"rsplit", rsplit},
    {"splitlines", splitlines},
    {"replace", replace},
    {"join", join},
    {"startswith", [](const std::string& s, const Arguments& a) { return Value{any_of_texts(a, [&](const std::string& t) { return s.starts_with(t); })}; }},
    {"endswith", [](const std::string& s, const Arguments& a) { return Value{any_of_texts(a, [&](const std::string& t) { return s.ends_with(t); })}; }},
    {"upper", [](const std::string& s, const Arguments&) { return make_string(upper_case(s)); }},
    {"lower", [](const std::string& s, const Arguments&) { return make_string(lower_case(s)); }},
    {"capitalize", [](const std::string& s, const Arguments&) { return apply_filter("capitalize", make_string(s), {}); }},
    {"title", [](const std::string& s, const Arguments&) {
       // Unlike the filter, every letter behind a character that is no letter is a capital.
       std::string out;
       bool letter_before = false;
       for (const std::string& c : characters(s)) {
         out += letter_before ? lower_case(c) : upper_case(c);
         letter_before = lower_case(c) != upper_case(c);
       }
       return make_string(std::move(out));
     }},
    {"find", [](const std::string& s, const Arguments& a) { return position(s, s.find(text_at(a, 0, "sub"))); }},
    {"rfind", [](const std::string& s, const Arguments& a) { return position(s, s.rfind(text_at(a, 0, "sub"))); }},
    {"count", [](const std::string& s, const Arguments& a) {
       return Value{static_cast<std::int64_t>(split_at(s, text_at(a, 0, "sub"), -1).size()) - 1};
     }},
    {"removeprefix", [](const std::string& s, const Arguments& a) {
       const std::string& t = text_at(a, 0, "prefix");
       return make_string(s.starts_with(t) ? s.substr(t.size()) : s);
     }},
    {"removesuffix", [](const std::string& s, const Arguments& a) {
       const std::string& t = text_at(a, 0, "suffix");
       return make_string(!t.empty() && s.ends_with(t) ? s.substr(0, s.size() - t.size()) : s);
     }},
    {"isspace", [](const std::string& s, const Arguments&) { return Value{every_character(s, is_python_space)}; }},
    {"isdigit", [](const std::string& s, const Arguments&) { return Value{every_character(s, is_numeric)}; }},
    {"isalpha", [](const std::string& s, const Arguments&) {
       return Value{every_character(s, [](char32_t c) { return is_word(c) && !is_numeric(c) && c != '_'; })};
     }},
};

std::optional<Value> dict_method(const Value& value, std::string_view name) {
  if (name == "items") return make_callable("items", [value](const Arguments&) { return apply_filter("items", value, {}); });
  if (name == "keys") return make_callable("keys", [value](const Arguments&) { return make_list(elements(value)); });
  if (name == "values")
    return make_callable("values", [value](const Arguments&) {
      List out;
      for (const auto& [key, item] : value.dict()->items) out.push_back(item);
      return make_list(std::move(out));
    });
  if (name == "get")
    return make_callable("get", [value](const Arguments& a) {
      if (a.positional.empty()) fail(ErrorCode::kCorrupt, "get without a key");
      if (const Value* found = value.dict()->find(a.positional[0])) return *found;
      const Value* otherwise = a.find(1, "default");
      return otherwise ? *otherwise : Value{None{}};
    });
  return std::nullopt;
}

std::optional<Value> list_method(const Value& value, std::string_view name) {
  if (name == "index" || name == "count")
    return make_callable(std::string(name), [value, counts = name == "count"](const Arguments& a) {
      if (a.positional.empty()) fail(ErrorCode::kCorrupt, "index without a value");
      std::int64_t count = 0;
      for (std::size_t i = 0; i < value.list()->size(); ++i) {
        if (!equal((*value.list())[i], a.positional[0])) continue;
        if (!counts) return Value{static_cast<std::int64_t>(i)};
        ++count;
      }
      if (!counts) fail(ErrorCode::kCorrupt, "index of a value that is not in the list");
      return Value{count};
    });
  return std::nullopt;
}

}  // namespace

std::optional<Value> find_method(const Value& value, std::string_view name) {
  if (value.dict()) return dict_method(value, name);
  if (value.list()) return list_method(value, name);
  if (value.string() == nullptr) return std::nullopt;
  for (const StringRow& row : kStringMethods)
    if (row.name == name)
      return make_callable(std::string(name), [text = *value.string(), call = row.call](const Arguments& a) { return call(text, a); });
  return std::nullopt;
}

}  // namespace retort::text::jinja
