// Tokenizers from before tokenizer.json: SentencePiece models, vocab.txt, vocab.json with merges.txt. Cases made with the
// libraries sentencepiece and transformers (tests/peers/older_tokenizers_peer.py).
#include <QTest>

#include <filesystem>
#include <fstream>
#include <random>

#include <nlohmann/json.hpp>

#include "core/base/error_text.h"
#include "core/base/files.h"
#include "core/text/sentencepiece.h"
#include "core/text/tokenizer.h"

using namespace retort;

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  if (!fs::exists(path)) return {};
  auto text = read_text_file(path);
  return text.ok() ? *text : std::string();
}

Checkpoint checkpoint_of(const fs::path& folder) {
  Checkpoint checkpoint;
  checkpoint.path = folder;
  checkpoint.format = CheckpointFormat::kSafetensors;
  checkpoint.tokenizer_config_json = text_of(folder / "tokenizer_config.json");
  checkpoint.vocab_txt = text_of(folder / "vocab.txt");
  checkpoint.vocab_json = text_of(folder / "vocab.json");
  checkpoint.merges_txt = text_of(folder / "merges.txt");
  checkpoint.sentencepiece_model = text_of(folder / "tokenizer.model");
  return checkpoint;
}

std::string shown(const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) text += std::to_string(id) + " ";
  return text;
}

}  // namespace

class OlderTokenizersTest : public QObject {
  Q_OBJECT

 private slots:
  void cases_data() {
    QTest::addColumn<QString>("folder");
    for (const auto& entry : fs::directory_iterator(RETORT_TEST_DATA "/older_tokenizers"))
      QTest::newRow(entry.path().filename().c_str()) << QString::fromStdString(entry.path().string());
  }
  void cases() {
    QFETCH(QString, folder);
    const fs::path path = folder.toStdString();
    const auto tokenizer = load_tokenizer(checkpoint_of(path));
    QVERIFY2(tokenizer.ok(), tokenizer.ok() ? "" : error_text(tokenizer.error()).c_str());
    std::ifstream file(path / "cases.json");
    const nlohmann::json cases = nlohmann::json::parse(file);
    int wrong = 0;
    for (const auto& one : cases) {
      const std::string text = one["text"];
      const auto ids = (*tokenizer)->encode(text, true);
      const auto expected = one["ids"].get<std::vector<TokenId>>();
      if (ids != expected) {
        ++wrong;
        qWarning("%s: ids %s, expected %s", text.c_str(), shown(ids).c_str(), shown(expected).c_str());
        continue;
      }
      const std::string decoded = (*tokenizer)->decode(ids, true);
      // sentencepiece writes " ⁇ " for the unknown piece; here it is the piece's own name.
      if (decoded != one["decoded"].get<std::string>() && one["decoded"].get<std::string>().find("⁇") == std::string::npos) {
        ++wrong;
        qWarning("%s: decoded %s, expected %s", text.c_str(), decoded.c_str(), one["decoded"].get<std::string>().c_str());
      }
    }
    QCOMPARE(wrong, 0);
  }

  void hostile_models() {
    const std::string whole = text_of(RETORT_TEST_DATA "/older_tokenizers/bpe-bytes/tokenizer.model");
    QVERIFY(!whole.empty());
    for (std::size_t cut = 0; cut < whole.size(); cut += 13)
      static_cast<void>(text::tokenizer_from_sentencepiece(std::string_view(whole).substr(0, cut), "", "").ok());
    std::mt19937 random(5);
    std::size_t sum = 0;
    for (int round = 0; round < 600; ++round) {
      std::string bytes = whole;
      for (unsigned i = 0; i <= random() % 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
      const auto tokenizer = text::tokenizer_from_sentencepiece(bytes, "", "");
      if (tokenizer.ok()) sum += (*tokenizer)->encode("Hello <sep> wörld 東京", true).size();
    }
    QVERIFY(sum > 0);
  }

  void refuses_with_reasons() {
    const auto refusal = [](Checkpoint checkpoint) {
      const auto tokenizer = load_tokenizer(checkpoint);
      return tokenizer.ok() ? std::string("loaded") : error_text(tokenizer.error());
    };
    Checkpoint checkpoint;
    checkpoint.format = CheckpointFormat::kSafetensors;
    QVERIFY(refusal(checkpoint).find("tokenizer.json") != std::string::npos);
    checkpoint.vocab_json = "{\"a\": 0}";
    checkpoint.merges_txt = "#version: 0.2\na b c\n";
    QVERIFY(refusal(checkpoint).find("line 2") != std::string::npos);
    checkpoint.tokenizer_config_json = R"({"tokenizer_class": "CLIPTokenizer"})";
    QVERIFY(refusal(checkpoint).find("CLIPTokenizer") != std::string::npos);
    checkpoint = {};
    checkpoint.format = CheckpointFormat::kSafetensors;
    checkpoint.vocab_txt = "a\nb\n";
    QVERIFY(refusal(checkpoint).find("[UNK]") != std::string::npos);
    checkpoint.vocab_txt = "\xff\xfe";
    QVERIFY(refusal(checkpoint).find("UTF-8") != std::string::npos);
  }
};

QTEST_APPLESS_MAIN(OlderTokenizersTest)
#include "older_tokenizers_test.moc"
