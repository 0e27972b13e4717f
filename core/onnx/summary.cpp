#include "core/onnx/summary.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

namespace retort::onnx {
namespace {

using Kind = std::pair<std::string, std::string>;   // domain and name

void count_operators(const Graph& graph, std::map<Kind, int>& counts) {
  for (const Node& node : graph.nodes) {
    ++counts[{node.domain, node.op}];
    for (const Attribute& attribute : node.attributes)
      for (const auto& inner : attribute.graphs) count_operators(*inner, counts);
  }
}

std::vector<Weight> weights_of(const OnnxFile& file) {
  std::vector<Weight> out;
  for (const StoredTensor& tensor : file.graph.tensors) out.push_back({tensor, {}, {}});
  for (const Node& node : file.graph.nodes) {
    const Attribute* value = node.op == "Constant" ? node.find("value") : nullptr;
    if (!value || !value->tensor || node.outputs.empty()) continue;
    out.push_back({*value->tensor, {}, {}});
    out.back().tensor.name = node.outputs.front();
  }
  return out;
}

// Who reads a weight first. A weight that reaches its node by way of a cheap step (Identity, DequantizeLinear, Cast …) counts
// for the node behind that step.
void find_readers(const OnnxFile& file, std::vector<Weight>& weights) {
  static const std::set<std::string_view> kPassing = {"Identity", "DequantizeLinear", "Cast", "Transpose", "Reshape", "Unsqueeze", "Squeeze"};
  std::unordered_map<std::string_view, const Node*> first;
  for (const Node& node : file.graph.nodes)
    for (const std::string& input : node.inputs) first.emplace(input, &node);
  for (Weight& weight : weights) {
    auto found = first.find(weight.tensor.name);
    for (int steps = 0; found != first.end() && steps < 8; ++steps) {
      const Node& node = *found->second;
      const auto next = kPassing.contains(node.op) && !node.outputs.empty() ? first.find(node.outputs.front()) : first.end();
      if (next == first.end()) break;
      found = next;
    }
    if (found == first.end()) continue;
    weight.op = found->second->op;
    weight.node = found->second->label();
  }
}

}  // namespace

Summary summarise(const OnnxFile& file) {
  Summary out;
  out.weights = weights_of(file);
  out.problems = problems_of(file);
  find_readers(file, out.weights);
  std::map<Kind, int> counts;
  count_operators(file.graph, counts);
  std::map<std::string_view, std::uint64_t> bytes;
  std::set<std::string_view> names;
  for (const Weight& weight : out.weights) {
    out.bytes += weight.tensor.data.size();
    out.parameters += static_cast<std::uint64_t>(weight.tensor.elements());
    bytes[weight.op] += weight.tensor.data.size();
    names.insert(weight.tensor.name);
  }
  for (const auto& [kind, count] : counts)
    out.operators.push_back({kind.first, kind.second, count, find_operator(kind.first, kind.second) != nullptr, kind.first.empty() ? bytes[kind.second] : 0});
  std::stable_sort(out.operators.begin(), out.operators.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
  for (const ValueInfo& input : file.graph.inputs)
    if (!names.contains(input.name)) out.inputs.push_back(&input);
  for (const OperatorCount& op : out.operators)
    out.quantized = out.quantized || op.name == "DequantizeLinear" || op.name.ends_with("Integer") || op.name.starts_with("QLinear");
  return out;
}

std::string dimensions(const ValueInfo& value) {
  if (!value.has_shape) return "of any shape";
  std::string text;
  for (std::size_t i = 0; i < value.shape.size(); ++i)
    text += (i > 0 ? " × " : "") + (value.shape[i] >= 0 ? std::to_string(value.shape[i]) : value.symbols[i].empty() ? "?" : value.symbols[i]);
  return text.empty() ? "scalar" : text;
}

std::optional<TensorEntry> entry_of(const StoredTensor& tensor) {
  using enum ElementType;
  static const std::map<ElementType, TensorType> kTypes = {
      {kFloat, TensorType::kF32}, {kFloat16, TensorType::kF16}, {kBfloat16, TensorType::kBF16}, {kDouble, TensorType::kF64},
      {kInt8, TensorType::kI8}, {kUint8, TensorType::kU8}, {kBool, TensorType::kU8}, {kInt16, TensorType::kI16}, {kUint16, TensorType::kU16},
      {kInt32, TensorType::kI32}, {kUint32, TensorType::kU32}, {kInt64, TensorType::kI64}, {kUint64, TensorType::kU64}};
  const auto type = kTypes.find(tensor.type);
  if (type == kTypes.end() || element_bytes(tensor.type, static_cast<std::uint64_t>(tensor.elements())) != tensor.data.size()) return std::nullopt;
  TensorEntry entry;
  entry.name = tensor.name;
  entry.shape = tensor.shape;
  if (entry.shape.size() > 2)   // a convolution's weights: a row for each filter
    entry.shape = {tensor.shape[0], tensor.shape[0] > 0 ? tensor.elements() / tensor.shape[0] : 0};
  entry.type = type->second;
  entry.data = tensor.data;
  return entry;
}

}  // namespace retort::onnx
