#include "core/distill/choose_codes.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/distill/input_factor.h"
#include "core/distill/train_session.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {
namespace {

constexpr std::int64_t kTokensAtOnce = 1024;                  // of one forward pass
constexpr std::uint64_t kRoom = std::uint64_t{1} << 30;       // for the products of one pass's inputs
constexpr float kLongest = 4;                                 // a state's square over that of the median

// What one or several linears read, and the sum over the text.
struct Reading {
  ValueId input = -1;
  std::int32_t layer = -1;
  std::int64_t n = 0;
  std::vector<WeightId> weights{};
  AlignedBuffer second{};             // Σ x xᵀ, [n, n]
};

std::vector<Reading> readings_of(const Graph& graph, PackedWeights& packed) {
  std::vector<Reading> out;
  for (const Node& node : graph.nodes) {
    if (node.op != Op::kLinear || node.layer < 0 || !packed.blocks_of(node.weight).layout) continue;
    const ValueId input = node.inputs[0];
    auto found = std::find_if(out.begin(), out.end(), [&](const Reading& r) { return r.input == input && r.layer == node.layer; });
    if (found == out.end()) found = out.insert(out.end(), {.input = input, .layer = node.layer, .n = graph.widths[static_cast<std::size_t>(input)]});
    found->weights.push_back(node.weight);
  }
  return out;
}

class Chooser {
 public:
  Chooser(const Model& student, Parameters& parameters, PackedWeights& packed, const CodeChoice& choice, kernels::ThreadPool& pool, const JobContext& job)
      : student_(student), parameters_(parameters), packed_(packed), choice_(choice), pool_(pool), job_(job), readings_(readings_of(student.graph, packed)) {}

  Result<void> run(std::span<const TrainingExample> examples) {
    RETORT_CHECK(take_batches(examples));
    RETORT_TRY(scratch_, AlignedBuffer::allocate(static_cast<std::size_t>(pool_.threads()) * kernels::kMatmulScratch * sizeof(float), "work space"));
    for (std::size_t first = 0; first < readings_.size();) {
      std::size_t end = first;
      std::uint64_t bytes = 0;
      for (; end < readings_.size(); ++end) {
        const Reading& next = readings_[end];
        bytes += static_cast<std::uint64_t>(next.n) * static_cast<std::uint64_t>(next.n) * sizeof(float);
        if (end > first && bytes > kRoom) break;
      }
      RETORT_CHECK(pass(std::span(readings_).subspan(first, end - first)));
      first = end;
      job_.report({static_cast<double>(first), static_cast<double>(readings_.size()), "linears", "choosing codes"});
    }
    return {};
  }

 private:
  Result<void> take_batches(std::span<const TrainingExample> examples) {
    std::int64_t tokens = 0;
    for (const std::size_t i : epoch_order(examples.size(), choice_.seed, 0)) {
      if (tokens >= choice_.tokens) break;
      if (examples[i].ids.empty()) continue;
      if (batches_.empty() || batches_.back().tokens() >= kTokensAtOnce) batches_.emplace_back();
      batches_.back().add(examples[i].ids);
      tokens += static_cast<std::int64_t>(examples[i].ids.size());
    }
    if (tokens > 0) return {};
    return Error{.code = ErrorCode::kBadData, .place = "stages: new_codes", .expected = "training text", .found = "none"};
  }

  Result<void> pass(std::span<Reading> readings) {
    TrainPlanOptions options{.outputs = {}, .trainable = {}, .backward = false};
    for (Reading& reading : readings) {
      options.outputs.push_back(reading.input);
      const std::size_t bytes = static_cast<std::size_t>(reading.n * reading.n) * sizeof(float);
      RETORT_TRY(reading.second, AlignedBuffer::allocate(bytes, "products of inputs"));
    }
    RETORT_TRY(auto session, TrainSession::make(student_.graph, student_.config, parameters_, options, pool_));
    for (std::size_t b = 0; b < batches_.size(); ++b) RETORT_CHECK(add(*session, batches_[b], readings, b > 0));
    session.reset();
    for (Reading& reading : readings) {
      RETORT_CHECK(job_.check("choosing codes"));
      RETORT_CHECK(choose(reading));
      reading.second = AlignedBuffer();
    }
    return {};
  }

  // Some tokens' states are many times longer than all others' (those that attention is parked on): they would decide alone.
  static void shorten(std::vector<float>& states, std::int64_t n) {
    const std::size_t rows = states.size() / static_cast<std::size_t>(n);
    std::vector<float> squares(rows, 0.0f);
    for (std::size_t i = 0; i < states.size(); ++i) squares[i / static_cast<std::size_t>(n)] += states[i] * states[i];
    std::vector<float> sorted = squares;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(rows / 2), sorted.end());
    const float most = kLongest * sorted[rows / 2];
    for (std::size_t r = 0; r < rows; ++r) {
      if (squares[r] <= most) continue;
      const float factor = std::sqrt(most / squares[r]);
      for (std::size_t i = r * static_cast<std::size_t>(n); i < (r + 1) * static_cast<std::size_t>(n); ++i) states[i] *= factor;
    }
  }

  // Of the dense student.
  Result<void> add(TrainSession& session, const Batch& batch, std::span<Reading> readings, bool more) {
    packed_.compute_with(parameters_, false);
    const auto done = session.forward(batch, job_);
    packed_.compute_with(parameters_, true);
    RETORT_CHECK(done);
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const std::int64_t n = readings[i].n;
      std::vector<float> states(session.value(i).begin(), session.value(i).end());
      shorten(states, n);
      kernels::matmul(pool_, *kernels::matmul_kernel(),
                      {.transpose_a = true, .m = n, .n = n, .k = batch.tokens(), .a = states.data(), .a_stride = n, .b = states.data(), .b_stride = n,
                       .c = readings[i].second.as<float>(), .c_stride = n, .accumulate = more}, scratch_.as<float>());
    }
    return {};
  }

  Result<void> choose(Reading& reading) {
    const std::span<const float> second(reading.second.as<float>(), static_cast<std::size_t>(reading.n * reading.n));
    auto factor = InputFactor::make(second, reading.n, choice_.damping, pool_);
    if (!factor.ok()) {
      Error error = factor.error();
      error.place = fmt::format("{} of layer {}", error.place, reading.layer);
      return error;
    }
    for (const WeightId id : reading.weights) {
      const PackedWeights::Blocks blocks = packed_.blocks_of(id);
      const Parameter& parameter = parameters_[static_cast<std::size_t>(id)];
      factor->choose_codes(*blocks.layout, {parameter.master.as<float>(), parameter.elements}, blocks.rows, blocks.data.data(), pool_);
      packed_.codes_changed(id);
    }
    return {};
  }

  const Model& student_;
  Parameters& parameters_;
  PackedWeights& packed_;
  const CodeChoice& choice_;
  kernels::ThreadPool& pool_;
  const JobContext& job_;
  std::vector<Reading> readings_;
  std::vector<Batch> batches_;
  AlignedBuffer scratch_;
};

}  // namespace

Result<void> choose_codes(const Model& student, Parameters& parameters, PackedWeights& packed, std::span<const TrainingExample> examples,
                          const CodeChoice& choice, kernels::ThreadPool& pool, const JobContext& job) {
  return Chooser(student, parameters, packed, choice, pool, job).run(examples);
}

}  // namespace retort::distill
