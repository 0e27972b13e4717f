// PackedWeights: the blocks that a level packs a student's matrices into, between the master copies and what is computed
// with. Three ways to train them:
//   round    the masters move; after every step they are packed anew and decoded, and gradients go straight through to
//            them (Bengio et al. 2013; quantization-aware training).
//   learned  the same, and the scales of a grid move too: each times a factor whose gradient is that of the rounded weight
//            (Esser et al. 2020, "Learned step size quantization"; weights beyond the grid's ends get no gradient).
//   scales   the codes stay; each block's scale (and offset) moves by a factor of its own, rounded as the file holds it.
//            With norms and biases that is all that trains: the file keeps its size ("repair").
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/distill/code_layout.h"
#include "core/distill/packed_forms.h"
#include "core/distill/parameters.h"
#include "core/quantize/importance.h"
#include "core/quantize/levels.h"

namespace retort::distill {

// A weight in a grid: codes one a byte, by row; scales [rows, columns / group], as the file holds them.
struct GridView {
  const Grid* grid = nullptr;
  std::int64_t rows = 0, columns = 0, group = 0;
  std::span<const std::uint8_t> codes;
  std::span<const float> scales;
};

class PackedWeights {
 public:
  // What the stage packs and as what: see weight_forms. `importance` may be null; it must outlive this.
  // Errors: those of weight_forms, kOutOfMemory.
  static Result<PackedWeights> make(const Model& student, const Parameters& parameters, const TrainStage& stage,
                                    const ImportanceMatrix* importance, kernels::ThreadPool& pool);

  // Packs the masters; the parameters' data are the decoded blocks from here on. Errors: kNonFinite, kCanceled.
  Result<void> round(Parameters& parameters, const JobContext& job);
  // From now on the scales of grids train beside the masters. After round(). Errors: kOutOfMemory.
  Result<void> learn_scales(Parameters& parameters);
  // From now on only factors of scales, norms and biases train. After round(). Errors: kOutOfMemory.
  Result<void> hold_codes(Parameters& parameters);

  // Codes that are chosen elsewhere (choose_codes.h): where they lie (`layout` is null where they can't be chosen one by one),
  // and that they changed. After round(), before hold_codes().
  struct Blocks {
    const CodeLayout* layout = nullptr;
    std::int64_t rows = 0;
    std::span<std::byte> data{};
  };
  Blocks blocks_of(WeightId id) noexcept;
  void codes_changed(WeightId id);
  // What is computed with: the decoded blocks, or the masters as if nothing were packed.
  void compute_with(Parameters& parameters, bool packed) const noexcept;

  // What a trainer calls: the factors' gradients from the weights', before a step; the decoded blocks, after one.
  void before_step(Parameters& parameters) const;
  Result<void> after_step(Parameters& parameters, const JobContext& job);

  // The form of a weight that a level rounds; null for the others.
  const WeightHandle* handle(WeightId id) const noexcept;
  // Its codes where they lie in a grid; else `grid` is null. Valid until the next step.
  GridView grid_of(WeightId id) const noexcept;
  std::size_t size() const noexcept { return list_.size(); }
  std::uint64_t bytes() const noexcept;   // of all blocks and row scales

 private:
  struct Packed {
    WeightId id = kNoWeight;
    TensorType type = TensorType::kF32;
    std::int64_t rows = 0, columns = 0;
    std::vector<float> importance{};
    std::vector<std::byte> blocks{};
    std::vector<float> row_scales{};             // I8 and grids
    const Grid* grid = nullptr;                  // `blocks` are then codes, one a byte
    std::int64_t group = 0;
    bool per_tensor = false;
    AlignedBuffer decoded{};
    std::size_t factors = SIZE_MAX;              // the parameter with this weight's factors, once codes are held
    std::vector<float> first{}, second{};        // scales and offsets when they were held
    WeightHandle handle{};
  };

  explicit PackedWeights(kernels::ThreadPool& pool) : pool_(&pool) {}
  void decode(const Packed& weight, std::int64_t first_row, std::int64_t rows, const std::byte* blocks, float* out) const;
  Result<void> round_grid(Packed& weight, const Parameter& parameter, const float* factors);
  Result<void> hold(Packed& weight, Parameters& parameters);
  void scale(Packed& weight, Parameters& parameters) const;
  void fold(const Packed& weight, Parameters& parameters) const;
  void fold_grid(const Packed& weight, Parameters& parameters) const;

  kernels::ThreadPool* pool_;
  std::vector<Packed> list_;
  std::vector<WeightId> rounds_inputs_;
  std::map<WeightId, std::size_t> places_;
  bool held_ = false, learning_ = false;
};

}  // namespace retort::distill
