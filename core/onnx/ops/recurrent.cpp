// LSTM, GRU and RNN: one product for all inputs, then step after step. Directions are computed one after the other.
#include <cmath>

#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"
#include "core/onnx/ops/products.h"

namespace retort::onnx {
namespace {

struct Recurrence {
  std::int64_t steps = 0, batch = 0, inputs = 0, hidden = 0, gates = 0, directions = 1;
  std::int64_t row() const noexcept { return gates * hidden; }
  bool reverse = false;                    // of the only direction; of two, the second is
};

Result<Recurrence> plan_recurrence(const Call& call, std::int64_t gates) {
  const Shape &x = call.in(0).shape(), &w = call.in(1).shape(), &r = call.in(2).shape();
  if (x.size() != 3 || w.size() != 3 || r.size() != 3) return bad_input("x, W and R of three dimensions", shape_text(x) + ", " + shape_text(w) + " and " + shape_text(r));
  const std::string_view direction = call.attributes.text("direction", "forward");
  Recurrence plan{.steps = x[0], .batch = x[1], .inputs = x[2], .hidden = r[2], .gates = gates, .directions = direction == "bidirectional" ? 2 : 1, .reverse = direction == "reverse"};
  const std::int64_t row = plan.row();
  if (w != Shape{plan.directions, row, plan.inputs}) return bad_input(shape_text(std::array{plan.directions, row, plan.inputs}) + " for W", shape_text(w));
  if (r != Shape{plan.directions, row, plan.hidden}) return bad_input(shape_text(std::array{plan.directions, row, plan.hidden}) + " for R", shape_text(r));
  if (call.attributes.whole("hidden_size", plan.hidden) != plan.hidden) return bad_input("hidden_size " + std::to_string(plan.hidden), std::to_string(call.attributes.whole("hidden_size", 0)));
  if (const Tensor* b = call.optional(3); b && b->shape() != Shape{plan.directions, 2 * row}) return bad_input(shape_text(std::array{plan.directions, 2 * row}) + " for B", shape_text(b->shape()));
  if (call.optional(4))
    for (const std::int64_t length : call.numbers(4))
      if (length != plan.steps) return bad_input("sequences of " + std::to_string(plan.steps) + " steps each", std::to_string(length));
  for (const std::size_t i : {5u, 6u})
    if (const Tensor* state = call.optional(i); state && state->shape() != Shape{plan.directions, plan.batch, plan.hidden})
      return bad_input(shape_text(std::array{plan.directions, plan.batch, plan.hidden}) + " for a state", shape_text(state->shape()));
  return plan;
}

// c [m, n] = a [m, k] · bᵀ, b [n, k].
void product_transposed(const Device& device, const float* a, const float* b, float* c, std::int64_t m, std::int64_t n, std::int64_t k) {
  kernels::MatmulTile tile;
  tile.transpose_b = true;
  tile.m = m;
  tile.n = n;
  tile.k = k;
  tile.a = a;
  tile.a_stride = k;
  tile.b = b;
  tile.b_stride = k;
  tile.c = c;
  tile.c_stride = n;
  product(device, tile);
}

float sigmoid(float x) noexcept { return 1 / (1 + std::exp(-x)); }

// One sequence's step: `x` what the inputs give (with their bias), `h` what the state gives (with its own), gates one after
// the other; `state` of `hidden` values is replaced, `cell` is the LSTM's.
using StepFunction = void (*)(const float* x, const float* h, float* state, float* cell, std::int64_t hidden, bool flag);

void lstm_step(const float* x, const float* h, float* state, float* cell, std::int64_t n, bool) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto gate = [&](std::int64_t g) { return x[g * n + i] + h[g * n + i]; };
    cell[i] = sigmoid(gate(2)) * cell[i] + sigmoid(gate(0)) * std::tanh(gate(3));
    state[i] = sigmoid(gate(1)) * std::tanh(cell[i]);
  }
}
// The reset gate after the product with R (linear_before_reset): the only order in which one product serves all gates.
void gru_step(const float* x, const float* h, float* state, float*, std::int64_t n, bool) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float update = sigmoid(x[i] + h[i]), reset = sigmoid(x[n + i] + h[n + i]);
    const float fresh = std::tanh(x[2 * n + i] + reset * h[2 * n + i]);
    state[i] = (1 - update) * fresh + update * state[i];
  }
}
void rnn_step(const float* x, const float* h, float* state, float*, std::int64_t n, bool relu) {
  for (std::int64_t i = 0; i < n; ++i) state[i] = relu ? std::max(x[i] + h[i], 0.0f) : std::tanh(x[i] + h[i]);
}

class Direction {
 public:
  Direction(const Call& call, const Recurrence& plan, std::int64_t index) : call_(call), plan_(plan), index_(index), backwards_(plan.reverse || index == 1) {}

  // `step` null: a GRU that resets the state before the product.
  Result<void> run(StepFunction step, bool flag, Tensor& state, Tensor& cell, float* every) {
    const std::int64_t rows = plan_.steps * plan_.batch, row = plan_.row(), n = plan_.hidden;
    RETORT_TRY(Tensor given, Tensor::make(call_.memory, ElementType::kFloat, {rows, row}));
    RETORT_TRY(Tensor own, Tensor::make(call_.memory, ElementType::kFloat, {plan_.batch, row + n}));
    product_transposed(call_.device, call_.in(0).data<float>(), call_.in(1).data<float>() + index_ * row * plan_.inputs, given.write<float>(), rows, row, plan_.inputs);
    if (const float* bias = biases()) add_rows(given.write<float>(), rows, bias);
    float* const h = state.write<float>() + index_ * plan_.batch * n;
    float* const c = cell.write<float>() + (cell.elements() > 0 ? index_ * plan_.batch * n : 0);
    const float* const weights = call_.in(2).data<float>() + index_ * row * n;
    for (std::int64_t t = 0; t < plan_.steps; ++t) {
      RETORT_CHECK(call_.job.check());
      const std::int64_t at = backwards_ ? plan_.steps - 1 - t : t;
      const float* const x = given.data<float>() + at * plan_.batch * row;
      if (step) {
        product_transposed(call_.device, h, weights, own.write<float>(), plan_.batch, row, n);
        if (const float* bias = biases()) add_rows(own.write<float>(), plan_.batch, bias + row);
        for (std::int64_t b = 0; b < plan_.batch; ++b) step(x + b * row, own.data<float>() + b * row, h + b * n, c + (cell.elements() > 0 ? b * n : 0), n, flag);
      } else {
        reset_first(x, weights, h, own.write<float>());
      }
      if (every) std::copy_n(h, plan_.batch * n, every + (at * plan_.directions + index_) * plan_.batch * n);
    }
    return {};
  }

 private:
  // [2 · row]: of the inputs, then of the state. Null: none.
  const float* biases() const noexcept { return call_.optional(3) ? call_.in(3).data<float>() + index_ * 2 * plan_.row() : nullptr; }
  void add_rows(float* values, std::int64_t rows, const float* bias) const {
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = 0; i < plan_.row(); ++i) values[r * plan_.row() + i] += bias[i];
  }
  // scratch: [batch, 2 · hidden] of update and reset, then [batch, hidden] of the state that is left, then [batch, hidden] fresh.
  void reset_first(const float* x, const float* weights, float* h, float* scratch) {
    const std::int64_t n = plan_.hidden, batch = plan_.batch, row = plan_.row();
    float *const gates = scratch, *const left = scratch + batch * 2 * n, *const fresh = left + batch * n;
    const float* const bias = biases() ? biases() + row : nullptr;
    product_transposed(call_.device, h, weights, gates, batch, 2 * n, n);
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t i = 0; i < 2 * n; ++i) {
        float& gate = gates[b * 2 * n + i];
        gate = sigmoid(x[b * row + i] + gate + (bias ? bias[i] : 0));
        if (i >= n) left[b * n + i - n] = gate * h[b * n + i - n];
      }
    product_transposed(call_.device, left, weights + 2 * n * n, fresh, batch, n, n);
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t i = 0; i < n; ++i) {
        const float update = gates[b * 2 * n + i];
        h[b * n + i] = (1 - update) * std::tanh(x[b * row + 2 * n + i] + fresh[b * n + i] + (bias ? bias[2 * n + i] : 0)) + update * h[b * n + i];
      }
  }

  const Call& call_;
  const Recurrence& plan_;
  std::int64_t index_;
  bool backwards_;
};

Result<Tensor> first_state(const Call& call, const Recurrence& plan, std::size_t input) {
  RETORT_TRY(Tensor state, Tensor::make(call.memory, ElementType::kFloat, {plan.directions, plan.batch, plan.hidden}));
  if (const Tensor* given = call.optional(input)) std::copy_n(given->data<float>(), given->elements(), state.write<float>());
  else std::fill_n(state.write<float>(), state.elements(), 0.0f);
  return state;
}

Result<void> run_recurrence(const Call& call, std::int64_t gates, StepFunction step, bool flag, bool has_cell) {
  RETORT_TRY(const Recurrence plan, plan_recurrence(call, gates));
  RETORT_TRY(Tensor state, first_state(call, plan, 5));
  RETORT_TRY(Tensor cell, has_cell ? first_state(call, plan, 6) : Result<Tensor>(Tensor()));
  if (call.wants(0)) RETORT_CHECK(call.make(0, ElementType::kFloat, {plan.steps, plan.directions, plan.batch, plan.hidden}));
  if (state.elements() > 0)
    for (std::int64_t d = 0; d < plan.directions; ++d) RETORT_CHECK(Direction(call, plan, d).run(step, flag, state, cell, call.wants(0) ? call.out<float>(0) : nullptr));
  if (call.wants(1)) call.outputs[1] = state;
  if (has_cell && call.wants(2)) call.outputs[2] = cell;
  return {};
}

}  // namespace

Result<void> run_lstm(const Call& call) { return run_recurrence(call, 4, &lstm_step, false, true); }
Result<void> run_gru(const Call& call) { return run_recurrence(call, 3, call.attributes.whole("linear_before_reset", 0) != 0 ? &gru_step : nullptr, false, false); }
Result<void> run_rnn(const Call& call) {
  const Attribute* functions = call.node.find("activations");
  return run_recurrence(call, 1, &rnn_step, functions && !functions->texts.empty() && functions->texts.front() == "Relu", false);
}

}  // namespace retort::onnx
