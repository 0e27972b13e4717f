// What a kernel of the linear operation is: a function over one tile of outputs, what it wants its activations and its
// weights to look like, and what it needs of the processor. dispatch/linear.cpp picks from lists of these.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/activations.h"
#include "kernels/api/isa.h"
#include "kernels/api/linear.h"
#include "kernels/api/tensor_type.h"

namespace retort::kernels {

// How a bound weight lies in memory.
enum class WeightLayout : std::uint8_t {
  kStored,          // as in the file, row-major
  kInterleaved8,    // groups of 8 rows, see api/interleaved.h
  kInterleaved16,
};

// Activations as a kernel reads them.
enum class Input : std::uint8_t { kFloat, kRounded };

// One tile: outputs [first_row, first_row + rows) for tokens [0, m).
struct LinearTile {
  TensorType type;
  const void* weights;         // of the whole linear, in the kernel's layout
  const float* row_scales;     // I8 only
  std::int64_t columns;
  std::int64_t first_row, rows;  // first_row is a multiple of 16
  std::int64_t m;
  const float* x;              // Input::kFloat: [m, x_stride]; rounded and expanded where the mode says so
  std::int64_t x_stride;
  const Q8Row* rounded;        // Input::kRounded: m rows, whose codes lie at a constant distance
  float* y;                    // [m, y_stride], element 0 is row 0 of the linear
  std::int64_t y_stride;
  float* scratch;              // kTileScratch floats, or `columns` if that is more
  const WeightSource* source = nullptr;  // set: decode_part() is the only way to the weights
};
using RunTile = void (*)(const LinearTile& tile);

// Decodes rows [first_row, first_row + rows) × columns [first_column, first_column + columns) of a weight as stored, or of
// its source, to out[rows, columns]. Both column bounds fall on whole blocks.
void decode_part(const LinearTile& tile, std::int64_t first_row, std::int64_t rows, std::int64_t first_column,
                 std::int64_t columns, float* out);

inline constexpr std::size_t kTileScratch = 512 * 64 + 64;

struct LinearKernel {
  const char* name;            // "avx2"
  Isa needs;
  TensorType type;
  WeightLayout layout;
  Input input;
  std::int64_t most_tokens;    // above this the prefill list is asked
  RunTile run;
  const char* (*why_not)() noexcept = nullptr;   // further conditions: "" when they hold
  bool reads_source = false;   // goes through decode_part(), so that it can have a WeightSource
  // "" when it can run here, else the reason.
  const char* refusal() const noexcept {
    const char* const isa = why_unsupported(needs);
    return *isa != '\0' || why_not == nullptr ? isa : why_not();
  }
};

}  // namespace retort::kernels
