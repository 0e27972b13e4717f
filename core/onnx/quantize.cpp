#include "core/onnx/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/formats/byte_reader.h"
#include "core/formats/protobuf.h"
#include "core/formats/protobuf_writer.h"
#include "core/onnx/quantize_targets.h"

namespace retort::onnx {
namespace {

using formats::for_fields;
using formats::ProtoField;
using formats::ProtoWriter;
using formats::Wire;

// TensorProto with raw_data.
template <class T>
std::string tensor_message(const std::string& name, ElementType type, const Shape& shape, std::span<const T> values) {
  ProtoWriter out;
  for (const std::int64_t size : shape) out.number(1, static_cast<std::uint64_t>(size));
  const auto bytes = std::as_bytes(values);
  return out.number(2, static_cast<std::uint64_t>(type)).bytes(8, name).bytes(9, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}).text();
}

// AttributeProto of one whole number: type INT is 2.
std::string whole_attribute(const char* name, std::int64_t value) {
  return ProtoWriter().bytes(1, name).number(3, static_cast<std::uint64_t>(value)).number(20, 2).text();
}

std::string node_message(const char* op, const std::vector<std::string>& inputs, const std::string& output, const std::string& attribute = {}) {
  ProtoWriter out;
  for (const std::string& input : inputs) out.bytes(1, input);
  out.bytes(2, output).bytes(3, output).bytes(4, op);
  if (!attribute.empty()) out.bytes(5, attribute);
  return out.text();
}

class Rewriter {
 public:
  Rewriter(const Plan& plan, const Ranges& ranges, const NodeSet& kept, const Biases& biases) : plan_(plan), ranges_(ranges), kept_(kept), biases_(biases) {
    for (const Plan::Value& value : plan.values) names_.insert(value.name);
  }

  Result<QuantizedGraph> make() {
    for (const StoredTensor& tensor : plan_.file->graph.tensors)
      if (tensor.external)
        return Error{.code = ErrorCode::kUnsupported, .place = "tensor " + formats::printable(tensor.name), .expected = "weights inside the file", .found = "external data",
                     .next_step = "save the model with its weights inside"};
    for (const StoredTensor& tensor : plan_.file->graph.tensors)
      if (is_half(tensor.type))
        return Error{.code = ErrorCode::kUnsupported, .place = "tensor " + formats::printable(tensor.name), .expected = "f32 weights", .found = "half precision",
                     .next_step = "quantize the model's f32 export"};
    for (const Target& target : targets_of(plan_)) {
      if (!ranges_.contains(target.activation) || kept_.contains(target.step->node->index)) {
        ++out_.kept;
        continue;
      }
      RETORT_CHECK(add(target));
      ++out_.nodes;
    }
    find_unused_weights();
    const auto bytes = plan_.file->files.front()->bytes();
    ProtoWriter model;
    RETORT_CHECK(for_fields({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "model", [&](const ProtoField& field) -> Result<void> {
      if (!field.is(7, Wire::kBytes)) {
        model.raw(field.raw);
        return {};
      }
      RETORT_TRY(const std::string graph, rewrite_graph(field.bytes));
      model.bytes(7, graph);
      return {};
    }));
    out_.bytes = model.text();
    return std::move(out_);
  }

 private:
  std::string fresh(const std::string& stem) {
    std::string name = stem;
    for (int i = 2; !names_.insert(name).second; ++i) name = stem + "_" + std::to_string(i);
    return name;
  }

  Result<void> add(const Target& target) {
    auto [weight, new_weight] = weights_.try_emplace({target.weight->name, target.axis});
    if (new_weight) {
      RETORT_TRY(weight->second, add_weight(target));
    }
    auto [activation, new_activation] = activations_.try_emplace(target.activation);
    std::string before = std::exchange(pending_weight_, {});
    if (new_activation) activation->second = add_activation(target.activation, before);
    inputs_[target.step->node->index] = {activation->second, weight->second};
    before_[target.step->node->index] = std::move(before);
    ++replaced_[target.weight->name];
    if (const auto bias = biases_.find(target.step->node->index); bias != biases_.end()) add_bias(target, bias->second);
    return {};
  }

  // Codes, scales and the nodes that give the values back. Operator sets before 13 have no scale per channel in
  // DequantizeLinear: there Cast and Mul say the same.
  Result<std::string> add_weight(const Target& target) {
    RETORT_TRY(const Codes codes, round_weight(target));
    const Shape& shape = target.weight->constant.shape();
    const std::string stem = target.weight->name;
    const std::string name = fresh(stem + "_int8"), scale = fresh(stem + "_scale"), value = fresh(stem + "_dequantized");
    out_.weight_bytes_before += target.weight->constant.bytes().size();
    out_.weight_bytes_after += codes.values.size() + codes.scales.size() * sizeof(float);
    tensors_.bytes(5, tensor_message<std::int8_t>(name, ElementType::kInt8, shape, codes.values));
    ProtoWriter nodes;
    const auto channels = static_cast<std::int64_t>(codes.scales.size());
    if (plan_.opset >= 13) {
      tensors_.bytes(5, tensor_message<float>(scale, ElementType::kFloat, {channels}, codes.scales));
      nodes.bytes(1, node_message("DequantizeLinear", {name, scale}, value, whole_attribute("axis", static_cast<std::int64_t>(target.axis))));
    } else {
      Shape along(shape.size(), 1);
      along[target.axis] = channels;
      tensors_.bytes(5, tensor_message<float>(scale, ElementType::kFloat, along, codes.scales));
      const std::string number = fresh(stem + "_float");
      nodes.bytes(1, node_message("Cast", {name}, number, whole_attribute("to", 1))).bytes(1, node_message("Mul", {number, scale}, value));
    }
    pending_weight_ = nodes.text();
    return value;
  }

  // The corrected bias in the place of the node's own, or as one that it hadn't.
  void add_bias(const Target& target, const std::vector<float>& bias) {
    const auto& inputs = target.step->node->inputs;
    if (inputs.size() > 2 && !inputs[2].empty()) ++replaced_[inputs[2]];
    const std::string name = fresh(target.weight->name + "_bias");
    tensors_.bytes(5, tensor_message<float>(name, ElementType::kFloat, {static_cast<std::int64_t>(bias.size())}, bias));
    bias_names_[target.step->node->index] = name;
  }

  std::string add_activation(const std::string& name, std::string& nodes) {
    const auto [scale, zero] = grid_of(ranges_.find(name)->second);
    const std::string scale_name = fresh(name + "_scale"), zero_name = fresh(name + "_zero"), codes = fresh(name + "_uint8"), value = fresh(name + "_dequantized");
    tensors_.bytes(5, tensor_message<float>(scale_name, ElementType::kFloat, {}, std::span(&scale, 1)));
    tensors_.bytes(5, tensor_message<std::uint8_t>(zero_name, ElementType::kUint8, {}, std::span(&zero, 1)));
    nodes += ProtoWriter().bytes(1, node_message("QuantizeLinear", {name, scale_name, zero_name}, codes))
                 .bytes(1, node_message("DequantizeLinear", {codes, scale_name, zero_name}, value)).text();
    return value;
  }

  // Weights that only replaced inputs used.
  void find_unused_weights() {
    std::map<std::string, std::size_t, std::less<>> uses;
    for (const Node& node : plan_.file->graph.nodes)
      for (const std::string& input : node.inputs) ++uses[input];
    for (const ValueInfo& output : plan_.file->graph.outputs) ++uses[output.name];
    for (const ValueInfo& input : plan_.file->graph.inputs) ++uses[input.name];   // a weight that callers may replace
    for (const auto& [name, count] : replaced_)
      if (uses[name] == count) unused_.insert(name);
  }

  Result<std::string> rewrite_graph(std::string_view bytes) {
    ProtoWriter graph;
    graph.raw(tensors_.text());
    std::size_t node = 0, tensor = 0;
    const Graph& read = plan_.file->graph;
    RETORT_CHECK(for_fields(bytes, "graph", [&](const ProtoField& field) -> Result<void> {
      if (field.is(1, Wire::kBytes)) return rewrite_node(field, read.nodes[node++], graph);
      if (field.is(5, Wire::kBytes) && unused_.contains(read.tensors[tensor++].name)) return {};
      graph.raw(field.raw);
      return {};
    }));
    return graph.text();
  }

  Result<void> rewrite_node(const ProtoField& field, const Node& node, ProtoWriter& graph) {
    if (node.op == "Constant" && node.outputs.size() == 1 && unused_.contains(node.outputs[0])) return {};
    const auto inputs = inputs_.find(node.index);
    if (inputs == inputs_.end()) {
      graph.raw(field.raw);
      return {};
    }
    graph.raw(before_[node.index]);
    ProtoWriter out;
    std::size_t input = 0;
    const auto bias = bias_names_.find(node.index);
    RETORT_CHECK(for_fields(field.bytes, "node", [&](const ProtoField& part) -> Result<void> {
      if (part.is(1, Wire::kBytes) && input < 2) out.bytes(1, input == 0 ? inputs->second.first : inputs->second.second);
      else if (part.is(1, Wire::kBytes) && input == 2 && bias != bias_names_.end()) out.bytes(1, bias->second);
      else out.raw(part.raw);
      input += part.is(1, Wire::kBytes);
      return {};
    }));
    if (input == 2 && bias != bias_names_.end()) out.bytes(1, bias->second);
    graph.bytes(1, out.text());
    return {};
  }

  const Plan& plan_;
  const Ranges& ranges_;
  const NodeSet& kept_;
  const Biases& biases_;
  QuantizedGraph out_;
  std::set<std::string, std::less<>> names_, unused_;
  ProtoWriter tensors_;                                                     // initializers to add
  std::string pending_weight_;                                              // nodes of the weight just added
  std::map<std::pair<std::string, std::size_t>, std::string> weights_;      // weight and axis → its value given back
  std::map<std::string, std::string, std::less<>> activations_;
  std::map<std::string, std::size_t, std::less<>> replaced_;
  std::unordered_map<std::size_t, std::pair<std::string, std::string>> inputs_;   // by node
  std::unordered_map<std::size_t, std::string> before_, bias_names_;        // by node
};

}  // namespace

Result<QuantizedGraph> quantize_graph(const Plan& plan, const Ranges& ranges, const NodeSet& kept, const Biases& biases) {
  return Rewriter(plan, ranges, kept, biases).make();
}

}  // namespace retort::onnx
