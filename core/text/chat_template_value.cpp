#include "core/text/chat_template_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/text/unicode.h"

namespace retort::text::jinja {
namespace {

constexpr int kMaxValueDepth = 100;  // of values inside values, when printed or compared

void check_depth(int depth) {
  if (depth > kMaxValueDepth) fail(ErrorCode::kCorrupt, "values nested too deep");
}

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);  // the shortest text that reads back, as Python's repr
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string in_quotes(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (c == '\\') out += "\\\\";
    else if (c == quote) (out += '\\') += c;
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else out += c;
  }
  return out + quote;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else out += c;
    }
  }
  return out + "\"";
}

std::string scalar_text(const Value& value) {
  if (value.is_none()) return "None";
  if (const bool* b = value.boolean()) return *b ? "True" : "False";
  if (const auto* i = value.integer()) return std::to_string(*i);
  if (const double* d = value.real()) return real_text(*d);
  if (const Callable* c = value.callable()) return "<function " + c->name + ">";
  return "";
}

std::string repr(const Value& value, int depth) {
  check_depth(depth);
  if (const std::string* s = value.string()) return in_quotes(*s);
  if (value.is_undefined()) return "Undefined";
  std::string out;
  if (const List* list = value.list()) {
    for (const Value& item : *list) out += (out.empty() ? "" : ", ") + repr(item, depth + 1);
    if (list->is_tuple) return "(" + out + (list->size() == 1 ? ",)" : ")");
    return "[" + out + "]";
  }
  if (const Dict* dict = value.dict()) {
    for (const auto& [key, item] : dict->items)
      out += (out.empty() ? "" : ", ") + repr(key, depth + 1) + ": " + repr(item, depth + 1);
    return "{" + out + "}";
  }
  return scalar_text(value);
}

void json(const Value& value, int indent, int depth, std::string& out) {
  check_depth(depth);
  const auto new_line = [&](int level) {
    if (indent >= 0) out += "\n" + std::string(static_cast<std::size_t>(indent) * static_cast<std::size_t>(level), ' ');
  };
  const std::string_view comma = indent >= 0 ? "," : ", ";
  if (value.is_none()) {
    out += "null";
  } else if (const bool* b = value.boolean()) {
    out += *b ? "true" : "false";
  } else if (const std::string* s = value.string()) {
    out += json_string(*s);
  } else if (const List* list = value.list()) {
    out += "[";
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (i > 0) out += comma;
      new_line(depth + 1);
      json((*list)[i], indent, depth + 1, out);
    }
    if (!list->empty()) new_line(depth);
    out += "]";
  } else if (const Dict* dict = value.dict()) {
    out += "{";
    for (std::size_t i = 0; i < dict->items.size(); ++i) {
      if (i > 0) out += comma;
      new_line(depth + 1);
      out += json_string(to_text(dict->items[i].first)) + ": ";
      json(dict->items[i].second, indent, depth + 1, out);
    }
    if (!dict->items.empty()) new_line(depth);
    out += "}";
  } else if (value.is_number()) {
    out += scalar_text(value);
  } else {
    fail(ErrorCode::kCorrupt, fmt::format("tojson of {}", type_name(value)));
  }
}

bool equal_at(const Value& a, const Value& b, int depth) {
  check_depth(depth);
  if (a.is_number() && b.is_number()) {
    if (a.integer() && b.integer()) return *a.integer() == *b.integer();
    return a.number() == b.number();
  }
  if (a.v.index() != b.v.index()) return false;
  if (const std::string* s = a.string()) return *s == *b.string();
  if (const List* list = a.list())
    return list->is_tuple == b.list()->is_tuple && std::equal(list->begin(), list->end(), b.list()->begin(), b.list()->end(),
                      [depth](const Value& x, const Value& y) { return equal_at(x, y, depth + 1); });
  if (const Dict* dict = a.dict()) {
    if (dict == b.dict()) return true;
    if (dict->items.size() != b.dict()->items.size()) return false;
    for (const auto& [key, item] : dict->items) {
      const Value* other = b.dict()->find(key);
      if (other == nullptr || !equal_at(item, *other, depth + 1)) return false;
    }
    return true;
  }
  return a.is_none() || a.is_undefined() || a.callable() == b.callable();
}

}  // namespace

void fail(ErrorCode code, std::string found, int line) {
  Error error{.code = code, .place = line > 0 ? "chat template, line " + std::to_string(line) : std::string(),
              .found = std::move(found)};
  throw Failure{std::move(error)};
}

const Value* Arguments::find(std::size_t position, std::string_view name) const {
  if (position < positional.size()) return &positional[position];
  for (const auto& [key, value] : named)
    if (key == name) return &value;
  return nullptr;
}

const List* Value::list() const noexcept {
  const auto* p = std::get_if<std::shared_ptr<const List>>(&v);
  return p ? p->get() : nullptr;
}
Dict* Value::dict() const noexcept {
  const auto* p = std::get_if<std::shared_ptr<Dict>>(&v);
  return p ? p->get() : nullptr;
}
const Callable* Value::callable() const noexcept {
  const auto* p = std::get_if<std::shared_ptr<const Callable>>(&v);
  return p ? p->get() : nullptr;
}

double Value::number() const noexcept {
  if (const bool* b = boolean()) return *b ? 1 : 0;
  if (const auto* i = integer()) return static_cast<double>(*i);
  return real() ? *real() : 0;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0;
  if (const std::string* s = string()) return !s->empty();
  if (const List* l = list()) return !l->empty();
  if (const Dict* d = dict()) return d->is_namespace || !d->items.empty();
  return true;
}

const Value* Dict::find(const Value& key) const {
  for (const auto& [k, value] : items)
    if (equal(k, key)) return &value;
  return nullptr;
}

const Value* Dict::find(std::string_view key) const {
  for (const auto& [k, value] : items)
    if (const std::string* s = k.string(); s != nullptr && *s == key) return &value;
  return nullptr;
}

void Dict::set(const Value& key, Value value) {
  for (auto& [k, old] : items)
    if (equal(k, key)) {
      old = std::move(value);
      return;
    }
  items.emplace_back(key, std::move(value));
}

Value make_string(std::string text) { return {std::move(text)}; }
Value make_list(List items) { return {std::make_shared<const List>(std::move(items))}; }
Value make_tuple(List items) {
  items.is_tuple = true;
  return make_list(std::move(items));
}
Value make_dict(std::shared_ptr<Dict> dict) { return {std::move(dict)}; }
Value make_callable(std::string name, std::function<Value(const Arguments&)> call) {
  return {std::make_shared<const Callable>(Callable{std::move(name), std::move(call)})};
}

std::string_view type_name(const Value& value) {
  constexpr std::string_view kNames[] = {"undefined", "None", "bool", "int", "float", "str", "list", "dict", "function"};
  return kNames[value.v.index()];
}

bool equal(const Value& a, const Value& b) { return equal_at(a, b, 0); }

int compare(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.integer() && b.integer()) return *a.integer() < *b.integer() ? -1 : *a.integer() > *b.integer();
    return a.number() < b.number() ? -1 : a.number() > b.number();
  }
  if (a.string() && b.string()) return std::clamp(a.string()->compare(*b.string()), -1, 1);
  if (a.list() && b.list()) {
    const List &x = *a.list(), &y = *b.list();
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!equal(x[i], y[i])) return compare(x[i], y[i]);
    return x.size() < y.size() ? -1 : x.size() > y.size();
  }
  fail(ErrorCode::kCorrupt, fmt::format("a comparison of {} with {}", type_name(a), type_name(b)));
}

bool contains(const Value& container, const Value& item) {
  if (const std::string* s = container.string()) {
    if (item.string() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("'in <string>' with {}", type_name(item)));
    return s->find(*item.string()) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return dict->find(item) != nullptr;
  for (const Value& element : elements(container))
    if (equal(element, item)) return true;
  return false;
}

std::string to_text(const Value& value) {
  if (const std::string* s = value.string()) return *s;
  if (value.is_undefined()) return "";
  return repr(value, 0);
}

std::string to_repr(const Value& value) { return repr(value, 0); }

std::string to_json(const Value& value, int indent) {
  std::string out;
  json(value, indent, 0, out);
  return out;
}

List elements(const Value& value) {
  List out;
  if (value.is_undefined()) return out;
  if (const List* list = value.list()) {
    out = *list;
    out.is_tuple = false;
    return out;
  }
  if (const Dict* dict = value.dict(); dict != nullptr && !dict->is_namespace) {
    for (const auto& [key, item] : dict->items) out.push_back(key);
  } else if (const std::string* s = value.string()) {
    for (std::string& c : characters(*s)) out.push_back(make_string(std::move(c)));
  } else {
    fail(ErrorCode::kCorrupt, fmt::format("a loop over {}", type_name(value)));
  }
  return out;
}

std::size_t length_of(const Value& value) {
  if (const List* list = value.list()) return list->size();
  if (const Dict* dict = value.dict()) return dict->items.size();
  if (value.is_undefined()) return 0;
  if (const std::string* s = value.string())
    return static_cast<std::size_t>(std::count_if(s->begin(), s->end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  fail(ErrorCode::kCorrupt, fmt::format("the length of {}", type_name(value)));
}

std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = code_point_at(text, i).length;
    out.emplace_back(text.substr(i, length));
    i += length;
  }
  return out;
}

bool is_python_space(char32_t c) noexcept { return is_whitespace(c) || (c >= 0x1C && c <= 0x1F); }

std::string strip(std::string_view text, const std::string* set, bool left, bool right) {
  const auto strippable = [set](std::string_view character) {
    return set ? set->find(character) != std::string::npos : is_python_space(code_point_at(character, 0).value);
  };
  while (left && !text.empty()) {
    const std::size_t length = code_point_at(text, 0).length;
    if (!strippable(text.substr(0, length))) break;
    text.remove_prefix(length);
  }
  while (right && !text.empty()) {
    std::size_t at = text.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    if (!strippable(text.substr(at))) break;
    text = text.substr(0, at);
  }
  return std::string(text);
}

}  // namespace retort::text::jinja
