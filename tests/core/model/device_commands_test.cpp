// The commands with --backend cuda, as a program, with the plug-in that computes on the processor.
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include "core/formats/checkpoint.h"
#include "core/formats/safetensors.h"
#include "core/formats/writers.h"
#include "core/measure/bench.h"

using namespace retort;

namespace {

const QString kModel = QStringLiteral(RETORT_TEST_DATA "/micro-llama.gguf");

struct Outcome {
  int exit = -1;
  QByteArray out, errors;
};

Outcome command(const QStringList& words, const char* misbehaviour = "", const char* plugin = RETORT_FAKE_PLUGIN) {
  QProcess process;
  QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
  environment.insert("RETORT_CUDA_PLUGIN", plugin);
  environment.insert("RETORT_CUDA_DRIVER", RETORT_WITHOUT_ENTRY);
  environment.insert("RETORT_FAKE_DEVICE", misbehaviour);
  process.setProcessEnvironment(environment);
  process.start(QStringLiteral(RETORT_PROGRAM), words);
  if (!process.waitForFinished(120000)) return {};
  return {process.exitCode(), process.readAllStandardOutput(), process.readAllStandardError()};
}

QJsonObject object_of(const Outcome& outcome) { return QJsonDocument::fromJson(outcome.out).object(); }

}  // namespace

class DeviceCommandsTest : public QObject {
  Q_OBJECT

 private slots:
  void devices_are_listed() {
    const QJsonObject found = object_of(command({"devices", "--json", "--no-measure"}));
    const QJsonArray gpus = found["gpus"].toArray();
    QCOMPARE(gpus.size(), 2);
    QCOMPARE(gpus[0].toObject()["backend"].toString(), QStringLiteral("cuda:0"));
    QVERIFY(gpus[0].toObject()["usable"].toBool() && !gpus[1].toObject()["usable"].toBool());
    QVERIFY(gpus[1].toObject()["reason"].toString().contains("5.0 is below 7.5"));
    QVERIFY(found["gpu_reason"].toString().isEmpty());
    QVERIFY(command({"devices", "--no-measure"}).out.contains("cuda:0 · Processor in disguise"));
  }

  void without_one_the_reason_is_said_and_the_rest_works() {
    const Outcome devices = command({"devices", "--json", "--no-measure"}, "", "/no/such/plugin.so");
    QCOMPARE(devices.exit, 0);
    QVERIFY(object_of(devices)["gpu_reason"].toString().contains("no such file"));
    const QStringList words = {"generate", kModel, "--prompt", "a", "--tokens", "3", "--backend"};
    const Outcome refused = command(words + QStringList{"cuda"}, "", "/no/such/plugin.so");
    QCOMPARE(refused.exit, 3);
    QVERIFY(refused.errors.contains("no such file") && refused.errors.contains("Next:"));
    QCOMPARE(command(words + QStringList{"cpu"}, "", "/no/such/plugin.so").exit, 0);
    QCOMPARE(command(words + QStringList{"cuda"}, "small").exit, 4);   // doesn't fit the device
  }

  void the_same_text() {
    const QStringList words = {"generate", kModel, "--prompt", "Once upon", "--tokens", "24", "--json", "--activations", "f32", "--backend"};
    const QJsonObject device = object_of(command(words + QStringList{"cuda:0"})), processor = object_of(command(words + QStringList{"reference"}));
    QVERIFY(!device["text"].toString().isEmpty());
    QCOMPARE(device["text"].toString(), processor["text"].toString());
    QVERIFY(device["device"].toString().contains("Processor in disguise"));
  }

  void the_same_states() {
    QTemporaryDir folder;
    const std::string input = folder.filePath("in.safetensors").toStdString();
    const std::vector<std::int64_t> ids = {1, 5, 9, 2, 6, 5, 3, 5};
    TensorToWrite tensor;
    tensor.name = "input_ids";
    tensor.shape = {2, 4};
    tensor.type = TensorType::kI64;
    tensor.data = [&ids] { return Result<std::span<const std::byte>>(std::as_bytes(std::span(ids))); };
    QVERIFY(write_safetensors(input, std::vector{tensor}, {}).ok());
    std::vector<std::vector<std::byte>> found;
    for (const char* backend : {"cuda", "reference"}) {
      const QString output = folder.filePath(QStringLiteral("%1.safetensors").arg(backend));
      QCOMPARE(command({"forward", RETORT_TEST_DATA "/models/bert-tokens", "--input", QString::fromStdString(input), "--output", output, "--backend", backend}).exit, 0);
      const auto file = open_safetensors(output.toStdString());
      QVERIFY(file.ok());
      const auto data = (*file)->find("logits")->data;
      found.emplace_back(data.begin(), data.end());
    }
    QVERIFY(!found[0].empty() && found[0] == found[1]);
  }

  void speed_and_memory_are_of_the_device() {
    const Outcome outcome = command({"bench", kModel, "--json", "--prompt", "16", "--generate", "8", "--backend", "cuda"});
    QCOMPARE(outcome.exit, 0);
    const auto result = bench_from_json(outcome.out.toStdString());
    QVERIFY(result.ok());
    QCOMPARE(result->backend, std::string("cuda:0"));
    QVERIFY(result->device.starts_with("Processor in disguise"));
    QVERIFY(result->memory.weights > 0 && result->memory.kv_cache > 0 && result->joules_per_token > 0);
    QCOMPARE(object_of(command({"bench", kModel, "--json", "--prompt", "4", "--generate", "2", "--backend", "cuda"}, "no-energy")).contains("joules_per_token"), false);
    QVERIFY(command({"bench", kModel, "--prompt", "4", "--generate", "2", "--backend", "cuda"}).out.contains("on the GPU: weights"));
    // The measuring child, as a study starts it.
    qputenv("RETORT_CUDA_PLUGIN", RETORT_FAKE_PLUGIN);
    qputenv("RETORT_CUDA_DRIVER", RETORT_WITHOUT_ENTRY);
    const auto child = run_bench_child(RETORT_PROGRAM, kModel.toStdString(), {.prompt = 8, .generate = 4, .backend = "cuda"}, {});
    QVERIFY(child.ok() && child->backend == "cuda:0");
  }

  // The processor's figures and the device's, side by side; a device that can't do it costs its row, not the candidate.
  void a_study_measures_on_both() {
    QTemporaryDir folder;
    qputenv("RETORT_STORE", folder.filePath("store").toUtf8());
    qputenv("XDG_CACHE_HOME", folder.filePath("cache").toUtf8());
    const QString study = folder.filePath("both.retort");
    const Outcome made = command({"study", "new", study, "--model", kModel, "--levels", "Q8_0", "--backend", "cuda"});
    QVERIFY2(made.exit == 0, made.errors.constData());
    QCOMPARE(command({"study", "run", study}, "only-f32").exit, 0);   // the device refuses the packed candidate
    const auto candidates = [&] { return object_of(command({"study", "show", study, "--json"}))["candidates"].toArray(); };
    const auto bench = [](const QJsonValue& candidate, const char* which) { return candidate.toObject()["measurements"].toObject()[QLatin1String(which)].toObject(); };
    for (const QJsonValue& candidate : candidates()) {
      QCOMPARE(bench(candidate, "bench")["backend"].toString(), QStringLiteral("cpu"));
      QVERIFY(!candidate.toObject().contains("failure"));
    }
    QVERIFY(bench(candidates().last(), "device_bench").isEmpty());
    QCOMPARE(command({"study", "run", study}).exit, 0);
    for (const QJsonValue& candidate : candidates()) {
      QCOMPARE(bench(candidate, "device_bench")["backend"].toString(), QStringLiteral("cuda:0"));
      QVERIFY(candidate.toObject()["figures"].toObject()["device_decode"].toObject()["value"].toDouble() > 0);
      QVERIFY(candidate.toObject()["figures"].toObject()["device_energy"].toObject()["value"].toDouble() > 0);
    }
    QVERIFY(command({"study", "show", study}).out.contains("on cuda:0"));
    QCOMPARE(command({"study", "run", study, "--backend", "cpu"}).exit, 0);
    QVERIFY(bench(candidates().last(), "device_bench").isEmpty());
    QCOMPARE(command({"study", "run", study, "--backend", "tpu"}).exit, 2);
  }

  void evaluating() {
    QTemporaryDir folder;
    const QString text = folder.filePath("text.txt");
    QFile file(text);
    QVERIFY(file.open(QIODevice::WriteOnly));
    for (int i = 0; i < 40; ++i) file.write("The cat sat on the mat, and the dog looked on. ");
    file.close();
    const QStringList words = {"eval", kModel, "--task", "perplexity", "--data", text, "--context", "32", "--json", "--backend"};
    const Outcome device = command(words + QStringList{"cuda"}), processor = command(words + QStringList{"reference"});
    QVERIFY2(device.exit == 0 && processor.exit == 0, device.errors.constData());
    QCOMPARE(object_of(device)["perplexity"], object_of(processor)["perplexity"]);
    QCOMPARE(object_of(device)["figures"], object_of(processor)["figures"]);
  }
};

QTEST_GUILESS_MAIN(DeviceCommandsTest)
#include "device_commands_test.moc"
