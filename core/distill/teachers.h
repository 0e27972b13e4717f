// TeacherPanel: one teacher or several that answer together for the examples of a batch. Their probabilities are mixed by
// fixed weights, or example by example by what each gives the label (after Zhang et al. 2022). What was asked before comes from
// the caches. A decoder that reads with another tokenizer answers where both break the text alike (text_alignment.h).
#pragma once

#include <memory>
#include <optional>

#include "core/distill/answer_cache.h"
#include "core/distill/kept_rows.h"
#include "core/distill/lm_head.h"
#include "core/distill/text_alignment.h"
#include "core/distill/train_session.h"
#include "core/distill/training_data.h"

namespace retort::distill {

// The value that a model answers with: what its logits are made from (a decoder), or the logits (a classifier). Errors: kUnsupported.
Result<ValueId> answer_of(const Model& model, bool classifies);

struct Teacher {
  const Model* model = nullptr;
  Parameters* parameters = nullptr;
  double weight = 1;
  AnswerCache* answers = nullptr;    // a classifier's logits as f32; null: it is asked every time
};

struct PanelOptions {
  double temperature = 1;
  bool by_agreement = false;         // weights times the probability that a teacher gives the label, where there is one
  std::int64_t top = 0;              // decoders: so many classes of an answer are kept; 0: all
  AnswerCache* rows = nullptr;       // decoders with `top`: packed rows; null: kept nowhere
};

// The logits whose softmax at `temperature` is the weighted mean of the teachers' softmaxes: [n]. `probabilities`: n floats
// of scratch.
void mix_logits(std::span<const float* const> logits, std::span<const double> weights, bool by_agreement, std::int64_t label,
                double temperature, std::span<float> out, std::span<float> probabilities);

class TeacherPanel {
 public:
  // The models must outlive the panel. `states`: values of the first teacher that are compared with the student's.
  // Errors: kConflict (other classes or another vocabulary; several tokenizers), kUnsupported (a head of another kind).
  static Result<std::unique_ptr<TeacherPanel>> make(const Model& student, std::span<const Teacher> teachers, const PanelOptions& options,
                                                    std::vector<ValueId> states, kernels::ThreadPool& pool);

  // Asks for what isn't known. Errors: those of TrainSession::forward, kNonFinite (a teacher's answer is no number).
  Result<void> ask(std::span<const TrainingExample* const> examples, const JobContext& job);

  // Of the examples asked last. Classifiers: the answer as logits. Valid until the next call.
  std::span<const float> answer(std::size_t example);
  // Decoders: whether answers are known by row, compressed; otherwise they come in tiles.
  bool kept() const noexcept { return options_.top > 0 || map_.has_value(); }
  std::span<const TeacherRow> rows() const noexcept { return rows_; }
  Result<std::span<const float>> tile(std::int64_t first, std::int64_t rows);
  std::span<const float> state(std::size_t index) const noexcept { return members_.front().session->value(index + 1); }

  // Set when the teacher has another tokenizer: texts must then come with its own ids (TrainingExample::teachers).
  bool reads_otherwise() const noexcept { return map_.has_value(); }
  std::uint64_t work_bytes() const noexcept;

 private:
  struct Member {
    Teacher teacher;
    std::unique_ptr<TrainSession> session;
    std::unique_ptr<LmHead> head;
    const Parameter *weight = nullptr, *bias = nullptr;
    std::vector<float> answers;      // classifiers: [examples, classes]
  };
  struct Wanted {
    std::int64_t row;                // of the first teacher's batch
    KeptRow* to;
  };

  TeacherPanel(const PanelOptions& options, kernels::ThreadPool& pool) : options_(options), pool_(pool) {}
  Result<void> add(const Model& student, const Teacher& teacher, std::vector<ValueId> outputs);
  Result<void> forward(Member& member, std::span<const TrainingExample* const> examples, const JobContext& job);
  Result<void> ask_classes(std::span<const TrainingExample* const> examples, const JobContext& job);
  Result<void> ask_tokens(std::span<const TrainingExample* const> examples, const JobContext& job);
  Result<void> ask_rows(std::span<const TrainingExample* const> examples, const JobContext& job);
  std::vector<Wanted> wanted(std::span<const TrainingExample* const> examples, std::vector<KeptRows>& to) const;
  Result<void> fill(std::span<const Wanted> wanted, const JobContext& job);

  PanelOptions options_;
  kernels::ThreadPool& pool_;
  std::vector<Member> members_;
  std::vector<double> weights_;
  bool classifies_ = false, wants_states_ = false;
  std::int64_t classes_ = 0;         // of the student
  std::optional<PieceMap> map_;
  std::vector<std::int64_t> labels_; // of the examples (classifiers) or rows (decoders) asked last
  std::vector<KeptRows> kept_;
  std::vector<TeacherRow> rows_;
  std::vector<float> mixed_, scratch_;
};

}  // namespace retort::distill
