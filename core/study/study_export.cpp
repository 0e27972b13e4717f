#include "core/study/study_export.h"

#include <algorithm>

#include "core/study/study_impl.h"

namespace retort {
namespace {

// Only needed when the store was cleaned since the run.
Result<void> make_again(StudyImpl& study, const StudyDocument& document, const CandidateRecord& candidate, const CandidatePlan& plan,
                        const JobContext& job) {
  const bool complete = std::all_of(plan.tensors.begin(), plan.tensors.end(), [&](const DerivedTensor& tensor) { return study.store()->contains(tensor.key); });
  if (complete) return {};
  std::optional<ImportanceMatrix> importance;
  if (uses_importance(candidate.recipe)) {
    auto kept = read_importance(study.artifact(importance_key(document), ".imatrix.gguf"));
    if (!kept)
      return Error{.code = ErrorCode::kNotFound, .place = candidate.name, .found = "its importance matrix is not in the store any more",
                   .next_step = "run the study again; figures are kept, only tensors are made"};
    importance = *std::move(kept);
  }
  RETORT_TRY(const auto source, study.source_model());
  kernels::ThreadPool pool(document.threads);
  return make_tensors(*source, plan, importance ? &*importance : nullptr, *study.store(), pool, job,
                      [&](std::size_t done, std::size_t total, std::size_t, const std::string& name) {
                        job.report({static_cast<double>(done), static_cast<double>(total), "tensors", name});
                      });
}

}  // namespace

Result<ExportReport> export_study_candidate(Study& study, std::int64_t id, const std::filesystem::path& path,
                                            const JobContext& job) {
  auto* own = dynamic_cast<StudyImpl*>(&study);
  if (!own) return Error{.code = ErrorCode::kInternal, .place = "export", .found = "a study of another kind"};
  const StudyDocument document = own->document();
  const CandidateRecord* candidate = document.find(id);
  if (!candidate) return Error{.code = ErrorCode::kNotFound, .place = "candidate"};
  const Level* level = candidate->recipe.stages.empty() ? nullptr : find_level(candidate->recipe.stages.front().level);
  if (level && level->gguf_file_type == kNoGgufFileType)
    return Error{.code = ErrorCode::kUnsupported, .place = candidate->name, .found = "GGUF has no type for INT8 with row scales",
                 .next_step = "export Q8_0, which needs about as many bytes; Compare shows what each of them keeps"};
  RETORT_TRY(const auto source, own->source_model());
  RETORT_TRY(const auto plan, own->plan(id));
  RETORT_CHECK(make_again(*own, document, *candidate, *plan, job));
  RETORT_TRY(const auto model, assemble_model(*source, *plan, *own->store()));
  std::map<std::string, WeightHandle> handles;
  for (const DerivedTensor& tensor : plan->tensors) handles.emplace(tensor.name, model->weights[static_cast<std::size_t>(tensor.weight)]);
  ExportRequest request = export_handles(handles);
  if (level) request.file_type = level->gguf_file_type;
  if (uses_importance(candidate->recipe)) {
    ExportImportance note{.file = "importance matrix of " + std::string(study.snapshot().name), .dataset = {}, .entries = 0, .chunks = 0};
    for (const DataRecord& data : document.data)
      if (data.info.role == DataRole::kCalibration) note.dataset = data.info.path.filename().string();
    if (const auto matrix = read_importance(own->artifact(importance_key(document), ".imatrix.gguf"))) {
      note.entries = static_cast<std::int64_t>(matrix->columns.size());
      note.chunks = matrix->chunks;
    }
    request.importance = note;
  }
  return export_gguf(*source, request, path, job);
}

}  // namespace retort
