// Attention. Many tokens: scores and values go through the f32 matrix kernel, 48 tokens at a time, keys turned
// into panels of 16 positions. Few tokens: one dot product per position. Softmax in two passes over stored scores.
#include "kernels/avx2/attention.h"

#include "kernels/avx2/avx2.h"
#include "kernels/avx2/dense_panels.h"
#include "kernels/avx2/exp.h"
#include "kernels/avx2/gemm.h"

namespace retort::kernels::avx2 {
namespace {

RETORT_INLINE std::int64_t round_up16(std::int64_t n) { return (n + 15) / 16 * 16; }
RETORT_INLINE std::int64_t lower(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Where one token looks: cache positions [begin, end).
struct Span {
  std::int64_t begin, end;
};
RETORT_INLINE Span span_of(const AttentionArgs& args, std::int64_t token) {
  const std::int64_t end = args.past + (args.bidirectional ? args.tokens : token + 1);
  return {args.window > 0 && end > args.window ? end - args.window : 0, end};
}

// The cache as rows of one key/value head.
template <class Row>
struct Cache {
  const std::uint8_t* base;
  std::int64_t row_bytes;
  Cache(const void* cache, const AttentionArgs& args, std::int64_t kv_head)
      : base(static_cast<const std::uint8_t*>(cache) + kv_head * args.head_dim * Row::kBytes),
        row_bytes(args.kv_heads * args.head_dim * Row::kBytes) {}
  const std::uint8_t* row(std::int64_t position) const { return base + position * row_bytes; }
};

// Cap and bias: scores of positions [span.begin, span.end) become what the softmax takes; false when neither is wanted.
RETORT_INLINE bool adjust(const AttentionArgs& args, std::int64_t head, std::int64_t token, Span span, float* scores) {
  if (args.soft_cap <= 0 && args.bias == nullptr) return false;
  const std::int64_t n = span.end - span.begin;
  const float* const bias = args.bias == nullptr ? nullptr
                                                 : args.bias + head * args.bias_stride + args.bias_zero + span.begin - args.past - token;
  const __m256 cap = _mm256_set1_ps(args.soft_cap), factor = _mm256_set1_ps(args.scale);
  for (std::int64_t i = 0; i < n; i += 8) {
    const int count = static_cast<int>(lower(8, n - i));
    __m256 s = _mm256_mul_ps(load_first(scores + i, count), factor);
    if (args.soft_cap > 0) s = _mm256_mul_ps(cap, tanh8(_mm256_div_ps(s, cap)));
    if (bias != nullptr) s = _mm256_add_ps(s, load_first(bias + i, count));
    store_first(scores + i, count, s);
  }
  return true;
}

// scores[0 … size) → e^(scale · (score - max)) in [from, to), zeros elsewhere; returns the sum.
RETORT_INLINE float softmax(float* scores, std::int64_t from, std::int64_t to, std::int64_t size, float scale) {
  __m256 most = _mm256_set1_ps(-__builtin_inff());
  std::int64_t i = from;
  for (; i + 8 <= to; i += 8) most = _mm256_max_ps(most, _mm256_loadu_ps(scores + i));
  float top = max_lanes(most);
  for (; i < to; ++i) top = scores[i] > top ? scores[i] : top;
  const __m256 shift = _mm256_set1_ps(top), factor = _mm256_set1_ps(scale);
  __m256 total = _mm256_setzero_ps();
  for (i = from; i < to; i += 8) {
    const int count = static_cast<int>(lower(8, to - i));
    const __m256 e = exp8(_mm256_mul_ps(factor, _mm256_sub_ps(load_first(scores + i, count), shift)));
    total = _mm256_add_ps(total, _mm256_and_ps(e, _mm256_castsi256_ps(first_lanes(count))));
    store_first(scores + i, count, e);
  }
  for (i = 0; i < from; ++i) scores[i] = 0;
  for (i = to; i < size; ++i) scores[i] = 0;
  return sum_lanes(total);
}

template <class Row>
inline void one_token(const AttentionArgs& args, std::int64_t head, std::int64_t token, float* scores) {
  const Cache<Row> keys(args.keys, args, head / args.group), values(args.values, args, head / args.group);
  const Span span = span_of(args, token);
  const float* const query = args.query + token * args.q_stride + head * args.head_dim;
  const std::int64_t whole = args.head_dim / 8 * 8;
  const int tail = static_cast<int>(args.head_dim - whole);
  for (std::int64_t p = span.begin; p < span.end; ++p) {
    const std::uint8_t* const key = keys.row(p);
    __m256 dot = _mm256_setzero_ps(), other = _mm256_setzero_ps();
    std::int64_t d = 0;
    for (; d + 16 <= args.head_dim; d += 16) {
      dot = _mm256_fmadd_ps(_mm256_loadu_ps(query + d), Row::load(key + d * Row::kBytes), dot);
      other = _mm256_fmadd_ps(_mm256_loadu_ps(query + d + 8), Row::load(key + (d + 8) * Row::kBytes), other);
    }
    for (; d < whole; d += 8)
      dot = _mm256_fmadd_ps(_mm256_loadu_ps(query + d), Row::load(key + d * Row::kBytes), dot);
    if (tail > 0)
      dot = _mm256_fmadd_ps(load_first(query + whole, tail), load_tail<Row>(key + whole * Row::kBytes, tail), dot);
    scores[p - span.begin] = sum_lanes(_mm256_add_ps(dot, other));
  }
  const std::int64_t seen = span.end - span.begin;
  const float factor = adjust(args, head, token, span, scores) ? 1.0f : args.scale;
  const __m256 inverse = _mm256_set1_ps(1.0f / softmax(scores, 0, seen, seen, factor));
  float* const out = args.out + token * args.out_stride + head * args.head_dim;
  std::int64_t d = 0;
  for (; d + 32 <= args.head_dim; d += 32) {
    __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    for (std::int64_t p = 0; p < seen; ++p) {
      const std::uint8_t* const value = values.row(span.begin + p) + d * Row::kBytes;
      const __m256 weight = _mm256_broadcast_ss(scores + p);
      for (int i = 0; i < 4; ++i) sum[i] = _mm256_fmadd_ps(weight, Row::load(value + 8 * i * Row::kBytes), sum[i]);
    }
    for (int i = 0; i < 4; ++i) _mm256_storeu_ps(out + d + 8 * i, _mm256_mul_ps(sum[i], inverse));
  }
  for (; d < args.head_dim; d += 8) {
    const int count = static_cast<int>(lower(8, args.head_dim - d));
    __m256 sum = _mm256_setzero_ps();
    for (std::int64_t p = 0; p < seen; ++p) {
      const std::uint8_t* const value = values.row(span.begin + p) + d * Row::kBytes;
      const __m256 v = count == 8 ? Row::load(value) : load_tail<Row>(value, count);
      sum = _mm256_fmadd_ps(_mm256_broadcast_ss(scores + p), v, sum);
    }
    store_first(out + d, count, _mm256_mul_ps(sum, inverse));
  }
}

// `count` <= kAttentionTokens tokens from `first`. scratch: scores [count, width], then one panel of keys or values.
template <class Row>
inline void token_block(const AttentionArgs& args, std::int64_t head, std::int64_t first, std::int64_t count,
                        float* scratch) {
  const Cache<Row> keys(args.keys, args, head / args.group), values(args.values, args, head / args.group);
  const std::int64_t base = span_of(args, first).begin, end = span_of(args, first + count - 1).end;
  const std::int64_t width = round_up16(end - base), dim = args.head_dim;
  float* const scores = scratch;
  float* const panel = scratch + kAttentionTokens * round_up16(args.past + args.tokens);
  const float* const queries = args.query + first * args.q_stride + head * dim;
  for (std::int64_t p = base; p < end; p += 16) {
    const std::int64_t present = lower(16, end - p);
    half_panel<Row>(keys.row(p), keys.row_bytes, present, dim, panel);
    // Past the end the first row stands in; softmax overwrites what comes of it.
    half_panel<Row>(keys.row(present > 8 ? p + 8 : p), keys.row_bytes, present > 8 ? present - 8 : 1, dim, panel + 8);
    gemm16({queries, args.q_stride, panel, 16, dim, scores + (p - base), width, false}, count);
  }
  float inverse[kAttentionTokens];
  for (std::int64_t t = 0; t < count; ++t) {
    const Span span = span_of(args, first + t);
    float* const row = scores + t * width;
    const float factor = adjust(args, head, first + t, span, row + (span.begin - base)) ? 1.0f : args.scale;
    inverse[t] = 1.0f / softmax(row, span.begin - base, span.end - base, width, factor);
  }
  float* const out = args.out + first * args.out_stride + head * dim;
  const std::int64_t panel_width = round_up16(dim);
  for (std::int64_t p = base; p < end; p += kAttentionDepth) {
    const std::int64_t depth = lower(kAttentionDepth, end - p);
    for (std::int64_t k = 0; k < depth; ++k) {
      const std::uint8_t* const value = values.row(p + k);
      for (std::int64_t d = 0; d < panel_width; d += 8) {
        const __m256 v = d + 8 <= dim ? Row::load(value + d * Row::kBytes)
                         : d < dim    ? load_tail<Row>(value + d * Row::kBytes, dim - d)
                                      : _mm256_setzero_ps();
        _mm256_storeu_ps(panel + k * panel_width + d, v);
      }
    }
    for (std::int64_t d = 0; d < dim; d += 16) {
      const GemmArgs gemm{scores + (p - base), width, panel + d, panel_width, depth, out + d, args.out_stride, p > base};
      if (dim - d >= 16) gemm16(gemm, count);
      else gemm_narrow(gemm, count, static_cast<int>(dim - d));
    }
  }
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t d = 0; d < dim; ++d) out[t * args.out_stride + d] *= inverse[t];
}

template <class Row>
void run(const AttentionArgs& args, std::int64_t head, std::int64_t first, std::int64_t count, float* scratch) {
  if (count < 4) {
    for (std::int64_t t = first; t < first + count; ++t) one_token<Row>(args, head, t, scratch);
    return;
  }
  for (std::int64_t t = first; t < first + count; t += kAttentionTokens)
    token_block<Row>(args, head, t, lower(kAttentionTokens, first + count - t), scratch);
}

}  // namespace

void attention(const AttentionArgs& args, std::int64_t head, std::int64_t first, std::int64_t count, float* scratch) {
  if (args.cache_f16) run<RowF16>(args, head, first, count, scratch);
  else run<RowF32>(args, head, first, count, scratch);
}

}  // namespace retort::kernels::avx2
