#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/text/chat_template_builtins.h"
#include "core/text/unicode.h"

namespace retort::text::jinja {
namespace {

using Filter = Value (*)(const Value&, const Arguments&);

bool flag(const Arguments& a, std::size_t position, std::string_view name, bool otherwise) {
  const Value* v = a.find(position, name);
  return v ? v->truthy() : otherwise;
}

std::string text_argument(const Arguments& a, std::size_t position, std::string_view name, std::string otherwise) {
  const Value* v = a.find(position, name);
  return v && !v->is_none() ? to_text(*v) : otherwise;
}

std::int64_t integer_argument(const Arguments& a, std::size_t position, std::string_view name, std::int64_t otherwise) {
  const Value* v = a.find(position, name);
  if (v == nullptr || v->is_none()) return otherwise;
  if (v->integer() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("{} for the number {}", type_name(*v), name));
  return *v->integer();
}

// "user.name" and "0" lead through attributes, as Jinja's attribute arguments do.
Value attribute_path(Value value, std::string_view path) {
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const std::string_view part = path.substr(0, dot);
    std::int64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    if (error == std::errc() && end == part.data() + part.size()) value = get_item(value, {index});
    else value = get_item(value, make_string(std::string(part)));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return value;
}

Arguments behind(const Arguments& a, std::size_t count) {
  Arguments out;
  for (std::size_t i = count; i < a.positional.size(); ++i) out.positional.push_back(a.positional[i]);
  out.named = a.named;
  return out;
}

Value trim(const Value& v, const Arguments& a) {
  const Value* set = a.find(0, "chars");
  const std::string* chars = set ? set->string() : nullptr;
  return make_string(strip(to_text(v), chars, true, true));
}

Value length(const Value& v, const Arguments&) { return {static_cast<std::int64_t>(length_of(v))}; }

Value join(const Value& v, const Arguments& a) {
  const std::string separator = text_argument(a, 0, "d", "");
  const std::string attribute = text_argument(a, 1, "attribute", "");
  std::string out;
  bool first = true;
  for (const Value& item : elements(v)) {
    if (!first) out += separator;
    first = false;
    out += to_text(attribute.empty() ? item : attribute_path(item, attribute));
    if (out.size() > kMaxText) fail(ErrorCode::kOutOfMemory, "a text above 16 MiB");
  }
  return make_string(std::move(out));
}

Value upper(const Value& v, const Arguments&) { return make_string(upper_case(to_text(v))); }
Value lower(const Value& v, const Arguments&) { return make_string(lower_case(to_text(v))); }

Value capitalize(const Value& v, const Arguments&) {
  const std::string text = to_text(v);
  if (text.empty()) return make_string("");
  const std::size_t first = code_point_at(text, 0).length;
  return make_string(upper_case(text.substr(0, first)) + lower_case(text.substr(first)));
}

// Each word begins with a capital; words end at blanks and at - ( { [ <.
Value title(const Value& v, const Arguments&) {
  std::string out;
  bool start = true;
  for (const std::string& c : characters(to_text(v))) {
    out += start ? upper_case(c) : lower_case(c);
    start = is_python_space(code_point_at(c, 0).value) || (c.size() == 1 && std::string_view("-({[<").find(c[0]) != std::string_view::npos);
  }
  return make_string(std::move(out));
}

Value tojson(const Value& v, const Arguments& a) {
  const std::int64_t indent = integer_argument(a, 0, "indent", -1);
  return make_string(to_json(v, static_cast<int>(std::clamp<std::int64_t>(indent, -1, 32))));
}

Value default_value(const Value& v, const Arguments& a) {
  const bool empty_too = flag(a, 1, "boolean", false);
  if (!v.is_undefined() && (!empty_too || v.truthy())) return v;
  const Value* otherwise = a.find(0, "default_value");
  return otherwise ? *otherwise : make_string("");
}

Value first(const Value& v, const Arguments&) {
  const List items = elements(v);
  return items.empty() ? Value{Undefined{"the first of nothing"}} : items.front();
}

Value last(const Value& v, const Arguments&) {
  const List items = elements(v);
  return items.empty() ? Value{Undefined{"the last of nothing"}} : items.back();
}

Value replace(const Value& v, const Arguments& a) {
  const auto method = find_method(make_string(to_text(v)), "replace");
  Arguments texts = a;
  for (std::size_t i = 0; i < std::min<std::size_t>(2, texts.positional.size()); ++i)
    texts.positional[i] = make_string(to_text(texts.positional[i]));
  return method->callable()->call(texts);
}

Value list(const Value& v, const Arguments&) { return make_list(elements(v)); }

Value items(const Value& v, const Arguments&) {
  if (v.is_undefined()) return make_list({});
  if (v.dict() == nullptr) fail(ErrorCode::kCorrupt, fmt::format("the items of {}", type_name(v)));
  List out;
  for (const auto& [key, item] : v.dict()->items) out.push_back(make_tuple({key, item}));
  return make_list(std::move(out));
}

Value reverse(const Value& v, const Arguments&) {
  List out = elements(v);
  std::reverse(out.begin(), out.end());
  if (v.string() == nullptr) return make_list(std::move(out));
  std::string text;
  for (const Value& c : out) text += *c.string();
  return make_string(std::move(text));
}

Value string(const Value& v, const Arguments&) { return make_string(to_text(v)); }
Value safe(const Value& v, const Arguments&) { return v; }

Value escape(const Value& v, const Arguments&) {
  std::string out;
  for (const char c : to_text(v)) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&#34;";
    else if (c == '\'') out += "&#39;";
    else out += c;
  }
  return make_string(std::move(out));
}

Value to_int(const Value& v, const Arguments& a) {
  const Value otherwise{integer_argument(a, 0, "default", 0)};
  if (v.integer()) return v;
  if (v.is_number() && std::abs(v.number()) < 9e18) return {static_cast<std::int64_t>(v.number())};
  if (v.string() == nullptr) return otherwise;
  const std::string text = strip(*v.string(), nullptr, true, true);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(number) < 9e18)) return otherwise;
  return {static_cast<std::int64_t>(number)};
}

Value to_float(const Value& v, const Arguments& a) {
  const Value* given = a.find(0, "default");
  const Value otherwise = given ? *given : Value{0.0};
  if (v.is_number()) return {v.number()};
  if (v.string() == nullptr) return otherwise;
  const std::string text = strip(*v.string(), nullptr, true, true);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return otherwise;
  return {number};
}

Value absolute(const Value& v, const Arguments&) {
  if (v.integer() && *v.integer() != INT64_MIN) return {std::abs(*v.integer())};
  if (v.real()) return {std::abs(*v.real())};
  fail(ErrorCode::kCorrupt, fmt::format("abs of {}", type_name(v)));
}

Value round_number(const Value& v, const Arguments& a) {
  if (!v.is_number()) fail(ErrorCode::kCorrupt, fmt::format("round of {}", type_name(v)));
  const double scale = std::pow(10.0, static_cast<double>(std::clamp<std::int64_t>(integer_argument(a, 0, "precision", 0), -15, 15)));
  const std::string method = text_argument(a, 1, "method", "common");
  const double x = v.number() * scale;
  return {(method == "ceil" ? std::ceil(x) : method == "floor" ? std::floor(x) : std::nearbyint(x)) / scale};
}

// Keys of sorting ignore case unless told otherwise.
Value sort_key(const Value& v, bool case_sensitive) {
  return v.string() && !case_sensitive ? make_string(lower_case(*v.string())) : v;
}

Value sort(const Value& v, const Arguments& a) {
  const bool descending = flag(a, 0, "reverse", false), case_sensitive = flag(a, 1, "case_sensitive", false);
  const std::string attribute = text_argument(a, 2, "attribute", "");
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : elements(v))
    keyed.emplace_back(sort_key(attribute.empty() ? item : attribute_path(item, attribute), case_sensitive), item);
  for (std::size_t i = 1; i < keyed.size(); ++i) compare(keyed[0].first, keyed[i].first);  // fails before the sort does
  std::stable_sort(keyed.begin(), keyed.end(), [descending](const auto& x, const auto& y) {
    return descending ? compare(x.first, y.first) > 0 : compare(x.first, y.first) < 0;
  });
  List out;
  for (auto& [key, item] : keyed) out.push_back(std::move(item));
  return make_list(std::move(out));
}

Value dictsort(const Value& v, const Arguments& a) {
  Arguments by;
  by.named.emplace_back("attribute", make_string(text_argument(a, 1, "by", "key") == "value" ? "1" : "0"));
  by.named.emplace_back("reverse", Value{flag(a, 2, "reverse", false)});
  by.named.emplace_back("case_sensitive", Value{flag(a, 0, "case_sensitive", false)});
  return sort(items(v, {}), by);
}

Value unique(const Value& v, const Arguments& a) {
  const bool case_sensitive = flag(a, 0, "case_sensitive", false);
  List seen, out;
  for (const Value& item : elements(v)) {
    const Value key = sort_key(item, case_sensitive);
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& s) { return equal(s, key); })) continue;
    seen.push_back(key);
    out.push_back(item);
  }
  return make_list(std::move(out));
}

Value extreme(const Value& v, int sign) {
  const List all = elements(v);
  if (all.empty()) return {Undefined{"the extreme of nothing"}};
  const Value* best = &all[0];
  for (const Value& item : all)
    if (compare(sort_key(item, false), sort_key(*best, false)) * sign > 0) best = &item;
  return *best;
}
Value minimum(const Value& v, const Arguments&) { return extreme(v, -1); }
Value maximum(const Value& v, const Arguments&) { return extreme(v, 1); }

Value sum(const Value& v, const Arguments& a) {
  const std::string attribute = text_argument(a, 0, "attribute", "");
  const Value* start = a.find(1, "start");
  Value total = start ? *start : Value{std::int64_t{0}};
  for (const Value& item : elements(v)) total = binary("+", total, attribute.empty() ? item : attribute_path(item, attribute));
  return total;
}

Value indent(const Value& v, const Arguments& a) {
  const Value* width = a.find(0, "width");
  const std::string pad = width && width->string()
                              ? *width->string()
                              : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(integer_argument(a, 0, "width", 4), 0, 1000)), ' ');
  const bool first_too = flag(a, 1, "first", false), blank_too = flag(a, 2, "blank", false);
  const std::string text = to_text(v);
  std::string out;
  for (std::size_t begin = 0, line = 0; begin <= text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view part = std::string_view(text).substr(begin, end - begin);
    if (line > 0) out += '\n';
    if ((line > 0 || first_too) && (!part.empty() || blank_too || (line == 0 && first_too))) out += pad;
    out += part;
    if (out.size() > kMaxText) fail(ErrorCode::kOutOfMemory, "a text above 16 MiB");
    begin = end + 1;
  }
  return make_string(std::move(out));
}

Value wordcount(const Value& v, const Arguments&) {
  std::int64_t words = 0;
  bool inside = false;
  for (const std::string& c : characters(to_text(v))) {
    const bool space = is_python_space(code_point_at(c, 0).value);
    words += !space && !inside;
    inside = !space;
  }
  return {words};
}

// map("upper") calls a filter, map(attribute="x") picks an attribute. Whatever counts as false gives nothing, None too.
Value map(const Value& v, const Arguments& a) {
  List out;
  if (!v.truthy()) return make_list(std::move(out));
  const Value* attribute = a.find(99, "attribute");
  const Value* otherwise = a.find(99, "default");
  if (attribute == nullptr && (a.positional.empty() || a.positional[0].string() == nullptr))
    fail(ErrorCode::kCorrupt, "map without a filter or an attribute");
  for (const Value& item : elements(v)) {
    if (attribute == nullptr) {
      out.push_back(apply_filter(*a.positional[0].string(), item, behind(a, 1)));
      continue;
    }
    Value picked = attribute_path(item, to_text(*attribute));
    out.push_back(picked.is_undefined() && otherwise ? *otherwise : std::move(picked));
  }
  return make_list(std::move(out));
}

// select, reject and their attribute forms: keeps the items whose test gives `wanted`. None has no items.
Value pick(const Value& v, const Arguments& a, bool by_attribute, bool wanted) {
  if (!v.truthy()) return make_list({});
  const std::size_t at = by_attribute ? 1 : 0;
  if (by_attribute && a.positional.empty()) fail(ErrorCode::kCorrupt, "selectattr without an attribute");
  List out;
  for (const Value& item : elements(v)) {
    const Value subject = by_attribute ? attribute_path(item, to_text(a.positional[0])) : item;
    const bool result = a.positional.size() > at ? apply_test(to_text(a.positional[at]), subject, behind(a, at + 1)) : subject.truthy();
    if (result == wanted) out.push_back(item);
  }
  return make_list(std::move(out));
}
Value select(const Value& v, const Arguments& a) { return pick(v, a, false, true); }
Value reject(const Value& v, const Arguments& a) { return pick(v, a, false, false); }
Value selectattr(const Value& v, const Arguments& a) { return pick(v, a, true, true); }
Value rejectattr(const Value& v, const Arguments& a) { return pick(v, a, true, false); }
Value attr(const Value& v, const Arguments& a) { return get_attribute(v, text_argument(a, 0, "name", "")); }

struct FilterRow {
  std::string_view name;
  Filter call;
};
constexpr FilterRow kFilters[] = {
    {"trim", trim}, {"length", length}, {"count", length}, {"join", join}, {"upper", upper}, {"lower", lower},
    {"capitalize", capitalize}, {"title", title}, {"tojson", tojson}, {"default", default_value}, {"d", default_value},
    {"first", first}, {"last", last}, {"replace", replace}, {"list", list}, {"items", items}, {"reverse", reverse},
    {"string", string}, {"safe", safe}, {"escape", escape}, {"e", escape}, {"int", to_int}, {"float", to_float},
    {"abs", absolute}, {"round", round_number}, {"sort", sort}, {"dictsort", dictsort}, {"unique", unique},
    {"min", minimum}, {"max", maximum}, {"sum", sum}, {"indent", indent}, {"wordcount", wordcount}, {"map", map},
    {"select", select}, {"reject", reject}, {"selectattr", selectattr}, {"rejectattr", rejectattr}, {"attr", attr}};

}  // namespace

Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments) {
  for (const FilterRow& row : kFilters)
    if (row.name == name) return row.call(value, arguments);
  fail(ErrorCode::kUnsupported, "the filter " + std::string(name));
}

}  // namespace retort::text::jinja
