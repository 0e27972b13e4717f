// Speed of the linear per type, one token and many, and of attention, next to what this machine can do at most: read
// bandwidth and fused multiply-adds measured in the same run. Best of several runs, since other work only ever slows.
//   kernels_bench [--threads N] [--kernel NAME] [--seconds S per figure] [--tokens M]… [--rows N] [--columns K] [TYPE…]
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/api/half.h"
#include "kernels/api/isa.h"
#include "kernels/dispatch/linear.h"
#include "kernels/dispatch/ops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace retort::kernels;

namespace {

double g_seconds = 0.3;

// The shortest time of one call over about g_seconds.
template <class F>
double best_seconds(F&& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  const auto begin = Clock::now();
  do {
    const auto start = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  } while (std::chrono::duration<double>(Clock::now() - begin).count() < g_seconds);
  return best;
}

// Bytes per second when all threads read `bytes`, which lie beyond the caches.
double read_bandwidth(ThreadPool& pool, std::size_t bytes) {
  const std::vector<std::uint64_t> data(bytes / 8, 1);
  constexpr std::size_t kWords = 32 * 1024;
  std::vector<std::uint64_t> sums(data.size() / kWords);
  const double seconds = best_seconds([&] {
    pool.parallel_for(sums.size(), [&](std::size_t tile, int) {
      const std::uint64_t* const from = data.data() + tile * kWords;
      std::uint64_t s[8] = {};
      for (std::size_t i = 0; i < kWords; i += 8)
        for (std::size_t j = 0; j < 8; ++j) s[j] += from[i + j];
      sums[tile] = s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
    });
  });
  return static_cast<double>(bytes) / seconds;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float fma_loop(int steps) {
  __m256 sum[12];
  for (int i = 0; i < 12; ++i) sum[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int s = 0; s < steps; ++s)
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  for (int i = 1; i < 12; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  return _mm256_cvtss_f32(sum[0]);
}
#endif

// f32 multiply-adds per second, two operations each, with 256-bit vectors; 0 where there are none.
double fma_peak(ThreadPool& pool) {
#if defined(__x86_64__)
  if (!supported(Isa::kAvx2)) return 0;
  constexpr int kSteps = 200000;
  const auto tiles = static_cast<std::size_t>(pool.threads());
  std::vector<float> sink(tiles * 16);
  const double seconds = best_seconds([&] {
    pool.parallel_for(tiles, [&](std::size_t tile, int) { sink[tile * 16] = fma_loop(kSteps); });
  });
  return static_cast<double>(tiles) * kSteps * 12 * 8 * 2 / seconds;
#else
  static_cast<void>(pool);
  return 0;
#endif
}

// Byte offset of a block's scale.
std::size_t scale_offset(TensorType type) {
  switch (type) {
    case TensorType::kQ2_K: return 80;
    case TensorType::kQ3_K: return 108;
    case TensorType::kQ6_K: return 208;
    default: return 0;
  }
}

std::vector<std::uint8_t> some_weights(TensorType type, std::int64_t rows, std::int64_t columns) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(rows) * row_bytes(type, static_cast<std::size_t>(columns)));
  std::mt19937 random(1);
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    const auto word = static_cast<std::uint32_t>(random());
    std::memcpy(bytes.data() + i, &word, 4);
  }
  const TypeTraits& t = traits(type);
  // Small exponents for dense types, a small scale (and minimum's scale) for packed ones.
  if (type == TensorType::kF32)
    for (std::size_t i = 3; i < bytes.size(); i += 4) bytes[i] = 0x3c;
  if (type == TensorType::kF16 || type == TensorType::kBF16)
    for (std::size_t i = 1; i < bytes.size(); i += 2) bytes[i] = 0x2c;
  if (t.packed()) {
    const std::uint16_t halves[2] = {f32_to_f16(0.01f), f32_to_f16(0.01f)};
    const std::size_t at = scale_offset(type), size = at + 4 <= t.block_bytes ? 4 : 2;
    for (std::size_t b = 0; b < bytes.size(); b += t.block_bytes) std::memcpy(bytes.data() + b + at, halves, size);
  }
  return bytes;
}

struct Limits { double bandwidth, flops; };

void bench_linear(TensorType type, Activations activations, std::string_view kernel, std::int64_t m, ThreadPool& pool,
                  const Limits& limits, std::int64_t rows, std::int64_t columns) {
  const std::vector<std::uint8_t> bytes = some_weights(type, rows, columns);
  const std::vector<float> scales(static_cast<std::size_t>(rows), 0.01f);
  std::vector<float> x(static_cast<std::size_t>(m * columns)), y(static_cast<std::size_t>(m * rows));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  std::vector<std::byte> scratch(linear_scratch_bytes(m, columns, pool.threads()));
  BoundLinear linear;
  const char* why = nullptr;
  const auto start = std::chrono::steady_clock::now();
  if (!linear.bind({type, bytes.data(), scales.data(), rows, columns}, {activations, kernel}, pool, &why)) {
    fmt::print("{:6} {}\n", traits(type).name, why);
    return;
  }
  const double bound = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const LinearCall call{&linear, y.data(), rows};
  const double seconds = best_seconds([&] { run_linears({&call, 1}, x.data(), m, columns, scratch.data(), pool); });
  const double gigabytes = static_cast<double>(bytes.size()) / seconds / 1e9;
  const double gigaflops = 2.0 * static_cast<double>(rows * columns * m) / seconds / 1e9;
  fmt::print("{:6} {} {:4} tokens {:10} {:9.3f} ms {:7.1f} GB/s ({:3.0f} %) {:7.1f} GFLOP/s ({:3.0f} %)  bound in {:.0f} ms\n",
             traits(type).name, activations == Activations::kQ8 ? "q8 " : "f32", m,
             m == 1 ? linear.decode_kernel() : linear.prefill_kernel(), seconds * 1e3, gigabytes,
             1e11 * gigabytes / limits.bandwidth, gigaflops, 1e11 * gigaflops / limits.flops, bound * 1e3);
}

void bench_attention(std::int64_t tokens, std::int64_t past, ThreadPool& pool, const Limits& limits) {
  constexpr std::int64_t kHeads = 9, kKvHeads = 3, kDim = 64;
  const auto cache = static_cast<std::size_t>((tokens + past) * kKvHeads * kDim);
  const std::vector<std::uint16_t> keys(cache, f32_to_f16(0.1f)), values(cache, f32_to_f16(0.2f));
  std::vector<float> query(static_cast<std::size_t>(tokens * kHeads * kDim), 0.3f), out(query.size());
  AttentionArgs args{};
  args.query = query.data();
  args.q_stride = args.out_stride = kHeads * kDim;
  args.keys = keys.data();
  args.values = values.data();
  args.cache_f16 = true;
  args.out = out.data();
  args.tokens = tokens;
  args.past = past;
  args.kv_heads = kKvHeads;
  args.head_dim = kDim;
  args.group = kHeads / kKvHeads;
  args.scale = 0.125f;
  std::vector<std::vector<float>> scratch(static_cast<std::size_t>(pool.threads()));
  for (auto& s : scratch) s.resize(attention_scratch_floats(args));
  const Ops& level = *ops();
  const std::int64_t cut = std::min<std::int64_t>(tokens, 48), cuts = (tokens + cut - 1) / cut;
  const double seconds = best_seconds([&] {
    pool.parallel_for(static_cast<std::size_t>(kHeads * cuts), [&](std::size_t unit, int worker) {
      const std::int64_t first = static_cast<std::int64_t>(unit) / kHeads * cut;
      level.attention(args, static_cast<std::int64_t>(unit) % kHeads, first, std::min(cut, tokens - first),
                      scratch[static_cast<std::size_t>(worker)].data());
    });
  });
  const double seen = static_cast<double>(tokens * past) + 0.5 * static_cast<double>(tokens * (tokens + 1));
  const double gigaflops = 4 * seen * kDim * kHeads / seconds / 1e9;
  fmt::print("attention {:4} tokens after {:4} {:9.3f} ms {:7.1f} GFLOP/s ({:3.0f} %)\n", tokens, past, seconds * 1e3,
             gigaflops, 1e11 * gigaflops / limits.flops);
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 0;
  std::string kernel;
  std::vector<TensorType> types;
  std::vector<std::int64_t> tokens;
  std::int64_t rows = 0, columns = 1536;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--threads" && i + 1 < argc) threads = std::atoi(argv[++i]);
    else if (argument == "--kernel" && i + 1 < argc) kernel = argv[++i];
    else if (argument == "--tokens" && i + 1 < argc) tokens.push_back(std::atoll(argv[++i]));
    else if (argument == "--rows" && i + 1 < argc) rows = std::atoll(argv[++i]);
    else if (argument == "--columns" && i + 1 < argc) columns = std::atoll(argv[++i]);
    else if (argument == "--seconds" && i + 1 < argc) g_seconds = std::atof(argv[++i]);
    else if (const TypeTraits* type = find_type(argument)) types.push_back(type->type);
    else {
      fmt::print(stderr, "kernels_bench [--threads N] [--kernel NAME] [--seconds S] [--tokens M]… [--rows N] "
                         "[--columns K] [TYPE…]\n");
      return 2;
    }
  }
  if (types.empty())
    for (const TypeTraits& type : tensor_types())
      if (type.packed() || type.type <= TensorType::kBF16 || type.type == TensorType::kI8) types.push_back(type.type);
  if (tokens.empty()) tokens = {1, 4, 512};
  ThreadPool pool(threads);
  const Limits limits{read_bandwidth(pool, std::size_t{256} << 20), fma_peak(pool)};
  fmt::print("{} threads, {}: {:.1f} GB/s read, {:.1f} GFLOP/s f32 (256-bit)\n", pool.threads(), cpu_features(),
             limits.bandwidth / 1e9, limits.flops / 1e9);
  for (const TensorType type : types) {
    for (const std::int64_t m : tokens) {
      // Few tokens over a weight larger than most caches, or many over a layer of a small model.
      const std::int64_t n = rows > 0 ? rows : m > 16 ? 1536 : 49152;
      if (traits(type).packed()) bench_linear(type, Activations::kF32, kernel, m, pool, limits, n, columns);
      bench_linear(type, Activations::kQ8, kernel, m, pool, limits, n, columns);
    }
  }
  bench_attention(512, 0, pool, limits);
  bench_attention(1, 511, pool, limits);
}
