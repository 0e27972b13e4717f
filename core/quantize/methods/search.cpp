#include "core/quantize/methods/search.h"

#include <cstddef>

namespace retort {
namespace {

// Blocks whose largest magnitude is below this count as zero.
constexpr float kNothing = 1e-15f;

RETORT_INLINE void store(float* out, Lanes v) {
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = v[lane];
}

// The value of largest magnitude, the first of equals, with its sign.
RETORT_INLINE Lanes extreme(const Lanes* x, int n) {
  Lanes magnitude = all_lanes(0), value = all_lanes(0);
  for (int i = 0; i < n; ++i) {
    const Lanes a = select(x[i] < 0.0f, -x[i], x[i]);
    const LaneBits larger = a > magnitude;
    magnitude = select(larger, a, magnitude);
    value = select(larger, x[i], value);
  }
  return select(magnitude < kNothing, all_lanes(0), value);
}

struct SymmetricSums {
  Lanes xl, ll;   // Σ w·x·l, Σ w·l²
};

template <int n>
RETORT_INLINE SymmetricSums sum_codes(const Lanes* x, const Lanes* w, const Lanes* wx, Lanes inverse, float range) {
  SymmetricSums sums{all_lanes(0), all_lanes(0)};
  const Lanes low = all_lanes(-range), high = all_lanes(range - 1);
  for (int i = 0; i < n; ++i) {
    const Lanes l = clamped(nearest(inverse * x[i]), low, high);
    sums.xl += wx[i] * l;
    sums.ll += w[i] * l * l;
  }
  return sums;
}

// For codes l the best scale is Σwxl / Σwl², and it lowers the squared error by (Σwxl)² / Σwl²: the score to maximise.
template <int n>
RETORT_INLINE void symmetric_body(const LaneBlocks& blocks, int range, SymmetricFit& fit) {
  const Lanes* x = blocks.x;
  const Lanes* w = blocks.w;
  Lanes wx[n];
  for (int i = 0; i < n; ++i) wx[i] = w[i] * x[i];

  const Lanes peak = extreme(x, n);
  const LaneBits empty = peak == 0.0f;
  const Lanes divisor = select(empty, all_lanes(1), peak);
  const float top = static_cast<float>(range);

  Lanes inverse = all_lanes(-top) / divisor;
  SymmetricSums sums = sum_codes<n>(x, w, wx, inverse, top);
  Lanes scale = select(sums.ll != 0.0f, sums.xl / select(sums.ll != 0.0f, sums.ll, all_lanes(1)), all_lanes(0));
  Lanes best = scale * sums.xl;
  for (int k = -9; k <= 9; ++k) {
    if (k == 0) continue;
    const Lanes candidate = all_lanes(-(top + 0.1f * static_cast<float>(k))) / divisor;
    sums = sum_codes<n>(x, w, wx, candidate, top);
    const LaneBits better = (sums.ll > 0.0f) & (sums.xl * sums.xl > best * sums.ll);
    const Lanes improved = sums.xl / select(better, sums.ll, all_lanes(1));
    scale = select(better, improved, scale);
    best = select(better, improved * sums.xl, best);
    inverse = select(better, candidate, inverse);
  }
  store(fit.scale, select(empty, all_lanes(0), scale));
  store(fit.inverse, select(empty, all_lanes(0), inverse));
}

template <int n, bool absolute>
RETORT_INLINE Lanes weighed_error(const Lanes* x, const Lanes* w, const Lanes* codes, Lanes scale, Lanes offset) {
  Lanes error = all_lanes(0);
  for (int i = 0; i < n; ++i) {
    const Lanes difference = scale * codes[i] + offset - x[i];
    if constexpr (absolute) {
      error += w[i] * select(difference < 0.0f, -difference, difference);
    } else {
      error += w[i] * (difference * difference);
    }
  }
  return error;
}

struct AffineSums {
  Lanes l, ll, xl;   // Σ w·l, Σ w·l², Σ w·l·x
};

template <int n>
RETORT_INLINE AffineSums affine_codes(const Lanes* x, const Lanes* w, Lanes inverse, Lanes base, float range,
                                      Lanes* codes) {
  AffineSums sums{all_lanes(0), all_lanes(0), all_lanes(0)};
  for (int i = 0; i < n; ++i) {
    const Lanes l = clamped(nearest(inverse * (x[i] - base)), all_lanes(0), all_lanes(range));
    codes[i] = l;
    const Lanes wl = w[i] * l;
    sums.l += wl;
    sums.ll += wl * l;
    sums.xl += wl * x[i];
  }
  return sums;
}

// Each candidate rounds the values, then solves the two-by-two least squares for scale and offset, the offset kept
// from being positive, and is taken when its error is the least yet. Later candidates start from the offset found.
template <int n, bool absolute>
RETORT_INLINE void affine_body(const LaneBlocks& blocks, const AffineSearch& search, AffineFit& fit) {
  const Lanes* x = blocks.x;
  const Lanes* w = blocks.w;
  const Lanes zero = all_lanes(0), one = all_lanes(1);
  Lanes low = x[0], high = x[0], sum_w = w[0], sum_x = w[0] * x[0];
  for (int i = 1; i < n; ++i) {
    low = select(x[i] < low, x[i], low);
    high = select(x[i] > high, x[i], high);
    sum_w += w[i];
    sum_x += w[i] * x[i];
  }
  low = select(low > 0.0f, zero, low);
  const LaneBits constant = high <= low;
  const float range = static_cast<float>(search.range);

  Lanes codes[n];
  Lanes inverse = all_lanes(range) / select(constant, one, high - low);
  Lanes base = low, offset = low, scale = one / inverse;
  affine_codes<n>(x, w, inverse, base, range, codes);
  Lanes least = weighed_error<n, absolute>(x, w, codes, scale, offset);
  for (int k = 0; k <= search.steps; ++k) {
    const Lanes candidate =
        all_lanes(search.first + search.step * static_cast<float>(k) + range) / select(constant, one, high - offset);
    const AffineSums sums = affine_codes<n>(x, w, candidate, offset, range, codes);
    const Lanes determinant = sum_w * sums.ll - sums.l * sums.l;
    const LaneBits solvable = determinant > 0.0f;
    const Lanes divisor = select(solvable, determinant, one);
    Lanes new_scale = (sum_w * sums.xl - sum_x * sums.l) / divisor;
    Lanes new_offset = (sums.ll * sum_x - sums.l * sums.xl) / divisor;
    const LaneBits positive = new_offset > 0.0f;
    new_scale = select(positive, sums.xl / select(sums.ll != 0.0f, sums.ll, one), new_scale);
    new_offset = select(positive, zero, new_offset);
    const Lanes error = weighed_error<n, absolute>(x, w, codes, new_scale, new_offset);
    const LaneBits better = solvable & (error < least);
    base = select(better, offset, base);
    inverse = select(better, candidate, inverse);
    least = select(better, error, least);
    scale = select(better, new_scale, scale);
    offset = select(better, new_offset, offset);
  }
  store(fit.scale, select(constant, zero, scale));
  store(fit.minimum, -select(constant, low, offset));
  store(fit.inverse, select(constant, zero, inverse));
  store(fit.base, base);
}

// The rounding of ggml's descent: exact within ±2^22, wraps beyond. Steps that far out only ever lose, but must be
// judged alike for the bytes to agree.
RETORT_INLINE Lanes wrapped_nearest(Lanes v) {
  const Lanes shifted = v + kRoundingShift;
  const LaneBits bits = reinterpret_cast<LaneBits>(shifted);
  return __builtin_convertvector((bits & 0x007fffff) - 0x00400000, Lanes);
}

RETORT_INLINE void descent_body(const LaneBlocks& blocks, int range, SymmetricFit& fit, Lanes* codes) {
  constexpr int n = 16;
  const Lanes* x = blocks.x;
  const Lanes peak = extreme(x, n);
  const LaneBits empty = peak == 0.0f;
  const Lanes one = all_lanes(1);
  const float top = static_cast<float>(range);
  const Lanes low = all_lanes(-top), high = all_lanes(top - 1);
  const Lanes inverse = low / select(empty, one, peak);

  Lanes w[n], xl = all_lanes(0), ll = all_lanes(0);
  for (int i = 0; i < n; ++i) {
    w[i] = x[i] * x[i];
    codes[i] = clamped(nearest(inverse * x[i]), low, high);
    xl += w[i] * x[i] * codes[i];
    ll += w[i] * codes[i] * codes[i];
  }
  for (int round = 0; round < 5; ++round) {
    LaneBits changed{};
    for (int i = 0; i < n; ++i) {
      const Lanes wx = w[i] * x[i];
      const Lanes rest_xl = xl - wx * codes[i], rest_ll = ll - w[i] * codes[i] * codes[i];
      const LaneBits usable = rest_xl > 0.0f;
      const Lanes code = clamped(wrapped_nearest(x[i] * rest_ll / select(usable, rest_xl, one)), low, high);
      const Lanes new_xl = rest_xl + wx * code, new_ll = rest_ll + w[i] * code * code;
      const LaneBits better =
          usable & (code != codes[i]) & (new_ll > 0.0f) & (new_xl * new_xl * ll > xl * xl * new_ll);
      codes[i] = select(better, code, codes[i]);
      xl = select(better, new_xl, xl);
      ll = select(better, new_ll, ll);
      changed |= better;
    }
    if (!any_lane(changed)) break;
  }
  for (int i = 0; i < n; ++i) codes[i] = select(empty, all_lanes(0), codes[i] + top);
  const Lanes scale = select(ll > 0.0f, xl / select(ll > 0.0f, ll, one), all_lanes(0));
  store(fit.scale, select(empty, all_lanes(0), scale));
  store(fit.inverse, select(empty, all_lanes(0), one));
}

RETORT_INLINE void symmetric_any(const LaneBlocks& blocks, int n, int range, SymmetricFit& fit) {
  if (n == 16) symmetric_body<16>(blocks, range, fit);
  else symmetric_body<32>(blocks, range, fit);
}

RETORT_INLINE void affine_any(const LaneBlocks& blocks, int n, const AffineSearch& search, AffineFit& fit) {
  if (search.absolute) affine_body<16, true>(blocks, search, fit);
  else if (n == 16) affine_body<16, false>(blocks, search, fit);
  else affine_body<32, false>(blocks, search, fit);
}

// The same code compiled for wider registers where the machine has them. No fused multiply-add: equal results.
#if defined(__x86_64__) && defined(__GNUC__)
#define RETORT_WIDE [[gnu::target("avx2")]]
bool wide() noexcept {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}
#else
#define RETORT_WIDE
bool wide() noexcept { return false; }
#endif

RETORT_WIDE void symmetric_wide(const LaneBlocks& blocks, int n, int range, SymmetricFit& fit) {
  symmetric_any(blocks, n, range, fit);
}
RETORT_WIDE void affine_wide(const LaneBlocks& blocks, int n, const AffineSearch& search, AffineFit& fit) {
  affine_any(blocks, n, search, fit);
}
RETORT_WIDE void descent_wide(const LaneBlocks& blocks, int range, SymmetricFit& fit, Lanes* codes) {
  descent_body(blocks, range, fit, codes);
}

}  // namespace

void search_symmetric(const LaneBlocks& blocks, int n, int range, SymmetricFit& fit) {
  if (wide()) return symmetric_wide(blocks, n, range, fit);
  symmetric_any(blocks, n, range, fit);
}

void search_affine(const LaneBlocks& blocks, int n, const AffineSearch& search, AffineFit& fit) {
  if (wide()) return affine_wide(blocks, n, search, fit);
  affine_any(blocks, n, search, fit);
}

void descend_symmetric(const LaneBlocks& blocks, int range, SymmetricFit& fit, Lanes codes[16]) {
  if (wide()) return descent_wide(blocks, range, fit, codes);
  descent_body(blocks, range, fit, codes);
}

}  // namespace retort
