// Metrics of one model on one data set, example by example, against an original where one is given.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/evaluate/data_set.h"
#include "core/model/backend.h"

namespace retort {

// A figure with its 95 % interval, resampled by chunk or example.
struct Figure {
  double value = 0, low = 0, high = 0;
};

// What one evaluation gave. `figures` by the names of `--json`: perplexity, kld_mean, kld_median, kld_p99, kld_p999,
// top1_agreement, accuracy …
struct Evaluation {
  std::string task;                    // "perplexity", "kld", "choice", "exact", "classification"
  std::int64_t n = 0;                  // scored tokens or examples
  std::map<std::string, Figure> figures;
  std::string activations;             // "f32", "q8"
  double seconds = 0;

  // Per chunk (perplexity, kld) or per example (choice, exact): paired tests and the worst-examples list need them.
  struct Row {
    std::int64_t index = 0;
    std::string text;                  // shortened example, or where the chunk begins
    std::string group;
    double score = 0;                  // mean negative log-likelihood, or 1/0 for right or wrong
    double kld = 0;                    // mean over the row, when there is an original
    bool correct = false;
    std::string answer;                // what the model said
    double margin = 0;                 // choice: log-likelihood of the best minus the second
  };
  std::vector<Row> rows;
};

struct EvaluateOptions {
  std::int64_t context = 512;
  std::int64_t chunks = 0;             // 0: as many as the text fills
  std::int64_t max_tokens = 0;         // truncation of labelled examples; 0: the context
  std::uint64_t seed = 0;              // of the bootstrap
  int threads = 0;                     // for the divergences; 0: all cores
};

// Perplexity by llama.cpp's protocol: the text cut into chunks of the context, the second half of each scored (positions
// context/2 … context-2 predict their next token), each chunk from an empty cache, its first token replaced by BOS when
// the model adds one.
//
// KL divergence needs the original's distribution at the same positions. Instead of logits (49,152 floats a token) only
// its final hidden states are kept and the head is applied again: exact, and 85 times smaller for SmolLM2.
struct Reference {
  std::shared_ptr<const Model> model;          // of the original: its head is applied
  std::vector<float> hidden;                   // [chunks · scored, hidden]
  std::int64_t context = 0, chunks = 0, scored_per_chunk = 0;
  Digest text;                                 // of the tokens: guards against mixing
};

// One pass gives perplexity and, with `reference`, the KL figures. With `record` the final states are stored there.
// Errors: kBadData (text shorter than one chunk; a reference of another text), those of Session::run.
Result<Evaluation> evaluate_text(Session& session, const Model& model, const DataSet& data, const EvaluateOptions& options,
                                 const Reference* reference, Session* reference_head, Reference* record,
                                 const JobContext& job);
// Choices by summed log-likelihood (accuracy) and per byte (accuracy_normalized), as lm-evaluation-harness does.
Result<Evaluation> evaluate_choice(Session& session, const Model& model, const DataSet& data,
                                   const EvaluateOptions& options, const JobContext& job);
// Greedy answers: right when the continuation, leading blanks skipped, begins with the answer and the answer ends there
// (no letter or digit follows). Last-word sets (context, target) are scored the same way.
Result<Evaluation> evaluate_exact(Session& session, const Model& model, const DataSet& data,
                                  const EvaluateOptions& options, const JobContext& job);

// The original's class logits on one labelled set.
struct ClassReference {
  std::vector<float> logits;                   // [examples, labels]
  std::int64_t labels = 0;
  Digest data;                                 // of the set and of where its texts are cut: guards against mixing
};
// The class whose logit is greatest, for each labelled text: accuracy and macro_f1 (over the classes that were given or
// answered). With `reference`, kld_mean, kld_median, kld_p99 (of the class probabilities, nats per text) and top1_agreement
// (the same class as the original). With `record` the logits are stored there. Texts are cut to max_tokens, special tokens
// kept. Errors: kUnsupported (no sequence classifier), kBadData (labels that the model doesn't have; a reference of other
// texts or classes), kNonFinite.
Result<Evaluation> evaluate_classification(Session& session, const Model& model, const DataSet& data,
                                           const EvaluateOptions& options, const ClassReference* reference,
                                           ClassReference* record, const JobContext& job);

}  // namespace retort
