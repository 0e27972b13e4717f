// Studies: the file, its lock, undo, and runs of a tiny model from end to end, also killed and resumed.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QTemporaryDir>
#include <QtTest>
#include <csignal>
#include <fstream>
#include <thread>

#include "core/base/error_text.h"
#include "core/base/files.h"
#include "core/study/study.h"
#include "core/study/study_export.h"

using namespace retort;
namespace fs = std::filesystem;

namespace {

std::string micro() { return std::string(RETORT_TEST_DATA) + "/micro-llama.gguf"; }

// Sentences that differ from seed to seed, so that calibration and evaluation share nothing.
void write_text(const fs::path& path, unsigned seed, int words) {
  std::ofstream out(path);
  unsigned state = seed;
  for (int i = 0; i < words; ++i) {
    state = state * 1664525u + 1013904223u;
    static constexpr const char* kWords[] = {"river", "stone", "cloud", "seven", "lamp", "green", "walks", "over", "the", "quiet", "field", "and"};
    out << kWords[(state >> 16) % 12] << (i % 13 == 12 ? ".\n" : " ");
  }
}

void write_prompts(const fs::path& path) {
  std::ofstream out(path);
  for (int i = 0; i < 6; ++i)
    out << R"({"context": "The stone is number )" << i << R"(. It is", "choices": [" green", " quiet"], "answer": )" << i % 2 << "}\n";
}

#define QVERIFY_OK(expression)                                                                \
  do {                                                                                        \
    const auto verified_ = (expression);                                                      \
    QVERIFY2(verified_.ok(), verified_.ok() ? "" : error_text(verified_.error()).c_str());    \
  } while (false)

Recipe level(const char* id, bool importance = false) {
  Recipe recipe;
  recipe.name = id;
  recipe.stages.push_back({"quantize", id, importance, {}});
  return recipe;
}

// The figures that must not depend on how a run was interrupted.
std::string figures_of(const StudySnapshot& snapshot) {
  std::string text;
  for (const CandidateInfo& candidate : snapshot.candidates) {
    text += candidate.name + " " + candidate.failure + " " + std::to_string(candidate.bytes);
    for (const auto& [name, evaluation] : candidate.evaluations) {
      for (const auto& [metric, figure] : evaluation.figures) text += " " + metric + "=" + QByteArray::number(figure.value, 'g', 17).toStdString();
      for (const auto& row : evaluation.rows) text += " " + QByteArray::number(row.score, 'g', 17).toStdString();
    }
    text += candidate.bench ? " bench\n" : " no bench\n";
  }
  return text;
}

}  // namespace

class StudyTest : public QObject {
  Q_OBJECT
 private slots:
  void init();
  void file_is_held_by_one();
  void refuses_what_is_no_study();
  void edits_are_undone();
  void data_has_one_role();
  void runs_and_resumes();
  void survives_kill();
  void survives_a_full_disk();
  void says_where_it_may_not_write();
  void a_run_follows_edits();
  void a_failing_candidate_stops_no_other();
  void stops_at_once();
  void exports_and_reports();
  void opens_old_files();

 private:
  std::string at(const char* name) const { return folder_->path().toStdString() + "/" + name; }
  std::shared_ptr<Study> make(const char* name);
  std::unique_ptr<QTemporaryDir> folder_;
};

void StudyTest::init() {
  folder_ = std::make_unique<QTemporaryDir>();
  qputenv("RETORT_STORE", (folder_->path() + "/store").toUtf8());
  qputenv("XDG_CACHE_HOME", (folder_->path() + "/cache").toUtf8());
  qputenv("RETORT_PROGRAM", RETORT_PROGRAM);
  write_text(at("calibration.txt"), 1, 1500);
  write_text(at("evaluation.txt"), 99, 1500);
  write_prompts(at("prompts.jsonl"));
}

std::shared_ptr<Study> StudyTest::make(const char* name) {
  auto study = Study::create(at(name));
  if (!study) return nullptr;
  const bool good = (*study)->set_source(micro(), {}).ok() && (*study)->set_context(64).ok() &&
                    (*study)->add_data(at("calibration.txt"), DataRole::kCalibration, {}, {}).ok() &&
                    (*study)->add_data(at("evaluation.txt"), DataRole::kEvaluation, {}, {}).ok() &&
                    (*study)->add_data(at("prompts.jsonl"), DataRole::kEvaluation, {}, {}).ok() &&
                    (*study)->add_candidate(level("Q8_0")).ok() && (*study)->add_candidate(level("Q4_0", true)).ok();
  return good ? *study : nullptr;
}

void StudyTest::file_is_held_by_one() {
  auto study = make("a.retort");
  QVERIFY(study);
  const auto second = Study::open(at("a.retort"));
  QVERIFY(!second.ok());
  QCOMPARE(second.error().code, ErrorCode::kConflict);
  QCOMPARE(Study::create(at("a.retort")).error().code, ErrorCode::kConflict);
  const auto before = study->snapshot();
  study.reset();
  const auto again = Study::open(at("a.retort"));
  QVERIFY_OK(again);
  const auto after = (*again)->snapshot();
  QCOMPARE(after.candidates.size(), before.candidates.size());
  QCOMPARE(after.data.size(), std::size_t(3));
  QCOMPARE(after.data[1].path.string(), at("evaluation.txt"));
  QVERIFY(after.data[1].tokens > 64);
  QCOMPARE(after.source->digest.hex(), before.source->digest.hex());
  QVERIFY(after.candidates.front().is_original);
  QVERIFY(after.candidates[1].bytes > 0 && after.candidates[1].bytes_predicted);
}

void StudyTest::refuses_what_is_no_study() {
  QCOMPARE(Study::open(at("none.retort")).error().code, ErrorCode::kNotFound);
  QCOMPARE(Study::open(at("evaluation.txt")).error().code, ErrorCode::kForeign);
  QCOMPARE(Study::open(folder_->path().toStdString()).error().code, ErrorCode::kForeign);
  std::ofstream(at("empty.retort"));
  QCOMPARE(Study::open(at("empty.retort")).error().code, ErrorCode::kForeign);
  auto study = make("b.retort");
  study.reset();
  // Whatever is flipped or cut: an error or a study, never a crash.
  std::ifstream in(at("b.retort"), std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  for (std::size_t i = 0; i < 40; ++i) {
    std::string bad = good;
    if (i % 2) bad.resize(good.size() * i / 40);
    else for (std::size_t j = 0; j < 30; ++j) bad[(i * 7919 + j * 104729) % bad.size()] ^= static_cast<char>(1 + i);
    std::ofstream(at("bad.retort"), std::ios::binary | std::ios::trunc) << bad;
    const auto opened = Study::open(at("bad.retort"));
    if (opened) (void)(*opened)->snapshot();
    else QVERIFY(!error_text(opened.error()).empty());
  }
}

void StudyTest::edits_are_undone() {
  auto study = make("c.retort");
  const auto id = study->add_candidate(level("Q6_K"));
  QVERIFY_OK(id);
  QCOMPARE(study->snapshot().candidates.size(), std::size_t(4));
  QVERIFY_OK(study->add_candidate(level("Q6_K")));
  QCOMPARE(study->snapshot().candidates.back().name, std::string("Q6_K (2)"));
  QVERIFY_OK(study->undo());
  QVERIFY_OK(study->move_candidate(*id, 1));
  QCOMPARE(study->snapshot().candidates[1].id, *id);
  QVERIFY_OK(study->undo());
  QVERIFY_OK(study->remove_candidate(*id));
  QCOMPARE(study->snapshot().candidates.size(), std::size_t(3));
  QVERIFY_OK(study->undo());
  QCOMPARE(study->snapshot().candidates.back().id, *id);
  Goals goals;
  goals.max_kld = 0.5;
  QVERIFY_OK(study->set_goals(goals));
  QCOMPARE(study->snapshot().goals.max_kld, std::optional(0.5));
  QVERIFY_OK(study->undo());
  QVERIFY(!study->snapshot().goals.max_kld);
  QVERIFY_OK(study->remove_data("evaluation"));
  QCOMPARE(study->snapshot().data.size(), std::size_t(2));
  QVERIFY_OK(study->undo());
  QCOMPARE(study->snapshot().data.size(), std::size_t(3));
  const std::int64_t original = study->snapshot().candidates.front().id;
  QVERIFY(!study->remove_candidate(original).ok());
  QVERIFY(!study->update_candidate(original, level("Q8_0")).ok());
  QVERIFY(!study->add_candidate(level("Q9")).ok());
  while (study->can_undo()) QVERIFY_OK(study->undo());
  QCOMPARE(study->snapshot().candidates.size(), std::size_t(1));
}

void StudyTest::data_has_one_role() {
  auto study = make("d.retort");
  const auto twice = study->add_data(at("evaluation.txt"), DataRole::kCalibration, {}, {});
  QVERIFY(!twice.ok());
  QCOMPARE(twice.error().code, ErrorCode::kConflict);
  // A part of the evaluation text as calibration: allowed, but said.
  std::ifstream in(at("evaluation.txt"));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::ofstream(at("leak.txt")) << text.substr(0, text.size() / 2);
  QVERIFY_OK(study->add_data(at("leak.txt"), DataRole::kCalibration, {}, {}));
  const auto snapshot = study->snapshot();
  QVERIFY(!snapshot.data[1].overlap_warning.empty());
  QVERIFY(!snapshot.data[3].overlap_warning.empty());
  QVERIFY_OK(study->remove_data("leak"));
  QVERIFY(study->snapshot().data[1].overlap_warning.empty());
}

void StudyTest::runs_and_resumes() {
  auto study = make("e.retort");
  int calls = 0;
  QVERIFY_OK(run_study(study, {}, [&] { ++calls; }));
  QVERIFY(calls > 5);
  const auto snapshot = study->snapshot();
  QVERIFY(!snapshot.running);
  for (const RunRow& row : snapshot.run) QVERIFY2(row.state == JobState::kDone, (row.step + ": " + row.message).c_str());
  for (const CandidateInfo& candidate : snapshot.candidates) {
    QVERIFY2(candidate.state == CandidateState::kDone, candidate.failure.c_str());
    for (const char* figure : {"kld_mean", "perplexity", "accuracy", "decode", "time_to_first_token", "p50", "peak_memory"})
      QVERIFY2(candidate.figure(figure).has_value(), figure);
    QVERIFY(!candidate.bytes_predicted);
  }
  QCOMPARE(snapshot.candidates[0].figure("kld_mean")->value, 0.0);
  QVERIFY(snapshot.candidates[1].figure("kld_mean")->value < snapshot.candidates[2].figure("kld_mean")->value);
  QVERIFY(!snapshot.candidates[2].tensor_errors.empty());
  QVERIFY(snapshot.recommendation.candidate.has_value() || !snapshot.recommendation.missing.empty());
  const std::string figures = figures_of(snapshot);
  // A second run, also of the file opened again, does nothing again.
  study.reset();
  auto again = Study::open(at("e.retort"));
  QVERIFY_OK(again);
  QCOMPARE(figures_of((*again)->snapshot()), figures);
  QVERIFY_OK(run_study(*again, {}, {}));
  for (const RunRow& row : (*again)->snapshot().run) QVERIFY2(row.reused > 0, row.step.c_str());
  // A candidate that comes back finds its figures.
  const std::int64_t id = (*again)->snapshot().candidates[1].id;
  QVERIFY_OK((*again)->remove_candidate(id));
  QVERIFY_OK((*again)->add_candidate(level("Q8_0")));
  QVERIFY((*again)->snapshot().candidates.back().figure("kld_mean").has_value());
  // Another recipe has none.
  QVERIFY_OK((*again)->update_candidate((*again)->snapshot().candidates.back().id, level("Q5_K_M")));
  QVERIFY(!(*again)->snapshot().candidates.back().figure("kld_mean").has_value());
}

void StudyTest::survives_kill() {
  auto whole = make("whole.retort");
  QVERIFY_OK(run_study(whole, {}, {}));
  const std::string expected = figures_of(whole->snapshot());
  whole.reset();
  qputenv("RETORT_STORE", (folder_->path() + "/store2").toUtf8());   // nothing from the first run
  make("killed.retort").reset();
  unsigned random = 12345;
  for (int round = 0; round < 8; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto study = Study::open(at("killed.retort"));
      if (study) (void)run_study(*study, {}, {});
      ::_exit(0);
    }
    random = random * 1664525u + 1013904223u;
    ::usleep(30000 + (random >> 8) % 500000);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
  }
  auto study = Study::open(at("killed.retort"));
  QVERIFY_OK(study);
  QVERIFY_OK(run_study(*study, {}, {}));
  QCOMPARE(figures_of((*study)->snapshot()), expected);
}

// Every write beyond a size fails, as on a full disk: at several sizes, so that different files meet it first.
void StudyTest::survives_a_full_disk() {
  auto whole = make("whole.retort");
  QVERIFY_OK(run_study(whole, {}, {}));
  const std::string expected = figures_of(whole->snapshot());
  whole.reset();
  qputenv("RETORT_STORE", (folder_->path() + "/store2").toUtf8());
  make("full.retort").reset();
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  int named = 0;
  for (const rlim_t limit : {16u << 10, 64u << 10, 128u << 10}) {
    const pid_t child = ::fork();
    if (child == 0) {
      rlimit tight = old;
      tight.rlim_cur = limit;
      ::setrlimit(RLIMIT_FSIZE, &tight);
      auto study = Study::open(at("full.retort"));
      const auto said = [](const Error& error) {
        std::fputs((error_text(error) + "\n").c_str(), stderr);
        // SQLite knows a full disk (SQLITE_FULL), but takes a limit on file sizes for an I/O error.
        ::_exit(error.code == ErrorCode::kDiskFull || error.code == ErrorCode::kWrite ? 1 : 2);
      };
      if (!study) said(study.error());
      const auto done = run_study(*study, {}, {});
      if (!done) said(done.error());
      for (const RunRow& row : (*study)->snapshot().run)
        if (row.message.find("no room is left on the disk") != std::string::npos ||
            row.message.find("could not be written") != std::string::npos)
          ::_exit(1);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    QVERIFY2(WIFEXITED(status), "ended by a signal");
    QVERIFY2(WEXITSTATUS(status) != 2, "failed without saying that it could not write");
    named += WEXITSTATUS(status);
  }
  QVERIFY(named > 0);
  auto study = Study::open(at("full.retort"));
  QVERIFY_OK(study);
  QVERIFY_OK(run_study(*study, {}, {}));
  QCOMPARE(figures_of((*study)->snapshot()), expected);
}

// /proc takes no files, not even from root.
void StudyTest::says_where_it_may_not_write() {
  const auto nowhere = Study::create("/proc/self/x.retort");
  QVERIFY(!nowhere.ok());
  QVERIFY2(error_text(nowhere.error()).find("/proc/self/x.retort") != std::string::npos, error_text(nowhere.error()).c_str());
  auto study = make("r.retort");
  QVERIFY_OK(run_study(study, {}, {}));
  const auto written = export_study_candidate(*study, study->snapshot().candidates[1].id, "/proc/self/q8.gguf", {});
  QVERIFY(!written.ok());
  QVERIFY2(error_text(written.error()).find("/proc/self/") != std::string::npos, error_text(written.error()).c_str());
}

// Order and choice reach a run that is on; what is at work is finished first.
void StudyTest::a_run_follows_edits() {
  auto study = make("g.retort");
  const auto third = study->add_candidate(level("Q6_K"));
  QVERIFY_OK(third);
  const auto before = study->snapshot();
  const std::int64_t first = before.candidates[1].id, second = before.candidates[2].id;
  bool edited = false;
  QVERIFY_OK(run_study(study, {}, [&] {
    if (edited) return;
    edited = true;   // while the original is measured
    (void)study->move_candidate(*third, 1);
    (void)study->set_chosen(second, false);
  }));
  QVERIFY(edited);
  const auto after = study->snapshot();
  std::vector<std::int64_t> order;
  for (const RunRow& row : after.run)
    if (row.state == JobState::kDone && row.candidate != 0 && (order.empty() || order.back() != row.candidate)) order.push_back(row.candidate);
  QCOMPARE(order, (std::vector<std::int64_t>{before.candidates[0].id, *third, first}));
  for (const RunRow& row : after.run)
    if (row.candidate == second) QVERIFY2(row.state == JobState::kStopped && row.message == "left out", row.step.c_str());
  for (const CandidateInfo& candidate : after.candidates) QCOMPARE(candidate.state == CandidateState::kDone, candidate.id != second);
}

void StudyTest::a_failing_candidate_stops_no_other() {
  auto study = make("f.retort");
  QVERIFY_OK(study->remove_data("calibration"));   // Q4_0 wanted an importance matrix
  QVERIFY_OK(run_study(study, {}, {}));
  const auto snapshot = study->snapshot();
  QCOMPARE(snapshot.candidates[1].state, CandidateState::kDone);
  QCOMPARE(snapshot.candidates[2].state, CandidateState::kFailed);
  QVERIFY(snapshot.candidates[2].failure.find("calibration") != std::string::npos);
  QVERIFY(!snapshot.candidates[2].figure("kld_mean"));
  // A data set that vanished fails what needs it, and says so.
  fs::remove(at("prompts.jsonl"));
  QVERIFY_OK(study->add_candidate(level("Q6_K")));
  study.reset();
  auto again = Study::open(at("f.retort"));
  QVERIFY_OK(again);
  QVERIFY_OK(run_study(*again, {}, {}));
  const auto after = (*again)->snapshot().candidates.back();
  QCOMPARE(after.state, CandidateState::kFailed);
  QVERIFY(after.failure.find("prompts.jsonl") != std::string::npos);
  QVERIFY(after.figure("kld_mean") && after.bench);
}

void StudyTest::stops_at_once() {
  auto study = make("g.retort");
  JobContext job;
  using Clock = std::chrono::steady_clock;
  Clock::time_point stopped_at{};
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    job.pause(true);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stopped_at = Clock::now();
    job.stop();
  });
  const auto done = run_study(study, job, {});
  const auto ended = Clock::now();
  stopper.join();
  if (done) QSKIP("the run was faster than the stop");
  QCOMPARE(done.error().code, ErrorCode::kCanceled);
  QVERIFY(ended - stopped_at < std::chrono::milliseconds(500));
  QCOMPARE(study->snapshot().run.back().state, JobState::kStopped);
  QVERIFY(!study->snapshot().running);
  QVERIFY_OK(run_study(study, {}, {}));
}

void StudyTest::exports_and_reports() {
  auto study = make("h.retort");
  QVERIFY_OK(run_study(study, {}, {}));
  const auto snapshot = study->snapshot();
  const auto written = export_study_candidate(*study, snapshot.candidates[1].id, at("q8.gguf"), {});
  QVERIFY_OK(written);
  QCOMPARE(fs::file_size(at("q8.gguf")), snapshot.candidates[1].bytes);
  QVERIFY_OK(open_model(at("q8.gguf")));
  // The store was cleaned: the tensors are made again.
  fs::remove_all(at("store"));
  const auto manifest = study->write_manifest(snapshot.candidates[1].id);
  QVERIFY_OK(manifest);
  QVERIFY(!open_model_or_candidate(*manifest).ok());
  QVERIFY_OK(write_report(snapshot, at("report.html")));
  const auto html = read_text_file(at("report.html"));
  QVERIFY(html.ok() && html->find("<svg") != std::string::npos && html->find("Q4_0") != std::string::npos);
  QVERIFY(html->find("http") == std::string::npos);   // nothing from elsewhere
}

// A file of every released schema opens, with all that it held.
void StudyTest::opens_old_files() {
  const fs::path stored = std::string(RETORT_TEST_DATA) + "/studies/v1.retort";
  fs::copy_file(stored, at("old.retort"));
  auto study = Study::open(at("old.retort"));
  QVERIFY_OK(study);
  const auto snapshot = (*study)->snapshot();
  QCOMPARE(snapshot.candidates.size(), std::size_t(3));
  QCOMPARE(snapshot.data.size(), std::size_t(3));
  QVERIFY(snapshot.source && snapshot.source->parameters > 0);
  QCOMPARE(snapshot.goals.max_bytes, std::optional(500000.0));
  QVERIFY((*study)->can_undo());
  // The store and the source are not there, the original's figures are. (Those of others go when a quantizer changes,
  // speeds when the processor does.)
  QVERIFY(snapshot.candidates[0].figure("perplexity").has_value());
  QVERIFY(snapshot.candidates[0].figure("accuracy").has_value());
}

QTEST_APPLESS_MAIN(StudyTest)
#include "study_test.moc"
