// Losses, AdamW and schedules: against finite differences everywhere, and against the stored vectors where they are.
#include <functional>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/distill/losses.h"
#include "core/distill/parameters.h"
#include "core/distill/schedule.h"
#include "kernels/dispatch/train_ops.h"
#include "vectors.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;

namespace {

// The losses take f32 inputs: a step of 1e-2 leaves a difference quotient good to about 1e-4 of the gradient's length.
constexpr double kStep = 1e-2, kSlack = 2e-3;

// The gradient by central differences. `loss` must not keep anything.
std::vector<double> differences(std::vector<float> x, const std::function<double(const std::vector<float>&)>& loss) {
  std::vector<double> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float at = x[i], above = at + static_cast<float>(kStep), below = at - static_cast<float>(kStep);
    x[i] = above;
    const double up = loss(x);
    x[i] = below;
    const double down = loss(x);
    x[i] = at;
    out[i] = (up - down) / (static_cast<double>(above) - static_cast<double>(below));
  }
  return out;
}

// Mean over the rows of [rows, n] logits.
LogitLoss logit_mean(const LogitWeights& weights, const std::vector<float>& student, const std::vector<float>& teacher,
                     const std::vector<std::int64_t>& labels, std::vector<float>& gradient) {
  const std::size_t n = student.size() / labels.size();
  std::vector<float> scratch(2 * n);
  double count = 0;
  for (const std::int64_t label : labels) count += label == kIgnoredLabel ? 0 : 1;
  gradient.resize(student.size());
  LogitLoss sum;
  for (std::size_t r = 0; r < labels.size(); ++r)
    sum += logit_row(weights, std::span(student).subspan(r * n, n), {.logits = std::span(teacher).subspan(r * n, n), .classes = {}, .probabilities = {}},
                     labels[r], 1 / count, std::span(gradient).subspan(r * n, n), scratch);
  return sum;
}

using Loss = std::function<double(const std::vector<float>& student, std::vector<float>& gradient)>;

// Whether a loss's own gradient is that of its values.
bool gradient_holds(const std::vector<float>& x, const Loss& loss, const char* what) {
  std::vector<float> gradient(x.size(), 0.0f);
  loss(x, gradient);
  const std::vector<double> expected = differences(x, [&](const std::vector<float>& moved) {
    std::vector<float> unused(moved.size(), 0.0f);
    return loss(moved, unused);
  });
  return near(relative_distance(gradient, expected), 0, kSlack, what);
}

}  // namespace

class LossesTest : public QObject {
  Q_OBJECT

 private slots:
  void gradients_are_those_of_the_values() {
    const auto student = random_floats(4 * 9, 1, 2), teacher = random_floats(4 * 9, 2, 2);
    const std::vector<std::int64_t> labels = {3, -1, kIgnoredLabel, 8};   // one row without a label, one that doesn't count
    const struct {
      const char* name;
      LogitWeights weights;
    } cases[] = {{"cross entropy", {.cross_entropy = 1}},
                 {"forward KL", {.forward_kl = 1, .temperature = 3}},
                 {"reverse KL", {.reverse_kl = 1, .temperature = 2}},
                 {"Jensen-Shannon", {.jensen_shannon = 1, .temperature = 1.5}},
                 {"mixed", {.cross_entropy = 0.3, .forward_kl = 0.4, .reverse_kl = 0.2, .jensen_shannon = 0.1, .temperature = 4}}};
    for (const auto& c : cases)
      QVERIFY(gradient_holds(student, [&](const std::vector<float>& x, std::vector<float>& gradient) {
        return logit_mean(c.weights, x, teacher, labels, gradient).total;
      }, c.name));
  }

  // With every class kept the loss is the whole one; with some, it is the KL of the coarser distribution.
  void kept_classes() {
    const std::size_t n = 12;
    const auto student = random_floats(n, 3, 2), teacher = random_floats(n, 4, 2);
    std::vector<float> share(n), scratch(2 * n), gradient(n), whole(n);
    kernels::train_ops()->softmax_row(teacher.data(), 0.5f, share.data(), n);
    std::vector<std::int32_t> classes(n);
    for (std::size_t i = 0; i < n; ++i) classes[i] = static_cast<std::int32_t>(n - 1 - i);
    std::vector<float> kept(n);
    for (std::size_t i = 0; i < n; ++i) kept[i] = share[static_cast<std::size_t>(classes[i])];
    const std::span<const std::int32_t> some(classes.data(), 3);
    for (const LogitWeights& weights : {LogitWeights{.forward_kl = 1, .temperature = 2}, LogitWeights{.reverse_kl = 1, .temperature = 2},
                                        LogitWeights{.jensen_shannon = 1, .temperature = 2}}) {
      const TeacherRow coarse{.logits = {}, .classes = some, .probabilities = std::span(kept).first(3)};
      const double all = logit_row(weights, student, {.logits = {}, .classes = classes, .probabilities = kept}, -1, 1, gradient, scratch).total;
      const double full = logit_row(weights, student, {.logits = teacher, .classes = {}, .probabilities = {}}, -1, 1, whole, scratch).total;
      QVERIFY(near(all, full, 1e-5, "all classes kept"));
      QVERIFY(near(largest_difference(gradient, whole), 0, 1e-5, "their gradient"));
      QVERIFY(logit_row(weights, student, coarse, -1, 1, gradient, scratch).total < full);
      QVERIFY(gradient_holds(student, [&](const std::vector<float>& x, std::vector<float>& g) {
        return logit_row(weights, x, coarse, -1, 1, g, scratch).total;
      }, "three classes kept"));
      // What the answer counts for.
      QVERIFY(gradient_holds(student, [&](const std::vector<float>& x, std::vector<float>& g) {
        return logit_row(weights, x, {.logits = teacher, .classes = {}, .probabilities = {}, .weight = 0.3}, -1, 1, g, scratch).total;
      }, "an answer that counts less"));
    }
  }

  void hidden_states() {
    const auto y = random_floats(5 * 6, 5), target = random_floats(5 * 6, 6);
    const std::vector<float> counts = {1, 0, 2, 1, 0.5f};
    QVERIFY(gradient_holds(y, [&](const auto& x, auto& g) { return hidden_mse(x, target, 6, counts, 0.7, g); }, "mse"));
    QVERIFY(gradient_holds(y, [&](const auto& x, auto& g) { return hidden_cosine(x, target, 6, counts, 0.7, g); }, "cosine"));
    std::vector<float> none(6, 0.0f), gradient(6, 0.0f);
    QCOMPARE(hidden_cosine(none, std::span(target).first(6), 6, {}, 1, gradient), 1.0);
    QCOMPARE(gradient, none);
  }

  void attention() {
    const auto student = random_floats(2 * 3 * 5, 7), teacher = random_floats(2 * 3 * 5, 8);
    QVERIFY(gradient_holds(student, [&](const auto& x, auto& g) { return attention_kl(x, teacher, 5, 2, g); }, "attention KL"));
    QVERIFY(gradient_holds(student, [&](const auto& x, auto& g) { return attention_mse(x, teacher, 5, 9, g); }, "attention MSE"));
  }

  // Two query heads share a key head on the student's side; the teacher's heads are wider and have their own.
  void relations() {
    const std::int64_t tokens = 6, heads = 4;
    const auto q = random_floats(6 * 4 * 3, 9), k = random_floats(6 * 2 * 3, 10);
    const auto tq = random_floats(6 * 4 * 5, 11), tk = random_floats(6 * 4 * 5, 12);
    const Relation teacher{tq.data(), tk.data(), 20, 20, 5};
    for (const bool causal : {false, true}) {
      QVERIFY(gradient_holds(q, [&](const auto& x, auto& g) {
        return relation_kl({x.data(), k.data(), 12, 6, 3, g.data(), nullptr}, teacher, tokens, heads, 2, 1, causal, 3);
      }, "queries"));
      QVERIFY(gradient_holds(k, [&](const auto& x, auto& g) {
        return relation_kl({q.data(), x.data(), 12, 6, 3, nullptr, g.data()}, teacher, tokens, heads, 2, 1, causal, 3);
      }, "keys"));
    }
    QVERIFY(gradient_holds(q, [&](const auto& x, auto& g) {
      return relation_kl({x.data(), x.data(), 12, 12, 3, g.data(), g.data()}, {tq.data(), tq.data(), 20, 20, 5}, tokens, heads, 1, 1, false, 3);
    }, "values"));
  }

  void between_examples() {
    const auto student = random_floats(6 * 4, 13), teacher = random_floats(6 * 7, 14);
    QVERIFY(gradient_holds(student, [&](const auto& x, auto& g) { return rkd_distance(x, 4, teacher, 7, 5, g); }, "distance"));
    QVERIFY(gradient_holds(student, [&](const auto& x, auto& g) { return rkd_angle(x, 4, teacher, 7, 5, g); }, "angle"));
    // Equal examples have no direction; nothing is divided by their distance.
    std::vector<float> equal(8, 1.0f), gradient(8, 0.0f);
    QCOMPARE(rkd_distance(equal, 4, equal, 4, 1, gradient), 0.0);
    QCOMPARE(rkd_angle(equal, 4, equal, 4, 1, gradient), 0.0);
    QCOMPARE(gradient, std::vector<float>(8, 0.0f));
  }

  void schedules() {
    const Schedule linear{.decay = Decay::kLinear, .base = 2, .warmup = 4, .total = 12};
    QCOMPARE(linear.rate(0), 0.0);
    QCOMPARE(linear.rate(2), 1.0);
    QCOMPARE(linear.rate(4), 2.0);
    QCOMPARE(linear.rate(8), 1.0);
    QCOMPARE(linear.rate(12), 0.0);
    QCOMPARE(linear.rate(99), 0.0);
    const Schedule cosine{.decay = Decay::kCosine, .base = 1, .warmup = 0, .total = 10, .floor = 0.1};
    QCOMPARE(cosine.rate(0), 1.0);
    QVERIFY(near(cosine.rate(5), 0.55, 1e-12, "half way"));
    QVERIFY(near(cosine.rate(10), 0.1, 1e-12, "floor"));
    for (const Decay decay : {Decay::kConstant, Decay::kLinear, Decay::kCosine}) QVERIFY(find_decay(decay_name(decay)) == decay);
  }

  void stored_logit_losses() {
    const auto folder = shared("algorithms");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "kd_losses.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "kd_losses.json")));
    const auto student = floats(*file, "student_logits"), teacher = floats(*file, "teacher_logits");
    const double alpha = json["alpha"].get<double>();
    int compared = 0;
    for (const std::string prefix : {"", "masked."}) {
      const auto labels = integers(*file, prefix.empty() ? "labels" : "labels_masked");
      for (const int t : {1, 2, 4, 8}) {
        const double temperature = t;
        const std::string key = prefix + "T" + std::to_string(t);
        const std::pair<const char*, LogitWeights> cases[] = {
            {"kd", {.forward_kl = 1, .temperature = temperature}},
            {"combined", {.cross_entropy = 1 - alpha, .forward_kl = alpha, .temperature = temperature}},
            {"reverse_kl", {.reverse_kl = 1, .temperature = temperature}},
            {"jsd", {.jensen_shannon = 1, .temperature = temperature}}};
        for (const auto& [name, weights] : cases) {
          std::vector<float> gradient;
          const double loss = logit_mean(weights, student, teacher, labels, gradient).total;
          QVERIFY(near(loss, json["cases"][key][name].get<double>(), 2e-6, (key + " " + name).c_str()));
          if (const std::string stored = key + ".grad_" + name; file->find(stored)) {
            QVERIFY(near(largest_difference(gradient, floats(*file, stored)), 0, 2e-7, stored.c_str()));
            ++compared;
          }
        }
      }
    }
    QCOMPARE(compared, 24);
  }

  void stored_feature_losses() {
    const auto folder = shared("algorithms");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "hidden_losses.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "hidden_losses.json")));
    const auto h = floats(*file, "h_student"), target = floats(*file, "h_teacher"), mask = floats_of_mask(*file);
    const auto weight = floats(*file, "proj_weight"), bias = floats(*file, "proj_bias");
    for (const std::string name : {"mse", "mse_masked", "cosine"}) {
      std::vector<float> dw(weight.size(), 0.0f), db(bias.size(), 0.0f), y(14 * 48), dy(y.size(), 0.0f), dh(h.size(), 0.0f);
      const Projection p{32, 48, weight, bias, dw, db};
      project(p, h, y);
      const double loss = name == "cosine" ? hidden_cosine(y, target, 48, {}, 1, dy)
                                           : hidden_mse(y, target, 48, name == "mse" ? std::span<const float>() : mask, 1, dy);
      project_backward(p, h, dy, dh);
      QVERIFY(near(loss, json[name].get<double>(), 2e-6, name.c_str()));
      QVERIFY(near(largest_difference(dh, floats(*file, name + ".grad_h_student")), 0, 2e-7, "states"));
      QVERIFY(near(largest_difference(dw, floats(*file, name + ".grad_proj_weight")), 0, 5e-7, "projection"));
      QVERIFY(near(largest_difference(db, floats(*file, name + ".grad_proj_bias")), 0, 5e-7, "bias"));
    }
  }

  void stored_attention_losses() {
    const auto folder = shared("algorithms");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "attention_losses.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "attention_losses.json")));
    const auto s = floats(*file, "attn_scores_student"), t = floats(*file, "attn_scores_teacher");
    std::vector<float> kl(s.size(), 0.0f), mse(s.size(), 0.0f);
    QVERIFY(near(attention_kl(s, t, 7, 1, kl), json["attention_kl"].get<double>(), 2e-6, "KL"));
    QVERIFY(near(attention_mse(s, t, 7, 1, mse), json["attention_mse"].get<double>(), 1e-7, "MSE"));
    QVERIFY(near(largest_difference(kl, floats(*file, "attention_kl.grad_attn_scores_student")), 0, 2e-7, "KL gradient"));
    QVERIFY(near(largest_difference(mse, floats(*file, "attention_mse.grad_attn_scores_student")), 0, 2e-7, "MSE gradient"));
    // Stored as [batch, heads, tokens, width]: each head on its own.
    const auto v = floats(*file, "value_student"), tv = floats(*file, "value_teacher");
    std::vector<float> dv(v.size(), 0.0f);
    double loss = 0;
    for (std::size_t head = 0; head < 8; ++head) {
      const float* const mine = v.data() + head * 56;
      float* const slope = dv.data() + head * 56;
      const float* const theirs = tv.data() + head * 84;
      loss += relation_kl({mine, mine, 8, 8, 8, slope, slope}, {theirs, theirs, 12, 12, 12}, 7, 1, 1, 1, false, 1.0 / 8);
    }
    QVERIFY(near(loss, json["value_relation_kl"].get<double>(), 2e-6, "values"));
    QVERIFY(near(largest_difference(dv, floats(*file, "value_relation_kl.grad_value_student")), 0, 2e-7, "values' gradient"));
  }

  void stored_relation_losses() {
    const auto folder = shared("algorithms");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "rkd_losses.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "rkd_losses.json")));
    const auto s = floats(*file, "emb_student"), t = floats(*file, "emb_teacher");
    const std::tuple<const char*, double, double> cases[] = {{"distance", 1, 0}, {"angle", 0, 1}, {"combined_25_50", 25, 50}};
    for (const auto& [name, distance, angle] : cases) {
      std::vector<float> gradient(s.size(), 0.0f);
      double loss = 0;
      if (distance > 0) loss += rkd_distance(s, 16, t, 24, distance, gradient);
      if (angle > 0) loss += rkd_angle(s, 16, t, 24, angle, gradient);
      QVERIFY(near(loss, json[name].get<double>(), 1e-9, name));
      const auto stored = floats(*file, std::string(name) + ".grad_emb_student");
      QVERIFY(near(relative_distance(gradient, stored), 0, 1e-6, name));
    }
  }

  void stored_optimizer() {
    const auto folder = shared("algorithms");
    if (folder.empty()) QSKIP("RETORT_SHARED is not set");
    const auto file = must(open_safetensors(folder / "adamw.safetensors"));
    const auto json = nlohmann::json::parse(must(read_text_file(folder / "adamw.json")));
    kernels::ThreadPool pool(2);
    for (const std::string name : {"constant", "cosine_warmup", "constant_clipped"}) {
      Parameters parameters;
      for (const char* part : {"w", "e", "b"}) {
        const std::size_t id = must(parameters.add(part, entry(*file, std::string("init.") + part).shape));
        std::ranges::copy(floats(*file, std::string("init.") + part), parameters[id].value());
      }
      must(parameters.make_gradients());
      AdamWOptions options{.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .decay = 0.1, .clip = 0};
      if (name == "constant_clipped") options.clip = json["max_grad_norm"].get<double>();
      Optimizer optimizer = must(Optimizer::make(parameters, options));
      for (int step = 0; step < 5; ++step) {
        for (Parameter& p : parameters)
          std::ranges::copy(floats(*file, "grad" + std::to_string(step) + "." + p.name), p.added_gradient());
        const double norm = Optimizer::gradient_norm(parameters, 1, pool);
        if (options.clip > 0)
          QVERIFY(near(norm, json["cases"][name]["grad_norm_before_clipping"][static_cast<std::size_t>(step)].get<double>(), 1e-6, "norm"));
        optimizer.step(parameters, json["cases"][name]["lr"][static_cast<std::size_t>(step)].get<double>(), 1, norm, pool);
        for (Parameter& p : parameters)
          QVERIFY(near(largest_difference(std::span(p.data, p.elements), floats(*file, name + ".step" + std::to_string(step + 1) + "." + p.name)),
                       0, 1e-6, (name + " " + p.name).c_str()));
      }
    }
    for (const char* name : {"cosine", "linear"}) {
      const auto& stored = json[std::string(name) + "_schedule_lr_per_step"];
      const Schedule schedule{.decay = *find_decay(name), .base = stored["base_lr"].get<double>(),
                              .warmup = stored["warmup_steps"].get<std::int64_t>(), .total = stored["total_steps"].get<std::int64_t>()};
      for (std::size_t i = 0; i < stored["lr"].size(); ++i)
        QVERIFY(near(schedule.rate(static_cast<std::int64_t>(i)), stored["lr"][i].get<double>(), 1e-15, name));
    }
  }

 private:
  static std::vector<float> floats_of_mask(const Checkpoint& file) { return read_as<float, std::int64_t>(entry(file, "attention_mask")); }
};

QTEST_APPLESS_MAIN(LossesTest)
#include "losses_test.moc"
