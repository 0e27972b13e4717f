// Losses of distillation with their gradients, on plain rows. Losses are summed in f64; gradients are for the student's
// side and are added to what the output holds. `weight` is what one row counts for: 1 / rows gives the mean.
//
// Hinton et al. 2015 (soft targets, T²); Agarwal et al. 2024 (reverse and Jensen–Shannon divergence); Romero et al. 2015
// (hidden states through a projection); Sanh et al. 2019 (cosine); Wang et al. 2020 and 2021 (attention maps, relations
// of values); Park et al. 2019 (distances and angles between examples).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort::distill {

// How much each part counts. Divergences are of softmax(logits / temperature), times temperature².
struct LogitWeights {
  double cross_entropy = 0;    // with the hard label, at temperature 1
  double forward_kl = 0;       // KL(teacher ‖ student)
  double reverse_kl = 0;       // KL(student ‖ teacher)
  double jensen_shannon = 0;   // ½ KL(teacher ‖ m) + ½ KL(student ‖ m), m their mean
  double temperature = 1;

  bool needs_teacher() const noexcept { return forward_kl != 0 || reverse_kl != 0 || jensen_shannon != 0; }
};

inline constexpr std::int64_t kIgnoredLabel = -100;   // a row that counts nowhere

// Unweighted parts of one row or the sums of many; `total` has the weights in it.
struct LogitLoss {
  double total = 0, cross_entropy = 0, divergence = 0;
  LogitLoss& operator+=(const LogitLoss& other) noexcept {
    total += other.total;
    cross_entropy += other.cross_entropy;
    divergence += other.divergence;
    return *this;
  }
};

// What the teacher says about one row: all logits, or its most likely classes and the rest as one.
struct TeacherRow {
  std::span<const float> logits{};             // all classes; or, when empty:
  std::span<const std::int32_t> classes{};     // the classes that are kept
  std::span<const float> probabilities{};      // theirs at the loss's temperature
  double weight = 1;                           // what this answer counts for

  bool known() const noexcept { return !logits.empty() || !classes.empty(); }
};

// One row of logits; `gradient` (as long as `student`) is written, times `weight`. `scratch`: 2 · student.size() floats.
// A label of -1 means no label: cross-entropy is left out of that row. With kept classes the student's other classes are
// taken together too, so every divergence is that of the coarser distributions (never more than the full one).
LogitLoss logit_row(const LogitWeights& weights, std::span<const float> student, const TeacherRow& teacher,
                    std::int64_t label, double weight, std::span<float> gradient, std::span<float> scratch);

// Mean over all elements of rows that count of (y - target)²; `counts` has one weight a row (empty: all 1).
double hidden_mse(std::span<const float> y, std::span<const float> target, std::int64_t width, std::span<const float> counts,
                  double factor, std::span<float> gradient);
// Mean over rows that count of 1 - cos(y, target). A row of zeros has cosine 0 and no gradient.
double hidden_cosine(std::span<const float> y, std::span<const float> target, std::int64_t width,
                     std::span<const float> counts, double factor, std::span<float> gradient);

// y = x · Wᵀ + b, for projecting the student's width to the teacher's: [rows, in] → [rows, out].
struct Projection {
  std::int64_t in = 0, out = 0;
  std::span<const float> weight, bias;                  // [out, in], [out] or empty
  std::span<float> weight_gradient, bias_gradient;      // added to; may be empty
};
void project(const Projection& p, std::span<const float> x, std::span<float> y);
void project_backward(const Projection& p, std::span<const float> x, std::span<const float> dy, std::span<float> dx);

// Rows of attention scores [rows, n] (n keys each): KL(softmax(teacher) ‖ softmax(student)), or the mean squared
// difference of the probabilities. The mean over rows (and elements) times `factor`; gradients for the student's scores.
double attention_kl(std::span<const float> student, std::span<const float> teacher, std::int64_t n, double factor,
                    std::span<float> gradient);
double attention_mse(std::span<const float> student, std::span<const float> teacher, std::int64_t n, double factor,
                     std::span<float> gradient);

// Relations between the tokens of one sequence: rows of softmax(A · Bᵀ / sqrt(width)) per head, KL(teacher ‖ student),
// mean over heads and tokens. A = B = values gives MiniLM's value relation; A = queries, B = keys attention maps.
struct Relation {
  const float* a = nullptr;      // head h of token t at t · stride + h · width
  const float* b = nullptr;
  std::int64_t a_stride = 0, b_stride = 0;
  std::int64_t width = 0;        // of one head
  float* da = nullptr;           // student only: gradients of a and b, added to, laid out as they are; may be equal
  float* db = nullptr;
};
// `heads` of both sides; `b_group` query heads share one head of b (grouped-query attention). `causal`: token t sees 0 … t.
double relation_kl(const Relation& student, const Relation& teacher, std::int64_t tokens, std::int64_t heads,
                   std::int64_t student_group, std::int64_t teacher_group, bool causal, double factor);

// Relations between N examples' vectors (Park et al. 2019): smooth-L1 of pairwise distances over their mean, and of the
// cosines of the angles at every vertex. Means over N² and N³ entries, times `factor`.
double rkd_distance(std::span<const float> student, std::int64_t student_width, std::span<const float> teacher,
                    std::int64_t teacher_width, double factor, std::span<float> gradient);
double rkd_angle(std::span<const float> student, std::int64_t student_width, std::span<const float> teacher,
                 std::int64_t teacher_width, double factor, std::span<float> gradient);

}  // namespace retort::distill
