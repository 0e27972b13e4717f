// Levels: the mixes of llama.cpp, counted on the shapes of real models, fallbacks, overrides, sizes.
#include <QTest>

#include <map>

#include "core/export/gguf_export.h"
#include "core/quantize/levels.h"

using namespace retort;

namespace {

struct Shape {
  std::int64_t layers, hidden, feed_forward, heads, kv_heads, vocabulary;
  bool tied;
};
constexpr Shape kSmolLm2{30, 576, 1536, 9, 3, 49152, true};
constexpr Shape kTinyLlama{22, 2048, 5632, 32, 4, 32000, false};
constexpr Shape kLlama7b{32, 4096, 11008, 32, 32, 32000, false};
constexpr Shape kLlama70b{80, 8192, 28672, 64, 8, 32000, false};

// A model of this shape without data: planning looks at names, shapes and types only.
Model model_of(const Shape& shape, TensorType type = TensorType::kF16) {
  Model model;
  model.checkpoint = std::make_shared<const Checkpoint>();
  model.config.architecture = "llama";
  model.config.layers = shape.layers;
  model.config.heads = shape.heads;
  model.config.kv_heads = shape.kv_heads;
  model.config.rope.interleaved = true;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> sizes) {
    const TensorType held = sizes.size() == 1 ? TensorType::kF32 : type;
    model.weights.push_back({.type = held, .shape = sizes, .data = {}, .row_scales = {}, .keep_alive = {}});
    model.graph.weights.push_back({name, name, std::move(sizes)});
  };
  const std::int64_t kv = shape.hidden / shape.heads * shape.kv_heads;
  add("token_embd.weight", {shape.vocabulary, shape.hidden});
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    add(layer + "attn_norm.weight", {shape.hidden});
    add(layer + "attn_q.weight", {shape.hidden, shape.hidden});
    add(layer + "attn_k.weight", {kv, shape.hidden});
    add(layer + "attn_v.weight", {kv, shape.hidden});
    add(layer + "attn_output.weight", {shape.hidden, shape.hidden});
    add(layer + "ffn_norm.weight", {shape.hidden});
    add(layer + "ffn_gate.weight", {shape.feed_forward, shape.hidden});
    add(layer + "ffn_up.weight", {shape.feed_forward, shape.hidden});
    add(layer + "ffn_down.weight", {shape.hidden, shape.feed_forward});
  }
  add("output_norm.weight", {shape.hidden});
  if (!shape.tied) add("output.weight", {shape.vocabulary, shape.hidden});
  return model;
}

// "207 Q4_0, 3 Q4_1": tensors of each type, in the order of the types.
QString mix_of(const LevelPlan& plan) {
  std::map<TensorType, int> counts;
  for (const TensorPlan& tensor : plan.tensors) ++counts[tensor.type];
  QStringList parts;
  for (const auto& [type, count] : counts) {
    parts << QString("%1 %2").arg(count).arg(QString::fromStdString(std::string(kernels::traits(type).name)));
  }
  return parts.join(", ");
}

const TensorPlan& tensor_of(const LevelPlan& plan, std::string_view name) {
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.name == name) return tensor;
  }
  qFatal("no such tensor");
}

int fallbacks_of(const LevelPlan& plan) {
  return static_cast<int>(std::count_if(plan.tensors.begin(), plan.tensors.end(),
                                        [](const TensorPlan& tensor) { return tensor.wanted.has_value(); }));
}

}  // namespace

class LevelsTest : public QObject {
  Q_OBJECT

 private slots:
  void table_is_in_order() {
    QCOMPARE(levels().size(), std::size_t{9});
    QCOMPARE(levels().front().id, std::string_view("F16"));
    QCOMPARE(levels().back().id, std::string_view("INT8"));
    QCOMPARE(find_level("Q4_K_M")->plain, std::string_view("4-bit, mixed"));
    QVERIFY(find_level("Q9_K") == nullptr);
  }

  // Types and bytes of llama-quantize's own files of SmolLM2-135M.
  void smollm2_data() {
    QTest::addColumn<QString>("level");
    QTest::addColumn<bool>("importance");
    QTest::addColumn<qint64>("bytes");
    QTest::addColumn<QString>("mix");
    const auto row = [](const char* level, bool importance, qint64 bytes, const char* mix) {
      QTest::newRow(qPrintable(QString("%1%2").arg(level, importance ? " with importance" : ""))) << level << importance << bytes << mix;
    };
    for (const bool importance : {false, true}) {
      row("F16", importance, 269100288, "61 F32, 211 F16");
      row("Q8_0", importance, 143025408, "61 F32, 211 Q8_0");
      row("Q6_K", importance, 136597248, "61 F32, 181 Q8_0, 30 Q6_K");
      row("Q5_K_M", importance, 110317824, "61 F32, 166 Q5_1, 15 Q8_0, 16 Q5_K, 14 Q6_K");
      row("Q4_K_M", importance, 103668480, "61 F32, 166 Q5_0, 15 Q8_0, 16 Q4_K, 14 Q6_K");
      row("Q3_K_M", importance, 91724544, "61 F32, 120 Q4_0, 58 Q5_0, 2 Q5_1, 1 Q8_0, 29 Q4_K, 1 Q5_K");
      row("Q2_K", importance, 86416128, "61 F32, 180 Q4_0, 1 Q8_0, 30 Q3_K");
    }
    row("Q4_0", false, 89941248, "61 F32, 210 Q4_0, 1 Q8_0");
    row("Q4_0", true, 90107136, "61 F32, 207 Q4_0, 3 Q4_1, 1 Q8_0");
  }
  void smollm2() {
    QFETCH(QString, level);
    QFETCH(bool, importance);
    QFETCH(qint64, bytes);
    QFETCH(QString, mix);
    const auto plan = plan_level(model_of(kSmolLm2), level.toStdString(), importance);
    QVERIFY(plan.ok());
    QCOMPARE(mix_of(*plan), mix);
    QCOMPARE(static_cast<qint64>(plan->bytes), bytes);
    QVERIFY(plan->file_bytes > plan->bytes);
    QVERIFY(std::abs(plan->bits_per_weight - 8.0 * static_cast<double>(bytes) / 134515008.0) < 1e-9);
  }

  // As llama-quantize --dry-run says for models of these shapes.
  void other_shapes() {
    const auto mix = [](const Shape& shape, const char* level) { return mix_of(*plan_level(model_of(shape), level, false)); };
    QCOMPARE(mix(kTinyLlama, "Q4_K_M"), QString("45 F32, 135 Q4_K, 21 Q6_K"));
    QCOMPARE(mix(kTinyLlama, "Q5_K_M"), QString("45 F32, 135 Q5_K, 21 Q6_K"));
    QCOMPARE(mix(kTinyLlama, "Q3_K_M"), QString("45 F32, 89 Q3_K, 63 Q4_K, 3 Q5_K, 1 Q6_K"));
    QCOMPARE(mix(kTinyLlama, "Q2_K"), QString("45 F32, 89 Q2_K, 44 Q3_K, 22 Q4_K, 1 Q6_K"));
    QCOMPARE(mix(kTinyLlama, "Q4_0"), QString("45 F32, 155 Q4_0, 1 Q6_K"));
    QCOMPARE(mix(kTinyLlama, "Q8_0"), QString("45 F32, 156 Q8_0"));
    QCOMPARE(mix(kLlama7b, "Q2_K"), QString("65 F32, 129 Q2_K, 96 Q3_K, 1 Q6_K"));
    QCOMPARE(mix(kLlama7b, "Q3_K_M"), QString("65 F32, 129 Q3_K, 92 Q4_K, 4 Q5_K, 1 Q6_K"));
    QCOMPARE(mix(kLlama70b, "Q3_K_M"), QString("161 F32, 321 Q3_K, 155 Q4_K, 85 Q5_K, 1 Q6_K"));
    QCOMPARE(mix(kLlama70b, "Q4_K_M"), QString("161 F32, 441 Q4_K, 40 Q5_K, 81 Q6_K"));
    QCOMPARE(mix(kLlama70b, "Q2_K"), QString("161 F32, 321 Q2_K, 160 Q3_K, 80 Q5_K, 1 Q6_K"));
  }

  void fallbacks_say_what_was_wanted() {
    const auto plan = plan_level(model_of(kSmolLm2), "Q4_K_M", false);
    QVERIFY(plan.ok());
    QCOMPARE(fallbacks_of(*plan), 180);
    const TensorPlan& queries = tensor_of(*plan, "blk.7.attn_q.weight");
    QCOMPARE(queries.type, TensorType::kQ5_0);
    QCOMPARE(*queries.wanted, TensorType::kQ4_K);
    QVERIFY(!tensor_of(*plan, "blk.7.ffn_down.weight").wanted);
    QCOMPARE(fallbacks_of(*plan_level(model_of(kTinyLlama), "Q4_K_M", false)), 0);
    // Rows that fill no block at all.
    const Shape odd{1, 48, 80, 2, 2, 100, true};
    QCOMPARE(mix_of(*plan_level(model_of(odd), "Q4_K_M", false)), QString("3 F32, 8 F16"));
    QCOMPARE(mix_of(*plan_level(model_of(odd), "Q8_0", false)), QString("3 F32, 8 F16"));
  }

  void int8_takes_every_matrix() {
    const auto plan = plan_level(model_of(kSmolLm2), "INT8", false);
    QVERIFY(plan.ok());
    QCOMPARE(mix_of(*plan), QString("61 F32, 211 I8"));
    QCOMPARE(tensor_of(*plan, "blk.0.attn_k.weight").bytes, std::uint64_t{192 * (576 + 4)});
    QVERIFY(plan->file_bytes > plan->bytes);
  }

  void overrides_win() {
    const TypeOverride overrides[] = {{"blk\\.[01]\\.ffn_", TensorType::kQ8_0}, {"ffn_down", TensorType::kQ2_K},
                                      {"attn_v", TensorType::kQ6_K}, {"norm", TensorType::kQ8_0}};
    const auto plan = plan_level(model_of(kSmolLm2), "Q4_K_M", false, overrides);
    QVERIFY(plan.ok());
    QCOMPARE(tensor_of(*plan, "blk.1.ffn_down.weight").type, TensorType::kQ8_0);   // the first match
    QCOMPARE(tensor_of(*plan, "blk.2.ffn_down.weight").type, TensorType::kQ2_K);
    QCOMPARE(tensor_of(*plan, "blk.2.attn_v.weight").type, TensorType::kQ8_0);     // falls back
    QCOMPARE(*tensor_of(*plan, "blk.2.attn_v.weight").wanted, TensorType::kQ6_K);
    QCOMPARE(tensor_of(*plan, "blk.2.ffn_norm.weight").type, TensorType::kF32);    // vectors keep theirs
  }

  void bad_wishes_are_errors() {
    const Model model = model_of(kSmolLm2);
    QCOMPARE(plan_level(model, "Q4", false).error().code, ErrorCode::kBadArgument);
    const TypeOverride broken[] = {{"ffn_(", TensorType::kQ8_0}}, impossible[] = {{"ffn", TensorType::kI64}};
    QCOMPARE(plan_level(model, "Q4_0", false, broken).error().code, ErrorCode::kBadArgument);
    QCOMPARE(plan_level(model, "Q4_0", false, impossible).error().code, ErrorCode::kBadArgument);
  }

  void notes_on_importance_count() {
    const Model model = model_of(kSmolLm2);
    const ExportImportance shorter{.file = "a", .dataset = "b"}, longer{.file = std::string(500, 'a'), .dataset = "b"};
    const auto plain = plan_level(model, "Q6_K", false), with = plan_level(model, "Q6_K", true, {}, &shorter),
               more = plan_level(model, "Q6_K", true, {}, &longer);
    QVERIFY(plain->file_bytes < with->file_bytes && with->file_bytes < more->file_bytes);
    QCOMPARE(more->file_bytes - with->file_bytes, std::uint64_t{512});   // 499 bytes, padded to 32
  }
};

QTEST_APPLESS_MAIN(LevelsTest)
#include "levels_test.moc"
