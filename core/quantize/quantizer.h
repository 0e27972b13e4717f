// The contract of every weight quantizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/job.h"
#include "core/base/result.h"
#include "kernels/api/tensor_type.h"
#include "kernels/api/thread_pool.h"

namespace retort {

// Packs f32 rows into blocks. Const after construction: one instance serves all workers.
// The bytes depend neither on the ISA nor on the number of threads. A block of zeros packs to scale 0, never dividing.
class Quantizer {
 public:
  virtual ~Quantizer() = default;
  virtual kernels::TensorType type() const noexcept = 0;
  virtual std::uint32_t version() const noexcept = 0;   // raised whenever the bytes change: part of the store's keys
  // `importance` weighs each column's squared error (importance matrix); empty: the type's own default weighting.
  // `columns` is a multiple of the block size. `out` has rows · row_bytes(type, columns) bytes (I8: rows · columns, and
  // `row_scales` one per row). Values are finite: the caller checked.
  virtual void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns,
                             std::span<const float> importance, std::byte* out, float* row_scales) const noexcept = 0;
};

// nullptr when the type cannot be quantized to. Explicit list in methods/registry.cpp.
const Quantizer* find_quantizer(kernels::TensorType type) noexcept;
std::span<const Quantizer* const> quantizers() noexcept;

struct QuantizeStats {
  double mean_squared_error = 0;     // of the weights
  double relative_error = 0;         // sqrt(Σ(w-ŵ)² / Σw²)
};

// A whole tensor or rows of it, tiles on the pool. `source` is any type that decodes. Errors: kNonFinite (names the row),
// kBadShape, kCanceled.
struct QuantizeRequest {
  kernels::TensorType source_type;
  std::span<const std::byte> source;
  std::int64_t rows = 0, columns = 0;
  std::span<const float> importance;
  kernels::TensorType target_type;
  std::span<std::byte> into = {};    // rows · row_bytes, where the packed rows go; empty: QuantizedTensor::data
  bool measured = true;              // false: nobody asks for the errors, so no time is spent on them
  std::int64_t first_row = 0;        // of `source` within its tensor, for what an error says
};
struct QuantizedTensor {
  std::vector<std::byte> data;
  std::vector<float> row_scales;     // I8 only
  QuantizeStats stats;
};
Result<QuantizedTensor> quantize_tensor(const QuantizeRequest& request, std::string_view name, kernels::ThreadPool& pool,
                                        const JobContext& job);

}  // namespace retort
