// Which nodes carry the damage of static quantization: each is rounded alone, then the worst are left out together.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "core/onnx/quantize.h"
#include "core/onnx/quantize_targets.h"

namespace retort::onnx {
namespace {

using Outputs = std::vector<Session::Values>;   // of each set

// Root mean square of the difference, relative to the reference's, of the worst output.
double difference(const Outputs& reference, const Outputs& own) {
  std::map<std::string, std::pair<double, double>, std::less<>> sums;   // squares of difference and of reference
  for (std::size_t set = 0; set < reference.size(); ++set)
    for (const auto& [name, value] : reference[set]) {
      if (value.type() != ElementType::kFloat || own[set].at(name).shape() != value.shape()) continue;
      const auto a = value.values<float>(), b = own[set].at(name).values<float>();
      auto& [apart, whole] = sums[name];
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = static_cast<double>(a[i]), d = x - static_cast<double>(b[i]);
        apart += d * d;
        whole += x * x;
      }
    }
  double worst = 0;
  for (const auto& [name, sum] : sums) worst = std::max(worst, sum.second > 0 ? std::sqrt(sum.first / sum.second) : std::sqrt(sum.first));
  return std::isfinite(worst) ? worst : HUGE_VAL;
}

// The graph with some of its nodes rounded as the written file rounds them.
class RoundedGraph {
 public:
  RoundedGraph(Session& session, const Ranges& ranges, const Biases& biases, std::span<const Session::Values> sets, const JobContext& job)
      : session_(session), ranges_(ranges), biases_(biases), sets_(sets), job_(job) {}

  Result<void> start() {
    for (const Target& target : targets_of(session_.plan())) {
      if (!ranges_.contains(target.activation)) continue;
      RETORT_TRY(Tensor rounded, rounded_weight(session_, target));
      weights_.push_back(std::move(rounded));
      targets_.push_back(target);
    }
    RETORT_TRY(reference_, run(session_.plan()));
    return {};
  }
  const std::vector<Target>& targets() const noexcept { return targets_; }

  // With the targets of `which` rounded.
  Result<double> error(const std::vector<bool>& which) {
    Plan plan = session_.plan();
    std::unordered_map<std::size_t, std::size_t> step_of;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) step_of[plan.steps[i].node->index] = i;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (!which[i]) continue;
      Step& step = plan.steps[step_of.at(targets_[i].step->node->index)];
      step.inputs[1] = static_cast<int>(plan.values.size());
      plan.values.push_back({targets_[i].weight->name + " rounded", ElementType::kFloat, weights_[i], true});
      const Grid grid = grid_of(ranges_.find(targets_[i].activation)->second);
      step.rounded_input = Step::Rounding{grid.scale, grid.zero};
      if (const auto bias = biases_.find(step.node->index); bias != biases_.end()) {
        RETORT_TRY(Tensor corrected, copy_of(bias->second));
        step.inputs.resize(std::max<std::size_t>(step.inputs.size(), 3), -1);
        step.inputs[2] = static_cast<int>(plan.values.size());
        plan.values.push_back({targets_[i].weight->name + " bias", ElementType::kFloat, std::move(corrected), true});
      }
    }
    RETORT_TRY(const Outputs own, run(plan));
    return difference(reference_, own);
  }

 private:
  Result<Tensor> copy_of(const std::vector<float>& values) {
    StoredTensor stored;
    stored.type = ElementType::kFloat;
    stored.shape = {static_cast<std::int64_t>(values.size())};
    stored.data = std::as_bytes(std::span(values));
    return session_.copy_in(stored);
  }
  Result<Outputs> run(const Plan& plan) {
    RETORT_TRY(const auto ready, session_.prepare(plan));
    Outputs out;
    for (const Session::Values& inputs : sets_) {
      RETORT_TRY(Session::Values values, session_.run(*ready, inputs, job_.with_progress({})));
      out.push_back(std::move(values));
    }
    return out;
  }

  Session& session_;
  const Ranges& ranges_;
  const Biases& biases_;
  std::span<const Session::Values> sets_;
  const JobContext& job_;
  std::vector<Target> targets_;
  std::vector<Tensor> weights_;
  Outputs reference_;
};

}  // namespace

NodeSet SensitivityReport::kept() const {
  NodeSet out;
  for (const Sensitivity& node : nodes)
    if (node.kept) out.insert(node.node);
  return out;
}

Result<SensitivityReport> measure_sensitivity(Session& session, const Ranges& ranges, const Biases& biases, std::span<const Session::Values> sets, double target, double most_bytes,
                                              const JobContext& job) {
  RoundedGraph graph(session, ranges, biases, sets, job);
  RETORT_CHECK(graph.start());
  const auto& targets = graph.targets();
  SensitivityReport report;
  std::uint64_t all_bytes = 0;
  std::vector<std::size_t> order(targets.size());
  std::vector<double> errors(targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    job.report({static_cast<double>(i), static_cast<double>(targets.size()), "nodes", targets[i].step->node->label()});
    std::vector<bool> one(targets.size(), false);
    one[i] = true;
    RETORT_TRY(errors[i], graph.error(one));
    order[i] = i;
    all_bytes += targets[i].weight->constant.bytes().size();
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return errors[a] > errors[b]; });
  for (const std::size_t i : order)
    report.nodes.push_back({targets[i].step->node->index, targets[i].step->node->label(), targets[i].weight->name, targets[i].weight->constant.bytes().size(), errors[i], false});
  // What a node costs in bytes counts as well: many small ones may carry more of the damage than one large one.
  std::vector<std::size_t> worth = order;
  const auto gain = [&](std::size_t i) { return errors[i] * errors[i] / static_cast<double>(std::max<std::size_t>(targets[i].weight->constant.bytes().size(), 256)); };
  std::stable_sort(worth.begin(), worth.end(), [&](std::size_t a, std::size_t b) { return gain(a) > gain(b); });
  // The n of the greatest gain that fit the bytes stay in f32.
  const auto chosen = [&](std::size_t n) {
    std::vector<bool> kept(targets.size(), false);
    double bytes = 0;
    for (const std::size_t i : worth) {
      const auto here = static_cast<double>(targets[i].weight->constant.bytes().size());
      if (n == 0 || bytes + here > most_bytes * static_cast<double>(all_bytes)) continue;
      bytes += here;
      kept[i] = true;
      --n;
    }
    return kept;
  };
  const auto error_with = [&](std::size_t n) {
    std::vector<bool> rounded = chosen(n);
    rounded.flip();
    return graph.error(rounded);
  };
  RETORT_TRY(report.error_all, error_with(0));
  report.error = report.error_all;
  if (target <= 0 || report.error_all <= target) return report;
  // Twice as many each time until it is enough, then half-way between; errors fall as nodes stay, nearly always.
  std::size_t low = 0, high = 1;
  double error = 0;
  for (;; high *= 2) {
    high = std::min(high, targets.size());
    RETORT_TRY(error, error_with(high));
    if (error <= target || high == targets.size()) break;
    low = high;
  }
  while (high - low > 1 && error <= target) {
    const std::size_t middle = (low + high) / 2;
    RETORT_TRY(const double here, error_with(middle));
    if (here <= target) {
      high = middle;
      error = here;
    } else {
      low = middle;
    }
  }
  report.error = error;
  const std::vector<bool> kept = chosen(high);
  for (std::size_t i = 0; i < order.size(); ++i) report.nodes[i].kept = kept[order[i]];
  return report;
}

}  // namespace retort::onnx
