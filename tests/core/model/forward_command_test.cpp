// `retort forward` as a program: a folder written here, ids with padding, the outputs read back.
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <fstream>

#include "core/formats/writers.h"
#include "tiny_model.h"

using namespace retort;

namespace {

TensorToWrite to_write(std::string name, std::vector<std::int64_t> shape, TensorType type, std::span<const std::byte> data) {
  TensorToWrite tensor;
  tensor.name = std::move(name);
  tensor.shape = std::move(shape);
  tensor.type = type;
  tensor.data = [data] { return Result<std::span<const std::byte>>(data); };
  return tensor;
}

std::vector<float> floats(const Checkpoint& file, std::string_view name, std::size_t count) {
  const TensorEntry* entry = file.find(name);
  std::vector<float> out;
  if (!entry || entry->type != TensorType::kF32 || entry->data.size() != count * sizeof(float)) return out;
  out.resize(count);
  std::memcpy(out.data(), entry->data.data(), entry->data.size());
  return out;
}

}  // namespace

class ForwardCommandTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    QVERIFY(folder_.isValid());
    owner_ = tiny::make(spec_);
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& t : owner_->tensors) tensors.push_back(to_write(t.name, t.shape, t.type, t.data));
    QVERIFY(write_safetensors(path("model.safetensors"), tensors, {}).ok());
    std::ofstream(path("config.json")) << owner_->config_json;
  }

  void padding_at_either_end() {
    // Row 0 is whole, row 1 padded left, row 2 right, row 3 all padding.
    const std::vector<std::int64_t> rows = {3, 1, 4, 1, 5, 9, 0, 0, 2, 6, 5, 3, 5, 8, 9, 0, -100, -100, 7, 7, 7, 7, 7, 7};
    const std::vector<std::int64_t> mask = {1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    QCOMPARE(run(rows, mask), 0);
    const auto file = open_safetensors(path("out.safetensors"));
    QVERIFY(file.ok());
    const std::size_t v = static_cast<std::size_t>(spec_.vocabulary), h = static_cast<std::size_t>(spec_.hidden);
    const std::vector<float> logits = floats(**file, "logits", 24 * v), hidden = floats(**file, "last_hidden_state", 24 * h);
    QVERIFY(!logits.empty() && !hidden.empty());
    QVERIFY((*file)->find("logits")->shape == (std::vector<std::int64_t>{4, 6, spec_.vocabulary}));
    for (std::size_t r = 0; r < 4; ++r) {
      std::vector<TokenId> tokens;
      std::vector<std::size_t> at;
      for (std::size_t t = r * 6; t < r * 6 + 6; ++t)
        if (mask[t] != 0) {
          tokens.push_back(static_cast<TokenId>(rows[t]));
          at.push_back(t);
        } else {
          QVERIFY(std::all_of(logits.begin() + static_cast<std::ptrdiff_t>(t * v),
                              logits.begin() + static_cast<std::ptrdiff_t>((t + 1) * v), [](float x) { return x == 0; }));
        }
      const auto expected = tiny::Expected(spec_, *owner_).run(tokens);
      for (std::size_t i = 0; i < at.size(); ++i) {
        for (std::size_t c = 0; c < v; ++c)
          QVERIFY(std::abs(static_cast<double>(logits[at[i] * v + c]) - expected.logits[i][c]) < 1e-4);
        for (std::size_t c = 0; c < h; ++c)
          QVERIFY(std::abs(static_cast<double>(hidden[at[i] * h + c]) - expected.hidden[i][c]) < 1e-4);
      }
    }
  }

  void refuses_gaps_and_foreign_ids() {
    QCOMPARE(run({1, 2, 3, 4}, {1, 0, 1, 1}, 1), 3);
    QVERIFY(error_.contains("padding"));
    QCOMPARE(run({1, 2, 3, 50}, {1, 1, 1, 1}, 1), 2);
    QVERIFY(error_.contains("50"));
    QCOMPARE(run({1, 2, 3, 4}, {1, 1}, 1), 3);
    QVERIFY(error_.contains("attention_mask"));
  }

 private:
  std::string path(const char* name) const { return folder_.filePath(QString::fromLatin1(name)).toStdString(); }

  // The exit code of `retort forward` on these rows.
  int run(const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& mask, std::int64_t batch = 4) {
    const auto shape = [batch](const auto& v) { return std::vector<std::int64_t>{batch, static_cast<std::int64_t>(v.size()) / batch}; };
    const std::vector<TensorToWrite> tensors = {
        to_write("input_ids", shape(ids), TensorType::kI64, std::as_bytes(std::span(ids))),
        to_write("attention_mask", shape(mask), TensorType::kI64, std::as_bytes(std::span(mask)))};
    if (!write_safetensors(path("in.safetensors"), tensors, {}).ok()) return -1;
    QProcess process;
    process.start(RETORT_PROGRAM, {"forward", folder_.path(), "--input", folder_.filePath("in.safetensors"), "--output",
                                   folder_.filePath("out.safetensors"), "--threads", "2"});
    if (!process.waitForFinished(60000)) return -1;
    error_ = process.readAllStandardError();
    return process.exitCode();
  }

  tiny::Spec spec_;
  std::shared_ptr<tiny::Owner> owner_;
  QTemporaryDir folder_;
  QByteArray error_;
};

QTEST_GUILESS_MAIN(ForwardCommandTest)
#include "forward_command_test.moc"
