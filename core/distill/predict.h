// What a student will be and cost, before it is made: its size, memory and speed, and the time and memory of its training.
// Arithmetic on configurations (student_shape.h) and on this machine's measured rates (predict_rates.h).
#pragma once

#include "core/distill/student_shape.h"

namespace retort::distill {

struct StudentPrediction {
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;          // of everything that is written. With trim_vocabulary, and as far as the tokenizer goes, an estimate
  std::uint64_t memory = 0;         // of inference at 512 positions: weights, cache, work space
  double tokens_per_second = 0;     // of a prompt (prefill)
  double latency_seconds = 0;       // of one text of a classifier (as long as the data's, at most 64 tokens), of one token of a language model
  double seconds_per_step = 0;      // of the first stage that trains
  double training_seconds = 0;      // of all stages; validation and writing are not counted
  std::uint64_t training_memory = 0;   // parameters, gradients, moments, activations of the largest batch, the teacher
};

// The first call for a number of threads measures the rates (some ten milliseconds), later ones take under five.
// Lengths of labelled texts and the number of examples are read off the first 64 KiB of the data, where there is a file.
// Errors: those of shape_student, of check_packed and of make_train_plan: what distill() would refuse as well.
Result<StudentPrediction> predict_student(const Model& teacher, const DistillRecipe& recipe, int threads);

}  // namespace retort::distill
