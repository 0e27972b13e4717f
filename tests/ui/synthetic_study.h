// A study in memory with plausible values, for tests of the window: every edit works, undo included, and a run that
// reports progress like the real one without computing anything.
#pragma once

#include <chrono>
#include <cmath>
#include <mutex>
#include <thread>
#include <vector>

#include "core/distill/trainer.h"
#include "core/study/study.h"
#include "ui/services/core_api.h"

namespace retort::test {

inline Figure figure(double value, double half) { return {value, value - half, value + half}; }

inline CandidateInfo candidate(std::int64_t id, const char* name, const char* plain, const char* level, std::uint64_t bytes,
                               double bits, double kld, double accuracy, double decode) {
  CandidateInfo info;
  info.id = id;
  info.name = name;
  info.plain = plain;
  info.recipe.name = name;
  if (*level) {
    Stage stage;
    stage.level = level;
    info.recipe.stages.push_back(stage);
  }
  info.is_original = id == 1;
  info.bytes = bytes;
  info.bits_per_weight = bits;
  info.bytes_predicted = false;
  info.state = CandidateState::kDone;
  info.command_line = std::string("retort quantize model.gguf --type ") + level + " -o out.gguf";
  Evaluation text;
  text.task = "kld";
  text.n = 8000;
  text.activations = "q8";
  text.figures["kld_mean"] = figure(kld, kld * 0.05);
  text.figures["perplexity"] = figure(23.5 + kld * 10, 0.4);
  text.figures["top1_agreement"] = figure(1 - kld, 0.004);
  for (int i = 0; i < 20; ++i) {
    Evaluation::Row row;
    row.index = i;
    row.text = "chunk " + std::to_string(i);
    row.score = 3;
    row.kld = kld;
    text.rows.push_back(row);
  }
  info.evaluations["evaluation"] = text;
  Evaluation prompts;
  prompts.task = "choice";
  prompts.n = 100;
  prompts.figures["accuracy"] = figure(accuracy, 0.03);
  for (int i = 0; i < 100; ++i)
    {
    Evaluation::Row row;
    row.index = i;
    row.text = "Question " + std::to_string(i);
    row.correct = i < accuracy * 100;
    row.score = row.correct ? 1 : 0;
    row.answer = "B";
    prompts.rows.push_back(row);
  }
  info.evaluations["prompts"] = prompts;
  BenchResult bench;
  bench.decode_tokens_per_second = decode;
  bench.prefill_tokens_per_second = decode * 3;
  bench.time_to_first_token_seconds = 0.7;
  bench.p50 = 1 / decode;
  bench.p95 = 1.2 / decode;
  bench.p99 = 1.5 / decode;
  bench.peak_memory_bytes = bytes * 12 / 10;
  bench.memory = {bytes, 12'000'000, 5'000'000};
  bench.threads = 2;
  bench.device = "Test CPU · 2 threads";
  bench.activations = "q8";
  info.bench = bench;
  for (int layer = 0; layer < 30; ++layer)
    for (const char* kind : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
      const std::string tensor = "blk." + std::to_string(layer) + "." + kind + ".weight";
      info.tensor_types[tensor] = bits < 5 ? "Q4_K" : bits < 9 ? "Q8_0" : "F16";
      if (id != 1) info.tensor_errors[tensor] = kld * (1 + layer % 7);
    }
  return info;
}

inline StudySnapshot syntheticSnapshot() {
  StudySnapshot s;
  s.path = "/tmp/synthetic.retort";
  s.name = "synthetic";
  s.source = SourceInfo{.path = {}, .name = "SmolLM2 135M Instruct", .architecture = "llama", .licence = "apache-2.0",
                        .parameters = 134'515'008, .bytes = 98'362'432, .bits_per_weight = 5.8, .quantized = "Q4_1", .digest = {}};
  s.data = {{.name = "calibration", .path = "c.txt", .kind = DataKind::kText, .role = DataRole::kCalibration, .examples = 300,
             .tokens = 16000, .length_histogram = {1, 5, 20, 40, 30, 12, 6, 2}, .overlap_warning = {}},
            {.name = "evaluation", .path = "e.txt", .kind = DataKind::kText, .role = DataRole::kEvaluation, .examples = 200,
             .tokens = 8000, .length_histogram = {2, 6, 18, 25, 22, 9, 3, 1}, .overlap_warning = {}},
            {.name = "prompts", .path = "p.jsonl", .kind = DataKind::kChoice, .role = DataRole::kEvaluation, .examples = 100,
             .tokens = 3200, .length_histogram = {9, 30, 33, 18, 7, 2, 1}, .overlap_warning = {}}};
  s.candidates = {candidate(1, "original", "16-bit", "", 271'000'000, 16, 0, 0.53, 90),
                  candidate(2, "Q8_0", "8-bit", "Q8_0", 144'811'000, 8.5, 0.003, 0.53, 190),
                  candidate(3, "Q4_K_M", "4-bit, mixed", "Q4_K_M", 105'000'000, 6.2, 0.04, 0.51, 230),
                  candidate(4, "Q2_K", "2-bit, mixed", "Q2_K", 88'000'000, 5.2, 0.31, 0.41, 250)};
  s.recommendation = {.candidate = 3, .what = "Take Q4_K_M", .why = "it is the smallest within your goals",
                      .runner_up = "Q8_0", .would_change = "a loss below 1 %", .missing = {}};
  std::int64_t id = 1;
  for (const CandidateInfo& c : s.candidates)
    for (const char* step : {"quantize", "text: evaluation", "prompts", "speed and memory"})
      s.run.push_back({.id = id++, .candidate = c.id, .candidate_name = c.name, .step = step, .state = JobState::kDone,
                       .done = 272, .total = 272, .unit = "tensors", .working_on = {}, .rate = 0, .seconds_left = -1, .reused = 30, .message = {}});
  s.context = 512;
  s.threads = 2;
  s.device = "Test CPU · 2 threads";
  s.store_bytes = 512'000'000;
  return s;
}

// A study of a classifier with two students: nothing decodes, nothing has a perplexity; one student has its staircase and
// the curve of its training.
inline CandidateInfo classifierCandidate(std::int64_t id, const char* name, std::uint64_t bytes, double kld, double right, double milliseconds) {
  CandidateInfo info;
  info.id = id;
  info.name = info.recipe.name = name;
  info.is_original = id == 1;
  info.bytes = bytes;
  info.bytes_predicted = false;
  info.bits_per_weight = id == 1 ? 16 : 8.2;
  info.state = CandidateState::kDone;
  Evaluation texts;
  texts.task = "classification";
  texts.n = 120;
  texts.activations = "q8";
  texts.figures["accuracy"] = figure(right, 0.03);
  texts.figures["macro_f1"] = figure(right - 0.004, 0.03);
  if (id != 1) {
    texts.figures["kld_mean"] = figure(kld, kld * 0.1);
    texts.figures["top1_agreement"] = figure(1 - kld, 0.01);
  }
  for (int i = 0; i < 120; ++i) {
    Evaluation::Row row;
    row.index = i;
    row.text = "a text " + std::to_string(i);
    row.correct = i < right * 120;
    row.score = row.correct ? 1 : 0;
    row.kld = kld;
    row.answer = row.correct ? "positive" : "negative";
    row.margin = 0.01 * i;
    texts.rows.push_back(row);
  }
  info.evaluations["reviews"] = texts;
  BenchResult bench;
  bench.prefill_tokens_per_second = 9000 / milliseconds;
  bench.p50 = milliseconds * 1e-3;
  bench.p95 = 1.2 * bench.p50;
  bench.p99 = 1.5 * bench.p50;
  bench.peak_memory_bytes = bytes * 2;
  bench.memory = {bytes, 0, 4'000'000};
  bench.example_tokens = 128;
  bench.device = "Test CPU · 2 threads";
  info.bench = bench;
  return info;
}

inline StageInfo stage(const char* name, std::uint64_t bytes, double right, double latency, const char* warning = "") {
  return {.name = name, .bytes = bytes, .figures = {{"accuracy", figure(right, 0.02)}, {"p50", figure(latency, 0)}, {"peak_memory", figure(2.0 * static_cast<double>(bytes), 0)}}, .warning = warning};
}

inline std::shared_ptr<const std::vector<distill::CurvePoint>> lossCurve(std::int64_t steps, std::int64_t every) {
  auto curve = std::make_shared<std::vector<distill::CurvePoint>>();
  for (std::int64_t i = 1; i <= steps; ++i) {
    distill::CurvePoint point;
    point.step = i;
    point.seconds = 0.1 * static_cast<double>(i);
    point.rate = 1e-4;
    point.loss.loss = 0.2 + 0.8 * std::exp(-static_cast<double>(i) / 60) + 0.04 * std::sin(static_cast<double>(i) * 1.7);
    point.loss.divergence = point.loss.loss * 0.4;
    curve->push_back(point);
    if (i % every != 0) continue;
    point.validation = true;
    point.loss.loss = 0.24 + 0.7 * std::exp(-static_cast<double>(i) / 70);
    point.loss.labelled = 200;
    point.loss.right = static_cast<std::int64_t>(200 * (0.9 - 0.35 * std::exp(-static_cast<double>(i) / 50)));
    curve->push_back(point);
  }
  return curve;
}

inline StudySnapshot classifierSnapshot() {
  StudySnapshot s;
  s.path = "/tmp/classifier.retort";
  s.name = "classifier";
  s.source = SourceInfo{.path = "/m/minilm", .name = "MiniLM SST-2", .architecture = "bert", .licence = "apache-2.0", .parameters = 22'700'000,
                        .bytes = 90'900'000, .bits_per_weight = 32, .quantized = {}, .digest = {}, .kind = SourceKind::kClassifier, .layers = 6, .classes = 2, .gguf = false};
  s.data = {{.name = "reviews", .path = "r.jsonl", .kind = DataKind::kLabelled, .role = DataRole::kEvaluation, .examples = 120, .tokens = 3000, .length_histogram = {2, 9, 20, 11, 3}, .overlap_warning = {}},
            {.name = "train", .path = "t.jsonl", .kind = DataKind::kLabelled, .role = DataRole::kTraining, .examples = 6700, .tokens = 90000, .length_histogram = {4, 30, 40, 21, 5}, .overlap_warning = {}}};
  s.candidates = {classifierCandidate(1, "original", 45'400'000, 0, 0.89, 9), classifierCandidate(2, "INT8", 23'000'000, 0.004, 0.888, 6),
                  classifierCandidate(3, "half the layers", 34'800'000, 0.06, 0.874, 5), classifierCandidate(4, "half the layers, 8 bits, repair", 17'500'000, 0.07, 0.871, 3.4)};
  s.candidates[2].recipe.student = R"({"student": {"layers": 3}, "stages": [{"kind": "distill"}]})";
  s.candidates[3].recipe.student = R"({"student": {"layers": 3}, "stages": [{"kind": "distill"}, {"kind": "quantize", "level": "INT8"}, {"kind": "repair", "steps": 200}]})";
  s.candidates[2].stages = {stage("source", 45'400'000, 0.89, 0.009), stage("distill", 34'800'000, 0.874, 0.005)};
  s.candidates[3].stages = {stage("source", 45'400'000, 0.89, 0.009), stage("distill", 34'800'000, 0.874, 0.005),
                            stage("quantize INT8", 17'500'000, 0.858, 0.0034, "quantize INT8 adds to what distill cost: 1.6 points of the answers more."), stage("repair", 17'500'000, 0.871, 0.0034)};
  s.recommendation = {.candidate = 4, .what = "Take half the layers, 8 bits, repair", .why = "it is the smallest within your goals", .runner_up = "INT8", .would_change = {}, .missing = {}};
  std::int64_t id = 1;
  for (const char* step : {"distill", "classes: reviews after distill", "quantize INT8", "repair", "classes: reviews", "speed and memory"})
    s.run.push_back({.id = id++, .candidate = 4, .candidate_name = s.candidates[3].name, .step = step, .state = JobState::kWaiting, .done = 0, .total = 400, .unit = "steps", .working_on = {}, .rate = 0, .seconds_left = -1, .reused = 0, .message = {}, .curve = {}});
  s.run[0].state = JobState::kRunning;
  s.run[0].done = 240;
  s.run[0].rate = 4.1;
  s.run[0].seconds_left = 39;
  s.run[0].curve = lossCurve(240, 40);
  s.context = 512;
  s.threads = 2;
  s.device = "Test CPU · 2 threads";
  s.running = true;
  return s;
}

class SyntheticStudy : public Study {
 public:
  explicit SyntheticStudy(StudySnapshot snapshot = syntheticSnapshot()) : m_now(std::move(snapshot)) {}

  Result<void> set_source(const std::filesystem::path& model, const JobContext&) override {
    return change([&](StudySnapshot& s) {
      if (!s.source) s.source.emplace();
      s.source->path = model;
    });
  }
  Result<void> add_data(const std::filesystem::path& path, DataRole role, const Columns&, const JobContext&) override {
    return change([&](StudySnapshot& s) {
      DataInfo info;
      info.name = path.stem().string();
      info.path = path;
      info.role = role;
      s.data.push_back(info);
    });
  }
  Result<void> remove_data(std::string_view name) override {
    return change([&](StudySnapshot& s) { std::erase_if(s.data, [&](const DataInfo& d) { return d.name == name; }); });
  }
  Result<void> set_data_role(std::string_view name, DataRole role) override {
    return change([&](StudySnapshot& s) {
      for (DataInfo& d : s.data)
        if (d.name == name) d.role = role;
    });
  }
  Result<std::int64_t> add_candidate(const Recipe& recipe) override {
    std::int64_t id = 0;
    RETORT_CHECK(change([&](StudySnapshot& s) {
      for (const CandidateInfo& c : s.candidates) id = std::max(id, c.id);
      CandidateInfo info;
      info.id = ++id;
      info.name = recipe.name;
      info.recipe = recipe;
      s.candidates.push_back(info);
    }));
    return id;
  }
  Result<void> update_candidate(std::int64_t id, const Recipe& recipe) override {
    return with(id, [&](CandidateInfo& c) { c.recipe = recipe; c.name = recipe.name; });
  }
  Result<void> remove_candidate(std::int64_t id) override {
    return change([&](StudySnapshot& s) { std::erase_if(s.candidates, [&](const CandidateInfo& c) { return c.id == id; }); });
  }
  Result<void> set_chosen(std::int64_t id, bool chosen) override {
    return with(id, [&](CandidateInfo& c) { c.chosen = chosen; });
  }
  Result<void> move_candidate(std::int64_t id, int index) override {
    return change([&](StudySnapshot& s) {
      const auto at = std::find_if(s.candidates.begin(), s.candidates.end(), [&](const CandidateInfo& c) { return c.id == id; });
      if (at == s.candidates.end()) return;
      CandidateInfo moved = std::move(*at);
      s.candidates.erase(at);
      s.candidates.insert(s.candidates.begin() + index, std::move(moved));
    });
  }
  Result<void> set_goals(const Goals& goals) override { return change([&](StudySnapshot& s) { s.goals = goals; }); }
  Result<void> set_context(std::int64_t context) override { return change([&](StudySnapshot& s) { s.context = context; }); }
  Result<void> set_device(const std::string& device) override { return change([&](StudySnapshot& s) { s.second_device = device == "cpu" ? "" : device; }); }
  Result<void> set_threads(int threads) override { return change([&](StudySnapshot& s) { s.threads = threads; }); }
  Result<void> undo() override {
    const std::lock_guard lock(m_mutex);
    if (m_past.empty()) return Error{.code = ErrorCode::kNotFound, .place = "a change to undo"};
    m_now = m_past.back();
    m_past.pop_back();
    return {};
  }
  bool can_undo() const override {
    const std::lock_guard lock(m_mutex);
    return !m_past.empty();
  }
  StudySnapshot snapshot() const override {
    const std::lock_guard lock(m_mutex);
    return m_now;
  }
  std::shared_ptr<TensorStore> store() const override { return nullptr; }
  Result<std::shared_ptr<const Model>> candidate_model(std::int64_t) override { return Error{.code = ErrorCode::kNotFound}; }
  Result<std::filesystem::path> write_manifest(std::int64_t) override { return Error{.code = ErrorCode::kNotFound}; }

  // What a run does to it: not undoable.
  template <class Body>
  void progress(Body&& body) {
    const std::lock_guard lock(m_mutex);
    body(m_now);
  }

 private:
  template <class Body>
  Result<void> change(Body&& body) {
    const std::lock_guard lock(m_mutex);
    m_past.push_back(m_now);
    body(m_now);
    return {};
  }
  template <class Body>
  Result<void> with(std::int64_t id, Body&& body) {
    bool found = false;
    RETORT_CHECK(change([&](StudySnapshot& s) {
      for (CandidateInfo& c : s.candidates)
        if (c.id == id) {
          body(c);
          found = true;
        }
    }));
    if (!found) return Error{.code = ErrorCode::kNotFound, .place = std::to_string(id)};
    return {};
  }

  mutable std::mutex m_mutex;
  StudySnapshot m_now;
  std::vector<StudySnapshot> m_past;
};

// A run of `steps` reports, ten a second and more, that stops and pauses as it should.
inline Result<void> syntheticRun(const std::shared_ptr<SyntheticStudy>& study, const JobContext& job, const std::function<void()>& changed,
                                 int steps) {
  study->progress([](StudySnapshot& s) {
    s.running = true;
    for (RunRow& row : s.run) row.state = JobState::kWaiting;
  });
  for (int i = 0; i < steps; ++i) {
    if (job.stopped()) break;
    study->progress([&](StudySnapshot& s) {
      const auto at = static_cast<std::size_t>(i) * s.run.size() / static_cast<std::size_t>(steps);
      for (std::size_t k = 0; k < at; ++k) s.run[k].state = JobState::kDone;
      RunRow& row = s.run[at];
      row.state = JobState::kRunning;
      row.done = i % 272;
      row.rate = 90;
      row.seconds_left = (steps - i) / 10.0;
      row.working_on = "blk." + std::to_string(i % 30) + ".ffn_down.weight";
      CandidateInfo& c = s.candidates.back();
      c.state = CandidateState::kQuantizing;
      c.tensor_errors["blk." + std::to_string(i % 30) + ".ffn_down.weight"] = 0.01 + 0.001 * (i % 9);
    });
    changed();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const bool stopped = job.stopped();
  study->progress([&](StudySnapshot& s) {
    s.running = false;
    for (RunRow& row : s.run) row.state = stopped && row.state != JobState::kDone ? JobState::kStopped : JobState::kDone;
    s.candidates.back().state = CandidateState::kDone;
  });
  if (stopped) return Error{.code = ErrorCode::kCanceled};
  return {};
}

// The window's functions over one synthetic study.
inline ui::CoreApi syntheticApi(std::shared_ptr<SyntheticStudy> study, int steps = 50) {
  ui::CoreApi api;
  api.openStudy = [study](const std::filesystem::path& path) -> Result<std::shared_ptr<Study>> {
    if (path.string().find("missing") != std::string::npos) return Error{.code = ErrorCode::kNotFound, .file = path.string()};
    return std::shared_ptr<Study>(study);
  };
  api.createStudy = api.openStudy;
  api.estimateRun = [](const Study&) { return RunEstimate{.seconds_low = 60, .seconds_high = 90, .memory_bytes = 1 << 29, .disk_bytes = 1 << 28, .free_disk_bytes = 1ull << 33, .free_memory_bytes = 1ull << 32, .problem = {}}; };
  api.runStudy = [study, steps](std::shared_ptr<Study>, const JobContext& job, const std::function<void()>& changed) {
    return syntheticRun(study, job, changed, steps);
  };
  api.recipeToJson = &recipe_to_json;
  api.recipeFromJson = &recipe_from_json;
  api.presetRecipes = &preset_recipes;
  api.levels = &levels;
  api.studentPresets = [](const SourceInfo&, const std::vector<DataInfo>& data) {
    Preset half, packed;
    half.group = "Distill";
    half.plain = "Every other layer stays.";
    half.recipe.name = "half the layers";
    half.recipe.student = R"({"student": {"layers": 3}})";
    if (data.empty()) half.problem = "There is nothing to learn from.";
    packed = half;
    packed.group = "Combine";
    packed.recipe.name = "half the layers, then 8 bits";
    packed.recipe.student = R"({"student": {"layers": 3}, "stages": [{"kind": "distill"}, {"kind": "quantize", "level": "INT8"}]})";
    return std::vector{half, packed};
  };
  return api;
}

}  // namespace retort::test
