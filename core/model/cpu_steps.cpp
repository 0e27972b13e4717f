// The steps of a plan, each for all rows of a frame.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/model/cpu_session.h"

namespace retort {
namespace {

void add_bias(const float* bias, float* y, std::int64_t rows, std::int64_t n, kernels::AddInto add) {
  for (std::int64_t r = 0; r < rows; ++r) add(bias, y + r * n, static_cast<std::size_t>(n));
}

}  // namespace

void CpuSession::execute(BoundStep& step, const Frame& frame) {
  const std::int64_t n = step.width;
  switch (step.kind) {
    case StepKind::kEmbedding: embed(step, frame); break;
    case StepKind::kLinears: linears(step, frame); break;
    case StepKind::kAttention: attend(step, frame); break;
    case StepKind::kNorm:
      for_rows(frame.rows, [&](std::int64_t r, std::int64_t count) {
        normalize(step.norm, step.a.at(frame) + r * n, step.out.at(frame) + r * n, count, n);
      });
      break;
    case StepKind::kAdd:
    case StepKind::kAddNorm: add(step, frame); break;
    case StepKind::kGate: gate(step, frame); break;
    case StepKind::kElement: element(step, frame); break;
    case StepKind::kExperts: experts(step, frame); break;
  }
}

// Parts of a row that share weights are rows themselves.
void CpuSession::normalize(const BoundNorm& norm, const float* x, float* y, std::int64_t rows, std::int64_t width) const {
  const kernels::Ops& ops = engine_->ops;
  const float epsilon = static_cast<float>(model_->config.norm_epsilon);
  const auto one = [&](const float* from, const float* weight, const float* bias, float* to, std::int64_t count, std::int64_t n) {
    const std::size_t c = static_cast<std::size_t>(count), size = static_cast<std::size_t>(n);
    if (norm.mean) ops.layer_norm(from, weight, bias, epsilon, to, c, size);
    else ops.rms_norm(from, weight, norm.offset, epsilon, to, c, size);
  };
  if (!norm.own_weights) {
    one(x, norm.weight, norm.bias, y, rows * norm.groups, width / norm.groups);
    return;
  }
  const std::int64_t part = width / norm.groups;
  for (std::int64_t at = 0; at < rows * width; at += part) {
    const std::int64_t column = at % width;
    one(x + at, norm.weight + column, norm.bias ? norm.bias + column : nullptr, y + at, 1, part);
  }
}

void CpuSession::add(const BoundStep& step, const Frame& frame) {
  const std::int64_t n = step.width;
  const float *const a = step.a.at(frame), *const b = step.b.at(frame);
  float *const sum = step.sum.at(frame), *const out = step.out.at(frame);
  for_rows(frame.rows, [&](std::int64_t r, std::int64_t count) {
    const std::size_t block = static_cast<std::size_t>(count * n);
    if (sum != a) std::memcpy(sum + r * n, a + r * n, block * sizeof(float));
    engine_->ops.add_into(b + r * n, sum + r * n, block);
    if (step.kind == StepKind::kAddNorm) normalize(step.norm, sum + r * n, out + r * n, count, n);
  });
}

void CpuSession::gate(const BoundStep& step, const Frame& frame) {
  const std::int64_t n = step.width;
  const float *const a = step.a.at(frame), *const b = step.b.at(frame);
  float* const out = step.out.at(frame);
  const kernels::Ops& ops = engine_->ops;
  for_rows(frame.rows, [&](std::int64_t r, std::int64_t count) {
    const std::size_t block = static_cast<std::size_t>(count * n);
    if (step.node->activation == kernels::Activation::kSilu) {
      ops.silu_gate(a + r * n, b + r * n, out + r * n, block);
      return;
    }
    ops.activate(step.node->activation, a + r * n, out + r * n, block);
    ops.multiply_into(b + r * n, out + r * n, block);
  });
}

void CpuSession::embed(const BoundStep& step, const Frame& frame) {
  const WeightHandle& weight = model_->weights[static_cast<std::size_t>(step.node->weight)];
  const std::size_t columns = static_cast<std::size_t>(weight.shape[1]);
  const std::size_t row_bytes = kernels::row_bytes(weight.type, columns);
  float* const out = step.out.at(frame);
  const auto row_of = [&](std::int64_t r) -> std::int64_t {
    switch (step.node->lookup) {
      case Lookup::kToken: return frame.tokens[r];
      case Lookup::kType: return frame.types ? frame.types[r] : 0;
      case Lookup::kPosition: return frame.positions ? frame.positions[r] : position_ + r + model_->config.position_offset;
    }
    return 0;
  };
  for_rows(frame.rows, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r) {
      const std::size_t row = static_cast<std::size_t>(row_of(r));
      float* const to = out + r * step.width;
      if (weight.coded) {
        weight.coded->decode(static_cast<std::int64_t>(row), 1, 0, weight.shape[1], to);
        continue;
      }
      kernels::decode(weight.type, weight.data.data() + row * row_bytes, to, columns);
      if (!weight.row_scales.empty()) engine_->ops.scale(weight.row_scales[row], to, columns);
    }
  });
}

void CpuSession::element(const BoundStep& step, const Frame& frame) {
  const Node& node = *step.node;
  const std::int64_t in = model_->graph.widths[static_cast<std::size_t>(node.inputs[0])];
  const float *const a = step.a.at(frame), *const b = step.b.at(frame);
  float* const out = step.out.at(frame);
  const std::int64_t columns = node.inputs.size() > 1 ? model_->graph.widths[static_cast<std::size_t>(node.inputs[1])] : 0;
  for_rows(frame.rows, [&](std::int64_t r, std::int64_t count) {
    element_rows(step, a + r * in, b ? b + r * columns : nullptr, out + r * step.width, count);
  });
}

void CpuSession::element_rows(const BoundStep& step, const float* a, const float* b, float* out, std::int64_t rows) const {
  const Node& node = *step.node;
  const kernels::Ops& ops = engine_->ops;
  const std::int64_t in = model_->graph.widths[static_cast<std::size_t>(node.inputs[0])], n = step.width;
  const std::size_t row = static_cast<std::size_t>(n), block = static_cast<std::size_t>(rows) * row;
  if (node.op == Op::kActivation) {
    ops.activate(node.activation, a, out, block);
    return;
  }
  if (node.op == Op::kSlice) {
    for (std::int64_t r = 0; r < rows; ++r, a += in)
      for (std::int64_t p = 0; p < in; p += node.period, out += node.count)
        std::memcpy(out, a + p + node.first, static_cast<std::size_t>(node.count) * sizeof(float));
    return;
  }
  if (out != a) std::memcpy(out, a, block * sizeof(float));
  if (node.op == Op::kScale) ops.scale(node.scale, out, block);
  if (node.op == Op::kSoftCap) ops.soft_cap(node.scale, out, block);
  if (node.op == Op::kMultiply) {
    const bool one = model_->graph.widths[static_cast<std::size_t>(node.inputs[1])] == 1 && n > 1;
    if (!one) ops.multiply_into(b, out, block);
    for (std::int64_t r = 0; one && r < rows; ++r) ops.scale(b[r], out + r * n, row);
  }
  if (node.op == Op::kNormalize) {
    for (std::int64_t r = 0; r < rows; ++r) {
      double squares = 0;
      for (std::int64_t i = 0; i < n; ++i) squares += static_cast<double>(out[r * n + i]) * static_cast<double>(out[r * n + i]);
      ops.scale(static_cast<float>(1 / std::max(std::sqrt(squares), 1e-12)), out + r * n, row);
    }
  }
}

void CpuSession::linears(BoundStep& step, const Frame& frame) {
  const std::int64_t m = frame.rows;
  const float* const x = step.a.at(frame);
  if (tap_ && options_.plan == PlanKind::kTap)
    for (const Node* node : step.linears) tap_(*node, {x, static_cast<std::size_t>(m * step.width)}, m);
  for (std::size_t i = 0; i < step.calls.size(); ++i) step.calls[i].y = step.results[i].at(frame);
  kernels::run_linears(step.calls, x, m, step.width, scratch_.as<void>(), engine_->pool);
  for (std::size_t i = 0; i < step.calls.size(); ++i) {
    if (!step.biases[i]) continue;
    const kernels::LinearCall& call = step.calls[i];
    for_rows(m, [&](std::int64_t r, std::int64_t count) {
      add_bias(step.biases[i], call.y + r * call.y_stride, count, call.y_stride, engine_->ops.add_into);
    });
  }
}

// Each token's experts are chosen first; then each expert runs once over the tokens that chose it, in order of the
// experts, so that a token's sum doesn't depend on the others.
void CpuSession::experts(BoundStep& step, const Frame& frame) {
  const Node& node = *step.node;
  const std::int64_t count = static_cast<std::int64_t>(node.experts.size()) / 3, used = node.experts_used;
  const float* const router = step.b.at(frame);
  float* const out = step.out.at(frame);
  std::vector<std::vector<std::pair<std::int64_t, float>>> chosen(static_cast<std::size_t>(count));
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::vector<float> p(static_cast<std::size_t>(count));
  for (std::int64_t r = 0; r < frame.rows; ++r) {
    const float* const scores = router + r * count;
    const float greatest = *std::max_element(scores, scores + count);
    double total = 0, kept = 0;
    for (std::size_t e = 0; e < p.size(); ++e) total += static_cast<double>(p[e] = std::exp(scores[e] - greatest));
    for (std::size_t e = 0; e < p.size(); ++e) order[e] = static_cast<std::int64_t>(e);
    std::partial_sort(order.begin(), order.begin() + used, order.end(), [&](std::int64_t a, std::int64_t b) {
      const float pa = p[static_cast<std::size_t>(a)], pb = p[static_cast<std::size_t>(b)];
      return pa > pb || (pa == pb && a < b);
    });
    for (std::int64_t i = 0; i < used; ++i) kept += static_cast<double>(p[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])]);
    for (std::int64_t i = 0; i < used; ++i) {
      const std::size_t e = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
      chosen[e].emplace_back(r, static_cast<float>(static_cast<double>(p[e]) / (node.normalize_experts ? kept : total)));
    }
  }
  std::memset(out, 0, static_cast<std::size_t>(frame.rows * step.width) * sizeof(float));
  for (std::size_t e = 0; e < chosen.size(); ++e)
    if (!chosen[e].empty()) run_expert(step, frame, e, chosen[e]);
}

// gathered [rows, inputs], gate and up [rows, width], result [rows, outputs] lie in expert_rows_.
void CpuSession::run_expert(BoundStep& step, const Frame& frame, std::size_t expert,
                            std::span<const std::pair<std::int64_t, float>> rows) {
  kernels::LinearCall* const calls = step.calls.data() + 3 * expert;
  const Node* const* const nodes = step.linears.data() + 3 * expert;
  const std::int64_t m = static_cast<std::int64_t>(rows.size());
  const std::int64_t inputs = calls[0].linear->columns(), width = calls[0].linear->rows(), outputs = calls[2].linear->rows();
  float* const gathered = expert_rows_.as<float>();
  float* const gate = gathered + m * inputs;
  float* const up = gate + m * width;
  float* const result = up + m * width;
  const float* const x = step.a.at(frame);
  for (std::int64_t r = 0; r < m; ++r)
    std::memcpy(gathered + r * inputs, x + rows[static_cast<std::size_t>(r)].first * inputs, static_cast<std::size_t>(inputs) * sizeof(float));
  const bool tapped = tap_ && options_.plan == PlanKind::kTap;
  calls[0].y = gate;
  calls[1].y = up;
  calls[2].y = result;
  if (tapped)
    for (int i = 0; i < 2; ++i) tap_(*nodes[i], {gathered, static_cast<std::size_t>(m * inputs)}, m);
  kernels::run_linears({calls, 2}, gathered, m, inputs, scratch_.as<void>(), engine_->pool);
  const std::size_t values = static_cast<std::size_t>(m * width);
  engine_->ops.activate(step.node->activation, gate, gate, values);
  engine_->ops.multiply_into(up, gate, values);
  if (tapped) tap_(*nodes[2], {gate, values}, m);
  kernels::run_linears({calls + 2, 1}, gate, m, width, scratch_.as<void>(), engine_->pool);
  for (std::int64_t r = 0; r < m; ++r) {
    const auto& [token, weight] = rows[static_cast<std::size_t>(r)];
    float* const row = result + r * outputs;
    engine_->ops.scale(weight, row, static_cast<std::size_t>(outputs));
    engine_->ops.add_into(row, step.out.at(frame) + token * outputs, static_cast<std::size_t>(outputs));
  }
}

}  // namespace retort
