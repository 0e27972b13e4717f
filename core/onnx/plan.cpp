#include "core/onnx/plan.h"

#include <algorithm>
#include <unordered_map>

#include "core/formats/byte_reader.h"

namespace retort::onnx {
namespace {

using formats::printable;

Error at_fault(ErrorCode code, std::string place, std::string expected, std::string found) {
  return Error{.code = code, .place = std::move(place), .expected = std::move(expected), .found = std::move(found)};
}

// What a Constant node holds.
Result<StoredTensor> constant_of(const Node& node) {
  if (node.attributes.size() != 1) return at_fault(ErrorCode::kCorrupt, node.label(), "one value", std::to_string(node.attributes.size()));
  const Attribute& value = node.attributes.front();
  if (value.kind == AttributeKind::kTensor && value.name == "value") return *value.tensor;
  StoredTensor out;
  const bool whole = value.kind == AttributeKind::kInt || value.kind == AttributeKind::kInts;
  out.type = whole ? ElementType::kInt64 : ElementType::kFloat;
  std::vector<std::byte> bytes;
  const auto take = [&](const auto& list) {
    const auto view = std::as_bytes(std::span(list));
    bytes.assign(view.begin(), view.end());
  };
  switch (value.kind) {
    case AttributeKind::kInt: take(std::array{value.whole}); break;
    case AttributeKind::kFloat: take(std::array{value.real}); break;
    case AttributeKind::kInts: take(value.wholes); out.shape = {static_cast<std::int64_t>(value.wholes.size())}; break;
    case AttributeKind::kFloats: take(value.reals); out.shape = {static_cast<std::int64_t>(value.reals.size())}; break;
    default: return at_fault(ErrorCode::kUnsupported, node.label(), "a tensor or numbers", printable(value.name));
  }
  out.owned = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  out.data = *out.owned;
  return out;
}

class Planner {
 public:
  // Without `memory` nothing is copied and problems are gathered; with it the first one ends the planning.
  Planner(const OnnxFile& file, Memory* memory, std::shared_ptr<const OnnxFile> keep)
      : file_(file), memory_(memory), keep_(std::move(keep)), plan_(std::make_shared<Plan>()) {}

  Result<std::shared_ptr<const Plan>> make() {
    RETORT_CHECK(note("", check_file()));
    RETORT_CHECK(note("", add_values()));
    for (const Node& node : file_.graph.nodes) RETORT_CHECK(note(node.op, add_node(node)));
    for (const ValueInfo& output : file_.graph.outputs) {
      const int value = find(output.name);
      if (value < 0 && !lost_.contains(output.name))
        RETORT_CHECK(note("", at_fault(ErrorCode::kCorrupt, "output " + printable(output.name), "a value that a node makes", "none")));
      plan_->outputs.push_back(value);
    }
    mark_last_uses(*plan_);
    plan_->file = keep_;
    return std::shared_ptr<const Plan>(plan_);
  }
  std::vector<Problem> take_problems() { return std::move(problems_); }

 private:
  // Passes an error on, or keeps it and goes on.
  Result<void> note(std::string op, Result<void> result) {
    if (result.ok()) return {};
    Error error = std::move(result).error();
    if (error.file.empty()) error.file = file_.path.string();
    if (memory_ != nullptr) return error;
    constexpr std::size_t kMost = 64;
    if (problems_.size() < kMost) problems_.push_back({std::move(op), std::move(error)});
    return {};
  }

  Result<void> check_file() {
    plan_->opset = file_.version_of("");
    if (plan_->opset < kOldestOpset || plan_->opset > kNewestOpset)
      return at_fault(ErrorCode::kUnsupported, "opset_import", "operator set " + std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset),
                      plan_->opset == 0 ? "none" : std::to_string(plan_->opset));
    if (file_.functions > 0) return at_fault(ErrorCode::kUnsupported, "functions", "operators of the standard only", std::to_string(file_.functions) + " functions of the model's own");
    if (file_.graph.sparse) return at_fault(ErrorCode::kUnsupported, "sparse_initializer", "dense weights", "sparse ones");
    return {};
  }

  int find(const std::string& name) const {
    const auto known = numbers_.find(name);
    return known == numbers_.end() ? -1 : known->second;
  }

  // Errors: kCorrupt (the name is taken).
  Result<int> add(const std::string& name, ElementType type, const std::string& place) {
    const int number = static_cast<int>(plan_->values.size());
    if (name.empty() || !numbers_.emplace(name, number).second)
      return at_fault(ErrorCode::kCorrupt, place, "a name of its own", name.empty() ? "none" : printable(name) + " again");
    plan_->values.push_back({name, type, {}, false});
    return number;
  }

  Result<void> set_constant(int number, const StoredTensor& stored) {
    Plan::Value& value = plan_->values[static_cast<std::size_t>(number)];
    value.is_constant = true;
    if (memory_ == nullptr || traits(stored.type).bits % 8 != 0) return {};
    // Bytes of the file, or of the graph that the file object holds.
    RETORT_TRY(value.constant, Tensor::held(*memory_, stored, stored.owned ? std::shared_ptr<const void>(stored.owned) : keep_));
    return {};
  }

  Result<void> add_values() {
    for (const StoredTensor& tensor : file_.graph.tensors) {
      RETORT_TRY(const int number, add(tensor.name, held_type(tensor.type), "tensor"));
      RETORT_CHECK(set_constant(number, tensor));
    }
    for (const ValueInfo& input : file_.graph.inputs) {
      if (find(input.name) >= 0 && plan_->values[static_cast<std::size_t>(find(input.name))].is_constant) continue;   // a weight's default
      if (input.type == ElementType::kUndefined) return at_fault(ErrorCode::kUnsupported, "input " + printable(input.name), "a tensor", "something else");
      RETORT_TRY(const int number, add(input.name, held_type(input.type), "input " + printable(input.name)));
      plan_->inputs.push_back(number);
      plan_->input_infos.push_back(&input);
    }
    return {};
  }

  Result<void> add_node(const Node& node) {
    Step step;
    step.node = &node;
    std::vector<ElementType> types;
    bool unknown = false;
    for (const std::string& name : node.inputs) {
      const int number = name.empty() ? -1 : find(name);
      if (!name.empty() && number < 0) {
        if (!lost_.contains(name)) {
          lose(node);
          return at_fault(ErrorCode::kCorrupt, node.label(), "inputs that are made before",
                          printable(name) + ", which nothing before this node makes (a cycle, nodes out of order, or a name from outside)");
        }
        unknown = true;   // made by a node that can't run; its own problem is noted already
      }
      step.inputs.push_back(number);
      types.push_back(number < 0 ? ElementType::kUndefined : plan_->values[static_cast<std::size_t>(number)].type);
    }
    step.row = find_operator(node.domain, node.op);
    if (unknown && step.row != nullptr) {
      lose(node);
      return {};
    }
    const auto checked = check_node(node, types, plan_->opset);
    if (!checked) {
      lose(node);
      return checked.error();
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      int number = -1;
      if (!node.outputs[i].empty()) {
        RETORT_TRY(number, add(node.outputs[i], (*checked)[i], node.label()));
      }
      step.outputs.push_back(number);
    }
    if (node.op == "Constant" && node.domain.empty()) {
      RETORT_TRY(const StoredTensor stored, constant_of(node));
      return step.outputs.empty() || step.outputs[0] < 0 ? Result<void>() : set_constant(step.outputs[0], stored);
    }
    plan_->steps.push_back(std::move(step));
    return {};
  }

  void lose(const Node& node) {
    for (const std::string& name : node.outputs)
      if (!name.empty()) lost_.emplace(name, true);
  }

  const OnnxFile& file_;
  Memory* memory_;
  std::shared_ptr<const OnnxFile> keep_;
  std::shared_ptr<Plan> plan_;
  std::unordered_map<std::string, int> numbers_;
  std::unordered_map<std::string, bool> lost_;
  std::vector<Problem> problems_;
};

}  // namespace

void mark_last_uses(Plan& plan) {
  std::vector<bool> needed(plan.values.size(), false);
  for (const int output : plan.outputs)
    if (output >= 0) needed[static_cast<std::size_t>(output)] = true;
  std::vector<Step> kept;
  for (std::size_t i = plan.steps.size(); i-- > 0;) {
    Step& step = plan.steps[i];
    step.last_used.clear();
    const auto is_needed = [&](int value) { return value >= 0 && needed[static_cast<std::size_t>(value)]; };
    if (std::none_of(step.outputs.begin(), step.outputs.end(), is_needed)) continue;   // nothing needs it
    for (const int output : step.outputs)
      if (output >= 0 && !is_needed(output)) step.last_used.push_back(output);
    for (const int input : step.inputs) {
      if (input < 0 || needed[static_cast<std::size_t>(input)]) continue;
      needed[static_cast<std::size_t>(input)] = true;
      if (!plan.values[static_cast<std::size_t>(input)].is_constant) step.last_used.push_back(input);
    }
    kept.push_back(std::move(step));
  }
  plan.steps.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
}

std::vector<Problem> problems_of(const OnnxFile& file) {
  Planner planner(file, nullptr, nullptr);
  static_cast<void>(planner.make().ok());
  return planner.take_problems();
}

Result<std::shared_ptr<const Plan>> make_plan(std::shared_ptr<const OnnxFile> file, Memory& memory) {
  const OnnxFile& reference = *file;
  return Planner(reference, &memory, std::move(file)).make();
}

}  // namespace retort::onnx
