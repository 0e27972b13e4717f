// Rounding moves the mean of what a convolution gives, channel by channel, and a deep net adds such shifts up. The shift is
// measured on f32 inputs, node by node, and taken off its bias (Nagel et al., "Data-Free Quantization Through Weight
// Equalization and Bias Correction", 2019, with measured instead of derived means).
#include <unordered_map>

#include "core/onnx/quantize.h"
#include "core/onnx/quantize_targets.h"

namespace retort::onnx {
namespace {

// A node and its twin with rounded weights and input.
struct Twin {
  const Target* target = nullptr;
  int exact = -1, rounded = -1;            // values: what each gives
  std::vector<double> shift;               // sum of rounded - exact
  double count = 0;                        // values of each channel
};

bool has_bias_input(const Target& target) {
  return target.step->node->op == "Conv" || (target.step->node->op == "Gemm" && Attributes(*target.step->node).real("beta", 1) == 1);
}

// The bias of a node as it is; empty: none. nullopt: it isn't constant, or not one number for each channel.
std::optional<std::vector<float>> bias_of(const Plan& plan, const Target& target) {
  const Step& step = *target.step;
  if (step.inputs.size() < 3 || step.inputs[2] < 0) return std::vector<float>();
  const Plan::Value& value = plan.values[static_cast<std::size_t>(step.inputs[2])];
  if (!value.is_constant || value.type != ElementType::kFloat || value.constant.elements() != target.weight->constant.size(target.axis)) return std::nullopt;
  const auto values = value.constant.values<float>();
  return std::vector<float>(values.begin(), values.end());
}

// Adds the values of each channel of x ([batch, channels, …]), times `sign`.
void add_channels(const Tensor& x, Twin& twin, double sign) {
  const auto channels = static_cast<std::int64_t>(twin.shift.size());
  std::int64_t inner = 1;
  for (std::size_t d = 2; d < x.rank(); ++d) inner *= x.size(d);
  const float* const values = x.data<float>();
  for (std::int64_t row = 0; row < x.elements() / std::max<std::int64_t>(inner, 1); ++row) {
    double sum = 0;
    for (std::int64_t i = row * inner; i < (row + 1) * inner; ++i) sum += static_cast<double>(values[i]);
    twin.shift[static_cast<std::size_t>(row % channels)] += sign * sum;
  }
  if (sign > 0) twin.count += static_cast<double>(x.elements()) / static_cast<double>(channels);
}

}  // namespace

Result<Biases> corrected_biases(Session& session, const Ranges& ranges, std::span<const Session::Values> sets, const JobContext& job) {
  const std::vector<Target> targets = targets_of(session.plan());
  Plan plan = session.plan();
  std::unordered_map<const Node*, std::vector<Step>> before;
  std::vector<Twin> twins;
  for (const Target& target : targets) {
    const auto range = ranges.find(target.activation);
    if (range == ranges.end() || !has_bias_input(target) || !bias_of(plan, target) || target.step->outputs[0] < 0) continue;
    RETORT_TRY(Tensor weight, rounded_weight(session, target));
    Step twin = *target.step;
    twin.inputs[1] = static_cast<int>(plan.values.size());
    plan.values.push_back({target.weight->name + " rounded", ElementType::kFloat, std::move(weight), true});
    twin.outputs = {static_cast<int>(plan.values.size())};
    plan.values.push_back({target.activation + " through " + target.weight->name, ElementType::kFloat, {}, false});
    const Grid grid = grid_of(range->second);
    twin.rounded_input = Step::Rounding{grid.scale, grid.zero};
    twin.last_used = twin.outputs;         // looked at, not kept
    Twin made{.target = &target, .exact = target.step->outputs[0], .rounded = twin.outputs[0], .shift = {}, .count = 0};
    made.shift.assign(static_cast<std::size_t>(target.weight->constant.size(target.axis)), 0.0);
    twins.push_back(std::move(made));
    before[target.step->node].push_back(std::move(twin));
  }
  std::vector<Step> steps;                 // each twin before its node, whose inputs may go with it
  for (Step& step : plan.steps) {
    for (Step& twin : before[step.node]) steps.push_back(std::move(twin));
    steps.push_back(std::move(step));
  }
  plan.steps = std::move(steps);
  std::unordered_map<std::string, std::vector<std::pair<Twin*, double>>> watched;
  for (Twin& twin : twins) {
    watched[plan.values[static_cast<std::size_t>(twin.rounded)].name].emplace_back(&twin, 1.0);
    watched[plan.values[static_cast<std::size_t>(twin.exact)].name].emplace_back(&twin, -1.0);
  }
  const auto look = [&](const std::string& name, const Tensor& value) {
    const auto found = watched.find(name);
    if (found == watched.end()) return;
    for (const auto& [twin, sign] : found->second) add_channels(value, *twin, sign);
  };
  for (const Session::Values& inputs : sets) {
    RETORT_TRY(const auto outputs, session.run(plan, inputs, job, look));
  }
  Biases out;
  for (const Twin& twin : twins) {
    std::vector<float> bias = *bias_of(session.plan(), *twin.target);
    bias.resize(twin.shift.size());
    for (std::size_t c = 0; c < bias.size(); ++c)
      if (twin.count > 0) bias[c] -= static_cast<float>(twin.shift[c] / twin.count);
    out.emplace(twin.target->step->node->index, std::move(bias));
  }
  return out;
}

}  // namespace retort::onnx
