// Whole distillations of a tiny model on disk: students, resuming, splits, and what must be refused.
#include <QTemporaryDir>

#include <fstream>
#include <numeric>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/distill/distill.h"
#include "core/formats/writers.h"
#include "letter_model.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

class DistillTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    write_teacher();
    must(write_text_file(path("text.jsonl"), made_up_text(60, 1)));
  }

  void which_layers() {
    using V = std::vector<std::int64_t>;
    QCOMPARE(choose_layers(6, 3, LayerChoice::kEven), (V{0, 3, 5}));
    QCOMPARE(choose_layers(6, 3, LayerChoice::kFirst), (V{0, 1, 2}));
    QCOMPARE(choose_layers(6, 3, LayerChoice::kFirstLast), (V{0, 1, 5}));
    QCOMPARE(choose_layers(6, 3, LayerChoice::kEverySecond), (V{0, 2, 4}));
    for (const LayerChoice choice : {LayerChoice::kEven, LayerChoice::kFirst, LayerChoice::kFirstLast, LayerChoice::kEverySecond})
      for (std::int64_t layers = 1; layers < 34; ++layers)
        for (std::int64_t count = 1; count <= layers; ++count) {
          const auto kept = choose_layers(layers, count, choice);
          QCOMPARE(static_cast<std::int64_t>(kept.size()), count);
          for (std::size_t i = 0; i < kept.size(); ++i) QVERIFY(kept[i] >= 0 && kept[i] < layers && (i == 0 || kept[i] > kept[i - 1]));
        }
    QCOMPARE(kept_layers({.layers = 7}, 6).error().code, ErrorCode::kBadRecipe);
    QCOMPARE(kept_layers({.kept = {1, 1}}, 6).error().code, ErrorCode::kBadRecipe);
    QCOMPARE(must(kept_layers({.kept = {1, 4}}, 6)), (V{1, 4}));
  }

  // A student's layers are the teacher's, and its file reads back as it was written.
  void students_are_written_and_read() {
    const Model teacher = must(open_model(path("teacher")));
    const std::vector<std::int64_t> kept = {0, 2};
    const Model student = must(make_student(teacher, kept));
    QCOMPARE(student.config.layers, 2);
    const auto weight = [](const Model& m, const char* name) { return m.weights[static_cast<std::size_t>(m.find_weight(name))].data.data(); };
    QCOMPARE(weight(student, "blk.1.ffn_up.weight"), weight(teacher, "blk.2.ffn_up.weight"));
    kernels::ThreadPool pool(1);
    const Parameters parameters = must(Parameters::from_model(student, false, pool));
    must(write_student(student, parameters, "f32", path("written"), {}));
    const Model back = must(open_model(path("written")));
    QCOMPARE(back.config.layers, 2);
    QVERIFY(back.tokenizer != nullptr);
    const Parameters same = must(Parameters::from_model(back, false, pool));
    for (std::size_t id = 0; id < parameters.size(); ++id)
      QVERIFY(std::equal(parameters[id].data, parameters[id].data + parameters[id].elements, same[id].data));
  }

  void training_lowers_the_loss_and_resumes_to_the_same_student() {
    DistillRecipe recipe = tiny_recipe();
    recipe.training.steps = 24;
    const DistillReport whole = must(distill::distill(recipe, path("whole"), 2, {}));
    QVERIFY(whole.outcome.before && whole.outcome.after);
    QVERIFY2(whole.outcome.after->divergence < 0.8 * whole.outcome.before->divergence,
             qPrintable(QString("%1 to %2").arg(whole.outcome.before->divergence).arg(whole.outcome.after->divergence)));
    QVERIFY(!std::filesystem::exists(path("whole.training")));

    // Products of bf16 learn as much, of masters that stay f32: they end between the values that bf16 has.
    DistillRecipe rounded = recipe;
    rounded.training.compute = kernels::MatmulPrecision::kBf16;
    const DistillReport bf16 = must(distill::distill(rounded, path("bf16"), 2, {}));
    QVERIFY(bf16.outcome.after->divergence < 0.8 * bf16.outcome.before->divergence);
    QVERIFY(bf16.outcome.after->divergence != whole.outcome.after->divergence);
    const Model learned = must(open_model(path("bf16")));
    kernels::ThreadPool pool(1);
    const Parameters masters = must(Parameters::from_model(learned, false, pool));
    const auto between = [](float x) { return kernels::RoundedToBf16::of(x) != x; };
    for (const Parameter& p : masters) QVERIFY2(std::any_of(p.data, p.data + p.elements, between), p.name.c_str());

    // Stopped in the middle, twice, on another number of threads: the same bytes.
    for (const std::int64_t at : {5, 13}) {
      JobContext job;
      const auto stopped = distill::distill(recipe, path("parts"), 1, job, {.on_point = [&](const CurvePoint& point) {
        if (!point.validation && point.step == at) job.stop();
      }});
      QCOMPARE(stopped.error().code, ErrorCode::kCanceled);
    }
    const DistillReport rest = must(distill::distill(recipe, path("parts"), 2, {}));
    QVERIFY(rest.outcome.resumed);
    QCOMPARE(rest.outcome.tokens, whole.outcome.tokens);
    QVERIFY(bytes_of(path("parts/model.safetensors")) == bytes_of(path("whole/model.safetensors")));
    // The curve has every step once, validations between them.
    std::ifstream curve(path("parts.curve.jsonl"));
    std::int64_t steps = 0;
    for (std::string line; std::getline(curve, line);) {
      const auto point = nlohmann::json::parse(line);
      if (point.contains("loss")) QCOMPARE(point["step"].get<std::int64_t>(), ++steps);
      else QVERIFY(point.contains("validation_loss"));
    }
    QCOMPARE(steps, 24);
  }

  void another_runs_state_is_refused() {
    DistillRecipe recipe = tiny_recipe();
    JobContext job;
    QVERIFY(!distill::distill(recipe, path("mixed"), 1, job, {.on_point = [&](const CurvePoint& p) { if (p.step == 3) job.stop(); }}).ok());
    recipe.training.seed = 9;
    const auto refused = distill::distill(recipe, path("mixed"), 1, {});
    QVERIFY(!refused.ok());
    QCOMPARE(refused.error().code, ErrorCode::kConflict);
  }

  // Every kind of loss that a decoder can have, through the whole path.
  void every_part_of_the_mix_runs() {
    DistillRecipe recipe = tiny_recipe();
    recipe.training.steps = 3;
    recipe.loss = {.logits = {.cross_entropy = 0.2, .forward_kl = 0.3, .reverse_kl = 0.3, .jensen_shannon = 0.2, .temperature = 3},
                   .hidden_mse = 1, .hidden_cosine = 0.5, .attention = 0.5, .values = 0.5, .rkd_distance = 1, .rkd_angle = 1};
    const DistillReport report = must(distill::distill(recipe, path("mixture"), 2, {}));
    QVERIFY(report.outcome.after && report.outcome.after->features > 0);
  }

  // A narrower student's states are compared through a projection that learns beside it: gradients of both against
  // differences, less distance after training, and nothing of it in the file.
  void states_of_another_width() {
    DistillRecipe recipe = tiny_recipe();
    recipe.student.hidden = 16;
    recipe.loss = {.logits = {.cross_entropy = 0, .forward_kl = 1, .temperature = 1}, .hidden_mse = 1, .hidden_cosine = 1};
    recipe.training.steps = 30;
    const DistillReport report = must(distill::distill(recipe, path("narrow"), 2, {}));
    QVERIFY(report.outcome.before && report.outcome.after && report.outcome.after->features < report.outcome.before->features);
    const Model student = must(open_model(path("narrow"))), teacher = must(open_model(path("teacher")));
    QCOMPARE(student.config.hidden, std::int64_t{16});
    kernels::ThreadPool pool(1);
    Parameters mine = must(Parameters::from_model(student, false, pool)), theirs = must(Parameters::from_model(teacher, true, pool));
    const distill::Teacher teachers[] = {{.model = &teacher, .parameters = &theirs}};
    std::vector<std::int64_t> kept(static_cast<std::size_t>(student.config.layers));
    std::iota(kept.begin(), kept.end(), std::int64_t{0});
    LossMix mix = recipe.loss;
    mix.logits = {.cross_entropy = 0, .forward_kl = 0.001, .temperature = 1};
    const std::size_t graphs = mine.size();
    auto objective = must(Objective::make(student, mine, teachers, kept, mix, {}, pool));
    QCOMPARE(mine.size(), graphs + kept.size());
    must(mine.make_gradients());
    const TrainingExample example{.ids = {3, 9, 4, 20, 7, 12}};
    const std::vector<const TrainingExample*> batch = {&example};
    must(objective->run(batch, true, 1, {}));
    for (const std::size_t id : {graphs, mine.size() - 1, static_cast<std::size_t>(student.find_weight("blk.0.ffn_down.weight"))}) {
      Parameter& parameter = mine[id];
      for (std::size_t i = 0; i < parameter.elements; i += parameter.elements / 5 + 1) {
        const float at = parameter.value()[i], step = 1e-2f;
        parameter.value()[i] = at + step;
        const double up = must(objective->run(batch, false, 1, {})).loss;
        parameter.value()[i] = at - step;
        const double down = must(objective->run(batch, false, 1, {})).loss;
        parameter.value()[i] = at;
        const double slope = (up - down) / (2 * static_cast<double>(step));
        QVERIFY(near(static_cast<double>(parameter.gradients()[i]), slope, 2e-2 * std::abs(slope) + 2e-4, parameter.name.c_str()));
      }
    }
  }

  // A rate far too high: the loss becomes no number or rises away; either way it is named, and what was saved stays.
  void a_wild_run_is_named() {
    DistillRecipe recipe = tiny_recipe();
    recipe.training.rate = 10;
    recipe.training.warmup = 0;
    recipe.training.steps = 400;
    recipe.training.optimizer.clip = 0;
    recipe.training.checkpoint_every = 5;
    recipe.training.validate_every = 1000;
    const auto wild = distill::distill(recipe, path("wild"), 1, {});
    QVERIFY(!wild.ok());
    QVERIFY(wild.error().code == ErrorCode::kNonFinite || wild.error().code == ErrorCode::kCheckFailed);
    QVERIFY(std::filesystem::exists(path("wild.training/1-distill/state.safetensors")));
    QVERIFY(!std::filesystem::exists(path("wild/model.safetensors")));
  }

  void splits_do_not_leak() {
    DataPlan plan{.train = path("labelled.jsonl"), .validation_share = 0.3};
    std::string lines;
    for (int i = 0; i < 200; ++i)
      for (const char* form : {"Text {} a", "text  {}   A "}) lines += nlohmann::json{{"text", fmt::format(fmt::runtime(form), i)}, {"label", i % 2}}.dump() + "\n";
    must(write_text_file(plan.train, lines));
    const Model teacher = must(open_model(path("teacher")));
    const TrainingData data = must(read_labelled(plan, 1, {.student = text_side(teacher)}, 2, {}));
    QCOMPARE(data.duplicates, 200);
    QCOMPARE(data.train.size() + data.validation.size(), std::size_t{200});
    QVERIFY(data.validation.size() > 35 && data.validation.size() < 85);
    const TrainingData again = must(read_labelled(plan, 1, {.student = text_side(teacher)}, 2, {}));
    QVERIFY(again.digest == data.digest);
    QVERIFY(must(read_labelled(plan, 2, {.student = text_side(teacher)}, 2, {})).digest != data.digest);

    plan.most_examples = 10;
    QCOMPARE(must(read_labelled(plan, 1, {.student = text_side(teacher)}, 2, {})).train.size(), std::size_t{10});
    plan.most_examples = 0;
    QCOMPARE(read_labelled(plan, 1, {.student = text_side(teacher)}, 1, {}).error().code, ErrorCode::kBadData);   // a label outside the classes
    must(write_text_file(plan.train, R"({"text": "one", "label": 0})" "\n"));
    QCOMPARE(read_labelled(plan, 1, {.student = text_side(teacher)}, 2, {}).error().code, ErrorCode::kBadData);   // an empty split
  }

  void recipes() {
    DistillRecipe recipe = tiny_recipe();
    recipe.student.kept = {0, 2};
    recipe.training.decay = Decay::kCosine;
    const DistillRecipe back = must(distill_recipe_from_json(distill_recipe_to_json(recipe)));
    QCOMPARE(distill_recipe_to_json(back), distill_recipe_to_json(recipe));
    const std::pair<const char*, const char*> wrong[] = {
        {R"({"losss": {}})", "losss"}, {R"({"loss": {"temprature": 2}})", "loss.temprature"}, {R"({"loss": {"temperature": 0.5}})", "loss.temperature"},
        {R"({"training": {"steps": 1.5}})", "training.steps"}, {R"({"student": {"choice": "best"}})", "student.choice"},
        {R"({"student": {"kept": [-1]}})", "student.kept"}, {R"({"training": 3})", "training"}, {"[]", "recipe"}};
    for (const auto& [json, where] : wrong) {
      const auto read = distill_recipe_from_json(json);
      QVERIFY(!read.ok());
      QCOMPARE(read.error().code, ErrorCode::kBadRecipe);
      QCOMPARE(read.error().place, std::string(where));
    }
    // What would do nothing is refused, not ignored.
    const auto refused = [&](auto&& change) {
      DistillRecipe wrong_one = tiny_recipe();
      change(wrong_one);
      const auto checked = check_recipe(wrong_one);
      return checked.ok() ? std::string() : checked.error().place;
    };
    QCOMPARE(refused([](DistillRecipe&) {}), std::string());
    QCOMPARE(refused([](DistillRecipe& r) { r.student.kept = {0}; }), std::string("student.layers"));
    QCOMPARE(refused([](DistillRecipe& r) { r.loss.logits = {.cross_entropy = 1}; r.data.unlabelled = "more"; }), std::string("data.unlabelled"));
    QCOMPARE(refused([](DistillRecipe& r) { r.training.patience = 2; r.data.validation_share = 0; }), std::string("training.patience"));
    QCOMPARE(refused([](DistillRecipe& r) { r.student.most_pieces = 9; }), std::string("student.most_pieces"));
    DistillRecipe counted = tiny_recipe();
    counted.data.most_examples = 5;
    QCOMPARE(distill::distill(counted, path("counted"), 1, {}).error().place, std::string("data.most_examples"));
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }

  DistillRecipe tiny_recipe() const {
    DistillRecipe recipe;
    recipe.teacher = path("teacher");
    recipe.student.layers = 2;
    recipe.data = {.train = path("text.jsonl"), .validation_share = 0.1, .context = 32};
    recipe.loss.logits = {.forward_kl = 1, .temperature = 2};
    recipe.training.steps = 10;
    recipe.training.batch = 4;
    recipe.training.rate = 3e-3;
    recipe.training.validate_every = 8;
    recipe.type = "f32";
    return recipe;
  }

  // Three random layers, and a tokenizer of single letters.
  void write_teacher() const {
    const tiny::Spec spec = {.tied = true, .hidden = 32, .layers = 3, .head_dim = 8, .feed_forward = 48};
    write_letter_model(path("teacher"), spec);
  }

  QTemporaryDir folder_;
};

QTEST_APPLESS_MAIN(DistillTest)
#include "distill_test.moc"
