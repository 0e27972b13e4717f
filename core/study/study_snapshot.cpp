// Snapshots: a study as plain values for windows and reports.
#include <algorithm>
#include <cmath>

#include "core/evaluate/statistics.h"
#include "core/measure/hardware.h"
#include "core/study/compare.h"
#include "core/study/study_impl.h"
#include "kernels/api/thread_pool.h"

#include <fmt/format.h>

namespace retort {
namespace {

constexpr std::uint64_t kSeed = 0;
constexpr std::string_view kOnDevice = "device_";

// Sets that have the figure together, weighed by what was scored in each.
std::optional<Figure> over_sets(const CandidateInfo& candidate, const std::string& name) {
  Figure sum;
  double n = 0;
  for (const auto& [set, evaluation] : candidate.evaluations) {
    const auto figure = evaluation.figures.find(name);
    if (figure == evaluation.figures.end()) continue;
    const auto weight = static_cast<double>(evaluation.n);
    sum.value += weight * figure->second.value;
    sum.low += weight * figure->second.low;
    sum.high += weight * figure->second.high;
    n += weight;
  }
  if (n == 0) return std::nullopt;
  return Figure{sum.value / n, sum.low / n, sum.high / n};
}

std::optional<Figure> accuracy(const CandidateInfo& candidate) {
  std::int64_t right = 0, n = 0;
  for (const auto& [set, evaluation] : candidate.evaluations) {
    if (!is_answers_task(evaluation.task)) continue;
    for (const Evaluation::Row& row : evaluation.rows) {
      right += row.correct ? 1 : 0;
      ++n;
    }
  }
  if (n == 0) return std::nullopt;
  return wilson(right, n);
}

Figure exactly(double value) { return {value, value, value}; }

std::optional<Figure> speed(const BenchResult& bench, std::string_view name) {
  if (bench.encoder() && (name == "decode" || name == "time_to_first_token" || name == "kv_cache_memory")) return std::nullopt;
  if (name == "decode") {
    // Tokens per second with the interval of the mean token time, resampled over the tokens.
    if (bench.token_seconds.size() < 2) return exactly(bench.decode_tokens_per_second);
    const Figure seconds = bootstrap_mean(bench.token_seconds, kSeed, 200);
    return Figure{bench.decode_tokens_per_second, 1 / seconds.high, 1 / seconds.low};
  }
  if (name == "prefill") return exactly(bench.prefill_tokens_per_second);
  if (name == "time_to_first_token") return exactly(bench.time_to_first_token_seconds);
  if (name == "p50") return exactly(bench.p50);
  if (name == "p95") return exactly(bench.p95);
  if (name == "p99") return exactly(bench.p99);
  if (name == "peak_memory") return exactly(static_cast<double>(bench.peak_memory_bytes));
  if (name == "weights_memory") return exactly(static_cast<double>(bench.memory.weights));
  if (name == "kv_cache_memory") return exactly(static_cast<double>(bench.memory.kv_cache));
  if (name == "work_space_memory") return exactly(static_cast<double>(bench.memory.work_space));
  return std::nullopt;
}

}  // namespace

std::optional<Figure> CandidateInfo::figure(std::string_view measure) const {
  if (measure == "size" || measure == "bytes") return bytes > 0 ? std::optional(exactly(static_cast<double>(bytes))) : std::nullopt;
  if (measure == "bits_per_weight") return bits_per_weight > 0 ? std::optional(exactly(bits_per_weight)) : std::nullopt;
  if (measure == "accuracy") return accuracy(*this);
  const bool compared = std::any_of(evaluations.begin(), evaluations.end(), [](const auto& one) {
    return !is_answers_task(one.second.task) || one.second.task == "classification";
  });
  if (is_original && compared) {
    // The original differs from itself by nothing: known, not measured.
    if (measure.starts_with("kld_")) return exactly(0);
    if (measure == "top1_agreement") return exactly(1);
  }
  if (measure.starts_with(kOnDevice)) {
    if (!device_bench) return std::nullopt;
    if (measure == "device_energy") return device_bench->joules_per_token > 0 ? std::optional(exactly(device_bench->joules_per_token)) : std::nullopt;
    if (measure == "device_memory") return exactly(static_cast<double>(device_bench->memory.total()));
    return speed(*device_bench, measure.substr(kOnDevice.size()));
  }
  if (bench)
    if (const auto figure = speed(*bench, measure)) return figure;
  return over_sets(*this, std::string(measure));
}

bool StudyImpl::add_figures(const CandidateRecord& candidate, CandidateInfo& info) const {
  bool complete = true;
  for (const DataRecord& data : document_.data) {
    if (!measures(document_, data)) continue;
    const auto found = evaluations_.find(evaluation_key(document_, candidate, data));
    if (found == evaluations_.end()) complete = false;
    else info.evaluations.emplace(data.info.name, *found->second);
  }
  if (const auto found = benches_.find(bench_key(document_, candidate)); found != benches_.end()) info.bench = *found->second;
  if (!document_.device.empty())
    if (const auto found = benches_.find(bench_key(document_, candidate, document_.device)); found != benches_.end()) info.device_bench = *found->second;
  return complete && info.bench;
}

void StudyImpl::add_measurements(const CandidateRecord& candidate, CandidateInfo& info) const {
  const bool complete = add_figures(candidate, info);
  const auto state = states_.find(candidate.id);
  if (state != states_.end()) info.state = state->second;
  else if (!candidate.failure.empty()) info.state = CandidateState::kFailed;
  else if (complete) info.state = CandidateState::kDone;
}

// With state_mutex_ held.
CandidateInfo StudyImpl::candidate_info(const CandidateRecord& candidate) const {
  CandidateInfo info;
  info.id = candidate.id;
  info.name = candidate.name;
  info.plain = plain_name(candidate);
  info.recipe = candidate.recipe;
  info.is_original = candidate.is_original;
  info.chosen = candidate.chosen;
  info.failure = candidate.failure;
  info.command_line = retort::command_line(document_, candidate, file_->path());
  const auto made = made_.find(candidate_digest(document_, candidate));
  if (made != made_.end() && made->second.plan) {
    const CandidatePlan& plan = *made->second.plan;
    info.bytes = plan.bytes;
    info.bytes_predicted = !made->second.complete;
    info.bits_per_weight = plan.bits_per_weight;
    info.fallbacks = plan.fallbacks;
    info.predicted_memory = made->second.memory;
    info.tensor_errors = made->second.errors;
    info.tensor_types = made->second.types;
  } else if (made != made_.end() && info.failure.empty()) {
    info.failure = made->second.problem;
  }
  add_measurements(candidate, info);
  if (is_student(candidate.recipe)) info.stages = stages_of(candidate);
  return info;
}

StudySnapshot StudyImpl::snapshot() const {
  StudySnapshot snapshot;
  {
    const std::lock_guard state(state_mutex_);
    snapshot.path = file_->path();
    snapshot.name = file_->path().stem().string();
    snapshot.source = document_.source;
    for (const DataRecord& data : document_.data) snapshot.data.push_back(data.info);
    for (const CandidateRecord& candidate : document_.candidates) snapshot.candidates.push_back(candidate_info(candidate));
    snapshot.goals = document_.goals;
    snapshot.run = rows_;
    snapshot.context = document_.context;
    snapshot.second_device = document_.device;
    snapshot.threads = document_.threads > 0 ? document_.threads : kernels::available_threads();
    snapshot.running = running_;
    snapshot.paused = running_ && job_.paused();
  }
  if (snapshot.paused)
    for (RunRow& row : snapshot.run)
      if (row.state == JobState::kRunning) row.state = JobState::kPaused;
  static const std::string processor = describe_hardware().processor;
  snapshot.device = fmt::format("{} · {} thread{}", processor, snapshot.threads, snapshot.threads == 1 ? "" : "s");
  snapshot.store_bytes = store_bytes_;
  snapshot.recommendation = recommend(snapshot);
  return snapshot;
}

}  // namespace retort
