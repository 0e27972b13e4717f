#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/distill/losses.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {
namespace {

double count_of(std::span<const float> counts, std::size_t row) {
  return counts.empty() ? 1.0 : static_cast<double>(counts[row]);
}

double total_count(std::span<const float> counts, std::size_t rows) {
  return counts.empty() ? static_cast<double>(rows) : std::accumulate(counts.begin(), counts.end(), 0.0);
}

// One row of scores: KL(softmax(teacher) ‖ softmax(student)); the gradient for the student's scores is added, times scale.
double score_kl(const float* student, const float* teacher, std::size_t n, double scale, float* gradient,
                std::vector<float>& scratch) {
  const auto& ops = *kernels::train_ops();
  scratch.resize(2 * n);
  float *const s = scratch.data(), *const t = scratch.data() + n;
  const double s_sum = ops.softmax_row(student, 1.0f, s, n), t_sum = ops.softmax_row(teacher, 1.0f, t, n);
  double loss = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (t[i] > 0)
      loss += static_cast<double>(t[i]) *
              (static_cast<double>(teacher[i]) - t_sum - static_cast<double>(student[i]) + s_sum);
    gradient[i] += static_cast<float>(scale) * (s[i] - t[i]);
  }
  return loss;
}

}  // namespace

double hidden_mse(std::span<const float> y, std::span<const float> target, std::int64_t width, std::span<const float> counts,
                  double factor, std::span<float> gradient) {
  const auto n = static_cast<std::size_t>(width);
  const std::size_t rows = y.size() / n;
  const double whole = total_count(counts, rows) * static_cast<double>(n);
  if (whole <= 0) return 0;
  double loss = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const double count = count_of(counts, r);
    if (count == 0) continue;
    for (std::size_t i = r * n; i < (r + 1) * n; ++i) {
      const double difference = static_cast<double>(y[i]) - static_cast<double>(target[i]);
      loss += count * difference * difference;
      gradient[i] += static_cast<float>(factor * count * 2 * difference / whole);
    }
  }
  return factor * loss / whole;
}

double hidden_cosine(std::span<const float> y, std::span<const float> target, std::int64_t width,
                     std::span<const float> counts, double factor, std::span<float> gradient) {
  const auto n = static_cast<std::size_t>(width);
  const std::size_t rows = y.size() / n;
  const double whole = total_count(counts, rows);
  if (whole <= 0) return 0;
  double loss = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const double count = count_of(counts, r);
    if (count == 0) continue;
    double dot = 0, yy = 0, tt = 0;
    for (std::size_t i = r * n; i < (r + 1) * n; ++i) {
      const double a = static_cast<double>(y[i]), b = static_cast<double>(target[i]);
      dot += a * b;
      yy += a * a;
      tt += b * b;
    }
    const double lengths = std::sqrt(yy) * std::sqrt(tt);
    const double cosine = lengths > 0 ? dot / lengths : 0;
    loss += count * (1 - cosine);
    if (lengths == 0) continue;
    for (std::size_t i = r * n; i < (r + 1) * n; ++i)
      gradient[i] -= static_cast<float>(factor * count / whole *
                                        (static_cast<double>(target[i]) / lengths - cosine * static_cast<double>(y[i]) / yy));
  }
  return factor * loss / whole;
}

void project(const Projection& p, std::span<const float> x, std::span<float> y) {
  const std::size_t rows = x.size() / static_cast<std::size_t>(p.in);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t o = 0; o < static_cast<std::size_t>(p.out); ++o)
      y[r * static_cast<std::size_t>(p.out) + o] = p.bias.empty() ? 0.0f : p.bias[o];
  kernels::MatmulTile tile{.transpose_b = true, .m = static_cast<std::int64_t>(rows), .n = p.out, .k = p.in, .a = x.data(),
                           .a_stride = p.in, .b = p.weight.data(), .b_stride = p.in, .c = y.data(), .c_stride = p.out,
                           .accumulate = true};
  std::vector<float> scratch(kernels::kMatmulScratch);
  tile.scratch = scratch.data();
  kernels::matmul_kernel()->run(tile);
}

void project_backward(const Projection& p, std::span<const float> x, std::span<const float> dy, std::span<float> dx) {
  const auto rows = static_cast<std::int64_t>(x.size()) / p.in;
  std::vector<float> scratch(kernels::kMatmulScratch);
  const auto run = kernels::matmul_kernel()->run;
  if (!dx.empty())
    run({.m = rows, .n = p.in, .k = p.out, .a = dy.data(), .a_stride = p.out, .b = p.weight.data(), .b_stride = p.in,
         .c = dx.data(), .c_stride = p.in, .accumulate = true, .scratch = scratch.data()});
  if (!p.weight_gradient.empty())
    run({.transpose_a = true, .m = p.out, .n = p.in, .k = rows, .a = dy.data(), .a_stride = p.out, .b = x.data(),
         .b_stride = p.in, .c = p.weight_gradient.data(), .c_stride = p.in, .accumulate = true, .scratch = scratch.data()});
  for (std::size_t o = 0; o < p.bias_gradient.size(); ++o) {
    double sum = 0;
    for (std::int64_t r = 0; r < rows; ++r) sum += static_cast<double>(dy[static_cast<std::size_t>(r * p.out) + o]);
    p.bias_gradient[o] += static_cast<float>(sum);
  }
}

double attention_kl(std::span<const float> student, std::span<const float> teacher, std::int64_t n, double factor,
                    std::span<float> gradient) {
  const auto width = static_cast<std::size_t>(n);
  const std::size_t rows = student.size() / width;
  std::vector<float> scratch;
  double loss = 0;
  for (std::size_t r = 0; r < rows; ++r)
    loss += score_kl(student.data() + r * width, teacher.data() + r * width, width, factor / static_cast<double>(rows),
                     gradient.data() + r * width, scratch);
  return factor * loss / static_cast<double>(rows);
}

double attention_mse(std::span<const float> student, std::span<const float> teacher, std::int64_t n, double factor,
                     std::span<float> gradient) {
  const auto width = static_cast<std::size_t>(n);
  const std::size_t rows = student.size() / width;
  const auto& ops = *kernels::train_ops();
  std::vector<float> s(width), t(width);
  const double scale = factor / static_cast<double>(student.size());
  double loss = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    ops.softmax_row(student.data() + r * width, 1.0f, s.data(), width);
    ops.softmax_row(teacher.data() + r * width, 1.0f, t.data(), width);
    double along = 0;   // Σ p · dp, which softmax's gradient takes away
    for (std::size_t i = 0; i < width; ++i) {
      const double difference = static_cast<double>(s[i]) - static_cast<double>(t[i]);
      loss += difference * difference;
      along += static_cast<double>(s[i]) * 2 * difference;
    }
    for (std::size_t i = 0; i < width; ++i) {
      const double difference = static_cast<double>(s[i]) - static_cast<double>(t[i]);
      gradient[r * width + i] += static_cast<float>(scale * static_cast<double>(s[i]) * (2 * difference - along));
    }
  }
  return scale * loss;
}

namespace {

// Scores of one head: [tokens, tokens] = A · Bᵀ / sqrt(width).
void head_scores(const Relation& r, std::int64_t tokens, std::int64_t head, std::int64_t group, std::vector<float>& scores,
                 std::vector<float>& scratch) {
  scores.resize(static_cast<std::size_t>(tokens * tokens));
  scratch.resize(static_cast<std::size_t>(kernels::kMatmulScratch));
  kernels::matmul_kernel()->run({.transpose_b = true, .m = tokens, .n = tokens, .k = r.width, .a = r.a + head * r.width,
                                 .a_stride = r.a_stride, .b = r.b + head / group * r.width, .b_stride = r.b_stride,
                                 .c = scores.data(), .c_stride = tokens, .scratch = scratch.data()});
  const float scale = 1.0f / std::sqrt(static_cast<float>(r.width));
  for (float& s : scores) s *= scale;
}

}  // namespace

double relation_kl(const Relation& student, const Relation& teacher, std::int64_t tokens, std::int64_t heads,
                   std::int64_t student_group, std::int64_t teacher_group, bool causal, double factor) {
  std::vector<float> mine, theirs, slope, scratch, matmul_scratch;
  const double scale = factor / static_cast<double>(heads * tokens);
  const auto run = kernels::matmul_kernel()->run;
  double loss = 0;
  for (std::int64_t h = 0; h < heads; ++h) {
    head_scores(student, tokens, h, student_group, mine, matmul_scratch);
    head_scores(teacher, tokens, h, teacher_group, theirs, matmul_scratch);
    slope.assign(mine.size(), 0.0f);
    for (std::int64_t t = 0; t < tokens; ++t) {
      const auto row = static_cast<std::size_t>(t * tokens);
      loss += score_kl(mine.data() + row, theirs.data() + row, static_cast<std::size_t>(causal ? t + 1 : tokens),
                       scale / std::sqrt(static_cast<double>(student.width)), slope.data() + row, scratch);
    }
    // dA = dS · B, dB = dSᵀ · A.
    const float* const a = student.a + h * student.width;
    const float* const b = student.b + h / student_group * student.width;
    if (student.da)
      run({.m = tokens, .n = student.width, .k = tokens, .a = slope.data(), .a_stride = tokens, .b = b,
           .b_stride = student.b_stride, .c = student.da + h * student.width, .c_stride = student.a_stride,
           .accumulate = true, .scratch = matmul_scratch.data()});
    if (student.db)
      run({.transpose_a = true, .m = tokens, .n = student.width, .k = tokens, .a = slope.data(), .a_stride = tokens, .b = a,
           .b_stride = student.a_stride, .c = student.db + h / student_group * student.width, .c_stride = student.b_stride,
           .accumulate = true, .scratch = matmul_scratch.data()});
  }
  return scale * loss;
}

}  // namespace retort::distill
