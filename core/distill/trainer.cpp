#include "core/distill/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace retort::distill {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A loss is smoothed over about this many steps, and has diverged when it stands so far above its lowest.
constexpr double kSmoothing = 0.05, kDiverged = 3;
constexpr std::int64_t kPatienceOfDivergence = 100;   // steps before it is judged

void add_weighted(BatchLoss& sum, const BatchLoss& part) {
  sum.loss += part.loss * part.count;
  sum.cross_entropy += part.cross_entropy * part.count;
  sum.divergence += part.divergence * part.count;
  sum.features += part.features * part.count;
  sum.count += part.count;
  sum.add_counts(part);
}

BatchLoss mean_of(BatchLoss sum) {
  const double n = std::max(sum.count, 1e-12);
  sum.loss /= n;
  sum.cross_entropy /= n;
  sum.divergence /= n;
  sum.features /= n;
  return sum;
}

// Lower is better: errors for a classifier with labels (the loss decides between equals), the loss otherwise.
double score_of(const BatchLoss& loss) {
  if (loss.labelled == 0) return loss.loss;
  return 1 - static_cast<double>(loss.right) / static_cast<double>(loss.labelled) + 1e-6 * std::min(loss.loss, 100.0);
}

}  // namespace

std::string curve_line(const CurvePoint& point) {
  nlohmann::ordered_json line = {{"step", point.step}, {"seconds", point.seconds}, {"tokens", point.tokens}};
  const std::string prefix = point.validation ? "validation_" : "";
  line[prefix + "loss"] = point.loss.loss;
  if (point.loss.cross_entropy != 0) line[prefix + "cross_entropy"] = point.loss.cross_entropy;
  if (point.loss.divergence != 0) line[prefix + "divergence"] = point.loss.divergence;
  if (point.loss.features != 0) line[prefix + "features"] = point.loss.features;
  if (point.loss.labelled > 0)
    line[prefix + "accuracy"] = static_cast<double>(point.loss.right) / static_cast<double>(point.loss.labelled);
  if (point.loss.sampled > 0) line["sampled_tokens"] = point.loss.sampled;
  if (!point.validation) {
    line["rate"] = point.rate;
    line["gradient_norm"] = point.norm;
  }
  return line.dump();
}

Result<BatchLoss> validate(Objective& objective, std::span<const TrainingExample> examples, std::int64_t batch, const JobContext& job) {
  BatchLoss sum;
  std::vector<const TrainingExample*> some;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    some.push_back(&examples[i]);
    if (static_cast<std::int64_t>(some.size()) < batch && i + 1 < examples.size()) continue;
    RETORT_TRY(const BatchLoss loss, objective.run(some, false, 1, job));
    add_weighted(sum, loss);
    some.clear();
  }
  return mean_of(sum);
}

std::int64_t Trainer::total_steps() const noexcept {
  if (plan_.steps > 0) return plan_.steps;
  const double per_step = static_cast<double>(plan_.batch * plan_.accumulate);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(plan_.epochs * static_cast<double>(data_.train.size()) / per_step)));
}

std::int64_t Trainer::validate_every() const noexcept {
  if (plan_.validate_every > 0) return plan_.validate_every;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(data_.train.size()) / (plan_.batch * plan_.accumulate));
}

const TrainingExample* Trainer::example_at(std::int64_t number) {
  const auto count = static_cast<std::int64_t>(data_.train.size());
  if (number / count != order_epoch_) {
    order_epoch_ = number / count;
    order_ = epoch_order(data_.train.size(), plan_.seed, order_epoch_);
  }
  return &data_.train[order_[static_cast<std::size_t>(number % count)]];
}

Result<void> Trainer::begin(const JobContext& job) {
  RETORT_CHECK(parameters_.make_gradients());
  RETORT_TRY(Optimizer optimizer, Optimizer::make(parameters_, plan_.optimizer));
  optimizer_.emplace(std::move(optimizer));
  schedule_ = {.decay = plan_.decay, .base = plan_.rate, .warmup = static_cast<std::int64_t>(plan_.warmup * static_cast<double>(total_steps())),
               .total = total_steps()};
  std::error_code failed;
  std::filesystem::create_directories(files_.folder, failed);
  if (failed) return system_error(failed.value(), files_.folder, ErrorCode::kWrite);
  auto state = load_state(files_.folder / "state.safetensors", key_, parameters_, *optimizer_);
  if (state.ok()) {
    state_ = *state;
    RETORT_CHECK(repack(job));
    outcome_.resumed = true;
    // Lines that a killed run wrote after its last state are taken back.
    auto text = read_text_file(files_.curve);
    std::string kept;
    for (std::size_t at = 0; text.ok() && at < text->size();) {
      const std::size_t end = std::min(text->find('\n', at), text->size());
      const auto line = nlohmann::json::parse(text->substr(at, end - at), nullptr, false);
      if (line.is_object() && line.value("step", std::int64_t{0}) <= state_.step) kept += line.dump() + "\n";
      at = end + 1;
    }
    return write_text_file(files_.curve, kept);
  }
  if (state.error().code != ErrorCode::kNotFound) return std::move(state).error();
  RETORT_CHECK(write_text_file(files_.curve, ""));
  if (!data_.validation.empty()) {
    RETORT_TRY(const BatchLoss loss, validate(job));
    outcome_.before = loss;
    RETORT_CHECK(write_point({.step = 0, .loss = loss, .validation = true}));
    RETORT_CHECK(judge(loss, job));
  }
  return {};
}

Result<void> Trainer::write_point(const CurvePoint& point) {
  if (callback_) callback_(point);
  std::ofstream file(files_.curve, std::ios::app);
  file << curve_line(point) << '\n';
  file.close();
  if (!file) return Error{.code = ErrorCode::kWrite, .file = files_.curve.string(), .place = "loss curve", .next_step = "make room on the disk, then run the same command again"};
  return {};
}

// What is computed with follows the parameters.
Result<void> Trainer::repack(const JobContext& job) {
  if (packed_) RETORT_CHECK(packed_->after_step(parameters_, job.with_progress({})));
  return {};
}

// Keeps the parameters if they are the best so far.
Result<void> Trainer::judge(const BatchLoss& loss, const JobContext& job) {
  const double score = score_of(loss);
  if (state_.best_step >= 0 && score >= state_.best_score) {
    ++state_.worse;
    return {};
  }
  RETORT_CHECK(save_values(files_.folder / "best.safetensors", parameters_, job.with_progress({})));
  state_.best_score = score;
  state_.best_step = state_.step;
  state_.worse = 0;
  outcome_.after = loss;
  return {};
}

Result<void> Trainer::check_divergence(double loss) {
  state_.smooth_loss = state_.step <= 1 ? loss : state_.smooth_loss + kSmoothing * (loss - state_.smooth_loss);
  state_.lowest_loss = state_.step <= 1 ? loss : std::min(state_.lowest_loss, state_.smooth_loss);
  if (state_.step < kPatienceOfDivergence || state_.smooth_loss <= kDiverged * state_.lowest_loss + 1e-3) return {};
  return Error{.code = ErrorCode::kCheckFailed, .place = fmt::format("step {}", state_.step), .expected = "a loss that falls",
               .found = fmt::format("{:.4g} after {:.4g}: the run diverges", state_.smooth_loss, state_.lowest_loss),
               .next_step = "train with a lower rate or a longer warm-up"};
}

Result<CurvePoint> Trainer::take_step(const JobContext& job) {
  const auto start = Clock::now();
  BatchLoss sum;
  std::vector<const TrainingExample*> batch;
  for (std::int64_t pass = 0; pass < plan_.accumulate; ++pass) {
    batch.clear();
    for (std::int64_t i = 0; i < plan_.batch; ++i) batch.push_back(example_at((state_.step * plan_.accumulate + pass) * plan_.batch + i));
    objective_.at(static_cast<std::uint64_t>(state_.step * plan_.accumulate + pass));
    auto loss = objective_.run(batch, true, 1.0 / static_cast<double>(plan_.accumulate), job);
    if (!loss.ok() && loss.error().code == ErrorCode::kNonFinite) {
      Error error = loss.error();
      error.place = fmt::format("loss of step {}", state_.step + 1);
      error.next_step = "train with a lower rate; the last saved state is kept";
      return error;
    }
    if (!loss.ok()) return std::move(loss).error();
    add_weighted(sum, *loss);
  }
  CurvePoint point{.rate = schedule_.rate(state_.step), .loss = mean_of(sum)};
  if (packed_) packed_->before_step(parameters_);
  point.norm = Optimizer::gradient_norm(parameters_, 1, pool_);
  if (!std::isfinite(point.norm))
    return Error{.code = ErrorCode::kNonFinite, .place = fmt::format("gradients of step {}", state_.step + 1), .expected = "numbers",
                 .found = fmt::format("{}", point.norm), .next_step = "train with a lower rate; the last saved state is kept"};
  optimizer_->step(parameters_, point.rate, 1, point.norm, pool_);
  parameters_.forget_gradients();
  RETORT_CHECK(repack({}));   // not to be stopped: half a step would be worse than none
  ++state_.step;
  state_.tokens += point.loss.tokens;
  tokens_here_ += point.loss.tokens;
  const double took = since(start);
  training_here_ += took;
  state_.seconds += took;
  point.step = state_.step;
  point.tokens = state_.tokens;
  point.seconds = state_.seconds;
  return point;
}

void Trainer::report(const CurvePoint& point, const JobContext& job) const {
  const double rate = static_cast<double>(tokens_here_) / std::max(training_here_, 1e-9);
  const double left = static_cast<double>(total_steps() - point.step) * training_here_ / std::max<double>(1, static_cast<double>(point.step - (outcome_.steps)));
  job.report({static_cast<double>(point.step), static_cast<double>(total_steps()), "steps",
              fmt::format("training · loss {:.4f} · {:.0f} tokens/s · {:.0f} s left", point.loss.loss, rate, left)});
}

Result<void> Trainer::save(const JobContext& job) {
  return save_state(files_.folder / "state.safetensors", state_, key_, parameters_, *optimizer_, job.with_progress({}));
}

Result<void> Trainer::after_step(const CurvePoint& point, const JobContext& job) {
  RETORT_CHECK(write_point(point));
  report(point, job);
  RETORT_CHECK(check_divergence(point.loss.loss));
  const bool last = state_.step >= total_steps();
  if (!data_.validation.empty() && (last || state_.step % validate_every() == 0)) {
    RETORT_TRY(const BatchLoss loss, validate(job));
    RETORT_CHECK(write_point({.step = state_.step, .seconds = state_.seconds, .tokens = state_.tokens, .loss = loss, .validation = true}));
    RETORT_CHECK(judge(loss, job));
  }
  if (!last && state_.step % plan_.checkpoint_every == 0) RETORT_CHECK(save(job));
  return {};
}

Result<TrainOutcome> Trainer::run(const JobContext& job) {
  const auto start = Clock::now();
  RETORT_CHECK(begin(job));
  const std::int64_t first = outcome_.steps = state_.step;
  while (state_.step < total_steps()) {
    if (plan_.patience > 0 && state_.worse >= plan_.patience) {
      outcome_.stopped_early = true;
      break;
    }
    auto point = take_step(job);
    if (!point.ok()) {
      // A stop in mid-step loses that step only: the parameters are those after the last whole one.
      if (point.error().code == ErrorCode::kCanceled && state_.step > first) RETORT_CHECK(save({}));
      return std::move(point).error();
    }
    RETORT_CHECK(after_step(*point, job));
  }
  if (state_.best_step >= 0) {
    RETORT_CHECK(load_values(files_.folder / "best.safetensors", parameters_));
    RETORT_CHECK(repack(job));
  }
  if (!outcome_.after && state_.best_step >= 0) {
    RETORT_TRY(outcome_.after, validate(job));
  }
  outcome_.steps = state_.step;
  outcome_.tokens = state_.tokens;
  outcome_.best_step = state_.best_step;
  outcome_.seconds = since(start);
  outcome_.tokens_per_second = training_here_ > 0 ? static_cast<double>(tokens_here_) / training_here_ : 0;
  return outcome_;
}

}  // namespace retort::distill
