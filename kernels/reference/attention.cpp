#include <algorithm>
#include <cmath>

#include "kernels/api/half.h"
#include "kernels/reference/reference.h"

namespace retort::kernels::reference {
namespace {

// Element d of the key/value head that `position` holds.
double cached(const AttentionArgs& args, const void* cache, std::int64_t position, std::int64_t kv_head,
              std::int64_t d) {
  const std::int64_t at = (position * args.kv_heads + kv_head) * args.head_dim + d;
  if (args.cache_f16) return static_cast<double>(f16_to_f32(static_cast<const std::uint16_t*>(cache)[at]));
  return static_cast<double>(static_cast<const float*>(cache)[at]);
}

// The score of a key `distance` positions after the query, capped and biased.
double adjusted(const AttentionArgs& args, double score, std::int64_t head, std::int64_t distance) {
  if (args.soft_cap > 0) {
    const double cap = static_cast<double>(args.soft_cap);
    score = cap * std::tanh(score / cap);
  }
  if (args.bias != nullptr)
    score += static_cast<double>(args.bias[head * args.bias_stride + args.bias_zero + distance]);
  return score;
}

}  // namespace

void attention(const AttentionArgs& args, std::int64_t head, std::int64_t first, std::int64_t count, float* scratch) {
  const std::int64_t kv_head = head / args.group;
  for (std::int64_t t = first; t < first + count; ++t) {
    const float* const query = args.query + t * args.q_stride + head * args.head_dim;
    const std::int64_t end = args.past + (args.bidirectional ? args.tokens : t + 1);
    const std::int64_t begin = args.window > 0 ? std::max<std::int64_t>(0, end - args.window) : 0;
    double most = -INFINITY;
    for (std::int64_t p = begin; p < end; ++p) {
      double dot = 0;
      for (std::int64_t d = 0; d < args.head_dim; ++d)
        dot += static_cast<double>(query[d]) * cached(args, args.keys, p, kv_head, d);
      scratch[p] = static_cast<float>(adjusted(args, dot * static_cast<double>(args.scale), head, p - args.past - t));
      most = std::max(most, static_cast<double>(scratch[p]));
    }
    double total = 0;
    for (std::int64_t p = begin; p < end; ++p) total += std::exp(static_cast<double>(scratch[p]) - most);
    float* const out = args.out + t * args.out_stride + head * args.head_dim;
    for (std::int64_t d = 0; d < args.head_dim; ++d) {
      double sum = 0;
      for (std::int64_t p = begin; p < end; ++p)
        sum += std::exp(static_cast<double>(scratch[p]) - most) * cached(args, args.values, p, kv_head, d);
      out[d] = static_cast<float>(sum / total);
    }
  }
}

}  // namespace retort::kernels::reference
