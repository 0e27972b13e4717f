// The shared tiny models and GGUF files against transformers' logits, hidden states and greedy tokens.
#include <QTest>
#include <filesystem>
#include <fmt/format.h>

#include "core/formats/checkpoint.h"
#include "core/model/backend.h"
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
      for (const char* name : {"llama-tied", "llama-untied-gqa-rope3", "llama-bf16", "llama-sharded"})
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

  void others_are_refused_by_name() {
    for (const char* name : {"bert-mlm", "gpt2", "gemma2", "phi3", "qwen3", "mistral-swa"}) {
      const auto model = open_model(shared_ / "models" / name);
      QVERIFY(!model.ok());
      QCOMPARE(model.error().code, ErrorCode::kUnsupported);
      QVERIFY(model.error().expected.find("LlamaForCausalLM") != std::string::npos);
      QVERIFY(!model.error().found.empty());
    }
  }

 private:
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
    QCOMPARE(expected.size(), std::size_t{16});
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
