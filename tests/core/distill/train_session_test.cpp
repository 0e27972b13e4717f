// Gradients of whole models: against finite differences, against PyTorch's where the shared references are, the same on
// any number of threads, with activations kept or made again; ten steps of training as PyTorch takes them.
#include <nlohmann/json.hpp>

#include "../model/tiny_model.h"
#include "core/base/files.h"
#include "core/distill/lm_head.h"
#include "core/distill/train_session.h"
#include "vectors.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

namespace {

// A model, its parameters and what runs them.
struct Trained {
  std::shared_ptr<tiny::Owner> owner;
  Model model;
  Parameters parameters;
  std::unique_ptr<kernels::ThreadPool> pool;
  std::unique_ptr<TrainSession> session;
  std::unique_ptr<LmHead> head;
  Parameter* head_weight = nullptr;

  static Trained of(Model model, int threads, bool recompute = false, kernels::MatmulPrecision compute = kernels::MatmulPrecision::kF32) {
    Trained t;
    t.model = std::move(model);
    t.pool = std::make_unique<kernels::ThreadPool>(threads);
    t.parameters = must(Parameters::from_model(t.model, false, *t.pool));
    must(t.parameters.make_gradients());
    t.session = make_session(t, recompute, compute);
    t.head = std::make_unique<LmHead>(t.model.config.vocabulary, *t.pool, compute);
    const auto node = t.session->plan().head;
    t.head_weight = &t.parameters[static_cast<std::size_t>(t.model.graph.nodes[static_cast<std::size_t>(node)].weight)];
    return t;
  }
  static std::unique_ptr<TrainSession> make_session(Trained& t, bool recompute, kernels::MatmulPrecision compute) {
    return must(TrainSession::make(t.model.graph, t.model.config, t.parameters,
                                   {.outputs = {t.model.graph.hidden}, .trainable = {}, .backward = true, .padding = padding_token(*t.model.checkpoint), .recompute = recompute, .compute = compute}, *t.pool));
  }

  // The mean loss of a batch and, with `backward`, all gradients.
  double loss(const Batch& batch, const std::vector<std::int64_t>& labels, bool backward, const LogitWeights& weights = {.cross_entropy = 1},
              const HeadSide* teacher = nullptr) {
    must(session->forward(batch, {}));
    HeadRequest request{.student = {session->value(0), head_weight}};
    request.labels = labels;
    request.weights = weights;
    if (teacher != nullptr) request.teacher = *teacher;
    if (backward) {
      parameters.forget_gradients();
      request.weight = head_weight;
      request.hidden_gradient = session->gradient(0);
    }
    const double value = must(head->run(request, 1, {})).total;
    if (backward) must(session->backward({}));
    return value;
  }
};

tiny::Spec spec_of(std::int64_t layers, bool tied = false) {
  return {.tied = tied, .hidden = 32, .layers = layers, .head_dim = 8, .feed_forward = 48};
}

Trained tiny_model(const tiny::Spec& spec, int threads, bool recompute = false, kernels::MatmulPrecision compute = kernels::MatmulPrecision::kF32) {
  auto owner = tiny::make(spec);
  Model model = must(bind_model(owner));
  return Trained::of(std::move(model), threads, recompute, compute);
}

// Three sequences of different lengths; the last of each predicts nothing.
Batch small_batch(std::vector<std::int64_t>& labels) {
  Batch batch;
  const std::vector<std::vector<TokenId>> sequences = {{1, 7, 9, 3, 3, 20}, {11}, {4, 5, 6, 49, 0}};
  labels.clear();
  for (const auto& sequence : sequences) {
    batch.add(sequence);
    for (std::size_t i = 1; i < sequence.size(); ++i) labels.push_back(sequence[i]);
    labels.push_back(kIgnoredLabel);
  }
  return batch;
}

std::vector<std::vector<float>> all_gradients(Parameters& parameters) {
  std::vector<std::vector<float>> out;
  for (Parameter& p : parameters) out.emplace_back(p.gradients().begin(), p.gradients().end());
  return out;
}

// Labels of a padded [sequences, length] batch: position t predicts t + 1.
std::vector<std::int64_t> shifted(const std::vector<std::int64_t>& labels, std::size_t length) {
  std::vector<std::int64_t> out(labels.size(), kIgnoredLabel);
  for (std::size_t i = 0; i + 1 < labels.size(); ++i)
    if ((i + 1) % length != 0) out[i] = labels[i + 1];
  return out;
}

}  // namespace

class TrainSessionTest : public QObject {
  Q_OBJECT

 private slots:
  // Rounding an operand moves it by at most 2^-9 of itself: gradients move by some thousandths, and not by nothing.
  void bf16_gradients_are_those_of_f32_but_for_rounding() {
    for (const bool tied : {false, true}) {
      Trained exact = tiny_model(spec_of(2, tied), 2), rounded = tiny_model(spec_of(2, tied), 2, false, kernels::MatmulPrecision::kBf16);
      std::vector<std::int64_t> labels;
      const Batch batch = small_batch(labels);
      const double expected = exact.loss(batch, labels, true), found = rounded.loss(batch, labels, true);
      QVERIFY(near(expected, found, 5e-3 * expected, "loss"));
      const auto mine = all_gradients(exact.parameters), theirs = all_gradients(rounded.parameters);
      for (std::size_t id = 0; id < mine.size(); ++id) {
        double difference = 0, length = 0;
        for (std::size_t i = 0; i < mine[id].size(); ++i) {
          difference += std::pow(static_cast<double>(mine[id][i]) - static_cast<double>(theirs[id][i]), 2);
          length += std::pow(static_cast<double>(mine[id][i]), 2);
        }
        const double share = std::sqrt(difference / length);
        QVERIFY2(share > 1e-4 && share < 3e-2, qPrintable(QString("%1: %2").arg(exact.parameters[id].name.c_str()).arg(share)));
      }
    }
  }

  // The loss along a random direction in all parameters at once, and along single weights of every tensor.
  void finite_differences() {
    for (const bool tied : {false, true}) {
      tiny::Spec spec = spec_of(2, tied);
      spec.gguf = tied;   // with neighbours rotated as GGUF stores them
      spec.bias = !tied;
      Trained t = tiny_model(spec, 2);
      std::vector<std::int64_t> labels;
      const Batch batch = small_batch(labels);
      t.loss(batch, labels, true);
      const auto gradients = all_gradients(t.parameters);
      for (std::size_t id = 0; id < t.parameters.size(); ++id) {
        Parameter& p = t.parameters[id];
        const auto direction = random_floats(p.elements, static_cast<std::uint32_t>(id) + 1);
        const std::vector<float> start(p.value(), p.value() + p.elements);
        double expected = 0, length = 0;
        for (std::size_t i = 0; i < p.elements; ++i) {
          expected += static_cast<double>(direction[i]) * static_cast<double>(gradients[id][i]);
          length += std::pow(static_cast<double>(gradients[id][i]), 2);
        }
        // A step that moves the loss by about 1e-2, far above f32's rounding of it.
        const double step = std::min(2e-2, 1e-2 / std::max(std::sqrt(length), 1e-3));
        const auto at = [&](double by) {
          for (std::size_t i = 0; i < p.elements; ++i) p.value()[i] = static_cast<float>(static_cast<double>(start[i]) + by * static_cast<double>(direction[i]));
          return t.loss(batch, labels, false);
        };
        // Richardson: the error of two central differences cancels to the fourth order.
        const double wide = (at(step) - at(-step)) / (2 * step), narrow = (at(step / 2) - at(-step / 2)) / step;
        const double found = (4 * narrow - wide) / 3;
        std::ranges::copy(start, p.value());
        QVERIFY(near(expected, found, 4e-3 * std::sqrt(length) + 2e-5, p.name.c_str()));
      }
    }
  }

  void same_on_any_number_of_threads_and_with_recomputing() {
    const tiny::Spec spec = spec_of(3, true);
    std::vector<std::int64_t> labels;
    const Batch batch = small_batch(labels);
    Trained one = tiny_model(spec, 1), three = tiny_model(spec, 3), again = tiny_model(spec, 2, true);
    const double loss = one.loss(batch, labels, true);
    QCOMPARE(three.loss(batch, labels, true), loss);
    QCOMPARE(again.loss(batch, labels, true), loss);
    QCOMPARE(all_gradients(three.parameters), all_gradients(one.parameters));
    QCOMPARE(all_gradients(again.parameters), all_gradients(one.parameters));
    // Recomputing exists to save memory; a smaller batch after a larger one reuses the room.
    QVERIFY(lay_out(again.session->plan(), 1000, 1).back() < lay_out(one.session->plan(), 1000, 1).back());
    Batch small;
    small.add(std::vector<TokenId>{1, 2});
    const std::vector<std::int64_t> few = {2, kIgnoredLabel};
    const double alone = tiny_model(spec, 1).loss(small, few, false);
    QCOMPARE(one.loss(small, few, true), alone);
  }

  // Each sequence of a batch is computed as if it were alone.
  void sequences_do_not_see_each_other() {
    std::vector<std::int64_t> labels;
    const Batch batch = small_batch(labels);
    Trained t = tiny_model({}, 2);
    must(t.session->forward(batch, {}));
    const std::vector<float> together(t.session->value(0).begin(), t.session->value(0).end());
    Batch last;
    last.add(std::vector<TokenId>{4, 5, 6, 49, 0});
    must(t.session->forward(last, {}));
    const std::span<const float> alone = t.session->value(0);
    QVERIFY(near(largest_difference(alone, std::span(together).last(alone.size())), 0, 1e-5, "hidden states"));
  }

  void frozen_weights_get_no_gradient() {
    Trained t = tiny_model(spec_of(2), 1);
    for (Parameter& p : t.parameters) p.trainable = p.name.starts_with("blk.1.");
    t.session = Trained::make_session(t, false, kernels::MatmulPrecision::kF32);
    std::vector<std::int64_t> labels;
    const Batch batch = small_batch(labels);
    Trained whole = tiny_model(spec_of(2), 1);
    whole.loss(batch, labels, true);
    t.loss(batch, labels, true);
    for (std::size_t id = 0; id < t.parameters.size(); ++id) {
      QCOMPARE(t.parameters[id].fresh, !t.parameters[id].trainable);
      if (t.parameters[id].trainable)
        QVERIFY(std::ranges::equal(t.parameters[id].gradients(), whole.parameters[id].gradients()));
    }
    QVERIFY(t.session->plan().instructions.size() < whole.session->plan().instructions.size());
  }

  void refuses_what_it_cannot_run() {
    tiny::Spec spec = spec_of(1);
    spec.context = 8;
    Trained t = tiny_model(spec, 1);
    Batch batch;
    QCOMPARE(t.session->forward(batch, {}).error().code, ErrorCode::kBadArgument);
    batch.add(std::vector<TokenId>{1, 50});
    QCOMPARE(t.session->forward(batch, {}).error().code, ErrorCode::kBadArgument);
    Batch longer;
    longer.add(std::vector<TokenId>(9, 1));
    QCOMPARE(t.session->forward(longer, {}).error().code, ErrorCode::kBadArgument);
    JobContext job;
    job.stop();
    Batch good;
    good.add(std::vector<TokenId>{1});
    QCOMPARE(t.session->forward(good, job).error().code, ErrorCode::kCanceled);
  }

  void stored_gradients() {
    const auto folder = shared("algorithms/llama_gradients");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "gradients.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "gradients.json")));
    const auto ids = integers<TokenId>(*file, "input_ids");
    const auto labels = shifted(integers(*file, "labels"), 20);
    Trained t = Trained::of(must(open_model(folder)), 2);
    const double loss = t.loss(Batch::from_padded(ids, {}, 20), labels, true);
    QVERIFY(near(loss, json["loss"].get<double>(), 2e-6, "loss"));
    for (Parameter& p : t.parameters)
      QVERIFY(near(relative_distance(p.gradients(), floats(*file, "grad." + p.source_name)), 0, 5e-6, p.source_name.c_str()));
    QVERIFY(near(Optimizer::gradient_norm(t.parameters, 1, *t.pool), json["global_grad_norm"].get<double>(), 1e-5, "norm"));
  }

  void ten_steps_as_pytorch() {
    const auto folder = shared("algorithms/training_steps"), models = shared("models");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "training_steps.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "training_steps.json")));
    const auto ids = integers<TokenId>(*file, "llama.input_ids");
    for (const bool distilled : {false, true}) {
      const std::string prefix = distilled ? "distilled.final." : "llama.final.";
      const auto& expected = json[distilled ? "llama-tied distillation to its first layer" : "llama-tied cross-entropy"];
      Model model = must(open_model(models / "llama-tied"));
      Trained teacher = Trained::of(must(open_model(models / "llama-tied")), 2);
      if (distilled) drop_second_layer(model);
      Trained t = Trained::of(std::move(model), 2);
      Optimizer optimizer = must(Optimizer::make(t.parameters, {.decay = 0.01, .clip = 1}));
      const LogitWeights weights = distilled ? LogitWeights{.cross_entropy = 0.3, .forward_kl = 0.7, .temperature = 2} : LogitWeights{.cross_entropy = 1};
      for (std::size_t step = 0; step < 10; ++step) {
        const std::vector<TokenId> now(ids.begin() + static_cast<std::ptrdiff_t>(step * 32), ids.begin() + static_cast<std::ptrdiff_t>(step * 32 + 32));
        const Batch batch = Batch::from_padded(now, {}, 16);
        const auto labels = shifted(std::vector<std::int64_t>(now.begin(), now.end()), 16);
        must(teacher.session->forward(batch, {}));
        const HeadSide side{teacher.session->value(0), teacher.head_weight};
        const double loss = t.loss(batch, labels, true, weights, distilled ? &side : nullptr);
        const double norm = Optimizer::gradient_norm(t.parameters, 1, *t.pool);
        const double stored = expected["losses"][step].get<double>();
        QVERIFY(near(loss, stored, 1e-4 * stored, "loss"));
        const double stored_norm = expected["gradient_norms_before_clipping"][step].get<double>();
        QVERIFY(near(norm, stored_norm, 1e-5 * stored_norm, "norm"));
        optimizer.step(t.parameters, expected["learning_rates"][step].get<double>(), 1, norm, *t.pool);
      }
      // Where a gradient is nearly zero, Adam's first steps turn its rounding into a whole step: a single weight may lie
      // beyond 1e-4, the tensor as a whole not.
      for (const Parameter& p : t.parameters) {
        const auto stored = floats(*file, prefix + p.source_name);
        const auto found = std::span(p.data, p.elements);
        std::size_t beyond = 0;
        for (std::size_t i = 0; i < stored.size(); ++i) beyond += std::abs(found[i] - stored[i]) > 1e-4f;
        QVERIFY2(beyond <= 1, p.source_name.c_str());
        QVERIFY(near(relative_distance(found, stored), 0, 1e-5, p.source_name.c_str()));
        QVERIFY(near(largest_difference(found, stored), 0, 2e-4, p.source_name.c_str()));
      }
    }
  }

 private:
  // The graph of the model with its first layer only.
  static void drop_second_layer(Model& model) {
    model.config.layers = 1;
    const Graph graph = must(model.architecture->build(model.config, *model.checkpoint));
    std::vector<WeightHandle> weights;
    for (const WeightSpec& spec : graph.weights) weights.push_back(model.weights[static_cast<std::size_t>(model.find_weight(spec.name))]);
    model.graph = graph;
    model.weights = std::move(weights);
  }
};

QTEST_APPLESS_MAIN(TrainSessionTest)
#include "train_session_test.moc"
