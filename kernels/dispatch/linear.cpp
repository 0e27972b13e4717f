#include "kernels/dispatch/linear.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "kernels/api/interleaved.h"
#include "kernels/dispatch/linear_list.h"
#include "kernels/dispatch/ops.h"

namespace retort::kernels {

namespace {

struct FreeAligned {
  void operator()(std::byte* memory) const noexcept { ::operator delete[](memory, std::align_val_t(64)); }
};
using AlignedBytes = std::unique_ptr<std::byte[], FreeAligned>;

}  // namespace

struct BoundLinear::State {
  Weight weight;
  Q8Layout rounding_layout = Q8Layout::kNone;   // kNone: activations stay f32
  const Rounding* rounding = nullptr;
  const LinearKernel* decode = nullptr;
  const LinearKernel* prefill = nullptr;
  const void* data = nullptr;                   // the stored or the repacked weight
  AlignedBytes packed;
  std::size_t packed_bytes = 0;

  const LinearKernel& kernel_for(std::int64_t m) const noexcept { return m <= decode->most_tokens ? *decode : *prefill; }
};

namespace {

constexpr std::size_t kAlign = 64;
constexpr std::size_t round_up(std::size_t n, std::size_t to) noexcept { return (n + to - 1) / to * to; }

// I8 always rounds; packed types only in kQ8; dense types never.
Q8Layout layout_for(const Weight& weight, Activations activations) noexcept {
  const Q8Layout layout = q8_layout(weight.type);
  return layout == Q8Layout::kRow || activations == Activations::kQ8 ? layout : Q8Layout::kNone;
}

// Rounded activations where the mode keeps f32 would be wrong; the other way round they are expanded.
bool usable(const LinearKernel& kernel, const Weight& weight, Q8Layout layout, std::string_view forced) noexcept {
  return kernel.type == weight.type && (forced.empty() || forced == kernel.name) &&
         (kernel.input == Input::kFloat || layout != Q8Layout::kNone) &&
         (weight.source == nullptr || kernel.reads_source) && *kernel.refusal() == '\0';
}

const char* problem_with(const Weight& weight) noexcept {
  if (weight.rows <= 0 || weight.columns <= 0 || (weight.data == nullptr) == (weight.source == nullptr)) return "the weight is empty";
  if (weight.columns % traits(weight.type).block_size != 0) return "the columns do not fill whole blocks";
  if (weight.type == TensorType::kI8 && weight.row_scales == nullptr) return "8-bit integer weights need row scales";
  return nullptr;
}

// Rows of one tile: a constant of the shape, so that neither results nor balance depend on the number of threads. About
// 16 KiB of weights for few tokens, where a tile must outweigh the cost of taking it; 32 rows for many.
std::int64_t tile_rows(const BoundLinear::State& state, std::int64_t m) noexcept {
  if (m > 8) return 32;
  const auto bytes = row_bytes(state.weight.type, static_cast<std::size_t>(state.weight.columns));
  const auto rows = static_cast<std::int64_t>(16 * 1024 / std::max<std::size_t>(bytes, 1)) / 16 * 16;
  return std::clamp<std::int64_t>(rows, 16, 128);
}

// The first kernel for few tokens, and the first general one for the same layout of the weight.
void choose(BoundLinear::State& state, std::string_view forced) noexcept {
  for (const LinearKernel& kernel : linear_kernels()) {
    if (!usable(kernel, state.weight, state.rounding_layout, forced)) continue;
    if (state.decode == nullptr) state.decode = &kernel;
    if (kernel.most_tokens == INT64_MAX && kernel.layout == state.decode->layout) {
      state.prefill = &kernel;
      return;
    }
  }
}

int group_rows(WeightLayout layout) noexcept { return layout == WeightLayout::kInterleaved16 ? 16 : 8; }

std::size_t group_count(const BoundLinear::State& state) noexcept {
  const int rows = group_rows(state.decode->layout);
  return static_cast<std::size_t>((state.weight.rows + rows - 1) / rows);
}

std::size_t packed_size(const BoundLinear::State& state) noexcept {
  if (state.prefill == nullptr || state.decode->layout == WeightLayout::kStored) return 0;
  return group_count(state) *
         interleaved_group_bytes(state.weight.type, state.weight.columns, group_rows(state.decode->layout));
}

// Fills state.packed; false when memory is short.
bool repack(BoundLinear::State& state, ThreadPool& pool) noexcept {
  const Weight& weight = state.weight;
  const int rows = group_rows(state.decode->layout);
  const std::size_t group_bytes = interleaved_group_bytes(weight.type, weight.columns, rows);
  const std::size_t groups = group_count(state);
  state.packed_bytes = packed_size(state);
  state.packed.reset(static_cast<std::byte*>(::operator new[](state.packed_bytes, std::align_val_t(64), std::nothrow)));
  if (state.packed == nullptr) return false;
  pool.parallel_for(groups, [&](std::size_t group, int) {
    interleave_group(weight.type, weight.data, weight.rows, weight.columns, static_cast<std::int64_t>(group) * rows,
                     rows, state.packed.get() + group * group_bytes);
  });
  state.data = state.packed.get();
  return true;
}

}  // namespace

BoundLinear::BoundLinear() = default;
BoundLinear::~BoundLinear() = default;
BoundLinear::BoundLinear(BoundLinear&&) noexcept = default;
BoundLinear& BoundLinear::operator=(BoundLinear&&) noexcept = default;

bool BoundLinear::bind(const Weight& weight, const LinearChoice& choice, ThreadPool& pool,
                       const char** why) {
  *why = problem_with(weight);
  if (*why != nullptr) return false;
  const std::string_view forced = choice.forced.empty() ? forced_by_environment() : choice.forced;
  auto state = std::make_unique<State>();
  state->weight = weight;
  state->data = weight.data;
  state->rounding_layout = layout_for(weight, choice.activations);
  state->rounding = &rounding(forced);
  choose(*state, forced);
  if (state->prefill == nullptr) {
    *why = "the forced kernel cannot run here";
    return false;
  }
  if (state->decode->layout != WeightLayout::kStored && !repack(*state, pool)) {
    *why = "not enough memory to repack the weight";
    return false;
  }
  state_ = std::move(state);
  return true;
}

std::size_t predict_repacked_bytes(const Weight& weight, const LinearChoice& choice) noexcept {
  BoundLinear::State state;
  state.weight = weight;
  state.rounding_layout = layout_for(weight, choice.activations);
  choose(state, choice.forced.empty() ? forced_by_environment() : choice.forced);
  return packed_size(state);
}

std::int64_t BoundLinear::rows() const noexcept { return state_->weight.rows; }
std::int64_t BoundLinear::columns() const noexcept { return state_->weight.columns; }
std::size_t BoundLinear::repacked_bytes() const noexcept { return state_->packed_bytes; }
const char* BoundLinear::decode_kernel() const noexcept { return state_->decode->name; }
const char* BoundLinear::prefill_kernel() const noexcept { return state_->prefill->name; }

namespace {

// The activations of one group of calls, carved out of the caller's scratch.
struct Prepared {
  const float* x;
  std::int64_t x_stride;
  const Q8Row* rounded;
};

// Byte offsets of the arrays within one rounded row, and its size.
struct RowLayout {
  std::size_t scales, sums, scaled_sums, sums32, sums16, bytes;
};

constexpr RowLayout row_layout(std::int64_t columns) noexcept {
  const auto n = static_cast<std::size_t>(columns);
  std::size_t at = round_up(n + 4, kAlign);
  const auto take = [&at](std::size_t bytes) {
    const std::size_t here = at;
    at += round_up(bytes, kAlign);
    return here;
  };
  RowLayout layout{};
  layout.scales = take((n / 32 + 1) * sizeof(float));
  layout.sums = take((n / 32 + 1) * sizeof(std::int32_t));
  layout.scaled_sums = take((n / 32 + 1) * sizeof(float));
  layout.sums32 = take((n / 32 + 1) * sizeof(std::int16_t));
  layout.sums16 = take((n / 16 + 1) * sizeof(std::int16_t));
  layout.bytes = at;
  return layout;
}

Q8Row rounded_row(std::byte* at, const RowLayout& layout) noexcept {
  return {reinterpret_cast<std::int8_t*>(at),
          reinterpret_cast<float*>(at + layout.scales),
          reinterpret_cast<std::int32_t*>(at + layout.sums),
          reinterpret_cast<float*>(at + layout.scaled_sums),
          reinterpret_cast<std::int16_t*>(at + layout.sums32),
          reinterpret_cast<std::int16_t*>(at + layout.sums16)};
}

std::byte* aligned(void* pointer) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<std::byte*>(pointer) + (round_up(address, kAlign) - address);
}

std::size_t tile_scratch_bytes(std::int64_t columns) noexcept {
  return round_up(std::max(kTileScratch, static_cast<std::size_t>(columns)) * sizeof(float), kAlign);
}

// Rounds every row once, and writes what the codes stand for where a kernel multiplies in f32.
Prepared prepare(const BoundLinear::State& state, bool codes_only, const float* x, std::int64_t m,
                 std::int64_t x_stride, std::byte* area, ThreadPool& pool) noexcept {
  const std::int64_t columns = state.weight.columns;
  const RowLayout layout = row_layout(columns);
  auto* const rows = reinterpret_cast<Q8Row*>(area);
  std::byte* const codes = area + round_up(static_cast<std::size_t>(m) * sizeof(Q8Row), kAlign);
  auto* const expanded = reinterpret_cast<float*>(codes + static_cast<std::size_t>(m) * layout.bytes);
  const auto one_row = [&](std::size_t t, int) {
    rows[t] = rounded_row(codes + t * layout.bytes, layout);
    const auto at = static_cast<std::int64_t>(t);
    state.rounding->round(state.rounding_layout, x + at * x_stride, static_cast<std::size_t>(columns), rows[t]);
    if (!codes_only)
      state.rounding->expand(state.rounding_layout, rows[t], static_cast<std::size_t>(columns),
                             expanded + at * columns);
  };
  if (m < 4)
    for (std::int64_t t = 0; t < m; ++t) one_row(static_cast<std::size_t>(t), 0);
  else pool.parallel_for(static_cast<std::size_t>(m), one_row);
  return {expanded, columns, rows};
}

// One parallel step over all tiles of the calls whose activations take the form `layout`.
void run_group(std::span<const LinearCall> calls, Q8Layout layout, const float* x, std::int64_t m,
               std::int64_t x_stride, std::byte* scratch, ThreadPool& pool) noexcept {
  std::size_t tiles = 0;
  bool codes_only = true;
  const BoundLinear::State* any = nullptr;
  for (const LinearCall& call : calls) {
    const BoundLinear::State& state = *call.linear->state();
    if (state.rounding_layout != layout) continue;
    any = &state;
    codes_only = codes_only && state.kernel_for(m).input == Input::kRounded;
    const std::int64_t step = tile_rows(state, m);
    tiles += static_cast<std::size_t>((state.weight.rows + step - 1) / step);
  }
  if (any == nullptr) return;
  const std::size_t tile_bytes = tile_scratch_bytes(any->weight.columns);
  std::byte* const area = scratch + tile_bytes * static_cast<std::size_t>(pool.threads());
  const Prepared prepared = layout == Q8Layout::kNone ? Prepared{x, x_stride, nullptr}
                                                      : prepare(*any, codes_only, x, m, x_stride, area, pool);
  pool.parallel_for(tiles, [&](std::size_t tile, int worker) {
    for (const LinearCall& call : calls) {
      const BoundLinear::State& state = *call.linear->state();
      if (state.rounding_layout != layout) continue;
      const std::int64_t step = tile_rows(state, m);
      const auto count = static_cast<std::size_t>((state.weight.rows + step - 1) / step);
      if (tile >= count) {
        tile -= count;
        continue;
      }
      const std::int64_t first = static_cast<std::int64_t>(tile) * step;
      state.kernel_for(m).run({state.weight.type, state.data, state.weight.row_scales, state.weight.columns, first,
                               std::min(step, state.weight.rows - first), m, prepared.x, prepared.x_stride,
                               prepared.rounded, call.y, call.y_stride,
                               reinterpret_cast<float*>(scratch + tile_bytes * static_cast<std::size_t>(worker)),
                               state.weight.source});
      return;
    }
  });
}

}  // namespace

void decode_part(const LinearTile& tile, std::int64_t first_row, std::int64_t rows, std::int64_t first_column,
                 std::int64_t columns, float* out) {
  if (tile.source) return tile.source->decode(tile.source->self, first_row, rows, first_column, columns, out);
  const std::size_t stride = row_bytes(tile.type, static_cast<std::size_t>(tile.columns));
  const auto* const stored = static_cast<const std::byte*>(tile.weights) +
                             row_bytes(tile.type, static_cast<std::size_t>(first_column));
  for (std::int64_t row = 0; row < rows; ++row)
    decode(tile.type, stored + static_cast<std::size_t>(first_row + row) * stride, out + row * columns,
           static_cast<std::size_t>(columns));
}

std::size_t linear_scratch_bytes(std::int64_t m, std::int64_t columns, int threads) noexcept {
  const auto tokens = static_cast<std::size_t>(std::max<std::int64_t>(m, 1));
  const std::size_t row = row_layout(columns).bytes + static_cast<std::size_t>(columns) * sizeof(float);
  return kAlign + tile_scratch_bytes(columns) * static_cast<std::size_t>(threads) +
         round_up(tokens * sizeof(Q8Row), kAlign) + tokens * row + kAlign;
}

void run_linears(std::span<const LinearCall> calls, const float* x, std::int64_t m, std::int64_t x_stride,
                 void* scratch, ThreadPool& pool) noexcept {
  if (m <= 0) return;
  std::byte* const area = aligned(scratch);
  for (const Q8Layout layout : {Q8Layout::kNone, Q8Layout::kBlocks32, Q8Layout::kBlocks256, Q8Layout::kRow})
    run_group(calls, layout, x, m, x_stride, area, pool);
}

}  // namespace retort::kernels
