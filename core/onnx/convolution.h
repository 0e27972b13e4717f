// Convolution: a Conv node with constant weights, or a product with a constant matrix (a convolution without space), ready for the fast kernels, with what follows it and can be computed along:
// a scale and shift for each channel (folded into the weights) and a pointwise function.
#pragma once

#include <memory>

#include "core/onnx/operator.h"
#include "kernels/api/conv.h"

namespace retort::onnx {

struct Afterwards {
  kernels::ConvAfter kind = kernels::ConvAfter::kNone;
  float alpha = 0, beta = 0;
};

class Convolution {
 public:
  // weights: [filters, channels of a group, kernel …] with one or two dimensions of space; bias: [filters].
  Convolution(Tensor weights, Tensor bias, const Attributes& attributes, Afterwards after);
  // x [rows …, columns] · matrix [columns, outputs], or its transpose where it is stored as [outputs, columns].
  Convolution(Tensor matrix, bool transposed, Tensor bias, Afterwards after);
  // Null: no kernel of this machine takes it.
  bool has_kernel() const noexcept { return kernel_ != nullptr; }
  // `call` is the node's, its first input alone is read; images come out with their channels innermost. One run at a time.
  // Errors: as the node's.
  Result<void> run(const Call& call);

 private:
  struct Tile {
    int prepared;
    std::int64_t in, out;          // where it begins, in floats
  };
  void make_kernel();
  double work_of_point() const noexcept;
  // False: the kernel refuses these sizes.
  bool cut(const struct Window& window, std::int64_t batch, std::vector<Tile>& tiles);
  bool cut_points(std::int64_t points, std::int64_t least, std::vector<Tile>& tiles);
  bool cut_rows(const struct Window& window, std::int64_t batch, std::vector<Tile>& tiles);
  int prepare(const kernels::ConvStrip& strip);
  Result<void> run_tiles(const Call& call, const Tensor& x, const std::vector<Tile>& tiles);
  Result<void> run_plainly(const Call& call) const;
  Result<void> run_product(const Call& call);

  Tensor weights_, bias_;
  Afterwards after_;
  kernels::ConvSpec spec_;
  std::unique_ptr<kernels::ConvKernel> kernel_;
  int most_prepared_ = 0;
  bool product_ = false;
};

// x after the function: what kernels compute, for values that no kernel made.
void apply(const Device& device, const Afterwards& after, float* x, std::int64_t n);

}  // namespace retort::onnx
