// Every rotary scaling variant against transformers' own formulae (tests/data/model/make_rope_expected.py).
#include <QTest>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/model/rope.h"
#include "tiny_model.h"

using namespace retort;

class RopeTest : public QObject {
  Q_OBJECT

 private slots:
  void agrees_with_transformers_data() {
    QTest::addColumn<int>("index");
    std::ifstream file(RETORT_TEST_DATA "/model/rope_expected.json");
    cases_ = nlohmann::json::parse(file);
    QVERIFY(cases_.size() >= 13);
    int i = 0;
    for (const auto& row : cases_) QTest::newRow(row["name"].get<std::string>().c_str()) << i++;
  }
  // The parameters go the whole way: written into a config.json, read by the architecture, computed.
  void agrees_with_transformers() {
    QFETCH(int, index);
    const auto& row = cases_[static_cast<std::size_t>(index)];
    const auto& config = row["config"];
    for (const bool newer_form : {true, false}) {
      tiny::Spec spec;
      spec.head_dim = config["head_dim"];
      spec.context = config["max_position_embeddings"];
      const auto owner = tiny::make(spec);
      auto json = nlohmann::json::parse(owner->config_json);
      json.erase("rope_scaling");
      json.erase("rope_theta");
      auto parameters = config["rope_parameters"];
      if (newer_form) {
        json["rope_parameters"] = parameters;
      } else {   // as transformers 4 wrote it
        json["rope_theta"] = parameters["rope_theta"];
        if (parameters.contains("partial_rotary_factor")) json["partial_rotary_factor"] = parameters["partial_rotary_factor"];
        parameters["type"] = parameters["rope_type"];
        for (const char* key : {"rope_theta", "partial_rotary_factor", "rope_type"}) parameters.erase(key);
        json["rope_scaling"] = parameters;
      }
      owner->config_json = json.dump();
      const auto model = bind_model(owner);
      QVERIFY2(model.ok(), model.ok() ? "" : model.error().place.c_str());
      const RopeFrequencies found = rope_frequencies(model->config, row["length"]);
      QCOMPARE(found.inverse.size(), row["inverse"].size());
      for (std::size_t i = 0; i < found.inverse.size(); ++i) {
        const double expected = row["inverse"][i];
        // Two roundings of f32 apart at most (the power and what is made of it).
        QVERIFY2(std::abs(static_cast<double>(found.inverse[i]) - expected) <= 4e-7 * expected,
                 fmt::format("{}: {} instead of {}", i, found.inverse[i], expected).c_str());
      }
      const double attention = row["attention_factor"];
      QVERIFY(std::abs(static_cast<double>(found.attention_factor) - attention) <= 1e-7 * attention);
    }
  }

  void gguf_spellings() {
    tiny::Spec spec;
    spec.gguf = true;
    const auto owner = tiny::make(spec);
    owner->metadata.set("llama.rope.scaling.type", std::string("linear"));
    owner->metadata.set("llama.rope.scaling.factor", 4.0f);
    auto model = bind_model(owner);
    QVERIFY(model.ok());
    QCOMPARE(model->config.rope.interleaved, true);
    QCOMPARE(rope_frequencies(model->config, 10).inverse[0], 0.25f);

    // Llama 3's factors come as a tensor; each divides its frequency.
    std::mt19937 random(1);
    owner->metadata.set("llama.rope.scaling.type", std::string("none"));
    owner->metadata.set("llama.rope.scaling.factor", 1.0f);
    tiny::add_tensor(*owner, random, "rope_freqs.weight", {spec.head_dim / 2}, TensorType::kF32, 8, 0);
    model = bind_model(owner);
    QVERIFY(model.ok());
    QCOMPARE(rope_frequencies(model->config, 10).inverse[0], 0.125f);

    owner->metadata.set("llama.rope.dimension_count", std::uint32_t{8});
    QCOMPARE(bind_model(owner).error().code, ErrorCode::kBadShape);
  }

  void longrope_changes_all_at_once_and_dynamic_with_every_length() {
    RopeConfig rope;
    rope.scaling = RopeScaling::kLongRope;
    rope.original_context = 32;
    QCOMPARE(rope_length_key(rope, 32), std::int64_t{0});
    QCOMPARE(rope_length_key(rope, 33), rope_length_key(rope, 1000));
    rope.scaling = RopeScaling::kDynamic;
    QCOMPARE(rope_length_key(rope, 20), rope_length_key(rope, 32));
    QVERIFY(rope_length_key(rope, 33) != rope_length_key(rope, 34));
    rope.scaling = RopeScaling::kYarn;
    QCOMPARE(rope_length_key(rope, 1000), std::int64_t{0});
  }

 private:
  nlohmann::json cases_;
};

QTEST_APPLESS_MAIN(RopeTest)
#include "rope_test.moc"
