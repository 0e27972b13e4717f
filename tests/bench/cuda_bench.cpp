// Speed of the device's kernels, and of a whole model of seven billion weights, next to what the device can do at most, measured
// in the same run: bytes copied for what memory bounds, matrix products of registers for what they bound. Medians; weights and
// caches take turns, so that none is held by a cache. tests/kernels/cuda_bench_test.cpp runs all of it at small shapes.
//   cuda_bench [DEVICE] [kernels | model]
#include <fmt/core.h>

#ifdef RETORT_HAVE_CUDA
#include <cstdlib>
#include <string_view>

#include "cuda_kernel_rows.h"
#include "cuda_model_rows.h"

using namespace retort::cuda;

int main(int argc, char** argv) {
  int devices = 0;
  std::string driver, reason;
  if (!bench::ok(count_devices(devices, driver, reason))) return 1;
  if (devices == 0) {
    fmt::print("no device, nothing is measured: {}\n", reason);
    return 0;
  }
  const std::string_view what = argc > 2 ? argv[2] : "";
  bench::Bench b{bench::Shape{}};
  if (!b.open(argc > 1 ? std::atoi(argv[1]) : 0)) return 1;
  if (what != "model") bench::kernel_rows(b);
  if (what != "kernels") bench::model_rows(b);
  return b.failed ? 1 : 0;
}
#else
int main() { fmt::print("built without nvcc: there is nothing to measure\n"); }
#endif
