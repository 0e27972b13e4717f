// InputFactor: what rounding one weight of a linear costs, given what the linear reads, and how the others can make up for it.
//
// With H = Σ x xᵀ over texts, an error e of a row of weights changes the linear's outputs by e H eᵀ (squared, summed). Columns
// are rounded one after the other, those that carry most first; each is moved beforehand by what best makes up for the errors
// made so far (Frantar et al. 2023, "GPTQ"; Chee et al. 2023, "LDLQ", whose factorisation is used here: no inverse is needed).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/distill/code_layout.h"
#include "core/model/aligned_buffer.h"
#include "kernels/api/thread_pool.h"

namespace retort::distill {

class InputFactor {
 public:
  // `second`: Σ x xᵀ [n, n], symmetric. `damping` times the mean of its diagonal is added to the diagonal.
  // Errors: kOutOfMemory; kNonFinite when it has no factor (values that are no numbers).
  static Result<InputFactor> make(std::span<const float> second, std::int64_t n, double damping, kernels::ThreadPool& pool);

  // Rows of blocks in place: scales stay, codes are chosen anew for `weights` [rows, n]. n is a multiple of the type's block size.
  void choose_codes(const CodeLayout& layout, std::span<const float> weights, std::int64_t rows, std::byte* blocks, kernels::ThreadPool& pool) const;

 private:
  struct Tile;
  void round(const CodeLayout& layout, Tile& tile) const;

  std::int64_t n_ = 0;
  std::vector<std::int32_t> column_;   // of each place; rounded from the last to the first
  AlignedBuffer upper_;                // R with Rᵀ R = H in this order, [n, n]; below its diagonal undefined
};

}  // namespace retort::distill
