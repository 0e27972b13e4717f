// What a teacher wrote: files of prompts, answers and conversations, and the tokens of them that are learned.
#include <QTemporaryDir>

#include <set>

#include <nlohmann/json.hpp>

#include "core/distill/conversations.h"
#include "core/distill/distill.h"
#include "letter_model.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;
using nlohmann::json;

namespace {

// Letters, a mark for whose turn it is, and an end of the turn.
constexpr const char* kTemplate =
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<a>{% else %}<u>{% endif %}{{ m['content'] }}<e> {% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}";
// Writes earlier answers otherwise than the last.
constexpr const char* kForgetful =
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<a>{% if not loop.last %}x{% else %}{{ m['content'] }}{% endif %}"
    "{% else %}<u>{{ m['content'] }}{% endif %}<e> {% endfor %}{% if add_generation_prompt %}<a>{% endif %}";

// The letters' tokenizer with three special tokens.
void give_turns(const std::filesystem::path& folder, const char* chat_template) {
  auto tokenizer = json::parse(must(read_text_file(folder / "tokenizer.json")));
  int id = 38;
  for (const char* name : {"<u>", "<a>", "<e>"})
    tokenizer["added_tokens"].push_back({{"id", id++}, {"content", name}, {"special", true}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}});
  must(write_text_file(folder / "tokenizer.json", tokenizer.dump()));
  must(write_text_file(folder / "tokenizer_config.json", json{{"eos_token", "<e>"}, {"chat_template", chat_template}}.dump()));
}

std::string learned_text(const TrainingExample& example, const Tokenizer& tokenizer) {
  std::string out;
  bool before = false;
  for (std::size_t t = 0; t < example.ids.size(); ++t) {
    const bool learned = example.learns(t);
    if (learned && !before && !out.empty()) out += "|";
    if (learned) out += tokenizer.piece(example.ids[t]);
    before = learned;
  }
  return out;
}

}  // namespace

class SequencesTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    const tiny::Spec spec = {.tied = true, .vocabulary = 41, .hidden = 32, .head_dim = 8, .feed_forward = 48};
    write_letter_model(path("plain"), spec);
    for (const auto& [name, chat_template] : {std::pair("chat", kTemplate), std::pair("forgetful", kForgetful)}) {
      write_letter_model(path(name), spec);
      give_turns(path(name), chat_template);
    }
    chat_ = must(open_model(path("chat")));
  }

  // Every form in which answers are stored gives the same conversation.
  void forms() {
    const json user = {{"role", "user"}, {"content", "abc"}}, answer = {{"role", "assistant"}, {"content", "def"}};
    const json choices = json::array({{{"index", 0}, {"message", answer}, {"finish_reason", "stop"}}});
    const json forms[] = {
        {{"messages", {user, answer}}},
        {{"prompt", "abc"}, {"answer", "def"}},
        {{"prompt", "abc"}, {"completion", "def"}},
        {{"prompt", json::array({user})}, {"completion", json::array({answer})}},
        {{"prompt", "abc"}, {"chosen", "def"}, {"rejected", "xyz"}},
        {{"question", "abc"}, {"answer", "def"}},
        {{"instruction", "abc"}, {"input", ""}, {"output", "def"}},
        {{"messages", json::array({user})}, {"choices", choices}},
        {{"request", {{"model", "m"}, {"messages", json::array({user})}}}, {"response", {{"id", "r"}, {"choices", choices}}}},
        {{"custom_id", "1"}, {"request", {{"method", "POST"}, {"body", {{"messages", json::array({user})}}}}}, {"response", {{"status_code", 200}, {"body", {{"choices", choices}}}}}, {"error", nullptr}},
        {{"request", {{"messages", json::array({user})}}}, {"response", {{"role", "assistant"}, {"content", json::array({{{"type", "text"}, {"text", "def"}}})}}}},
        {{"request", {{"prompt", "abc"}}}, {"response", {{"choices", json::array({{{"text", "def"}}})}}}}};
    for (const json& form : forms) {
      must(write_text_file(path("form.jsonl"), form.dump() + "\n"));
      const TrainingFile file = must(read_training_file(path("form.jsonl")));
      QVERIFY2(file.lines.size() == 1, form.dump().c_str());
      const TrainingLine& line = file.lines.front();
      QVERIFY2(line.kind == LineKind::kConversation && line.messages.size() == 2, form.dump().c_str());
      QCOMPARE(line.messages[0].content, std::string("abc"));
      QCOMPARE(line.messages[1].content, std::string("def"));
      QVERIFY(line.messages[1].learned && !line.messages[0].learned);
    }
    must(write_text_file(path("form.jsonl"), R"({"text": "one", "weight": 0.5})" "\n\n" R"({"text": "two", "label": 3})" "\n" R"({"prompt": "three"})" "\n"));
    const TrainingFile mixed = must(read_training_file(path("form.jsonl")));
    QCOMPARE(mixed.lines.size(), std::size_t{3});
    QCOMPARE(mixed.lines[0].weight, 0.5);
    QCOMPARE(mixed.lines[1].label, 3);
    QVERIFY(mixed.lines[2].kind == LineKind::kConversation && !mixed.lines[2].answered());
    QCOMPARE(mixed.lines[2].line, std::size_t{4});
  }

  void failures_are_left_out_and_errors_have_a_line() {
    const char* const failed[] = {R"({"request": {"messages": [{"role": "user", "content": "a"}]}, "response": {"choices": []}})",
                                  R"({"request": {"messages": [{"role": "user", "content": "a"}]}, "response": {"status_code": 500, "body": {"error": {"code": 1}}}})",
                                  R"({"messages": [{"role": "user", "content": "a"}], "choices": [{"message": {"role": "assistant", "content": null, "refusal": "no"}}]})"};
    for (const char* line : failed) {
      must(write_text_file(path("bad.jsonl"), std::string(R"({"text": "x"})") + "\n" + line + "\n"));
      QCOMPARE(must(read_training_file(path("bad.jsonl"))).failed, 1);
    }
    const char* const wrong[] = {"[]", "{", R"({"text": 3})", R"({"label": 1})", R"({"text": "a", "label": -1})", R"({"text": "a", "weight": -1})",
                                 R"({"messages": []})", R"({"messages": [{"content": "a"}]})", R"({"messages": [{"role": "user"}]})",
                                 R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})",
                                 R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.3}]})",
                                 R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [1]}]})",
                                 R"({"prompt": 3, "answer": "a"})", R"({"prompt": "a", "choices": 3})",
                                 R"({"prompt": "a", "choices": [{"message": {"content": "b"}, "logprobs": {"content": [{"token": "b", "top_logprobs": [{"token": "b", "logprob": 2}]}]}}]})"};
    for (const char* line : wrong) {
      must(write_text_file(path("bad.jsonl"), std::string(R"({"text": "x"})") + "\n" + line + "\n"));
      const auto read = read_training_file(path("bad.jsonl"));
      QVERIFY2(!read.ok(), line);
      QCOMPARE(read.error().code, ErrorCode::kBadData);
      QCOMPARE(read.error().place, std::string("line 2"));
    }
    must(write_text_file(path("bad.jsonl"), std::string(200000, '[')));
    QVERIFY(!read_training_file(path("bad.jsonl")).ok());
    must(write_text_file(path("bad.jsonl"), "\n"));
    QVERIFY(!read_training_file(path("bad.jsonl")).ok());
  }

  // The loss is on the answers and their ends alone, whatever the template does with the turns before.
  void answers_alone_are_learned() {
    const auto read = [&](const char* model, json line) { return read_line(model, line); };
    const json turns = {{"messages", {{{"role", "user"}, {"content", "ab"}}, {{"role", "assistant"}, {"content", "cd"}}, {{"role", "user"}, {"content", "ef"}},
                                      {{"role", "assistant"}, {"content", "gh"}}}}};
    auto examples = read("chat", turns);
    QCOMPARE(examples.size(), std::size_t{1});
    QCOMPARE(text_of(examples[0]), std::string("<u>ab<e> <a>cd<e> <u>ef<e> <a>gh<e>"));
    QCOMPARE(learned_text(examples[0], *chat_.tokenizer), std::string("cd<e>|gh<e>"));
    QCOMPARE(examples[0].prompt, 6);
    // Earlier answers that change: each gets a text of its own.
    examples = read("forgetful", turns);
    QCOMPARE(examples.size(), std::size_t{2});
    QCOMPARE(text_of(examples[0]), std::string("<u>ab<e> <a>cd<e>"));
    QCOMPARE(text_of(examples[1]), std::string("<u>ab<e> <a>x<e> <u>ef<e> <a>gh<e>"));
    QCOMPARE(learned_text(examples[1], *chat_.tokenizer), std::string("gh<e>"));
    // A message that isn't to be learned, a prompt alone, an answer that was cut at the service's limit.
    json first_only = turns;
    first_only["messages"][3]["weight"] = 0;
    QCOMPARE(learned_text(read("chat", first_only)[0], *chat_.tokenizer), std::string("cd<e>"));
    examples = read("chat", {{"prompt", "ab"}});
    QVERIFY(examples[0].prompt_only());
    QCOMPARE(text_of(examples[0]), std::string("<u>ab<e> <a>"));
    examples = read("chat", {{"prompt", "ab"}, {"choices", json::array({{{"message", {{"content", "cd"}}}, {"finish_reason", "length"}}})}});
    QCOMPARE(learned_text(examples[0], *chat_.tokenizer), std::string("cd"));
    // Without a template a prompt and its answer are one text; messages are refused.
    examples = read("plain", {{"prompt", "ab"}, {"answer", "cd"}, {"weight", 0.5}});
    QCOMPARE(text_of(examples[0]), std::string("abcd"));
    QCOMPARE(learned_text(examples[0], *chat_.tokenizer), std::string("cd"));
    QCOMPARE(examples[0].weight, 0.5f);
    must(write_text_file(path("one.jsonl"), turns.dump() + "\n"));
    const Model plain = must(open_model(path("plain")));
    const auto refused = read_text({.train = path("one.jsonl"), .validation_share = 0}, 1, {.student = text_side(plain)}, 41, {});
    QCOMPARE(refused.error().code, ErrorCode::kMissingPart);
    QCOMPARE(refused.error().place, std::string("line 1"));
    QVERIFY(!refused.error().file.empty());
  }

  void long_ones_are_cut_and_prompts_stay_on_one_side() {
    std::string lines;
    for (int i = 0; i < 60; ++i)
      for (const char* answer : {"ab", "abcdefghijklmnopqrstuvwxyz"})
        lines += json{{"prompt", "q" + std::to_string(i)}, {"answer", answer}}.dump() + "\n";
    lines += json{{"prompt", std::string(100, 'a')}, {"answer", "b"}}.dump() + "\n";
    must(write_text_file(path("many.jsonl"), lines));
    const TrainingData data = must(read_text({.train = path("many.jsonl"), .validation_share = 0.3, .context = 20}, 1, {.student = text_side(chat_)}, 41, {}));
    QCOMPARE(data.truncated, 61);
    QCOMPARE(data.train.size() + data.validation.size(), std::size_t{120});
    QVERIFY(data.validation.size() > 20 && data.validation.size() < 60);
    std::set<std::string> prompts;
    for (const TrainingExample& example : data.train) prompts.insert(text_of({.ids = {example.ids.begin(), example.ids.begin() + example.prompt}}));
    for (const TrainingExample& example : data.validation) QVERIFY(!prompts.contains(text_of({.ids = {example.ids.begin(), example.ids.begin() + example.prompt}})));
    for (const TrainingExample& example : data.train) QVERIFY(example.ids.size() <= 20);
    QCOMPARE(data.report.answers, 120);
    QCOMPARE(data.report.longest, 20);
    QVERIFY(data.report.learned_tokens > 0 && data.report.learned_tokens < data.report.tokens);
    QVERIFY(data.report.covered > 0.9 && data.report.new_pairs > 0 && data.report.new_pairs < 1);
  }

  // Stored probabilities become soft targets where the student has the same token at the same place.
  void stored_probabilities() {
    const auto scored = [](const char* token, std::vector<std::pair<const char*, double>> top) {
      json out = {{"token", token}, {"logprob", top.front().second}, {"top_logprobs", json::array()}};
      for (const auto& [name, logarithm] : top) out["top_logprobs"].push_back({{"token", name}, {"logprob", logarithm}, {"bytes", nullptr}});
      return out;
    };
    json line = {{"prompt", "ab"},
                 {"choices", {{{"message", {{"content", "cde"}}}, {"finish_reason", "stop"},
                               {"logprobs", {{"content", {scored("c", {{"c", std::log(0.6)}, {"d", std::log(0.3)}, {"zz", -4}}), scored("de", {{"de", -0.1}})}}}}}}}};
    auto examples = read_line("chat", line);
    QCOMPARE(examples[0].given.size(), std::size_t{1});   // "de" is two tokens of the student's
    const auto& [row, kept] = examples[0].given.front();
    QCOMPARE(row, static_cast<std::int32_t>(examples[0].prompt) - 1);
    QCOMPARE(kept.classes, (std::vector<std::int32_t>{4, 5}));
    QVERIFY(near(static_cast<double>(kept.probabilities[0]), 0.6, 1e-6, "first") && near(static_cast<double>(kept.probabilities[1]), 0.3, 1e-6, "second"));
    // Through the whole path, without a teacher to ask.
    std::string lines;
    for (int i = 0; i < 12; ++i) {
      line["prompt"] = "q" + std::to_string(i);
      lines += line.dump() + "\n";
    }
    must(write_text_file(path("scored.jsonl"), lines));
    DistillRecipe recipe = chat_recipe("scored.jsonl");
    recipe.loss.logits = {.forward_kl = 1, .temperature = 1};
    recipe.training.steps = 20;
    const DistillReport report = must(distill::distill(recipe, path("scored"), 1, {}));
    QVERIFY(report.data.given > 0);
    QVERIFY(report.outcome.after->divergence < 0.7 * report.outcome.before->divergence);
    recipe.loss.logits.temperature = 2;
    QCOMPARE(distill::distill(recipe, path("tempered"), 1, {}).error().place, std::string("loss.temperature"));
    must(write_text_file(path("scored.jsonl"), json{{"prompt", "a"}, {"answer", "b"}}.dump() + "\n" + json{{"prompt", "c"}, {"answer", "b"}}.dump() + "\n"));
    recipe.loss.logits.temperature = 1;
    recipe.data.validation_share = 0;
    QCOMPARE(distill::distill(recipe, path("nobody"), 1, {}).error().place, std::string("loss"));
  }

  // A student learns the answers of a teacher that isn't there.
  void sequence_level() {
    std::string lines;
    for (int i = 0; i < 40; ++i) lines += json{{"prompt", "q" + std::to_string(i)}, {"answer", "fee"}}.dump() + "\n";
    must(write_text_file(path("answers.jsonl"), lines));
    DistillRecipe recipe = chat_recipe("answers.jsonl");
    recipe.loss.logits = {.cross_entropy = 1};
    recipe.training.steps = 40;
    const DistillReport report = must(distill::distill(recipe, path("wrote"), 1, {}));
    QVERIFY2(report.outcome.after->cross_entropy < 0.4 * report.outcome.before->cross_entropy,
             qPrintable(QString("%1 to %2").arg(report.outcome.before->cross_entropy).arg(report.outcome.after->cross_entropy)));
    QCOMPARE(report.teacher_parameters, 0);
    QCOMPARE(report.data.answers, 40);
  }

  // A teacher with another template and other numbers reads its own text of the same conversation.
  void another_template() {
    write_letter_model(path("other"), [] {
      const tiny::Spec spec = {.tied = true, .vocabulary = 42, .hidden = 32, .head_dim = 8, .feed_forward = 48};
      return spec;
    }());
    auto tokenizer = json::parse(must(read_text_file(path("other/tokenizer.json"))));
    int id = 38;
    for (const char* name : {"<e>", "<s>", "<q>", "<r>"})
      tokenizer["added_tokens"].push_back({{"id", id++}, {"content", name}, {"special", true}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}});
    must(write_text_file(path("other/tokenizer.json"), tokenizer.dump()));
    must(write_text_file(path("other/tokenizer_config.json"),
                         json{{"eos_token", "<e>"}, {"chat_template", "<s>{% for m in messages %}{% if m['role'] == 'assistant' %}<r>{{ m['content'] }}<e>{% else %}<q>{{ m['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<r>{% endif %}"}}.dump()));
    const Model other = must(open_model(path("other")));
    const TrainingLine line{.kind = LineKind::kConversation, .messages = {{"user", "ab"}, {"assistant", "cd", true}}};
    const Readers readers{.student = text_side(chat_), .teachers = {text_side(other)}};
    const auto examples = must(ChatReader(readers, 41, false).read(line));
    QCOMPARE(examples.size(), std::size_t{1});
    const TeacherText& text = examples[0].teachers.front();
    const PieceMap map(*chat_.tokenizer, 41, *other.tokenizer);
    QCOMPARE(text.spans.size(), std::size_t{1});
    const auto aligned = map.align(examples[0].ids, text.ids, text.spans.front());
    QCOMPARE(aligned, (std::vector<AlignedToken>{{6, 5}, {7, 6}, {8, 7}}));   // c, d and the end of the answer
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }
  std::string text_of(const TrainingExample& example) const {
    std::string out;
    for (const TokenId id : example.ids) out += chat_.tokenizer->piece(id);
    return out;
  }
  std::vector<TrainingExample> read_line(const char* model, const json& line) {
    must(write_text_file(path("one.jsonl"), line.dump() + "\n"));
    const TrainingFile file = must(read_training_file(path("one.jsonl")));
    const Model reader = must(open_model(path(model)));
    const Readers readers{.student = text_side(reader)};
    return must(ChatReader(readers, 41, true).read(file.lines.front()));
  }
  DistillRecipe chat_recipe(const char* data) const {
    DistillRecipe recipe;
    recipe.student.model = path("chat");
    recipe.data = {.train = path(data), .validation_share = 0.2, .context = 32};
    recipe.training.batch = 4;
    recipe.training.rate = 5e-3;
    recipe.training.validate_every = 10;
    recipe.type = "f32";
    return recipe;
  }

  QTemporaryDir folder_;
  Model chat_;
};

QTEST_APPLESS_MAIN(SequencesTest)
#include "sequences_test.moc"
