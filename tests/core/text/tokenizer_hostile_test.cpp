// Files and texts that mean harm: they may be refused, and must neither crash nor hang.
#include <QtTest>

#include <chrono>
#include <fstream>
#include <cctype>
#include <random>
#include <sstream>
#include <thread>

#include "core/base/error_text.h"
#include "core/formats/checkpoint.h"
#include "core/text/tokenizer.h"

using namespace retort;

namespace {

std::string own_file(const std::string& name) {
  std::ifstream in(RETORT_TEST_DATA "/tokenizer/" + name + "/tokenizer.json", std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

const char* const kNames[] = {"bpe-byte-level", "bpe-byte-fallback", "bpe-suffix", "wordpiece", "unigram"};

double seconds_of(auto work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string gguf_key(const Result<std::shared_ptr<const Tokenizer>>& result) { return result.ok() ? "" : result.error().place; }

Checkpoint gguf_with(const std::string& model) {
  Checkpoint checkpoint;
  checkpoint.metadata.set("tokenizer.ggml.model", model);
  return checkpoint;
}

MetadataValue strings(std::vector<std::string> values) {
  return std::make_shared<const MetadataArray>(MetadataArray{std::move(values)});
}

}  // namespace

class TokenizerHostileTest : public QObject {
  Q_OBJECT

 private slots:
  void errors_name_the_key_data() {
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("place");
    const auto row = [](const char* name, const char* json, const char* place) { QTest::newRow(name) << json << place; };
    row("no JSON", "{", "tokenizer.json");
    row("a list", "[]", "tokenizer.json");
    row("no model", "{}", "model.vocab");
    row("no vocabulary", R"({"model": {"type": "BPE"}})", "model.vocab");
    row("unknown model", R"({"model": {"type": "Magic", "vocab": {}}})", "model.type");
    row("negative id", R"({"model": {"type": "BPE", "vocab": {"a": -1}}})", "model.vocab[0]");
    row("huge id", R"({"model": {"type": "BPE", "vocab": {"a": 4000000000}, "merges": []}})", "model.vocab");
    row("text for an id", R"({"model": {"type": "BPE", "vocab": {"a": "b"}}})", "model.vocab[0]");
    row("merge of three", R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]}})", "model.merges[0]");
    row("merge of one", R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]}})", "model.merges[0]");
    row("merge of strangers", R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}})", "model.merges[0]");
    row("merge into nothing", R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}})", "model.merges[0]");
    row("unigram by object", R"({"model": {"type": "Unigram", "vocab": {"a": 0}}})", "model.vocab");
    row("unigram without score", R"({"model": {"type": "Unigram", "vocab": [["a"]]}})", "model.vocab[0]");
    row("unknown id outside", R"({"model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]}})", "model.unk_id");
    row("wordpiece without unknown", R"({"model": {"type": "WordPiece", "vocab": {"a": 0}}})", "model.unk_token");
    row("broken expression", "{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": []}, \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(a\"}, \"behavior\": \"Isolated\", \"invert\": false}}", "pre_tokenizer.pattern.Regex");
    row("unclosed class", "{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": []}, \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"[a\"}, \"behavior\": \"Isolated\", \"invert\": false}}", "pre_tokenizer.pattern.Regex");
    row("unknown step", R"({"model": {"type": "BPE", "vocab": {}, "merges": []}, "normalizer": {"type": "Sequence", "normalizers": [{"type": "Magic"}]}})", "normalizer.normalizers[0].type");
    row("unknown behaviour", R"({"model": {"type": "BPE", "vocab": {}, "merges": []}, "pre_tokenizer": {"type": "Punctuation", "behavior": "Thrown"}})", "pre_tokenizer.behavior");
    row("charsmap", "{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": []}, \"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"/////w==\"}}", "normalizer.precompiled_charsmap");
    row("template", R"({"model": {"type": "BPE", "vocab": {}, "merges": []}, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}], "pair": [], "special_tokens": {}}})", "special_tokens");
    row("added token", R"({"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": [{"id": -4, "content": "x"}]})", "added_tokens[0].id");
  }

  void errors_name_the_key() {
    QFETCH(QString, json);
    QFETCH(QString, place);
    const auto result = tokenizer_from_json(json.toStdString());
    QVERIFY(!result.ok());
    QVERIFY2(result.error().place.find(place.toStdString()) != std::string::npos, error_text(result.error()).c_str());
  }

  void nesting_without_end() {
    std::string json = R"({"normalizer": )";
    for (int i = 0; i < 200000; ++i) json += R"({"type": "Sequence", "normalizers": [)";
    QVERIFY(!tokenizer_from_json(json).ok());
    QVERIFY(!tokenizer_from_json(std::string(1000000, '[')).ok());
  }

  // Flipped bytes, cut ends, doubled parts: a Result either way, and what loads must encode and decode.
  void mutated_files() {
    std::mt19937 random(7);
    int loaded = 0;
    for (const char* name : kNames) {
      const std::string original = own_file(name);
      QVERIFY(!original.empty());
      for (int round = 0; round < 150; ++round) {
        std::string json = original;
        for (unsigned i = 0; i < 1 + random() % 4; ++i) {
          const std::size_t at = random() % json.size();
          // Most changes keep the JSON whole, so that what lies behind its parser is reached as well.
          switch (random() % 8) {
            case 0: json[at] = static_cast<char>(random() % 256); break;
            case 1: json.resize(at + 1); break;
            case 2: json.insert(at, original, random() % original.size(), random() % 40); break;
            default: if (std::isalnum(static_cast<unsigned char>(json[at]))) json[at] = std::isdigit(static_cast<unsigned char>(json[at])) ? '7' : 'q'; break;
          }
        }
        const auto tokenizer = tokenizer_from_json(json);
        if (!tokenizer.ok()) continue;
        ++loaded;
        (*tokenizer)->decode((*tokenizer)->encode("Some text, 12 \xC3\xA9 <mask>", true), true);
      }
    }
    qInfo("%d mutated files loaded", loaded);
    QVERIFY(loaded > 50);
  }

  void any_bytes_are_text() {
    std::mt19937 random(11);
    for (const char* name : kNames) {
      const auto tokenizer = tokenizer_from_json(own_file(name));
      QVERIFY(tokenizer.ok());
      for (int round = 0; round < 300; ++round) {
        std::string text(random() % 60, '\0');
        for (char& c : text) c = static_cast<char>(random() % (round % 2 ? 256 : 128));
        const auto ids = (*tokenizer)->encode(text, true);
        for (const TokenId id : ids) QVERIFY(id >= 0 && static_cast<std::size_t>(id) < (*tokenizer)->size());
        (*tokenizer)->decode(ids, false);
      }
      std::vector<TokenId> strange = {-1, -2147483647, 2147483647, 0, 5};
      (*tokenizer)->decode(strange, false);
    }
    const auto tokenizer = tokenizer_from_json(own_file("bpe-byte-level"));
    QCOMPARE((*tokenizer)->decode((*tokenizer)->encode("a\xFF\xE2\x82", false), true), std::string(" a\xEF\xBF\xBD\xEF\xBF\xBD"));
  }

  // A megabyte without a boundary takes time in proportion to its length, not to its square.
  void long_words() {
    const std::size_t size = 1 << 20;
    std::string marks = "a";
    while (marks.size() < size) marks += "\xCC\x81\xCC\xA3";  // combining marks in the wrong order
    const std::string texts[] = {std::string(size, 'a'), std::string(size, ' '), std::string(size, '\n'), std::string(size, '1'), marks,
                                 std::string(size, '<'), std::string(size, '\xFF')};
    for (const char* name : kNames) {
      const auto tokenizer = tokenizer_from_json(own_file(name));
      QVERIFY(tokenizer.ok());
      for (const std::string& text : texts) {
        const double seconds = seconds_of([&] { (*tokenizer)->encode(text, true); });
        QVERIFY2(seconds < 20, (std::string(name) + " took " + std::to_string(seconds) + " s for " + text.substr(0, 4)).c_str());
      }
    }
  }

  void threads_agree() {
    const auto tokenizer = tokenizer_from_json(own_file("bpe-byte-level"));
    QVERIFY(tokenizer.ok());
    std::string text;
    for (int i = 0; i < 2000; ++i) text += " word" + std::to_string(i * 7919 % 1000) + (i % 3 ? "," : "\n");
    const auto expected = (*tokenizer)->encode(text, true);
    std::vector<std::vector<TokenId>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) threads.emplace_back([&] { for (int i = 0; i < 5; ++i) result = (*tokenizer)->encode(text, true); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& result : results) QCOMPARE(result, expected);
  }

  void gguf_errors_name_the_key() {
    QCOMPARE(gguf_key(load_tokenizer(Checkpoint{})), std::string("tokenizer.ggml.model"));
    Checkpoint checkpoint = gguf_with("gpt2");
    QCOMPARE(gguf_key(load_tokenizer(checkpoint)), std::string("tokenizer.ggml.tokens"));
    checkpoint.metadata.set("tokenizer.ggml.tokens", strings({"a", "b", "ab", "ab", ""}));
    QCOMPARE(gguf_key(load_tokenizer(checkpoint)), std::string("tokenizer.ggml.merges"));
    checkpoint.metadata.set("tokenizer.ggml.merges", strings({"a b", "a c"}));
    const auto loaded = load_tokenizer(checkpoint);
    QVERIFY2(loaded.ok(), loaded.ok() ? "" : error_text(loaded.error()).c_str());
    QCOMPARE((*loaded)->encode("abba", false), (std::vector<TokenId>{2, 1, 0}));
    checkpoint.metadata.set("tokenizer.ggml.pre", std::string("no-such"));
    QCOMPARE(gguf_key(load_tokenizer(checkpoint)), std::string("tokenizer.ggml.pre"));
    checkpoint.metadata.set("tokenizer.ggml.scores", std::make_shared<const MetadataArray>(MetadataArray{std::vector<float>{1.0f}}));
    QCOMPARE(gguf_key(load_tokenizer(checkpoint)), std::string("tokenizer.ggml.scores"));
    QCOMPARE(gguf_key(load_tokenizer(gguf_with("unheard-of"))), std::string("tokenizer.ggml.tokens"));
  }

  // SentencePiece by scores: the best-scored join first, unknown characters as bytes, control tokens found in the text.
  void gguf_sentencepiece() {
    Checkpoint checkpoint = gguf_with("llama");
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<std::int32_t> types = {2, 3, 3};
    std::vector<float> scores = {0, 0, 0};
    for (int b = 0; b < 256; ++b) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(b));
      tokens.emplace_back(name);
      types.push_back(6);
      scores.push_back(0);
    }
    const std::vector<std::string> pieces = {"\xE2\x96\x81", "a", "b", "c", "bc", "ab", "\xE2\x96\x81" "ab", "abc"};
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      tokens.push_back(pieces[i]);
      types.push_back(1);
      scores.push_back(-static_cast<float>(i));
    }
    checkpoint.metadata.set("tokenizer.ggml.tokens", strings(tokens));
    checkpoint.metadata.set("tokenizer.ggml.token_type", std::make_shared<const MetadataArray>(MetadataArray{types}));
    checkpoint.metadata.set("tokenizer.ggml.scores", std::make_shared<const MetadataArray>(MetadataArray{scores}));
    checkpoint.metadata.set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
    checkpoint.metadata.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
    const auto loaded = load_tokenizer(checkpoint);
    QVERIFY2(loaded.ok(), loaded.ok() ? "" : error_text(loaded.error()).c_str());
    const Tokenizer& t = **loaded;
    const TokenId first = 259;  // ▁
    QVERIFY(t.adds_bos);
    // "bc" scores above "ab", so ▁abc becomes ▁ + a + bc, and then a + bc joins to abc.
    QCOMPARE(t.encode("abc", true), (std::vector<TokenId>{1, first, first + 7}));
    QCOMPARE(t.encode("ab", false), (std::vector<TokenId>{first + 6}));
    QCOMPARE(t.encode("a\xC3\xA9</s>b", false), (std::vector<TokenId>{first, first + 1, 3 + 0xC3, 3 + 0xA9, 2, first, first + 2}));
    QCOMPARE(t.decode(t.encode("abc a\xC3\xA9 c", true), true), std::string("abc a\xC3\xA9 c"));
    QCOMPARE(t.end_of_generation, std::vector<TokenId>{2});
  }
};

QTEST_APPLESS_MAIN(TokenizerHostileTest)
#include "tokenizer_hostile_test.moc"
