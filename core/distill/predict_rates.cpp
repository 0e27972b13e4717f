#include "core/distill/predict_rates.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "core/model/aligned_buffer.h"
#include "core/quantize/quantizer.h"
#include "kernels/dispatch/linear.h"
#include "kernels/dispatch/ops.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {
namespace {

using kernels::TensorType;
using kernels::ThreadPool;
using Clock = std::chrono::steady_clock;

// The best of a few: one interruption by another program does not decide.
template <class F>
double seconds_of(int tries, F&& f) {
  double best = 1e9;
  for (int i = 0; i < tries; ++i) {
    const auto start = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return std::max(best, 1e-9);
}

std::vector<float> some_values(std::size_t count) {
  std::vector<float> out(count);
  std::uint32_t state = 1;
  for (float& x : out) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
  }
  return out;
}

constexpr std::int64_t kRows = 128, kWidth = 384;

double matmul_rate(ThreadPool& pool, kernels::MatmulPrecision compute) {
  const kernels::MatmulKernel* const kernel = kernels::matmul_kernel({}, compute);
  if (!kernel) return 1e9;
  const auto scratch = AlignedBuffer::allocate(static_cast<std::size_t>(pool.threads()) * kernels::kMatmulScratch * sizeof(float), "work space");
  if (!scratch.ok()) return 1e9;
  const std::vector<float> a = some_values(static_cast<std::size_t>(kRows * kWidth)), b = some_values(static_cast<std::size_t>(kWidth * kWidth));
  std::vector<float> c(static_cast<std::size_t>(kRows * kWidth));
  const double seconds = seconds_of(5, [&] {
    kernels::matmul(pool, *kernel, {.transpose_b = true, .m = kRows, .n = kWidth, .k = kWidth, .a = a.data(), .a_stride = kWidth, .b = b.data(),
                                    .b_stride = kWidth, .c = c.data(), .c_stride = kWidth}, scratch->as<float>());
  });
  return 2.0 * static_cast<double>(kRows * kWidth * kWidth) / seconds;
}

// Row-wise work and the optimizer run on all threads alike: one is timed.
double element_rate() {
  const kernels::TrainOps* const train = kernels::train_ops();
  const kernels::Ops* const ops = kernels::ops();
  if (!train || !ops) return 1e8;
  const std::vector<float> x = some_values(static_cast<std::size_t>(kRows * kWidth)), weight(static_cast<std::size_t>(kWidth), 1.0f);
  std::vector<float> y(x.size()), dx(x.size()), dw(weight.size()), db(weight.size());
  const double seconds = seconds_of(3, [&] {
    ops->layer_norm(x.data(), weight.data(), nullptr, 1e-5f, y.data(), kRows, kWidth);
    train->layer_norm_backward(x.data(), weight.data(), 1e-5f, y.data(), dx.data(), false, dw.data(), db.data(), kRows, kWidth);
  });
  return 2 * static_cast<double>(x.size()) / seconds;
}

double optimizer_rate() {
  const kernels::TrainOps* const train = kernels::train_ops();
  if (!train) return 1e8;
  constexpr std::size_t kCount = 1 << 18;   // four arrays of it: more than a core's own cache
  const std::vector<float> gradient = some_values(kCount);
  std::vector<float> weight = gradient, first(kCount), second(kCount);
  const double seconds = seconds_of(3, [&] { train->adamw({}, gradient.data(), weight.data(), first.data(), second.data(), kCount); });
  return static_cast<double>(kCount) / seconds;
}

// f(key) once for each key.
template <class Key, class F>
auto remembered(const Key& key, F&& f) {
  static std::mutex mutex;
  static std::map<Key, decltype(f())> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(key);
  return found != known.end() ? found->second : known.emplace(key, f()).first->second;
}

struct PackedSample {
  QuantizedTensor tensor;
  double seconds = 0;
};

// [rows, 512] of a type, with the time that packing takes.
PackedSample packed_sample(TensorType type, std::int64_t rows, ThreadPool& pool) {
  const std::vector<float> values = some_values(static_cast<std::size_t>(rows * 512));
  PackedSample out;
  out.seconds = seconds_of(1, [&] {
    auto made = quantize_tensor({.source_type = TensorType::kF32, .source = std::as_bytes(std::span(values)), .rows = rows, .columns = 512, .importance = {},
                                 .target_type = type}, "rates", pool, {});
    if (made.ok()) out.tensor = std::move(made).value();
  });
  return out;
}

}  // namespace

TrainingRates training_rates(int threads, kernels::MatmulPrecision compute) {
  return remembered(std::tuple(0, static_cast<int>(compute), threads), [&] {
    ThreadPool pool(threads);
    const auto workers = static_cast<double>(pool.threads());
    return TrainingRates{matmul_rate(pool, compute), workers * element_rate(), workers * optimizer_rate()};
  });
}

double linear_rate(TensorType type, int threads) {
  return remembered(std::tuple(1, static_cast<int>(type), threads), [&] {
    ThreadPool pool(threads);
    const PackedSample sample = packed_sample(type, 256, pool);
    if (sample.tensor.data.empty()) return training_rates(threads).matmul;
    kernels::BoundLinear linear;
    const char* why = "";
    if (!linear.bind({.type = type, .data = sample.tensor.data.data(), .row_scales = sample.tensor.row_scales.data(), .rows = 256, .columns = 512}, {}, pool, &why))
      return training_rates(threads).matmul;
    const std::vector<float> x = some_values(static_cast<std::size_t>(kRows * 512));
    std::vector<float> y(static_cast<std::size_t>(kRows * 256));
    const auto scratch = AlignedBuffer::allocate(kernels::linear_scratch_bytes(kRows, 512, pool.threads()), "work space");
    if (!scratch.ok()) return training_rates(threads).matmul;
    const kernels::LinearCall call{&linear, y.data(), 256};
    return 2.0 * kRows * 256 * 512 / seconds_of(4, [&] { kernels::run_linears(std::span(&call, 1), x.data(), kRows, 512, scratch->as<void>(), pool); });
  });
}

double read_rate(int threads) {
  return remembered(std::tuple(4, threads), [&] {
    ThreadPool pool(threads);
    constexpr std::size_t kTile = 1u << 20, kTiles = 32;   // 128 MB: beyond the caches
    const std::vector<float> data(kTile * kTiles, 1.0f);
    std::vector<float> sums(kTiles);
    const double seconds = seconds_of(3, [&] { pool.parallel_for(kTiles, [&](std::size_t i, int) { sums[i] = kernels::sum_floats(data.data() + i * kTile, kTile); }); });
    return static_cast<double>(data.size() * sizeof(float)) / seconds;
  });
}

double packing_rate(TensorType type, int threads) {
  return remembered(std::tuple(2, static_cast<int>(type), threads), [&] {
    ThreadPool pool(threads);
    return 16.0 * 512 / packed_sample(type, 16, pool).seconds * 1.0;
  });
}

double packing_rate(const Grid& grid, int threads) {
  return remembered(std::tuple(3, std::string(grid.level), threads), [&] {
    const std::vector<float> values = some_values(1 << 14);
    std::vector<std::uint8_t> codes(values.size());
    const std::int64_t group = grid.group > 0 ? grid.group : 512;
    const double seconds = seconds_of(2, [&] {
      for (std::size_t at = 0; at < values.size(); at += static_cast<std::size_t>(group)) fit_group(grid, values.data() + at, group, codes.data() + at);
    });
    const int workers = threads > 0 ? threads : kernels::available_threads();
    return static_cast<double>(values.size() * static_cast<std::size_t>(workers)) / seconds;
  });
}

}  // namespace retort::distill
