// ONNX graphs: every operator against onnxruntime (tests/data/onnx, made by its make_onnx.py), on the reference and on this
// machine's kernels; refusals that name node and operator; mutated files.
#include <QTest>
#include <cmath>
#include <random>
#include <set>

#include "core/base/error_text.h"
#include "core/formats/checkpoint.h"
#include "core/onnx/compare.h"
#include "core/onnx/quantize.h"
#include "core/onnx/session.h"
#include "format_files.h"

using namespace retort;
using namespace retort::onnx;
using namespace retort::test;

namespace {

const std::filesystem::path kFolder = RETORT_TEST_DATA "/onnx";

StoredTensor stored(const TensorEntry& entry, bool boolean) {
  StoredTensor out;
  out.name = entry.name;
  out.shape = entry.shape;
  out.data = entry.data;
  switch (entry.type) {
    case TensorType::kF32: out.type = ElementType::kFloat; break;
    case TensorType::kF64: out.type = ElementType::kDouble; break;
    case TensorType::kI64: out.type = ElementType::kInt64; break;
    case TensorType::kI32: out.type = ElementType::kInt32; break;
    case TensorType::kI8: out.type = ElementType::kInt8; break;
    default: out.type = boolean ? ElementType::kBool : ElementType::kUint8;
  }
  return out;
}

// What differs between a value and its reference; "" when nothing does. Floats: within `tolerance` of the greatest.
std::string difference(const Tensor& got, const TensorEntry& want, double tolerance) {
  const StoredTensor expected = stored(want, got.type() == ElementType::kBool);
  if (got.shape() != want.shape) return "shape " + shape_text(got.shape()) + " instead of " + shape_text(want.shape);
  if (got.type() != expected.type) return "type " + std::string(traits(got.type()).name) + " instead of " + std::string(traits(expected.type).name);
  if (got.type() != ElementType::kFloat) {
    if (got.type() == ElementType::kUint8 || got.type() == ElementType::kInt8) {
      for (std::size_t i = 0; i < got.bytes().size(); ++i)
        if (got.bytes()[i] != want.data[i]) return "byte " + std::to_string(i);
      return {};
    }
    return std::equal(got.bytes().begin(), got.bytes().end(), want.data.begin(), want.data.end()) ? "" : "other values";
  }
  std::vector<float> values(static_cast<std::size_t>(got.elements()));
  if (!values.empty()) std::memcpy(values.data(), want.data.data(), want.data.size());
  double greatest = 0, worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float mine = got.data<float>()[i];
    if (std::isnan(mine) != std::isnan(values[i])) return "NaN";
    greatest = std::max(greatest, std::abs(static_cast<double>(values[i])));
    worst = std::max(worst, std::abs(static_cast<double>(mine) - static_cast<double>(values[i])));
  }
  return worst <= tolerance * greatest ? "" : "off by " + std::to_string(worst) + " of " + std::to_string(greatest);
}

Result<Session::Values> inputs_of(Session& session, const Checkpoint& references, const std::string& name) {
  Session::Values out;
  for (const ValueInfo* info : session.plan().input_infos) {
    const TensorEntry* entry = references.find(name + "/in/" + info->name);
    if (!entry) return Error{.code = ErrorCode::kMissingPart, .place = info->name};
    RETORT_TRY(Tensor tensor, session.copy_in(stored(*entry, info->type == ElementType::kBool)));
    out.emplace(info->name, std::move(tensor));
  }
  return out;
}

// "" when the case gives what its reference says.
std::string run_case(const std::string& name, const Checkpoint& references, const SessionOptions& options) {
  const auto file = open_onnx(kFolder / "cases" / (name + ".onnx"));
  if (!file) return error_text(file.error());
  const auto session = Session::make(*file, options);
  if (!session) return error_text(session.error());
  const auto inputs = inputs_of(**session, references, name);
  if (!inputs) return error_text(inputs.error());
  const auto outputs = (*session)->run(*inputs, {});
  if (!outputs) return error_text(outputs.error());
  for (const auto& [output, value] : *outputs) {
    const TensorEntry* want = references.find(name + "/out/" + output);
    if (!want) return output + ": no reference";
    // A dozen operators of f32, each with sums of at most a few hundred products.
    // onnxruntime rounds what half precision gives after each operator.
    const std::string found = difference(value, *want, name.starts_with("net-") ? 1e-5 : name == "half-net" ? 2e-3 : 4e-6);
    if (!found.empty()) return output + ": " + found;
  }
  return {};
}

std::vector<std::string> names_in(const char* folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder / folder))
    if (entry.path().extension() == ".onnx") names.insert(entry.path().stem().string());
  return {names.begin(), names.end()};
}

std::string refusal(const std::filesystem::path& path) {
  const auto file = open_onnx(path);
  if (!file) return error_text(file.error());
  Memory memory(1 << 24);
  const auto plan = make_plan(*file, memory);
  const auto problems = problems_of(**file);
  if (plan.ok() != problems.empty()) return "plan and problems disagree";
  return plan.ok() ? "runs" : error_text(plan.error());
}

}  // namespace

class OnnxTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    auto opened = open_safetensors(kFolder / "cases.safetensors");
    QVERIFY2(opened.ok(), opened.ok() ? "" : error_text(opened.error()).c_str());
    references_ = *opened;
  }

  void operators_as_onnxruntime_data() {
    QTest::addColumn<QString>("name");
    for (const std::string& name : names_in("cases")) QTest::newRow(name.c_str()) << QString::fromStdString(name);
  }
  void operators_as_onnxruntime() {
    QFETCH(QString, name);
    for (const char* backend : {"reference", "cpu"}) {
      const std::string wrong = run_case(name.toStdString(), *references_, {.backend = backend, .threads = 2});
      QVERIFY2(wrong.empty(), (std::string(backend) + ": " + wrong).c_str());
    }
  }

  // Each row of the table is run by a case or, for Constant, by the planner.
  void every_operator_has_a_case() {
    std::set<std::string, std::less<>> seen = {"Constant"};
    for (const std::string& name : names_in("cases")) {
      const auto file = open_onnx(kFolder / "cases" / (name + ".onnx"));
      QVERIFY2(file.ok(), name.c_str());
      for (const Node& node : (*file)->graph.nodes) seen.insert(node.op);
    }
    for (const Operator& row : operators()) QVERIFY2(seen.contains(row.name), std::string(row.name).c_str());
  }

  void threads_change_nothing() {
    for (const std::string name : {"net-cnn", "net-attention", "conv-large", "matmul-batch"}) {
      std::string first;
      for (const int threads : {1, 3}) {
        const auto file = open_onnx(kFolder / "cases" / (name + ".onnx"));
        QVERIFY(file.ok());
        const auto session = Session::make(*file, {.threads = threads});
        QVERIFY(session.ok());
        const auto inputs = inputs_of(**session, *references_, name);
        QVERIFY(inputs.ok());
        const auto outputs = (*session)->run(*inputs, {});
        QVERIFY(outputs.ok());
        const auto bytes = outputs->begin()->second.bytes();
        const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (first.empty()) first = text;
        QVERIFY2(first == text, name.c_str());
      }
    }
  }

  void refusals_name_the_place_data() {
    QTest::addColumn<QStringList>("mentions");
    const auto row = [](const char* name, QStringList words) { QTest::newRow(name) << words; };
    row("cycle", {"first (Add)", "cycle", "b"});
    row("unknown-input", {"lonely (Add)", "nobody"});
    row("twice", {"again (Tanh)", "y again"});
    row("unknown-operator", {"sum (Einsum)"});
    row("other-domain", {"com.example.FusedThing"});
    row("unknown-attribute", {"odd (Relu)", "slope"});
    row("wrong-type", {"logic (And)", "FLOAT"});
    row("two-types", {"mixed (Add)", "INT64"});
    row("sixteen", {"sixteen (Cast)", "UINT16"});
    row("indices", {"pool (MaxPool)", "2"});
    row("no-output", {"output z"});
    row("operator-set", {"operator set 7"});
    row("too-few", {"where (Where)", "3"});
    row("external-outside", {"tensor w", "inside the model's folder", "../cases.safetensors"});
    row("external-absolute", {"tensor w", "inside the model's folder"});
    row("external-missing", {"nowhere.bin", "no such file"});
  }
  void refusals_name_the_place() {
    QFETCH(QStringList, mentions);
    const std::string text = refusal(kFolder / "bad" / (std::string(QTest::currentDataTag()) + ".onnx"));
    for (const QString& word : mentions) QVERIFY2(QString::fromStdString(text).contains(word), text.c_str());
  }

  void inputs_are_checked() {
    const auto file = open_onnx(kFolder / "cases/net-cnn.onnx");
    QVERIFY(file.ok());
    const auto session = Session::make(*file, {});
    QVERIFY(session.ok());
    const auto missing = (*session)->run({}, {});
    QVERIFY(!missing.ok() && missing.error().code == ErrorCode::kMissingPart && missing.error().place == "input x");
    const std::vector<float> zeros(2 * 4 * 16 * 12);
    StoredTensor four;
    four.type = ElementType::kFloat;
    four.shape = {2, 4, 16, 12};
    four.data = std::as_bytes(std::span(zeros));
    const auto tensor = (*session)->copy_in(four);
    QVERIFY(tensor.ok());
    const auto wrong = (*session)->run({{"x", *tensor}}, {});
    QVERIFY(!wrong.ok() && wrong.error().code == ErrorCode::kBadShape);
    QVERIFY2(wrong.error().place.find("stem (Conv)") != std::string::npos, wrong.error().place.c_str());
  }

  void memory_has_a_limit() {
    const std::string wrong = run_case("conv-large", *references_, {.memory = 40000});
    QVERIFY2(wrong.find("conv") != std::string::npos || wrong.find("Conv") != std::string::npos, wrong.c_str());
    QVERIFY2(wrong.find("bytes left") != std::string::npos, wrong.c_str());
  }

  void language_models_say_what_onnx_is() {
    const auto opened = open_checkpoint(kFolder / "cases/net-cnn.onnx");
    QVERIFY(!opened.ok());
    QVERIFY(opened.error().found == "an ONNX graph");
  }

  // Both graphs of tests/data/onnx: what is written opens, and its outputs stay near the f32 ones.
  void quantizes_statically() {
    const Scratch scratch;
    for (const auto& [name, nodes, bound] : {std::tuple{"net-cnn", 4u, 0.05}, std::tuple{"net-attention", 4u, 0.05}}) {
      const auto file = open_onnx(kFolder / "cases" / (std::string(name) + ".onnx"));
      QVERIFY(file.ok());
      const auto session = Session::make(*file, {.threads = 1});
      QVERIFY(session.ok());
      const auto inputs = inputs_of(**session, *references_, name);
      QVERIFY(inputs.ok());
      const std::vector<Session::Values> sets = {*inputs};
      Calibrator calibrator(**session);
      QVERIFY(calibrator.observe(sets, {}).ok());
      const Ranges ranges = calibrator.ranges(RangeMethod::kMse);
      const auto made = quantize_graph((*session)->plan(), ranges);
      QVERIFY2(made.ok(), made.ok() ? "" : error_text(made.error()).c_str());
      QCOMPARE(made->nodes, std::size_t{nodes});
      QCOMPARE(made->kept, std::size_t{0});
      QVERIFY(made->weight_bytes_after < made->weight_bytes_before);
      put_file(scratch / "q.onnx", made->bytes);
      const auto written = open_onnx(scratch / "q.onnx");
      QVERIFY2(written.ok(), written.ok() ? "" : error_text(written.error()).c_str());
      const auto again = Session::make(*written, {.threads = 1});
      QVERIFY2(again.ok(), again.ok() ? "" : error_text(again.error()).c_str());
      const auto outputs = (*again)->run(*inputs, {});
      QVERIFY2(outputs.ok(), outputs.ok() ? "" : error_text(outputs.error()).c_str());
      const TensorEntry* want = references_->find(std::string(name) + "/out/y");
      const std::string far = difference(outputs->at("y"), *want, bound);
      QVERIFY2(far.empty(), far.c_str());
      QVERIFY2(!difference(outputs->at("y"), *want, 1e-4).empty(), "nothing was rounded");
      // No f32 weight of a product is left in the file.
      for (const StoredTensor& tensor : (*written)->graph.tensors)
        QVERIFY2(!tensor.name.starts_with("w") || tensor.type == ElementType::kInt8 || tensor.shape.size() <= 1 || tensor.elements() <= 16, tensor.name.c_str());
      QVERIFY(problems_of(**written).empty());
    }
  }

  // A graph, its INT8 and its mix on the same inputs, with right answers beside them.
  void compares_graphs() {
    const Scratch scratch;
    const auto path = kFolder / "cases/net-cnn.onnx";
    const auto file = open_onnx(path);
    QVERIFY(file.ok());
    const TensorEntry* x = references_->find("net-cnn/in/x");
    const TensorEntry* y = references_->find("net-cnn/out/y");
    QVERIFY(x && y && y->shape.size() == 2);
    // The right answers are those of the graph itself, but for one row.
    const auto rows = static_cast<std::size_t>(y->shape[0]), classes = static_cast<std::size_t>(y->shape[1]);
    std::vector<float> values(rows * classes);
    std::memcpy(values.data(), y->data.data(), y->data.size());
    std::vector<std::int64_t> labels;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(row * classes);
      labels.push_back(std::max_element(first, first + static_cast<std::ptrdiff_t>(classes)) - first);
    }
    labels.front() = (labels.front() + 1) % static_cast<std::int64_t>(classes);
    const auto tensor = [](std::string name, std::vector<std::int64_t> shape, TensorType type, std::span<const std::byte> data) {
      return TensorToWrite{std::move(name), std::move(shape), type, [data]() -> Result<std::span<const std::byte>> { return data; }};
    };
    const auto label_bytes = std::as_bytes(std::span(labels));
    const std::vector sets = {tensor("0/x", x->shape, TensorType::kF32, x->data), tensor("0/label", {y->shape[0]}, TensorType::kI64, label_bytes),
                              tensor("1/x", x->shape, TensorType::kF32, x->data), tensor("1/label", {y->shape[0]}, TensorType::kI64, label_bytes)};
    QVERIFY(write_safetensors(scratch / "data.safetensors", sets, {}).ok());
    auto made = make_int8_variants(path, scratch / "data.safetensors", scratch.root(), {.most_error = 1e-9, .most_f32 = 0.9}, {.threads = 1}, {});
    QVERIFY2(made.ok(), made.ok() ? "" : error_text(made.error()).c_str());
    QCOMPARE(made->graphs.size(), std::size_t{3});
    QVERIFY(std::filesystem::exists(scratch / "net-cnn.int8.onnx") && std::filesystem::exists(scratch / "net-cnn.mixed.onnx"));
    made->graphs.push_back({"itself", *file});
    const auto compared = compare_graphs(made->graphs, scratch / "data.safetensors", 3, {.threads = 1}, {});
    QVERIFY2(compared.ok(), compared.ok() ? "" : error_text(compared.error()).c_str());
    const GraphFigures &plain = compared->at(0), &int8 = compared->at(1), &mixed = compared->at(2), &itself = compared->at(3);
    for (const GraphFigures& figures : *compared) {
      QCOMPARE(figures.seconds.size(), std::size_t{6});
      QVERIFY(std::is_sorted(figures.seconds.begin(), figures.seconds.end()) && figures.value_bytes > 0);
      QVERIFY(figures.answers && figures.answers->output == "y" && figures.answers->right.size() == 2 * rows);
    }
    QVERIFY(plain.outputs.empty() && !plain.quantized && !plain.answers->against);
    QVERIFY(int8.quantized && mixed.quantized && int8.weight_bytes < mixed.weight_bytes && mixed.weight_bytes < plain.weight_bytes);
    QCOMPARE(plain.answers->accuracy.value, static_cast<double>(rows - 1) / static_cast<double>(rows));
    QVERIFY(plain.answers->accuracy.low < plain.answers->accuracy.value && plain.answers->accuracy.high > plain.answers->accuracy.value);
    QVERIFY(int8.outputs.at(0).relative_rms() > mixed.outputs.at(0).relative_rms() && mixed.outputs.at(0).relative_rms() > 0);
    QCOMPARE(itself.outputs.at(0).relative_worst(), 0.0);
    QCOMPARE(itself.outputs.at(0).same(), static_cast<std::int64_t>(2 * rows));
    QVERIFY(itself.answers->against && !itself.answers->against->better && !itself.answers->against->worse);
    // Labels that no output has rows for.
    const std::vector wrong = {sets[0], tensor("0/label", {1}, TensorType::kI64, label_bytes.first(8))};
    QVERIFY(write_safetensors(scratch / "wrong.safetensors", wrong, {}).ok());
    if (rows > 1) QCOMPARE(compare_graphs(made->graphs, scratch / "wrong.safetensors", 1, {.threads = 1}, {}).error().code, ErrorCode::kBadShape);
    JobContext stopped;
    stopped.stop();
    QCOMPARE(compare_graphs(made->graphs, scratch / "data.safetensors", 1, {.threads = 1}, stopped).error().code, ErrorCode::kCanceled);
  }

  void ranges_leave_out_what_costs_more_than_it_is_worth() {
    Histogram histogram;
    histogram.low = -1;
    histogram.high = 99;
    histogram.counts.assign(Histogram::kBins, 0);
    for (std::size_t i = 0; i < 82; ++i) histogram.counts[i] = 10000;   // -1 … 3
    histogram.counts.back() = 1;
    const Range all = choose_range(histogram, RangeMethod::kMinMax), mse = choose_range(histogram, RangeMethod::kMse), most = choose_range(histogram, RangeMethod::kPercentile);
    QCOMPARE(all.high, 99.0f);
    QVERIFY2(mse.high >= 2.9f && mse.high < 60 && mse.low <= -0.9f, std::to_string(mse.high).c_str());   // clipping one value by 50 costs what rounding the rest does
    QVERIFY2(most.high >= 2.9f && most.high < 3.2f && most.low == -1, std::to_string(most.high).c_str());
    histogram.counts.back() = 400000;                                   // now it is no exception
    QVERIFY(choose_range(histogram, RangeMethod::kMse).high > 90);
    QVERIFY(choose_range(histogram, RangeMethod::kPercentile).high > 90);
    QCOMPARE(choose_range(Histogram{.low = 0, .high = 2, .counts = {}}, RangeMethod::kMse).high, 2.0f);
    for (const RangeMethod method : {RangeMethod::kMinMax, RangeMethod::kPercentile, RangeMethod::kMse}) QVERIFY(find_range_method(traits(method).id) == method);
    QVERIFY(!find_range_method("best"));
  }

  // What is measured before writing is what the written file does.
  void keeps_the_most_damaging_nodes() {
    const Scratch scratch;
    for (const std::string name : {"net-cnn", "net-layouts", "net-attention"}) {
      const auto file = open_onnx(kFolder / "cases" / (name + ".onnx"));
      QVERIFY(file.ok());
      const auto session = Session::make(*file, {.threads = 2});
      QVERIFY(session.ok());
      const auto inputs = inputs_of(**session, *references_, name);
      QVERIFY(inputs.ok());
      const std::vector<Session::Values> sets = {*inputs};
      Calibrator calibrator(**session);
      QVERIFY(calibrator.observe(sets, {}).ok());
      const Ranges ranges = calibrator.ranges(RangeMethod::kMse);
      const auto biases = corrected_biases(**session, ranges, sets, {});
      QVERIFY(biases.ok() && (name == "net-attention") == biases->empty());
      const auto none = measure_sensitivity(**session, ranges, *biases, sets, 0, 1, {});
      QVERIFY(none.ok() && none->kept().empty() && none->error == none->error_all && none->error_all > 0);
      for (std::size_t i = 1; i < none->nodes.size(); ++i) QVERIFY(none->nodes[i - 1].error >= none->nodes[i].error);
      const auto half = measure_sensitivity(**session, ranges, *biases, sets, none->error_all / 2, 1, {});
      QVERIFY(half.ok() && half->error <= none->error_all / 2 && !half->kept().empty());
      const auto poor = measure_sensitivity(**session, ranges, *biases, sets, 1e-9, 0.3, {});
      QVERIFY(poor.ok());
      std::uint64_t kept = 0, all = 0;
      for (const Sensitivity& node : poor->nodes) {
        all += node.bytes;
        kept += node.kept ? node.bytes : 0;
      }
      QVERIFY(static_cast<double>(kept) <= 0.3 * static_cast<double>(all));
      const auto made = quantize_graph((*session)->plan(), ranges, half->kept(), *biases);
      QVERIFY(made.ok());
      QCOMPARE(made->kept, half->kept().size());
      put_file(scratch / "q.onnx", made->bytes);
      const auto written = open_onnx(scratch / "q.onnx");
      QVERIFY2(written.ok(), written.ok() ? "" : error_text(written.error()).c_str());
      const auto again = Session::make(*written, {.threads = 1});
      QVERIFY2(again.ok(), again.ok() ? "" : error_text(again.error()).c_str());
      const auto own = (*again)->run(*inputs, {}), exact = (*session)->run(*inputs, {});
      QVERIFY(own.ok() && exact.ok());
      double worst = 0;
      for (const auto& [output, value] : *exact) {
        double apart = 0, whole = 0;
        for (std::int64_t i = 0; i < value.elements(); ++i) {
          const double x = static_cast<double>(value.data<float>()[i]), d = x - static_cast<double>(own->at(output).data<float>()[i]);
          apart += d * d;
          whole += x * x;
        }
        worst = std::max(worst, std::sqrt(apart / whole));
      }
      // A value on the edge between two codes may fall to either side.
      QVERIFY2(std::abs(worst - half->error) <= 0.1 * half->error, (name + ": " + std::to_string(worst) + " instead of " + std::to_string(half->error)).c_str());
    }
  }

  // Every cut, then seeded mutations, of files that hold all kinds of fields: an answer each time, within the memory's limit.
  void hostile_files() {
    const Scratch scratch;
    int ran = 0, planned = 0;
    const auto attack = [&](const std::string& name, const std::string& bytes) {
      std::filesystem::remove(scratch / "m.onnx");
      put_file(scratch / "m.onnx", bytes);
      const auto file = open_onnx(scratch / "m.onnx");
      if (!file) {
        QVERIFY(!error_text(file.error()).empty() && file.error().code != ErrorCode::kInternal);
        return;
      }
      static_cast<void>(problems_of(**file).size());
      const auto session = Session::make(*file, {.threads = 1, .memory = 1 << 20});
      if (!session) return;
      ++planned;
      const auto inputs = inputs_of(**session, *references_, name);
      if (!inputs) return;
      ran += (*session)->run(*inputs, {}).ok();
    };
    std::mt19937 random(31);
    const auto names = names_in("cases");
    for (int round = 0; round < 6000; ++round) {
      const std::string& name = names[random() % names.size()];
      std::string bytes = get_file(kFolder / "cases" / (name + ".onnx"));
      if (round % 8 == 0) {
        bytes.resize(random() % bytes.size());
      } else {
        for (unsigned i = 0; i <= random() % 3; ++i) {
          const std::size_t at = random() % bytes.size();
          const unsigned kind = random() % 12;
          if (kind < 5) bytes[at] = static_cast<char>(random());
          else if (kind < 9) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
          else if (kind < 11) bytes[at] = static_cast<char>(0xff);
          else bytes.erase(at, 1 + random() % 3);
          if (bytes.empty()) bytes = "x";
        }
      }
      attack(name, bytes);
    }
    QVERIFY(ran > 100 && planned > ran);
    qInfo("%d planned, %d ran", planned, ran);
  }

 private:
  std::shared_ptr<const Checkpoint> references_;
};

QTEST_GUILESS_MAIN(OnnxTest)
#include "onnx_test.moc"
