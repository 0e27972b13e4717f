#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/base/checked.h"
#include "core/quantize/quantizer.h"
#include "kernels/dispatch/ops.h"

namespace retort {
namespace {

using kernels::row_bytes;
using kernels::TensorType;
using kernels::traits;

// About as many weights as a worker decodes and packs at once: the pieces stay in its cache, and a stop is seen soon.
constexpr std::int64_t kTileWeights = 32768;
constexpr std::int32_t kInfinityBits = 0x7f800000;

struct TileResult {
  double error = 0, square = 0;     // Σ (w - ŵ)², Σ w²
  std::int64_t bad_row = -1;        // first row with a value that is not finite
  bool overflow = false;            // the packed form cannot hold the values
};

Error bad_shape(std::string_view name, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadShape, .place = std::string(name), .expected = std::move(expected),
               .found = std::move(found)};
}

std::int32_t largest_bits(const float* x, std::int64_t n) {
  std::int32_t largest = 0;   // magnitudes are ordered like their bits; infinity and what is no number come last
  for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<std::int32_t>(x[i]) & 0x7fffffff);
  return largest;
}

bool all_finite(const float* x, std::int64_t n) { return largest_bits(x, n) < kInfinityBits; }

// The magnitude from which on a plain float type rounds to infinity; 0: looking at what was packed is the only way to tell.
std::int32_t overflow_bits(TensorType type) noexcept {
  switch (type) {
    case TensorType::kF32: return kInfinityBits;
    case TensorType::kF16: return 0x477ff000;    // 65520: half way to the next power of two, ties to even
    case TensorType::kBF16: return 0x7f7f8000;
    default: return 0;
  }
}

// Added up in eight columns, so that it vectorises, and always in the same order.
void add_errors(const float* x, const float* y, std::int64_t n, TileResult& result) {
  double error[8] = {}, square[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int k = 0; k < 8; ++k) {
      const double value = x[i + k], difference = value - y[i + k];
      error[k] += difference * difference;
      square[k] += value * value;
    }
  }
  for (int k = 0; i < n; ++i, ++k) {
    const double value = x[i], difference = value - y[i];
    error[k] += difference * difference;
    square[k] += value * value;
  }
  for (int k = 0; k < 8; ++k) {
    result.error += error[k];
    result.square += square[k];
  }
}

Result<void> check_request(const QuantizeRequest& request, std::string_view name) {
  const auto& source = traits(request.source_type);
  const auto& target = traits(request.target_type);
  if (request.rows <= 0 || request.columns <= 0) {
    return bad_shape(name, "rows and columns", std::to_string(request.rows) + " × " + std::to_string(request.columns));
  }
  const auto rows = static_cast<std::uint64_t>(request.rows), columns = static_cast<std::uint64_t>(request.columns);
  for (const auto* type : {&source, &target}) {
    if (columns % type->block_size != 0) {
      return bad_shape(name, "columns that fill blocks of " + std::to_string(type->block_size), std::to_string(columns));
    }
  }
  const auto weights = checked_mul(rows, columns);
  const auto bytes = checked_mul(rows, columns / source.block_size * source.block_bytes);
  if (!weights || *weights > (std::uint64_t{1} << 60) || !bytes || *bytes != request.source.size()) {
    return bad_shape(name, bytes ? std::to_string(*bytes) + " bytes" : "a smaller tensor",
                     std::to_string(request.source.size()) + " bytes");
  }
  const std::size_t packed = static_cast<std::size_t>(rows) * row_bytes(request.target_type, static_cast<std::size_t>(columns));
  if (!request.into.empty() && request.into.size() != packed)
    return bad_shape(name, "room for " + std::to_string(packed) + " bytes", std::to_string(request.into.size()));
  if (!request.importance.empty() && request.importance.size() != columns) {
    return bad_shape(name, "importance of " + std::to_string(columns) + " columns",
                     std::to_string(request.importance.size()));
  }
  for (const float value : request.importance) {
    if (!std::isfinite(value) || value < 0) {
      return Error{.code = ErrorCode::kNonFinite, .place = std::string(name) + ", importance matrix",
                   .expected = "finite values of at least 0", .found = std::to_string(value)};
    }
  }
  if (find_quantizer(request.target_type) == nullptr) {
    return Error{.code = ErrorCode::kBadArgument, .place = std::string(name), .expected = "a type that can be quantized to",
                 .found = std::string(target.name)};
  }
  return {};
}

// One tensor's work, cut into tiles of rows. Tiles only touch their own part of the output.
class TensorJob {
 public:
  TensorJob(const QuantizeRequest& request, int workers, QuantizedTensor& out)
      : request_(request), out_(out), quantizer_(*find_quantizer(request.target_type)),
        copies_(request.source_type == request.target_type && request.target_type != TensorType::kI8),
        tile_rows_(std::clamp<std::int64_t>(kTileWeights / request.columns, 1, request.rows)),
        tiles_(static_cast<std::size_t>((request.rows + tile_rows_ - 1) / tile_rows_)) {
    const auto floats = static_cast<std::size_t>(tile_rows_ * request.columns);
    scratch_.resize(static_cast<std::size_t>(workers));
    for (auto& both : scratch_) both.resize(2 * floats);
    results_.resize(tiles_);
    const auto rows = static_cast<std::size_t>(request.rows), columns = static_cast<std::size_t>(request.columns);
    if (request.into.empty()) out_.data.resize(rows * row_bytes(request.target_type, columns));
    if (request.target_type == TensorType::kI8) out_.row_scales.resize(rows);
    packed_ = request.into.empty() ? std::span<std::byte>(out_.data) : request.into;
  }

  std::size_t tiles() const noexcept { return tiles_; }
  const std::vector<TileResult>& results() const noexcept { return results_; }

  void run(std::size_t tile, int worker) noexcept {
    const std::int64_t first = static_cast<std::int64_t>(tile) * tile_rows_;
    const std::int64_t rows = std::min(tile_rows_, request_.rows - first), columns = request_.columns;
    const std::int64_t weights = rows * columns;
    float* source = scratch_[static_cast<std::size_t>(worker)].data();
    float* decoded = source + tile_rows_ * columns;
    TileResult& result = results_[tile];

    const auto width = static_cast<std::size_t>(columns), at = static_cast<std::size_t>(first);
    const std::byte* in = request_.source.data() + at * row_bytes(request_.source_type, width);
    kernels::decode(request_.source_type, in, source, static_cast<std::size_t>(weights));
    const std::int32_t largest = largest_bits(source, weights);
    if (largest >= kInfinityBits) {
      std::int64_t row = 0;
      while (all_finite(source + row * columns, columns)) ++row;
      result.bad_row = first + row;
      return;
    }
    const std::size_t out_row = row_bytes(request_.target_type, width);
    std::byte* out = packed_.data() + at * out_row;
    if (copies_) {
      std::memcpy(out, in, static_cast<std::size_t>(rows) * out_row);
      if (request_.measured) add_errors(source, source, weights, result);
      return;
    }
    float* scales = out_.row_scales.empty() ? nullptr : out_.row_scales.data() + first;
    quantizer_.quantize_rows(source, rows, columns, request_.importance, out, scales);
    if (const std::int32_t limit = overflow_bits(request_.target_type); !request_.measured && limit != 0) {
      result.overflow = largest >= limit;
      if (result.overflow) result.bad_row = first;
      return;
    }
    kernels::decode(request_.target_type, out, decoded, static_cast<std::size_t>(weights));
    for (std::int64_t i = 0; scales != nullptr && i < weights; ++i) decoded[i] *= scales[i / columns];
    if (!all_finite(decoded, weights)) {
      result.bad_row = first;
      result.overflow = true;
      return;
    }
    if (request_.measured) add_errors(source, decoded, weights, result);
  }

 private:
  const QuantizeRequest& request_;
  QuantizedTensor& out_;
  std::span<std::byte> packed_;
  const Quantizer& quantizer_;
  bool copies_;   // quantizing what already has the type would only lose
  std::int64_t tile_rows_;
  std::size_t tiles_;
  std::vector<std::vector<float>> scratch_;   // per worker: source and decoded tile
  std::vector<TileResult> results_;
};

Error not_finite(const QuantizeRequest& request, std::string_view name, const TileResult& result) {
  Error error{.code = ErrorCode::kNonFinite,
              .place = std::string(name) + ", row " + std::to_string(request.first_row + result.bad_row)};
  error.expected = result.overflow ? "values within the range of " + std::string(traits(request.target_type).name)
                                   : std::string("finite values");
  error.found = result.overflow ? "larger ones" : "infinity, or what is no number";
  return error;
}

}  // namespace

Result<QuantizedTensor> quantize_tensor(const QuantizeRequest& request, std::string_view name, kernels::ThreadPool& pool,
                                        const JobContext& job) {
  RETORT_CHECK(check_request(request, name));
  RETORT_CHECK(job.check(name));
  QuantizedTensor out;
  TensorJob work(request, pool.threads(), out);
  std::atomic<bool> stopped{false};
  pool.parallel_for(work.tiles(), [&](std::size_t tile, int worker) {
    if (stopped.load(std::memory_order_relaxed)) return;
    if (job.stopped()) stopped = true;
    else work.run(tile, worker);
  });
  RETORT_CHECK(job.check(name));
  double error = 0, square = 0;
  for (const TileResult& result : work.results()) {
    if (result.bad_row >= 0) return not_finite(request, name, result);
    error += result.error;
    square += result.square;
  }
  out.stats.mean_squared_error = error / (static_cast<double>(request.rows) * static_cast<double>(request.columns));
  out.stats.relative_error = square > 0 ? std::sqrt(error / square) : 0;
  return out;
}

}  // namespace retort
