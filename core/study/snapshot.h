// StudySnapshot: everything that a window or a report shows of a study, as plain values. Made by Study::snapshot(); a
// copy may be kept, sorted and searched without asking the study again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/evaluate/metrics.h"
#include "core/evaluate/statistics.h"
#include "core/measure/bench.h"
#include "core/study/recipe.h"

namespace retort {
namespace distill { struct CurvePoint; }   // core/distill/trainer.h

// What a source answers for: decides what it can be measured by.
enum class SourceKind : std::uint8_t { kLanguageModel, kClassifier, kEncoder };

struct SourceInfo {
  std::filesystem::path path;
  std::string name, architecture, licence;
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;
  double bits_per_weight = 0;
  std::optional<std::string> quantized;     // "Q4_1" when the source is, or lies on a grid
  Digest digest;                            // of the files
  SourceKind kind = SourceKind::kLanguageModel;
  std::int64_t layers = 0;                  // 0: a study of an older Retort, until its source is set again
  std::int64_t classes = 0;                 // of a classifier
  bool gguf = false;                        // from a GGUF file; else from a folder
};

struct DataInfo {
  std::string name;
  std::filesystem::path path;
  DataKind kind = DataKind::kText;
  DataRole role = DataRole::kEvaluation;
  std::int64_t examples = 0, tokens = 0;
  std::vector<std::int64_t> length_histogram;
  std::string overlap_warning;              // one sentence when it shares text with a set of another role
};

// One step of a candidate's staircase: what the model was after it.
struct StageInfo {
  std::string name;                         // "source", "distill", "quantize INT8"
  std::uint64_t bytes = 0;                  // of its file; 0 until it is made
  std::map<std::string, Figure> figures{};  // what was measured, by the names of CandidateInfo::figure
  std::string warning{};                    // one sentence when it compounds the damage of the stage before; else empty
  // Of its training once it is made, as RunRow::curve; null for stages that don't train.
  std::shared_ptr<const std::vector<distill::CurvePoint>> curve{};
};

enum class CandidateState : std::uint8_t { kPlanned, kQuantizing, kMeasuring, kDone, kFailed };

struct CandidateInfo {
  std::int64_t id = 0;
  std::string name;                         // "original", "Q4_K_M"
  std::string plain;                        // "4-bit, mixed"
  Recipe recipe;
  bool is_original = false;                 // everything is measured against it
  bool chosen = true;                       // in this study's run
  CandidateState state = CandidateState::kPlanned;
  std::string failure;                      // error_text when kFailed
  std::uint64_t bytes = 0;                  // of its file; predicted before it is made
  bool bytes_predicted = true;
  double bits_per_weight = 0;
  std::vector<std::pair<std::string, std::string>> fallbacks;   // tensor, "Q4_K wanted, Q5_0 used"
  std::map<std::string, std::string> tensor_types;              // canonical name → type
  std::map<std::string, double> tensor_errors;                  // canonical name → relative error
  std::uint64_t predicted_memory = 0;       // at the study's context
  // Measurements by data set name: text sets give "kld" evaluations, prompts "choice" / "exact".
  std::map<std::string, Evaluation> evaluations;
  std::optional<BenchResult> bench;         // on the processor
  std::optional<BenchResult> device_bench{};// on the study's device, where it has one
  std::string command_line;                 // the exact `retort …` line that makes it
  std::vector<StageInfo> stages{};          // of a student: the source first, then each stage; empty for others

  // The figures that charts and goals use: kld_mean, perplexity, top1_agreement, accuracy (over all labelled sets),
  // size, decode, prefill, time_to_first_token, p50 …; absent when not measured. With "device_" before its name one of
  // device_bench; "device_memory" is all that lies on it, "device_energy" joules a token.
  std::optional<Figure> figure(std::string_view measure) const;
};

// Limits that the user sets with sliders; absent: no limit.
struct Goals {
  std::optional<double> max_bytes, max_kld, max_time_to_first_token, min_decode, min_accuracy;
};

struct Recommendation {
  std::optional<std::int64_t> candidate;    // id; absent when nothing meets the goals or nothing is measured
  std::string what, why;                    // one sentence each
  std::string runner_up;                    // what the second would give and cost
  std::string would_change;                 // what would change the answer
  std::string missing;                      // which goal fails, and the nearest candidate, when there is none
};

enum class JobState : std::uint8_t { kWaiting, kRunning, kPaused, kDone, kFailed, kStopped };

// One row of the Run page: candidate × step.
struct RunRow {
  std::int64_t id = 0;
  std::int64_t candidate = 0;               // candidate id; 0 for shared steps (importance matrix)
  std::string candidate_name;
  // Students: "distill", "qat", "quantize", "repair". Others: "quantize". Then "text: evaluation", "prompts: …",
  // "classes: …", "speed and memory"; measurements between a student's stages end in " after distill".
  std::string step;
  JobState state = JobState::kWaiting;
  double done = 0, total = 0;
  std::string unit, working_on;             // "tensors", "blk.3.ffn_down"
  double rate = 0;                          // units per second
  double seconds_left = -1;                 // -1: not known
  std::int64_t reused = 0;                  // tensors or measurements taken from the store
  std::string message;                      // error or note
  // The loss curve so far, validations among the steps; null for steps that don't train. Never changed once it is here.
  std::shared_ptr<const std::vector<distill::CurvePoint>> curve{};
};

struct StudySnapshot {
  std::filesystem::path path;
  std::string name;
  std::optional<SourceInfo> source;
  std::vector<DataInfo> data;
  std::vector<CandidateInfo> candidates;    // the original first
  Goals goals;
  Recommendation recommendation;
  std::vector<RunRow> run;
  std::int64_t context = 512;
  int threads = 0;
  std::string device;                       // the processor
  std::string second_device{};              // "cuda:0": as StudyDocument::device
  std::uint64_t store_bytes = 0;
  bool running = false, paused = false;
};

}  // namespace retort
