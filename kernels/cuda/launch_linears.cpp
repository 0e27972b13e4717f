#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/launches.h"

namespace retort::cuda {
namespace {

std::int32_t padded_columns(const LinearJob& job) { return job.targets[0].w.blocks * layout_of(job.type).block; }

template <Type T, int kTokens>
void launch_gemv(Stream& stream, const LinearJob& job) {
  using Body = Gemv<T, kTokens>;
  GemvArgs a{};
  a.x = job.x;
  a.tokens = job.tokens;
  a.columns = job.columns;
  a.padded = padded_columns(job);
  a.tile = static_cast<std::int32_t>(std::min<std::int64_t>(Body::kTile, round_up(a.padded, 256)));
  a.count = job.count;
  std::copy_n(job.targets, job.count, a.targets);
  // Enough blocks for every multiprocessor, as long as each thread of a row still has something to do.
  for (a.split = 1;; a.split *= 2) {
    for (int i = 0; i < job.count; ++i)
      a.first_group[i + 1] = a.first_group[i] + static_cast<std::int32_t>(divide_up(job.targets[i].w.rows, Body::rows_of_block(a.split)));
    if (a.split == 8 || a.first_group[job.count] >= 2 * job.multiprocessors || a.padded / Body::kUnit < 64 * a.split) break;
  }
  // Blocks take equally many groups.
  const std::int64_t groups = a.first_group[job.count], rounds = divide_up(groups, 4 * std::int64_t{job.multiprocessors});
  launch<Body>(stream, {static_cast<int>(divide_up(groups, rounds))}, Body::shared_bytes(a.tile), a);
}

template <Type T, int kTokens, int kTerms>
void launch_gemm(Stream& stream, const LinearJob& job) {
  using Body = Gemm<T, kTokens, kTerms>;
  const std::int32_t padded = padded_columns(job);
  GemmArgs a{};
  std::uint16_t* const rest = kTerms == 2 ? job.rounded + std::int64_t{job.tokens} * padded : nullptr;
  launch<RoundRows>(stream, {job.tokens}, {job.x, job.rounded, rest, job.scales, job.columns, padded});
  a.x[0] = job.rounded;
  a.x[1] = rest;
  a.scales = job.scales;
  a.tokens = job.tokens;
  a.padded = padded;
  a.count = job.count;
  std::copy_n(job.targets, job.count, a.targets);
  for (int i = 0; i < job.count; ++i)
    a.first_tile[i + 1] = a.first_tile[i] + static_cast<std::int32_t>(divide_up(job.targets[i].w.rows, Body::kRowsOfTile));
  launch<Body>(stream, {static_cast<int>(divide_up(job.tokens, kTokens)), a.first_tile[job.count]}, a);
}

void launch_gemm_f32(Stream& stream, const LinearJob& job) {
  for (int i = 0; i < job.count; ++i)
    launch<GemmF32>(stream, {static_cast<int>(divide_up(job.tokens, GemmF32::kTile)),
                             static_cast<int>(divide_up(job.targets[i].w.rows, GemmF32::kTile))},
                    {job.x, job.tokens, job.columns, job.targets[i]});
}

template <Type T>
void launch_type(Stream& stream, const LinearJob& job) {
  if (job.tokens == 1) launch_gemv<T, 1>(stream, job);
  else if (job.tokens <= kFewTokens) launch_gemv<T, kFewTokens>(stream, job);
  else if constexpr (T == Type::kF32) launch_gemm_f32(stream, job);
  else if (job.two_terms) job.tokens <= 32 ? launch_gemm<T, 32, 2>(stream, job) : launch_gemm<T, 64, 2>(stream, job);
  else job.tokens <= 32 ? launch_gemm<T, 32, 1>(stream, job) : launch_gemm<T, 128, 1>(stream, job);
}

}  // namespace

void launch_linears(Stream& stream, const LinearJob& job) {
  switch (job.type) {
    case Type::kF32: return launch_type<Type::kF32>(stream, job);
    case Type::kF16: return launch_type<Type::kF16>(stream, job);
    case Type::kBF16: return launch_type<Type::kBF16>(stream, job);
    case Type::kQ8_0: return launch_type<Type::kQ8_0>(stream, job);
    case Type::kQ4_0: return launch_type<Type::kQ4_0>(stream, job);
    case Type::kQ4_K: return launch_type<Type::kQ4_K>(stream, job);
    case Type::kQ6_K: return launch_type<Type::kQ6_K>(stream, job);
    case Type::kCount: return;
  }
}

}  // namespace retort::cuda
