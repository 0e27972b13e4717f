// Tokenizers against the cases of the model's own library: every id and every byte of the decoded text.
#include <QtTest>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error_text.h"
#include "core/formats/checkpoint.h"
#include "core/text/tokenizer.h"

using namespace retort;
using Json = nlohmann::json;

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string shown(const std::vector<TokenId>& ids) {
  std::string out;
  for (const TokenId id : ids) out += std::to_string(id) + " ";
  return out;
}

// The number of cases that differ; the first few are printed.
int differences(const Tokenizer& tokenizer, const Json& cases) {
  int wrong = 0;
  const auto check = [&wrong](const Json& c, const char* what, const std::string& actual, const std::string& expected) {
    if (actual == expected) return;
    if (++wrong <= 5)
      qWarning("%s of %s:\n  actual   %s\n  expected %s", what, c.at("text").dump().c_str(), actual.c_str(), expected.c_str());
  };
  for (const Json& c : cases) {
    const auto text = c.at("text").get<std::string>();
    const auto ids = c.at("ids").get<std::vector<TokenId>>();
    check(c, "ids", shown(tokenizer.encode(text, true)), shown(ids));
    check(c, "ids_no_special", shown(tokenizer.encode(text, false)), shown(c.at("ids_no_special").get<std::vector<TokenId>>()));
    check(c, "decoded", tokenizer.decode(ids, true), c.at("decoded").get<std::string>());
    check(c, "decoded_keep_special", tokenizer.decode(ids, false), c.at("decoded_keep_special").get<std::string>());
  }
  return wrong;
}

std::shared_ptr<const Tokenizer> load(const std::filesystem::path& folder) {
  auto tokenizer = tokenizer_from_json(read_file(folder / "tokenizer.json"));
  if (!tokenizer.ok()) {
    qWarning("%s: %s", folder.c_str(), error_text(tokenizer.error()).c_str());
    return nullptr;
  }
  return *tokenizer;
}

std::filesystem::path shared_folder() {
  const char* shared = std::getenv("RETORT_SHARED");
  return shared != nullptr && *shared != '\0' ? std::filesystem::path(shared) / "tokenizers" : std::filesystem::path();
}

// The model of steps.json spells words out byte by byte, U+E000 before each character but a word's first. This gives the
// words back, U+E001 between them.
std::string words_of(const std::vector<TokenId>& ids) {
  std::string bytes, out;
  for (const TokenId id : ids) bytes += static_cast<char>(static_cast<unsigned char>(id));
  for (std::size_t i = 0; i < bytes.size();) {
    const bool inside = bytes.compare(i, 3, "\xEE\x80\x80") == 0;
    if (inside) i += 3;
    else if (i > 0) out += "\xEE\x80\x81";
    do out += bytes[i++];
    while (i < bytes.size() && (static_cast<unsigned char>(bytes[i]) & 0xC0) == 0x80);
  }
  return out;
}

}  // namespace

class TokenizerTest : public QObject {
  Q_OBJECT

 private slots:
  void own_cases_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"bpe-byte-level", "bpe-byte-fallback", "bpe-suffix", "wordpiece", "unigram"})
      QTest::newRow(name) << name;
  }

  void own_cases() {
    QFETCH(QString, name);
    const auto folder = std::filesystem::path(RETORT_TEST_DATA "/tokenizer") / name.toStdString();
    const auto tokenizer = load(folder);
    QVERIFY(tokenizer);
    QCOMPARE(differences(*tokenizer, Json::parse(read_file(folder / "cases.json"))), 0);
  }

  // Every normalizer and pre-tokenizer by itself, and Oniguruma's syntax.
  void steps() {
    const Json file = Json::parse(read_file(RETORT_TEST_DATA "/tokenizer/steps.json"));
    int wrong = 0;
    for (const Json& step : file.at("steps")) {
      Json json = file.at("base");
      json["normalizer"] = step.at("normalizer");
      json["pre_tokenizer"] = step.at("pre_tokenizer");
      const std::string name = step.at("normalizer").dump() + " " + step.at("pre_tokenizer").dump();
      const auto tokenizer = tokenizer_from_json(json.dump());
      QVERIFY2(tokenizer.ok(), tokenizer.ok() ? "" : (name + ": " + error_text(tokenizer.error())).c_str());
      for (std::size_t i = 0; i < file.at("texts").size(); ++i) {
        const auto actual = words_of((*tokenizer)->encode(file.at("texts")[i].get<std::string>(), true));
        const auto expected = step.at("expected")[i].get<std::string>();
        if (actual == expected || ++wrong > 20) continue;
        qWarning("%s of %s\n  actual   %s\n  expected %s", name.c_str(), file.at("texts")[i].dump().c_str(), Json(actual).dump().c_str(),
                 Json(expected).dump().c_str());
      }
    }
    QCOMPARE(wrong, 0);
  }

  // What streaming output appends, token by token, is the text.
  void pieces_spell_the_text() {
    const auto load_own = [](const char* name) { return load(std::filesystem::path(RETORT_TEST_DATA "/tokenizer") / name); };
    const std::string text = "weights läuft \xE3\x83\xA2\xE3\x83\x87\xE3\x83\xAB \xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD end";
    for (const char* name : {"bpe-byte-level", "bpe-byte-fallback", "unigram"}) {
      const auto tokenizer = load_own(name);
      QVERIFY(tokenizer);
      // The Unigram's decoder has no ByteFallback: bytes stay spelled out there, as in the library.
      const std::string shown = std::string_view(name) == "unigram" ? text.substr(0, text.find(" \xF0")) : text;
      std::string spelled;
      for (const TokenId id : tokenizer->encode(shown, false)) spelled += tokenizer->piece_bytes(id);
      QCOMPARE(spelled, " " + shown);  // all three put a space before the first word
      QVERIFY(tokenizer->piece(1 << 20).empty());
      QVERIFY(tokenizer->piece_bytes(-1).empty());
    }
    QCOMPARE(load_own("wordpiece")->piece_bytes(*load_own("wordpiece")->find("##s")), std::string("s"));
  }

  void roles_come_from_the_configuration() {
    const std::string json = read_file(RETORT_TEST_DATA "/tokenizer/bpe-byte-fallback/tokenizer.json");
    const auto told = tokenizer_from_json(json, R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<unk>", "pad_token": null})");
    QVERIFY(told.ok());
    QCOMPARE((*told)->bos.value_or(-1), 1);
    QCOMPARE((*told)->eos.value_or(-1), 2);
    QCOMPARE((*told)->unknown.value_or(-1), 0);
    QVERIFY(!(*told)->padding);
    QVERIFY((*told)->adds_bos);
    QCOMPARE((*told)->end_of_generation, std::vector<TokenId>{2});
    QCOMPARE((*told)->kind(), std::string_view("bpe"));
    QVERIFY((*told)->is_special(1) && !(*told)->is_special(40));
    const auto guessed = tokenizer_from_json(json);
    QVERIFY(guessed.ok());
    QCOMPARE((*guessed)->bos.value_or(-1), 1);
    QCOMPARE((*guessed)->eos.value_or(-1), 2);
  }

  void shared_cases_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"smollm2", "minilm-wordpiece", "bpe-llama3", "bpe-llama2-bytefallback",
                             "bpe-metaspace-bytefallback", "unigram-nfkc", "unigram-precompiled", "bpe-small-digits"})
      QTest::newRow(name) << name;
  }

  void shared_cases() {
    if (shared_folder().empty()) QSKIP("RETORT_SHARED is not set");
    QFETCH(QString, name);
    const auto folder = shared_folder() / name.toStdString();
    const auto tokenizer = load(folder);
    QVERIFY(tokenizer);
    const Json cases = Json::parse(read_file(folder / "cases.json"));
    QVERIFY(cases.size() > 100);
    QCOMPARE(differences(*tokenizer, cases), 0);
  }

  void shared_pairs() {
    if (shared_folder().empty()) QSKIP("RETORT_SHARED is not set");
    const auto folder = shared_folder() / "minilm-wordpiece";
    const auto tokenizer = load(folder);
    QVERIFY(tokenizer);
    for (const Json& c : Json::parse(read_file(folder / "pairs.json"))) {
      const TokenPair pair = tokenizer->encode_pair(c.at("text").get<std::string>(), c.at("text_pair").get<std::string>(), true);
      QCOMPARE(shown(pair.ids), shown(c.at("ids").get<std::vector<TokenId>>()));
      QCOMPARE(shown(pair.type_ids), shown(c.at("type_ids").get<std::vector<TokenId>>()));
    }
  }

  // The tokenizer in a GGUF file and the tokenizer.json it was made from agree.
  void gguf_agrees_with_json_data() {
    QTest::addColumn<QString>("path");
    QTest::addColumn<QString>("name");
    QTest::newRow("tiny-llama") << (shared_folder().parent_path() / "gguf" / "tiny-llama-f16.gguf").c_str() << "bpe-small-digits";
    const char* sample = std::getenv("RETORT_SAMPLE_MODEL");  // SmolLM2-135M-Instruct, any type
    QTest::newRow("smollm2") << (sample != nullptr ? sample : "") << "smollm2";
  }

  void gguf_agrees_with_json() {
    if (shared_folder().empty()) QSKIP("RETORT_SHARED is not set");
    QFETCH(QString, path);
    QFETCH(QString, name);
    if (path.isEmpty()) QSKIP("RETORT_SAMPLE_MODEL is not set");
    const auto checkpoint = open_checkpoint(path.toStdString());
    QVERIFY2(checkpoint.ok(), checkpoint.ok() ? "" : error_text(checkpoint.error()).c_str());
    const auto tokenizer = load_tokenizer(**checkpoint);
    QVERIFY2(tokenizer.ok(), tokenizer.ok() ? "" : error_text(tokenizer.error()).c_str());
    QCOMPARE(differences(**tokenizer, Json::parse(read_file(shared_folder() / name.toStdString() / "cases.json"))), 0);
    QVERIFY((*tokenizer)->eos.has_value());
    QVERIFY(!(*tokenizer)->end_of_generation.empty());
  }
};

QTEST_APPLESS_MAIN(TokenizerTest)
#include "tokenizer_test.moc"
