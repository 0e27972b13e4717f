#include "kernels/onednn/matmul.h"

#ifdef RETORT_HAVE_ONEDNN
#include <algorithm>
#include <compare>
#include <exception>
#include <map>

#include "kernels/onednn/engine.h"
#include "kernels/onednn/prepare_thread.h"

namespace retort::kernels::onednn {
namespace {

using dnnl::memory;

// Blocks of both operands, rounded and in rows, fit a tile's scratch; few shapes, so that few primitives are made.
constexpr std::int64_t kRows = kMatmulRows, kColumns = 144;
static_assert((kRows + kColumns) * kMatmulDepth <= 2 * kMatmulScratch);

struct Shape {
  std::int64_t m = 0, n = 0, k = 0, c_stride = 0;
  bool accumulate = false;
  auto operator<=>(const Shape&) const = default;
};

struct Prepared {
  memory::desc a, b, c;
  dnnl::matmul primitive;
};

Prepared prepare(const Shape& shape) {
  constexpr auto kBf16 = memory::data_type::bf16, kF32 = memory::data_type::f32;
  const memory::desc a({shape.m, shape.k}, kBf16, memory::dims{shape.k, 1}), b({shape.k, shape.n}, kBf16, memory::dims{shape.n, 1});
  const memory::desc c({shape.m, shape.n}, kF32, memory::dims{shape.c_stride, 1});
  dnnl::primitive_attr attr;
  if (shape.accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0f);
    attr.set_post_ops(ops);
  }
#if DNNL_VERSION_MAJOR >= 3
  return {a, b, c, dnnl::matmul(dnnl::matmul::primitive_desc(engine(), a, b, c, attr))};
#else
  return {a, b, c, dnnl::matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), attr, engine()))};
#endif
}

// Primitives of a thread, kept: a step has the same few shapes over and over.
const Prepared& prepared(const Shape& shape) {
  thread_local std::map<Shape, Prepared> known;
  const auto found = known.find(shape);
  if (found != known.end()) return found->second;
  if (known.size() > 512) known.clear();
  return known.emplace(shape, prepare(shape)).first->second;
}

// op(x)'s rows [row, row + rows) and columns [column, column + columns), rounded.
void pack(const float* x, std::int64_t stride, bool transposed, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns,
          std::uint16_t* out) noexcept {
  if (transposed) {
    for (std::int64_t j = 0; j < columns; ++j)
      for (std::int64_t i = 0; i < rows; ++i) out[i * columns + j] = f32_to_bf16(x[(column + j) * stride + row + i]);
    return;
  }
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) out[i * columns + j] = f32_to_bf16(x[(row + i) * stride + column + j]);
}

// False when oneDNN has no memory left.
bool multiply_block(const Shape& shape, std::uint16_t* a, std::uint16_t* b, float* c) noexcept {
  try {
    thread_local dnnl::stream stream(engine());
    const Prepared& made = prepared(shape);
    made.primitive.execute(stream, {{DNNL_ARG_SRC, memory(made.a, engine(), a)}, {DNNL_ARG_WEIGHTS, memory(made.b, engine(), b)},
                                    {DNNL_ARG_DST, memory(made.c, engine(), c)}});
    stream.wait();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

// The same without oneDNN: where it fails, and for a sum of nothing.
void multiply_plainly(const Shape& shape, const std::uint16_t* a, const std::uint16_t* b, float* c) noexcept {
  for (std::int64_t i = 0; i < shape.m; ++i)
    for (std::int64_t j = 0; j < shape.n; ++j) {
      float sum = shape.accumulate ? c[i * shape.c_stride + j] : 0.0f;
      for (std::int64_t p = 0; p < shape.k; ++p) sum += bf16_to_f32(a[i * shape.k + p]) * bf16_to_f32(b[p * shape.n + j]);
      c[i * shape.c_stride + j] = sum;
    }
}

}  // namespace

const char* why_no_bf16() noexcept {
  if (const char* const why = why_no_f32(); *why != '\0') return why;
  const auto has = static_cast<unsigned>(dnnl_get_effective_cpu_isa()), wanted = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
  return (has & wanted) == wanted ? "" : "this processor has no bf16 instructions";
}

void matmul_bf16(const MatmulTile& t) {
  prepare_thread();
  auto* const a = reinterpret_cast<std::uint16_t*>(t.scratch);
  std::uint16_t* const b = a + kRows * kMatmulDepth;
  for (std::int64_t k = 0; k < t.k || k == 0; k += kMatmulDepth) {
    const std::int64_t depth = std::min(kMatmulDepth, t.k - k);
    for (std::int64_t i = 0; i < t.m; i += kRows) {
      const std::int64_t rows = std::min(kRows, t.m - i);
      pack(t.a, t.a_stride, t.transpose_a, i, rows, k, depth, a);
      for (std::int64_t j = 0; j < t.n; j += kColumns) {
        const std::int64_t columns = std::min(kColumns, t.n - j);
        pack(t.b, t.b_stride, t.transpose_b, k, depth, j, columns, b);
        const Shape shape{rows, columns, depth, t.c_stride, t.accumulate || k > 0};
        float* const c = t.c + i * t.c_stride + j;
        if (depth == 0 || !multiply_block(shape, a, b, c)) multiply_plainly(shape, a, b, c);
      }
    }
  }
}

}  // namespace retort::kernels::onednn

#else

namespace retort::kernels::onednn {

const char* why_no_bf16() noexcept { return why_no_f32(); }
void matmul_bf16(const MatmulTile&) {}   // never chosen

}  // namespace retort::kernels::onednn

#endif
