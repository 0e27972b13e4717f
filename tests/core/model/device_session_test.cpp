// Models on a device, by a plug-in that computes on the processor with the reference kernels: what comes through the interface
// is what the reference backend computes, bit for bit, whatever the passes, rewinds and chunks.
#include <QTest>

#include "core/model/encoder_input.h"
#include "core/model/generate.h"
#include "core/model/sampling.h"
#include "device_pair.h"
#include "tiny_model.h"

using namespace retort;

namespace {

bool same(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && !a.empty() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

std::vector<float> all_logits(Session& session, std::int64_t rows) {
  const auto logits = session.logits(0, rows);
  return logits ? std::vector<float>(logits->begin(), logits->end()) : std::vector<float>();
}

}  // namespace

class DeviceSessionTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    qputenv("RETORT_CUDA_PLUGIN", RETORT_FAKE_PLUGIN);
    qputenv("RETORT_CUDA_DRIVER", RETORT_WITHOUT_ENTRY);   // some library: that there is a driver
    permit_devices();
  }
  void init() { qunsetenv("RETORT_FAKE_DEVICE"); }

  void decoder_equals_the_reference_data() {
    QTest::addColumn<QString>("path");
    QTest::addColumn<bool>("q8");
    QTest::addColumn<bool>("f16");
    for (const char* path : {"micro-llama.gguf", "models-gguf/gemma2-plain.gguf", "models/phi2", "models/stablelm-parallel", "models/qwen2-window",
                             "models/olmo2", "models/cohere", "models/starcoder2", "models/gpt-neox-serial", "models/granite"})
      for (const bool q8 : {false, true}) QTest::addRow("%s %s", path, q8 ? "q8" : "f32") << QString(path) << q8 << q8;
  }
  void decoder_equals_the_reference() {
    QFETCH(QString, path);
    QFETCH(bool, q8);
    QFETCH(bool, f16);
    const auto model = opened(data_path(path.toUtf8().constData()));
    QVERIFY(model);
    RunOptions options;
    options.context = 48;
    options.batch = 5;
    options.activations = q8 ? kernels::Activations::kQ8 : kernels::Activations::kF32;
    options.cache_f16 = f16;
    auto pair = compiled(model, options);
    QVERIFY2(pair.ok(), pair ? "" : pair.error().found.c_str());
    const std::vector<TokenId> tokens = some_tokens(24, model->config.vocabulary);
    Session &device = *pair->on_device, &processor = *pair->on_processor;
    // More than three passes at once, one token, some more, then back and again.
    const std::span<const TokenId> all(tokens);
    for (const auto& [first, count] : {std::pair{0, 17}, {17, 1}, {18, 1}, {19, 4}}) {
      const auto part = all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      QVERIFY(device.run(part, {}).ok() && processor.run(part, {}).ok());
      QVERIFY(same(device.hidden(), processor.hidden()));
      QVERIFY(same(all_logits(device, count), all_logits(processor, count)));
      QCOMPARE(device.position(), processor.position());
    }
    for (Session* session : {&device, &processor}) session->rewind(9);
    const auto again = all.subspan(3, 6);
    QVERIFY(device.run(again, {}).ok() && processor.run(again, {}).ok());
    QVERIFY(same(all_logits(device, 6), all_logits(processor, 6)));
    QCOMPARE(device.position(), 15);

    const std::size_t n = static_cast<std::size_t>(model->config.hidden), outputs = static_cast<std::size_t>(model->graph.outputs());
    const std::vector<float> rows(processor.hidden().begin(), processor.hidden().end());
    std::vector<float> a(rows.size() / n * outputs), b(a.size());
    QVERIFY(device.head(rows, a).ok() && processor.head(rows, b).ok());
    QVERIFY(same(a, b));
    const auto likeliest = device.likeliest(5), expected = processor.likeliest(5);
    QVERIFY(likeliest.ok() && expected.ok());
    QCOMPARE(likeliest->token, expected->token);
    QVERIFY(std::abs(likeliest->probability - expected->probability) < 1e-6);
  }

  void rope_scaling_that_depends_on_the_length_data() {
    QTest::addColumn<QString>("scaling");
    QTest::newRow("dynamic") << R"({"rope_type":"dynamic","factor":4.0})";
    QTest::newRow("longrope")
        << R"({"rope_type":"longrope","factor":4.0,"original_max_position_embeddings":16,"short_factor":[1,1,1,1,1,1,1,1],"long_factor":[1,1.5,2,2.5,3,3.5,4,4]})";
    QTest::newRow("llama3")
        << R"({"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":16})";
  }
  void rope_scaling_that_depends_on_the_length() {
    QFETCH(QString, scaling);
    tiny::Spec spec;
    spec.rope_json = scaling.toStdString();
    spec.context = 16;
    auto model = bind_model(tiny::make(spec));
    QVERIFY2(model.ok(), model ? "" : model.error().found.c_str());
    RunOptions options;
    options.context = 40;
    options.batch = 8;
    auto pair = compiled(std::make_shared<const Model>(*std::move(model)), options);
    QVERIFY(pair.ok());
    const std::vector<TokenId> tokens = some_tokens(30, spec.vocabulary);
    const std::span<const TokenId> all(tokens);
    for (const auto& [first, count] : {std::pair{0, 12}, {12, 1}, {13, 10}, {23, 7}}) {
      const auto part = all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      QVERIFY(pair->on_device->run(part, {}).ok() && pair->on_processor->run(part, {}).ok());
      QVERIFY(same(all_logits(*pair->on_device, count), all_logits(*pair->on_processor, count)));
    }
  }

  void encoder_equals_the_reference_data() {
    QTest::addColumn<QString>("path");
    for (const char* path : {"models/bert-tokens", "models/mpnet", "models/xlm-roberta", "models/electra", "models/albert", "models/roberta-mlm",
                             "models/distilbert-mlm"})
      QTest::newRow(path) << QString(path);
  }
  void encoder_equals_the_reference() {
    QFETCH(QString, path);
    const auto model = opened(data_path(path.toUtf8().constData()));
    QVERIFY(model);
    RunOptions options;
    options.activations = kernels::Activations::kF32;
    options.context = 24;
    auto pair = compiled(model, options);
    QVERIFY2(pair.ok(), pair ? "" : pair.error().found.c_str());
    const Sequences sequences(*model);
    const EncoderBatch batch = sequences.batch();
    QVERIFY(pair->on_device->encode(batch, {}).ok() && pair->on_processor->encode(batch, {}).ok());
    QVERIFY(same(pair->on_device->hidden(), pair->on_processor->hidden()));
    if (model->graph.outputs() > 0) {
      const std::int64_t rows = sequences.outputs(*model);
      QVERIFY(same(all_logits(*pair->on_device, rows), all_logits(*pair->on_processor, rows)));
    }
    QVERIFY(!pair->on_device->run(sequences.tokens, {}).ok());
  }

  void packed_types_pass_through_data() {
    QTest::addColumn<int>("type");
    for (const TensorType type : {TensorType::kF16, TensorType::kBF16, TensorType::kQ8_0})
      QTest::newRow(std::string(kernels::traits(type).name).c_str()) << static_cast<int>(type);
  }
  void packed_types_pass_through() {
    QFETCH(int, type);
    tiny::Spec spec;
    spec.type = static_cast<TensorType>(type);
    spec.tied = true;
    auto model = bind_model(tiny::make(spec));
    QVERIFY(model.ok());
    auto pair = compiled(std::make_shared<const Model>(*std::move(model)), {});
    QVERIFY(pair.ok());
    const std::vector<TokenId> tokens = some_tokens(9, spec.vocabulary);
    QVERIFY(pair->on_device->run(tokens, {}).ok() && pair->on_processor->run(tokens, {}).ok());
    QVERIFY(same(all_logits(*pair->on_device, 9), all_logits(*pair->on_processor, 9)));
  }

  void greedy_text_is_the_same() { text_is_the_same({.max_tokens = 40, .temperature = 0, .stop_at_end = false}); }

  // Drawn by the device with the host's random numbers: a seed gives the same text on both.
  void sampled_text_is_the_same_data() {
    QTest::addColumn<double>("temperature");
    QTest::addColumn<double>("top_p");
    for (const double temperature : {0.1, 0.8, 3.0})
      for (const double top_p : {0.3, 0.9, 1.0}) QTest::addRow("%g, %g", temperature, top_p) << temperature << top_p;
  }
  void sampled_text_is_the_same() {
    QFETCH(double, temperature);
    QFETCH(double, top_p);
    text_is_the_same({.max_tokens = 40, .temperature = temperature, .top_p = top_p, .seed = 11, .stop_at_end = false});
  }

  void memory_is_predicted() {
    const auto model = opened(data_path("micro-llama.gguf"));
    QVERIFY(model);
    const auto backend = make_backend("cuda", 0);
    QVERIFY(backend.ok());
    QCOMPARE((*backend)->name(), std::string_view("cuda:0"));
    const RunOptions options{.context = 32, .batch = 8};
    const MemoryByPart predicted = (*backend)->predict_memory(*model, options);
    const auto session = (*backend)->compile(model, options);
    QVERIFY(session.ok());
    const MemoryByPart found = (*session)->memory();
    QCOMPARE(found.weights, predicted.weights);
    QCOMPARE(found.kv_cache, predicted.kv_cache);
    QCOMPARE(found.work_space, predicted.work_space);
    QVERIFY(found.weights > 0 && found.kv_cache > 0 && found.work_space > 0);
    const auto first = (*backend)->joules(), second = (*backend)->joules();
    QVERIFY(first && second && *second > *first);
    qputenv("RETORT_FAKE_DEVICE", "no-energy");
    QVERIFY(!(*backend)->joules());
  }

  void wrong_wishes_are_refused_as_on_the_processor() {
    const auto model = opened(data_path("micro-llama.gguf"));
    QVERIFY(model);
    auto pair = compiled(model, {.context = 8, .batch = 4});
    QVERIFY(pair.ok());
    const std::vector<TokenId> many(9, 1), foreign = {1, 100000000};
    for (Session* session : {pair->on_device.get(), pair->on_processor.get()}) {
      QVERIFY(session->run(many, {}).error().code == ErrorCode::kBadArgument);
      QVERIFY(session->run(foreign, {}).error().code == ErrorCode::kBadArgument);
      QVERIFY(session->encode({}, {}).error().code == ErrorCode::kUnsupported);
      QVERIFY(session->logits(0, 1).error().code == ErrorCode::kBadArgument);
      JobContext stopped;
      stopped.stop();
      QVERIFY(session->run(std::span(many).first(3), stopped).error().code == ErrorCode::kCanceled);
      QCOMPARE(session->position(), 0);
      QVERIFY(session->run(std::span(many).first(3), {}).ok());
      QVERIFY(session->logits(2, 2).error().code == ErrorCode::kBadArgument);
    }
  }

 private:
  // What the device writes, token by token, is what the processor writes.
  void text_is_the_same(const GenerateOptions& options) {
    const auto model = opened(data_path("micro-llama.gguf"));
    QVERIFY(model && model->tokenizer);
    auto pair = compiled(model, {.context = 96, .batch = 32});
    QVERIFY(pair.ok());
    const auto prompt = model->tokenizer->encode("The quick brown fox", true);
    const auto a = generate(*pair->on_device, *model->tokenizer, prompt, options, {}, {});
    const auto b = generate(*pair->on_processor, *model->tokenizer, prompt, options, {}, {});
    QVERIFY(a.ok() && b.ok());
    QCOMPARE(a->tokens.size(), std::size_t{40});
    for (std::size_t i = 0; i < a->tokens.size(); ++i) {
      QCOMPARE(a->tokens[i].id, b->tokens[i].id);
      QVERIFY(std::abs(a->tokens[i].probability - b->tokens[i].probability) < 1e-6);
    }
  }
};

QTEST_APPLESS_MAIN(DeviceSessionTest)
#include "device_session_test.moc"
