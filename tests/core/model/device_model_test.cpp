// Whole models through the plug-in for NVIDIA devices, against the reference: on the simulated device, or on the one that the
// plug-in named by RETORT_CUDA_PLUGIN finds. The device rounds activations and cache to f16.
#include <QTest>
#include <cmath>

#include "core/model/draws_tokens.h"
#include "core/model/generate.h"
#include "device_pair.h"

using namespace retort;

namespace {

// One token at a time, products are exact and the cache's f16 is the reference's own, but for values that f32 sums put on the other
// side of a rounding. With more tokens attention and packed weights are rounded to f16. Where activations may be rounded too, these
// random models make up to 2.6e-3 of that (qwen2-window, whose scores are steep), the others 1.6e-3 at most.
constexpr double kOneToken = 5e-4, kManyTokens = 1e-3, kRounded = 4e-3;

// √(Σ (found - reference)² / Σ reference²); infinite where one of them isn't finite.
double apart(std::span<const float> found, std::span<const float> reference) {
  if (found.size() != reference.size() || found.empty()) return INFINITY;
  double difference = 0, whole = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double a = found[i], b = reference[i];
    if (!std::isfinite(a) || !std::isfinite(b)) return INFINITY;
    difference += (a - b) * (a - b);
    whole += b * b;
  }
  return std::sqrt(difference / whole);
}

double logits_apart(const Pair& pair, std::int64_t rows) {
  const auto found = pair.on_device->logits(0, rows), reference = pair.on_processor->logits(0, rows);
  return found && reference ? apart(*found, *reference) : INFINITY;
}

}  // namespace

class DeviceModelTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    if (!qEnvironmentVariableIsSet("RETORT_CUDA_PLUGIN")) {
      qputenv("RETORT_CUDA_PLUGIN", RETORT_SIMULATED_PLUGIN);
      qputenv("RETORT_CUDA_DRIVER", RETORT_WITHOUT_ENTRY);   // some library: that there is a driver
    }
    permit_devices();
  }

  void decoders_data() {
    QTest::addColumn<QString>("path");
    QTest::addColumn<bool>("rounded");
    for (const char* path : {"models-gguf/gemma2-plain.gguf", "models/phi2", "models/stablelm-parallel", "models/qwen2-window", "models/olmo2",
                             "models/cohere", "models/starcoder2", "models/gpt-neox-serial", "models/granite"})
      for (const bool rounded : {false, true}) QTest::addRow("%s%s", path, rounded ? ", rounded" : "") << QString(path) << rounded;
  }
  void decoders() {
    QFETCH(QString, path);
    QFETCH(bool, rounded);
    const auto model = opened(data_path(path.toUtf8().constData()));
    QVERIFY(model);
    const RunOptions reference{.activations = kernels::Activations::kF32, .context = 32, .batch = 8};
    RunOptions options = reference;
    if (rounded) options.activations = kernels::Activations::kQ8;
    auto pair = compiled(model, options, reference);
    QVERIFY2(pair.ok(), pair ? "" : pair.error().found.c_str());
    const std::vector<TokenId> tokens = some_tokens(15, model->config.vocabulary);
    const std::span<const TokenId> all(tokens);
    // Passes of many and of one, then all over again one by one, through the recorded graph.
    for (const auto& [first, count] : {std::pair{0, 9}, {9, 1}, {10, 1}, {11, 4}}) {
      const auto part = all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      QVERIFY(pair->on_device->run(part, {}).ok() && pair->on_processor->run(part, {}).ok());
      const double found = logits_apart(*pair, count);
      QVERIFY2(found < (rounded ? kRounded : kManyTokens), qPrintable(QStringLiteral("%1 from %2: %3").arg(count).arg(first).arg(found)));
    }
    for (Session* session : {pair->on_device.get(), pair->on_processor.get()}) session->rewind(0);
    for (int at = 0; at < 12; ++at) {
      for (Session* session : {pair->on_device.get(), pair->on_processor.get()}) QVERIFY(session->run(all.subspan(static_cast<std::size_t>(at), 1), {}).ok());
      const double found = logits_apart(*pair, 1);
      QVERIFY2(found < kOneToken, qPrintable(QStringLiteral("token %1: %2").arg(at).arg(found)));
    }
  }

  void encoders_data() {
    QTest::addColumn<QString>("path");
    for (const char* path : {"models/bert-tokens", "models/xlm-roberta", "models/electra", "models/albert", "models/distilbert-mlm"})
      QTest::newRow(path) << QString(path);
  }
  void encoders() {
    QFETCH(QString, path);
    const auto model = opened(data_path(path.toUtf8().constData()));
    QVERIFY(model);
    auto pair = compiled(model, {.activations = kernels::Activations::kF32, .context = 24});
    QVERIFY2(pair.ok(), pair ? "" : pair.error().found.c_str());
    const Sequences sequences(*model);
    QVERIFY(pair->on_device->encode(sequences.batch(), {}).ok() && pair->on_processor->encode(sequences.batch(), {}).ok());
    const double hidden = apart(pair->on_device->hidden(), pair->on_processor->hidden());
    const double logits = model->graph.outputs() > 0 ? logits_apart(*pair, sequences.outputs(*model)) : 0;
    QVERIFY2(hidden < kManyTokens && logits < kManyTokens, qPrintable(QStringLiteral("hidden %1, logits %2").arg(hidden).arg(logits)));
  }

  // The head and the choice are recorded too: temperature, cut and chance are new at each play. What the device draws from its
  // logits, the processor draws from the same.
  void choices_within_the_recorded_graph() {
    const auto model = opened(data_path("models/qwen2-window"));
    QVERIFY(model);
    auto pair = compiled(model, {.activations = kernels::Activations::kF32, .context = 32, .batch = 8});
    QVERIFY(pair.ok());
    Session& device = *pair->on_device;
    auto* const drawing = dynamic_cast<DrawsTokens*>(&device);
    QVERIFY(drawing && drawing->can_draw().ok());
    Drawer processor;
    for (const TokenId token : some_tokens(8, model->config.vocabulary)) {
      QVERIFY(device.run({&token, 1}, {}).ok());
      const auto logits = device.logits(0, 1);
      QVERIFY(logits.ok());
      const double turn = static_cast<double>(device.position());
      const Drawing how{turn / 4, 1 / turn, turn / 9};
      const auto drawn = drawing->draw(0, how), likeliest = device.likeliest(0);
      QVERIFY(drawn.ok() && likeliest.ok());
      QCOMPARE(drawn->token, processor.draw(*logits, how));
      QCOMPARE(likeliest->token, greedy_token(*logits));
      const double probability = std::exp(static_cast<double>((*logits)[static_cast<std::size_t>(drawn->token)]) - log_sum_exp(*logits));
      QVERIFY(std::abs(drawn->probability - probability) < 1e-6);
    }
    QVERIFY(!drawing->draw(1, {}).ok());
  }

  // The same words, or, where they part, two that the reference can hardly tell apart.
  void greedy_text() {
    const auto model = opened(data_path("micro-llama.gguf"));
    QVERIFY(model && model->tokenizer);
    auto pair = compiled(model, {.activations = kernels::Activations::kF32, .context = 32, .batch = 16});
    QVERIFY(pair.ok());
    GenerateOptions options;
    options.max_tokens = 10;
    options.temperature = 0;
    options.stop_at_end = false;
    const auto prompt = model->tokenizer->encode("The quick brown fox", true);
    const auto found = generate(*pair->on_device, *model->tokenizer, prompt, options, {}, {});
    const auto expected = generate(*pair->on_processor, *model->tokenizer, prompt, options, {}, {});
    QVERIFY(found.ok() && expected.ok());
    QCOMPARE(found->tokens.size(), expected->tokens.size());
    for (std::size_t i = 0; i < found->tokens.size(); ++i) {
      if (found->tokens[i].id != expected->tokens[i].id) {
        QVERIFY(std::abs(found->tokens[i].probability - expected->tokens[i].probability) < kManyTokens);
        break;
      }
    }
  }
};

QTEST_APPLESS_MAIN(DeviceModelTest)
#include "device_model_test.moc"
