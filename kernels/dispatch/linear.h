// Binds weights to the best kernel of this machine and runs them.
#pragma once

#include <memory>
#include <string_view>

#include "kernels/api/linear.h"

namespace retort::kernels {

struct LinearChoice {
  Activations activations = Activations::kQ8;
  // "", "reference", "avx2", "avx512", "onednn": a name that cannot run here makes bind() fail, never fall back.
  std::string_view forced = {};
};

class BoundLinear {
 public:
  BoundLinear();
  ~BoundLinear();
  BoundLinear(BoundLinear&&) noexcept;
  BoundLinear& operator=(BoundLinear&&) noexcept;

  // Chooses kernels; `weight.data` must outlive this object unless `owns_copy()`. Returns false and sets `*why` (a
  // static string) when no kernel can do it (a forced one that cannot run, columns that do not fill blocks).
  bool bind(const Weight& weight, const LinearChoice& choice, ThreadPool& pool, const char** why);

  std::int64_t rows() const noexcept;
  std::int64_t columns() const noexcept;
  std::size_t repacked_bytes() const noexcept;   // memory held beside the stored weight
  // Names of the kernels in use: for one token, for many.
  const char* decode_kernel() const noexcept;
  const char* prefill_kernel() const noexcept;

  // y[m, rows] = x[m, columns] · Wᵀ; y is overwritten. Row strides in elements.
  // Several linears over the same x run as one parallel step: see run_linears.
  struct State;
  const State* state() const noexcept { return state_.get(); }

 private:
  std::unique_ptr<State> state_;
};

// What repacked_bytes() will be after binding; 0 when no kernel can do it. Looks at the shape only.
std::size_t predict_repacked_bytes(const Weight& weight, const LinearChoice& choice) noexcept;

// One product of a fused step.
struct LinearCall {
  const BoundLinear* linear;
  float* y;                 // [m, y_stride]
  std::int64_t y_stride;    // >= linear->rows()
};

// Scratch that run_linears needs for up to `m` rows of up to `columns` inputs on `threads` workers, in bytes.
std::size_t linear_scratch_bytes(std::int64_t m, std::int64_t columns, int threads) noexcept;

// All calls read the same x [m, x_stride]; its rounding to 8 bits is done once per layout that the calls need.
// The result does not depend on the number of threads.
void run_linears(std::span<const LinearCall> calls, const float* x, std::int64_t m, std::int64_t x_stride,
                 void* scratch, ThreadPool& pool) noexcept;

}  // namespace retort::kernels
