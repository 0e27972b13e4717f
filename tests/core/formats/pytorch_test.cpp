// PyTorch files: what torch.save writes opens bit for bit; whatever is more than tensors is refused by name, never run.
#include <QTest>

#include <cstring>
#include <random>

#include "core/formats/checkpoint.h"
#include "format_files.h"

using namespace retort;
using namespace retort::test;

namespace {

std::filesystem::path data(const char* name) { return std::filesystem::path(RETORT_TEST_DATA "/pytorch") / name; }

std::string refusal(const std::filesystem::path& path) {
  const auto opened = open_checkpoint(path);
  return opened.ok() ? "opened" : error_text(opened.error());
}

unsigned touch(const Checkpoint& checkpoint) {
  unsigned sum = 0;
  for (const TensorEntry& tensor : checkpoint.tensors)
    for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
  return sum;
}

}  // namespace

class PytorchTest : public QObject {
  Q_OBJECT

 private slots:
  void opens_what_torch_saves() {
    const auto opened = open_checkpoint(data("state.bin"));
    QVERIFY2(opened.ok(), refusal(data("state.bin")).c_str());
    QVERIFY((*opened)->format == CheckpointFormat::kPyTorch);
    const auto expected = open_safetensors(data("state.safetensors"));
    QVERIFY(expected.ok());
    QCOMPARE((*opened)->tensors.size(), (*expected)->tensors.size());
    for (const TensorEntry& want : (*expected)->tensors) {
      const TensorEntry* got = (*opened)->find(want.name);
      QVERIFY2(got, want.name.c_str());
      QCOMPARE(got->shape, want.shape);
      QVERIFY2(got->type == want.type, want.name.c_str());
      QCOMPARE(got->data.size(), want.data.size());
      QVERIFY2(want.data.empty() || std::memcmp(got->data.data(), want.data.data(), want.data.size()) == 0, want.name.c_str());
    }
  }

  void opens_modules_and_training_checkpoints() {
    for (const char* name : {"module.bin", "training.ckpt"}) {
      const auto opened = open_checkpoint(data(name));
      QVERIFY2(opened.ok(), refusal(data(name)).c_str());
      QCOMPARE((*opened)->tensors.size(), std::size_t{2});
      QCOMPARE((*opened)->find("weight")->shape, (std::vector<std::int64_t>{2, 3}));
    }
  }

  void opens_shards() {
    const auto opened = open_checkpoint(data("shards"));
    QVERIFY2(opened.ok(), refusal(data("shards")).c_str());
    QCOMPARE((*opened)->tensors.size(), std::size_t{2});
    QCOMPARE((*opened)->files.size(), std::size_t{2});
    QVERIFY((*opened)->format == CheckpointFormat::kPyTorch);
  }

  void refuses_everything_else_data() {
    QTest::addColumn<QString>("mentions");
    QTest::newRow("refuse-call.bin") << QStringLiteral("posix.system");
    QTest::newRow("refuse-number.bin") << QStringLiteral("lr");
    QTest::newRow("refuse-module.bin") << QStringLiteral("torch.nn.modules.linear.Linear");
    QTest::newRow("refuse-strided.bin") << QStringLiteral("row by row");
    QTest::newRow("refuse-legacy.bin") << QStringLiteral("older PyTorch");
    QTest::newRow("refuse-program.bin") << QStringLiteral("a compressed one");   // a TorchScript program
  }
  void refuses_everything_else() {
    QFETCH(QString, mentions);
    const std::string text = refusal(data(QTest::currentDataTag()));
    QVERIFY2(QString::fromStdString(text).contains(mentions), text.c_str());
  }

  // Every cut and thousands of seeded mutations: an answer each time, and nothing outside the file is read.
  void hostile_files() {
    const Scratch scratch;
    const std::string whole = get_file(data("state.bin"));
    for (std::size_t cut = 0; cut < whole.size(); cut += 97) {
      put_file(scratch / "cut.bin", std::string_view(whole).substr(0, cut));
      QVERIFY(refusal(scratch / "cut.bin") != "opened");
    }
    std::mt19937 random(11);
    unsigned sum = 0;
    for (int round = 0; round < 4000; ++round) {
      std::string bytes = whole;
      for (unsigned i = 0; i <= random() % 4; ++i) {
        // Half of the changes fall on the pickle and the directory, where they mean most.
        const std::size_t at = random() % 2 == 0 ? random() % 2048 : random() % bytes.size();
        bytes[at % bytes.size()] = static_cast<char>(random() % 3 == 0 ? 0xff : random());
      }
      put_file(scratch / "mutated.bin", bytes);
      if (const auto opened = open_checkpoint(scratch / "mutated.bin"); opened.ok()) sum += touch(**opened);
    }
    QVERIFY(sum != 1);   // keeps the reads
  }
};

QTEST_APPLESS_MAIN(PytorchTest)
#include "pytorch_test.moc"
