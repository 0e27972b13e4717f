// Generation over a session that says what it is told to: order of calls, ends, characters that span tokens.
#include <QTest>
#include <algorithm>
#include <cmath>

#include "core/model/generate.h"

using namespace retort;

namespace {

// Token t is the byte t; 256 is the end, 257 another special token.
class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer() { end_of_generation = {256}; }
  std::string_view kind() const noexcept override { return "bpe"; }
  std::size_t size() const noexcept override { return 258; }
  std::vector<TokenId> encode(std::string_view text, bool) const override {
    std::vector<TokenId> out;
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
    return out;
  }
  TokenPair encode_pair(std::string_view, std::string_view, bool) const override { return {}; }
  std::string decode(std::span<const TokenId> ids, bool) const override {
    std::string out;
    for (const TokenId id : ids) out += piece_bytes(id);
    return out;
  }
  std::string piece(TokenId id) const override { return piece_bytes(id); }
  std::string piece_bytes(TokenId id) const override {
    return id < 256 ? std::string(1, static_cast<char>(id)) : "<special>";
  }
  bool is_special(TokenId id) const noexcept override { return id >= 256; }
  std::optional<TokenId> find(std::string_view) const override { return std::nullopt; }
};

// Makes the tokens of `script` likely, one after another.
class ScriptedSession final : public Session {
 public:
  explicit ScriptedSession(std::vector<TokenId> script) : script_(std::move(script)), logits_(258) {}
  Result<void> run(std::span<const TokenId> tokens, const JobContext& job) override {
    RETORT_CHECK(job.check());
    given.insert(given.end(), tokens.begin(), tokens.end());
    rows_ = static_cast<std::int64_t>(tokens.size());
    return {};
  }
  std::span<const float> hidden() const override { return {}; }
  Result<std::span<const float>> logits(std::int64_t first, std::int64_t count) override {
    if (first != rows_ - 1 || count != 1) return Error{.code = ErrorCode::kInternal, .place = "row"};
    std::fill(logits_.begin(), logits_.end(), filler);
    logits_[static_cast<std::size_t>(script_.at(step_++))] = 4;
    return std::span<const float>(logits_);
  }
  Result<void> head(std::span<const float>, std::span<float>) override { return {}; }
  std::int64_t position() const noexcept override { return static_cast<std::int64_t>(given.size()); }
  void rewind(std::int64_t) override {}
  MemoryByPart memory() const noexcept override { return {}; }
  void set_tap(Tap) override {}

  std::vector<TokenId> given;
  float filler = 0;

 private:
  std::vector<TokenId> script_;
  std::vector<float> logits_;
  std::size_t step_ = 0;
  std::int64_t rows_ = 0;
};

std::vector<TokenId> bytes(std::string_view text) { return ByteTokenizer().encode(text, false); }

std::string text_of(const GenerateResult& result) {
  std::string out;
  for (const GeneratedToken& token : result.tokens) out += token.text;
  return out;
}

}  // namespace

class GenerateTest : public QObject {
  Q_OBJECT

 private slots:
  void gives_whole_characters_and_ends_at_the_end_token() {
    std::vector<TokenId> script = bytes("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    script.push_back(257);
    script.push_back(256);
    script.push_back('x');
    ScriptedSession session(script);
    std::vector<std::string> pieces;
    const auto result = generate(session, ByteTokenizer(), bytes("hi"), {}, {}, [&](const GeneratedToken& token) {
      pieces.push_back(token.text);
      return true;
    });
    QVERIFY(result.ok());
    QVERIFY(result->ended);
    const std::vector<std::string> expected = {"a", "", "\xc3\xa9", "", "", "\xe2\x82\xac", "", "", "", "\xf0\x9f\x98\x80",
                                               "z", ""};
    QVERIFY(pieces == expected);
    QCOMPARE(text_of(*result), std::string("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"));
    // Every token but the last was fed back.
    QCOMPARE(session.given.size(), std::size_t{2 + 12});
    const double probability = std::exp(4.0) / (std::exp(4.0) + 257);
    QVERIFY(std::abs(result->tokens[0].probability - probability) < 1e-6);
    QVERIFY(std::is_sorted(result->tokens.begin(), result->tokens.end(),
                           [](const auto& a, const auto& b) { return a.seconds < b.seconds; }));
    QVERIFY(result->time_to_first_token > 0 && result->decode_tokens_per_second > 0);
  }

  void bytes_that_are_no_text_become_replacement_characters() {
    // A lone continuation, a character cut off by another, an overlong form.
    ScriptedSession session(bytes("\x80\xe2\x82z\xc0\xaf!"));
    GenerateOptions options;
    options.max_tokens = 7;
    const auto result = generate(session, ByteTokenizer(), bytes("p"), options, {}, {});
    QVERIFY(result.ok());
    const std::string r = "\xef\xbf\xbd";
    QCOMPARE(text_of(*result), r + r + "z" + r + r + "!");
    QVERIFY(!result->ended);
  }

  void goes_past_the_end_when_told_to() {
    ScriptedSession session({'a', 256, 'b'});
    GenerateOptions options;
    options.stop_at_end = false;
    options.max_tokens = 3;
    const auto result = generate(session, ByteTokenizer(), bytes("p"), options, {}, {});
    QVERIFY(result.ok());
    QCOMPARE(result->tokens.size(), std::size_t{3});
    QCOMPARE(text_of(*result), std::string("ab"));
  }

  void the_caller_stops_it() {
    ScriptedSession session(bytes("abcdef"));
    int calls = 0;
    auto result = generate(session, ByteTokenizer(), bytes("p"), {}, {}, [&](const GeneratedToken&) { return ++calls < 3; });
    QVERIFY(result.ok());
    QCOMPARE(result->tokens.size(), std::size_t{3});
    JobContext job;
    job.stop();
    result = generate(session, ByteTokenizer(), bytes("p"), {}, job, {});
    QCOMPARE(result.error().code, ErrorCode::kCanceled);
  }

  void refuses_options_without_sense() {
    ScriptedSession session(bytes("abc"));
    GenerateOptions options;
    QCOMPARE(generate(session, ByteTokenizer(), {}, options, {}, {}).error().code, ErrorCode::kBadArgument);
    options.temperature = -1;
    QCOMPARE(generate(session, ByteTokenizer(), bytes("p"), options, {}, {}).error().code, ErrorCode::kBadArgument);
    options.temperature = 1;
    options.top_p = 0;
    QCOMPARE(generate(session, ByteTokenizer(), bytes("p"), options, {}, {}).error().code, ErrorCode::kBadArgument);
    options.top_p = 1;
    options.max_tokens = 0;
    const auto none = generate(session, ByteTokenizer(), bytes("p"), options, {}, {});
    QVERIFY(none.ok() && none->tokens.empty());
    session.filler = std::nanf("");
    options.max_tokens = 1;
    QCOMPARE(generate(session, ByteTokenizer(), bytes("p"), options, {}, {}).error().code, ErrorCode::kNonFinite);
  }
};

QTEST_APPLESS_MAIN(GenerateTest)
#include "generate_test.moc"
