// Rotation, the cache and attention.
#pragma once

#include "cuda_cases.h"

namespace retort::cuda::test {

struct AttentionCase {
  std::int32_t heads, kv_heads, head_dim, past, rows, context;
  std::int32_t window = 0;
  float soft_cap = 0;
  bool cache_f16 = true, interleaved = false, split = false;
  std::int32_t half = -1;   // pairs that turn; -1: all of a head
};

// Rotation, the cache and causal attention, against the reference's on the same numbers.
inline std::string attention_case(Stream& stream, const AttentionCase& c) {
  const auto u = [](std::int64_t v) { return static_cast<std::size_t>(v); };
  const std::size_t q_width = u(c.heads * c.head_dim), k_width = u(c.kv_heads * c.head_dim);
  const std::size_t half = c.half >= 0 ? u(c.half) : u(c.head_dim / 2);
  const std::size_t cache = u(c.context) * k_width, bytes = c.cache_f16 ? 2 : 4;
  std::vector<float> q = kernels::test::random_floats(u(c.rows) * q_width, 1), k = kernels::test::random_floats(u(c.rows) * k_width, 2);
  const std::vector<float> v = kernels::test::random_floats(u(c.rows) * k_width, 3);
  std::vector<float> old_keys = kernels::test::random_floats(cache, 4), old_values = kernels::test::random_floats(cache, 5);
  std::vector<unsigned char> keys(cache * bytes), values(cache * bytes);
  const auto keep = [&](std::vector<unsigned char>& to, std::size_t at, float x) {
    const std::uint16_t h = kernels::f32_to_f16(x);
    if (c.cache_f16) std::memcpy(to.data() + 2 * at, &h, 2);
    else std::memcpy(to.data() + 4 * at, &x, 4);
  };
  for (std::size_t i = 0; i < cache; ++i) keep(keys, i, old_keys[i]), keep(values, i, old_values[i]);
  std::vector<float> table(half + 1);
  for (std::size_t i = 0; i < half; ++i) table[i] = std::pow(10000.0f, -static_cast<float>(i) / static_cast<float>(half));
  table[half] = 1.25f;

  const OnDevice<float> dq(stream, q), dk(stream, k), dv(stream, v), dtable(stream, table), out(stream, std::vector<float>(u(c.rows) * q_width, NAN));
  const OnDevice<float> partial(stream, std::vector<float>(u(c.rows) * u(c.heads) * u(attention_splits(c.context).splits) * u(c.head_dim + 2), NAN));
  const OnDevice<unsigned char> dkeys(stream, keys), dvalues(stream, values);
  const OnDevice<std::int32_t> start(stream, {c.past});
  const RotaryTable rotary = half == 0 ? RotaryTable{} : RotaryTable{dtable.data(), dtable.data() + half, static_cast<std::int32_t>(half), c.interleaved};
  launch_rotate(stream, {dq.data(), dk.data(), dv.data(), dkeys.data(), dvalues.data(), start.data(), nullptr, rotary, rotary, c.heads, c.kv_heads, c.head_dim, c.cache_f16}, c.rows);
  AttendArgs a{};
  a.q = dq.data();
  a.keys = dkeys.data();
  a.values = dvalues.data();
  a.out = out.data();
  a.partial = c.split ? partial.data() : nullptr;
  a.start = start.data();
  a.heads = c.heads;
  a.kv_heads = c.kv_heads;
  a.head_dim = c.head_dim;
  a.window = c.window;
  a.scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  a.soft_cap = c.soft_cap;
  launch_attend(stream, a, c.cache_f16, c.rows, c.context);

  for (std::size_t r = 0; r < u(c.rows) && half > 0; ++r) {
    std::vector<float> cosines(half), sines(half);
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(static_cast<float>(u(c.past) + r) * table[i]);
      cosines[i] = static_cast<float>(std::cos(angle)) * 1.25f;
      sines[i] = static_cast<float>(std::sin(angle)) * 1.25f;
    }
    kernels::reference::rope(q.data() + r * q_width, cosines.data(), sines.data(), u(c.heads), u(c.head_dim), 2 * half, c.interleaved);
    kernels::reference::rope(k.data() + r * k_width, cosines.data(), sines.data(), u(c.kv_heads), u(c.head_dim), 2 * half, c.interleaved);
  }
  if (!(greatest_error(dq.values(), in_f64(q)) < 1e-6) || !(greatest_error(dk.values(), in_f64(k)) < 1e-6)) return "rotation";
  // The cache as the device has it: rounding a key that differs in its last bit may go either way.
  const std::vector<unsigned char> got_keys = dkeys.values(), got_values = dvalues.values();
  for (std::size_t i = 0; i < u(c.rows) * k_width; ++i) {
    keep(keys, u(c.past) * k_width + i, k[i]);
    keep(values, u(c.past) * k_width + i, v[i]);
  }
  if (got_values != values) return "cached values";
  const auto cached = [&](const std::vector<unsigned char>& from, std::size_t i) {
    std::uint16_t h;
    float f;
    if (c.cache_f16) return std::memcpy(&h, from.data() + 2 * i, 2), static_cast<double>(kernels::f16_to_f32(h));
    return std::memcpy(&f, from.data() + 4 * i, 4), static_cast<double>(f);
  };
  for (std::size_t i = 0; i < cache; ++i)
    if (!(std::fabs(cached(got_keys, i) - cached(keys, i)) <= (c.cache_f16 ? 1e-3 : 2e-6) * (1 + std::fabs(cached(keys, i))))) return "cached keys";

  std::vector<float> want(u(c.rows) * q_width), scratch(u(c.context) + 1);
  // The matrix units get queries times the scale in f16.
  const bool tiles = attends_by_tiles(a, c.cache_f16, c.rows);
  if (tiles) q = dq.values();
  for (std::size_t i = 0; i < q.size() && tiles; ++i) q[i] = kernels::f16_to_f32(kernels::f32_to_f16(q[i] * a.scale));
  kernels::AttentionArgs reference{};
  reference.query = q.data();
  reference.q_stride = reference.out_stride = static_cast<std::int64_t>(q_width);
  reference.keys = got_keys.data();
  reference.values = got_values.data();
  reference.cache_f16 = c.cache_f16;
  reference.out = want.data();
  reference.tokens = c.rows;
  reference.past = c.past;
  reference.kv_heads = c.kv_heads;
  reference.head_dim = c.head_dim;
  reference.group = c.heads / c.kv_heads;
  reference.window = c.window;
  reference.scale = tiles ? 1 : a.scale;
  reference.soft_cap = c.soft_cap;
  for (std::int64_t h = 0; h < c.heads; ++h) kernels::reference::attention(reference, h, 0, c.rows, scratch.data());
  // Exponentials are rounded to 11 bits; what is below f16's smallest number is off by 2^-25.
  double largest = 0, value = 0;
  for (const float x : want) largest = std::max(largest, std::fabs(static_cast<double>(x)));
  for (std::size_t i = 0; i < cache; ++i) value = std::max(value, std::fabs(cached(got_values, i)));
  const double allowed = 3e-6 + (tiles ? (0x1p-11 + 0x1p-25 * c.context) * value / largest : 0);
  const double error = greatest_error(out.values(), in_f64(want));
  return error < allowed ? "" : "attention: greatest error " + std::to_string(error) + " of the largest";
}

// Sequences of an encoder, one after the other, with and without a relative position bias.
inline std::string encoder_attention_case(Stream& stream, bool biased, std::int32_t head_dim, const std::vector<std::int32_t>& lengths) {
  constexpr std::size_t kHeads = 3;
  const std::size_t n = static_cast<std::size_t>(head_dim), width = kHeads * n;
  std::vector<std::int32_t> begins, ends;
  for (const std::int32_t length : lengths) {
    const std::int32_t begin = ends.empty() ? 0 : ends.back();
    begins.insert(begins.end(), static_cast<std::size_t>(length), begin);
    ends.insert(ends.end(), static_cast<std::size_t>(length), begin + length);
  }
  const std::size_t rows = begins.size();
  std::vector<float> q = kernels::test::random_floats(rows * width, 1), k = kernels::test::random_floats(rows * width, 2),
                     v = kernels::test::random_floats(rows * width, 3);
  const std::int64_t zero = static_cast<std::int64_t>(rows) - 1, stride = 2 * zero + 1;
  const std::vector<float> bias = kernels::test::random_floats(kHeads * static_cast<std::size_t>(stride), 4);
  const OnDevice<float> dq(stream, q), dk(stream, k), dv(stream, v), dbias(stream, bias), out(stream, std::vector<float>(rows * width, NAN));
  const OnDevice<std::int32_t> dbegins(stream, begins), dends(stream, ends), start(stream, {0});
  AttendArgs a{};
  a.q = dq.data();
  a.keys = dk.data();
  a.values = dv.data();
  a.out = out.data();
  a.start = start.data();
  a.begins = dbegins.data();
  a.ends = dends.data();
  a.bias = biased ? dbias.data() : nullptr;
  a.bias_stride = static_cast<std::int32_t>(stride);
  a.bias_zero = static_cast<std::int32_t>(zero);
  a.heads = a.kv_heads = kHeads;
  a.head_dim = head_dim;
  a.scale = 0.3f;
  launch_attend(stream, a, false, static_cast<std::int32_t>(rows), static_cast<std::int64_t>(rows));
  const bool tiles = attends_by_tiles(a, false, static_cast<std::int32_t>(rows));
  double value = 0;
  for (std::size_t i = 0; i < q.size() && tiles; ++i) {
    q[i] = kernels::f16_to_f32(kernels::f32_to_f16(q[i] * a.scale));
    k[i] = kernels::f16_to_f32(kernels::f32_to_f16(k[i]));
    v[i] = kernels::f16_to_f32(kernels::f32_to_f16(v[i]));
    value = std::max(value, std::fabs(static_cast<double>(v[i])));
  }
  std::vector<float> want(rows * width), scratch(rows);
  for (std::size_t s = 0, first = 0; s < lengths.size(); first += static_cast<std::size_t>(lengths[s++])) {
    kernels::AttentionArgs reference{};
    reference.query = q.data() + first * width;
    reference.keys = k.data() + first * width;
    reference.values = v.data() + first * width;
    reference.out = want.data() + first * width;
    reference.q_stride = reference.out_stride = static_cast<std::int64_t>(width);
    reference.tokens = lengths[s];
    reference.kv_heads = kHeads;
    reference.head_dim = head_dim;
    reference.group = 1;
    reference.scale = tiles ? 1 : a.scale;
    reference.bidirectional = true;
    reference.bias = biased ? bias.data() : nullptr;
    reference.bias_stride = stride;
    reference.bias_zero = zero;
    for (std::int64_t h = 0; h < static_cast<std::int64_t>(kHeads); ++h) kernels::reference::attention(reference, h, 0, reference.tokens, scratch.data());
  }
  double largest = 0;
  for (const float x : want) largest = std::max(largest, std::fabs(static_cast<double>(x)));
  // As above.
  const double allowed = 3e-6 + (tiles ? (0x1p-11 + 0x1p-25 * static_cast<double>(rows)) * value / largest : 0);
  const double error = greatest_error(out.values(), in_f64(want));
  return error < allowed ? "" : "attention of an encoder: " + std::to_string(error);
}

}  // namespace retort::cuda::test
