// Studies of a classifier: its quantized forms and its students, from the study file to the exported folder.
#include <sys/wait.h>
#include <unistd.h>

#include <QTemporaryDir>
#include <QtTest>
#include <csignal>
#include <fstream>

#include "../distill/word_classifier.h"
#include "core/base/error_text.h"
#include "core/distill/trainer.h"
#include "core/study/presets.h"
#include "core/study/study.h"
#include "core/study/study_export.h"

using namespace retort;
using namespace retort::vectors;
namespace fs = std::filesystem;

namespace {

#define QVERIFY_OK(expression)                                                                \
  do {                                                                                        \
    const auto verified_ = (expression);                                                      \
    QVERIFY2(verified_.ok(), verified_.ok() ? "" : error_text(verified_.error()).c_str());    \
  } while (false)

Recipe level(const char* id) {
  Recipe recipe;
  recipe.name = id;
  recipe.stages.push_back({"quantize", id, false, {}});
  return recipe;
}

Recipe student(const char* stages, const char* name = "student") {
  Recipe recipe;
  recipe.name = name;
  recipe.student = std::string(R"({"student": {"layers": 1}, "data": {"validation_share": 0.2}, "loss": {"cross_entropy": 0.5, "forward_kl": 0.5, "temperature": 1},
    "training": {"steps": 40, "batch": 4, "rate": 0.001, "checkpoint_every": 5}, "stages": )") + stages + "}";
  return recipe;
}
constexpr const char* kDistill = R"([{"kind": "distill"}])";
constexpr const char* kInt8 = R"([{"kind": "distill"}, {"kind": "quantize", "level": "INT8"}, {"kind": "repair", "steps": 6}])";

std::string figures_of(const CandidateInfo& candidate) {
  std::string text = candidate.name + candidate.failure;
  for (const auto& [set, evaluation] : candidate.evaluations)
    for (const auto& [name, figure] : evaluation.figures) text += " " + name + "=" + QByteArray::number(figure.value, 'g', 17).toStdString();
  for (const StageInfo& stage : candidate.stages) {
    text += " " + stage.name + std::to_string(stage.bytes);
    for (const char* name : {"accuracy", "kld_mean", "validation_loss"})
      if (const auto figure = stage.figures.find(name); figure != stage.figures.end()) text += "=" + QByteArray::number(figure->second.value, 'g', 17).toStdString();
  }
  return text;
}

}  // namespace

class StudentStudyTest : public QObject {
  Q_OBJECT
 private slots:
  void init();
  void classifiers_are_measured();
  void students_are_trained_and_measured();
  void every_model_of_a_recipe_counts();
  void killed_runs_go_on();
  void stops_are_honoured();
  void what_is_missing_is_said();
  void presets_fit_the_source();
  void language_models_have_students();
  void few_prompts_decide_nothing();

 private:
  std::string at(const char* name) const { return folder_->path().toStdString() + "/" + name; }
  std::shared_ptr<Study> make(const char* name);
  std::unique_ptr<QTemporaryDir> folder_;
};

void StudentStudyTest::init() {
  folder_ = std::make_unique<QTemporaryDir>();
  qputenv("RETORT_STORE", (folder_->path() + "/store").toUtf8());
  qputenv("XDG_CACHE_HOME", (folder_->path() + "/cache").toUtf8());
  qputenv("RETORT_PROGRAM", RETORT_PROGRAM);
  write_word_classifier(at("model"));
  write_labelled_words(at("train.jsonl"), 20, 120);
  write_labelled_words(at("test.jsonl"), 5, 40);
}

std::shared_ptr<Study> StudentStudyTest::make(const char* name) {
  auto study = Study::create(at(name));
  if (!study) return nullptr;
  const bool good = (*study)->set_source(at("model"), {}).ok() && (*study)->set_context(64).ok() && (*study)->set_threads(1).ok() &&
                    (*study)->add_data(at("train.jsonl"), DataRole::kTraining, {}, {}).ok() &&
                    (*study)->add_data(at("test.jsonl"), DataRole::kEvaluation, {}, {}).ok();
  return good ? *study : nullptr;
}

void StudentStudyTest::classifiers_are_measured() {
  auto study = make("a.retort");
  QVERIFY(study);
  QCOMPARE(study->snapshot().source->kind, SourceKind::kClassifier);
  QVERIFY_OK(study->add_candidate(level("INT8")));
  QVERIFY_OK(study->add_candidate(level("Q8_0")));
  QVERIFY_OK(run_study(study, {}, {}));
  const auto snapshot = study->snapshot();
  for (const RunRow& row : snapshot.run) QVERIFY2(row.state == JobState::kDone, (row.step + ": " + row.message).c_str());
  for (const CandidateInfo& candidate : snapshot.candidates) {
    QVERIFY2(candidate.state == CandidateState::kDone, candidate.failure.c_str());
    for (const char* figure : {"accuracy", "macro_f1", "kld_mean", "top1_agreement", "prefill", "p50", "p99", "peak_memory"})
      QVERIFY2(candidate.figure(figure).has_value() || (candidate.is_original && std::string_view(figure) == "macro_f1"), figure);
    for (const char* none : {"decode", "time_to_first_token", "perplexity", "kv_cache_memory"}) QVERIFY2(!candidate.figure(none), none);
  }
  QCOMPARE(snapshot.candidates[0].figure("kld_mean")->value, 0.0);
  QCOMPARE(snapshot.candidates[0].figure("top1_agreement")->value, 1.0);
  QVERIFY(snapshot.candidates[1].figure("kld_mean")->value > 0);
  QVERIFY(snapshot.candidates[1].figure("kld_mean")->value < 0.05);
  QVERIFY(snapshot.recommendation.candidate.has_value());
  // The study opened again has it all; the next run does nothing again.
  const std::string figures = figures_of(snapshot.candidates[1]);
  study.reset();
  auto again = Study::open(at("a.retort"));
  QVERIFY_OK(again);
  QCOMPARE(figures_of((*again)->snapshot().candidates[1]), figures);
  QVERIFY_OK(run_study(*again, {}, {}));
  for (const RunRow& row : (*again)->snapshot().run) QVERIFY2(row.reused > 0, row.step.c_str());
  // The folder holds the weights that were measured.
  QVERIFY_OK(export_study_candidate(**again, snapshot.candidates[1].id, at("int8"), {}));
  const auto exported = open_model(at("int8"));
  QVERIFY_OK(exported);
  QVERIFY(exported->weights[static_cast<std::size_t>(exported->find_weight("blk.0.ffn_up.weight"))].coded != nullptr);
  QCOMPARE(export_study_candidate(**again, snapshot.candidates[1].id, at("int8"), {}).error().code, ErrorCode::kConflict);
  QCOMPARE(export_study_candidate(**again, snapshot.candidates[2].id, at("q8"), {}).error().code, ErrorCode::kUnsupported);
  QVERIFY(!fs::exists(at("q8")) && !fs::exists(at("q8.part")));
  QVERIFY_OK(write_report(snapshot, at("report.html")));
}

void StudentStudyTest::students_are_trained_and_measured() {
  auto study = make("b.retort");
  const auto plain = study->add_candidate(student(kDistill, "plain"));
  QVERIFY_OK(plain);
  QVERIFY_OK(study->add_candidate(student(kInt8, "packed")));
  const auto before = study->snapshot();
  QVERIFY(before.candidates[1].bytes > 0 && before.candidates[1].bytes_predicted);
  QVERIFY(before.candidates[2].bytes < before.candidates[1].bytes);
  QCOMPARE(before.candidates[2].stages.size(), std::size_t(4));
  QVERIFY(before.candidates[1].bytes < before.candidates[0].bytes);
  const RunEstimate estimate = estimate_run(*study);
  QVERIFY(estimate.seconds_high > 0 && estimate.problem.empty());
  std::size_t longest = 0;
  QVERIFY_OK(run_study(study, {}, [&] {
    for (const RunRow& row : study->snapshot().run)
      if (row.curve) longest = std::max(longest, row.curve->size());
  }));
  QVERIFY(longest > 40);
  const auto snapshot = study->snapshot();
  std::vector<std::string> made;
  for (const RunRow& row : snapshot.run) {
    QVERIFY2(row.state == JobState::kDone, (row.step + ": " + row.message).c_str());
    if (row.step == "distill" || row.step == "quantize" || row.step == "repair") made.push_back(row.step + (row.reused > 0 ? " again" : ""));
  }
  // What both begin with is made once.
  QCOMPARE(made, (std::vector<std::string>{"distill", "distill again", "quantize", "repair"}));
  const CandidateInfo& packed = snapshot.candidates[2];
  QVERIFY(packed.state == CandidateState::kDone && !packed.bytes_predicted);
  QCOMPARE(packed.stages.size(), std::size_t(4));
  QCOMPARE(packed.stages[0].name, std::string("source"));
  QCOMPARE(packed.stages[2].name, std::string("quantize INT8"));
  for (const StageInfo& stage : packed.stages)
    for (const char* figure : {"accuracy", "kld_mean", "p50", "peak_memory"}) QVERIFY2(stage.figures.contains(figure), (stage.name + " " + figure).c_str());
  QVERIFY(packed.stages[2].bytes < packed.stages[1].bytes);
  QCOMPARE(packed.stages[3].bytes, packed.stages[2].bytes);
  QCOMPARE(packed.stages[3].figures.at("accuracy").value, packed.figure("accuracy")->value);
  QCOMPARE(packed.stages[1].figures.at("accuracy").value, snapshot.candidates[1].figure("accuracy")->value);
  QVERIFY(packed.tensor_types.contains("blk.0.ffn_up.weight") && !packed.tensor_types.contains("blk.1.ffn_up.weight"));
  QCOMPARE(packed.tensor_types.at("blk.0.ffn_up.weight"), std::string("I8"));
  // It is a model like any other: for Try, for commands, for export.
  QVERIFY_OK(study->candidate_model(packed.id));
  const auto manifest = study->write_manifest(packed.id);
  QVERIFY_OK(manifest);
  QVERIFY_OK(open_model_or_candidate(*manifest));
  const auto written = export_study_candidate(*study, packed.id, at("out"), {});
  QVERIFY_OK(written);
  QCOMPARE(written->bytes, packed.bytes);
  QVERIFY(open_model(at("out"))->tokenizer);
  QCOMPARE(export_study_candidate(*study, packed.id, at("out.gguf"), {}).error().code, ErrorCode::kBadArgument);
  QVERIFY_OK(write_report(snapshot, at("report.html")));
  QVERIFY(read_text_file(at("report.html"))->find("Stages of packed") != std::string::npos);
  // Nothing is made twice.
  study.reset();
  auto again = Study::open(at("b.retort"));
  QVERIFY_OK(again);
  QCOMPARE(figures_of((*again)->snapshot().candidates[2]), figures_of(packed));
  // Curves of stages that were trained are there without a run; what doesn't train has none.
  const auto opened = (*again)->snapshot();
  QVERIFY(opened.run.empty());
  const auto& stages = opened.candidates[2].stages;
  QVERIFY(!stages[0].curve && !stages[2].curve);
  QVERIFY(stages[1].curve && stages[1].curve->size() >= 40 && stages[1].curve->back().step == 40);
  QVERIFY(stages[3].curve && stages[3].curve->back().step == 6);
  QCOMPARE(stages[1].curve->size(), packed.stages[1].curve->size());
  QCOMPARE(estimate_run(**again).seconds_high, 0.0);
  QVERIFY_OK(run_study(*again, {}, {}));
  for (const RunRow& row : (*again)->snapshot().run) {
    QVERIFY2(row.reused > 0, row.step.c_str());
    if (row.step == "distill") QVERIFY(row.curve && row.curve->size() >= 40);
  }
}

// What further teachers are, and what the student is made of, decides what comes out: by content, not by path.
void StudentStudyTest::every_model_of_a_recipe_counts() {
  write_word_classifier(at("second"), 0.2f);
  write_word_classifier(at("third"), 0.4f);
  fs::copy(at("second"), at("copy"), fs::copy_options::recursive);
  auto study = make("teachers.retort");
  QVERIFY(study);
  const auto with = [&](const char* name, const char* teacher, const char* parts) {
    Recipe recipe = student(kDistill, name);
    recipe.student.insert(1, "\"teachers\": [{\"model\": \"" + at(teacher) + "\", \"weight\": 2}], ");
    if (*parts != '\0') recipe.student.insert(recipe.student.find("{\"layers\"") + 1, "\"model\": \"" + at(parts) + "\", ");
    return recipe;
  };
  QVERIFY_OK(study->add_candidate(with("a", "second", "")));
  QVERIFY_OK(study->add_candidate(with("b", "third", "")));
  QVERIFY_OK(study->add_candidate(with("c", "copy", "")));
  QVERIFY_OK(study->add_candidate(with("d", "second", "third")));
  QVERIFY(study->snapshot().candidates[4].bytes > 0);   // predicted from the parts that it will have
  QVERIFY_OK(run_study(study, {}, {}));
  std::string made;
  for (const RunRow& row : study->snapshot().run)
    if (row.step == "distill") made += row.candidate_name + (row.reused > 0 ? " again " : " ");
  QCOMPARE(made, std::string("a b c again d "));
  // Paths are those of the place where the study was made.
  const fs::path before = fs::current_path();
  fs::current_path(folder_->path().toStdString());
  Recipe relative = student(kDistill, "relative");
  relative.student.insert(1, R"("teachers": [{"model": "second"}], )");
  relative.student.insert(relative.student.find("{\"layers\"") + 1, R"("model": "third", )");
  const auto added = study->add_candidate(relative);
  fs::current_path(before);
  QVERIFY_OK(added);
  const std::string json = study->snapshot().candidates[5].recipe.student;
  QVERIFY2(json.find("\"" + at("second") + "\"") != std::string::npos && json.find("\"" + at("third") + "\"") != std::string::npos, json.c_str());
}

void StudentStudyTest::killed_runs_go_on() {
  auto whole = make("whole.retort");
  QVERIFY_OK(whole->add_candidate(student(kInt8)));
  QVERIFY_OK(run_study(whole, {}, {}));
  const std::string expected = figures_of(whole->snapshot().candidates[1]);
  whole.reset();
  qputenv("RETORT_STORE", (folder_->path() + "/store2").toUtf8());
  auto study = make("killed.retort");
  QVERIFY_OK(study->add_candidate(student(kInt8)));
  study.reset();
  unsigned random = static_cast<unsigned>(qEnvironmentVariableIntValue("RETORT_TEST_SEED")) + 4321;
  for (int round = 0; round < 6; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto opened = Study::open(at("killed.retort"));
      if (opened) (void)run_study(*opened, {}, {});
      ::_exit(0);
    }
    random = random * 1664525u + 1013904223u;
    ::usleep(60000 + (random >> 8) % 400000);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
  }
  auto last = Study::open(at("killed.retort"));
  QVERIFY_OK(last);
  QVERIFY_OK(run_study(*last, {}, {}));
  const std::string gone_on = figures_of((*last)->snapshot().candidates[1]);
  QVERIFY2(gone_on == expected, ("killed: " + gone_on + "\nnot killed: " + expected).c_str());
}

void StudentStudyTest::stops_are_honoured() {
  auto study = make("c.retort");
  QVERIFY_OK(study->add_candidate(student(kDistill)));
  JobContext job;
  const auto done = run_study(study, job, [&] {
    for (const RunRow& row : study->snapshot().run)
      if (row.step == "distill" && row.state == JobState::kRunning && row.done >= 7) job.stop();
  });
  if (done) QSKIP("the run was faster than the stop");
  QCOMPARE(done.error().code, ErrorCode::kCanceled);
  // What was trained stays for the next run.
  bool kept = false;
  for (const auto& file : fs::recursive_directory_iterator(at("store"))) kept = kept || file.path().filename() == "state.safetensors";
  QVERIFY(kept);
  QVERIFY_OK(run_study(study, {}, {}));
  QCOMPARE(study->snapshot().candidates[1].state, CandidateState::kDone);
}

void StudentStudyTest::what_is_missing_is_said() {
  auto study = make("d.retort");
  QVERIFY_OK(study->add_candidate(student(kDistill)));
  QVERIFY_OK(study->remove_data("train"));
  QVERIFY_OK(run_study(study, {}, {}));
  const auto snapshot = study->snapshot();
  QCOMPARE(snapshot.candidates[1].state, CandidateState::kFailed);
  QVERIFY2(snapshot.candidates[1].failure.find("role training") != std::string::npos, snapshot.candidates[1].failure.c_str());
  for (const RunRow& row : snapshot.run)
    if (row.candidate == snapshot.candidates[1].id) QCOMPARE(row.state, JobState::kFailed);
  QCOMPARE(snapshot.candidates[0].state, CandidateState::kDone);
  // A student that makes no sense is refused when it is added.
  QVERIFY(!study->add_candidate(student(R"([{"kind": "repair"}])")).ok());
}

void StudentStudyTest::presets_fit_the_source() {
  auto study = make("e.retort");
  const auto snapshot = study->snapshot();
  int possible = 0;
  for (const Preset& preset : student_presets(*snapshot.source, snapshot.data)) {
    QVERIFY2(preset.group == "Distill" || preset.group == "Combine", preset.group.c_str());
    if (!preset.problem.empty() || preset.recipe.student.find("INT4") != std::string::npos) continue;   // a table of 16 columns has no groups of 32
    ++possible;
    QVERIFY_OK(study->add_candidate(preset.recipe));
    QVERIFY2(study->snapshot().candidates.back().failure.empty(), study->snapshot().candidates.back().failure.c_str());
    QVERIFY(study->snapshot().candidates.back().bytes > 0);
  }
  QVERIFY(possible >= 5);
  for (const Preset& preset : student_presets(*snapshot.source, {})) QVERIFY(!preset.problem.empty());
  QCOMPARE(level_presets(*snapshot.source).front().recipe.name, std::string("INT8"));
}

// From GGUF to GGUF, by text.
void StudentStudyTest::language_models_have_students() {
  static constexpr const char* kWords[] = {"river", "stone", "cloud", "seven", "lamp", "green", "walks", "over", "the", "quiet", "field", "and"};
  for (const auto& [name, words, first] : {std::tuple{"learn.txt", 2500, 7u}, std::tuple{"read.txt", 400, 99u}}) {
    std::ofstream out(at(name));
    unsigned state = first;
    for (int i = 0; i < words; ++i) {
      state = state * 1664525u + 1013904223u;
      out << kWords[(state >> 16) % 12] << (i % 13 == 12 ? ".\n" : " ");
    }
  }
  auto study = Study::create(at("lm.retort"));
  QVERIFY_OK(study);
  QVERIFY_OK((*study)->set_source(std::string(RETORT_TEST_DATA) + "/micro-llama.gguf", {}));
  QVERIFY_OK((*study)->set_context(64));
  QVERIFY_OK((*study)->add_data(at("learn.txt"), DataRole::kTraining, {}, {}));
  QVERIFY_OK((*study)->add_data(at("read.txt"), DataRole::kEvaluation, {}, {}));
  Recipe recipe;
  recipe.name = "repaired";
  recipe.student = R"({"data": {"context": 64}, "loss": {"forward_kl": 1, "temperature": 1}, "training": {"steps": 4, "batch": 4},
    "stages": [{"kind": "quantize", "level": "Q2_K", "importance": true}, {"kind": "repair", "steps": 4}]})";
  QVERIFY_OK((*study)->add_candidate(recipe));
  QVERIFY_OK(run_study(*study, {}, {}));
  const auto snapshot = (*study)->snapshot();
  const CandidateInfo& candidate = snapshot.candidates[1];
  QVERIFY2(candidate.state == CandidateState::kDone, candidate.failure.c_str());
  for (const char* figure : {"kld_mean", "perplexity", "decode", "time_to_first_token"}) QVERIFY2(candidate.figure(figure), figure);
  QCOMPARE(candidate.stages.size(), std::size_t(3));
  QVERIFY(candidate.stages[2].figures.at("kld_mean").value <= candidate.stages[1].figures.at("kld_mean").value);
  QCOMPARE(candidate.stages[1].bytes, candidate.stages[2].bytes);
  QVERIFY_OK(export_study_candidate(**study, candidate.id, at("repaired.gguf"), {}));
  QCOMPARE(fs::file_size(at("repaired.gguf")), candidate.bytes);
  QCOMPARE(export_study_candidate(**study, candidate.id, at("repaired"), {}).error().code, ErrorCode::kBadArgument);
}

// A student far from the original is not recommended because a handful of prompts cannot tell.
void StudentStudyTest::few_prompts_decide_nothing() {
  StudySnapshot snapshot;
  snapshot.source = SourceInfo{};
  for (int i = 0; i < 2; ++i) {
    CandidateInfo candidate;
    candidate.id = i + 1;
    candidate.name = i == 0 ? "original" : "student";
    candidate.is_original = i == 0;
    candidate.bytes = i == 0 ? 2000 : 1000;
    if (i == 1) candidate.recipe.student = "{}";
    Evaluation text;
    text.task = i == 0 ? "perplexity" : "kld";
    text.n = 100;
    text.figures["perplexity"] = {10, 9, 11};
    text.figures["kld_mean"] = {1.1, 1.0, 1.2};
    text.rows.resize(10);
    for (Evaluation::Row& row : text.rows) row.kld = i == 0 ? 0 : 1.1;
    candidate.evaluations["text"] = text;
    Evaluation answers;
    answers.task = "choice";
    answers.n = 6;
    answers.rows.resize(6);
    for (Evaluation::Row& row : answers.rows) row.correct = true;
    candidate.evaluations["prompts"] = answers;
    snapshot.candidates.push_back(candidate);
  }
  QVERIFY(recommend(snapshot).candidate != std::optional<std::int64_t>(2));
  // Two hundred can.
  for (CandidateInfo& candidate : snapshot.candidates) {
    auto& rows = candidate.evaluations["prompts"].rows;
    rows.resize(200, rows.front());
  }
  QCOMPARE(recommend(snapshot).candidate, std::optional<std::int64_t>(2));
}

QTEST_APPLESS_MAIN(StudentStudyTest)
#include "student_study_test.moc"
