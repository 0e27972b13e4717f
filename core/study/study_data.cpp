// The source and the data sets of a study: what is read, digested, counted and compared when they are added.
#include <sys/stat.h>

#include <algorithm>

#include <fmt/format.h>

#include "core/model/source_grid.h"
#include "core/study/study_impl.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

// Less shared text than this is quotation and boilerplate.
constexpr double kOverlapShare = 0.005;

std::optional<StudyFile::FileStamp> stamp_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return StudyFile::FileStamp{path.string(), static_cast<std::uint64_t>(status.st_size),
                              static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1000000000 + status.st_mtim.tv_nsec};
}

SourceInfo describe_source(const Model& model, const fs::path& path, const Digest& digest) {
  SourceInfo source;
  source.path = path;
  source.name = model.config.name.empty() ? path.stem().string() : model.config.name;
  source.architecture = model.config.architecture;
  source.licence = model.config.licence;
  source.parameters = model.parameters();
  for (const auto& file : model.checkpoint->files) source.bytes += file->bytes().size();
  if (source.parameters > 0)
    source.bits_per_weight = 8.0 * static_cast<double>(model.weight_bytes()) / static_cast<double>(source.parameters);
  if (const auto grid = find_source_quantization(*model.checkpoint)) source.quantized = grid->name();
  source.digest = digest;
  describe_kind(model, source);
  return source;
}

// A file that holds packed weights: its expansion to 16 bits is the original, and the file itself a candidate like any
// other. A dense file is the original itself, on a grid or not.
std::vector<CandidateRecord> first_candidates(const Model& model, const SourceInfo& source, std::int64_t& next_id) {
  const auto grid = find_source_quantization(*model.checkpoint);
  std::vector<CandidateRecord> candidates;
  CandidateRecord original{.id = next_id++, .name = "original", .recipe = {.name = "original", .stages = {}, .activations = "q8"},
                           .is_original = true, .chosen = true, .failure = {}};
  if (grid && grid->stored) {
    original.recipe.stages.push_back(Stage{.kind = "quantize", .level = "F16", .importance = false, .overrides = {}});
    candidates.push_back(original);
    const std::string name = "as downloaded · " + *source.quantized;
    candidates.push_back({.id = next_id++, .name = name, .recipe = {.name = name, .stages = {}, .activations = "q8"},
                          .is_original = false, .chosen = true, .failure = {}});
  } else {
    candidates.push_back(original);
  }
  return candidates;
}

void count(DataRecord& record, const DataSet& set, const Model* model) {
  record.info.examples = static_cast<std::int64_t>(set.examples.size());
  if (!model || !model->tokenizer) return;
  const DataStatistics statistics = describe(set, *model->tokenizer);
  record.info.examples = statistics.examples;
  record.info.tokens = statistics.tokens;
  record.info.length_histogram = statistics.length_histogram;
}

}  // namespace

void describe_kind(const Model& model, SourceInfo& source) {
  source.kind = model.graph.head == HeadKind::kNextToken         ? SourceKind::kLanguageModel
                : model.graph.head == HeadKind::kSequenceLabels ? SourceKind::kClassifier
                                                                 : SourceKind::kEncoder;
  source.layers = model.config.layers;
  source.classes = source.kind == SourceKind::kClassifier ? model.graph.outputs() : 0;
  source.gguf = model.checkpoint->format == CheckpointFormat::kGguf;
}

bool measures(const StudyDocument& document, const DataRecord& data) noexcept {
  if (data.info.role != DataRole::kEvaluation || !document.source) return false;
  switch (document.source->kind) {
    case SourceKind::kLanguageModel: return data.info.kind != DataKind::kLabelled;
    case SourceKind::kClassifier: return data.info.kind == DataKind::kLabelled;
    case SourceKind::kEncoder: return false;
  }
  return false;
}

// With file_mutex_ held.
Result<Digest> StudyImpl::file_digest(const fs::path& path, const JobContext& job) {
  const auto stamp = stamp_of(path);
  if (stamp)
    if (const auto known = file_->known_digest(*stamp)) return *known;
  RETORT_TRY(const Digest digest, digest_of_file(path, job));
  if (stamp) file_->remember_digest(*stamp, digest);
  return digest;
}

Result<void> StudyImpl::set_source(const fs::path& path, const JobContext& job) {
  const fs::path place = fs::absolute(path).lexically_normal();
  RETORT_TRY(Model opened, open_model(place));
  const auto model = std::make_shared<const Model>(std::move(opened));
  const std::lock_guard file(file_mutex_);
  RETORT_TRY(const Digest digest, checkpoint_digest(*model->checkpoint, [this](const auto& one, const JobContext& inner) {
    return file_digest(one, inner);
  }, job));
  StudyDocument next = document();
  next.source = describe_source(*model, place, digest);
  std::vector<CandidateRecord> candidates = first_candidates(*model, *next.source, next.next_id);
  // Recipes of the user's own stay; the old source's two candidates go.
  for (const CandidateRecord& candidate : next.candidates)
    if (!candidate.is_original && (has_tensors(candidate.recipe) || is_student(candidate.recipe))) candidates.push_back(candidate);
  for (CandidateRecord& candidate : candidates) candidate.failure.clear();
  next.candidates = std::move(candidates);
  for (DataRecord& record : next.data)
    if (const auto set = read_set(record)) count(record, **set, model.get());
  RETORT_CHECK(file_->save(next, std::nullopt));
  RETORT_CHECK(file_->clear_undo());
  {
    const std::lock_guard state(state_mutex_);
    source_ = model;
    made_.clear();
  }
  note_named_files(next);
  replace_document(std::move(next));
  plan_missing();
  return {};
}

Result<void> StudyImpl::add_data(const fs::path& path, DataRole role, const Columns& columns, const JobContext& job) {
  const fs::path place = fs::absolute(path).lexically_normal();
  RETORT_TRY(const std::vector<DataSet> sets, read_data(place, columns));
  std::shared_ptr<const Model> model;
  {
    const std::lock_guard state(state_mutex_);
    model = source_;
  }
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    for (const DataSet& set : sets) {
      for (const DataRecord& other : next.data)
        if (other.digest == set.digest)
          return Error{.code = ErrorCode::kConflict, .file = place.string(),
                       .expected = "each text in one role",
                       .found = fmt::format("already here as \"{}\" ({})", other.info.name, data_role_name(other.info.role)),
                       .next_step = "change the role of the one that is here, or remove it first"};
      RETORT_CHECK(job.check(set.name));
      DataRecord record;
      record.info.path = place;
      record.info.kind = set.kind;
      record.info.role = role;
      record.columns = columns;
      record.digest = set.digest;
      record.info.name = set.name;
      for (int i = 2; std::any_of(next.data.begin(), next.data.end(), [&](const DataRecord& other) { return other.info.name == record.info.name; }); ++i)
        record.info.name = fmt::format("{} ({})", set.name, i);
      count(record, set, model.get());
      sets_[record.digest] = std::make_shared<const DataSet>(set);
      next.data.push_back(std::move(record));
    }
    return note_overlaps(next, job);
  });
}

Result<void> StudyImpl::remove_data(std::string_view name) {
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    if (std::erase_if(next.data, [&](const DataRecord& data) { return data.info.name == name; }) == 0)
      return Error{.code = ErrorCode::kNotFound, .place = "data set " + std::string(name)};
    return note_overlaps(next, JobContext());
  });
}

Result<void> StudyImpl::set_data_role(std::string_view name, DataRole role) {
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    const auto found = std::find_if(next.data.begin(), next.data.end(), [&](const DataRecord& data) { return data.info.name == name; });
    if (found == next.data.end()) return Error{.code = ErrorCode::kNotFound, .place = "data set " + std::string(name)};
    found->info.role = role;
    return note_overlaps(next, JobContext());
  });
}

// With file_mutex_ held.
Result<std::shared_ptr<const DataSet>> StudyImpl::read_set(const DataRecord& record) {
  if (const auto known = sets_.find(record.digest); known != sets_.end()) return known->second;
  RETORT_TRY(std::vector<DataSet> sets, read_data(record.info.path, record.columns));
  for (DataSet& set : sets) {
    if (set.kind != record.info.kind) continue;
    if (set.digest != record.digest)
      return Error{.code = ErrorCode::kBadData, .file = record.info.path.string(), .found = "the file has changed since it was added",
                   .next_step = "remove the data set and add it again"};
    set.name = record.info.name;
    auto shared = std::make_shared<const DataSet>(std::move(set));
    sets_[record.digest] = shared;
    return shared;
  }
  return Error{.code = ErrorCode::kBadData, .file = record.info.path.string(),
               .expected = std::string(data_kind_name(record.info.kind)), .found = "no such examples any more",
               .next_step = "remove the data set and add it again"};
}

Result<std::shared_ptr<const DataSet>> StudyImpl::data_set(std::string_view name) {
  const std::lock_guard file(file_mutex_);
  const StudyDocument now = document();
  for (const DataRecord& record : now.data)
    if (record.info.name == name) return read_set(record);
  return Error{.code = ErrorCode::kNotFound, .place = "data set " + std::string(name)};
}

// With file_mutex_ held. A set that cannot be read now keeps its old note.
Result<void> StudyImpl::note_overlaps(StudyDocument& document, const JobContext& job) {
  std::vector<std::shared_ptr<const DataSet>> sets;
  for (const DataRecord& record : document.data) {
    const auto set = read_set(record);
    sets.push_back(set ? *set : nullptr);
  }
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (!sets[i]) continue;
    document.data[i].info.overlap_warning.clear();
    for (std::size_t j = 0; j < sets.size(); ++j) {
      if (!sets[j] || document.data[i].info.role == document.data[j].info.role) continue;
      RETORT_CHECK(job.check(document.data[i].info.name));
      const Overlap overlap = find_overlap(*sets[j], *sets[i]);
      if (overlap.share < kOverlapShare) continue;
      const DataInfo& other = document.data[j].info;
      std::string& note = document.data[i].info.overlap_warning;
      note = fmt::format("{:.1f} % of its words also stand in \"{}\" ({}), so figures measured on it would flatter.",
                         100 * overlap.share, other.name, data_role_name(other.role));
      if (!overlap.examples.empty()) note += " For example: “" + overlap.examples.front() + "”.";
      break;
    }
  }
  return {};
}

}  // namespace retort
