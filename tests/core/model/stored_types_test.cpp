// Every type that a weight can be stored in runs end to end: a tiny GGUF model whose matrices are random blocks of the type,
// and folders whose linears lie in several parts, against an f64 implementation on the decoded values.
#include <QTest>

#include "core/model/backend.h"
#include "kernels/random_weights.h"
#include "tiny_model.h"

using namespace retort;

namespace {

constexpr double kLargestWeight = 0.3;

// Random blocks of `type` whose values stay below kLargestWeight, so that activations neither vanish nor explode.
std::vector<std::byte> random_blocks(TensorType type, std::int64_t rows, std::int64_t columns, unsigned seed) {
  const kernels::TypeTraits& traits = kernels::traits(type);
  auto bytes = kernels::test::random_weights(type, rows, columns, seed);
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  const int at = traits.packed() ? kernels::test::scale_fields(type).scale : -1;
  const int minimum = traits.packed() ? kernels::test::scale_fields(type).minimum : -1;
  for (std::size_t b = 0; at >= 0 && b < bytes.size(); b += traits.block_bytes) {
    const auto put = [&](int field, float value) {
      const std::uint16_t half = kernels::f32_to_f16(value);
      if (field >= 0) std::memcpy(bytes.data() + b + static_cast<std::size_t>(field), &half, sizeof half);
    };
    put(at, 0.001f);
    put(minimum, 0.001f);
    traits.decode(bytes.data() + b, values.data(), traits.block_size);
    float largest = 0;
    for (std::size_t i = 0; i < traits.block_size; ++i) largest = std::max(largest, std::abs(values[i]));
    const float scale = 0.001f * static_cast<float>(kLargestWeight) / std::max(largest, 1e-6f);
    put(at, scale);
    put(minimum, scale);
  }
  if (type == TensorType::kMXFP4)
    for (std::size_t b = 0; b < bytes.size(); b += traits.block_bytes) bytes[b] = static_cast<std::uint8_t>(120 + bytes[b] % 3);
  if (type == TensorType::kNVFP4)
    for (std::size_t b = 0; b < bytes.size(); ++b)
      if (b % traits.block_bytes < 4) bytes[b] = static_cast<std::uint8_t>(8 + bytes[b] % 16);
  if (type == TensorType::kF8_E4M3 || type == TensorType::kF8_E5M2)
    for (std::uint8_t& byte : bytes) byte &= type == TensorType::kF8_E4M3 ? 0xa7 : 0xb3;
  std::vector<std::byte> out(bytes.size());
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

tiny::Spec wide_spec(bool gguf) {
  tiny::Spec spec;
  spec.gguf = gguf;
  spec.hidden = 256;
  spec.head_dim = 64;
  spec.feed_forward = 256;
  spec.layers = 1;
  return spec;
}

// Greatest difference of the logits relative to the greatest expected one; 1e9 when it does not run.
double error_of(const std::shared_ptr<tiny::Owner>& owner, const tiny::Spec& spec, std::string_view backend,
                kernels::Activations activations = kernels::Activations::kF32) {
  auto model = bind_model(owner);
  auto made = make_backend(backend, 2);
  if (!model.ok() || !made.ok()) return 1e9;
  RunOptions options;
  options.activations = activations;
  options.context = options.batch = 32;
  options.cache_f16 = false;
  auto session = (*made)->compile(std::make_shared<const Model>(std::move(*model)), options);
  const std::vector<TokenId> tokens = {3, 41, 7, 19, 2, 30, 11};
  if (!session.ok() || !(*session)->run(tokens, {}).ok()) return 1e9;
  const auto logits = (*session)->logits(0, static_cast<std::int64_t>(tokens.size()));
  if (!logits.ok()) return 1e9;
  const auto expected = tiny::Expected(spec, *owner).run(tokens);
  double worst = 0, greatest = 0;
  std::size_t i = 0;
  for (const tiny::Vector& row : expected.logits)
    for (const double e : row) {
      worst = std::max(worst, std::abs(static_cast<double>((*logits)[i++]) - e));
      greatest = std::max(greatest, std::abs(e));
    }
  return i == logits->size() ? worst / greatest : 1e9;
}

}  // namespace

class StoredTypesTest : public QObject {
  Q_OBJECT

 private slots:
  void every_type_runs_data() {
    QTest::addColumn<int>("type");
    for (const kernels::TypeTraits& type : kernels::tensor_types())
      if (type.packed() || type.type == TensorType::kF8_E4M3 || type.type == TensorType::kF8_E5M2)
        QTest::newRow(std::string(type.name).c_str()) << static_cast<int>(type.type);
  }
  void every_type_runs() {
    QFETCH(int, type);
    const tiny::Spec spec = wide_spec(true);
    const auto owner = tiny::make(spec);
    unsigned seed = 1;
    for (TensorEntry& tensor : owner->tensors) {
      if (tensor.shape.size() != 2) continue;
      tensor.type = static_cast<TensorType>(type);
      owner->bytes[tensor.name] = random_blocks(tensor.type, tensor.rows(), tensor.columns(), ++seed);
      tensor.data = owner->bytes[tensor.name];
    }
    // Sums of 256 products in f32 through one layer.
    for (const char* backend : {"cpu", "reference"}) {
      const double error = error_of(owner, spec, backend);
      QVERIFY2(error < 2e-5, fmt::format("{}: {}", backend, error).c_str());
    }
    // With rounded activations too: those types without a rounding of their own stay exact.
    QVERIFY(error_of(owner, spec, "cpu", kernels::Activations::kQ8) < 0.1);
  }

  // Weights that lie in several parts: the same numbers through CodedTensor.
  void weights_in_parts_run() {
    struct Stored final : CodedTensor {
      explicit Stored(const TensorEntry& entry) : entry_(entry) { bytes_ = entry.data.size(); scheme_ = "in one piece"; }
      void decode(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns,
                  float* out) const noexcept override {
        std::vector<float> row(static_cast<std::size_t>(entry_.columns()));
        for (std::int64_t r = 0; r < rows; ++r) {
          entry_.decode_rows(first_row + r, 1, row.data());
          std::copy_n(row.data() + first_column, columns, out + r * columns);
        }
      }
      TensorEntry entry_;
    };
    const tiny::Spec spec = wide_spec(false);
    const auto owner = tiny::make(spec);
    const auto plain = std::make_shared<tiny::Owner>(*owner);
    for (TensorEntry& tensor : owner->tensors) {
      if (tensor.shape.size() != 2) continue;
      tensor.coded = std::make_shared<Stored>(tensor);
    }
    // The f64 model reads the plain tensors; the handles see no data.
    for (const char* backend : {"cpu", "reference"}) {
      const double error = error_of(owner, spec, backend);
      QVERIFY2(error < 2e-5, fmt::format("{}: {}", backend, error).c_str());
    }
    const auto model = bind_model(owner);
    QVERIFY(model.ok());
    const WeightHandle& weight = model->weights[static_cast<std::size_t>(model->find_weight("blk.0.ffn_down.weight"))];
    QVERIFY(weight.coded && weight.data.empty());
    const auto whole = in_one_piece(weight);
    QVERIFY(whole.ok());
    const TensorEntry* original = plain->find("model.layers.0.mlp.down_proj.weight");
    QVERIFY(std::memcmp(whole->data.data(), original->data.data(), original->data.size()) == 0);
  }
};

QTEST_APPLESS_MAIN(StoredTypesTest)
#include "stored_types_test.moc"
