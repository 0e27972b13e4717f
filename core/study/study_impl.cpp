#include "core/study/study_impl.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error_text.h"
#include "core/evaluate/evaluation_json.h"
#include "core/measure/hardware.h"
#include "core/model/backend.h"
#include "core/model/device_backend.h"

namespace retort {
namespace {

Error no_candidate(std::int64_t id) {
  return Error{.code = ErrorCode::kNotFound, .place = fmt::format("candidate {}", id)};
}

CandidateRecord* find_in(StudyDocument& document, std::int64_t id) {
  for (CandidateRecord& candidate : document.candidates)
    if (candidate.id == id) return &candidate;
  return nullptr;
}

// Two candidates with one name could not be told apart in a chart.
std::string unique_name(const StudyDocument& document, const std::string& wish, std::int64_t except) {
  const auto taken = [&](const std::string& name) {
    return std::any_of(document.candidates.begin(), document.candidates.end(),
                       [&](const CandidateRecord& other) { return other.id != except && other.name == name; });
  };
  std::string name = wish.empty() ? "candidate" : wish;
  for (int i = 2; taken(name); ++i) name = fmt::format("{} ({})", wish, i);
  return name;
}

// What a recipe says must be something that recipe_from_json would take back.
Result<void> check_recipe(const Recipe& recipe) {
  RETORT_TRY(const Recipe checked, recipe_from_json(recipe_to_json(recipe)));
  return {};
}

}  // namespace

Result<std::shared_ptr<Study>> Study::create(const std::filesystem::path& path) {
  RETORT_TRY(auto store, TensorStore::open());
  RETORT_TRY(auto file, StudyFile::create(path));
  auto study = std::make_shared<StudyImpl>(std::move(file), std::move(store));
  RETORT_CHECK(study->load());
  return std::shared_ptr<Study>(std::move(study));
}

Result<std::shared_ptr<Study>> Study::open(const std::filesystem::path& path) {
  RETORT_TRY(auto store, TensorStore::open());
  RETORT_TRY(auto file, StudyFile::open(path));
  auto study = std::make_shared<StudyImpl>(std::move(file), std::move(store));
  RETORT_CHECK(study->load());
  return std::shared_ptr<Study>(std::move(study));
}

StudyImpl::StudyImpl(std::unique_ptr<StudyFile> file, std::shared_ptr<TensorStore> store)
    : store_(std::move(store)), file_(std::move(file)) {}

Result<void> StudyImpl::load() {
  const std::lock_guard file(file_mutex_);
  RETORT_TRY(StudyDocument document, file_->load());
  RETORT_TRY(const auto stored, file_->measurements());
  for (const StoredMeasurement& measurement : stored) {
    // A measurement that does not read is one that has to be made again.
    if (measurement.kind == "evaluation") {
      if (auto read = evaluation_from_json(measurement.body))
        evaluations_[measurement.key] = std::make_shared<const Evaluation>(*std::move(read));
    } else if (measurement.kind == "bench") {
      if (auto read = bench_from_json(measurement.body))
        benches_[measurement.key] = std::make_shared<const BenchResult>(*std::move(read));
    }
  }
  note_named_files(document);
  replace_document(std::move(document));
  open_source_now();
  plan_missing();
  return {};
}

// With file_mutex_ held.
void StudyImpl::replace_document(StudyDocument document) {
  const bool undoable = file_->last_undo().has_value();
  const std::lock_guard state(state_mutex_);
  document_ = std::move(document);
  can_undo_ = undoable;
}

StudyDocument StudyImpl::document() const {
  const std::lock_guard state(state_mutex_);
  return document_;
}

Result<void> StudyImpl::edit(bool undoable, const std::function<Result<void>(StudyDocument&)>& change) {
  const std::lock_guard file(file_mutex_);
  StudyDocument next = document();
  std::optional<std::string> before;
  if (undoable) before = edits_to_json(next, file_->path().parent_path());
  RETORT_CHECK(change(next));
  note_named_files(next);
  RETORT_CHECK(file_->save(next, before));
  {
    // Predicted memory depends on these.
    const std::lock_guard state(state_mutex_);
    if (next.context != document_.context || next.threads != document_.threads) made_.clear();
  }
  replace_document(std::move(next));
  plan_missing();
  return {};
}

Result<void> StudyImpl::undo() {
  const std::lock_guard file(file_mutex_);
  const auto before = file_->last_undo();
  if (!before) return Error{.code = ErrorCode::kNotFound, .place = "undo", .found = "nothing to undo"};
  StudyDocument next = document();
  RETORT_CHECK(edits_from_json(*before, file_->path().parent_path(), next));
  note_named_files(next);
  RETORT_CHECK(file_->save_undone(next));
  replace_document(std::move(next));
  plan_missing();
  return {};
}

bool StudyImpl::can_undo() const {
  const std::lock_guard state(state_mutex_);
  return can_undo_;
}

Result<std::int64_t> StudyImpl::add_candidate(const Recipe& recipe) {
  RETORT_CHECK(check_recipe(recipe));
  std::int64_t id = 0;
  RETORT_CHECK(edit(true, [&](StudyDocument& next) -> Result<void> {
    id = next.next_id++;
    CandidateRecord candidate{.id = id, .name = unique_name(next, recipe.name, id), .recipe = with_absolute_paths(recipe),
                              .is_original = false, .chosen = true, .failure = {}};
    next.candidates.push_back(std::move(candidate));
    return {};
  }));
  return id;
}

Result<void> StudyImpl::update_candidate(std::int64_t id, const Recipe& recipe) {
  RETORT_CHECK(check_recipe(recipe));
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    CandidateRecord* candidate = find_in(next, id);
    if (!candidate) return no_candidate(id);
    if (candidate->is_original)
      return Error{.code = ErrorCode::kBadArgument, .place = candidate->name, .found = "the original",
                   .next_step = "add a candidate of its own; everything is measured against the original"};
    candidate->recipe = with_absolute_paths(recipe);
    candidate->name = unique_name(next, recipe.name, id);
    candidate->failure.clear();
    return {};
  });
}

Result<void> StudyImpl::remove_candidate(std::int64_t id) {
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    const CandidateRecord* candidate = find_in(next, id);
    if (!candidate) return no_candidate(id);
    if (candidate->is_original)
      return Error{.code = ErrorCode::kBadArgument, .place = candidate->name, .found = "the original",
                   .next_step = "everything is measured against it; choose another source instead"};
    std::erase_if(next.candidates, [&](const CandidateRecord& other) { return other.id == id; });
    return {};
  });
}

Result<void> StudyImpl::set_chosen(std::int64_t id, bool chosen) {
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    CandidateRecord* candidate = find_in(next, id);
    if (!candidate) return no_candidate(id);
    candidate->chosen = chosen || candidate->is_original;
    return {};
  });
}

Result<void> StudyImpl::move_candidate(std::int64_t id, int new_index) {
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    const CandidateRecord* candidate = find_in(next, id);
    if (!candidate) return no_candidate(id);
    if (candidate->is_original) return {};   // it stays first
    const CandidateRecord moved = *candidate;
    std::erase_if(next.candidates, [&](const CandidateRecord& other) { return other.id == id; });
    const int first = !next.candidates.empty() && next.candidates.front().is_original ? 1 : 0;
    const int last = static_cast<int>(next.candidates.size());
    next.candidates.insert(next.candidates.begin() + std::clamp(new_index, first, std::max(first, last)), moved);
    return {};
  });
}

Result<void> StudyImpl::set_goals(const Goals& goals) {
  return edit(true, [&](StudyDocument& next) -> Result<void> {
    next.goals = goals;
    return {};
  });
}

Result<void> StudyImpl::set_context(std::int64_t context) {
  if (context < 16 || context > (std::int64_t{1} << 20))
    return Error{.code = ErrorCode::kBadArgument, .place = "context", .expected = "16 to 1048576 tokens", .found = std::to_string(context)};
  return edit(false, [&](StudyDocument& next) -> Result<void> {
    next.context = context;
    return {};
  });
}

Result<void> StudyImpl::set_threads(int threads) {
  if (threads < 0 || threads > 1024)
    return Error{.code = ErrorCode::kBadArgument, .place = "threads", .expected = "0 to 1024", .found = std::to_string(threads)};
  return edit(false, [&](StudyDocument& next) -> Result<void> {
    next.threads = threads;
    return {};
  });
}

Result<void> StudyImpl::set_device(const std::string& device) {
  const bool none = device.empty() || device == "cpu";
  if (!none && !names_device(device))
    return Error{.code = ErrorCode::kBadArgument, .place = "device", .expected = "cpu, cuda or cuda:N", .found = device};
  return edit(false, [&](StudyDocument& next) -> Result<void> {
    next.device = none ? "" : device == "cuda" ? "cuda:0" : device;
    return {};
  });
}

Result<void> StudyImpl::set_failure(std::int64_t id, const std::string& failure) {
  return edit(false, [&](StudyDocument& next) -> Result<void> {
    if (CandidateRecord* candidate = find_in(next, id)) candidate->failure = failure;
    return {};
  });
}

Result<std::shared_ptr<const Model>> StudyImpl::source_model() {
  {
    const std::lock_guard state(state_mutex_);
    if (source_) return source_;
    if (!document_.source)
      return Error{.code = ErrorCode::kNotFound, .place = "source", .found = "the study has no model yet",
                   .next_step = "open a model on the Model page, or `retort study new --model`"};
  }
  const StudyDocument now = document();
  RETORT_TRY(Model model, open_model(now.source->path));
  RETORT_TRY(const Digest digest, checkpoint_digest(*model.checkpoint, [this](const auto& path, const JobContext& job) {
    const std::lock_guard file(file_mutex_);
    return file_digest(path, job);
  }, JobContext()));
  if (digest != now.source->digest)
    return Error{.code = ErrorCode::kConflict, .file = now.source->path.string(), .found = "the model has changed since it was opened",
                 .next_step = "set it as the source again; what was measured belongs to the old one"};
  auto shared = std::make_shared<const Model>(std::move(model));
  const std::lock_guard state(state_mutex_);
  source_ = shared;
  return shared;
}

// With file_mutex_ held; null when it cannot be opened now. Its digest is checked before a run (source_model).
std::shared_ptr<const Model> StudyImpl::open_source_now() {
  const StudyDocument now = document();
  if (!now.source) return nullptr;
  auto model = open_model(now.source->path);
  if (!model) return nullptr;
  const auto digest = checkpoint_digest(*model->checkpoint, [this](const auto& path, const JobContext& job) {
    return file_digest(path, job);
  }, JobContext());
  if (!digest || *digest != now.source->digest) return nullptr;
  auto shared = std::make_shared<const Model>(*std::move(model));
  const std::lock_guard state(state_mutex_);
  source_ = shared;
  describe_kind(*shared, *document_.source);   // which a study of an older Retort doesn't say
  return shared;
}

RunOptions memory_options(const StudyDocument& document) {
  RunOptions options;
  options.context = document.context;
  options.batch = std::min<std::int64_t>(512, document.context);
  return options;
}

StudyImpl::Made StudyImpl::make_entry(const StudyDocument& document, const CandidateRecord& candidate, const Model& model) const {
  if (is_student(candidate.recipe)) return student_entry(document, candidate, model);
  Made made;
  auto plan = plan_candidate(model, document.source->digest, candidate.recipe, importance_key(document));
  if (!plan) {
    made.problem = error_text(plan.error());
    return made;
  }
  made.plan = std::make_shared<const CandidatePlan>(*std::move(plan));
  const Model outline = outline_model(model, *made.plan);
  for (std::size_t i = 0; i < made.plan->types.size() && i < outline.graph.weights.size(); ++i)
    made.types[outline.graph.weights[i].name] = std::string(kernels::traits(made.plan->types[i]).name);
  if (const auto backend = make_backend("cpu", document.threads)) made.memory = (*backend)->predict_memory(outline, memory_options(document)).total();
  return made;
}

// Plans whatever has none yet. Headers only, so it is quick.
void StudyImpl::plan_missing() {
  const StudyDocument now = document();
  std::shared_ptr<const Model> model;
  {
    const std::lock_guard state(state_mutex_);
    model = source_;
  }
  if (!model) return;
  for (const CandidateRecord& candidate : now.candidates) {
    const Digest digest = candidate_digest(now, candidate);
    {
      const std::lock_guard state(state_mutex_);
      if (made_.contains(digest)) continue;
    }
    if (is_student(candidate.recipe)) look_at_student(now, candidate);
    Made entry = make_entry(now, candidate, *model);
    {
      const std::lock_guard state(state_mutex_);
      made_[digest] = std::move(entry);
    }
    look_at_tensors(candidate.id);
  }
}

// A student's plan is another once it is trained.
void StudyImpl::plan_again(std::int64_t id) {
  const StudyDocument now = document();
  const CandidateRecord* candidate = now.find(id);
  std::shared_ptr<const Model> model;
  {
    const std::lock_guard state(state_mutex_);
    model = source_;
  }
  if (!candidate || !model || !is_student(candidate->recipe)) return;
  look_at_student(now, *candidate);
  Made entry = make_entry(now, *candidate, *model);
  {
    const std::lock_guard state(state_mutex_);
    made_[candidate_digest(now, *candidate)] = std::move(entry);
  }
  look_at_tensors(id);
}

void StudyImpl::look_at_tensors(std::int64_t id) {
  std::shared_ptr<const CandidatePlan> plan;
  Digest digest;
  bool student_wanted = false;
  {
    const std::lock_guard state(state_mutex_);
    const CandidateRecord* candidate = document_.find(id);
    if (!candidate) return;
    digest = candidate_digest(document_, *candidate);
    student_wanted = is_student(candidate->recipe);
    const auto found = made_.find(digest);
    if (found == made_.end() || !found->second.plan) return;
    plan = found->second.plan;
  }
  store_bytes_ = store_->usage().bytes;
  std::map<std::string, double> errors;
  bool complete = !student_wanted || student(digest) != nullptr;
  for (const DerivedTensor& tensor : plan->tensors) {
    const auto stored = store_->find(tensor.key);
    if (stored) errors[tensor.name] = stored->stats.relative_error;
    else complete = false;
  }
  const std::lock_guard state(state_mutex_);
  made_[digest].errors = std::move(errors);
  made_[digest].complete = complete;
}

Result<std::shared_ptr<const CandidatePlan>> StudyImpl::plan(std::int64_t id) {
  RETORT_TRY(const auto model, source_model());
  const StudyDocument now = document();
  const CandidateRecord* candidate = now.find(id);
  if (!candidate) return no_candidate(id);
  if (is_student(candidate->recipe)) return std::make_shared<const CandidatePlan>();   // no tensors of the store
  RETORT_TRY(CandidatePlan made, plan_candidate(*model, now.source->digest, candidate->recipe, importance_key(now)));
  return std::make_shared<const CandidatePlan>(std::move(made));
}

Result<std::shared_ptr<const Model>> StudyImpl::candidate_model(std::int64_t id) {
  const StudyDocument now = document();
  const CandidateRecord* candidate = now.find(id);
  if (!candidate) return no_candidate(id);
  return model_of(now, *candidate);
}

Result<std::filesystem::path> StudyImpl::write_manifest(std::int64_t id) {
  const StudyDocument now = document();
  const CandidateRecord* candidate = now.find(id);
  if (!candidate) return no_candidate(id);
  return write_manifest_of(now, *candidate);
}

std::filesystem::path StudyImpl::artifact(const Digest& key, std::string_view suffix) const {
  return store_->usage().folder / "artifacts" / (key.hex() + std::string(suffix));
}

Result<void> StudyImpl::pin_tensors() {
  const StudyDocument now = document();
  std::vector<Digest> keys;
  for (const CandidateRecord& candidate : now.candidates) {
    if (!candidate.chosen) continue;
    const auto wanted = plan(candidate.id);
    if (!wanted) continue;   // it fails by itself, later
    for (const DerivedTensor& tensor : (*wanted)->tensors) keys.push_back(tensor.key);
  }
  return store_->pin(file_->path().string(), keys);
}

std::shared_ptr<const Evaluation> StudyImpl::evaluation(const Digest& key) const {
  const std::lock_guard state(state_mutex_);
  const auto found = evaluations_.find(key);
  return found == evaluations_.end() ? nullptr : found->second;
}

std::shared_ptr<const BenchResult> StudyImpl::bench(const Digest& key) const {
  const std::lock_guard state(state_mutex_);
  const auto found = benches_.find(key);
  return found == benches_.end() ? nullptr : found->second;
}

Result<void> StudyImpl::keep(const Digest& key, const Evaluation& evaluation) {
  const std::lock_guard file(file_mutex_);
  RETORT_CHECK(file_->add_measurement({key, "evaluation", evaluation_to_json(evaluation, true)}));
  const std::lock_guard state(state_mutex_);
  evaluations_[key] = std::make_shared<const Evaluation>(evaluation);
  return {};
}

Result<void> StudyImpl::keep(const Digest& key, const BenchResult& result) {
  const std::lock_guard file(file_mutex_);
  RETORT_CHECK(file_->add_measurement({key, "bench", bench_to_json(result)}));
  const std::lock_guard state(state_mutex_);
  benches_[key] = std::make_shared<const BenchResult>(result);
  return {};
}

bool StudyImpl::begin_run(const JobContext& job) {
  const std::lock_guard state(state_mutex_);
  if (running_) return false;
  running_ = true;
  job_ = job;
  states_.clear();
  rows_.clear();
  return true;
}

void StudyImpl::end_run() {
  const std::lock_guard state(state_mutex_);
  running_ = false;
  states_.clear();
}

void StudyImpl::set_rows(std::vector<RunRow> rows) {
  const std::lock_guard state(state_mutex_);
  rows_ = std::move(rows);
}

void StudyImpl::order_rows(const std::vector<std::size_t>& order) {
  const std::lock_guard state(state_mutex_);
  std::vector<RunRow> rows;
  for (const std::size_t i : order)
    if (i < rows_.size()) rows.push_back(rows_[i]);
  // Rows that were left out before stand behind the steps that are planned.
  for (std::size_t i = order.size(); i < rows_.size(); ++i) rows.push_back(rows_[i]);
  rows_ = std::move(rows);
}

void StudyImpl::change_row(std::size_t index, const std::function<void(RunRow&)>& change) {
  const std::lock_guard state(state_mutex_);
  if (index < rows_.size()) change(rows_[index]);
}

void StudyImpl::set_state(std::int64_t id, std::optional<CandidateState> new_state) {
  const std::lock_guard state(state_mutex_);
  if (new_state) states_[id] = *new_state;
  else states_.erase(id);
}

}  // namespace retort
