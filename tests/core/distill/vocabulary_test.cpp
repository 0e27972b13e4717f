// Students with fewer pieces than their teacher.
#include <QTemporaryDir>

#include "core/distill/distill.h"
#include "core/distill/vocabulary.h"
#include "word_classifier.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

class VocabularyTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    write_word_classifier(path("teacher"));
    write_labelled_words(path("data.jsonl"), 20, 80);   // words 20 … 29 only
  }

  // With every piece that occurs, the student reads the text as its teacher does, and answers alike.
  void all_that_occur() {
    const DistillReport report = must(distill::distill(recipe_of(0), path("all"), 1, {}));
    QCOMPARE(report.pieces, 57 + 10);
    QVERIFY(report.outcome.before);
    QVERIFY(near(report.outcome.before->divergence, 0, 1e-9, "divergence"));
    QCOMPARE(report.outcome.before->agreed, report.outcome.before->asked);
    const Model student = must(open_model(path("all"))), teacher = must(open_model(path("teacher")));
    QCOMPARE(student.config.vocabulary, 57 + 10);
    for (const std::string& text : {word(20) + " " + word(29), word(25) + " xyz", std::string("a?b"), word(3)}) {
      const auto mine = student.tokenizer->encode(text, true), theirs = teacher.tokenizer->encode(text, true);
      std::vector<std::string> a, b;
      for (const TokenId id : mine) a.push_back(student.tokenizer->piece(id));
      for (const TokenId id : theirs) b.push_back(teacher.tokenizer->piece(id));
      if (text != word(3)) QVERIFY2(a == b, text.c_str());
      else QVERIFY(a.size() > b.size() && a.front() == "[CLS]" && a.back() == "[SEP]" && a[1] == "w");   // spelled
      QCOMPARE(student.tokenizer->decode(mine, true), teacher.tokenizer->decode(theirs, true));
    }
    const std::string vocabulary = must(read_text_file(path("all/vocab.txt")));
    QCOMPARE(std::count(vocabulary.begin(), vocabulary.end(), '\n'), 67);
  }

  // With fewer, the most frequent words stay and the others are spelled.
  void at_most_so_many() {
    const DistillReport report = must(distill::distill(recipe_of(60), path("few"), 1, {}));
    QCOMPARE(report.pieces, 60);
    const Model student = must(open_model(path("few")));
    for (int i = 20; i < 23; ++i) QVERIFY(student.tokenizer->find(word(i)).has_value());
    QVERIFY(!student.tokenizer->find(word(29)).has_value());
    QCOMPARE(distill::distill(recipe_of(20), path("none"), 1, {}).error().code, ErrorCode::kBadRecipe);
  }

  void what_cannot_be_trimmed_is_refused() {
    DistillRecipe recipe = recipe_of(0);
    recipe.loss.hidden_mse = 1;
    QCOMPARE(check_recipe(recipe).error().place, std::string("student.trim_vocabulary"));
    recipe = recipe_of(60);
    recipe.student.trim_vocabulary = false;
    QCOMPARE(check_recipe(recipe).error().place, std::string("student.most_pieces"));
    // Another kind of tokenizer.
    std::filesystem::create_directories(path("other"));
    for (const char* name : {"config.json", "model.safetensors"}) std::filesystem::copy_file(path("teacher") / name, path("other") / name);
    auto tokenizer = nlohmann::json::parse(must(read_text_file(path("teacher/tokenizer.json"))));
    tokenizer["model"] = {{"type", "BPE"}, {"unk_token", "[UNK]"}, {"vocab", tokenizer["model"]["vocab"]}, {"merges", nlohmann::json::array()}};
    must(write_text_file(path("other/tokenizer.json"), tokenizer.dump()));
    recipe = recipe_of(0);
    recipe.teacher = path("other");
    QCOMPARE(distill::distill(recipe, path("refused"), 1, {}).error().code, ErrorCode::kUnsupported);
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }

  DistillRecipe recipe_of(std::int64_t most) const {
    DistillRecipe recipe;
    recipe.teacher = path("teacher");
    recipe.student.trim_vocabulary = true;
    recipe.student.most_pieces = most;
    recipe.data.train = path("data.jsonl");
    recipe.data.validation_share = 0.2;
    recipe.loss.logits = {.forward_kl = 1, .temperature = 1};
    recipe.training.steps = 2;
    recipe.training.batch = 4;
    recipe.type = "f32";
    return recipe;
  }

  QTemporaryDir folder_;
};

QTEST_APPLESS_MAIN(VocabularyTest)
#include "vocabulary_test.moc"
