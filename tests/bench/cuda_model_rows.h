// A whole model of seven billion random weights: passes over a prompt, and decode steps through the recorded graphs, as the
// plug-in's sessions run them. Times are the host's, around the calls.
#pragma once

#include <chrono>
#include <cmath>

#include "cuda_bench.h"
#include "kernels/cuda/session.h"

namespace retort::cuda::bench {

// The plan of a Llama, step by step, with what it points to.
class LlamaPlan {
 public:
  // `distinct`: layers with weights of their own; others take turns in using them.
  LlamaPlan(const Shape& shape, std::int32_t type_number, Type type, std::int32_t distinct) : s_(shape), number_(type_number), type_(type) {
    const std::int32_t hidden = s_.hidden, q = s_.heads * s_.head_dim, kv = s_.kv_heads * s_.head_dim;
    const std::int32_t table = weight(s_.vocabulary, hidden, RETORT_USE_ROWS), head = weight(s_.vocabulary, hidden, RETORT_USE_LINEAR), last = vector(hidden);
    std::vector<std::int32_t> first_of_layer;
    for (std::int32_t i = 0; i < distinct; ++i) {
      first_of_layer.push_back(vector(hidden));
      vector(hidden);
      for (const auto& [rows, columns] : {std::pair{q, hidden}, {kv, hidden}, {kv, hidden}, {hidden, q}, {s_.inner, hidden}, {s_.inner, hidden}, {hidden, s_.inner}})
        weight(rows, columns, RETORT_USE_LINEAR);
    }
    const retort_value x = value(hidden), normed = value(hidden), queries = value(q), keys = value(kv), values = value(kv), mixed = value(q), part = value(hidden),
                       gate = value(s_.inner), up = value(s_.inner);
    retort_step& embed = step(RETORT_STEP_EMBEDDING);
    embed.out = x;
    embed.weight = table;
    for (std::int32_t l = 0; l < s_.layers; ++l) {
      const std::int32_t w = first_of_layer[static_cast<std::size_t>(l % distinct)];
      norm(l == 0 ? RETORT_STEP_NORM : RETORT_STEP_ADD_NORM, x, part, normed, w);
      linears(normed, {{w + 2, queries}, {w + 3, keys}, {w + 4, values}});
      retort_step& attention = step(RETORT_STEP_ATTENTION);
      attention.layer = l;
      attention.a = queries;
      attention.b = keys;
      attention.c = values;
      attention.out = mixed;
      attention.heads = s_.heads;
      attention.kv_heads = s_.kv_heads;
      attention.head_dim = s_.head_dim;
      attention.causal = 1;
      attention.query_rope = attention.key_rope = 0;
      attention.scale = 1 / std::sqrt(static_cast<float>(s_.head_dim));
      linears(mixed, {{w + 5, part}});
      norm(RETORT_STEP_ADD_NORM, x, part, normed, w + 1);
      linears(normed, {{w + 6, gate}, {w + 7, up}});
      retort_step& gated = step(RETORT_STEP_GATE);
      gated.a = gated.out = gate;
      gated.b = up;
      linears(gate, {{w + 8, part}});
    }
    norm(RETORT_STEP_ADD_NORM, x, part, {RETORT_PLACE_HIDDEN, hidden, 0}, last);
    head_ = nothing(RETORT_STEP_LINEARS);
    head_.a = {RETORT_PLACE_HIDDEN, hidden, 0};
    head_.first_linear = static_cast<std::int32_t>(linears_.size());
    head_.linears = 1;
    linears_.push_back({head, -1, {RETORT_PLACE_OUTPUT, s_.vocabulary, 0}});
  }

  retort_plan view() const {
    retort_plan plan{};
    plan.size = sizeof(plan);
    plan.causal = 1;
    plan.layers = s_.layers;
    plan.vocabulary = plan.outputs = s_.vocabulary;
    plan.hidden = s_.hidden;
    plan.pool = -1;
    plan.kv_type = RETORT_KV_F16;
    plan.kv_heads = s_.kv_heads;
    plan.head_dim = s_.head_dim;
    plan.context = s_.context;
    plan.batch = s_.many;
    plan.q8_activations = 1;   // as `retort bench` asks
    plan.arena_floats = floats_;
    plan.widest_input = std::max({s_.hidden, s_.inner, s_.heads * s_.head_dim});
    plan.step_count = static_cast<std::int32_t>(steps_.size());
    plan.head_step_count = plan.rope_count = 1;
    plan.linear_count = static_cast<std::int32_t>(linears_.size());
    plan.weight_count = static_cast<std::int32_t>(weights_.size());
    plan.steps = steps_.data();
    plan.head_steps = &head_;
    plan.linears = linears_.data();
    plan.weights = weights_.data();
    plan.ropes = &rope_;
    return plan;
  }
  const std::vector<retort_weight>& weights() const { return weights_; }

  // What the products of a pass read, and do for a row: those of every layer, whoever's weights it uses.
  double linear_bytes() const { return of_linears([](const retort_weight& w) { return static_cast<double>(weight_bytes(w)); }); }
  double linear_operations() const { return of_linears([](const retort_weight& w) { return 2.0 * static_cast<double>(w.rows) * static_cast<double>(w.columns); }); }

 private:
  template <class F>
  double of_linears(F&& f) const {
    double sum = 0;
    for (const retort_linear& linear : linears_) sum += f(weights_[static_cast<std::size_t>(linear.weight)]);
    return sum;
  }
  std::int32_t weight(std::int32_t rows, std::int32_t columns, std::uint32_t use) {
    weights_.push_back({number_, use, rows, columns, stored_bytes(type_, rows, columns), "a matrix"});
    return static_cast<std::int32_t>(weights_.size()) - 1;
  }
  std::int32_t vector(std::int32_t width) {
    weights_.push_back({RETORT_TYPE_F32, RETORT_USE_VECTOR, 1, width, static_cast<std::uint64_t>(width) * 4, "a norm"});
    return static_cast<std::int32_t>(weights_.size()) - 1;
  }
  retort_value value(std::int32_t width) {
    const retort_value v{RETORT_PLACE_ARENA, width, floats_};
    floats_ += round_up(width, 16);
    return v;
  }
  static retort_step nothing(std::int32_t kind) {
    retort_step s{};
    s.kind = kind;
    s.layer = s.weight = s.bias = s.query_rope = s.key_rope = s.relative_bias = -1;
    s.a = s.b = s.c = s.sum = s.out = {RETORT_PLACE_NONE, 0, 0};
    s.name = "a step";
    return s;
  }
  retort_step& step(std::int32_t kind) { return steps_.emplace_back(nothing(kind)); }
  void norm(std::int32_t kind, const retort_value& x, const retort_value& added, const retort_value& out, std::int32_t weight) {
    retort_step& s = step(kind);
    s.a = x;
    if (kind == RETORT_STEP_ADD_NORM) s.b = added, s.sum = x;
    s.out = out;
    s.norm = RETORT_NORM_RMS;
    s.groups = 1;
    s.epsilon = 1e-5f;
    s.weight = weight;
  }
  void linears(const retort_value& from, const std::vector<std::pair<std::int32_t, retort_value>>& to) {
    retort_step& s = step(RETORT_STEP_LINEARS);
    s.a = from;
    s.first_linear = static_cast<std::int32_t>(linears_.size());
    s.linears = static_cast<std::int32_t>(to.size());
    for (const auto& [weight, out] : to) linears_.push_back({weight, -1, out});
  }

  Shape s_;
  std::int32_t number_;
  Type type_;
  std::vector<retort_weight> weights_;
  std::vector<retort_step> steps_;
  std::vector<retort_linear> linears_;
  retort_step head_{};
  retort_rope rope_{s_.head_dim / 2, 0};
  std::int64_t floats_ = 0;
};

// Layers whose weights fit the device beside the rest; 0: not even one.
inline std::int32_t layers_that_fit(const Shape& shape, std::int32_t number, Type type) {
  std::uint64_t free = 0, total = 0;
  if (!ok(memory_of_device(free, total))) return 0;
  const auto needed = [&](std::int32_t distinct) {
    const LlamaPlan plan(shape, number, type, distinct);
    const SessionSizes sizes = session_sizes(plan.view());
    std::uint64_t bytes = 2 * sizes.cache + sizes.work();
    for (const retort_weight& w : plan.weights()) bytes += weight_bytes(w);
    return bytes;
  };
  std::int32_t distinct = shape.layers;
  while (distinct > 0 && needed(distinct) > free / 10 * 9) --distinct;
  return distinct;
}

inline bool upload(Model& model, const std::vector<retort_weight>& weights) {
  std::uint64_t most = 0;
  for (const retort_weight& w : weights) most = std::max(most, w.bytes);
  const std::vector<std::uint16_t> bits = random_bits((most + 1) / 2);
  model.weights.resize(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    model.weights[i].info = weights[i];
    model.weights[i].name = weights[i].name;
    if (!ok(model.upload(static_cast<std::int32_t>(i), bits.data(), weights[i].bytes))) return false;
  }
  return true;
}

// A session under way: passes at the positions after those before.
class Runner {
 public:
  Runner(Bench& bench, Session& session) : bench_(bench), session_(session), tokens_(static_cast<std::size_t>(bench.shape.many)) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) tokens_[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(bench.shape.vocabulary));
  }
  bool pass(std::int64_t start, std::int32_t rows) {
    retort_pass p{};
    p.size = sizeof(p);
    p.rows = rows;
    p.tokens = tokens_.data();
    p.start = start;
    return ok(session_.run(p));
  }
  bool fill_until(std::int64_t position) {
    for (std::int64_t at = 0; at < position; at += bench_.shape.many)
      if (!pass(at, static_cast<std::int32_t>(std::min<std::int64_t>(bench_.shape.many, position - at)))) return false;
    return true;
  }
  double seconds(int repeats, const std::function<bool(int)>& work) {
    std::vector<double> times;
    for (int i = 0; i < repeats + 3 && !bench_.failed; ++i) {   // the first ones load and record
      const auto start = std::chrono::steady_clock::now();
      bench_.failed = !work(i);
      if (i >= 3) times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return times.empty() ? bench_.fail_with(0) : median(times);
  }

 private:
  Bench& bench_;
  Session& session_;
  std::vector<std::int32_t> tokens_;
};

// Steps after `position` tokens: body, head and choice, greedy or drawn.
inline void decode_row(Bench& b, const LlamaPlan& plan, Session& session, Runner& runner, const std::string& name, std::int64_t position, bool drawn, double goal) {
  if (!runner.fill_until(position)) b.failed = true;
  Figure figure{fmt::format("{}, a token after {}{}", name, position, drawn ? ", drawn" : ""), 0, 0, 0, goal};
  const Shape& s = b.shape;
  figure.bytes = plan.linear_bytes() + 4.0 * s.layers * s.kv_heads * s.head_dim * static_cast<double>(position);
  figure.seconds = runner.seconds(2 * s.repeats + 1, [&](int i) {
    std::int32_t id = 0;
    float value = 0;
    double sum = 0;
    if (!runner.pass(position + i, 1)) return false;
    return ok(drawn ? session.sample(0, {sizeof(retort_drawing), 0.8, 0.95, 0.5}, &id, &value, &sum) : session.top(0, 1, &id, &value, &sum));
  });
  if (!b.failed) b.show(std::move(figure));
}

inline void model_rows(Bench& b, const char* type_name, std::int32_t number, Type type, double decode_goal) {
  const Shape& s = b.shape;
  if (b.failed) return;
  const std::int32_t distinct = layers_that_fit(s, number, type);
  if (distinct == 0) {
    fmt::print("whole model {}: not one layer fits the device\n", type_name);
    return;
  }
  if (distinct < s.layers) fmt::print("whole model {}: {} of {} layers have weights of their own, more don't fit\n", type_name, distinct, s.layers);
  const LlamaPlan plan(s, number, type, distinct);
  const retort_plan view = plan.view();
  Device device;
  device.multiprocessors = b.info.multiprocessors;
  Model model;
  model.device = &device;
  const std::vector<float> inverse(static_cast<std::size_t>(s.head_dim / 2), 0.01f);
  if (!ok(check_plan(view)) || !ok(device.stream.open()) || !upload(model, plan.weights())) {
    b.failed = true;
    return;
  }
  Session session(model, view);
  if (!ok(session.open()) || !ok(session.set_rope(0, inverse.data(), 1))) {
    b.failed = true;
    return;
  }
  Runner runner(b, session);
  const std::string name = fmt::format("whole model {}", type_name);
  // The head isn't part of a pass over a prompt.
  const double rows = s.many;
  Figure prompt{fmt::format("{}, a prompt of {}", name, s.many), 0, 0, 0, 0.3};
  prompt.operations = rows * (plan.linear_operations() - 2.0 * s.vocabulary * s.hidden) + 2.0 * s.layers * s.heads * s.head_dim * rows * (rows + 1);
  prompt.seconds = runner.seconds(s.repeats, [&](int) { return runner.pass(0, s.many); });
  if (b.failed) return;
  b.show(std::move(prompt));
  decode_row(b, plan, session, runner, name, std::min(512, s.context / 4), false, decode_goal);
  decode_row(b, plan, session, runner, name, std::min(512, s.context / 4), true, 0);
  decode_row(b, plan, session, runner, name, s.context - 64, false, 0);
}

inline void model_rows(Bench& b) {
  model_rows(b, "F16", RETORT_TYPE_F16, Type::kF16, 0.5);
  model_rows(b, "Q4_0", RETORT_TYPE_Q4_0, Type::kQ4_0, 0.4);
  model_rows(b, "Q4_K", RETORT_TYPE_Q4_K, Type::kQ4_K, 0.4);
}

}  // namespace retort::cuda::bench
