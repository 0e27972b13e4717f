#include <cmath>

#include "core/distill/losses.h"

namespace retort::distill {
namespace {

double smooth_l1(double x) { return std::abs(x) < 1 ? 0.5 * x * x : std::abs(x) - 0.5; }
double smooth_l1_slope(double x) { return std::abs(x) < 1 ? x : (x > 0 ? 1.0 : -1.0); }

// Pairwise distances, [N, N], and the mean of those off the diagonal.
struct Distances {
  std::vector<double> d;
  double mean = 0;
};

Distances distances(std::span<const float> e, std::size_t n, std::size_t width) {
  Distances out;
  out.d.assign(n * n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < width; ++k) {
        const double x = static_cast<double>(e[i * width + k]) - static_cast<double>(e[j * width + k]);
        sum += x * x;
      }
      out.d[i * n + j] = std::sqrt(sum);
      out.mean += out.d[i * n + j];
    }
  }
  out.mean /= static_cast<double>(n * (n - 1));
  return out;
}

// Unit vectors (e_j - e_i) of one vertex i, [N, width], and their lengths; zero for j = i and equal examples.
struct Rays {
  std::vector<double> unit, length;
};

Rays rays(std::span<const float> e, std::size_t n, std::size_t width, std::size_t vertex) {
  Rays out{std::vector<double>(n * width), std::vector<double>(n)};
  for (std::size_t j = 0; j < n; ++j) {
    double sum = 0;
    for (std::size_t k = 0; k < width; ++k) {
      const double x = static_cast<double>(e[j * width + k]) - static_cast<double>(e[vertex * width + k]);
      out.unit[j * width + k] = x;
      sum += x * x;
    }
    out.length[j] = std::sqrt(sum);
    for (std::size_t k = 0; k < width && out.length[j] > 0; ++k) out.unit[j * width + k] /= out.length[j];
  }
  return out;
}

double dot(const Rays& r, std::size_t width, std::size_t j, std::size_t k) {
  double sum = 0;
  for (std::size_t i = 0; i < width; ++i) sum += r.unit[j * width + i] * r.unit[k * width + i];
  return sum;
}

}  // namespace

double rkd_distance(std::span<const float> student, std::int64_t student_width, std::span<const float> teacher,
                    std::int64_t teacher_width, double factor, std::span<float> gradient) {
  const auto width = static_cast<std::size_t>(student_width);
  const std::size_t n = student.size() / width;
  if (n < 2) return 0;
  const Distances s = distances(student, n, width), t = distances(teacher, n, static_cast<std::size_t>(teacher_width));
  if (s.mean <= 0 || t.mean <= 0) return 0;
  const double scale = factor / static_cast<double>(n * n);
  double loss = 0, along = 0;
  std::vector<double> slope(n * n);
  for (std::size_t p = 0; p < n * n; ++p) {
    const double difference = s.d[p] / s.mean - t.d[p] / t.mean;
    loss += smooth_l1(difference);
    slope[p] = scale * smooth_l1_slope(difference) / s.mean;
    along += slope[p] * s.d[p];
  }
  // Every distance moves the mean too.
  const double of_mean = along / s.mean / static_cast<double>(n * (n - 1));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double d = s.d[i * n + j];
      if (i == j || d == 0) continue;
      const double g = (slope[i * n + j] - of_mean) / d;
      for (std::size_t k = 0; k < width; ++k) {
        const double x = static_cast<double>(student[i * width + k]) - static_cast<double>(student[j * width + k]);
        gradient[i * width + k] += static_cast<float>(g * x);
        gradient[j * width + k] -= static_cast<float>(g * x);
      }
    }
  }
  return scale * loss;
}

double rkd_angle(std::span<const float> student, std::int64_t student_width, std::span<const float> teacher,
                 std::int64_t teacher_width, double factor, std::span<float> gradient) {
  const auto width = static_cast<std::size_t>(student_width), teacher_size = static_cast<std::size_t>(teacher_width);
  const std::size_t n = student.size() / width;
  if (n == 0) return 0;
  const double scale = factor / static_cast<double>(n * n * n);
  double loss = 0;
  std::vector<double> slope(n * width);
  for (std::size_t i = 0; i < n; ++i) {
    const Rays s = rays(student, n, width, i), t = rays(teacher, n, teacher_size, i);
    std::fill(slope.begin(), slope.end(), 0.0);   // for the unit vectors
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < n; ++k) {
        const double difference = dot(s, width, j, k) - dot(t, teacher_size, j, k);
        loss += smooth_l1(difference);
        const double g = scale * smooth_l1_slope(difference);
        for (std::size_t x = 0; x < width; ++x) {
          slope[j * width + x] += g * s.unit[k * width + x];
          slope[k * width + x] += g * s.unit[j * width + x];
        }
      }
    }
    // Through the normalisation: (g - u (u · g)) / length.
    for (std::size_t j = 0; j < n; ++j) {
      if (s.length[j] == 0) continue;
      double along = 0;
      for (std::size_t x = 0; x < width; ++x) along += s.unit[j * width + x] * slope[j * width + x];
      for (std::size_t x = 0; x < width; ++x) {
        const double g = (slope[j * width + x] - s.unit[j * width + x] * along) / s.length[j];
        gradient[j * width + x] += static_cast<float>(g);
        gradient[i * width + x] -= static_cast<float>(g);
      }
    }
  }
  return scale * loss;
}

}  // namespace retort::distill
