// Matrix products: MatMul, Gemm, MatMulInteger. The reference sums in f64; elsewhere the best f32 kernel of the machine.
#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"
#include "core/onnx/ops/products.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::onnx {

void product(const Device& device, const kernels::MatmulTile& tile) {
  if (tile.m == 0 || tile.n == 0) return;
  if (tile.k == 0) {
    if (!tile.accumulate)
      for (std::int64_t i = 0; i < tile.m; ++i) std::fill_n(tile.c + i * tile.c_stride, tile.n, 0.0f);
    return;
  }
  if (!device.reference()) return kernels::matmul(*device.pool, *device.matmul, tile, device.matmul_scratch);
  for_each(device, tile.m * tile.n, tile.k, [&](std::int64_t at) {
    const std::int64_t i = at / tile.n, j = at % tile.n;
    double sum = 0;
    for (std::int64_t k = 0; k < tile.k; ++k)
      sum += static_cast<double>(tile.transpose_a ? tile.a[k * tile.a_stride + i] : tile.a[i * tile.a_stride + k]) *
             static_cast<double>(tile.transpose_b ? tile.b[j * tile.b_stride + k] : tile.b[k * tile.b_stride + j]);
    float& c = tile.c[i * tile.c_stride + j];
    c = static_cast<float>(sum) + (tile.accumulate ? c : 0.0f);
  });
}

namespace {

// numpy's matmul: batches broadcast; a vector on the left is a row, on the right a column, and its size goes away.
struct Product {
  Shape out, a_batch, b_batch, batch;
  std::int64_t m = 1, n = 1, k = 1;
};

Result<Product> plan_product(const Tensor& a, const Tensor& b) {
  if (a.rank() == 0 || b.rank() == 0) return bad_input("vectors or matrices", shape_text(a.shape()) + " and " + shape_text(b.shape()));
  Product plan;
  plan.k = a.shape().back();
  if (a.rank() > 1) plan.m = a.size(a.rank() - 2);
  if (b.rank() > 1) plan.n = b.shape().back();
  const std::int64_t depth = b.rank() > 1 ? b.size(b.rank() - 2) : b.size(0);
  if (depth != plan.k) return bad_input("matrices that fit", shape_text(a.shape()) + " and " + shape_text(b.shape()));
  if (a.rank() > 2) plan.a_batch.assign(a.shape().begin(), a.shape().end() - 2);
  if (b.rank() > 2) plan.b_batch.assign(b.shape().begin(), b.shape().end() - 2);
  RETORT_TRY(plan.batch, broadcast_shape(plan.a_batch, plan.b_batch));
  plan.out = plan.batch;
  if (a.rank() > 1) plan.out.push_back(plan.m);
  if (b.rank() > 1) plan.out.push_back(plan.n);
  return plan;
}

// f(batch, index of a's matrix, index of b's matrix).
template <class F>
void for_batches(const Product& plan, const F& f) {
  const Walk<2> walk = walk_of<2>(plan.batch, {&plan.a_batch, &plan.b_batch});
  const std::int64_t inner = walk.inner();
  const auto step = walk.step();
  for (std::int64_t row = 0; row < walk.rows(); ++row) {
    const auto at = walk.offsets(row);
    for (std::int64_t i = 0; i < inner; ++i) f(row * inner + i, at[0] + i * step[0], at[1] + i * step[1]);
  }
}

}  // namespace

Result<void> run_mat_mul(const Call& call) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  RETORT_TRY(Product plan, plan_product(a, b));
  RETORT_CHECK(call.make(0, ElementType::kFloat, plan.out));
  if (call.outputs[0].elements() == 0) return {};
  // One matrix on the right for all on the left: one tall product.
  if (plan.b_batch.empty()) {
    for (const std::int64_t size : plan.batch) plan.m *= size;
    plan.batch.clear();
    plan.a_batch.clear();
  }
  Result<void> stopped;
  for_batches(plan, [&](std::int64_t to, std::int64_t from_a, std::int64_t from_b) {
    if (!stopped.ok() || !(stopped = call.job.check()).ok()) return;
    kernels::MatmulTile tile;
    tile.m = plan.m;
    tile.n = plan.n;
    tile.k = plan.k;
    tile.a = a.data<float>() + from_a * plan.m * plan.k;
    tile.a_stride = plan.k;
    tile.b = b.data<float>() + from_b * plan.k * plan.n;
    tile.b_stride = plan.n;
    tile.c = call.out<float>(0) + to * plan.m * plan.n;
    tile.c_stride = plan.n;
    product(call.device, tile);
  });
  return stopped;
}

Result<void> run_gemm(const Call& call) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  if (a.rank() != 2 || b.rank() != 2) return bad_input("matrices", shape_text(a.shape()) + " and " + shape_text(b.shape()));
  kernels::MatmulTile tile;
  tile.transpose_a = call.attributes.whole("transA", 0) != 0;
  tile.transpose_b = call.attributes.whole("transB", 0) != 0;
  tile.m = a.size(tile.transpose_a ? 1 : 0);
  tile.k = a.size(tile.transpose_a ? 0 : 1);
  tile.n = b.size(tile.transpose_b ? 0 : 1);
  if (b.size(tile.transpose_b ? 1 : 0) != tile.k) return bad_input("matrices that fit", shape_text(a.shape()) + " and " + shape_text(b.shape()));
  RETORT_CHECK(call.make(0, ElementType::kFloat, {tile.m, tile.n}));
  tile.a = a.data<float>();
  tile.a_stride = a.size(1);
  tile.b = b.data<float>();
  tile.b_stride = b.size(1);
  tile.c = call.out<float>(0);
  tile.c_stride = tile.n;
  product(call.device, tile);
  const float alpha = call.attributes.real("alpha", 1), beta = call.attributes.real("beta", 1);
  const Tensor* c = call.optional(2);
  if (c) {
    RETORT_TRY(const Shape shape, broadcast_shape(c->shape(), call.outputs[0].shape()));
    if (shape != call.outputs[0].shape()) return bad_input("a summand that broadcasts to " + shape_text(call.outputs[0].shape()), shape_text(c->shape()));
  }
  const Shape none;
  const float zero = 0;
  const Walk<1> walk = walk_of<1>(call.outputs[0].shape(), {c ? &c->shape() : &none});
  const float* const summand = c ? c->data<float>() : &zero;
  if (alpha != 1 || c)
    walk.run(call.device, [&](std::int64_t at, const Walk<1>::Strides& from, std::int64_t n) {
      const std::int64_t step = walk.step()[0];
      for (std::int64_t i = 0; i < n; ++i) tile.c[at + i] = alpha * tile.c[at + i] + beta * summand[from[0] + i * step];
    });
  return {};
}

namespace {

// Zero point of a row, column or everything. Errors: kBadShape.
template <class T>
Result<std::vector<std::int32_t>> zero_points(const Tensor* tensor, std::int64_t count, T) {
  if (tensor == nullptr) return std::vector<std::int32_t>(1, 0);
  if (tensor->elements() != 1 && tensor->elements() != count) return bad_input("1 or " + std::to_string(count) + " zero points", shape_text(tensor->shape()));
  const auto values = tensor->values<T>();
  return std::vector<std::int32_t>(values.begin(), values.end());
}

template <class A, class B>
Result<void> integer_product(const Call& call) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  RETORT_TRY(const Product plan, plan_product(a, b));
  RETORT_TRY(const auto a_zero, zero_points(call.optional(2), plan.m, A()));
  RETORT_TRY(const auto b_zero, zero_points(call.optional(3), plan.n, B()));
  RETORT_CHECK(call.make(0, ElementType::kInt32, plan.out));
  for_batches(plan, [&](std::int64_t to, std::int64_t from_a, std::int64_t from_b) {
    const A* const x = a.data<A>() + from_a * plan.m * plan.k;
    const B* const y = b.data<B>() + from_b * plan.k * plan.n;
    std::int32_t* const out = call.out<std::int32_t>(0) + to * plan.m * plan.n;
    for_each(call.device, plan.m, plan.k * plan.n, [&](std::int64_t i) {
      std::int32_t* const row = out + i * plan.n;
      std::fill_n(row, plan.n, 0);
      const std::int32_t za = a_zero[a_zero.size() > 1 ? static_cast<std::size_t>(i) : 0];
      for (std::int64_t k = 0; k < plan.k; ++k) {
        const std::int32_t left = x[i * plan.k + k] - za;
        const B* const right = y + k * plan.n;
        // Unsigned, so that sums of more than 2^31 wrap.
        if (b_zero.size() > 1)
          for (std::int64_t j = 0; j < plan.n; ++j) row[j] = static_cast<std::int32_t>(static_cast<std::uint32_t>(row[j]) + static_cast<std::uint32_t>(left * (right[j] - b_zero[static_cast<std::size_t>(j)])));
        else
          for (std::int64_t j = 0; j < plan.n; ++j) row[j] = static_cast<std::int32_t>(static_cast<std::uint32_t>(row[j]) + static_cast<std::uint32_t>(left * (right[j] - b_zero[0])));
      }
    });
  });
  return {};
}

}  // namespace

Result<void> run_mat_mul_integer(const Call& call) {
  Result<void> done;
  with_type(call.in(0).type(), Bytes8(), [&](auto a) {
    with_type(call.in(1).type(), Bytes8(), [&](auto b) { done = integer_product<decltype(a), decltype(b)>(call); });
  });
  return done;
}

}  // namespace retort::onnx
