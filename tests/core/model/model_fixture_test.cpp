// The shared tiny models and GGUF files against transformers' logits, hidden states and greedy tokens.
#include <QTest>
#include <filesystem>
#include <fmt/format.h>

#include "core/formats/checkpoint.h"
#include "core/model/backend.h"
#include "core/model/encoder_input.h"
#include "core/model/sampling.h"

using namespace retort;

namespace {

std::vector<float> floats(const Checkpoint& file, std::string_view name) {
  const TensorEntry* entry = file.find(name);
  if (!entry) return {};
  std::vector<float> out(static_cast<std::size_t>(entry->elements()));
  kernels::traits(entry->type).decode(entry->data.data(), out.data(), out.size());
  return out;
}

std::vector<TokenId> ids(const Checkpoint& file, std::string_view name) {
  const TensorEntry* entry = file.find(name);
  if (!entry || entry->type != TensorType::kI64) return {};
  std::vector<std::int64_t> wide(static_cast<std::size_t>(entry->elements()));
  std::memcpy(wide.data(), entry->data.data(), wide.size() * sizeof wide[0]);
  return {wide.begin(), wide.end()};
}

// Greatest difference, relative to the greatest expected value.
double difference(std::span<const float> found, std::span<const float> expected) {
  if (found.size() != expected.size() || found.empty()) return 1e9;
  double worst = 0, greatest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i])));
    greatest = std::max(greatest, std::abs(static_cast<double>(expected[i])));
  }
  return worst / greatest;
}

}  // namespace

class ModelFixtureTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    const char* shared = std::getenv("RETORT_SHARED");
    if (!shared || !std::filesystem::is_directory(shared)) QSKIP("RETORT_SHARED names no folder of shared references");
    shared_ = shared;
  }

  void agrees_with_transformers_data() {
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("reference");
    QTest::addColumn<QString>("backend");
    for (const char* backend : {"cpu", "reference"}) {
      for (const char* name : {"llama-tied", "llama-untied-gqa-rope3", "llama-bf16", "llama-sharded", "mistral-swa", "qwen2",
                               "qwen3", "gemma2", "gemma3-text", "phi3", "phi3-longrope", "gpt2", "gpt-neox"})
        QTest::addRow("%s, %s", name, backend) << QString("models/%1").arg(name)
                                               << QString("models/%1/reference.safetensors").arg(name) << backend;
      for (const char* name : {"tiny-llama-f16", "tiny-llama-q8_0", "tiny-llama-mixed-tied"})
        QTest::addRow("%s, %s", name, backend) << QString("gguf/%1.gguf").arg(name)
                                               << QString("gguf/%1.safetensors").arg(name) << backend;
    }
  }
  void agrees_with_transformers() {
    QFETCH(QString, model);
    QFETCH(QString, reference);
    QFETCH(QString, backend);
    const auto file = open_safetensors(shared_ / reference.toStdString());
    QVERIFY(file.ok());
    auto opened = open_model(shared_ / model.toStdString());
    QVERIFY2(opened.ok(), opened.ok() ? "" : (opened.error().place + ": " + opened.error().found).c_str());
    const auto bound = std::make_shared<const Model>(std::move(opened).value());
    const auto made = make_backend(backend.toStdString(), 2);
    QVERIFY(made.ok());
    RunOptions options;
    options.activations = kernels::Activations::kF32;
    options.cache_f16 = false;
    options.context = 64;
    const auto session = (*made)->compile(bound, options);
    QVERIFY(session.ok());
    QVERIFY(check_rows(**session, **file, "input_ids", "logits", "last_hidden_state"));
    if ((*file)->find("random_input_ids")) QVERIFY(check_rows(**session, **file, "random_input_ids", "random_logits", ""));
    check_greedy(**session, **file, true);
    // What the cache of 16 bits does to the choice of tokens here: nothing.
    options.cache_f16 = true;
    const auto half = (*made)->compile(bound, options);
    QVERIFY(half.ok());
    check_greedy(**half, **file, false);
  }

  void encoders_agree_with_transformers_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("backend");
    for (const char* backend : {"cpu", "reference"})
      for (const char* name : {"bert-mlm", "bert-seqcls", "distilbert-seqcls", "roberta-seqcls"})
        QTest::addRow("%s, %s", name, backend) << QString(name) << QString(backend);
  }
  // Rows of a batch together and one by one; padding is left out, and what stands there isn't compared.
  void encoders_agree_with_transformers() {
    QFETCH(QString, name);
    QFETCH(QString, backend);
    const auto file = open_safetensors(shared_ / "models" / name.toStdString() / "reference.safetensors");
    QVERIFY(file.ok());
    check_encoder(shared_ / "models" / name.toStdString(), **file, backend.toStdString());
  }

  void longrope_switches_for_all_positions() {
    const auto file = open_safetensors(shared_ / "models/phi3-longrope/reference.safetensors");
    QVERIFY(file.ok());
    const auto session = compile("models/phi3-longrope", "cpu", false);
    QVERIFY(session);
    QVERIFY(check_rows(*session, **file, "long_input_ids", "long_logits", ""));
    // In two runs, the first of them short.
    const std::vector<TokenId> all = ids(**file, "long_input_ids");
    session->rewind(0);
    QVERIFY(session->run(std::span(all).first(20), {}).ok());
    QVERIFY(session->run(std::span(all).subspan(20), {}).ok());
    const auto last = session->logits(27, 1);
    const std::vector<float> expected = floats(**file, "long_logits");
    QVERIFY(last.ok());
    QVERIFY(difference(*last, std::span(expected).last(last->size())) < 1e-4);
  }

  void encoders_and_decoders_say_what_they_are() {
    const auto encoder = compile("models/bert-mlm", "cpu", false), decoder = compile("models/qwen2", "cpu", false);
    QVERIFY(encoder && decoder);
    const std::vector<TokenId> tokens = {1, 2};
    const auto refused = encoder->run(tokens, {});
    QVERIFY(!refused.ok());
    QCOMPARE(refused.error().code, ErrorCode::kUnsupported);
    const std::vector<std::int64_t> lengths = {2};
    const std::vector<std::int32_t> positions = {0, 1};
    QVERIFY(!decoder->encode({tokens, {}, positions, lengths}, {}).ok());
    const std::vector<std::int32_t> far = {0, 64}, types = {0, 2};
    QVERIFY(!encoder->encode({tokens, {}, far, lengths}, {}).ok());
    QVERIFY(!encoder->encode({tokens, types, positions, lengths}, {}).ok());
    QVERIFY(encoder->encode({tokens, {}, positions, lengths}, {}).ok());
  }

 private:
  std::unique_ptr<Session> compile(const std::filesystem::path& model, const std::string& backend, bool half) {
    auto opened = open_model(shared_ / model);
    const auto made = make_backend(backend, 2);
    if (!opened.ok() || !made.ok()) return nullptr;
    RunOptions options;
    options.activations = kernels::Activations::kF32;
    options.cache_f16 = half;
    options.context = 64;
    auto session = (*made)->compile(std::make_shared<const Model>(std::move(opened).value()), options);
    return session.ok() ? std::move(session).value() : nullptr;
  }

  void check_encoder(const std::filesystem::path& folder, const Checkpoint& file, const std::string& backend) {
    auto opened = open_model(folder);
    QVERIFY2(opened.ok(), opened.ok() ? "" : (opened.error().place + ": " + opened.error().found).c_str());
    const auto model = std::make_shared<const Model>(std::move(opened).value());
    const auto made = make_backend(backend, 2);
    RunOptions options;
    options.activations = kernels::Activations::kF32;
    options.context = 64;
    const auto session = (*made)->compile(model, options);
    QVERIFY(session.ok());
    const TensorEntry* entry = file.find("input_ids");
    const std::size_t length = static_cast<std::size_t>(entry->columns()), batch = static_cast<std::size_t>(entry->rows());
    const std::vector<TokenId> all = ids(file, "input_ids"), mask = ids(file, "attention_mask"), types = ids(file, "token_type_ids");
    const std::vector<float> logits = floats(file, "logits"), hidden = floats(file, "last_hidden_state");
    EncoderInput input(model->config);
    std::vector<std::size_t> kept;
    for (std::size_t r = 0; r < batch; ++r) {
      const std::vector<std::int64_t> seen(mask.begin() + static_cast<std::ptrdiff_t>(r * length), mask.begin() + static_cast<std::ptrdiff_t>((r + 1) * length));
      for (std::size_t t = 0; t < length; ++t)
        if (seen[t] != 0) kept.push_back(r * length + t);
      QVERIFY(input.add(std::span(all).subspan(r * length, length), seen,
                        types.empty() ? std::span<const TokenId>{} : std::span(types).subspan(r * length, length)).ok());
    }
    QVERIFY((*session)->encode(input.batch(), {}).ok());
    const auto rows_of = [&](const std::vector<float>& from) {
      const std::size_t width = from.size() / (batch * length);
      std::vector<float> out;
      for (const std::size_t row : kept) out.insert(out.end(), from.begin() + static_cast<std::ptrdiff_t>(row * width), from.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
      return out;
    };
    QVERIFY(difference((*session)->hidden(), rows_of(hidden)) < 1e-4);
    const bool pooled = model->graph.head == HeadKind::kSequenceLabels;
    const auto found = (*session)->logits(0, pooled ? static_cast<std::int64_t>(batch) : input.tokens());
    QVERIFY(found.ok());
    QVERIFY(difference(*found, pooled ? logits : rows_of(logits)) < 1e-4);
  }

  // Each row of the batch by itself; 1e-4 of the greatest value is ten times what f32 rounding does.
  bool check_rows(Session& session, const Checkpoint& file, std::string_view input, std::string_view logits_name,
                  std::string_view hidden_name) {
    const TensorEntry* entry = file.find(input);
    const std::vector<TokenId> all = ids(file, input);
    const std::size_t length = static_cast<std::size_t>(entry->columns());
    const std::vector<float> expected = floats(file, logits_name);
    const std::vector<float> hidden = hidden_name.empty() ? std::vector<float>{} : floats(file, hidden_name);
    for (std::size_t r = 0; r < all.size() / length; ++r) {
      session.rewind(0);
      if (!session.run(std::span(all).subspan(r * length, length), {}).ok()) return false;
      const auto found = session.logits(0, static_cast<std::int64_t>(length));
      if (!found.ok()) return false;
      const std::size_t n = expected.size() / (all.size() / length);
      const double apart = difference(*found, std::span(expected).subspan(r * n, n));
      if (apart > 1e-4) {
        qWarning("logits of row %zu are %g apart", r, apart);
        return false;
      }
      if (hidden.empty()) continue;
      const std::size_t h = hidden.size() / (all.size() / length);
      if (difference(session.hidden(), std::span(hidden).subspan(r * h, h)) > 1e-4) return false;
    }
    return true;
  }

  void check_greedy(Session& session, const Checkpoint& file, bool exact) {
    const std::vector<TokenId> all = ids(file, "input_ids"), expected = ids(file, "greedy");
    const std::size_t length = static_cast<std::size_t>(file.find("input_ids")->columns());
    QVERIFY(expected.size() == 16 || expected.size() == 8);
    session.rewind(0);
    std::vector<TokenId> found;
    QVERIFY(session.run(std::span(all).first(length), {}).ok());
    std::int64_t row = static_cast<std::int64_t>(length) - 1;
    while (found.size() < expected.size()) {
      const auto logits = session.logits(row, 1);
      QVERIFY(logits.ok());
      found.push_back(greedy_token(*logits));
      QVERIFY(session.run(std::span(&found.back(), 1), {}).ok());
      row = 0;
    }
    QVERIFY2(found == expected, exact ? "f32 cache" : "f16 cache");
  }

  std::filesystem::path shared_;
};

QTEST_APPLESS_MAIN(ModelFixtureTest)
#include "model_fixture_test.moc"
