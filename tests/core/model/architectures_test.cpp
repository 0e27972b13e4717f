// The architectures of tests/data/models against transformers: logits, hidden states, greedy tokens. Tiny models of our own.
#include <QTest>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/model/encoder_input.h"
#include "core/model/sampling.h"

using namespace retort;

namespace {

const std::filesystem::path kFolder = std::filesystem::path(RETORT_SOURCE_DIR) / "tests/data/models";

std::vector<float> floats(const Checkpoint& file, std::string_view name) {
  const TensorEntry* entry = file.find(name);
  if (!entry) return {};
  std::vector<float> out(static_cast<std::size_t>(entry->elements()));
  kernels::traits(entry->type).decode(entry->data.data(), out.data(), out.size());
  return out;
}

std::vector<std::int64_t> numbers(const Checkpoint& file, std::string_view name) {
  const TensorEntry* entry = file.find(name);
  if (!entry || entry->type != TensorType::kI64) return {};
  std::vector<std::int64_t> out(static_cast<std::size_t>(entry->elements()));
  std::memcpy(out.data(), entry->data.data(), out.size() * sizeof out[0]);
  return out;
}

// Greatest difference, relative to the greatest expected value; rounding in f32 makes about 2e-6 of it.
double difference(std::span<const float> found, std::span<const float> expected) {
  if (found.size() != expected.size() || found.empty()) return 1e9;
  double worst = 0, greatest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i])));
    greatest = std::max(greatest, std::abs(static_cast<double>(expected[i])));
  }
  return worst / greatest;
}
constexpr double kAllowed = 1e-5;

template <class To, class From>
std::vector<To> part(const std::vector<From>& from, std::size_t row, std::size_t length) {
  std::vector<To> out;
  for (std::size_t i = row * length; i < std::min(from.size(), (row + 1) * length); ++i) out.push_back(static_cast<To>(from[i]));
  return out;
}

}  // namespace

class ArchitecturesTest : public QObject {
  Q_OBJECT

 private slots:
  void agrees_with_transformers_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("backend");
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder))
      if (entry.is_directory()) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    QVERIFY(names.size() >= 26);
    for (const char* backend : {"cpu", "reference"})
      for (const std::string& name : names)
        QTest::addRow("%s, %s", name.c_str(), backend) << QString::fromStdString(name) << QString(backend);
  }
  void agrees_with_transformers() {
    QFETCH(QString, name);
    QFETCH(QString, backend);
    auto opened = open_model(kFolder / name.toStdString());
    QVERIFY2(opened.ok(), opened.ok() ? "" : (opened.error().place + ": " + opened.error().found).c_str());
    const auto model = std::make_shared<const Model>(std::move(opened).value());
    const auto file = open_safetensors(kFolder / name.toStdString() / "reference.safetensors");
    const auto made = make_backend(backend.toStdString(), 2);
    QVERIFY(file.ok() && made.ok());
    RunOptions options;
    options.activations = kernels::Activations::kF32;
    options.cache_f16 = false;
    options.context = 32;
    const auto session = (*made)->compile(model, options);
    QVERIFY(session.ok());
    if (model->graph.causal) check_decoder(**session, **file);
    else check_encoder(**session, *model, **file);
  }

  void gguf_agrees_with_transformers_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"cohere", "gemma2-plain", "gpt-neox-serial", "granite", "mixtral", "qwen2-moe-plain", "smollm3-plain"})
      QTest::addRow("%s", name) << QString(name);
  }
  void gguf_agrees_with_transformers() {
    QFETCH(QString, name);
    const std::filesystem::path folder = kFolder.parent_path() / "models-gguf";
    auto opened = open_model(folder / (name.toStdString() + ".gguf"));
    QVERIFY2(opened.ok(), opened.ok() ? "" : (opened.error().place + ": " + opened.error().found).c_str());
    const auto file = open_safetensors(folder / (name.toStdString() + ".safetensors"));
    const auto made = make_backend("cpu", 2);
    QVERIFY(file.ok() && made.ok());
    RunOptions options;
    options.activations = kernels::Activations::kF32;
    options.cache_f16 = false;
    options.context = 32;
    const auto session = (*made)->compile(std::make_shared<const Model>(std::move(opened).value()), options);
    QVERIFY(session.ok());
    check_decoder(**session, **file);
  }

  // Blocks of another size and one token at a time go through other kernels and the cache.
  void one_token_at_a_time_gives_the_same() {
    for (const char* name : {"smollm3", "gemma3-5layers", "qwen2-moe", "cohere"}) {
      auto opened = open_model(kFolder / name);
      const auto file = open_safetensors(kFolder / name / "reference.safetensors");
      QVERIFY(opened.ok() && file.ok());
      const auto made = make_backend("cpu", 1);
      RunOptions options;
      options.activations = kernels::Activations::kF32;
      options.cache_f16 = false;
      options.context = 32;
      const auto session = (*made)->compile(std::make_shared<const Model>(std::move(opened).value()), options);
      QVERIFY(session.ok());
      const std::vector<TokenId> tokens = part<TokenId>(numbers(**file, "input_ids"), 0, 20);
      for (const TokenId token : tokens) QVERIFY((*session)->run(std::span(&token, 1), {}).ok());
      const std::vector<float> all = floats(**file, "logits");
      const auto last = (*session)->logits(0, 1);
      QVERIFY(last.ok());
      QVERIFY(difference(*last, std::span(all).subspan(19 * last->size(), last->size())) < kAllowed);
    }
  }

  // Every value of every configuration changed to something else: an error that names the place, or a model that runs.
  void odd_configurations_do_no_harm_data() {
    QTest::addColumn<QString>("name");
    for (const auto& entry : std::filesystem::directory_iterator(kFolder))
      if (entry.is_directory()) QTest::addRow("%s", entry.path().filename().c_str()) << QString::fromStdString(entry.path().filename().string());
  }
  void odd_configurations_do_no_harm() {
    QFETCH(QString, name);
    const auto opened = open_checkpoint(kFolder / name.toStdString());
    const auto made = make_backend("cpu", 1);
    QVERIFY(opened.ok() && made.ok());
    const auto config = nlohmann::json::parse((*opened)->config_json);
    const nlohmann::json odd = {nullptr, true, false, 0, -1, 1, 2, 3, 7, 64, 1e9, 2147483647, 4294967296.0, 1e300, -1e300, 0.5, 1e-300,
                                "x", "", "gelu", nlohmann::json::array(), nlohmann::json::array({1, 2}),
                                nlohmann::json::array({"full_attention"}), nlohmann::json::object()};
    int ran = 0;
    for (const auto& [key, value] : config.items()) {
      for (const auto& other : odd) {
        auto changed = config;
        changed[key] = other;
        ran += run_changed(**opened, changed.dump(), **made) ? 1 : 0;
        if (!value.is_object()) continue;
        for (const auto& [inner, unused] : value.items()) {
          auto deeper = config;
          deeper[key][inner] = other;
          ran += run_changed(**opened, deeper.dump(), **made) ? 1 : 0;
        }
      }
    }
    QVERIFY(ran > 0);
  }

  void heads_are_named() {
    const auto model = open_model(kFolder / "electra");
    QVERIFY(model.ok());
    QCOMPARE(model->config.labels, std::int64_t{3});
    QVERIFY(model->config.label_names == (std::vector<std::string>{"bad", "good", "so so"}));
    QVERIFY(model->graph.head == HeadKind::kSequenceLabels);
    QVERIFY(open_model(kFolder / "mpnet-mlm")->graph.head == HeadKind::kMaskedToken);
  }

 private:
  // Whether it opened and computed something.
  static bool run_changed(const Checkpoint& source, std::string config_json, Backend& backend) {
    auto changed = std::make_shared<Checkpoint>(source);
    changed->config_json = std::move(config_json);
    auto bound = bind_model(std::move(changed));
    if (!bound.ok()) return false;
    RunOptions options;
    options.context = 4;
    const auto session = backend.compile(std::make_shared<const Model>(std::move(bound).value()), options);
    if (!session.ok()) return false;
    const std::vector<TokenId> tokens = {3, 1, 4};
    const std::vector<std::int32_t> positions = {2, 3, 4};
    const std::vector<std::int64_t> lengths = {3};
    if ((*session)->run(tokens, {}).ok()) return (*session)->logits(0, 3).ok();
    return (*session)->encode({tokens, {}, positions, lengths}, {}).ok() && (*session)->logits(0, 1).ok();
  }

  void check_decoder(Session& session, const Checkpoint& file) {
    const std::vector<std::int64_t> ids = numbers(file, "input_ids"), greedy = numbers(file, "greedy");
    const std::size_t length = static_cast<std::size_t>(file.find("input_ids")->columns()), batch = ids.size() / length;
    const std::vector<float> logits = floats(file, "logits"), hidden = floats(file, "last_hidden_state");
    for (std::size_t r = 0; r < batch; ++r) {
      session.rewind(0);
      QVERIFY(session.run(part<TokenId>(ids, r, length), {}).ok());
      const auto found = session.logits(0, static_cast<std::int64_t>(length));
      QVERIFY(found.ok());
      QVERIFY(difference(*found, part<float>(logits, r, logits.size() / batch)) < kAllowed);
      QVERIFY(difference(session.hidden(), part<float>(hidden, r, hidden.size() / batch)) < kAllowed);
    }
    session.rewind(0);
    QVERIFY(session.run(part<TokenId>(ids, 0, length), {}).ok());
    std::int64_t row = static_cast<std::int64_t>(length) - 1;
    for (const std::int64_t expected : greedy) {
      const auto next = session.logits(row, 1);
      QVERIFY(next.ok());
      const TokenId token = greedy_token(*next);
      QCOMPARE(static_cast<std::int64_t>(token), expected);
      QVERIFY(session.run(std::span(&token, 1), {}).ok());
      row = 0;
    }
  }

  // Both rows in one batch, without the padding.
  void check_encoder(Session& session, const Model& model, const Checkpoint& file) {
    const std::vector<std::int64_t> ids = numbers(file, "input_ids"), mask = numbers(file, "attention_mask");
    const std::vector<std::int64_t> types = numbers(file, "token_type_ids");
    const std::size_t length = static_cast<std::size_t>(file.find("input_ids")->columns()), batch = ids.size() / length;
    EncoderInput input(model.config);
    for (std::size_t r = 0; r < batch; ++r)
      QVERIFY(input.add(part<TokenId>(ids, r, length), part<std::int64_t>(mask, r, length), part<std::int32_t>(types, r, length)).ok());
    QVERIFY(session.encode(input.batch(), {}).ok());
    const auto shown = [&](const std::vector<float>& from) {
      const std::size_t width = from.size() / ids.size();
      std::vector<float> out;
      for (std::size_t i = 0; i < from.size(); ++i)
        if (mask[i / width] != 0) out.push_back(from[i]);
      return out;
    };
    QVERIFY(difference(session.hidden(), shown(floats(file, "last_hidden_state"))) < kAllowed);
    const bool pooled = model.graph.head == HeadKind::kSequenceLabels;
    const auto found = session.logits(0, pooled ? input.sequences() : input.tokens());
    QVERIFY(found.ok());
    const std::vector<float> logits = floats(file, "logits");
    QVERIFY(difference(*found, pooled ? logits : shown(logits)) < kAllowed);
  }
};

QTEST_APPLESS_MAIN(ArchitecturesTest)
#include "architectures_test.moc"
