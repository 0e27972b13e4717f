#include "core/onnx/operator.h"

#include <algorithm>
#include <map>

#include "core/formats/byte_reader.h"

namespace retort::onnx {

using formats::printable;

std::int64_t Attributes::whole(std::string_view name, std::int64_t otherwise) const noexcept {
  const Attribute* found = node_->find(name);
  return found ? found->whole : otherwise;
}
float Attributes::real(std::string_view name, float otherwise) const noexcept {
  const Attribute* found = node_->find(name);
  return found ? found->real : otherwise;
}
std::string_view Attributes::text(std::string_view name, std::string_view otherwise) const noexcept {
  const Attribute* found = node_->find(name);
  return found ? std::string_view(found->text) : otherwise;
}
std::vector<std::int64_t> Attributes::wholes(std::string_view name, std::vector<std::int64_t> otherwise) const {
  const Attribute* found = node_->find(name);
  return found ? found->wholes : std::move(otherwise);
}

Result<void> Call::make(std::size_t i, ElementType type, Shape shape) const {
  RETORT_TRY(outputs[i], Tensor::make(memory, type, std::move(shape)));
  return {};
}

std::vector<std::int64_t> Call::numbers(std::size_t i) const {
  const Tensor* tensor = optional(i);
  std::vector<std::int64_t> out;
  if (tensor == nullptr) return out;
  with_type(tensor->type(), Types<std::int64_t, std::int32_t>(), [&](auto zero) {
    const auto values = tensor->values<decltype(zero)>();
    out.assign(values.begin(), values.end());
  });
  return out;
}

Error bad_input(std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadShape, .expected = std::move(expected), .found = std::move(found),
               .next_step = "give inputs of the shapes that the graph was made for"};
}

Result<std::size_t> axis_of(std::int64_t axis, std::size_t rank) {
  const auto limit = static_cast<std::int64_t>(rank);
  if (axis >= -limit && axis < limit) return static_cast<std::size_t>(axis < 0 ? axis + limit : axis);
  return bad_input("an axis of " + std::to_string(rank) + " dimensions", std::to_string(axis));
}

namespace {

Error refused(const Node& node, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kUnsupported, .place = node.label(), .expected = std::move(expected), .found = std::move(found)};
}

// The types that a letter stands for; `bound` has what T and U already are.
std::uint32_t types_of(char letter, const Operator& row) noexcept {
  switch (letter) {
    case 'T': return row.types;
    case 'U': return row.more_types;
    case 'F': return kF32;
    case 'L': return bit(ElementType::kInt64);
    case 'J': return bit(ElementType::kInt32);
    case 'B': return kBool;
    case 'I': return kIndex;
    case 'Y': return bit(ElementType::kUint8);
    default: return 0;
  }
}

std::string names_of(std::uint32_t types) {
  std::string text;
  for (unsigned i = 0; i < static_cast<unsigned>(ElementType::kCount); ++i)
    if (types >> i & 1u) text += (text.empty() ? "" : ", ") + std::string(traits(static_cast<ElementType>(i)).name);
  return text;
}

struct Letters {
  std::string_view each;     // without marks
  std::size_t least = 0;     // how many must be there
  bool repeats = false;
};

Letters letters_of(std::string_view signature, std::string& storage) {
  Letters out;
  bool optional = false;
  for (const char c : signature) {
    if (c == '?') optional = true;
    else if (c == '*') out.repeats = true;
    else {
      storage += c;
      if (!optional) ++out.least;
    }
  }
  out.each = storage;
  return out;
}

using Bound = std::map<char, ElementType>;

Result<void> bind_inputs(const Node& node, const Operator& row, std::span<const ElementType> inputs, Bound& bound) {
  std::string storage;
  const Letters letters = letters_of(row.inputs, storage);
  if (inputs.size() < letters.least || (!letters.repeats && inputs.size() > letters.each.size()))
    return refused(node, std::to_string(letters.least) + (letters.repeats ? " or more" : " to " + std::to_string(letters.each.size())) + " inputs",
                   std::to_string(inputs.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string place = "input " + std::to_string(i) + ": ";
    if (inputs[i] == ElementType::kUndefined) {
      if (i < letters.least) return refused(node, place + "a value", "none");
      continue;
    }
    const char letter = letters.each[std::min(i, letters.each.size() - 1)];
    const std::uint32_t allowed = types_of(letter, row);
    if (!(allowed & bit(inputs[i]))) return refused(node, place + names_of(allowed), std::string(traits(inputs[i]).name));
    if (letter != 'T' && letter != 'U') continue;
    const auto known = bound.emplace(letter, inputs[i]).first;
    if (known->second != inputs[i])
      return refused(node, place + "the type of the others, " + std::string(traits(known->second).name), std::string(traits(inputs[i]).name));
  }
  return {};
}

Result<ElementType> output_type(const Node& node, const Operator& row, char letter, const Bound& bound) {
  if (letter == 'T' || letter == 'U') {
    const auto known = bound.find(letter);
    return known == bound.end() ? ElementType::kFloat : known->second;
  }
  if (letter == 'Q') {
    const auto known = bound.find('U');
    return known == bound.end() ? ElementType::kUint8 : known->second;
  }
  if (letter == 'A') {
    const Attribute* to = node.find("to") ? node.find("to") : node.find("dtype");
    const auto type = to && to->whole > 0 && to->whole < static_cast<std::int64_t>(ElementType::kCount) ? static_cast<ElementType>(to->whole)
                                                                                                       : ElementType::kFloat;
    if (!(row.more_types & bit(held_type(type)))) return refused(node, "to " + names_of(row.more_types), std::string(traits(type).name));
    return held_type(type);
  }
  if (letter == 'V') {
    const Attribute* value = node.find("value");
    const bool whole = node.find("value_int") || node.find("value_ints");
    const ElementType type = value && value->tensor ? value->tensor->type : whole ? ElementType::kInt64 : ElementType::kFloat;
    if (!(row.more_types & bit(held_type(type)))) return refused(node, "a value of " + names_of(row.more_types), std::string(traits(type).name));
    return held_type(type);
  }
  const std::uint32_t only = types_of(letter, row);
  for (unsigned i = 0; i < static_cast<unsigned>(ElementType::kCount); ++i)
    if (only >> i & 1u) return static_cast<ElementType>(i);
  return ElementType::kUndefined;
}

// The kind that a row's list wants of an attribute: one of i I f s t; 0 when it isn't listed.
char listed_kind(std::string_view list, std::string_view name) noexcept {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    const std::string_view entry = list.substr(0, end);
    if (entry.substr(0, entry.size() - 2) == name) return entry.back();
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return 0;
}

char letter_of(AttributeKind kind) noexcept {
  switch (kind) {
    case AttributeKind::kInt: return 'i';
    case AttributeKind::kInts: return 'I';
    case AttributeKind::kFloat: return 'f';
    case AttributeKind::kFloats: return 'F';
    case AttributeKind::kString: return 's';
    case AttributeKind::kStrings: return 'S';
    case AttributeKind::kTensor: return 't';
    default: return 0;
  }
}

Result<void> check_attributes(const Node& node, const Operator& row) {
  for (const Attribute& attribute : node.attributes) {
    const char wanted = listed_kind(row.attributes, attribute.name);
    if (wanted == 0) return refused(node, "an attribute that Retort knows", printable(attribute.name));
    if (wanted != letter_of(attribute.kind)) return refused(node, "attribute " + printable(attribute.name) + " of its usual type", "another type");
  }
  return {};
}

}  // namespace

const Operator* find_operator(std::string_view domain, std::string_view name) noexcept {
  for (const Operator& row : operators())
    if (row.name == name && row.domain == domain) return &row;
  return nullptr;
}

Result<std::vector<ElementType>> check_node(const Node& node, std::span<const ElementType> inputs, std::int64_t opset) {
  const Operator* row = find_operator(node.domain, node.op);
  if (row == nullptr) return refused(node, "an operator that Retort runs", printable(node.op));
  RETORT_CHECK(check_attributes(node, *row));
  Bound bound;
  RETORT_CHECK(bind_inputs(node, *row, inputs, bound));
  std::string storage;
  const Letters letters = letters_of(row->outputs, storage);
  if (node.outputs.size() < std::min<std::size_t>(letters.least, 1) || (!letters.repeats && node.outputs.size() > letters.each.size()))
    return refused(node, "1 to " + std::to_string(letters.each.size()) + " outputs", std::to_string(node.outputs.size()));
  if (row->check) {
    if (const auto checked = row->check(Attributes(node), opset); !checked) {
      Error error = checked.error();
      error.place = node.label() + (error.place.empty() ? "" : ", " + error.place);
      return error;
    }
  }
  std::vector<ElementType> types;
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    RETORT_TRY(const ElementType type, output_type(node, *row, letters.each[std::min(i, letters.each.size() - 1)], bound));
    types.push_back(type);
  }
  return types;
}

}  // namespace retort::onnx
