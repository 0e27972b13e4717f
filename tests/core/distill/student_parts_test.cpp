// What a student keeps of its teacher: layers, heads, neurons, dimensions and positions, by measured importance.
#include <QTemporaryDir>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/distill/distill.h"
#include "core/distill/student_importance.h"
#include "core/distill/width_groups.h"
#include "core/model/backend.h"
#include "letter_model.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

namespace {

// value(row, column) of one tensor set to 0.
void zero(tiny::Owner& owner, const std::string& name, std::int64_t columns, const std::function<bool(std::int64_t, std::int64_t)>& which) {
  auto* const values = reinterpret_cast<float*>(owner.bytes.at(name).data());
  const auto count = static_cast<std::int64_t>(owner.bytes.at(name).size() / sizeof(float));
  for (std::int64_t i = 0; i < count; ++i)
    if (which(i / columns, i % columns)) values[i] = 0;
}

std::vector<TrainingExample> examples() {
  std::vector<TrainingExample> out;
  std::mt19937 random(4);
  for (int i = 0; i < 12; ++i) {
    TrainingExample example;
    for (int t = 0; t < 24; ++t) example.ids.push_back(static_cast<TokenId>(random() % 38));
    out.push_back(std::move(example));
  }
  return out;
}

std::vector<float> logits_of(const Model& model) {
  const auto backend = must(make_backend("reference", 1));
  const auto session = must(backend->compile(std::make_shared<const Model>(model), {.activations = kernels::Activations::kF32, .context = 32, .batch = 32}));
  must(session->run(examples()[0].ids, {}));
  const auto rows = must(session->logits(0, 24));
  return {rows.begin(), rows.end()};
}

}  // namespace

class StudentPartsTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    spec_.layers = 3;
    spec_.hidden = 32;
    spec_.head_dim = 8;
    spec_.feed_forward = 48;
    spec_.tied = true;
    write_letter_model(path("teacher"), spec_);
  }

  void widths_of_a_llama() {
    const Model teacher = must(open_model(path("teacher")));
    const Widths widths = find_widths(teacher);
    std::map<WidthKind, std::vector<std::int64_t>> units;
    for (const WidthGroup& group : widths.groups) units[group.kind].push_back(group.units);
    QCOMPARE(units[WidthKind::kHidden], std::vector<std::int64_t>{32});
    QCOMPARE(units[WidthKind::kHeads], (std::vector<std::int64_t>{2, 2, 2}));   // key/value heads
    QCOMPARE(units[WidthKind::kFeedForward], (std::vector<std::int64_t>{48, 48, 48}));
    const auto q = static_cast<std::size_t>(teacher.find_weight("blk.1.attn_q.weight")), k = static_cast<std::size_t>(teacher.find_weight("blk.1.attn_k.weight"));
    QCOMPARE(widths.weights[q][0].width, 16);   // two query heads of 8 for each
    QCOMPARE(widths.weights[k][0].width, 8);
    QCOMPARE(widths.weights[q][0].group, widths.weights[k][0].group);
  }

  // Heads and neurons that carry nothing go first, and the model computes the same without them.
  void what_carries_nothing_goes() {
    write_letter_model(path("idle"), spec_, [&](tiny::Owner& owner) {
      for (std::int64_t l = 0; l < spec_.layers; ++l) {
        zero(owner, fmt::format("model.layers.{}.mlp.up_proj.weight", l), 32, [&](std::int64_t row, std::int64_t) { return (row + l) % 3 == 0; });
        zero(owner, fmt::format("model.layers.{}.self_attn.v_proj.weight", l), 32, [&](std::int64_t row, std::int64_t) { return row / 8 == l % 2; });
      }
    });
    const Model teacher = must(open_model(path("idle")));
    kernels::ThreadPool pool(1);
    const Model student = must(narrow(teacher, {.heads = 2, .feed_forward = 32}, examples(), pool, {}));
    QCOMPARE(student.config.heads, 2);
    QCOMPARE(student.config.kv_heads, 1);
    QCOMPARE(student.config.head_dim, 8);
    QCOMPARE(student.config.feed_forward, 32);
    QVERIFY(largest_difference(logits_of(student), logits_of(teacher)) < 1e-4);
  }

  void layers_that_change_nothing_go() {
    write_letter_model(path("lazy"), spec_, [&](tiny::Owner& owner) {
      for (const char* name : {"model.layers.1.mlp.down_proj.weight", "model.layers.1.self_attn.o_proj.weight"})
        zero(owner, name, 1, [](std::int64_t, std::int64_t) { return true; });
    });
    const Model teacher = must(open_model(path("lazy")));
    kernels::ThreadPool pool(1);
    const std::vector<double> influence = must(layer_influence(teacher, examples(), pool, {}));
    QVERIFY(std::abs(influence[1]) < 1e-9 && influence[0] > 0.01 && influence[2] > 0.01);
    const StudentDesign design{.layers = 2, .choice = LayerChoice::kImportance};
    const auto kept = must(measured_layers(design, teacher, examples(), pool, {}));
    QCOMPARE(kept, (std::vector<std::int64_t>{0, 2}));
    QVERIFY(largest_difference(logits_of(must(make_student(teacher, kept))), logits_of(teacher)) < 1e-5);
  }

  // Narrower in every way, trained, written and read back.
  void a_narrow_student_learns() {
    DistillRecipe recipe;
    recipe.teacher = path("teacher");
    recipe.student = {.layers = 2, .choice = LayerChoice::kImportance, .heads = 2, .feed_forward = 24, .hidden = 24};
    std::string text;
    for (int d = 0; d < 40; ++d) text += nlohmann::json{{"text", std::string(40, static_cast<char>('a' + d % 26)) + std::to_string(d)}}.dump() + "\n";
    must(write_text_file(path("text.jsonl"), text));
    recipe.data = {.train = path("text.jsonl"), .validation_share = 0.2, .context = 32};
    recipe.loss.logits = {.forward_kl = 1, .temperature = 1};
    recipe.training.steps = 20;
    recipe.training.batch = 4;
    recipe.training.rate = 3e-3;
    recipe.type = "f32";
    const DistillReport report = must(distill::distill(recipe, path("narrow"), 2, {}));
    QVERIFY(report.outcome.after->loss < report.outcome.before->loss);
    const Model back = must(open_model(path("narrow")));
    QCOMPARE(back.config.hidden, 24);
    QCOMPARE(back.config.heads, 2);
    QCOMPARE(back.config.feed_forward, 24);
    QCOMPARE(back.config.layers, 2);
  }

  void sizes_are_checked() {
    const Model teacher = must(open_model(path("teacher")));
    kernels::ThreadPool pool(1);
    const auto refused = [&](const StudentDesign& design) { return narrow(teacher, design, examples(), pool, {}).error().place; };
    QCOMPARE(refused({.heads = 3}), std::string("student.heads"));        // two share a key/value head
    QCOMPARE(refused({.heads = 8}), std::string("student.heads"));
    QCOMPARE(refused({.feed_forward = 49}), std::string("student.feed_forward"));
    QCOMPARE(refused({.hidden = 64}), std::string("student.hidden"));
    QCOMPARE(trim_positions(teacher, 16).error().code, ErrorCode::kUnsupported);   // rotary
  }

  // Encoders: a head's size is hidden / heads, and positions are a table.
  void a_real_encoder() {
    const auto folder = shared("models/minilm-sst2");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const Model teacher = must(open_model(folder));
    kernels::ThreadPool pool(2);
    std::vector<TrainingExample> texts;
    for (const char* text : {"a fine film", "dull and far too long", "nobody will remember it tomorrow"}) texts.push_back({.ids = teacher.tokenizer->encode(text, true)});
    QCOMPARE(narrow(teacher, {.heads = 8}, texts, pool, {}).error().code, ErrorCode::kUnsupported);
    const Model student = must(narrow(teacher, {.heads = 8, .feed_forward = 1024, .hidden = 256}, texts, pool, {}));
    QCOMPARE(student.config.hidden, 256);
    QCOMPARE(student.config.head_dim, 32);
    const Model shorter = must(trim_positions(teacher, 64));
    QCOMPARE(shorter.config.positions, 64);
    QCOMPARE(trim_positions(teacher, 513).error().code, ErrorCode::kBadRecipe);
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }
  QTemporaryDir folder_;
  tiny::Spec spec_;
};

QTEST_APPLESS_MAIN(StudentPartsTest)
#include "student_parts_test.moc"
