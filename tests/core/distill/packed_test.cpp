// Weights that are packed while they train: straight through, and scales alone; whole recipes of several stages.
#include <QTemporaryDir>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/distill/distill.h"
#include "core/distill/packed_weights.h"
#include "core/formats/writers.h"
#include "core/model/backend.h"
#include "letter_model.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

namespace {

double product(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

class PackedTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    const tiny::Spec spec = {.tied = true, .hidden = 256, .layers = 2, .head_dim = 64, .feed_forward = 256};
    write_letter_model(path("teacher"), spec);
    must(write_text_file(path("text.jsonl"), made_up_text(50, 3)));
  }

  // d/df of Σ gradient · weight, which is linear in the factors, against differences of what is decoded.
  void factors_have_the_slopes_that_differences_show_data() {
    QTest::addColumn<QString>("level");
    for (const Level& level : levels())
      if (level.id != "F16") QTest::newRow(std::string(level.id).c_str()) << QString::fromStdString(std::string(level.id));
    for (const char* grid : {"INT2", "INT4", "NF4"}) QTest::newRow(grid) << grid;
  }
  void factors_have_the_slopes_that_differences_show() {
    QFETCH(QString, level);
    const Model model = must(open_model(path("teacher")));
    kernels::ThreadPool pool(2);
    Parameters parameters = must(Parameters::from_model(model, false, pool));
    PackedWeights packed = must(PackedWeights::make(model, parameters, {.kind = StageKind::kQuantize, .level = level.toStdString()}, nullptr, pool));
    must(packed.round(parameters, {}));
    must(packed.hold_codes(parameters));
    must(parameters.make_gradients());
    std::size_t compared = 0;
    for (std::size_t id = 0; id < model.weights.size(); ++id) {
      const WeightHandle* const handle = packed.handle(static_cast<WeightId>(id));
      if (!handle || handle->type == TensorType::kF16) continue;   // dense: nothing to scale
      Parameter& weight = parameters[id];
      QVERIFY(weight.derived && !weight.stepped());
      const std::vector<float> slope = random_floats(weight.elements, static_cast<std::uint32_t>(id));
      std::ranges::copy(slope, weight.gradients().begin());
      weight.fresh = false;
      packed.before_step(parameters);
      const auto own = std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& p) { return p.name == weight.name + ".factors"; });
      QVERIFY(own != parameters.end());
      const std::vector<float> found(own->gradients().begin(), own->gradients().end());
      double length = 0;
      for (const float g : found) length = std::max(length, static_cast<double>(std::abs(g)));
      for (std::size_t f = 0; f < own->elements; f += own->elements / 5 + 1) {
        double sums[2];
        for (int side = 0; side < 2; ++side) {
          own->value()[f] = side == 0 ? 0.5f : 1.5f;
          must(packed.after_step(parameters, {}));
          sums[side] = product(slope.data(), weight.data, weight.elements);
        }
        own->value()[f] = 1;
        must(packed.after_step(parameters, {}));
        QVERIFY(near(static_cast<double>(found[f]), sums[1] - sums[0], 2e-3 * length + 1e-6, weight.name.c_str()));
        ++compared;
      }
      weight.fresh = true;
    }
    QVERIFY(compared > 10);
  }

  // What is computed with is the packed master, and the file holds exactly that.
  void the_file_holds_what_was_trained_data() {
    QTest::addColumn<QString>("stages");
    for (const char* stages : {R"({"kind": "qat", "level": "INT8"})", R"({"kind": "quantize", "level": "INT8"})",
                               R"({"kind": "quantize", "level": "INT8"}, {"kind": "repair", "steps": 6})",
                               R"({"kind": "quantize", "level": "INT8", "embedding_bits": 8})",
                               R"({"kind": "quantize", "level": "INT4", "embedding_bits": 4}, {"kind": "repair", "steps": 6})",
                               R"({"kind": "qat", "level": "INT4", "per_tensor": true})", R"({"kind": "quantize", "level": "INT8", "per_tensor": true, "embedding_bits": 8})",
                               R"({"kind": "qat", "level": "INT4", "group": 0})", R"({"kind": "qat", "level": "INT3", "group": 64, "embedding_bits": 5, "learned_scales": true})",
                               R"({"kind": "qat", "level": "INT2", "learned_scales": true}, {"kind": "repair", "steps": 4})",
                               R"({"kind": "qat", "level": "INT6"})", R"({"kind": "quantize", "level": "MXFP4"}, {"kind": "repair", "steps": 4})",
                               R"({"kind": "qat", "level": "NF4"}, {"kind": "repair", "steps": 4})"})
      QTest::newRow(stages) << stages;
  }
  void the_file_holds_what_was_trained() {
    QFETCH(QString, stages);
    DistillRecipe recipe = recipe_of({});
    recipe.stages = must(distill_recipe_from_json(R"({"stages": [)" + stages.toStdString() + "]}")).stages;
    static int made = 0;
    const DistillReport report = must(distill::distill(recipe, path("packed") / std::to_string(++made), 2, {}));
    const Model back = must(open_model(report.student.output));
    QVERIFY(back.weights[static_cast<std::size_t>(back.find_weight("blk.0.ffn_up.weight"))].coded != nullptr);
    // The loss of the file is the loss that the last stage ended with.
    const Model teacher = must(open_model(path("teacher")));
    kernels::ThreadPool pool(1);
    Parameters mine = must(Parameters::from_model(back, false, pool)), theirs = must(Parameters::from_model(teacher, true, pool));
    const std::vector<std::int64_t> kept = {0, 1};
    const distill::Teacher teachers[] = {{.model = &teacher, .parameters = &theirs}};
    auto objective = must(Objective::make(back, mine, teachers, kept, recipe.loss, {}, pool));
    const TrainingData data = must(read_text(recipe.data, recipe.training.seed, {.student = text_side(teacher)}, back.graph.outputs(), {}));
    const BatchLoss loss = must(validate(*objective, data.validation, 8, {}));
    QVERIFY(report.stages.back().after);
    QVERIFY(near(loss.loss, report.stages.back().after->loss, 1e-3 * loss.loss + 1e-5, "loss"));
  }

  // Straight through: inside the grid a weight moves its own rounded value and the scale what rounding took; beyond its ends
  // the weight moves nothing and the scale all. The rest of each is frozen, and the slope is that of what is left.
  void learned_scales_have_the_slopes_of_rounding() {
    const Model model = must(open_model(path("teacher")));
    kernels::ThreadPool pool(2);
    Parameters parameters = must(Parameters::from_model(model, false, pool));
    const TrainStage stage{.kind = StageKind::kQat, .level = "INT3", .group = 64, .learned_scales = true};
    PackedWeights packed = must(PackedWeights::make(model, parameters, stage, nullptr, pool));
    must(packed.round(parameters, {}));
    must(packed.learn_scales(parameters));
    must(parameters.make_gradients());
    const auto id = static_cast<std::size_t>(model.find_weight("blk.0.ffn_up.weight"));
    const std::vector<float> slope = random_floats(parameters[id].elements, 5);
    std::ranges::copy(slope, parameters[id].gradients().begin());
    parameters[id].fresh = false;
    packed.before_step(parameters);
    const auto own = std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& p) { return p.name == parameters[id].name + ".steps"; });
    QVERIFY(own != parameters.end());
    const GridView view = packed.grid_of(static_cast<WeightId>(id));
    std::size_t clipped = 0;
    for (std::size_t g = 0; g < view.scales.size(); g += 7) {
      const double scale = static_cast<double>(view.scales[g]);
      const auto value = [&](double factor) {
        double sum = 0;
        for (std::size_t i = g * 64; i < (g + 1) * 64; ++i) {
          const double w = static_cast<double>(parameters[id].value()[i]), code = static_cast<double>(view.grid->values[view.codes[i]]), x = w / scale;
          const bool inside = x >= static_cast<double>(view.grid->values.front()) && x <= static_cast<double>(view.grid->values.back());
          sum += static_cast<double>(slope[i]) * (inside ? factor * scale * (w / (factor * scale) + (code - x)) : factor * scale * code);
        }
        return sum;
      };
      QVERIFY(near(static_cast<double>(own->gradients()[g]), (value(1.5) - value(0.5)), 1e-4 + 1e-4 * std::abs(value(1.5)), "scale"));
    }
    for (std::size_t i = 0; i < slope.size(); ++i) {
      const float x = parameters[id].value()[i] / view.scales[i / 64];
      const bool inside = x >= -4 && x <= 3;
      clipped += !inside;
      if (std::abs(x - 3) > 1e-3f && std::abs(x + 4) > 1e-3f) QCOMPARE(parameters[id].gradients()[i], inside ? slope[i] : 0.0f);
    }
    QVERIFY(clipped > 0);
  }

  // What a linear reads is rounded as INT8 inference rounds it: training computes what the packed model computes.
  void rounded_activations_are_those_of_inference() {
    const Model model = must(open_model(path("teacher")));
    kernels::ThreadPool pool(1);
    Parameters parameters = must(Parameters::from_model(model, false, pool));
    const TrainStage stage{.kind = StageKind::kQat, .level = "INT8", .activations = true};
    PackedWeights packed = must(PackedWeights::make(model, parameters, stage, nullptr, pool));
    must(packed.round(parameters, {}));
    const std::vector<TokenId> tokens = {3, 7, 4, 20, 9, 9, 31, 2};
    const auto session = must(TrainSession::make(model.graph, model.config, parameters, {.outputs = {model.graph.hidden}, .trainable = {}, .backward = false}, pool));
    Batch batch;
    batch.add(tokens);
    must(session->forward(batch, {}));
    const std::vector<float> rounded(session->value(0).begin(), session->value(0).end());
    const auto backend = must(make_backend("cpu", 1));
    const auto inference = must(backend->compile(std::make_shared<const Model>(model_of(model, parameters, &packed)), {.activations = kernels::Activations::kF32, .context = 16, .batch = 16, .cache_f16 = false}));
    must(inference->run(tokens, {}));
    const double off = relative_distance(rounded, inference->hidden());
    for (Parameter& parameter : parameters) parameter.round_inputs = false;
    must(session->forward(batch, {}));
    const double without = relative_distance(session->value(0), inference->hidden());
    QVERIFY2(off < 0.2 * without, qPrintable(QString("%1 with, %2 without").arg(off).arg(without)));
  }

  // Σ c · hidden over weights whose linear reads rounded rows, against differences.
  void gradients_through_rounded_activations() {
    const Model model = must(open_model(path("teacher")));
    kernels::ThreadPool pool(1);
    Parameters parameters = must(Parameters::from_model(model, false, pool));
    const auto id = static_cast<std::size_t>(model.find_weight("blk.1.ffn_down.weight"));
    parameters[id].round_inputs = true;
    must(parameters.make_gradients());
    const auto session = must(TrainSession::make(model.graph, model.config, parameters, {.outputs = {model.graph.hidden}, .trainable = {}}, pool));
    Batch batch;
    batch.add(std::vector<TokenId>{3, 7, 4, 20, 9, 31});
    must(session->forward(batch, {}));
    const std::vector<float> slope = random_floats(session->value(0).size(), 8);
    std::ranges::copy(slope, session->gradient(0).begin());
    must(session->backward({}));
    const std::vector<float> found(parameters[id].gradients().begin(), parameters[id].gradients().end());
    for (std::size_t i = 0; i < found.size(); i += found.size() / 7 + 3) {
      double sums[2];
      const float before = parameters[id].value()[i];
      for (int side = 0; side < 2; ++side) {
        parameters[id].value()[i] = before + (side == 0 ? -0.02f : 0.02f);
        must(session->forward(batch, {}));
        sums[side] = product(slope.data(), session->value(0).data(), slope.size());
      }
      parameters[id].value()[i] = before;
      QVERIFY(near(static_cast<double>(found[i]), (sums[1] - sums[0]) / 0.04, 2e-2 * std::abs(static_cast<double>(found[i])) + 2e-2, "weight"));
    }
  }

  // One scale for all rows, and none of those near it leaves less error; every weight has its nearest code.
  void a_whole_matrix_under_one_scale() {
    const Model model = must(open_model(path("teacher")));
    for (const int threads : {1, 2})
      for (const char* level : {"INT2", "INT4", "INT8"}) {
        kernels::ThreadPool pool(threads);
        Parameters parameters = must(Parameters::from_model(model, false, pool));
        const TrainStage stage{.kind = StageKind::kQat, .level = level, .per_tensor = true};
        PackedWeights packed = must(PackedWeights::make(model, parameters, stage, nullptr, pool));
        must(packed.round(parameters, {}));
        const auto id = model.find_weight("blk.0.ffn_up.weight");
        const GridView view = packed.grid_of(id);
        QVERIFY(view.grid && view.scales.size() == static_cast<std::size_t>(view.rows) && view.scales[0] > 0);
        for (const float scale : view.scales) QCOMPARE(scale, view.scales[0]);
        const Parameter& parameter = parameters[static_cast<std::size_t>(id)];
        const float* const master = parameter.master.as<float>();
        const auto error_of = [&](float scale) {
          double sum = 0;
          for (std::size_t i = 0; i < parameter.elements; ++i)
            sum += std::pow(static_cast<double>(master[i]) - static_cast<double>(scale * view.grid->values[nearest_code(*view.grid, master[i] / scale)]), 2);
          return sum;
        };
        for (const float part : {0.7f, 1.3f}) QVERIFY2(error_of(view.scales[0]) <= error_of(part * view.scales[0]), level);
        for (std::size_t i = 0; i < parameter.elements; ++i) QCOMPARE(view.codes[i], nearest_code(*view.grid, master[i] * (1 / view.scales[0])));
      }
  }

  void grids_round_to_the_nearest() {
    for (const Grid& grid : grids()) {
      const std::vector<float> x = random_floats(2000, 9, grid.greatest() * 0.6f);
      for (const float one : x) {
        const float found = grid.values[nearest_code(grid, one)];
        for (const float value : grid.values) QVERIFY(std::abs(one - found) <= std::abs(one - value) + 1e-6f * std::abs(one));
      }
      std::vector<std::uint8_t> codes(64);
      const std::vector<float> zeros(64, 0.0f);
      const float scale = fit_group(grid, zeros.data(), 64, codes.data());
      QVERIFY(std::isfinite(scale));
      for (const std::uint8_t code : codes) QVERIFY(scale * grid.values[code] == 0.0f);
      QCOMPARE(held_scale(grid, fit_group(grid, x.data(), 64, codes.data())), fit_group(grid, x.data(), 64, codes.data()));
    }
    QVERIFY(find_grid("INT7") == nullptr && integer_grid(4) == find_grid("INT4"));
  }

  // Stopped in every stage and started again: the same bytes; damage falls from rounding to repair.
  void stages_resume_to_the_same_student() {
    const DistillRecipe recipe = recipe_of({{.kind = StageKind::kDistill, .steps = 12}, {.kind = StageKind::kQat, .level = "INT8", .steps = 6},
                                            {.kind = StageKind::kRepair, .steps = 8}});
    const DistillReport whole = must(distill::distill(recipe, path("whole"), 2, {}));
    QCOMPARE(whole.stages.size(), std::size_t{3});
    QVERIFY(whole.stages[1].bytes < whole.stages[0].bytes);
    QCOMPARE(whole.stages[2].bytes, whole.stages[1].bytes);
    QVERIFY(whole.stages[2].after->loss <= whole.stages[1].after->loss);
    for (const std::int64_t after : {4, 9, 3}) {
      JobContext job;
      std::int64_t steps = 0;
      const auto stopped = distill::distill(recipe, path("parts"), 1, job, {.on_point = [&](const CurvePoint& point) {
        if (!point.validation && ++steps == after) job.stop();
      }});
      QCOMPARE(stopped.error().code, ErrorCode::kCanceled);
    }
    const DistillReport rest = must(distill::distill(recipe, path("parts"), 2, {}));
    QVERIFY(must(read_text_file(rest.student.output / "model.safetensors")) == must(read_text_file(whole.student.output / "model.safetensors")));
    QVERIFY(!std::filesystem::exists(path("parts.training")));
  }

  // Recipes that begin alike share what the beginning gave, and their files are those of a run alone.
  void equal_beginnings_are_made_once() {
    const TrainStage first{.kind = StageKind::kDistill, .steps = 12}, second{.kind = StageKind::kQat, .level = "INT8", .steps = 6};
    std::vector<std::int64_t> trained;
    const auto make = [&](const std::vector<TrainStage>& stages, const char* name) {
      trained.push_back(0);
      return must(distill::distill(recipe_of(stages), path(name), 2, {}, {.on_point = [&](const CurvePoint& point) { trained.back() += point.validation ? 0 : 1; },
                                                                         .shared = path("shared")}));
    };
    make({first}, "one");
    make({first, second}, "two");
    const DistillReport again = make({first, second}, "three");
    make({{.kind = StageKind::kDistill, .steps = 5}}, "other");
    QCOMPARE(trained, (std::vector<std::int64_t>{12, 6, 0, 5}));
    QVERIFY(std::filesystem::exists(again.curve));
    const DistillReport alone = must(distill::distill(recipe_of({first, second}), path("alone"), 2, {}));
    for (const char* name : {"two", "three"})
      QVERIFY(must(read_text_file(path(name) / "model.safetensors")) == must(read_text_file(alone.student.output / "model.safetensors")));
    for (const auto& entry : std::filesystem::directory_iterator(path("shared"))) QVERIFY(entry.is_regular_file());   // no states of what is done
  }

  void rounding_is_undone_by_repair() {
    const DistillRecipe recipe = recipe_of({{.kind = StageKind::kQuantize, .level = "INT8"}, {.kind = StageKind::kRepair, .steps = 20}});
    const DistillReport report = must(distill::distill(recipe, path("repaired"), 2, {}));
    QVERIFY(report.stages[1].after->divergence <= report.stages[0].after->divergence);
  }

  void stages_are_checked() {
    const std::pair<const char*, const char*> wrong[] = {
        {R"([{"kind": "quantize"}])", "stages[0].level"}, {R"([{"kind": "quantize", "level": "Q9"}])", "stages[0].level"},
        {R"([{"kind": "quantize", "level": "F16"}])", "stages[0].level"}, {R"([{"kind": "quantize", "level": "Q4_0", "steps": 3}])", "stages[0]"},
        {R"([{"kind": "repair"}])", "stages[0].kind"}, {R"([{"kind": "quantize", "level": "INT8"}, {"kind": "distill"}])", "stages[1].kind"},
        {R"([{"kind": "qat", "level": "INT8"}, {"kind": "quantize", "level": "Q4_0"}])", "stages[1].kind"},
        {R"([{"kind": "quantize", "level": "Q4_0", "group": 32}])", "stages[0].group"}, {R"([{"kind": "quantize", "level": "NF4", "group": 32}])", "stages[0].group"},
        {R"([{"kind": "quantize", "level": "Q4_0", "embedding_bits": 4}])", "stages[0].embedding_bits"}, {R"([{"kind": "quantize", "level": "INT4", "embedding_bits": 7}])", "stages[0].embedding_bits"},
        {R"([{"kind": "quantize", "level": "INT4", "learned_scales": true}])", "stages[0].learned_scales"}, {R"([{"kind": "qat", "level": "INT8", "learned_scales": true}])", "stages[0].learned_scales"},
        {R"([{"kind": "quantize", "level": "Q4_0", "per_tensor": true}])", "stages[0].per_tensor"}, {R"([{"kind": "quantize", "level": "INT4", "group": 32, "per_tensor": true}])", "stages[0].per_tensor"},
        {R"([{"kind": "qat", "level": "INT4", "per_tensor": true, "learned_scales": true}])", "stages[0].per_tensor"},
        {R"([{"kind": "qat", "level": "INT4", "per_tensor": true}, {"kind": "repair"}])", "stages[1].kind"},
        {R"([{"kind": "distill", "level": "INT8"}])", "stages[0].level"}, {R"([{"kind": "qat", "level": "INT8", "importance": true}])", "stages[0].importance"}};
    for (const auto& [stages, where] : wrong) {
      DistillRecipe recipe = must(distill_recipe_from_json(fmt::format(R"({{"teacher": "t", "data": {{"train": "d"}}, "stages": {}}})", stages)));
      const auto checked = check_recipe(recipe);
      QVERIFY2(!checked.ok(), stages);
      QCOMPARE(checked.error().place, std::string(where));
    }
    for (const char* unread : {R"([])", R"([{"level": "INT8"}])", R"([{"kind": "shrink"}])", R"([{"kind": "qat", "levl": "INT8"}])", R"([{"kind": "repair", "rate": 0}])"})
      QCOMPARE(distill_recipe_from_json(fmt::format(R"({{"stages": {}}})", unread)).error().code, ErrorCode::kBadRecipe);
    const DistillRecipe recipe = recipe_of({{.kind = StageKind::kQat, .level = "Q4_K_M", .importance = true, .steps = 3}, {.kind = StageKind::kRepair, .epochs = 0.5, .rate = 0.01}});
    QCOMPARE(distill_recipe_to_json(must(distill_recipe_from_json(distill_recipe_to_json(recipe)))), distill_recipe_to_json(recipe));
    // INT8 is written as a folder, other levels as GGUF.
    QCOMPARE(distill::distill(recipe_of({{.kind = StageKind::kQat, .level = "INT8"}}), path("x.gguf"), 1, {}).error().code, ErrorCode::kBadArgument);
    QCOMPARE(distill::distill(recipe_of({{.kind = StageKind::kQat, .level = "Q4_0"}}), path("x"), 1, {}).error().code, ErrorCode::kBadArgument);
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }

  DistillRecipe recipe_of(std::vector<TrainStage> stages) const {
    DistillRecipe recipe;
    recipe.teacher = path("teacher");
    recipe.data = {.train = path("text.jsonl"), .validation_share = 0.1, .context = 32};
    recipe.loss.logits = {.forward_kl = 1, .temperature = 1};
    recipe.training.steps = 6;
    recipe.training.batch = 4;
    recipe.training.rate = 1e-4;
    recipe.training.validate_every = 2;
    recipe.stages = std::move(stages);
    return recipe;
  }

  QTemporaryDir folder_;
};

QTEST_APPLESS_MAIN(PackedTest)
#include "packed_test.moc"
