// The kernels one by one: linears, feed-forwards, attention, what is done to rows, the choice of a token.
#pragma once

#include <cmath>

#include "cuda_bench.h"

namespace retort::cuda::bench {

inline double real(std::int64_t n) { return static_cast<double>(n); }

// Matrices of one shape and type, in turns.
class Ring {
 public:
  Ring(Bench& bench, Room& room, Type type, std::int32_t rows, std::int32_t columns)
      : type_(type), rows_(rows), columns_(columns), bytes_(matrix_bytes(type, rows, columns)) {
    const std::vector<std::uint16_t> bits = random_bits((bytes_.body + bytes_.scales) / 2);
    for (std::int32_t i = 0; i < bench.shape.ring && !bench.failed; ++i) weights_.push_back(room.copied(bits));
  }
  Matrix at(int i) const {
    const std::uint16_t* const w = weights_[static_cast<std::size_t>(i) % weights_.size()];
    return {reinterpret_cast<const unsigned char*>(w), w + bytes_.body / 2, rows_, columns_, static_cast<std::int32_t>(divide_up(columns_, layout_of(type_).block)), type_};
  }
  double bytes() const { return static_cast<double>(bytes_.body + bytes_.scales); }
  double operations(std::int64_t tokens) const { return 2.0 * rows_ * columns_ * real(tokens); }

 private:
  Type type_;
  std::int32_t rows_, columns_;
  MatrixBytes bytes_;
  std::vector<const std::uint16_t*> weights_;
};

// Activations of linears: their inputs and what rounds them.
struct Inputs {
  Inputs(Room& room, std::int32_t tokens, std::int32_t columns)   // room for two terms
      : x(room.numbers(std::int64_t{tokens} * columns)), rounded(room.zeros<std::uint16_t>(2 * std::int64_t{tokens} * round_up(columns, 256))),
        scales(room.zeros<float>(tokens)) {}
  LinearJob job(const Bench& b, Type type, std::int32_t tokens, std::int32_t columns) const {
    LinearJob job{};
    job.type = type;
    job.x = x;
    job.tokens = tokens;
    job.columns = columns;
    job.rounded = rounded;
    job.scales = scales;
    job.multiprocessors = b.info.multiprocessors;
    return job;
  }
  float* x;
  std::uint16_t* rounded;
  float* scales;
};

inline void linear_rows(Bench& b, const NamedType& type) {
  const std::int32_t rows = b.shape.inner, columns = b.shape.hidden;
  Room room(b);
  const Ring ring(b, room, type.type, rows, columns);
  const auto measure = [&](std::int32_t tokens, bool two_terms) {
    Room pass(b);
    const Inputs inputs(pass, tokens, columns);
    float* const y = pass.zeros<float>(std::int64_t{tokens} * rows);
    if (b.failed) return;
    Figure figure{fmt::format("linear {}, {} tokens{}", type.name, tokens, two_terms ? ", two terms" : ""), 0, 0, ring.operations(tokens), 0};
    if (tokens <= 16) figure.bytes = ring.bytes() + 4 * real(tokens) * real(rows + columns);
    b.measure(figure, [&](int i) {
      LinearJob job = inputs.job(b, type.type, tokens, columns);
      job.count = 1;
      job.two_terms = two_terms;
      job.targets[0] = {ring.at(i), nullptr, y};
      launch_linears(b.stream, job);
    });
  };
  for (const std::int32_t tokens : {1, 4, 16, b.shape.many}) measure(tokens, false);
  if (type.type != Type::kF32)
    for (const std::int32_t tokens : {16, b.shape.many}) measure(tokens, true);
}

// gate and up, their product through SiLU, down.
inline void feed_forward_rows(Bench& b, const NamedType& type) {
  const std::int32_t inner = b.shape.inner, hidden = b.shape.hidden;
  Room room(b);
  const Ring wide(b, room, type.type, inner, hidden), narrow(b, room, type.type, hidden, inner);
  for (const std::int32_t tokens : {1, b.shape.many}) {
    Room pass(b);
    const Inputs inputs(pass, tokens, hidden), between(pass, tokens, inner);
    float *const up = pass.zeros<float>(std::int64_t{tokens} * inner), *const out = pass.zeros<float>(std::int64_t{tokens} * hidden);
    if (b.failed) return;
    Figure figure{fmt::format("gated feed-forward {}, {} tokens", type.name, tokens), 0, 0, 3 * wide.operations(tokens), 0};
    if (tokens == 1) figure.bytes = 2 * wide.bytes() + narrow.bytes();
    b.measure(figure, [&](int i) {
      LinearJob job = inputs.job(b, type.type, tokens, hidden);
      job.count = 2;
      job.targets[0] = {wide.at(i), nullptr, between.x};
      job.targets[1] = {wide.at(i + 1), nullptr, up};
      launch_linears(b.stream, job);
      ElementArgs gate{};
      gate.op = ElementOp::kGate;
      gate.function = Function::kSilu;
      gate.a = gate.out = between.x;
      gate.b = up;
      gate.out = between.x;
      gate.count = std::int64_t{tokens} * inner;
      gate.width = inner;
      launch_element(b.stream, gate);
      LinearJob down = between.job(b, type.type, tokens, inner);
      down.count = 1;
      down.targets[0] = {narrow.at(i), nullptr, out};
      launch_linears(b.stream, down);
    });
  }
}

// One token over a long cache: its keys and values are read once. A prompt: every row sees those before it. Softmax is part of it.
inline void attention_rows(Bench& b) {
  const Shape& s = b.shape;
  struct Case { const char* name; std::int32_t rows, context, kv_heads; };
  for (const Case& c : {Case{"attention, one token, {} positions", 1, s.long_context, s.kv_heads}, Case{"attention, one token, {} positions, no shared heads", 1, s.long_context / 4, s.heads},
                        Case{"attention, a prompt of {}", s.many, s.many, s.kv_heads}}) {
    Room room(b);
    const std::int64_t width = std::int64_t{s.heads} * s.head_dim, kv_width = std::int64_t{c.kv_heads} * s.head_dim;
    AttendArgs a{};
    a.q = room.numbers(c.rows * width);
    a.out = room.zeros<float>(c.rows * width);
    a.partial = room.zeros<float>(std::min<std::int64_t>(c.rows, kFewTokens) * s.heads * attention_splits(c.context).splits * (s.head_dim + 2));
    a.start = room.copied(std::vector<std::int32_t>{c.context - c.rows});
    a.heads = s.heads;
    a.kv_heads = c.kv_heads;
    a.head_dim = s.head_dim;
    a.scale = 1 / std::sqrt(static_cast<float>(s.head_dim));
    // Caches take turns, as those of the layers do.
    std::vector<const std::uint16_t*> caches;
    for (std::int32_t i = 0; i < 2 * std::max(2, s.ring / 2); ++i) caches.push_back(room.zeros<std::uint16_t>(c.context * kv_width));
    if (b.failed) return;
    const double pairs = c.rows == 1 ? real(c.context) : real(c.rows) * real(c.rows + 1) / 2;
    Figure figure{fmt::format(fmt::runtime(c.name), c.context), 0, c.rows == 1 ? 2.0 * 2 * pairs * real(kv_width) : 0, c.rows == 1 ? 0 : 4 * pairs * real(width), 0};
    b.measure(figure, [&](int i) {
      a.keys = caches[static_cast<std::size_t>(2 * i) % caches.size()];
      a.values = caches[static_cast<std::size_t>(2 * i + 1) % caches.size()];
      launch_attend(b.stream, a, true, c.rows, c.context);
    });
  }
}

// What is bound by memory alone: everything it reads and writes, once.
inline void row_rows(Bench& b) {
  const Shape& s = b.shape;
  for (const std::int32_t rows : {1, s.many}) {
    Room room(b);
    const std::int64_t numbers = std::int64_t{rows} * s.hidden, q_width = std::int64_t{s.heads} * s.head_dim, kv_width = std::int64_t{s.kv_heads} * s.head_dim;
    float *const x = room.numbers(numbers), *const y = room.numbers(numbers), *const out = room.zeros<float>(numbers), *const weight = room.numbers(s.hidden);
    const NormArgs norm{x, y, x, out, weight, nullptr, s.hidden, 1, 0, 0, 1e-5f, 0};
    float *const q = room.numbers(rows * q_width), *const k = room.numbers(rows * kv_width), *const v = room.numbers(rows * kv_width);
    RotateArgs rotate{};
    rotate.q = q;
    rotate.k = k;
    rotate.v = v;
    rotate.key_cache = room.zeros<std::uint16_t>(rows * kv_width);
    rotate.value_cache = room.zeros<std::uint16_t>(rows * kv_width);
    rotate.start = room.copied(std::vector<std::int32_t>{0});
    const float* const table = room.numbers(s.head_dim / 2 + 1);
    rotate.query = rotate.key = {table, table + s.head_dim / 2, s.head_dim / 2, 0};
    rotate.heads = s.heads;
    rotate.kv_heads = s.kv_heads;
    rotate.head_dim = s.head_dim;
    rotate.cache_f16 = 1;
    ElementArgs gate{};
    gate.op = ElementOp::kGate;
    gate.function = Function::kSilu;
    gate.count = std::int64_t{rows} * s.inner;
    gate.width = s.inner;
    float* const inner = room.numbers(gate.count);
    gate.a = gate.out = inner;
    gate.b = room.numbers(gate.count);
    gate.out = inner;
    Ring table_rows(b, room, Type::kF16, s.vocabulary, s.hidden);
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < rows; ++i) ids.push_back(static_cast<std::int32_t>(std::int64_t{i} * 7919 % s.vocabulary));
    const std::int32_t* const tokens = room.copied(ids);
    if (b.failed) return;
    const auto called = [&](const char* name) { return fmt::format("{}, {} rows", name, rows); };
    b.measure({called("lookup of F16 rows"), 0, 6 * real(numbers), 0, 0}, [&](int i) {
      launch_embed(b.stream, {table_rows.at(i), Table::kToken, {tokens, nullptr, nullptr, rotate.start}, 0, out}, rows);
    });
    b.measure({called("RMS norm of a sum"), 0, 16 * real(numbers), 0, 0}, [&](int) { launch_norm(b.stream, norm, rows); });
    b.measure({called("rotation, then the cache"), 0, real(rows) * (8 * real(q_width) + (8 + 4 + 4) * real(kv_width)), 0, 0},
              [&](int) { launch_rotate(b.stream, rotate, rows); });
    b.measure({called("SiLU gate"), 0, 12 * real(gate.count), 0, 0}, [&](int) { launch_element(b.stream, gate); });
  }
}

// The greatest of the logits, several of them, and one drawn: the logits are read at least once.
inline void choice_rows(Bench& b) {
  for (const std::int32_t n : {b.shape.vocabulary, b.shape.outputs}) {
    Room room(b);
    float* const x = room.numbers(n);
    std::int32_t* const ids = room.zeros<std::int32_t>(kLargestTop);
    float* const values = room.zeros<float>(kLargestTop);
    double *const sum = room.zeros<double>(1), *const shares = room.zeros<double>(n);
    auto* const state = reinterpret_cast<SampleState*>(room.zeros<unsigned char>(static_cast<std::int64_t>(kSampleState)));
    if (b.failed) return;
    for (const std::int32_t count : {1, 40})
      b.measure({fmt::format("the greatest {} of {}", count, n), 0, 4 * real(n), 0, 0}, [&](int) { launch_top(b.stream, {x, n, count, ids, values, sum}); });
    for (const Drawing how : {Drawing{0.8, 1, 0.7}, Drawing{0.8, 0.9, 0.7}}) {
      if (!ok(b.stream.copy_in(&state->how, &how, sizeof(how)))) b.failed = true;
      b.measure({fmt::format("drawn from {}, top-p {}", n, how.top_p), 0, 4 * real(n), 0, 0}, [&](int) { launch_sample(b.stream, {x, n, 0, state, shares}); });
    }
  }
}

inline void kernel_rows(Bench& b) {
  for (const NamedType& type : kNamedTypes) linear_rows(b, type);
  for (const NamedType& type : kNamedTypes)
    if (type.type == Type::kF16 || type.type == Type::kQ4_0 || type.type == Type::kQ4_K) feed_forward_rows(b, type);
  attention_rows(b);
  row_rows(b);
  choice_rows(b);
}

}  // namespace retort::cuda::bench
