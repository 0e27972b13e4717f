// Configurations and tensors that contradict each other or ask for the impossible: a clear error, never a crash.
#include <QTest>
#include <nlohmann/json.hpp>

#include "core/model/backend.h"
#include "tiny_model.h"

using namespace retort;

namespace {

// The error of opening; kInternal and no place when it opened.
Error opening(const std::shared_ptr<tiny::Owner>& owner) {
  auto model = bind_model(owner);
  return model.ok() ? Error{} : model.error();
}

Error with_config(const char* key, const nlohmann::json& value) {
  const auto owner = tiny::make(tiny::Spec{});
  auto json = nlohmann::json::parse(owner->config_json);
  json[key] = value;
  owner->config_json = json.dump();
  return opening(owner);
}

Error with_metadata(const char* key, MetadataValue value) {
  tiny::Spec spec;
  spec.gguf = true;
  const auto owner = tiny::make(spec);
  owner->metadata.set(key, std::move(value));
  return opening(owner);
}

}  // namespace

class BadModelTest : public QObject {
  Q_OBJECT

 private slots:
  void the_unchanged_models_open() {
    tiny::Spec spec;
    QVERIFY(bind_model(tiny::make(spec)).ok());
    spec.gguf = true;
    const auto model = bind_model(tiny::make(spec));
    QVERIFY(model.ok());
    QCOMPARE(model->tokenizer, nullptr);
    std::int64_t sum = 0;
    for (const TensorEntry& t : model->checkpoint->tensors) sum += t.elements();
    QCOMPARE(model->parameters(), sum);
    QCOMPARE(model->weight_bytes(), static_cast<std::uint64_t>(4 * sum));
  }

  void config_values_data() {
    QTest::addColumn<QByteArray>("key");
    QTest::addColumn<QByteArray>("value");
    QTest::addColumn<int>("code");
    const auto row = [](const char* key, const char* value, ErrorCode code) {
      QTest::addRow("%s %s", key, value) << QByteArray(key) << QByteArray(value) << static_cast<int>(code);
    };
    for (const char* key : {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                            "intermediate_size", "max_position_embeddings", "vocab_size"})
      for (const char* value : {"0", "-1", "1e300", "2.5", "\"many\"", "[]", "{}", "true", "18446744073709551615"})
        row(key, value, ErrorCode::kCorrupt);
    row("num_key_value_heads", "3", ErrorCode::kCorrupt);
    row("num_attention_heads", "2147483647", ErrorCode::kCorrupt);
    row("num_attention_heads", "6", ErrorCode::kBadShape);
    row("num_hidden_layers", "2147483647", ErrorCode::kMissingPart);
    row("num_hidden_layers", "3", ErrorCode::kMissingPart);
    row("hidden_size", "2147483647", ErrorCode::kBadShape);
    row("vocab_size", "51", ErrorCode::kBadShape);
    row("head_dim", "17", ErrorCode::kCorrupt);
    row("head_dim", "1", ErrorCode::kCorrupt);
    row("head_dim", "2147483646", ErrorCode::kCorrupt);
    row("hidden_act", "\"snake\"", ErrorCode::kUnsupported);
    row("hidden_act", "7", ErrorCode::kCorrupt);
    row("rms_norm_eps", "-1", ErrorCode::kCorrupt);
    row("rope_theta", "0", ErrorCode::kCorrupt);
    row("rope_theta", "-10000", ErrorCode::kCorrupt);
    row("partial_rotary_factor", "0", ErrorCode::kCorrupt);
    row("partial_rotary_factor", "1.5", ErrorCode::kCorrupt);
    row("partial_rotary_factor", "1e-9", ErrorCode::kCorrupt);
    row("attention_bias", "true", ErrorCode::kMissingPart);
    row("attention_bias", "3", ErrorCode::kCorrupt);
    row("architectures", "[\"MambaForCausalLM\"]", ErrorCode::kUnsupported);
    row("rope_scaling", "{\"type\":\"magic\",\"factor\":2}", ErrorCode::kUnsupported);
    row("rope_scaling", "{\"type\":\"linear\",\"factor\":0}", ErrorCode::kCorrupt);
    row("rope_scaling", "{\"type\":\"linear\",\"factor\":\"2\"}", ErrorCode::kCorrupt);
    row("rope_scaling", "{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1]}", ErrorCode::kBadShape);
    row("rope_scaling", "{\"type\":\"longrope\",\"short_factor\":[1,1,1,1,1,1,1,0],\"long_factor\":[1,1,1,1,1,1,1,1]}",
        ErrorCode::kCorrupt);
    row("rope_scaling", "{\"type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,\"high_freq_factor\":4}", ErrorCode::kCorrupt);
    row("rope_scaling", "{\"type\":\"yarn\",\"factor\":2,\"beta_slow\":0}", ErrorCode::kCorrupt);
    row("rope_scaling", "{\"type\":\"dynamic\",\"factor\":0.5}", ErrorCode::kCorrupt);
  }
  void config_values() {
    QFETCH(QByteArray, key);
    QFETCH(QByteArray, value);
    QFETCH(int, code);
    const Error error = with_config(key.constData(), nlohmann::json::parse(value.toStdString()));
    QVERIFY2(static_cast<int>(error.code) == code, fmt::format("{}: {}", error.place, error.found).c_str());
    QVERIFY(!error.place.empty() && !error.file.empty());
  }

  void metadata_values() {
    QCOMPARE(with_metadata("llama.attention.head_count", std::uint32_t{0}).code, ErrorCode::kCorrupt);
    QCOMPARE(with_metadata("llama.block_count", std::uint32_t{0xffffffffu}).code, ErrorCode::kCorrupt);
    QCOMPARE(with_metadata("llama.block_count", std::uint32_t{1u << 30}).code, ErrorCode::kMissingPart);
    QCOMPARE(with_metadata("llama.block_count", std::string("two")).code, ErrorCode::kCorrupt);
    QCOMPARE(with_metadata("llama.rope.dimension_count", std::uint32_t{18}).code, ErrorCode::kCorrupt);
    QCOMPARE(with_metadata("llama.rope.dimension_count", std::uint32_t{7}).code, ErrorCode::kCorrupt);
    QCOMPARE(with_metadata("llama.rope.freq_base", std::nanf("")).code, ErrorCode::kCorrupt);
    QCOMPARE(with_metadata("llama.expert_count", std::uint32_t{8}).code, ErrorCode::kMissingPart);
    QCOMPARE(with_metadata("llama.attention.value_length", std::uint32_t{8}).code, ErrorCode::kUnsupported);
    const Error other = with_metadata("general.architecture", std::string("mamba"));
    QCOMPARE(other.code, ErrorCode::kUnsupported);
    QCOMPARE(other.found, std::string("mamba"));
    QVERIFY2(other.expected.starts_with("one of ") && other.expected.find("llama") != std::string::npos, other.expected.c_str());
  }

  void config_files() {
    const auto owner = tiny::make(tiny::Spec{});
    for (const char* text : {"{", "[]", "null", "7", "\xff\xfe"}) {
      owner->config_json = text;
      QCOMPARE(opening(owner).code, ErrorCode::kCorrupt);
    }
    owner->config_json = "";
    QCOMPARE(opening(owner).code, ErrorCode::kMissingPart);
    owner->config_json = "{}";
    QCOMPARE(opening(owner).code, ErrorCode::kUnsupported);
    owner->config_json = R"({"model_type":"llama"})";
    QCOMPARE(opening(owner).code, ErrorCode::kMissingPart);
  }

  void tensors() {
    for (const bool gguf : {false, true}) {
      tiny::Spec spec;
      spec.gguf = gguf;
      const std::size_t count = tiny::make(spec)->tensors.size();
      for (std::size_t i = 0; i < count; ++i) {
        auto owner = tiny::make(spec);
        const std::string name = owner->tensors[i].name;
        // Without a head of its own, a GGUF model is tied.
        const bool optional = gguf && name == "output.weight";
        owner->tensors[i].name += "x";
        const Error missing = opening(owner);
        QCOMPARE(missing.code, optional ? ErrorCode::kInternal : ErrorCode::kMissingPart);
        if (!optional) QCOMPARE(missing.place, name);

        owner = tiny::make(spec);
        owner->tensors[i].shape.insert(owner->tensors[i].shape.begin(), 1);
        QCOMPARE(opening(owner).code, ErrorCode::kBadShape);

        owner = tiny::make(spec);
        owner->tensors[i].data = owner->tensors[i].data.first(owner->tensors[i].data.size() - 1);
        const Error brief = opening(owner);
        QCOMPARE(brief.code, ErrorCode::kCorrupt);
        QCOMPARE(brief.place, name);

        owner = tiny::make(spec);
        owner->tensors[i].type = TensorType::kI32;
        QCOMPARE(opening(owner).code, ErrorCode::kUnsupported);
      }
    }
  }
};

QTEST_APPLESS_MAIN(BadModelTest)
#include "bad_model_test.moc"
