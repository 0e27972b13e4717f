#include "core/formats/onnx.h"

#include <algorithm>
#include <cstring>

#include "core/formats/byte_reader.h"
#include "core/formats/foreign.h"
#include "core/formats/onnx_tensor.h"
#include "core/formats/protobuf.h"

namespace retort::onnx {
namespace {

using formats::for_fields;
using formats::printable;
using formats::ProtoField;
using formats::Wire;

constexpr int kDeepestGraph = 8;   // graphs within attributes within graphs

Error broken(std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kCorrupt, .place = std::move(place), .expected = std::move(expected), .found = std::move(found)};
}

Result<void> read_graph(std::string_view bytes, int depth, ReadState& state, Graph& graph);

// Fields that name a kind by themselves, for files from before `type` was written.
AttributeKind implied_kind(std::uint32_t number) noexcept {
  switch (number) {
    case 2: return AttributeKind::kFloat;
    case 3: return AttributeKind::kInt;
    case 4: return AttributeKind::kString;
    case 5: return AttributeKind::kTensor;
    case 6: return AttributeKind::kGraph;
    case 7: return AttributeKind::kFloats;
    case 8: return AttributeKind::kInts;
    case 9: return AttributeKind::kStrings;
    default: return AttributeKind::kNone;
  }
}

Result<void> add_attribute_field(const ProtoField& field, int depth, ReadState& state, Attribute& out, AttributeKind& stated) {
  switch (field.number) {
    case 1: {
      RETORT_TRY(out.name, read_name(field.bytes, "an attribute's name"));
      return {};
    }
    case 2: out.real = field.real(); break;
    case 3: out.whole = field.whole(); break;
    case 4: out.text = field.bytes; break;
    case 5: {
      RETORT_TRY(StoredTensor tensor, read_tensor(field.bytes, state));
      out.tensor = std::make_shared<const StoredTensor>(std::move(tensor));
      break;
    }
    case 6: case 11: {
      auto graph = std::make_shared<Graph>();
      RETORT_CHECK(read_graph(field.bytes, depth + 1, state, *graph));
      out.graphs.push_back(std::move(graph));
      break;
    }
    case 7: RETORT_CHECK(formats::append_reals(field, out.name, out.reals)); break;
    case 8: RETORT_CHECK(formats::append_numbers(field, out.name, out.wholes)); break;
    case 9: {
      RETORT_CHECK(state.count());
      RETORT_TRY(std::string text, read_name(field.bytes, "an attribute's text"));
      out.texts.push_back(std::move(text));
      break;
    }
    case 20: stated = static_cast<AttributeKind>(std::min<std::uint64_t>(field.value, 15)); return {};
    case 21: return Error{.code = ErrorCode::kUnsupported, .place = out.name, .expected = "a value", .found = "a reference to a function's attribute"};
    default: return {};
  }
  if (out.kind == AttributeKind::kNone) out.kind = implied_kind(field.number);
  return {};
}

Result<Attribute> read_attribute(std::string_view bytes, int depth, ReadState& state) {
  RETORT_CHECK(state.count());
  Attribute out;
  AttributeKind stated = AttributeKind::kNone;
  RETORT_CHECK(for_fields(bytes, "an attribute", [&](const ProtoField& field) { return add_attribute_field(field, depth, state, out, stated); }));
  if (stated != AttributeKind::kNone) out.kind = stated;
  if (out.name.empty()) return broken("an attribute", "a name", "none");
  if ((out.kind == AttributeKind::kTensor && !out.tensor) || (out.kind == AttributeKind::kGraph && out.graphs.size() != 1))
    return broken("attribute " + printable(out.name), "a tensor or graph", "none");
  return out;
}

Result<Node> read_node(std::string_view bytes, int depth, ReadState& state) {
  RETORT_CHECK(state.count());
  Node node;
  const auto add_name = [&](std::string_view name, std::vector<std::string>& to) -> Result<void> {
    RETORT_CHECK(state.count());
    RETORT_TRY(std::string text, read_name(name, "a value's name"));
    to.push_back(std::move(text));
    return {};
  };
  // The fields of names come before the attributes in every file that a library wrote; messages then have them.
  RETORT_CHECK(for_fields(bytes, "a node", [&](const ProtoField& field) -> Result<void> {
    if (field.wire != Wire::kBytes) return {};
    switch (field.number) {
      case 1: return add_name(field.bytes, node.inputs);
      case 2: return add_name(field.bytes, node.outputs);
      case 3: {
        RETORT_TRY(node.name, read_name(field.bytes, "a node's name"));
        return {};
      }
      case 4: {
        RETORT_TRY(node.op, read_name(field.bytes, "an operator"));
        return {};
      }
      case 5: {
        RETORT_TRY(Attribute attribute, read_attribute(field.bytes, depth, state));
        if (node.find(attribute.name)) return broken(node.label(), "each attribute once", printable(attribute.name));
        node.attributes.push_back(std::move(attribute));
        return {};
      }
      case 7: {
        RETORT_TRY(node.domain, read_name(field.bytes, "a node's domain"));
        if (node.domain == "ai.onnx") node.domain.clear();
        return {};
      }
      default: return {};
    }
  }));
  return node;
}

Result<void> read_dimension(std::string_view bytes, ReadState& state, ValueInfo& value) {
  RETORT_CHECK(state.count());
  std::int64_t size = -1;
  std::string symbol;
  RETORT_CHECK(for_fields(bytes, "a dimension", [&](const ProtoField& field) -> Result<void> {
    if (field.is(1, Wire::kVarint)) size = std::max<std::int64_t>(field.whole(), -1);
    if (field.is(2, Wire::kBytes)) {
      RETORT_TRY(symbol, read_name(field.bytes, "a dimension's name"));
    }
    return {};
  }));
  value.shape.push_back(size);
  value.symbols.push_back(std::move(symbol));
  return {};
}

// TypeProto.Tensor: elem_type 1, shape 2 { dim 1 }.
Result<void> read_tensor_type(std::string_view bytes, ReadState& state, ValueInfo& value) {
  return for_fields(bytes, "a type", [&](const ProtoField& field) -> Result<void> {
    if (field.is(1, Wire::kVarint) && field.value < static_cast<std::uint64_t>(ElementType::kCount)) value.type = static_cast<ElementType>(field.value);
    if (!field.is(2, Wire::kBytes)) return {};
    value.has_shape = true;
    return for_fields(field.bytes, "a shape", [&](const ProtoField& dimension) -> Result<void> {
      return dimension.is(1, Wire::kBytes) ? read_dimension(dimension.bytes, state, value) : Result<void>();
    });
  });
}

Result<ValueInfo> read_value(std::string_view bytes, ReadState& state) {
  RETORT_CHECK(state.count());
  ValueInfo value;
  RETORT_CHECK(for_fields(bytes, "a value", [&](const ProtoField& field) -> Result<void> {
    if (field.is(1, Wire::kBytes)) {
      RETORT_TRY(value.name, read_name(field.bytes, "a value's name"));
    }
    if (!field.is(2, Wire::kBytes)) return {};
    return for_fields(field.bytes, "a type", [&](const ProtoField& type) -> Result<void> {
      return type.is(1, Wire::kBytes) ? read_tensor_type(type.bytes, state, value) : Result<void>();
    });
  }));
  return value;
}

Result<void> read_graph(std::string_view bytes, int depth, ReadState& state, Graph& graph) {
  if (depth > kDeepestGraph) return broken("graph", "at most " + std::to_string(kDeepestGraph) + " graphs within each other", "more");
  RETORT_CHECK(state.count());
  const auto add_value = [&](std::string_view text, std::vector<ValueInfo>& to) -> Result<void> {
    RETORT_TRY(ValueInfo value, read_value(text, state));
    to.push_back(std::move(value));
    return {};
  };
  return for_fields(bytes, "graph", [&](const ProtoField& field) -> Result<void> {
    if (field.wire != Wire::kBytes) return {};
    switch (field.number) {
      case 1: {
        auto node = read_node(field.bytes, depth, state);
        if (!node) {
          Error error = node.error();
          error.place = "node " + std::to_string(graph.nodes.size()) + ", " + error.place;
          return error;
        }
        node->index = graph.nodes.size();
        graph.nodes.push_back(std::move(*node));
        return {};
      }
      case 2: {
        RETORT_TRY(graph.name, read_name(field.bytes, "the graph's name"));
        return {};
      }
      case 5: {
        RETORT_TRY(StoredTensor tensor, read_tensor(field.bytes, state));
        graph.tensors.push_back(std::move(tensor));
        return {};
      }
      case 11: return add_value(field.bytes, graph.inputs);
      case 12: return add_value(field.bytes, graph.outputs);
      case 13: return add_value(field.bytes, graph.values);
      case 15: graph.sparse = true; return {};
      default: return {};
    }
  });
}

Result<void> read_operator_set(std::string_view bytes, ReadState& state) {
  RETORT_CHECK(state.count());
  OperatorSet set;
  RETORT_CHECK(for_fields(bytes, "opset_import", [&](const ProtoField& field) -> Result<void> {
    if (field.is(1, Wire::kBytes)) {
      RETORT_TRY(set.domain, read_name(field.bytes, "an operator set's domain"));
    }
    if (field.is(2, Wire::kVarint)) set.version = field.whole();
    return {};
  }));
  if (set.domain == "ai.onnx") set.domain.clear();
  state.file.operator_sets.push_back(std::move(set));
  return {};
}

Result<void> read_model(std::string_view bytes, ReadState& state) {
  OnnxFile& file = state.file;
  bool seen = false;
  RETORT_CHECK(for_fields(bytes, "model", [&](const ProtoField& field) -> Result<void> {
    if (field.is(1, Wire::kVarint)) file.ir_version = field.whole();
    if (field.wire != Wire::kBytes) return {};
    switch (field.number) {
      case 2: case 3: {
        RETORT_TRY(const std::string text, read_name(field.bytes, "the producer's name"));
        if (!text.empty()) file.producer += (file.producer.empty() ? "" : " ") + text;
        return {};
      }
      case 7:
        if (std::exchange(seen, true)) return broken("model", "one graph", "two");
        return read_graph(field.bytes, 0, state, file.graph);
      case 8: return read_operator_set(field.bytes, state);
      case 25: ++file.functions; return {};
      default: return {};
    }
  }));
  if (!seen) return broken("model", "a graph", "none");
  return {};
}

}  // namespace

const Attribute* Node::find(std::string_view attribute) const noexcept {
  const auto found = std::find_if(attributes.begin(), attributes.end(), [&](const Attribute& a) { return a.name == attribute; });
  return found == attributes.end() ? nullptr : &*found;
}

std::string Node::label() const {
  std::string text = "node " + std::to_string(index);
  if (!name.empty()) text += " " + printable(name);
  return text + " (" + (domain.empty() ? "" : printable(domain) + ".") + printable(op) + ")";
}

std::int64_t OnnxFile::version_of(std::string_view domain) const noexcept {
  for (const OperatorSet& set : operator_sets)
    if (set.domain == domain) return set.version;
  return 0;
}

// Protobuf has no signature. A model begins with ir_version (field 1, a small number), then a name, the graph or an
// operator set.
bool looks_like_onnx(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < 4 || bytes[0] != std::byte{0x08} || bytes[1] == std::byte{0} || bytes[1] > std::byte{64}) return false;
  constexpr std::string_view kNext = "\x12\x1a\x22\x28\x32\x3a\x42";   // fields 2 to 8
  return kNext.find(static_cast<char>(bytes[2])) != std::string_view::npos;
}

Result<std::shared_ptr<const OnnxFile>> open_onnx(const std::filesystem::path& path) {
  RETORT_TRY(auto mapped, MappedFile::open(path));
  const auto bytes = mapped->bytes();
  if (!looks_like_onnx(bytes)) return formats::foreign_error(bytes, path.string());
  auto out = std::make_shared<OnnxFile>();
  out->path = path;
  out->files.push_back(mapped);
  ReadState state(*out);
  const auto read = read_model({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, state);
  if (!read) {
    Error error = read.error();
    if (error.file.empty()) error.file = path.string();
    return error;
  }
  return std::shared_ptr<const OnnxFile>(std::move(out));
}

}  // namespace retort::onnx
