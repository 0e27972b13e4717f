#include <algorithm>
#include <cmath>
#include <utility>

#include "core/distill/losses.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {
namespace {

// The probabilities of both sides at the loss's temperature, and the logarithms of their normalisers.
struct Tempered {
  std::span<const float> student, teacher;              // logits
  std::span<const float> student_share, teacher_share;  // probabilities
  double student_log_sum, teacher_log_sum, inverse;     // inverse: 1 / temperature

  double log_student(std::size_t i) const { return static_cast<double>(student[i]) * inverse - student_log_sum; }
  double log_teacher(std::size_t i) const { return static_cast<double>(teacher[i]) * inverse - teacher_log_sum; }
};

// d/ds of KL(t ‖ s) at temperature T is (p_s - p_t) / T.
double forward_kl(const Tempered& p, double scale, std::span<float> gradient) {
  double loss = 0;
  const float step = static_cast<float>(scale * p.inverse);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    if (p.teacher_share[i] > 0) loss += static_cast<double>(p.teacher_share[i]) * (p.log_teacher(i) - p.log_student(i));
    gradient[i] += step * (p.student_share[i] - p.teacher_share[i]);
  }
  return loss;
}

// d/ds_i of KL(s ‖ t) is p_i (log p_i / q_i - KL) / T.
double reverse_kl(const Tempered& p, double scale, std::span<float> gradient) {
  double loss = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i)
    loss += static_cast<double>(p.student_share[i]) * (p.log_student(i) - p.log_teacher(i));
  for (std::size_t i = 0; i < gradient.size(); ++i)
    gradient[i] += static_cast<float>(scale * p.inverse * static_cast<double>(p.student_share[i]) *
                                      (p.log_student(i) - p.log_teacher(i) - loss));
  return loss;
}

// With g_i = ½ log(p_i / m_i): d/ds_i = p_i (g_i - Σ p g) / T. Σ p g is the student's half of the loss.
double jensen_shannon(const Tempered& p, double scale, std::span<float> gradient) {
  double of_student = 0, of_teacher = 0;
  const auto log_mean = [&](std::size_t i) {
    return std::log(0.5 * (static_cast<double>(p.student_share[i]) + static_cast<double>(p.teacher_share[i])));
  };
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double s = static_cast<double>(p.student_share[i]), t = static_cast<double>(p.teacher_share[i]);
    if (s > 0) of_student += 0.5 * s * (p.log_student(i) - log_mean(i));
    if (t > 0) of_teacher += 0.5 * t * (p.log_teacher(i) - log_mean(i));
  }
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double s = static_cast<double>(p.student_share[i]);
    if (s > 0)
      gradient[i] += static_cast<float>(scale * p.inverse * s * (0.5 * (p.log_student(i) - log_mean(i)) - of_student));
  }
  return of_student + of_teacher;
}

// What one class adds to a divergence, and its slope for the student's probability c (up to a constant, which cancels).
struct Part {
  double loss, slope;
};
Part forward_part(double c, double t) { return {t > 0 ? t * std::log(t / c) : 0.0, -t / c}; }
Part reverse_part(double c, double t) {
  const double difference = std::log(c / std::max(t, 1e-37));
  return {c * difference, difference};
}
Part middle_part(double c, double t) {
  const double mean = 0.5 * (c + t), difference = 0.5 * std::log(c / mean);
  return {c * difference + (t > 0 ? 0.5 * t * std::log(t / mean) : 0.0), difference};
}

// A divergence of the coarser distributions: the teacher's kept classes, then the rest as one. With g_j the slope of the
// class that i belongs to, d/ds_i = p_i (g_j - Σ c g) / T.
double kept_divergence(Part (*part)(double, double), const TeacherRow& teacher, std::span<const float> share, double scale,
                       std::span<float> gradient) {
  double loss = 0, mean_slope = 0, teacher_rest = 1, student_rest = 1;
  const auto student = [&](std::size_t k) { return std::max(static_cast<double>(share[static_cast<std::size_t>(teacher.classes[k])]), 1e-37); };
  const auto add = [&](double c, double t) {
    const Part one = part(c, t);
    loss += one.loss;
    mean_slope += c * one.slope;
    return one.slope;
  };
  for (std::size_t k = 0; k < teacher.classes.size(); ++k) {
    const double c = student(k), t = static_cast<double>(teacher.probabilities[k]);
    add(c, t);
    teacher_rest -= t;
    student_rest -= c;
  }
  // What rounding leaves of a rest that is nothing must not be divided by.
  constexpr double kNothing = 1e-7;
  const double rest = add(std::max(student_rest, kNothing), std::max(teacher_rest, kNothing));
  const float outside = static_cast<float>(scale * (rest - mean_slope));
  for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += outside * share[i];
  for (std::size_t k = 0; k < teacher.classes.size(); ++k) {
    const auto i = static_cast<std::size_t>(teacher.classes[k]);
    const double slope = part(student(k), static_cast<double>(teacher.probabilities[k])).slope;
    gradient[i] += static_cast<float>(scale * static_cast<double>(share[i]) * (slope - rest));
  }
  return loss;
}

double divergences(const LogitWeights& weights, std::span<const float> student, const TeacherRow& teacher, double weight,
                   std::span<float> gradient, std::span<float> scratch, double& total) {
  const auto& ops = *kernels::train_ops();
  const std::size_t n = student.size();
  const double square = weights.temperature * weights.temperature, inverse = 1 / weights.temperature;
  const std::span<float> student_share = scratch.first(n), teacher_share = scratch.subspan(n, n);
  const double log_sum = ops.softmax_row(student.data(), static_cast<float>(inverse), student_share.data(), n);
  double sum = 0;
  if (teacher.logits.empty()) {
    const std::pair<double, Part (*)(double, double)> parts[] = {
        {weights.forward_kl, forward_part}, {weights.reverse_kl, reverse_part}, {weights.jensen_shannon, middle_part}};
    for (const auto& [part, run] : parts) {
      if (part == 0) continue;
      const double loss = square * kept_divergence(run, teacher, student_share, weight * part * square * inverse, gradient);
      total += part * loss;
      sum += loss;
    }
    return sum;
  }
  const double teacher_sum = ops.softmax_row(teacher.logits.data(), static_cast<float>(inverse), teacher_share.data(), n);
  const Tempered p{student, teacher.logits, student_share, teacher_share, log_sum, teacher_sum, inverse};
  const struct {
    double part;
    double (*run)(const Tempered&, double, std::span<float>);
  } parts[] = {{weights.forward_kl, forward_kl}, {weights.reverse_kl, reverse_kl}, {weights.jensen_shannon, jensen_shannon}};
  for (const auto& [part, run] : parts) {
    if (part == 0) continue;
    const double loss = square * run(p, weight * part * square, gradient);
    total += part * loss;
    sum += loss;
  }
  return sum;
}

}  // namespace

LogitLoss logit_row(const LogitWeights& weights, std::span<const float> student, const TeacherRow& teacher,
                    std::int64_t label, double weight, std::span<float> gradient, std::span<float> scratch) {
  LogitLoss loss;
  const std::size_t n = student.size();
  std::fill(gradient.begin(), gradient.end(), 0.0f);
  if (label == kIgnoredLabel || weight == 0) return loss;
  if (weights.cross_entropy != 0 && label >= 0) {
    const double log_sum = kernels::train_ops()->softmax_row(student.data(), 1.0f, gradient.data(), n);
    const auto right = static_cast<std::size_t>(label);
    loss.cross_entropy = log_sum - static_cast<double>(student[right]);
    gradient[right] -= 1.0f;
    const float scale = static_cast<float>(weight * weights.cross_entropy);
    for (float& g : gradient) g *= scale;
    loss.total = weights.cross_entropy * loss.cross_entropy;
  }
  if (weights.needs_teacher() && teacher.known() && teacher.weight != 0) {
    double divergence = 0;
    loss.divergence = divergences(weights, student, teacher, weight * teacher.weight, gradient, scratch, divergence);
    loss.total += teacher.weight * divergence;
  }
  loss.total *= weight;
  loss.cross_entropy *= weight;
  loss.divergence *= weight;
  return loss;
}

}  // namespace retort::distill
