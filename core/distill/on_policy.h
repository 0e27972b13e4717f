// PolicySampler: texts that the student itself makes up, for its teacher to score (on-policy distillation, Agarwal et al.
// 2024, GKD): what is trained is then what the student would meet when it writes. No gradient goes through the sampling.
#pragma once

#include <memory>
#include <optional>

#include "core/distill/packed_weights.h"
#include "core/distill/training_data.h"
#include "core/model/backend.h"

namespace retort::distill {

class PolicySampler {
 public:
  // All must outlive it. `packed`: what the student computes with instead of its parameters, or null. `teacher`: how a
  // teacher with another tokenizer reads; without tokenizer: as the student does.
  PolicySampler(const Model& student, const Parameters& parameters, const PackedWeights* packed, const OnPolicy& plan, TextSide teacher,
                std::uint64_t seed, int threads)
      : student_(student), parameters_(parameters), packed_(packed), plan_(plan), teacher_(std::move(teacher)), seed_(seed), threads_(threads) {}

  // Whether pass number `pass` is the student's: a share of all, the same for the same seed.
  bool takes(std::uint64_t pass) const noexcept;
  // Puts texts that the student made up in the place of examples: all of them when takes(pass), prompts without an answer
  // always. Conversations go on from their prompt, running text from its first half. The texts are the caller's to keep.
  // Errors: those of Backend::compile and Session::run, kNonFinite.
  Result<std::vector<TrainingExample>> sample(std::span<const TrainingExample*> examples, std::uint64_t pass, const JobContext& job);

 private:
  Result<std::unique_ptr<Session>> open(std::int64_t context);
  Result<TrainingExample> go_on(Session& session, const TrainingExample& from, std::uint64_t seed, const JobContext& job) const;
  void write_for_teacher(const TrainingExample& from, TrainingExample& made) const;

  const Model& student_;
  const Parameters& parameters_;
  const PackedWeights* packed_;
  OnPolicy plan_;
  TextSide teacher_;
  std::uint64_t seed_;
  int threads_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace retort::distill
