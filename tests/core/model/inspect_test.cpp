#include <QTest>
#include <cmath>
#include <random>

#include "core/base/error_text.h"
#include "core/formats/checkpoint.h"
#include "core/model/inspect.h"
#include "format_files.h"
#include "kernels/api/half.h"

using namespace retort;

namespace {

// Blocks of 32 on a grid: d · code + m per block, rounded to F16 as an expansion stores them.
std::vector<float> on_grid(int levels, bool affine, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<float> values(32);
  const float d = kernels::f16_to_f32(kernels::f32_to_f16(std::abs(normal(random)) / static_cast<float>(levels) + 0.002f));
  const float m = affine ? kernels::f16_to_f32(kernels::f32_to_f16(normal(random) - 0.05f)) : -d * static_cast<float>(levels / 2);
  for (float& value : values) {
    const int code = static_cast<int>(random() % static_cast<unsigned>(levels));
    value = kernels::f16_to_f32(kernels::f32_to_f16(d * static_cast<float>(code) + m));
  }
  // Both ends are reached, as quantizers make it.
  values[3] = kernels::f16_to_f32(kernels::f32_to_f16(m));
  values[9] = kernels::f16_to_f32(kernels::f32_to_f16(d * static_cast<float>(levels - 1) + m));
  return values;
}

TensorEntry entry_of(const std::vector<float>& values, std::string name = "w") {
  TensorEntry tensor;
  tensor.name = std::move(name);
  tensor.shape = {static_cast<std::int64_t>(values.size())};
  tensor.type = TensorType::kF32;
  tensor.data = std::as_bytes(std::span(values));
  return tensor;
}

}  // namespace

class InspectTest : public QObject {
  Q_OBJECT
 private slots:
  void findsTheGridOfABlock() {
    std::mt19937 random(7);
    int found_4_0 = 0, found_4_1 = 0, found_5_1 = 0, found_8 = 0, none = 0;
    constexpr int kRounds = 400;
    for (int i = 0; i < kRounds; ++i) {
      found_4_0 += grid_of_block(on_grid(16, false, random), 0x1p-11) == TensorType::kQ4_0;
      found_4_1 += grid_of_block(on_grid(16, true, random), 0x1p-11) == TensorType::kQ4_1;
      found_5_1 += grid_of_block(on_grid(32, true, random), 0x1p-11) == TensorType::kQ5_1;
      found_8 += grid_of_block(on_grid(255, false, random), 0x1p-11) == TensorType::kQ8_0;
      std::normal_distribution<float> normal(0, 0.05f);
      std::vector<float> values(32);
      for (float& value : values) value = kernels::f16_to_f32(kernels::f32_to_f16(normal(random)));
      none += !grid_of_block(values, 0x1p-11).has_value();
    }
    // An affine block may pass through 0 by chance (its minimum a whole number of steps).
    QVERIFY2(found_4_0 > kRounds * 95 / 100, std::to_string(found_4_0).c_str());
    QVERIFY2(found_4_1 > kRounds * 80 / 100, std::to_string(found_4_1).c_str());
    QVERIFY2(found_5_1 > kRounds * 80 / 100, std::to_string(found_5_1).c_str());
    QVERIFY2(found_8 > kRounds * 90 / 100, std::to_string(found_8).c_str());
    QCOMPARE(none, kRounds);
    QVERIFY(!grid_of_block(std::vector<float>(32, 0.0f), 0x1p-11).has_value());
    std::vector<float> bad(32, 1.0f);
    bad[5] = NAN;
    QVERIFY(!grid_of_block(bad, 0x1p-11).has_value());
  }

  void measuresATensor() {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0.5f, 2.0f);
    std::vector<float> values(200000);
    for (float& value : values) value = normal(random);
    values[17] = 100.0f;
    values[18] = INFINITY;
    const auto s = tensor_statistics(entry_of(values), JobContext());
    QVERIFY(s.ok());
    QCOMPARE(s->elements, std::int64_t{200000});
    QCOMPARE(s->non_finite, std::int64_t{1});
    QCOMPARE(s->maximum, 100.0);
    QVERIFY(std::abs(s->mean - 0.5) < 0.02);
    QVERIFY(std::abs(s->deviation - 2.0) < 0.03);
    QVERIFY(std::abs(s->outliers - 1.0 / 199999) < 1e-9);
    std::int64_t counted = 0;
    for (const std::int64_t bin : s->histogram) counted += bin;
    QCOMPARE(counted, std::int64_t{199999});
    JobContext job;
    job.stop();
    QCOMPARE(tensor_statistics(entry_of(values), job).error().code, ErrorCode::kCanceled);
  }

  void describesTheMicroModel() {
    for (const char* name : {"micro-llama.gguf", "micro-llama-hf"}) {
      const auto found = inspect(std::filesystem::path(RETORT_TEST_DATA) / name, {.context = 128, .machine_memory = 8ull << 30, .threads = 1});
      QVERIFY2(found.ok(), found ? "" : error_text(found.error()).c_str());
      QCOMPARE(found->architecture, std::string("llama"));
      QVERIFY(!found->cannot_run);
      QVERIFY(!found->quantization);
      QCOMPARE(found->tokenizer_kind, std::string("bpe"));
      QCOMPARE(found->tokenizer_size, std::size_t{384});
      QVERIFY(found->parameters > 100000 && found->parameters < 200000);
      QVERIFY(found->levels.size() >= 8);
      for (const LevelSize& level : found->levels) {
        QVERIFY(level.fits);
        QVERIFY(level.memory > level.bytes / 2);
        QVERIFY(level.bits_per_weight > 2 && level.bits_per_weight < 17);
      }
      // Rows of 64 fill no block of 256.
      const auto q4 = std::find_if(found->levels.begin(), found->levels.end(), [](const LevelSize& l) { return l.id == "Q4_K_M"; });
      QVERIFY(q4 != found->levels.end() && !q4->fallbacks.empty());
      const auto tight = inspect(std::filesystem::path(RETORT_TEST_DATA) / name, {.context = 128, .machine_memory = 1000, .threads = 1});
      QVERIFY(tight.ok() && !tight->levels.front().fits);
    }
  }

  // Its tensors, tokenizer and sizes are still told.
  void describesWhatItCannotRun() {
    const std::filesystem::path folder = RETORT_TEST_DATA "/micro-llama-hf";
    const test::Scratch scratch;
    for (const char* name : {"model.safetensors", "tokenizer.json", "tokenizer_config.json"})
      test::put_file(scratch / name, test::get_file(folder / name));
    std::string config = test::get_file(folder / "config.json");
    const std::size_t at = config.find("LlamaForCausalLM");
    QVERIFY(at != std::string::npos);
    test::put_file(scratch / "config.json", config.replace(at, 16, "NobodysForCausalLM"));
    const auto found = inspect(scratch.root(), {});
    QVERIFY2(found.ok(), found ? "" : error_text(found.error()).c_str());
    QVERIFY(found->cannot_run && found->cannot_run->found.find("Nobodys") != std::string::npos);
    QVERIFY(found->levels.empty());
    QVERIFY(found->parameters > 0);
    QCOMPARE(found->tokenizer_kind, std::string("bpe"));
  }
};

QTEST_APPLESS_MAIN(InspectTest)
#include "inspect_test.moc"
