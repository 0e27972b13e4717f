#include "core/distill/stage_figures.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include <fmt/format.h>

#include "core/distill/student.h"
#include "core/evaluate/statistics.h"
#include "core/model/encoder_input.h"

namespace retort::distill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kPromptTokens = 128, kMoreTokens = 32;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : quantile(values, 0.5);
}

// Codes and scales that training holds, read as a folder's would be.
class GridTensor final : public CodedTensor {
 public:
  explicit GridTensor(const GridView& view) : view_(view) {
    scheme_ = std::string(view.grid->level);
    bytes_ = grid_bytes(view.rows, view.columns, *view.grid, view.group);
  }
  void decode(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns, float* out) const noexcept override {
    const std::int64_t groups = view_.columns / view_.group;
    for (std::int64_t r = first_row; r < first_row + rows; ++r)
      for (std::int64_t c = first_column; c < first_column + columns; ++c)
        *out++ = view_.scales[static_cast<std::size_t>(r * groups + c / view_.group)] * view_.grid->values[view_.codes[static_cast<std::size_t>(r * view_.columns + c)]];
  }

 private:
  GridView view_;
};

Result<StageSpeed> encoder_speed(Session& session, const Model& student, std::span<const TrainingExample> texts, const JobContext& job) {
  EncoderInput input(student.config);
  std::vector<double> seconds;
  double tokens = 0;
  for (std::size_t i = 0; i <= texts.size(); ++i) {   // the first one twice: once to warm up
    const TrainingExample& text = texts[i == 0 ? 0 : i - 1];
    input.clear();
    RETORT_CHECK(input.add(text.ids));
    const auto start = Clock::now();
    RETORT_CHECK(session.encode(input.batch(), job));
    RETORT_CHECK(session.logits(0, 1));
    if (i == 0) continue;
    seconds.push_back(seconds_since(start));
    tokens += static_cast<double>(text.ids.size());
  }
  StageSpeed out{.latency_seconds = median(seconds)};
  out.prompt_tokens_per_second = tokens / std::max(1e-9, std::accumulate(seconds.begin(), seconds.end(), 0.0));
  return out;
}

Result<StageSpeed> decoder_speed(Session& session, std::span<const TokenId> prompt, const JobContext& job) {
  std::vector<double> prompts, tokens;
  for (int i = 0; i < 4; ++i) {   // the first to warm up
    session.rewind(0);
    const auto start = Clock::now();
    RETORT_CHECK(session.run(prompt, job));
    RETORT_CHECK(session.logits(static_cast<std::int64_t>(prompt.size()) - 1, 1));
    if (i > 0) prompts.push_back(seconds_since(start));
  }
  for (std::int64_t i = 0; i < kMoreTokens; ++i) {
    const auto start = Clock::now();
    RETORT_CHECK(session.run(prompt.subspan(static_cast<std::size_t>(i) % prompt.size(), 1), job));
    RETORT_CHECK(session.logits(0, 1));
    tokens.push_back(seconds_since(start));
  }
  return StageSpeed{.latency_seconds = median(tokens), .prompt_tokens_per_second = static_cast<double>(prompt.size()) / std::max(1e-9, median(prompts))};
}

// What a stage adds to the examples that stood worst before it, less what it adds to the others.
double excess(std::span<const double> added, std::span<const std::size_t> picks, const std::vector<bool>& worst) {
  double sums[2] = {0, 0}, counts[2] = {0, 0};
  for (const std::size_t i : picks) {
    sums[worst[i]] += added[i];
    ++counts[worst[i]];
  }
  return counts[0] > 0 && counts[1] > 0 ? sums[1] / counts[1] - sums[0] / counts[0] : 0;
}

}  // namespace

Model model_as_written(const Model& student, const Parameters& parameters, const PackedWeights* packed) {
  Model model = model_of(student, parameters, packed);
  for (std::size_t id = 0; packed && id < model.weights.size(); ++id) {
    const GridView view = packed->grid_of(static_cast<WeightId>(id));
    if (!view.grid) continue;
    model.weights[id].data = {};
    model.weights[id].coded = std::make_shared<GridTensor>(view);
  }
  return model;
}

Result<StageSpeed> measure_speed(const Model& student, std::span<const TrainingExample> texts, int threads, const JobContext& job) {
  texts = texts.first(std::min(texts.size(), kTimedTexts));
  if (texts.empty()) return Error{.code = ErrorCode::kBadArgument, .place = "speed", .expected = "a text to time on", .found = "none"};
  RETORT_CHECK(job.check("latency and memory"));
  const bool causal = student.graph.causal;
  std::size_t longest = 1;
  for (const TrainingExample& text : texts) longest = std::max(longest, text.ids.size());
  std::vector<TokenId> prompt = texts[0].ids;
  if (causal) prompt.resize(std::min<std::size_t>(prompt.size(), kPromptTokens));
  const auto tokens = static_cast<std::int64_t>(causal ? prompt.size() : longest);
  RETORT_TRY(const auto backend, make_backend("cpu", threads));
  RETORT_TRY(const auto session, backend->compile(std::make_shared<const Model>(student), {.context = causal ? tokens + kMoreTokens : tokens, .batch = tokens}));
  RETORT_TRY(StageSpeed out, causal ? decoder_speed(*session, prompt, job) : encoder_speed(*session, student, texts, job));
  out.memory_bytes = session->memory().total();
  return out;
}

Result<std::vector<double>> example_losses(Objective& objective, std::span<const TrainingExample> examples, const JobContext& job) {
  std::vector<double> out;
  for (const TrainingExample& example : examples.first(std::min(examples.size(), kJudgedExamples))) {
    const TrainingExample* const one = &example;
    RETORT_TRY(const BatchLoss loss, objective.run(std::span(&one, 1), false, 1, job));
    out.push_back(loss.divergence != 0 ? loss.divergence : loss.cross_entropy);
  }
  return out;
}

std::string compounded_damage(std::span<const double> before, std::span<const double> after, std::string_view stage, std::string_view earlier) {
  constexpr std::size_t kLeast = 20;   // fewer examples prove nothing
  constexpr int kResamples = 1000;
  const std::size_t n = before.size();
  if (n < kLeast || after.size() != n) return {};
  std::vector<double> added(n);
  for (std::size_t i = 0; i < n; ++i) added[i] = after[i] - before[i];
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return before[a] > before[b]; });
  std::vector<bool> worst(n, false);
  for (std::size_t i = 0; i < n / 2; ++i) worst[order[i]] = true;
  const Figure mean = bootstrap_mean(added, 1, kResamples);
  std::vector<double> differences;
  for (const auto& picks : resample_indices(n, kResamples, 2)) differences.push_back(excess(added, picks, worst));
  std::sort(differences.begin(), differences.end());
  const double low = quantile(differences, 0.025), high = quantile(differences, 0.975), found = excess(added, order, worst);
  if (!(mean.low > 0) || !(low > 0)) return {};
  return fmt::format("{} compounds the damage of {}: it adds {:.3g} more to the loss where that had cost most than elsewhere (95 % {:.3g} to {:.3g}, {} examples).", stage, earlier,
                     found, low, high, n);
}

}  // namespace retort::distill
