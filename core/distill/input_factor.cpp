#include "core/distill/input_factor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/dispatch/ops.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {
namespace {

constexpr std::int64_t kLanes = 16;    // rows of weights that are rounded side by side
constexpr std::int64_t kPanel = 64;    // rows of the factor that are made at once

using Row = float[kLanes];

// y -= a · x, lane by lane.
inline void subtract(Row& y, float a, const Row& x) noexcept {
  for (std::int64_t i = 0; i < kLanes; ++i) y[i] -= a * x[i];
}

// The diagonal block [first, first + size) becomes its factor, in f64. False when it isn't positive.
bool factor_diagonal(float* upper, std::int64_t n, std::int64_t first, std::int64_t size) {
  std::vector<double> block(static_cast<std::size_t>(size * size));
  for (std::int64_t i = 0; i < size; ++i)
    for (std::int64_t j = i; j < size; ++j) block[static_cast<std::size_t>(i * size + j)] = static_cast<double>(upper[(first + i) * n + first + j]);
  for (std::int64_t i = 0; i < size; ++i) {
    double* const row = block.data() + i * size;
    if (!(row[i] > 0) || !std::isfinite(row[i])) return false;
    const double root = std::sqrt(row[i]);
    for (std::int64_t j = i; j < size; ++j) row[j] /= root;
    for (std::int64_t k = i + 1; k < size; ++k)
      for (std::int64_t j = k; j < size; ++j) block[static_cast<std::size_t>(k * size + j)] -= row[k] * row[j];
  }
  for (std::int64_t i = 0; i < size; ++i)
    for (std::int64_t j = i; j < size; ++j) upper[(first + i) * n + first + j] = static_cast<float>(block[static_cast<std::size_t>(i * size + j)]);
  return true;
}

}  // namespace

// Row by row of panels: the diagonal block, the rest of the panel, then what lies below loses the panel's product.
Result<InputFactor> InputFactor::make(std::span<const float> second, std::int64_t n, double damping, kernels::ThreadPool& pool) {
  InputFactor out;
  out.n_ = n;
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(second[static_cast<std::size_t>(i * n + i)]);
  const Error broken{.code = ErrorCode::kNonFinite, .place = "what a linear reads", .expected = "numbers", .found = "others"};
  if (!std::isfinite(sum)) return broken;
  const float added = static_cast<float>(std::max(damping * sum / static_cast<double>(n), 1e-20));
  out.column_.resize(static_cast<std::size_t>(n));
  std::iota(out.column_.begin(), out.column_.end(), 0);
  std::stable_sort(out.column_.begin(), out.column_.end(), [&](std::int32_t a, std::int32_t b) {
    return second[static_cast<std::size_t>(a * (n + 1))] < second[static_cast<std::size_t>(b * (n + 1))];
  });
  RETORT_TRY(out.upper_, AlignedBuffer::allocate(static_cast<std::size_t>(n * n) * sizeof(float), "factors of inputs"));
  RETORT_TRY(const AlignedBuffer negative, AlignedBuffer::allocate(static_cast<std::size_t>(kPanel * n) * sizeof(float), "work space"));
  RETORT_TRY(const AlignedBuffer scratch, AlignedBuffer::allocate(static_cast<std::size_t>(pool.threads()) * kernels::kMatmulScratch * sizeof(float), "work space"));
  float* const upper = out.upper_.as<float>();
  for (std::int64_t i = 0; i < n; ++i) {
    const float* const from = second.data() + static_cast<std::int64_t>(out.column_[static_cast<std::size_t>(i)]) * n;
    for (std::int64_t j = 0; j < n; ++j) upper[i * n + j] = from[out.column_[static_cast<std::size_t>(j)]];
    upper[i * n + i] += added;
  }
  for (std::int64_t first = 0; first < n; first += kPanel) {
    const std::int64_t size = std::min(kPanel, n - first), after = first + size, rest = n - after;
    if (!factor_diagonal(upper, n, first, size)) return broken;
    if (rest == 0) break;
    pool.parallel_for(static_cast<std::size_t>((rest + kPanel - 1) / kPanel), [&](std::size_t index, int) {
      const std::int64_t from = after + static_cast<std::int64_t>(index) * kPanel, to = std::min(n, from + kPanel);
      for (std::int64_t i = first; i < after; ++i) {
        float* const row = upper + i * n;
        const float inverse = 1 / row[i];
        for (std::int64_t j = from; j < to; ++j) row[j] *= inverse;
        for (std::int64_t k = i + 1; k < after; ++k)
          for (std::int64_t j = from; j < to; ++j) upper[k * n + j] -= row[k] * row[j];
      }
    });
    float* const minus = negative.as<float>();
    for (std::int64_t i = 0; i < size; ++i)
      for (std::int64_t j = 0; j < rest; ++j) minus[i * rest + j] = -upper[(first + i) * n + after + j];
    kernels::matmul(pool, *kernels::matmul_kernel(),
                    {.transpose_a = true, .m = rest, .n = rest, .k = size, .a = minus, .a_stride = rest, .b = upper + first * n + after,
                     .b_stride = n, .c = upper + after * n + after, .c_stride = n, .accumulate = true},
                    scratch.as<float>());
  }
  return out;
}

// Some rows of weights, by place and lane.
struct InputFactor::Tile {
  explicit Tile(std::int64_t n)
      : weights(static_cast<std::size_t>(n * kLanes)), error(weights.size()), base(weights.size()), step(weights.size()), codes(weights.size()) {}
  static Row& at(std::vector<float>& values, std::int64_t place) noexcept { return *reinterpret_cast<Row*>(values.data() + place * kLanes); }

  std::vector<float> weights, error, base, step;
  std::vector<std::uint8_t> codes;
};

void InputFactor::round(const CodeLayout& layout, Tile& tile) const {
  const float* const upper = upper_.as<float>();
  const float top = static_cast<float>(layout.codes - 1);
  for (std::int64_t s = n_ - 1; s >= 0; --s) {
    const float* const row = upper + s * n_;
    Row pull = {};
    for (std::int64_t t = s + 1; t < n_; ++t) subtract(pull, row[t], Tile::at(tile.error, t));
    const float inverse = 1 / row[s];
    for (std::int64_t i = 0; i < kLanes; ++i) {
      const float base = Tile::at(tile.base, s)[i], step = Tile::at(tile.step, s)[i], weight = Tile::at(tile.weights, s)[i];
      const float wanted = weight + pull[i] * inverse;
      const float code = step == 0 ? 0.0f : std::clamp(std::nearbyint((wanted - base) / step), 0.0f, top);
      tile.codes[static_cast<std::size_t>(s * kLanes + i)] = static_cast<std::uint8_t>(code);
      Tile::at(tile.error, s)[i] = base + step * code - weight;
    }
  }
}

void InputFactor::choose_codes(const CodeLayout& layout, std::span<const float> weights, std::int64_t rows, std::byte* blocks,
                               kernels::ThreadPool& pool) const {
  const auto n = static_cast<std::size_t>(n_);
  const std::size_t width = kernels::traits(layout.type).block_size, size = kernels::traits(layout.type).block_bytes;
  const std::size_t bytes = kernels::row_bytes(layout.type, n);
  pool.parallel_for(static_cast<std::size_t>((rows + kLanes - 1) / kLanes), [&](std::size_t index, int) {
    const std::int64_t first = static_cast<std::int64_t>(index) * kLanes, count = std::min(kLanes, rows - first);
    Tile tile(n_);
    std::vector<std::byte> row(bytes);
    std::vector<float> zeros(n), ones(n);
    for (std::int64_t lane = 0; lane < count; ++lane) {
      const std::int64_t r = first + lane;
      for (int code = 0; code < 2; ++code) {
        std::memcpy(row.data(), blocks + static_cast<std::size_t>(r) * bytes, bytes);
        for (std::size_t i = 0; i < n; ++i) layout.put(row.data() + i / width * size, static_cast<int>(i % width), code);
        kernels::decode(layout.type, row.data(), (code == 0 ? zeros : ones).data(), n);
      }
      for (std::int64_t place = 0; place < n_; ++place) {
        const auto column = static_cast<std::size_t>(column_[static_cast<std::size_t>(place)]);
        Tile::at(tile.weights, place)[lane] = weights[static_cast<std::size_t>(r) * n + column];
        Tile::at(tile.base, place)[lane] = zeros[column];
        Tile::at(tile.step, place)[lane] = ones[column] - zeros[column];
      }
    }
    round(layout, tile);
    for (std::int64_t lane = 0; lane < count; ++lane)
      for (std::int64_t place = 0; place < n_; ++place) {
        const auto column = static_cast<std::size_t>(column_[static_cast<std::size_t>(place)]);
        layout.put(blocks + static_cast<std::size_t>(first + lane) * bytes + column / width * size, static_cast<int>(column % width),
                   tile.codes[static_cast<std::size_t>(place * kLanes + lane)]);
      }
  });
}

}  // namespace retort::distill
