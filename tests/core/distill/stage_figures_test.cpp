// Latency, memory and compounded damage of a stage.
#include <QTemporaryDir>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/distill/distill.h"
#include "letter_model.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

class StageFiguresTest : public QObject {
  Q_OBJECT

 private slots:
  void damage_compounds_only_where_it_does() {
    std::vector<double> before, same, worse, better, little;
    const std::vector<float> noise = random_floats(100, 3, 0.01f);
    for (std::size_t i = 0; i < 100; ++i) {
      before.push_back(static_cast<double>(i) / 100);
      const double wobble = static_cast<double>(noise[i]);
      same.push_back(before[i] + 0.1 + wobble);                          // alike everywhere
      worse.push_back(before[i] + (i >= 50 ? 0.3 : 0.05) + wobble);      // most where it was bad
      better.push_back(before[i] - (i >= 50 ? 0.3 : 0.05) + wobble);     // a repair
      little.push_back(before[i] + (i >= 50 ? 0.3 : -0.4) + wobble);     // worse there, better in the mean
    }
    const std::string said = compounded_damage(before, worse, "quantize INT4", "distill");
    QVERIFY2(said.starts_with("quantize INT4 compounds the damage of distill: it adds 0.2"), said.c_str());
    for (const auto& after : {same, better, little, before}) QCOMPARE(compounded_damage(before, after, "b", "a"), std::string());
    QCOMPARE(compounded_damage(std::span(before).first(10), std::span(worse).first(10), "b", "a"), std::string());
    QCOMPARE(compounded_damage(before, std::span(worse).first(50), "b", "a"), std::string());
  }

  void stages_are_timed() {
    QTemporaryDir folder;
    const auto path = [&](const char* part) { return std::filesystem::path(folder.path().toStdString()) / part; };
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    const tiny::Spec spec = {.tied = true, .hidden = 128, .head_dim = 32, .feed_forward = 256};
    write_letter_model(path("teacher"), spec);
    std::string text;
    for (int d = 0; d < 40; ++d) text += nlohmann::json{{"text", std::string(40, static_cast<char>('a' + d % 26)) + std::to_string(d)}}.dump() + "\n";
    must(write_text_file(path("text.jsonl"), text));
    DistillRecipe recipe = must(distill_recipe_from_json(R"({"student": {"layers": 1}, "loss": {"forward_kl": 1}, "stages": [{"kind": "distill"}, {"kind": "quantize", "level": "INT4"}]})"));
    recipe.teacher = path("teacher");
    recipe.data = {.train = path("text.jsonl"), .validation_share = 0.2, .context = 32};
    recipe.training.steps = 3;
    recipe.training.batch = 4;
    const DistillReport report = must(distill::distill(recipe, path("made"), 1, {}));
    QVERIFY(report.teacher_speed && report.teacher_bytes > 0);
    for (const StageReport& stage : report.stages)
      QVERIFY(stage.speed && stage.speed->latency_seconds > 0 && stage.speed->prompt_tokens_per_second > 0 && stage.speed->memory_bytes > stage.bytes / 2);
    QVERIFY(report.stages[1].speed->memory_bytes < report.stages[0].speed->memory_bytes);
    const DistillReport untimed = must(distill::distill(recipe, path("untimed"), 1, {}, {.measure_speed = false}));
    QVERIFY(!untimed.teacher_speed && !untimed.stages[0].speed);
  }
};

QTEST_APPLESS_MAIN(StageFiguresTest)
#include "stage_figures_test.moc"
