// Classifiers made of bare encoders: a new head, fitted alone and then with all weights.
#include <QTemporaryDir>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/distill/classifier_head.h"
#include "core/distill/distill.h"
#include "core/formats/writers.h"
#include "vectors.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

class ClassifierHeadTest : public QObject {
  Q_OBJECT

 private slots:
  // The repository's tiny ELECTRA without its head and without its prefix, as bare encoders are published.
  void initTestCase() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    const auto source = must(open_checkpoint(std::filesystem::path(RETORT_TEST_DATA) / "models/electra"));
    std::filesystem::create_directories(path("bare"));
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& tensor : source->tensors)
      if (tensor.name.starts_with("electra.")) tensors.push_back({tensor.name.substr(8), tensor.shape, tensor.type, [data = tensor.data] { return Result<std::span<const std::byte>>(data); }});
    must(write_safetensors(path("bare/model.safetensors"), tensors, {}));
    nlohmann::ordered_json config = nlohmann::ordered_json::parse(source->config_json);
    config["architectures"] = {"ElectraModel"};
    config.erase("id2label");
    config.erase("label2id");
    must(write_text_file(path("bare/config.json"), config.dump()));
    nlohmann::ordered_json vocabulary;
    for (const char* piece : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) vocabulary[piece] = vocabulary.size();
    for (int i = 0; i < 40; ++i) vocabulary["w" + std::to_string(i)] = vocabulary.size();
    const auto special = [](int id, const char* name) { return nlohmann::ordered_json{{"id", id}, {"content", name}, {"special", true}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}}; };
    const nlohmann::ordered_json tokenizer = {
        {"version", "1.0"}, {"added_tokens", {special(0, "[PAD]"), special(1, "[UNK]"), special(2, "[CLS]"), special(3, "[SEP]"), special(4, "[MASK]")}},
        {"normalizer", nullptr}, {"pre_tokenizer", {{"type", "BertPreTokenizer"}}}, {"post_processor", {{"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}}},
        {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}}, {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"continuing_subword_prefix", "##"}, {"max_input_chars_per_word", 100}, {"vocab", vocabulary}}}};
    must(write_text_file(path("bare/tokenizer.json"), tokenizer.dump()));
    std::string lines;
    std::mt19937 random(2);
    for (int i = 0; i < 240; ++i) {   // three classes, each with words of its own
      std::string text;
      for (int w = 0; w < 5; ++w) text += (w > 0 ? " w" : "w") + std::to_string(13 * (i % 3) + static_cast<int>(random() % 13));
      lines += nlohmann::json{{"text", text}, {"label", i % 3}}.dump() + "\n";
    }
    must(write_text_file(path("data.jsonl"), lines));
  }

  void a_head_is_added() {
    const Model bare = must(open_model(path("bare")));
    QVERIFY(bare.graph.head != HeadKind::kSequenceLabels);
    const Model model = must(with_classifier(bare, 3, 1));
    QCOMPARE(model.graph.head, HeadKind::kSequenceLabels);
    QCOMPARE(model.graph.outputs(), 3);
    QCOMPARE(model.config.labels, 3);
    const std::vector<bool> head = head_weights(model.graph);
    QVERIFY(std::count(head.begin(), head.end(), true) >= 2);
    QVERIFY(!head[static_cast<std::size_t>(model.find_weight("token_embd.weight"))]);
    QCOMPARE(with_classifier(model, 3, 1).error().code, ErrorCode::kUnsupported);
    QCOMPARE(with_classifier(bare, 1, 1).error().code, ErrorCode::kBadArgument);
  }

  void a_probe_trains_the_head_alone_and_then_all() {
    const DistillReport probe = must(distill::distill(recipe_of(R"([{"kind": "probe", "steps": 60}])"), path("probe"), 2, {}));
    QVERIFY(probe.outcome.after->right > probe.outcome.before->right);
    const Model bare = must(open_model(path("bare"))), probed = must(open_model(path("probe")));
    QVERIFY(same(bare, probed));
    const DistillReport whole = must(distill::distill(recipe_of(R"([{"kind": "probe", "steps": 60}, {"kind": "distill", "steps": 60, "rate": 0.002}])"), path("whole"), 2, {}));
    QCOMPARE(whole.stages.size(), std::size_t{2});
    QVERIFY(whole.stages[1].after->right >= whole.stages[0].after->right);
    if (whole.outcome.best_step > 0) QVERIFY(!same(bare, must(open_model(path("whole")))));
  }

  void recipes_are_checked() {
    DistillRecipe recipe = recipe_of(R"([{"kind": "probe"}])");
    recipe.loss.logits.forward_kl = 1;
    QCOMPARE(check_recipe(recipe).error().place, std::string("student.classes"));
    recipe = recipe_of(R"([{"kind": "probe"}])");
    recipe.student.classes = 0;
    QCOMPARE(check_recipe(recipe).error().place, std::string("stages[0].kind"));
    QCOMPARE(check_recipe(recipe_of(R"([{"kind": "distill"}, {"kind": "probe"}])")).error().place, std::string("stages[1].kind"));
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }

  DistillRecipe recipe_of(const std::string& stages) const {
    DistillRecipe recipe = must(distill_recipe_from_json(R"({"student": {"classes": 3}, "loss": {"cross_entropy": 1}, "stages": )" + stages + "}"));
    recipe.teacher = path("bare");
    recipe.data = {.train = path("data.jsonl"), .validation_share = 0.2, .max_tokens = 16};
    recipe.training.batch = 16;
    return recipe;
  }

  // Whether the encoder's weights are what they were.
  static bool same(const Model& a, const Model& b) {
    for (std::size_t id = 0; id < a.graph.weights.size(); ++id) {
      const WeightId other = b.find_weight(a.graph.weights[id].name);
      if (other == kNoWeight || !std::ranges::equal(a.weights[id].data, b.weights[static_cast<std::size_t>(other)].data)) return false;
    }
    return true;
  }

  QTemporaryDir folder_;
};

QTEST_APPLESS_MAIN(ClassifierHeadTest)
#include "classifier_head_test.moc"
