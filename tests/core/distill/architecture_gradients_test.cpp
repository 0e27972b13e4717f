// Gradients of every tiny model that the tests have, against finite differences: each tensor along a random direction.
// And ten steps of a classifier as PyTorch takes them.
#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/distill/losses.h"
#include "core/distill/train_session.h"
#include "vectors.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

namespace {

// What is differentiated: Σ c · value of the body's last value, or of a classifier's logits.
struct Probe {
  Model model;
  kernels::ThreadPool pool{2};
  Parameters parameters;
  std::unique_ptr<TrainSession> session;
  Batch batch;
  std::vector<float> c;

  double value() {
    must(session->forward(batch, {}));
    const auto v = session->value(0);
    if (c.empty()) c = random_floats(v.size(), 3, 1 / std::sqrt(static_cast<float>(v.size())));
    double sum = 0;
    for (std::size_t i = 0; i < v.size(); ++i) sum += static_cast<double>(c[i]) * static_cast<double>(v[i]);
    return sum;
  }
  void gradients() {
    value();
    parameters.forget_gradients();
    std::ranges::copy(c, session->gradient(0).begin());
    must(session->backward({}));
  }
};

Batch probe_batch(const Model& model) {
  Batch batch;
  std::mt19937 random(5);
  const bool types = model.config.token_types > 1;
  for (const int length : {11, 1, 6}) {
    std::vector<TokenId> ids;
    std::vector<std::int32_t> kinds;
    for (int i = 0; i < length; ++i) {
      ids.push_back(static_cast<TokenId>(2 + random() % static_cast<std::uint32_t>(model.config.vocabulary - 2)));
      kinds.push_back(types && i > length / 2 ? 1 : 0);
    }
    batch.add(ids, kinds);
  }
  return batch;
}

// Nothing when the differences agree, else which tensor and by how much.
QString disagreement(Probe& probe) {
  probe.gradients();
  std::vector<std::vector<float>> gradients;
  double whole = 0;
  for (Parameter& p : probe.parameters) {
    gradients.emplace_back(p.fresh ? std::vector<float>(p.elements, 0.0f) : std::vector<float>(p.gradients().begin(), p.gradients().end()));
    for (const float g : gradients.back()) whole += static_cast<double>(g) * static_cast<double>(g);
  }
  for (std::size_t id = 0; id < probe.parameters.size(); ++id) {
    Parameter& p = probe.parameters[id];
    const auto direction = random_floats(p.elements, static_cast<std::uint32_t>(id) + 1);
    const std::vector<float> start(p.value(), p.value() + p.elements);
    double expected = 0, length = 0, size = 0;
    for (std::size_t i = 0; i < p.elements; ++i) {
      expected += static_cast<double>(direction[i]) * static_cast<double>(gradients[id][i]);
      length += std::pow(static_cast<double>(gradients[id][i]), 2);
      size += std::pow(static_cast<double>(start[i]), 2);
    }
    // Small beside the weights, large beside f32's rounding.
    const double step = 4e-3 * std::max(std::sqrt(size / static_cast<double>(p.elements)), 0.05);
    const auto at = [&](double by) {
      for (std::size_t i = 0; i < p.elements; ++i) p.value()[i] = static_cast<float>(static_cast<double>(start[i]) + by * static_cast<double>(direction[i]));
      return probe.value();
    };
    const double wide = (at(step) - at(-step)) / (2 * step), narrow = (at(step / 2) - at(-step / 2)) / step;
    std::ranges::copy(start, p.value());
    const double found = (4 * narrow - wide) / 3;
    // Rounding of the value in f32, divided by the step, and a hundredth of the gradient.
    const double slack = 1e-2 * std::sqrt(length) + 2e-3 * std::sqrt(whole / static_cast<double>(probe.parameters.size())) + 1e-6 / step;
    if (!(std::abs(found - expected) <= slack))
      return QString("%1: %2 instead of %3, allowed %4").arg(p.name.c_str()).arg(expected).arg(found).arg(slack);
  }
  return {};
}

}  // namespace

class ArchitectureGradientsTest : public QObject {
  Q_OBJECT

 private slots:
  void finite_differences_data() {
    QTest::addColumn<QString>("folder");
    std::vector<std::filesystem::path> roots = {std::filesystem::path(RETORT_TEST_DATA) / "models"};
    if (const auto more = shared("models"); !more.empty()) roots.push_back(more);
    for (const auto& root : roots)
      for (const auto& entry : std::filesystem::directory_iterator(root))
        if (std::filesystem::exists(entry.path() / "config.json") && entry.path().filename() != "minilm-sst2")
          QTest::newRow(entry.path().filename().c_str()) << QString::fromStdString(entry.path().string());
  }

  void finite_differences() {
    QFETCH(QString, folder);
    for (const bool recompute : {false, true}) {
      Probe probe{.model = must(open_model(folder.toStdString())), .parameters = {}, .session = nullptr, .batch = {}, .c = {}};
      const Graph& graph = probe.model.graph;
      probe.parameters = must(Parameters::from_model(probe.model, false, probe.pool));
      must(probe.parameters.make_gradients());
      const ValueId output = graph.head == HeadKind::kSequenceLabels ? graph.logits : graph.hidden;
      auto session = TrainSession::make(graph, probe.model.config, probe.parameters,
                                        {.outputs = {output}, .trainable = {}, .backward = true, .padding = -1, .recompute = recompute}, probe.pool);
      if (!session.ok()) {
        QCOMPARE(session.error().code, ErrorCode::kUnsupported);
        // What can't be trained is said; the list is kept here so that it can only get shorter unnoticed.
        const QString why = QString::fromStdString(session.error().found);
        QVERIFY2(why.contains("capped") || why.contains("relative position") || why.contains("without gradients") || why.contains("grouped norm"), qPrintable(why));
        QSKIP(qPrintable("no gradients yet: " + why));
      }
      probe.session = std::move(*session);
      probe.batch = probe_batch(probe.model);
      const QString wrong = disagreement(probe);
      QVERIFY2(wrong.isEmpty(), qPrintable(wrong));
    }
  }

  void ten_steps_of_a_classifier_as_pytorch() {
    const auto folder = shared("algorithms/training_steps"), models = shared("models");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "training_steps.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "training_steps.json")))["bert-seqcls cross-entropy"];
    const auto ids = integers<TokenId>(*file, "bert.input_ids");
    const auto mask = integers<std::int32_t>(*file, "bert.attention_mask");
    const auto labels = integers(*file, "bert.labels");
    Model model = must(open_model(models / "bert-seqcls"));
    kernels::ThreadPool pool(2);
    Parameters parameters = must(Parameters::from_model(model, false, pool));
    must(parameters.make_gradients());
    const auto session = must(TrainSession::make(model.graph, model.config, parameters,
                                                 {.outputs = {model.graph.logits}, .trainable = {}, .backward = true, .padding = padding_token(*model.checkpoint)}, pool));
    Optimizer optimizer = must(Optimizer::make(parameters, {.decay = 0.01, .clip = 1}));
    for (std::size_t step = 0; step < 10; ++step) {
      must(session->forward(Batch::from_padded(std::span(ids).subspan(step * 48, 48), std::span(mask).subspan(step * 48, 48), 12), {}));
      std::vector<float> gradient(3), scratch(6);
      double loss = 0;
      for (std::size_t s = 0; s < 4; ++s) {
        loss += logit_row({.cross_entropy = 1}, session->value(0).subspan(3 * s, 3), {}, labels[4 * step + s], 0.25, gradient, scratch).total;
        std::ranges::copy(gradient, session->gradient(0).begin() + static_cast<std::ptrdiff_t>(3 * s));
      }
      parameters.forget_gradients();
      must(session->backward({}));
      const double norm = Optimizer::gradient_norm(parameters, 1, pool);
      const double stored = json["losses"][step].get<double>(), stored_norm = json["gradient_norms_before_clipping"][step].get<double>();
      QVERIFY(near(loss, stored, 1e-4 * stored, "loss"));
      QVERIFY(near(norm, stored_norm, 1e-4 * stored_norm, "norm"));
      optimizer.step(parameters, json["learning_rates"][step].get<double>(), 1, norm, pool);
    }
    for (const Parameter& p : parameters) {
      const auto found = std::span(p.data, p.elements);
      const auto stored = floats(*file, "bert.final." + p.source_name);
      std::size_t beyond = 0;
      for (std::size_t i = 0; i < stored.size(); ++i) beyond += std::abs(found[i] - stored[i]) > 1e-4f;
      // A key's bias moves no score: its gradient is rounding alone, which Adam makes steps of.
      const bool free = p.name.ends_with("attn_k.bias");
      QVERIFY2(free || beyond <= 1, p.source_name.c_str());
      QVERIFY(free || near(relative_distance(found, stored), 0, 2e-5, p.source_name.c_str()));
    }
  }
};

QTEST_APPLESS_MAIN(ArchitectureGradientsTest)
#include "architecture_gradients_test.moc"
