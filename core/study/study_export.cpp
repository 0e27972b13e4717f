#include "core/study/study_export.h"

#include <algorithm>

#include "core/base/folders.h"
#include "core/export/folder_export.h"
#include "core/study/study_impl.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

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

// Byte by byte, synced, under its name only when it is whole.
Result<void> copy_file(const fs::path& from, const fs::path& to, const JobContext& job) {
  RETORT_TRY(const auto source, MappedFile::open(from));
  RETORT_TRY(auto file, AtomicFile::create(to));
  const auto bytes = source->bytes();
  RETORT_CHECK(file.reserve(bytes.size()));
  constexpr std::size_t kAtOnce = 16u << 20;
  for (std::size_t at = 0; at < bytes.size(); at += kAtOnce) {
    RETORT_CHECK(job.check(to.string()));
    RETORT_CHECK(file.write(bytes.subspan(at, std::min(kAtOnce, bytes.size() - at))));
    job.report({static_cast<double>(at), static_cast<double>(bytes.size()), "bytes", to.filename().string()});
  }
  return file.commit();
}

Result<void> copy_folder(const fs::path& from, const fs::path& to, const JobContext& job) {
  std::error_code failed;
  if (fs::exists(to, failed))
    return Error{.code = ErrorCode::kConflict, .file = to.string(), .found = "something of this name exists", .next_step = "give another name"};
  const fs::path beside = to.string() + ".part";
  fs::remove_all(beside, failed);
  fs::create_directories(beside, failed);
  if (failed) return system_error(failed.value(), beside, ErrorCode::kWrite);
  Result<void> copied;
  for (const auto& part : fs::directory_iterator(from, failed))
    if (copied.ok() && part.is_regular_file()) copied = copy_file(part.path(), beside / part.path().filename(), job);
  if (copied.ok()) {
    fs::rename(beside, to, failed);
    if (failed) copied = system_error(failed.value(), to, ErrorCode::kWrite);
  }
  if (!copied.ok()) fs::remove_all(beside, failed);
  return copied;
}

Result<ExportReport> export_student(StudyImpl& study, const StudyDocument& document, const CandidateRecord& candidate, const fs::path& path, const JobContext& job) {
  const auto made = study.student(candidate_digest(document, candidate));
  if (!made)
    return Error{.code = ErrorCode::kNotFound, .place = candidate.name, .found = "not trained yet, or no longer in the cache",
                 .next_step = "run the study; what is there is not made again"};
  const bool gguf = made->output.extension() == ".gguf";
  if (gguf != (path.extension() == ".gguf"))
    return Error{.code = ErrorCode::kBadArgument, .file = path.string(), .place = candidate.name, .expected = gguf ? "a name that ends in .gguf" : "a folder's name",
                 .found = gguf ? "a folder's name" : "a name that ends in .gguf"};
  RETORT_CHECK(gguf ? copy_file(made->output, path, job) : copy_folder(made->output, path, job));
  RETORT_TRY(const Model model, open_student(path));
  std::error_code ignored;
  ExportReport report{.output = path, .bytes = gguf ? fs::file_size(path, ignored) : folder_bytes(path), .tensor_bytes = model.weight_bytes(), .bits_per_weight = 0, .seconds = 0, .notes = {}};
  if (model.parameters() > 0) report.bits_per_weight = 8.0 * static_cast<double>(model.weight_bytes()) / static_cast<double>(model.parameters());
  return report;
}

}  // namespace

Result<ExportReport> export_study_candidate(Study& study, std::int64_t id, const std::filesystem::path& path,
                                            const JobContext& job) {
  auto* own = dynamic_cast<StudyImpl*>(&study);
  if (!own) return Error{.code = ErrorCode::kInternal, .place = "export", .found = "a study of another kind"};
  const StudyDocument document = own->document();
  const CandidateRecord* candidate = document.find(id);
  if (!candidate) return Error{.code = ErrorCode::kNotFound, .place = "candidate"};
  if (is_student(candidate->recipe)) return export_student(*own, document, *candidate, path, job);
  const bool folder = path.extension() != ".gguf";
  const Level* level = candidate->recipe.stages.empty() ? nullptr : find_level(candidate->recipe.stages.front().level);
  if (!folder && level && level->gguf_file_type == kNoGgufFileType)
    return Error{.code = ErrorCode::kUnsupported, .place = candidate->name, .found = "GGUF has no type for INT8 with row scales",
                 .next_step = "export Q8_0, which needs about as many bytes, or a folder: a name that doesn't end in .gguf"};
  RETORT_TRY(const auto source, own->source_model());
  RETORT_TRY(const auto plan, own->plan(id));
  RETORT_CHECK(make_again(*own, document, *candidate, *plan, job));
  RETORT_TRY(const auto model, assemble_model(*source, *plan, *own->store()));
  if (folder) return export_folder(*model, path, job);
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
