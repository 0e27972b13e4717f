#include "core/distill/train_state.h"

#include <cstring>

#include "core/formats/writers.h"

namespace retort::distill {
namespace {

constexpr std::size_t kCounters = 4, kScores = 4;

TensorToWrite view(std::string name, TensorType type, std::size_t count, const void* data) {
  const std::size_t bytes = count * kernels::traits(type).block_bytes;
  return {std::move(name), {static_cast<std::int64_t>(count)}, type,
          [data, bytes] { return Result<std::span<const std::byte>>({static_cast<const std::byte*>(data), bytes}); }};
}

Result<void> take(const Checkpoint& file, const std::string& name, TensorType type, std::size_t count, void* to) {
  const TensorEntry* entry = file.find(name);
  if (!entry || entry->type != type || entry->data.size() != count * kernels::traits(type).block_bytes)
    return Error{.code = ErrorCode::kCorrupt, .file = file.path.string(), .place = name, .expected = "what this run saved", .found = entry ? "another size" : "nothing",
                 .next_step = "delete the file to start anew"};
  std::memcpy(to, entry->data.data(), entry->data.size());
  return {};
}

}  // namespace

Result<void> save_values(const std::filesystem::path& path, Parameters& parameters, const JobContext& job) {
  std::vector<TensorToWrite> tensors;
  for (Parameter& p : parameters)
    if (p.stepped()) tensors.push_back(view(p.name, TensorType::kF32, p.elements, p.value()));
  return write_safetensors(path, tensors, job);
}

Result<void> load_values(const std::filesystem::path& path, Parameters& parameters) {
  RETORT_TRY(const auto file, open_safetensors(path));
  for (Parameter& p : parameters)
    if (p.stepped()) RETORT_CHECK(take(*file, p.name, TensorType::kF32, p.elements, p.value()));
  return {};
}

Result<void> save_state(const std::filesystem::path& path, const TrainState& s, const Digest& key, Parameters& parameters,
                        Optimizer& optimizer, const JobContext& job) {
  const std::int64_t counters[kCounters] = {s.step, s.tokens, s.best_step, s.worse};
  const double scores[kScores] = {s.best_score, s.smooth_loss, s.lowest_loss, s.seconds};
  std::vector<TensorToWrite> tensors = {view("run.key", TensorType::kU8, key.bytes.size(), key.bytes.data()),
                                        view("run.counters", TensorType::kI64, kCounters, counters),
                                        view("run.scores", TensorType::kF64, kScores, scores)};
  for (std::size_t id = 0; id < parameters.size(); ++id) {
    Parameter& p = parameters[id];
    if (!p.stepped()) continue;
    tensors.push_back(view(p.name, TensorType::kF32, p.elements, p.value()));
    tensors.push_back(view(p.name + ".first", TensorType::kF32, p.elements, optimizer.first(id).data()));
    tensors.push_back(view(p.name + ".second", TensorType::kF32, p.elements, optimizer.second(id).data()));
  }
  return write_safetensors(path, tensors, job);
}

Result<TrainState> load_state(const std::filesystem::path& path, const Digest& key, Parameters& parameters, Optimizer& optimizer) {
  RETORT_TRY(const auto file, open_safetensors(path));
  Digest found;
  RETORT_CHECK(take(*file, "run.key", TensorType::kU8, found.bytes.size(), found.bytes.data()));
  if (found != key)
    return Error{.code = ErrorCode::kConflict, .file = path.string(), .place = "the run that stopped here",
                 .expected = "the same recipe, data and models", .found = "another run's state",
                 .next_step = "delete the file to start anew, or write to another place"};
  std::int64_t counters[kCounters];
  double scores[kScores];
  RETORT_CHECK(take(*file, "run.counters", TensorType::kI64, kCounters, counters));
  RETORT_CHECK(take(*file, "run.scores", TensorType::kF64, kScores, scores));
  for (std::size_t id = 0; id < parameters.size(); ++id) {
    Parameter& p = parameters[id];
    if (!p.stepped()) continue;
    RETORT_CHECK(take(*file, p.name, TensorType::kF32, p.elements, p.value()));
    RETORT_CHECK(take(*file, p.name + ".first", TensorType::kF32, p.elements, optimizer.first(id).data()));
    RETORT_CHECK(take(*file, p.name + ".second", TensorType::kF32, p.elements, optimizer.second(id).data()));
  }
  optimizer.set_steps(counters[0]);
  return TrainState{.step = counters[0], .tokens = counters[1], .best_step = counters[2], .worse = counters[3],
                    .best_score = scores[0], .smooth_loss = scores[1], .lowest_loss = scores[2], .seconds = scores[3]};
}

}  // namespace retort::distill
