// Teachers: several at once, answers kept compressed, another tokenizer, texts that the student makes up.
#include <QTemporaryDir>

#include <fstream>

#include <nlohmann/json.hpp>

#include "core/base/folders.h"
#include "core/distill/distill.h"
#include "kernels/dispatch/train_ops.h"
#include "letter_model.h"
#include "word_classifier.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

namespace {

std::vector<double> softmax(std::span<const float> logits, double temperature) {
  std::vector<float> out(logits.size());
  kernels::train_ops()->softmax_row(logits.data(), static_cast<float>(1 / temperature), out.data(), out.size());
  return {out.begin(), out.end()};
}
std::vector<float> rounded(const std::vector<double>& x) { return {x.begin(), x.end()}; }

}  // namespace

class TeachersTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    const tiny::Spec spec = {.tied = true, .vocabulary = 38, .hidden = 32, .layers = 3, .head_dim = 8, .feed_forward = 48};
    write_letter_model(path("letters"), spec);
    must(write_text_file(path("text.jsonl"), made_up_text(40, 1)));
    write_word_classifier(path("words"));
    write_word_classifier(path("words2"), 0.3f);
    std::string lines;
    for (int i = 0; i < 60; ++i)
      lines += nlohmann::json{{"text", word(i % 39) + " " + word(i % 7) + " " + word(i % 11)}, {"label", i % 2}}.dump() + "\n";
    must(write_text_file(path("labelled.jsonl"), lines));
  }

  void mixtures() {
    const auto a = random_floats(9, 1, 2), b = random_floats(9, 2, 2);
    const float* const both[] = {a.data(), b.data()};
    const double weights[] = {1, 3};
    std::vector<float> mixed(9), room(9);
    for (const double temperature : {1.0, 2.5}) {
      mix_logits(both, weights, false, 4, temperature, mixed, room);
      const auto p = softmax(a, temperature), q = softmax(b, temperature), found = softmax(mixed, temperature);
      for (std::size_t i = 0; i < 9; ++i) QVERIFY(near(found[i], 0.25 * p[i] + 0.75 * q[i], 1e-6, "fixed weights"));
      // By agreement: weight times what each gives the label at temperature 1.
      mix_logits(both, weights, true, 4, temperature, mixed, room);
      const double x = softmax(a, 1)[4], y = 3.0 * softmax(b, 1)[4];
      const auto agreed = softmax(mixed, temperature);
      for (std::size_t i = 0; i < 9; ++i) QVERIFY(near(agreed[i], (x * p[i] + y * q[i]) / (x + y), 1e-6, "agreement"));
      // Without a label the weights alone count.
      mix_logits(both, weights, true, -1, temperature, mixed, room);
      for (std::size_t i = 0; i < 9; ++i) QVERIFY(near(softmax(mixed, temperature)[i], found[i], 1e-6, "no label"));
    }
  }

  // PyTorch's losses and gradients (tests/data/distill): several teachers, whole answers and the five likeliest classes.
  void stored_losses() {
    const auto stored = nlohmann::json::parse(must(read_text_file(std::filesystem::path(RETORT_TEST_DATA) / "distill/kept_losses.json")));
    for (const auto& one : stored["cases"]) {
      const auto teachers = one["teachers"].get<std::vector<std::vector<float>>>();
      const auto student = one["student"].get<std::vector<float>>(), gradient = one["gradient"].get<std::vector<float>>();
      const auto weights = one["weights"].get<std::vector<double>>();
      const double temperature = one["temperature"].get<double>();
      std::vector<const float*> rows;
      for (const auto& teacher : teachers) rows.push_back(teacher.data());
      std::vector<float> mixed(student.size()), room(student.size()), found(student.size()), scratch(2 * student.size()), kept;
      mix_logits(rows, weights, one["agreement"].get<bool>(), one["label"].get<std::int64_t>(), temperature, mixed, room);
      const auto classes = one["kept"].get<std::vector<std::int32_t>>();
      const auto shares = softmax(mixed, temperature);
      for (const std::int32_t c : classes) kept.push_back(static_cast<float>(shares[static_cast<std::size_t>(c)]));
      LogitWeights loss{.temperature = temperature};
      const auto kind = one["kind"].get<std::string>();
      (kind == "forward_kl" ? loss.forward_kl : kind == "reverse_kl" ? loss.reverse_kl : loss.jensen_shannon) = 1;
      TeacherRow row{.logits = mixed};
      if (!classes.empty()) row = {.logits = {}, .classes = classes, .probabilities = kept};
      const double value = logit_row(loss, student, row, -1, 1, found, scratch).total;
      QVERIFY(near(value, one["loss"].get<double>(), 4e-6 * (1 + value), kind.c_str()));
      QVERIFY(near(relative_distance(found, gradient), 0, 5e-6, kind.c_str()));
    }
    QCOMPARE(stored["cases"].size(), std::size_t{36});
  }

  void rows_are_packed_and_read_back() {
    const auto p = rounded(softmax(random_floats(200, 3, 3), 1));
    const KeptRow row = keep_top(p, 10);
    QCOMPARE(row.classes.size(), std::size_t{10});
    for (std::size_t k = 1; k < 10; ++k) QVERIFY(row.probabilities[k] <= row.probabilities[k - 1]);
    QCOMPARE(row.probabilities[0], *std::max_element(p.begin(), p.end()));
    const std::vector<float> sure = {0.00001f, 0.99998f, 0.00001f};
    QCOMPARE(keep_top(sure, 3).classes, std::vector<std::int32_t>{1});   // the others say nothing
    const KeptRows rows = {row, {}, keep_top(sure, 3)};
    const auto packed = pack_rows(rows);
    QCOMPARE(packed.size(), std::size_t{2 * 4 + 2 + 11 * 5});
    const KeptRows back = must(unpack_rows(packed, 3, 200));
    QCOMPARE(back[0].classes, row.classes);
    QVERIFY(back[1].classes.empty());
    for (std::size_t k = 0; k < 10; ++k) QVERIFY(std::abs(back[0].probabilities[k] / row.probabilities[k] - 1) < 4e-3f);
    for (std::size_t cut = 0; cut < packed.size(); ++cut) QVERIFY(!unpack_rows(std::span(packed).first(cut), 3, 200).ok());
    QVERIFY(!unpack_rows(packed, 2, 200).ok());
    QVERIFY(!unpack_rows(packed, 3, row.classes.front()).ok());
  }

  void the_cache_keeps_what_fits() {
    std::vector<TrainingExample> examples(3), others(1);
    const auto key_of = [](int i) { return AnswerCache::key_of(digest_of(std::to_string(i))); };
    const auto name_all = [&](AnswerCache& cache) {
      for (std::size_t i = 0; i < 3; ++i) cache.name(&examples[i], key_of(static_cast<int>(i)));
    };
    const auto answer = [](int i) { return std::vector<std::byte>(5, static_cast<std::byte>(i)); };
    AnswerCache cache(2 * (5 + 16) + 3);
    name_all(cache);
    for (int i = 0; i < 3; ++i) cache.set(&examples[static_cast<std::size_t>(i)], answer(i));
    cache.set(&others[0], answer(9));   // nobody knows it
    QCOMPARE(cache.known(), std::size_t{2});
    QCOMPARE(cache.left_out(), std::size_t{1});
    QCOMPARE(cache.bytes(), std::uint64_t{42});
    must(cache.save(path("answers.safetensors"), {}));
    AnswerCache again(1000);
    name_all(again);
    must(again.load(path("answers.safetensors"), 0));
    QCOMPARE(again.known(), std::size_t{2});
    QVERIFY(std::ranges::equal(again.of(&examples[1]), answer(1)));
    QVERIFY(again.of(&examples[2]).empty());
    // Another run's texts stay in the file, but its own go first.
    AnswerCache other(42);
    other.name(&others[0], key_of(1));
    must(other.load(path("answers.safetensors"), 5));
    QCOMPARE(other.known(), std::size_t{1});
    QCOMPARE(other.bytes(), std::uint64_t{42});
    AnswerCache smaller(30), sized(1000);
    smaller.name(&others[0], key_of(1));
    must(smaller.load(path("answers.safetensors"), 0));
    QVERIFY(smaller.known() == 1 && smaller.bytes() == 21);
    name_all(sized);
    must(sized.load(path("answers.safetensors"), 8));
    QCOMPARE(sized.known(), std::size_t{0});
    must(write_text_file(path("answers.safetensors"), "nothing"));
    QVERIFY(!again.load(path("answers.safetensors"), 0).ok());
    // Room is made by what was used longest ago.
    for (const char* name : {"a", "b", "c"}) {
      std::filesystem::create_directories(path("full"));
      must(write_text_file(path("full") / name, std::string(10, 'x')));
      std::filesystem::last_write_time(path("full") / name, std::filesystem::file_time_type(std::chrono::seconds(name[0])));
    }
    make_room_in(path("full"), path("full") / "a", 20, 30);
    QVERIFY(std::filesystem::exists(path("full/a")) && !std::filesystem::exists(path("full/b")) && std::filesystem::exists(path("full/c")));
  }

  // The same teacher twice answers as it does alone; two different ones answer otherwise, and both are remembered.
  void classifiers_together() {
    DistillRecipe recipe = word_recipe();
    const DistillReport alone = must(distill::distill(recipe, path("alone"), 1, {}));
    recipe.teachers = {{path("words"), 2}};
    const DistillReport twice = must(distill::distill(recipe, path("twice"), 1, {}));
    QVERIFY(near(twice.outcome.before->divergence, alone.outcome.before->divergence, 1e-6, "divergence"));
    recipe.teachers = {{path("words2"), 2}};
    const DistillReport pair = must(distill::distill(recipe, path("pair"), 1, {}));
    QVERIFY(std::abs(pair.outcome.before->divergence - alone.outcome.before->divergence) > 1e-4);
    QVERIFY(pair.answers.known >= static_cast<std::size_t>(pair.examples));   // the first was asked before
    recipe.loss.by_agreement = true;
    const DistillReport agreed = must(distill::distill(recipe, path("agreed"), 1, {}));
    QCOMPARE(agreed.answers.known, static_cast<std::size_t>(2 * (pair.examples + pair.validation_examples)));
    QVERIFY(agreed.outcome.before->teacher_right >= pair.outcome.before->teacher_right);
    // What is said class by class adds up.
    const BatchLoss& before = *agreed.outcome.before;
    AnswerCounts sum;
    for (const AnswerCounts& one : before.classes) sum.add(one);
    QCOMPARE(sum.labelled, before.labelled);
    QCOMPARE(sum.repeated, before.repeated);
    QCOMPARE(sum.teacher_right, before.teacher_right);
    QVERIFY(before.contradicted == before.asked - before.teacher_right);
  }

  // Labels that the teacher contradicts: left out, or without the teacher's answer.
  void contradictions() {
    const Model model = must(open_model(path("words")));
    kernels::ThreadPool pool(1);
    Parameters mine = must(Parameters::from_model(model, false, pool)), theirs = must(Parameters::from_model(model, true, pool));
    must(mine.make_gradients());
    const std::vector<std::int64_t> kept = {0};
    LossMix mix{.logits = {.cross_entropy = 0.5, .forward_kl = 0.5, .temperature = 2}};
    std::vector<TrainingExample> examples;
    for (int i = 0; i < 4; ++i) examples.push_back({.ids = model.tokenizer->encode(word(i), true), .label = 0});
    std::vector<const TrainingExample*> batch;
    for (const TrainingExample& example : examples) batch.push_back(&example);
    const distill::Teacher teachers[] = {{.model = &model, .parameters = &theirs}};
    const auto run = [&] {
      auto objective = must(Objective::make(model, mine, teachers, kept, mix, {}, pool));
      return must(objective->run(batch, false, 1, {}));
    };
    const auto labelled = [&](std::int64_t label) {
      for (TrainingExample& example : examples) example.label = label;
      return run();
    };
    const BatchLoss first = labelled(0), third = labelled(2), second = labelled(1);
    QCOMPARE(first.contradicted + second.contradicted + third.contradicted, 8);   // of three labels two are contradicted
    QCOMPARE(second.count, 4.0);
    mix.contradicted_weight = 0.25;
    QVERIFY(near(run().count, 4 - 0.75 * static_cast<double>(second.contradicted), 1e-9, "weights"));
    mix.contradicted_weight = 0;
    const BatchLoss dropped = run();
    QCOMPARE(dropped.count, static_cast<double>(4 - second.contradicted));
    mix = {.logits = {.forward_kl = 1, .temperature = 2}, .contradicted_answer = 0};
    const BatchLoss unheard = run();
    QCOMPARE(unheard.count, 4.0);
    QVERIFY(unheard.loss <= second.loss + 1e-9);
  }

  // With all classes kept the loss is the whole one but for f16; the second student asks nothing; bytes don't depend on room.
  void answers_are_kept() {
    DistillRecipe recipe = letter_recipe();
    const DistillReport whole = must(distill::distill(recipe, path("whole"), 1, {}));
    recipe.loss.top = 38;
    const DistillReport kept = must(distill::distill(recipe, path("kept"), 2, {}));
    QVERIFY(near(kept.outcome.before->divergence, whole.outcome.before->divergence, 2e-3 * whole.outcome.before->divergence + 1e-5, "before"));
    QVERIFY(near(kept.outcome.after->divergence, whole.outcome.after->divergence, 1e-2 * whole.outcome.after->divergence, "after"));
    recipe.loss.top = 6;
    recipe.loss.logits.reverse_kl = 0.5;
    const DistillReport first = must(distill::distill(recipe, path("first"), 2, {}));
    QCOMPARE(first.answers.known, std::size_t{0});
    QVERIFY(first.answers.bytes > 0 && first.answers.left_out == 0);
    const DistillReport second = must(distill::distill(recipe, path("second"), 1, {}));
    QVERIFY(second.answers.known >= static_cast<std::size_t>(first.validation_examples + 4));
    QCOMPARE(second.answers.bytes, first.answers.bytes);   // nothing new was asked
    recipe.cache_megabytes = 0;
    const DistillReport bare = must(distill::distill(recipe, path("bare"), 1, {}));
    QCOMPARE(bare.answers.known, std::size_t{0});
    QVERIFY(bytes_of(path("first/model.safetensors")) == bytes_of(path("second/model.safetensors")));
    QVERIFY(bytes_of(path("first/model.safetensors")) == bytes_of(path("bare/model.safetensors")));
    QVERIFY(first.outcome.after->divergence < first.outcome.before->divergence);
  }

  void decoders_together() {
    DistillRecipe recipe = letter_recipe();
    const DistillReport alone = must(distill::distill(recipe, path("one"), 1, {}));
    recipe.teachers = {{path("letters"), 0.5}};
    for (const bool by_agreement : {false, true}) {
      recipe.loss.by_agreement = by_agreement;
      const DistillReport twice = must(distill::distill(recipe, path(by_agreement ? "two-agreed" : "two"), 1, {}));
      QVERIFY(near(twice.outcome.before->divergence, alone.outcome.before->divergence, 1e-5, "twice the same"));
    }
    recipe.loss.top = 5;
    must(distill::distill(recipe, path("two-kept"), 1, {}));
  }

  void aligned_texts() {
    using V = std::vector<std::string_view>;
    using A = std::vector<AlignedToken>;
    const auto aligned = [](const V& a, const V& b) { return align(a, b); };
    QCOMPARE(aligned({"a", "b", "c"}, {"a", "b", "c"}), (A{{0, 0}, {1, 1}, {2, 2}}));
    QCOMPARE(aligned({"ab", "c", "d"}, {"a", "bc", "d"}), (A{{2, 2}}));
    QCOMPARE(aligned({"ab", "", "c"}, {"a", "b", "c"}), (A{{2, 2}}));
    QCOMPARE(aligned({"the", " cat"}, {" the", " cat"}), (A{{1, 1}}));      // a space that one side begins with
    QCOMPARE(aligned({" the", " cat"}, {"the", " ", "cat", ""}), (A{}));
    QCOMPARE(aligned({"a", "b", "d"}, {"a", "c", "d"}), (A{{0, 0}}));        // as far as the texts are the same
    QCOMPARE(aligned({"a", "b"}, {"a", "b", "c"}), (A{{0, 0}, {1, 1}}));
    QCOMPARE(aligned({"x"}, {"y"}), (A{}));
    QCOMPARE(aligned({}, {"a"}), (A{}));
    QCOMPARE(aligned({"\xc3", "\xa4", "x"}, {"\xc3\xa4", "x"}), (A{{2, 1}}));
  }

  // The teacher is the student with its pieces renumbered: carried over, its answers are the student's own.
  void another_tokenizer() {
    write_renumbered(path("renumbered"), {});
    DistillRecipe recipe = letter_recipe();
    recipe.student = {.model = path("letters")};
    recipe.teacher = path("renumbered");
    recipe.loss.top = 38;
    recipe.training.steps = 2;
    const DistillReport report = must(distill::distill(recipe, path("carried"), 1, {}));
    QVERIFY2(report.outcome.before->divergence < 1e-4, qPrintable(QString::number(report.outcome.before->divergence)));
    QVERIFY(report.outcome.before->targets > 0.95 * report.outcome.before->count);
    // With pieces of two letters only some places are alike; the others have no target.
    write_renumbered(path("merged"), {"a b", "d e"});
    recipe.teacher = path("merged");
    const DistillReport merged = must(distill::distill(recipe, path("carried2"), 1, {}));
    QVERIFY(merged.outcome.before->targets > 0 && merged.outcome.before->targets < 0.95 * merged.outcome.before->count);
    // States of other tokens can't be compared; another tokenizer is no part of an ensemble.
    recipe.loss.hidden_mse = 1;
    QCOMPARE(distill::distill(recipe, path("refused"), 1, {}).error().code, ErrorCode::kConflict);
    recipe.loss.hidden_mse = 0;
    recipe.teachers = {{path("letters"), 1}};
    QCOMPARE(distill::distill(recipe, path("refused"), 1, {}).error().code, ErrorCode::kConflict);
  }

  // The student goes on by itself, the same way each time, stopped in between or not.
  void on_policy() {
    DistillRecipe recipe = letter_recipe();
    recipe.on_policy = {.share = 0.6, .tokens = 6, .temperature = 1};
    recipe.loss.logits = {.reverse_kl = 0.5, .jensen_shannon = 0.5, .temperature = 1};
    recipe.training.steps = 12;
    recipe.training.checkpoint_every = 4;
    const DistillReport whole = must(distill::distill(recipe, path("policy"), 2, {}));
    QVERIFY(whole.outcome.after->divergence < whole.outcome.before->divergence);
    std::ifstream curve(path("policy.curve.jsonl"));
    int made_up = 0, given = 0;
    for (std::string line; std::getline(curve, line);) {
      const auto point = nlohmann::json::parse(line);
      if (point.contains("loss")) ++(point.contains("sampled_tokens") ? made_up : given);
    }
    QVERIFY2(made_up >= 3 && given >= 1, qPrintable(QString("%1 of %2").arg(made_up).arg(made_up + given)));
    JobContext job;
    QVERIFY(!distill::distill(recipe, path("policy2"), 1, job, {.on_point = [&](const CurvePoint& p) { if (!p.validation && p.step == 5) job.stop(); }}).ok());
    must(distill::distill(recipe, path("policy2"), 2, {}));
    QVERIFY(bytes_of(path("policy/model.safetensors")) == bytes_of(path("policy2/model.safetensors")));
    // With a teacher that reads otherwise, and prompts that nobody answered.
    must(write_text_file(path("prompts.jsonl"), nlohmann::json{{"prompt", "abba cede"}}.dump() + "\n" + made_up_text(20, 5)));
    recipe.student = {.model = path("letters"), .layers = 2};
    recipe.teacher = path("renumbered");
    recipe.data.train = path("prompts.jsonl");
    must(distill::distill(recipe, path("policy3"), 1, {}));
    recipe.on_policy.share = 0;
    const auto refused = distill::distill(recipe, path("policy4"), 1, {});
    QCOMPARE(refused.error().place, std::string("data"));
  }

  void refusals() {
    const auto place = [&](auto&& change) {
      DistillRecipe recipe = letter_recipe();
      change(recipe);
      const auto checked = check_recipe(recipe);
      return checked.ok() ? std::string() : checked.error().place;
    };
    QCOMPARE(place([](DistillRecipe&) {}), std::string());
    QCOMPARE(place([](DistillRecipe& r) { r.teacher.clear(); }), std::string("teacher"));
    QCOMPARE(place([](DistillRecipe& r) { r.teachers = {{"x", 1}}; r.loss.logits = {.cross_entropy = 1}; }), std::string("teachers"));
    QCOMPARE(place([](DistillRecipe& r) { r.loss.by_agreement = true; }), std::string("mixing"));
    QCOMPARE(place([](DistillRecipe& r) { r.loss.top = 3; r.loss.logits = {.cross_entropy = 1}; }), std::string("loss.top"));
    QCOMPARE(place([](DistillRecipe& r) { r.on_policy.share = 1; r.loss.logits = {.cross_entropy = 1}; }), std::string("on_policy.share"));
    QCOMPARE(place([](DistillRecipe& r) { r.loss.contradicted_weight = 0; r.data.train.clear(); r.data.unlabelled = "x"; }), std::string("data.contradicted_weight"));
    DistillRecipe recipe = word_recipe();
    recipe.on_policy.share = 0.5;
    QCOMPARE(distill::distill(recipe, path("no"), 1, {}).error().place, std::string("on_policy.share"));
    recipe = letter_recipe();
    recipe.loss.contradicted_answer = 0;
    QCOMPARE(distill::distill(recipe, path("no"), 1, {}).error().place, std::string("data.contradicted_weight"));
    recipe = letter_recipe();
    recipe.teachers = {{path("words"), 1}};
    QCOMPARE(distill::distill(recipe, path("no"), 1, {}).error().code, ErrorCode::kConflict);
    const char* const wrong[][2] = {{R"({"teachers": [{"model": 1}]})", "teachers[0]"}, {R"({"teachers": [{"model": "x", "weight": 0}]})", "teachers[0].weight"},
                                    {R"({"teachers": [{"model": "x", "wait": 1}]})", "teachers[0].wait"}, {R"({"mixing": "votes"})", "mixing"},
                                    {R"({"loss": {"top": -1}})", "loss.top"}, {R"({"on_policy": {"share": 2}})", "on_policy.share"}};
    for (const auto& [json, where] : wrong) QCOMPARE(distill_recipe_from_json(json).error().place, std::string(where));
    recipe.on_policy.share = 0.25;
    QCOMPARE(distill_recipe_to_json(must(distill_recipe_from_json(distill_recipe_to_json(recipe)))), distill_recipe_to_json(recipe));
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }

  DistillRecipe letter_recipe() const {
    DistillRecipe recipe;
    recipe.teacher = path("letters");
    recipe.student.layers = 2;
    recipe.data = {.train = path("text.jsonl"), .validation_share = 0.1, .context = 24};
    recipe.loss.logits = {.forward_kl = 1, .temperature = 2};
    recipe.training.steps = 8;
    recipe.training.batch = 4;
    recipe.training.rate = 3e-3;
    recipe.training.validate_every = 4;
    recipe.type = "f32";
    return recipe;
  }
  DistillRecipe word_recipe() const {
    DistillRecipe recipe;
    recipe.teacher = path("words");
    recipe.student.layers = 1;
    recipe.data = {.train = path("labelled.jsonl"), .validation_share = 0.3};
    recipe.loss.logits = {.cross_entropy = 0.3, .forward_kl = 0.7, .temperature = 2};
    recipe.training.epochs = 2;
    recipe.training.batch = 8;
    recipe.type = "f32";
    return recipe;
  }

  // The letter model with its pieces in the opposite order; merges make further pieces, at the end of the table.
  void write_renumbered(const std::filesystem::path& to, const std::vector<std::string>& merges) const {
    std::filesystem::create_directories(to);
    auto config = nlohmann::json::parse(must(read_text_file(path("letters/config.json"))));
    const auto source = must(open_safetensors(path("letters/model.safetensors")));
    const std::size_t pieces = 38, more = merges.size();
    config["vocab_size"] = pieces + more;
    must(write_text_file(to / "config.json", config.dump()));
    std::vector<float> table;
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& tensor : source->tensors) {
      std::vector<std::int64_t> shape = tensor.shape;
      if (tensor.name != "model.embed_tokens.weight") {
        tensors.push_back({tensor.name, shape, tensor.type, [data = tensor.data] { return Result<std::span<const std::byte>>(data); }});
        continue;
      }
      const auto width = static_cast<std::size_t>(shape[1]);
      std::vector<float> rows(pieces * width);
      tensor.decode_rows(0, static_cast<std::int64_t>(pieces), rows.data());
      table.assign((pieces + more) * width, 0.01f);
      for (std::size_t i = 0; i < pieces; ++i) std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(i * width), width, table.begin() + static_cast<std::ptrdiff_t>((pieces - 1 - i) * width));
      shape[0] = static_cast<std::int64_t>(pieces + more);
      tensors.push_back({tensor.name, shape, TensorType::kF32, [&table] { return Result<std::span<const std::byte>>(std::as_bytes(std::span(table))); }});
    }
    must(write_safetensors(to / "model.safetensors", tensors, {}));
    auto tokenizer = nlohmann::json::parse(must(read_text_file(path("letters/tokenizer.json"))));
    nlohmann::json vocabulary;
    for (const auto& [piece, id] : tokenizer["model"]["vocab"].items()) vocabulary[piece] = pieces - 1 - id.get<std::size_t>();
    for (const std::string& merge : merges) {
      vocabulary[std::string{merge.front(), merge.back()}] = vocabulary.size();
      tokenizer["model"]["merges"].push_back(merge);
    }
    tokenizer["model"]["vocab"] = vocabulary;
    must(write_text_file(to / "tokenizer.json", tokenizer.dump()));
  }

  QTemporaryDir folder_;
};

QTEST_APPLESS_MAIN(TeachersTest)
#include "teachers_test.moc"
