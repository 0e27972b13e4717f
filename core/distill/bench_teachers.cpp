#include "core/distill/bench_teachers.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/base/files.h"
#include "core/base/folders.h"

namespace retort::distill {
namespace {

std::filesystem::path answers_folder() { return user_cache_folder() / "teacher"; }

// What a teacher is asked: the tokens that it reads.
void add_text(DigestBuilder& key, const TrainingExample& example, std::size_t teacher) {
  const bool own = teacher < example.teachers.size() && !example.teachers[teacher].ids.empty();
  const std::vector<TokenId>& ids = own ? example.teachers[teacher].ids : example.ids;
  key.number(ids.size()).raw(std::as_bytes(std::span(ids)));
}

bool named(const std::vector<std::string>& labels) { return !labels.empty() && !labels.front().starts_with("LABEL_"); }

// Classes of the same names in the same order, where both name them.
Result<void> check_labels(const Model& student, const Model& teacher, const std::filesystem::path& path) {
  const auto &mine = student.config.label_names, &theirs = teacher.config.label_names;
  if (!named(mine) || !named(theirs)) return {};
  for (std::size_t i = 0; i < std::min(mine.size(), theirs.size()); ++i)
    if (mine[i] != theirs[i])
      return Error{.code = ErrorCode::kConflict, .file = path.string(), .place = fmt::format("class {}", i), .expected = mine[i], .found = theirs[i],
                   .next_step = "take teachers that were trained on the same classes in the same order"};
  return {};
}

bool reads_alike(const Model& student, const Model& teacher) {
  if (!student.tokenizer || !teacher.tokenizer) return true;
  const bool decoder = student.graph.head == HeadKind::kNextToken;
  return same_pieces(*student.tokenizer, *teacher.tokenizer) && (!decoder || student.graph.outputs() == teacher.graph.outputs());
}

}  // namespace

Result<BenchTeachers> BenchTeachers::open(const DistillRecipe& recipe, const Model& source) {
  BenchTeachers out;
  std::vector<TeacherChoice> choices;
  if (!recipe.teacher.empty()) choices.push_back({recipe.teacher, 1});
  choices.insert(choices.end(), recipe.teachers.begin(), recipe.teachers.end());
  for (const TeacherChoice& choice : choices) {
    auto opened = std::make_unique<Opened>();
    if (recipe.student.model.empty() && out.list_.empty()) {
      opened->model = source;
    } else {
      RETORT_TRY(opened->model, open_model(choice.model));
    }
    if (!opened->model.tokenizer)
      return Error{.code = ErrorCode::kMissingPart, .file = choice.model.string(), .expected = "a tokenizer", .found = "none"};
    RETORT_CHECK(check_labels(source, opened->model, choice.model));
    opened->weight = choice.weight;
    out.list_.push_back(std::move(opened));
  }
  return out;
}

Readers BenchTeachers::readers(const Model& student) const {
  Readers out{.student = text_side(student)};
  for (const auto& teacher : list_) out.teachers.push_back(reads_alike(student, teacher->model) ? TextSide{} : text_side(teacher->model));
  return out;
}

Result<void> BenchTeachers::load(kernels::ThreadPool& pool) {
  for (const auto& teacher : list_) {
    RETORT_TRY(teacher->parameters, Parameters::from_model(teacher->model, true, pool));
  }
  return {};
}

Result<Digest> BenchTeachers::files_digest(const Model& model, const JobContext& job) {
  DigestBuilder key;
  for (const auto& file : model.checkpoint->files) {
    RETORT_TRY(const Digest digest, digest_of_file(file->path(), job));
    key.digest(digest);
  }
  return key.text(model.checkpoint->config_json).finish();
}

Result<Digest> BenchTeachers::digest(const Model& source, const JobContext& job) const {
  DigestBuilder key;
  RETORT_TRY(const Digest own, files_digest(source, job));
  key.digest(own);
  for (const auto& teacher : list_) {
    if (teacher->model.checkpoint == source.checkpoint) continue;
    RETORT_TRY(const Digest files, files_digest(teacher->model, job));
    key.digest(files);
  }
  return key.finish();
}

Result<void> BenchTeachers::open_answers(const DistillRecipe& recipe, const Model& student, const TrainingData& data, AnswerReport& report, const JobContext& job) {
  std::vector<const TrainingExample*> all;
  for (const auto* side : {&data.train, &data.validation})
    for (const TrainingExample& example : *side) all.push_back(&example);
  report.most_bytes = static_cast<std::uint64_t>(recipe.cache_megabytes * 1e6);
  if (student.graph.head == HeadKind::kNextToken) return open_rows(recipe, student, all, report, job);
  const std::uint64_t bytes = static_cast<std::uint64_t>(student.graph.outputs()) * sizeof(float);
  for (std::size_t k = 0; k < list_.size(); ++k) {
    Opened& teacher = *list_[k];
    RETORT_TRY(const Digest files, files_digest(teacher.model, job));
    teacher.file = answers_folder() / (DigestBuilder().text("teacher logits 3").digest(files).finish().hex() + ".safetensors");
    // In memory they always have room: without it every epoch would cost teacher time.
    teacher.answers.emplace(std::max<std::uint64_t>(report.most_bytes, all.size() * (bytes + sizeof(AnswerCache::Key))));
    for (const TrainingExample* example : all) {
      DigestBuilder key;
      add_text(key, *example, k);
      teacher.answers->name(example, AnswerCache::key_of(key.finish()));
    }
    if (report.most_bytes > 0) (void)teacher.answers->load(teacher.file, bytes).ok();   // nothing there yet, or nothing of use
    report.known += teacher.answers->known();
  }
  return {};
}

Result<void> BenchTeachers::open_rows(const DistillRecipe& recipe, const Model& student, std::span<const TrainingExample* const> all, AnswerReport& report, const JobContext& job) {
  const bool kept = recipe.loss.top > 0 || std::any_of(list_.begin(), list_.end(), [&](const auto& teacher) { return !reads_alike(student, teacher->model); });
  if (!kept || report.most_bytes == 0) return {};
  // Rows are of the student's pieces, mixed and tempered.
  DigestBuilder who;
  who.text("teacher rows 2").number(static_cast<std::uint64_t>(recipe.loss.top)).text(fmt::format("{} {} {}", recipe.loss.logits.temperature, recipe.loss.by_agreement, student.graph.outputs()));
  for (const auto& teacher : list_) {
    RETORT_TRY(const Digest files, files_digest(teacher->model, job));
    who.digest(files).text(fmt::format("{}", teacher->weight));
  }
  if (list_.size() == 1 && !reads_alike(student, list_.front()->model))
    for (std::size_t i = 0; i < student.tokenizer->size(); ++i) who.text(student.tokenizer->piece(static_cast<TokenId>(i)));
  rows_file_ = answers_folder() / (who.finish().hex() + ".safetensors");
  rows_.emplace(report.most_bytes);
  for (const TrainingExample* example : all) {
    DigestBuilder key;
    key.number(example->ids.size()).raw(std::as_bytes(std::span(example->ids)));
    key.number(example->learned.size()).raw(std::as_bytes(std::span(example->learned)));
    for (std::size_t k = 0; k < list_.size(); ++k) add_text(key, *example, k);
    rows_->name(example, AnswerCache::key_of(key.finish()));
  }
  (void)rows_->load(rows_file_, 0).ok();
  report.known = rows_->known();
  return {};
}

void BenchTeachers::save_answers(AnswerReport& report) const {
  std::error_code failed;
  std::filesystem::create_directories(answers_folder(), failed);
  const auto keep = [&](const std::filesystem::path& file, std::uint64_t bytes, auto&& save) {
    if (file.empty() || failed) return;
    if (bytes > report.most_bytes) {
      ++report.left_out;
      return;
    }
    report.bytes += bytes;
    make_room_in(answers_folder(), file, bytes, report.most_bytes);
    (void)save().ok();
  };
  for (const auto& teacher : list_)
    if (teacher->answers) keep(teacher->file, teacher->answers->bytes(), [&] { return teacher->answers->save(teacher->file, {}); });
  if (rows_) {
    report.left_out += rows_->left_out();
    keep(rows_file_, rows_->bytes(), [&] { return rows_->save(rows_file_, {}); });
  }
  report.folder_bytes = folder_bytes(answers_folder());
}

std::optional<std::int64_t> BenchTeachers::known_answer(const TrainingExample& example, const LossMix& mix) const {
  std::vector<std::vector<float>> logits;
  std::vector<const float*> answers;
  std::vector<double> weights;
  for (const auto& teacher : list_) {
    const std::span<const std::byte> bytes = teacher->answers ? teacher->answers->of(&example) : std::span<const std::byte>();
    if (bytes.empty()) return std::nullopt;
    logits.emplace_back(bytes.size() / sizeof(float));
    std::memcpy(logits.back().data(), bytes.data(), logits.back().size() * sizeof(float));
    weights.push_back(teacher->weight);
  }
  if (logits.empty()) return std::nullopt;
  for (const auto& one : logits) answers.push_back(one.data());
  std::vector<float> mixed = logits.front(), room(mixed.size());
  if (answers.size() > 1) mix_logits(answers, weights, mix.by_agreement, example.label, mix.logits.temperature, mixed, room);
  return std::max_element(mixed.begin(), mixed.end()) - mixed.begin();
}

std::vector<Teacher> BenchTeachers::list() const {
  std::vector<Teacher> out;
  for (const auto& teacher : list_)
    out.push_back({.model = &teacher->model, .parameters = &teacher->parameters, .weight = teacher->weight, .answers = teacher->answers ? &*teacher->answers : nullptr});
  return out;
}

}  // namespace retort::distill
