// The one implementation of Study, with what the runner needs besides. Two locks: `file_mutex_` for the file and whole
// edits (held while the disk works), `state_mutex_` for the values that snapshot() copies (held for moments only). When
// both are taken, the file's comes first.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "core/study/candidate.h"
#include "core/study/study.h"
#include "core/study/study_document.h"
#include "core/study/study_file.h"

namespace retort {

class StudyImpl final : public Study {
 public:
  StudyImpl(std::unique_ptr<StudyFile> file, std::shared_ptr<TensorStore> store);
  // Reads the file; a source that is gone is no error yet.
  Result<void> load();

  Result<void> set_source(const std::filesystem::path& model, const JobContext& job) override;
  Result<void> add_data(const std::filesystem::path& path, DataRole role, const Columns& columns,
                        const JobContext& job) override;
  Result<void> remove_data(std::string_view name) override;
  Result<void> set_data_role(std::string_view name, DataRole role) override;
  Result<std::int64_t> add_candidate(const Recipe& recipe) override;
  Result<void> update_candidate(std::int64_t id, const Recipe& recipe) override;
  Result<void> remove_candidate(std::int64_t id) override;
  Result<void> set_chosen(std::int64_t id, bool chosen) override;
  Result<void> move_candidate(std::int64_t id, int new_index) override;
  Result<void> set_goals(const Goals& goals) override;
  Result<void> set_context(std::int64_t context) override;
  Result<void> set_threads(int threads) override;
  Result<void> undo() override;
  bool can_undo() const override;
  StudySnapshot snapshot() const override;
  std::shared_ptr<TensorStore> store() const override { return store_; }
  Result<std::shared_ptr<const Model>> candidate_model(std::int64_t id) override;
  Result<std::filesystem::path> write_manifest(std::int64_t id) override;

  // For the runner. Copies; safe from any thread.
  StudyDocument document() const;
  Result<std::shared_ptr<const Model>> source_model();
  Result<std::shared_ptr<const CandidatePlan>> plan(std::int64_t id);
  // Errors: kBadData when the file changed since it was added, those of read_data.
  Result<std::shared_ptr<const DataSet>> data_set(std::string_view name);

  // What a measurement depends on. `data` is the set's name; bench keys have none.
  Digest evaluation_key(const StudyDocument& document, const CandidateRecord& candidate, const DataRecord& data) const;
  Digest bench_key(const StudyDocument& document, const CandidateRecord& candidate) const;
  std::shared_ptr<const Evaluation> evaluation(const Digest& key) const;
  std::shared_ptr<const BenchResult> bench(const Digest& key) const;
  Result<void> keep(const Digest& key, const Evaluation& evaluation);
  Result<void> keep(const Digest& key, const BenchResult& result);
  Result<void> set_failure(std::int64_t id, const std::string& failure);
  // Reads errors and presence of a candidate's tensors from the store again.
  void look_at_tensors(std::int64_t id);
  // Tells the store what the chosen candidates need.
  Result<void> pin_tensors();
  // Beside the tensors: importance matrices, the original's hidden states, manifests.
  std::filesystem::path artifact(const Digest& key, std::string_view suffix) const;

  bool begin_run(const JobContext& job);
  void end_run();
  void set_rows(std::vector<RunRow> rows);
  // Row i becomes what row order[i] was.
  void order_rows(const std::vector<std::size_t>& order);
  void change_row(std::size_t index, const std::function<void(RunRow&)>& change);
  void set_state(std::int64_t id, std::optional<CandidateState> state);

 private:
  // What is known of a candidate besides its record.
  struct Made {
    std::shared_ptr<const CandidatePlan> plan;
    std::string problem;                        // why there is no plan
    std::map<std::string, double> errors;
    bool complete = false;                      // every tensor is in the store
    std::uint64_t memory = 0;
  };

  Result<void> edit(bool undoable, const std::function<Result<void>(StudyDocument&)>& change);
  void replace_document(StudyDocument document);
  void plan_missing();
  Made make_entry(const StudyDocument& document, const CandidateRecord& candidate, const Model& model) const;
  Result<void> note_overlaps(StudyDocument& document, const JobContext& job);
  Result<std::shared_ptr<const DataSet>> read_set(const DataRecord& record);
  Result<Digest> file_digest(const std::filesystem::path& path, const JobContext& job);
  std::shared_ptr<const Model> open_source_now();
  CandidateInfo candidate_info(const CandidateRecord& candidate) const;
  void add_measurements(const CandidateRecord& candidate, CandidateInfo& info) const;

  std::shared_ptr<TensorStore> store_;
  mutable std::mutex file_mutex_;
  std::unique_ptr<StudyFile> file_;
  std::map<Digest, std::shared_ptr<const DataSet>> sets_;   // read so far, by record digest (file_mutex_)

  mutable std::mutex state_mutex_;
  StudyDocument document_;
  std::shared_ptr<const Model> source_;
  std::map<Digest, Made> made_;                              // by candidate digest
  std::map<Digest, std::shared_ptr<const Evaluation>> evaluations_;
  std::map<Digest, std::shared_ptr<const BenchResult>> benches_;
  bool can_undo_ = false;
  bool running_ = false;
  JobContext job_;
  std::vector<RunRow> rows_;
  std::map<std::int64_t, CandidateState> states_;
  // Of the last look: asking the store itself may wait for a tensor that is just being written.
  std::atomic<std::uint64_t> store_bytes_{0};
};

// The digest of all that a candidate's tensors and measurements depend on.
Digest candidate_digest(const StudyDocument& document, const CandidateRecord& candidate);
// Of what an importance matrix of this study is made from.
Digest importance_key(const StudyDocument& document);
inline constexpr std::int64_t kCalibrationChunks = 128;

// "4-bit, mixed" for people.
std::string plain_name(const CandidateRecord& candidate);
std::string command_line(const StudyDocument& document, const CandidateRecord& candidate, const std::filesystem::path& study);

}  // namespace retort
