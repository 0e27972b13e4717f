// The study: a file NAME.retort (SQLite, one writing process) with sources, data sets, goals, recipes, candidates and
// measurements. Every change is a transaction, so it survives kill -9 at any instant; schema version and migrations keep
// old files open for ever. Thread-safe: calls from several threads are serialised.
#pragma once

#include <functional>
#include <memory>

#include "core/base/job.h"
#include "core/study/snapshot.h"
#include "core/study/tensor_store.h"

namespace retort {

class Study {
 public:
  // Errors: kConflict (another process writes it), kForeign, kPermission, kNotFound.
  static Result<std::shared_ptr<Study>> create(const std::filesystem::path& path);
  static Result<std::shared_ptr<Study>> open(const std::filesystem::path& path);
  virtual ~Study() = default;

  // Sets the model. A source that is quantized, or lies on a grid, gets two candidates: "original" (its F16 expansion) and
  // the file as it is; another gets "original" only. Data paths inside the study's folder are stored relative.
  virtual Result<void> set_source(const std::filesystem::path& model, const JobContext& job) = 0;
  // Adds the sets that the file holds (choices and exact answers of one file become two). A role is never two of them;
  // overlaps with sets of other roles are found and noted.
  virtual Result<void> add_data(const std::filesystem::path& path, DataRole role, const Columns& columns,
                                const JobContext& job) = 0;
  virtual Result<void> remove_data(std::string_view name) = 0;
  virtual Result<void> set_data_role(std::string_view name, DataRole role) = 0;
  virtual Result<std::int64_t> add_candidate(const Recipe& recipe) = 0;
  virtual Result<void> update_candidate(std::int64_t id, const Recipe& recipe) = 0;   // drops its measurements
  virtual Result<void> remove_candidate(std::int64_t id) = 0;
  virtual Result<void> set_chosen(std::int64_t id, bool chosen) = 0;
  virtual Result<void> move_candidate(std::int64_t id, int new_index) = 0;
  virtual Result<void> set_goals(const Goals& goals) = 0;
  virtual Result<void> set_context(std::int64_t context) = 0;
  virtual Result<void> set_threads(int threads) = 0;
  // "cuda" or "cuda:N": runs measure speed and memory there too, beside the processor; empty or "cpu": not.
  virtual Result<void> set_device(const std::string& device) = 0;
  virtual Result<void> undo() = 0;              // the last change of recipes, candidates, goals or data
  virtual bool can_undo() const = 0;

  virtual StudySnapshot snapshot() const = 0;
  virtual std::shared_ptr<TensorStore> store() const = 0;

  // The model of a candidate, ready for a backend; its tensors must have been made (kNotFound otherwise).
  virtual Result<std::shared_ptr<const Model>> candidate_model(std::int64_t id) = 0;
  // A manifest that `retort bench|eval|generate MANIFEST.candidate` opens: source, tensor keys, recipe.
  virtual Result<std::filesystem::path> write_manifest(std::int64_t id) = 0;
};

// Opens a GGUF file, a folder, or a candidate manifest: what every command takes as MODEL.
Result<Model> open_model_or_candidate(const std::filesystem::path& path);

// Time, memory and disk that running the chosen candidates will take, from this machine's measured rates.
struct RunEstimate {
  double seconds_low = 0, seconds_high = 0;
  std::uint64_t memory_bytes = 0, disk_bytes = 0, free_disk_bytes = 0, free_memory_bytes = 0;
  std::string problem;            // one sentence when it cannot fit; empty otherwise
};
RunEstimate estimate_run(const Study& study);

// Runs everything that is missing: importance matrix, tensors, evaluations of the original first, then of each chosen
// candidate, then speed and memory in child processes with the machine to themselves. Resumes: what the store and the
// study already hold is not done again. A failing candidate does not stop the others. `changed` is called from the
// worker after every step and at most ten times a second in between.
Result<void> run_study(std::shared_ptr<Study> study, const JobContext& job, const std::function<void()>& changed);

// The smallest candidate within the goals whose loss is acceptable, with reasons; paired tests decide "better".
Recommendation recommend(const StudySnapshot& snapshot);
// Whether candidates are judged by their answers; only a language model can be judged by the text that it expects.
bool answers_decide(const StudySnapshot& snapshot);
// Candidates that no other beats in both measures (smaller x and smaller y): the Pareto front, by increasing x.
std::vector<std::int64_t> pareto_front(const std::vector<std::pair<std::int64_t, std::pair<double, double>>>& points);

// One self-contained HTML page: charts (inline SVG), table, settings, digests, limits.
Result<void> write_report(const StudySnapshot& snapshot, const std::filesystem::path& path);

}  // namespace retort
