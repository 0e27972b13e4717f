// Whatever can be wrong with a device, from the driver to a failure in the middle of a run: each is said with its reason,
// before the run wherever it can be known before.
#include <QTest>

#include "core/base/error_text.h"
#include "core/model/device_backend.h"
#include "core/model/device_library.h"
#include "core/model/generate.h"
#include "tiny_model.h"

using namespace retort;

namespace {

std::shared_ptr<const Model> small_model(const tiny::Spec& spec = {}) {
  auto model = bind_model(tiny::make(spec));
  return model ? std::make_shared<const Model>(*std::move(model)) : nullptr;
}

std::string path_of(const char* name) { return std::string(RETORT_TEST_DATA) + "/" + name; }

std::string refusal(const Result<std::unique_ptr<Session>>& session) { return session ? "compiled" : error_text(session.error()); }
std::string refusal(const Result<std::unique_ptr<Backend>>& backend) { return backend ? "made" : error_text(backend.error()); }

bool says(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return true;
  qWarning("%s", text.c_str());
  return false;
}

}  // namespace

class DeviceLibraryTest : public QObject {
  Q_OBJECT

 private slots:
  void init() {
    qputenv("RETORT_CUDA_PLUGIN", RETORT_FAKE_PLUGIN);
    qputenv("RETORT_CUDA_DRIVER", RETORT_WITHOUT_ENTRY);   // some library: that there is a driver
    qunsetenv("RETORT_FAKE_DEVICE");
  }

  // First: the process has given no permission yet.
  void a_process_without_permission_loads_nothing() {
    QVERIFY(says(refusal(make_backend("cuda", 0)), "a process that opens no devices"));
    const DeviceList list = list_devices();
    QVERIFY(list.devices.empty());
    QVERIFY(says(list.reason, "a process that opens no devices"));
    permit_devices();
    QCOMPARE(list_devices().devices.size(), std::size_t{2});
  }

  void names() {
    for (const char* name : {"cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999"})
      QVERIFY2(make_backend(name, 0).error().code == ErrorCode::kBadArgument, name);
    QVERIFY(says(refusal(make_backend("gpu", 0)), "cpu, reference, cuda or cuda:N"));
    QVERIFY(make_backend("cuda:0", 0).ok());
    QVERIFY(says(refusal(make_backend("cuda:7", 0)), "cuda:0 to cuda:1"));
    QVERIFY(says(refusal(make_backend("cuda:1", 0)), "Old card: compute capability 5.0 is below 7.5"));
    const DeviceList list = list_devices();
    QCOMPARE(list.devices[0].backend, std::string("cuda:0"));
    QCOMPARE(list.devices[0].name, std::string("Processor in disguise"));
    QVERIFY(list.devices[0].reason.empty() && !list.devices[1].reason.empty() && list.reason.empty());
    QVERIFY(says((*make_backend("cuda:0", 0))->device(), "Processor in disguise · fake 1"));
  }

  void without_a_driver_the_plugin_is_not_loaded() {
    qputenv("RETORT_CUDA_DRIVER", "libno_such_driver.so.1");
    qputenv("RETORT_CUDA_PLUGIN", "/no/such/plugin.so");
    QVERIFY(says(refusal(make_backend("cuda", 0)), "libno_such_driver.so.1"));
    QVERIFY(says(list_devices().reason, "NVIDIA driver"));
  }

  void libraries_that_are_no_plugins() {
    qputenv("RETORT_CUDA_PLUGIN", "/no/such/plugin.so");
    QVERIFY(says(refusal(make_backend("cuda", 0)), "no such file"));
    qputenv("RETORT_CUDA_PLUGIN", RETORT_WITHOUT_ENTRY);
    QVERIFY(says(refusal(make_backend("cuda", 0)), "none of that name"));
    const std::string text = path_of("micro-llama.gguf");
    qputenv("RETORT_CUDA_PLUGIN", text.c_str());
    QVERIFY(says(refusal(make_backend("cuda", 0)), "invalid ELF header"));
  }

  void misbehaving_plugins_data() {
    QTest::addColumn<QByteArray>("how");
    QTest::addColumn<QByteArray>("said");
    const auto row = [](const char* how, const char* said) { QTest::newRow(how) << QByteArray(how) << QByteArray(said); };
    row("wrong-abi", "plug-in interface 2, found 9");
    row("short-table", "a table of");
    row("missing-function", "one is missing");
    row("no-device", "the driver lists none");
    row("unusable", "compute capability 5.0 is below 7.5");
    row("no-driver", "the driver is older");
  }
  void misbehaving_plugins() {
    QFETCH(QByteArray, how);
    QFETCH(QByteArray, said);
    qputenv("RETORT_FAKE_DEVICE", how);
    const auto backend = make_backend("cuda", 0);
    QVERIFY(says(refusal(backend), said.toStdString()));
    QVERIFY(backend.error().code == ErrorCode::kUnsupported);
    QVERIFY(says(list_devices().reason, said.toStdString()));
  }

  void refused_before_anything_is_uploaded_data() {
    QTest::addColumn<QByteArray>("how");
    QTest::addColumn<QByteArray>("said");
    QTest::newRow("a finer refusal") << QByteArray("refuses") << QByteArray("heads of 16 are refused");
    QTest::newRow("memory") << QByteArray("small") << QByteArray("bytes free of 16384");
    QTest::newRow("types") << QByteArray("only-f32") << QByteArray("expected F32 on this device, found F16");
  }
  void refused_before_anything_is_uploaded() {
    QFETCH(QByteArray, how);
    QFETCH(QByteArray, said);
    qputenv("RETORT_FAKE_DEVICE", how + " upload-fails");   // which would be met by an upload
    const auto backend = make_backend("cuda", 0);
    QVERIFY(backend.ok());
    tiny::Spec spec;
    spec.type = TensorType::kF16;
    const auto session = (*backend)->compile(small_model(spec), {.context = 64});
    QVERIFY(says(refusal(session), said.toStdString()));
    QVERIFY(session.error().code == (how == "small" ? ErrorCode::kOutOfMemory : ErrorCode::kUnsupported));
  }

  void what_the_interface_has_not() {
    const auto backend = make_backend("cuda", 0);
    QVERIFY(backend.ok());
    const auto open = [](const char* name) { return std::make_shared<const Model>(*open_model(path_of(name))); };
    QVERIFY(says(refusal((*backend)->compile(open("models/mixtral"), {})), "mixtures of experts"));
    RunOptions tap;
    tap.plan = PlanKind::kTap;
    QVERIFY(says(refusal((*backend)->compile(small_model(), tap)), "calibrate with --backend cpu"));
    QVERIFY((*backend)->compile(small_model(), {.context = 0}).error().code == ErrorCode::kBadArgument);
    auto changed = std::make_shared<Model>(*bind_model(tiny::make({})));
    WeightHandle& weight = changed->weights[static_cast<std::size_t>(changed->find_weight("blk.1.ffn_up.weight"))];
    weight.type = TensorType::kQ5_K;
    QVERIFY(says(refusal((*backend)->compile(changed, {})), "found Q5_K"));
    weight.type = TensorType::kF8_E4M3;
    QVERIFY(says(refusal((*backend)->compile(changed, {})), "a type that the device's interface has, found F8_E4M3"));
  }

  // Before the prompt is run, with the reason; greedy text needs no sampling.
  void a_device_that_cannot_sample() {
    qputenv("RETORT_FAKE_DEVICE", "no-sampling fail-in-run");
    const auto backend = make_backend("cuda", 0);
    QVERIFY(backend.ok());
    const auto model = std::make_shared<const Model>(*open_model(path_of("micro-llama.gguf")));
    const auto session = (*backend)->compile(model, {.context = 64});
    QVERIFY(session.ok());
    const auto prompt = model->tokenizer->encode("The", true);
    GenerateOptions options;
    options.temperature = 0.7;
    options.max_tokens = 1;
    const auto drawn = generate(**session, *model->tokenizer, prompt, options, {}, {});
    QVERIFY(!drawn && drawn.error().code == ErrorCode::kUnsupported);
    QVERIFY(says(error_text(drawn.error()), "sampling on cuda:0"));
    QVERIFY(says(error_text(drawn.error()), "one that only tells the likeliest"));
    QCOMPARE((*session)->position(), 0);
    options.temperature = 0;
    QVERIFY(generate(**session, *model->tokenizer, prompt, options, {}, {}).ok());
  }

  void failures_while_loading_leave_nothing_behind() {
    const auto backend = make_backend("cuda", 0);
    QVERIFY(backend.ok());
    const auto model = small_model();
    qputenv("RETORT_FAKE_DEVICE", "upload-fails");
    const auto first = (*backend)->compile(model, {});
    QVERIFY(says(refusal(first), "no room for this weight"));
    QVERIFY(first.error().code == ErrorCode::kOutOfMemory);
    qputenv("RETORT_FAKE_DEVICE", "open-fails");
    QVERIFY(says(refusal((*backend)->compile(model, {})), "no room for the cache"));
    qunsetenv("RETORT_FAKE_DEVICE");
    QVERIFY((*backend)->compile(model, {}).ok());
  }

  void a_device_that_fails_in_the_middle() {
    qputenv("RETORT_FAKE_DEVICE", "fail-in-run");
    const auto backend = make_backend("cuda", 0);
    QVERIFY(backend.ok());
    const auto session = (*backend)->compile(small_model(), {.context = 64, .batch = 2});
    QVERIFY(session.ok());
    const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 6, 7};
    const auto done = (*session)->run(tokens, {});
    QVERIFY(!done && done.error().code == ErrorCode::kRead);
    QVERIFY(says(error_text(done.error()), "results on cuda:0"));
    QVERIFY(says(error_text(done.error()), "an illegal memory access was met"));
    QCOMPARE((*session)->position(), 0);
    QVERIFY((*session)->hidden().empty());
    // Nothing is asked of it any more.
    QVERIFY(says(error_text((*session)->run(tokens, {}).error()), "one that failed before"));
    QVERIFY(!(*session)->logits(0, 0).ok() && !(*session)->likeliest(0).ok());
  }
};

QTEST_APPLESS_MAIN(DeviceLibraryTest)
#include "device_library_test.moc"
