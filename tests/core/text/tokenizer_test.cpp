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

}  // namespace

class TokenizerTest : public QObject {
  Q_OBJECT

 private slots:
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
