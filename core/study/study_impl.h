// The one implementation of Study, with what the runner needs besides. Two locks: `file_mutex_` for the file and whole
// edits (held while the disk works), `state_mutex_` for the values that snapshot() copies (held for moments only). When
// both are taken, the file's comes first.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "core/study/candidate.h"
#include "core/study/student.h"
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
  Result<void> set_device(const std::string& device) override;
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
  // The same as candidate_model and write_manifest, also of a student's first stages (until_stage).
  Result<std::shared_ptr<const Model>> model_of(const StudyDocument& document, const CandidateRecord& candidate);
  Result<std::filesystem::path> write_manifest_of(const StudyDocument& document, const CandidateRecord& candidate);
  // A student's recipe with the study's teacher and data where it is silent. Errors: kBadRecipe, kBadData (nothing to learn
  // from, a file that changed).
  Result<distill::DistillRecipe> resolved_student(const StudyDocument& document, const CandidateRecord& candidate);
  // Where what it trains goes; what is there; and what is kept of it. By candidate_digest.
  std::filesystem::path student_output(const Digest& candidate, const distill::DistillRecipe& student) const;
  // States, curves and what finished stages left, shared by all students of one teacher.
  std::filesystem::path training_folder(const StudyDocument& document, const CandidateRecord& candidate) const;
  std::shared_ptr<const StudentResult> student(const Digest& candidate) const;
  Result<void> keep(const Digest& candidate, const StudentResult& result);
  // Errors: kBadData when the file changed since it was added, those of read_data.
  Result<std::shared_ptr<const DataSet>> data_set(std::string_view name);

  // What a measurement depends on. `data` is the set's name; bench keys have none.
  Digest evaluation_key(const StudyDocument& document, const CandidateRecord& candidate, const DataRecord& data) const;
  // `device`: StudyDocument::device, or empty: on the processor.
  Digest bench_key(const StudyDocument& document, const CandidateRecord& candidate, const std::string& device = {}) const;
  std::shared_ptr<const Evaluation> evaluation(const Digest& key) const;
  std::shared_ptr<const BenchResult> bench(const Digest& key) const;
  Result<void> keep(const Digest& key, const Evaluation& evaluation);
  Result<void> keep(const Digest& key, const BenchResult& result);
  Result<void> set_failure(std::int64_t id, const std::string& failure);
  // Reads errors and presence of a candidate's tensors from the store again.
  void look_at_tensors(std::int64_t id);
  // The same of a student: its plan is another once it is trained.
  void plan_again(std::int64_t id);
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
    std::map<std::string, std::string> types;   // of every weight, by canonical name
    bool complete = false;                      // every tensor is in the store, or the student is trained
    std::uint64_t memory = 0;
  };

  Result<void> edit(bool undoable, const std::function<Result<void>(StudyDocument&)>& change);
  void replace_document(StudyDocument document);
  void plan_missing();
  Made make_entry(const StudyDocument& document, const CandidateRecord& candidate, const Model& model) const;
  void note_named_files(StudyDocument& document);
  Result<std::filesystem::path> training_file(const StudyDocument& document, DataKind kind);
  void look_at_student(const StudyDocument& document, const CandidateRecord& candidate);
  Made student_entry(const StudyDocument& document, const CandidateRecord& candidate, const Model& source) const;
  Result<CandidatePlan> trained_plan(const StudentResult& made, const StudyDocument& document, Made& entry) const;
  Result<CandidatePlan> predicted_plan(const StudyDocument& document, const CandidateRecord& candidate, const Model& source, Made& entry) const;
  std::vector<StageInfo> stages_of(const CandidateRecord& candidate) const;
  Result<void> note_overlaps(StudyDocument& document, const JobContext& job);
  Result<std::shared_ptr<const DataSet>> read_set(const DataRecord& record);
  Result<Digest> file_digest(const std::filesystem::path& path, const JobContext& job);
  std::shared_ptr<const Model> open_source_now();
  CandidateInfo candidate_info(const CandidateRecord& candidate) const;
  // Whatever is measured of it; whether that is all.
  bool add_figures(const CandidateRecord& candidate, CandidateInfo& info) const;
  void add_measurements(const CandidateRecord& candidate, CandidateInfo& info) const;

  std::shared_ptr<TensorStore> store_;
  mutable std::mutex file_mutex_;
  std::unique_ptr<StudyFile> file_;
  std::map<Digest, std::shared_ptr<const DataSet>> sets_;   // read so far, by record digest (file_mutex_)

  mutable std::mutex state_mutex_;
  StudyDocument document_;
  std::shared_ptr<const Model> source_;
  std::map<Digest, Made> made_;                              // by candidate digest
  std::map<Digest, std::shared_ptr<const StudentResult>> students_;   // the same, also of students' first stages
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

// How speed and memory of a candidate are measured.
BenchOptions bench_options(const StudyDocument& document, const Recipe& recipe, const std::string& device = {});
// What a candidate's memory is predicted for.
RunOptions memory_options(const StudyDocument& document);
// Kind, layers and classes of a source.
void describe_kind(const Model& model, SourceInfo& source);
// Whether a set measures candidates of this study's source: text and prompts language models, labelled texts classifiers.
bool measures(const StudyDocument& document, const DataRecord& data) noexcept;
inline bool has_tensors(const Recipe& recipe) noexcept { return !recipe.stages.empty(); }

// "4-bit, mixed" for people.
std::string plain_name(const CandidateRecord& candidate);
std::string command_line(const StudyDocument& document, const CandidateRecord& candidate, const std::filesystem::path& study);

}  // namespace retort
