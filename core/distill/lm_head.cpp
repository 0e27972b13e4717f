#include "core/distill/lm_head.h"

#include <algorithm>
#include <cmath>

namespace retort::distill {

Result<void> LmHead::make_room(bool teacher) {
  const auto tile = static_cast<std::size_t>(kRows * classes_) * sizeof(float);
  const auto threads = static_cast<std::size_t>(pool_.threads());
  if (logits_.size() == 0) {
    RETORT_TRY(logits_, AlignedBuffer::allocate(tile, "logits"));
    RETORT_TRY(matmul_scratch_, AlignedBuffer::allocate(threads * kernels::kMatmulScratch * sizeof(float), "work space"));
    RETORT_TRY(scratch_, AlignedBuffer::allocate(threads * 3 * static_cast<std::size_t>(classes_) * sizeof(float), "work space"));
  }
  if (teacher && teacher_logits_.size() == 0) {
    RETORT_TRY(teacher_logits_, AlignedBuffer::allocate(tile, "the teacher's logits"));
  }
  return {};
}

void LmHead::compute(const HeadSide& side, const kernels::MatmulKernel& kernel, std::int64_t first, std::int64_t rows, float* out) {
  const std::int64_t width = side.weight->shape[1];
  kernels::matmul(pool_, kernel,
                  {.transpose_b = true, .m = rows, .n = classes_, .k = width, .a = side.hidden.data() + first * width,
                   .a_stride = width, .b = side.weight->data, .b_stride = width, .c = out, .c_stride = classes_},
                  matmul_scratch_.as<float>());
  for (std::int64_t r = 0; side.bias && r < rows; ++r)
    for (std::int64_t i = 0; i < classes_; ++i) out[r * classes_ + i] += side.bias->data[i];
}

Result<std::span<const float>> LmHead::logits(const HeadSide& side, std::int64_t first, std::int64_t rows) {
  RETORT_CHECK(make_room(false));
  compute(side, *kernels::matmul_kernel({}, compute_), first, rows, logits_.as<float>());
  return std::span<const float>(logits_.as<float>(), static_cast<std::size_t>(rows * classes_));
}

Result<LogitLoss> LmHead::run(const HeadRequest& request, double scale, const JobContext& job) {
  RETORT_CHECK(make_room(request.teacher.has_value()));
  const auto& kernel = *kernels::matmul_kernel({}, compute_);
  const std::int64_t rows = static_cast<std::int64_t>(request.labels.size()), width = request.student.weight->shape[1];
  const auto n = static_cast<std::size_t>(classes_);
  double count = 0;
  for (std::size_t r = 0; r < request.labels.size(); ++r)
    if (request.labels[r] != kIgnoredLabel) count += request.row_weights.empty() ? 1.0 : static_cast<double>(request.row_weights[r]);
  LogitLoss total;
  std::fill(request.hidden_gradient.begin(), request.hidden_gradient.end(), 0.0f);
  if (count <= 0) return total;
  std::vector<LogitLoss> parts(kRows);
  float *const logits = logits_.as<float>(), *const room = matmul_scratch_.as<float>();
  for (std::int64_t first = 0; first < rows; first += kRows) {
    RETORT_CHECK(job.check("head"));
    const std::int64_t tile = std::min(kRows, rows - first);
    // Prompts have long stretches of rows that count nowhere.
    const auto labels = request.labels.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(tile));
    if (std::all_of(labels.begin(), labels.end(), [](std::int64_t label) { return label == kIgnoredLabel; })) continue;
    compute(request.student, kernel, first, tile, logits);
    const float* theirs = nullptr;
    if (request.teacher) {
      compute(*request.teacher, *kernels::matmul_kernel(), first, tile, teacher_logits_.as<float>());
      theirs = teacher_logits_.as<float>();
    } else if (request.teacher_tile) {
      RETORT_TRY(const std::span<const float> given, request.teacher_tile(first, tile));
      theirs = given.data();
    }
    pool_.parallel_for(static_cast<std::size_t>(tile), [&](std::size_t r, int worker) {
      float* const scratch = scratch_.as<float>() + static_cast<std::size_t>(worker) * 3 * n;
      const std::size_t row = static_cast<std::size_t>(first) + r;
      TeacherRow teacher;
      if (!request.teacher_rows.empty()) teacher = request.teacher_rows[row];
      if (!teacher.known() && theirs) teacher.logits = {theirs + r * n, n};
      const double weight = (request.row_weights.empty() ? 1.0 : static_cast<double>(request.row_weights[row])) / count;
      const std::span<float> gradient(scratch + 2 * n, n), mine(logits + r * n, n);
      parts[r] = logit_row(request.weights, mine, teacher, request.labels[row], weight, gradient, {scratch, 2 * n});
      // The gradient takes the logits' place.
      for (std::size_t i = 0; i < n; ++i) mine[i] = gradient[i] * static_cast<float>(scale);
    });
    for (std::size_t r = 0; r < static_cast<std::size_t>(tile); ++r) total += parts[r];
    if (request.hidden_gradient.empty()) continue;
    kernels::matmul(pool_, kernel,
                    {.m = tile, .n = width, .k = classes_, .a = logits, .a_stride = classes_, .b = request.student.weight->data,
                     .b_stride = width, .c = request.hidden_gradient.data() + first * width, .c_stride = width}, room);
    if (request.weight && request.weight->trainable) {
      kernels::matmul(pool_, kernel,
                      {.transpose_a = true, .m = classes_, .n = width, .k = tile, .a = logits, .a_stride = classes_,
                       .b = request.student.hidden.data() + first * width, .b_stride = width,
                       .c = request.weight->gradient.as<float>(), .c_stride = width, .accumulate = !request.weight->fresh}, room);
      request.weight->fresh = false;
    }
    if (request.bias && request.bias->trainable) {
      float* const sums = request.bias->added_gradient();
      for (std::int64_t r = 0; r < tile; ++r)
        for (std::int64_t i = 0; i < classes_; ++i) sums[i] += logits[r * classes_ + i];
    }
  }
  if (!std::isfinite(total.total))
    return Error{.code = ErrorCode::kNonFinite, .place = "loss", .expected = "a number", .found = std::to_string(total.total)};
  return total;
}

}  // namespace retort::distill
