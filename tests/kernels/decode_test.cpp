// Decoders: bit for bit against the shared reference vectors, and against formulas written out here.
#include <QtTest>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/api/blocks.h"
#include "kernels/api/half.h"
#include "kernels/api/tensor_type.h"
#include "kernels/dispatch/ops.h"

using namespace retort::kernels;

namespace {

struct Vectors {
  std::vector<unsigned char> packed;
  std::vector<float> expected;
};

// Reads `packed` and `dequantized` of one safetensors file of ours (trusted test data).
bool read_vectors(const std::string& path, Vectors& out) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return false;
  std::uint64_t length = 0;
  file.read(reinterpret_cast<char*>(&length), sizeof(length));
  std::string text(length, '\0');
  file.read(text.data(), static_cast<std::streamsize>(length));
  const nlohmann::json header = nlohmann::json::parse(text);
  const auto read = [&](const char* name, void* to, std::size_t bytes) {
    const std::uint64_t begin = header[name]["data_offsets"][0];
    file.seekg(static_cast<std::streamoff>(8 + length + begin));
    file.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
  };
  const auto size = [&](const char* name) {
    return header[name]["data_offsets"][1].get<std::size_t>() - header[name]["data_offsets"][0].get<std::size_t>();
  };
  out.packed.resize(size("packed"));
  out.expected.resize(size("dequantized") / sizeof(float));
  read("packed", out.packed.data(), out.packed.size());
  read("dequantized", out.expected.data(), out.expected.size() * sizeof(float));
  return static_cast<bool>(file);
}

// Equal as bits, so that the sign of zero and every last bit count.
int first_difference(const std::vector<float>& a, const std::vector<float>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) return static_cast<int>(i);
  return -1;
}

}  // namespace

class DecodeTest : public QObject {
  Q_OBJECT

 private slots:
  void registry_is_complete() {
    QCOMPARE(tensor_types().size(), static_cast<std::size_t>(TensorType::kCount));
    for (const TypeTraits& type : tensor_types()) {
      QCOMPARE(find_type(type.name), &type);
      if (type.ggml_id >= 0) QCOMPARE(find_ggml_type(type.ggml_id), &type);
      QVERIFY(type.decode != nullptr);
    }
    QCOMPARE(find_type("q4_k")->type, TensorType::kQ4_K);
    QVERIFY(find_type("Q4_X") == nullptr);
    QVERIFY(find_ggml_type(-1) == nullptr);
    QVERIFY(find_ggml_type(9999) == nullptr);
    QCOMPARE(row_bytes(TensorType::kQ6_K, 512), std::size_t{420});
  }

  void shared_vectors_data() {
    QTest::addColumn<int>("type");
    for (const TypeTraits& type : tensor_types())
      if (type.packed() || type.type == TensorType::kBF16)
        QTest::newRow(std::string(type.name).c_str()) << static_cast<int>(type.type);
  }
  void shared_vectors() {
    QFETCH(int, type);
    const QByteArray shared = qgetenv("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED does not name the shared references");
    const TypeTraits& t = traits(static_cast<TensorType>(type));
    Vectors vectors;
    QVERIFY(read_vectors(shared.toStdString() + "/ggml_types/" + std::string(t.name) + ".safetensors", vectors));
    std::vector<float> got(vectors.expected.size());
    QCOMPARE(vectors.packed.size(), row_bytes(t.type, got.size()));
    t.decode(vectors.packed.data(), got.data(), got.size());
    QCOMPARE(first_difference(got, vectors.expected), -1);
    std::fill(got.begin(), got.end(), -1.0f);
    decode(t.type, vectors.packed.data(), got.data(), got.size());
    QCOMPARE(first_difference(got, vectors.expected), -1);
  }

  // One block of random bytes a type, its values decoded by the gguf package (tests/peers/ggml_blocks_peer.py).
  void stored_vectors_data() {
    QTest::addColumn<QByteArray>("packed");
    QTest::addColumn<QByteArray>("sha256");
    std::ifstream file(RETORT_TEST_DATA "/ggml_blocks.json");
    const nlohmann::json all = nlohmann::json::parse(file);
    for (const auto& [name, row] : all.items())
      QTest::newRow(name.c_str()) << QByteArray::fromHex(QByteArray::fromStdString(row["packed"]))
                                  << QByteArray::fromHex(QByteArray::fromStdString(row["sha256"]));
  }
  void stored_vectors() {
    QFETCH(QByteArray, packed);
    QFETCH(QByteArray, sha256);
    const TypeTraits* type = find_type(QTest::currentDataTag());
    QVERIFY(type != nullptr);
    std::vector<float> got(static_cast<std::size_t>(packed.size()) / type->block_bytes * type->block_size);
    type->decode(packed.constData(), got.data(), got.size());
    const QByteArray bytes(reinterpret_cast<const char*>(got.data()), static_cast<qsizetype>(got.size() * sizeof(float)));
    QCOMPARE(QCryptographicHash::hash(bytes, QCryptographicHash::Sha256), sha256);
  }

  // Every code of the 8-bit floats, by the definition: sign, exponent, mantissa.
  void eight_bit_floats() {
    for (const auto& [type, mantissa_bits, bias] : {std::tuple(TensorType::kF8_E4M3, 3, 7), std::tuple(TensorType::kF8_E5M2, 2, 15)}) {
      for (int code = 0; code < 256; ++code) {
        const auto byte = static_cast<std::uint8_t>(code);
        float got = 0;
        decode(type, &byte, &got, 1);
        const int top = (1 << (7 - mantissa_bits)) - 1, exponent = code >> mantissa_bits & top;
        const int mantissa = code & ((1 << mantissa_bits) - 1);
        const bool special = type == TensorType::kF8_E4M3 ? (code & 0x7f) == 0x7f : exponent == top;
        if (special) {
          QVERIFY(type == TensorType::kF8_E5M2 && mantissa == 0 ? std::isinf(got) : std::isnan(got));
          continue;
        }
        const double fraction = static_cast<double>(mantissa) / (1 << mantissa_bits);
        const double size = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
        QCOMPARE(static_cast<double>(got), code & 0x80 ? -size : size);
        QCOMPARE(std::signbit(got), code >= 128);
      }
    }
  }

  // Hand-made blocks whose decoding can be checked by eye.
  void small_blocks() {
    BlockQ4_0 q4{f32_to_f16(0.5f), {}};
    for (int j = 0; j < 16; ++j) q4.codes[j] = static_cast<std::uint8_t>(j | (15 - j) << 4);
    float x[256];
    decode(TensorType::kQ4_0, &q4, x, 32);
    for (int j = 0; j < 16; ++j) {
      QCOMPARE(x[j], 0.5f * static_cast<float>(j - 8));
      QCOMPARE(x[j + 16], 0.5f * static_cast<float>(7 - j));
    }
    BlockQ5_1 q5{f32_to_f16(2.0f), f32_to_f16(-1.0f), {0xff, 0, 0xff, 0}, {}};
    decode(TensorType::kQ5_1, &q5, x, 32);
    for (int j = 0; j < 32; ++j) QCOMPARE(x[j], j / 8 % 2 == 0 ? 31.0f : -1.0f);
    BlockQ8_0 q8{f32_to_f16(0.25f), {}};
    for (int j = 0; j < 32; ++j) q8.codes[j] = static_cast<std::int8_t>(j * 8 - 128);
    decode(TensorType::kQ8_0, &q8, x, 32);
    for (int j = 0; j < 32; ++j) QCOMPARE(x[j], 2.0f * static_cast<float>(j - 16));
    // All codes equal: each sub-block is its scale times the code minus its minimum.
    BlockQ4_K q4k{f32_to_f16(1.0f), f32_to_f16(1.0f), {1, 2, 3, 4, 5, 6, 7, 8, 0x21, 0x43, 0x65, 0x87}, {}};
    std::memset(q4k.codes, 0x33, sizeof(q4k.codes));
    decode(TensorType::kQ4_K, &q4k, x, 256);
    const int scales[] = {1, 2, 3, 4, 1, 3, 5, 7}, minima[] = {5, 6, 7, 8, 2, 4, 6, 8};
    for (int i = 0; i < 256; ++i) QCOMPARE(x[i], static_cast<float>(scales[i / 32] * 3 - minima[i / 32]));
    BlockQ6_K q6{};
    q6.d = f32_to_f16(1.0f);
    for (int s = 0; s < 16; ++s) q6.scales[s] = static_cast<std::int8_t>(s - 8);
    std::memset(q6.low, 0x55, sizeof(q6.low));
    std::memset(q6.high, 0xaa, sizeof(q6.high));  // code 5 + 2·16 = 37
    decode(TensorType::kQ6_K, &q6, x, 256);
    for (int i = 0; i < 256; ++i) QCOMPARE(x[i], static_cast<float>((i / 16 - 8) * 5));
  }

  // Every half, everything between two of them (ties included), and what has no half.
  void roundsToHalf() {
    std::vector<float> x;
    for (std::uint32_t code = 0; code < 0x10000; ++code) {
      const float half = f16_to_f32(static_cast<std::uint16_t>(code));
      x.push_back(half);
      if (!std::isfinite(half)) continue;
      const float next = f16_to_f32(static_cast<std::uint16_t>(code + 1));
      if (std::isfinite(next)) x.push_back(half + (next - half) / 2);
      x.push_back(std::nextafterf(half, INFINITY));
      x.push_back(std::nextafterf(half, -INFINITY));
    }
    for (const float big : {65519.99f, 65520.0f, 1e30f, -1e30f, 1e-8f, -1e-8f, 2.98e-8f, 2.99e-8f}) x.push_back(big);
    std::vector<std::uint8_t> got(2 * x.size() + 1);
    to_f16(x.data(), x.size(), got.data() + 1);
    for (std::size_t i = 0; i < x.size(); ++i) {
      std::uint16_t half;
      std::memcpy(&half, got.data() + 1 + 2 * i, 2);
      if (half != f32_to_f16(x[i])) QFAIL(qPrintable(QString("%1: %2 instead of %3").arg(double(x[i])).arg(half, 0, 16).arg(f32_to_f16(x[i]), 0, 16)));
    }
  }

  // The fast decoder of this machine against the reference on random bytes, from an odd address.
  void fast_equals_reference_data() {
    QTest::addColumn<int>("type");
    for (const TypeTraits& type : tensor_types())
      QTest::newRow(std::string(type.name).c_str()) << static_cast<int>(type.type);
  }
  void fast_equals_reference() {
    QFETCH(int, type);
    const TypeTraits& t = traits(static_cast<TensorType>(type));
    std::mt19937 random(7);
    for (const std::size_t blocks : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{17}}) {
      const std::size_t n = blocks * t.block_size;
      std::vector<unsigned char> bytes(blocks * t.block_bytes + 1);
      for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
      std::vector<float> expected(n), got(n);
      t.decode(bytes.data() + 1, expected.data(), n);
      decode(t.type, bytes.data() + 1, got.data(), n);
      for (std::size_t i = 0; i < n; ++i)  // random scales may be NaN, whose payload is nobody's promise
        QVERIFY(std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(expected[i]) ||
                (std::isnan(got[i]) && std::isnan(expected[i])));
    }
  }
};

QTEST_APPLESS_MAIN(DecodeTest)
#include "decode_test.moc"
