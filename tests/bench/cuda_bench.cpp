// Speed of the device's kernels next to what the device can do at most, measured in the same run: bytes copied for one
// token, matrix products of registers for many. Medians of repeated launches; weights are turned over between launches so
// that no cache holds them.
//   cuda_bench [DEVICE]
#include <fmt/core.h>

#ifdef RETORT_HAVE_CUDA
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "kernels/cuda/limits.h"

using namespace retort::cuda;

namespace {

struct Bench {
  Stream stream;
  Timer timer;
  retort_device_info info{};
  double copy_limit = 0;      // bytes per second, read and written
  double product_limit = 0;   // operations per second

  double median_seconds(const std::function<void(int)>& work, int repeats = 21) {
    for (int i = 0; i < 3; ++i) work(i);
    std::vector<double> seconds;
    for (int i = 0; i < repeats; ++i) {
      timer.start(stream);
      work(i);
      seconds.push_back(timer.stop_seconds(stream));
    }
    std::nth_element(seconds.begin(), seconds.begin() + repeats / 2, seconds.end());
    return seconds[static_cast<std::size_t>(repeats) / 2];
  }
};

bool ok(retort_status status) {
  if (status != RETORT_OK) fmt::print("{}\n", last_failure());
  return status == RETORT_OK;
}

bool measure_limits(Bench& b) {
  constexpr std::uint64_t kBytes = std::uint64_t{1} << 30;
  Memory from, to;
  if (!ok(from.allocate(kBytes, "copying")) || !ok(to.allocate(kBytes, "copying")) || !ok(b.stream.clear(from.data(), kBytes))) return false;
  const double copy = b.median_seconds([&](int) {
    launch_copy_limit(b.stream, {from.as<Bytes16>(), to.as<Bytes16>(), kBytes / 16}, b.info.multiprocessors * 16);
  });
  b.copy_limit = 2.0 * kBytes / copy;
  constexpr int kRounds = 4096;
  const int blocks = b.info.multiprocessors * 4;
  const double product = b.median_seconds([&](int) { launch_product_limit(b.stream, {to.as<float>(), kRounds}, blocks); });
  b.product_limit = ProductLimit::kOperations * kRounds * blocks / product;
  fmt::print("{}: copies {:.0f} GB/s, products {:.1f} TFLOP/s\n", b.info.name, b.copy_limit * 1e-9, b.product_limit * 1e-12);
  return ok(b.stream.wait());
}

// Random blocks with small scales, filled in on the host once and copied to every matrix of the ring.
bool bench_type(Bench& b, Type type, const char* name) {
  constexpr std::int32_t kRows = 11008, kColumns = 4096, kRing = 8;
  const MatrixBytes bytes = matrix_bytes(type, kRows, kColumns);
  std::vector<std::uint16_t> random((bytes.body + bytes.scales) / 2);
  std::mt19937 generator(1);
  for (std::uint16_t& v : random) v = static_cast<std::uint16_t>(generator() & 0x3bffu);   // finite as f16, bf16 and f32
  std::vector<Memory> ring(kRing);
  for (Memory& weights : ring)
    if (!ok(weights.allocate(random.size() * 2, "weights")) || !ok(b.stream.copy_in(weights.data(), random.data(), random.size() * 2))) return false;
  for (const std::int32_t tokens : {1, 4, 16, 512}) {
    Memory x, y, rounded, scales;
    const std::uint64_t n = static_cast<std::uint64_t>(tokens);
    std::vector<float> values(n * kColumns);
    for (float& v : values) v = static_cast<float>(generator() % 2001) * 1e-3f - 1;
    if (!ok(x.allocate(values.size() * 4, "x")) || !ok(y.allocate(n * kRows * 4, "y")) || !ok(rounded.allocate(n * kColumns * 2, "f16")) ||
        !ok(scales.allocate(n * 4, "scales")) || !ok(b.stream.copy_in(x.data(), values.data(), values.size() * 4)))
      return false;
    const double seconds = b.median_seconds([&](int i) {
      const Memory& w = ring[static_cast<std::size_t>(i % kRing)];
      LinearJob job{};
      job.type = type;
      job.x = x.as<float>();
      job.tokens = tokens;
      job.columns = kColumns;
      job.count = 1;
      job.targets[0] = {{w.as<unsigned char>(), w.as<std::uint16_t>(bytes.body), kRows, kColumns, kColumns / layout_of(type).block, type}, nullptr, y.as<float>()};
      job.rounded = rounded.as<std::uint16_t>();
      job.scales = scales.as<float>();
      job.multiprocessors = b.info.multiprocessors;
      launch_linears(b.stream, job);
    });
    if (!ok(b.stream.wait())) return false;
    const double read = static_cast<double>(bytes.body + bytes.scales) / seconds, done = 2.0 * kRows * kColumns * tokens / seconds;
    fmt::print("{:5} {:4} tokens {:9.1f} us  {:7.0f} GB/s ({:3.0f} % of copies)  {:7.2f} TFLOP/s ({:3.0f} % of products)\n", name, tokens, seconds * 1e6,
               read * 1e-9, 100 * read / b.copy_limit, done * 1e-12, 100 * done / b.product_limit);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  int devices = 0;
  std::string driver, reason;
  if (!ok(count_devices(devices, driver, reason))) return 1;
  if (devices == 0) {
    fmt::print("no device: {}\n", reason);
    return 0;
  }
  Bench b;
  const int index = argc > 1 ? std::atoi(argv[1]) : 0;
  if (!ok(describe_device(index, b.info)) || !ok(use_device(index)) || !ok(b.stream.open()) || !measure_limits(b)) return 1;
  const struct { Type type; const char* name; } types[] = {{Type::kF32, "F32"},   {Type::kF16, "F16"},   {Type::kBF16, "BF16"}, {Type::kQ8_0, "Q8_0"},
                                                           {Type::kQ4_0, "Q4_0"}, {Type::kQ4_K, "Q4_K"}, {Type::kQ6_K, "Q6_K"}};
  for (const auto& type : types)
    if (!bench_type(b, type.type, type.name)) return 1;
  return 0;
}
#else
int main() { fmt::print("built without nvcc: there is nothing to measure\n"); }
#endif
