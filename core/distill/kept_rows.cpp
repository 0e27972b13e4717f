#include "core/distill/kept_rows.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/api/half.h"

namespace retort::distill {
namespace {

constexpr double kEnough = 1 - 1e-4;        // of the probability: further classes say nothing more
constexpr std::size_t kRowHead = 2, kClassBytes = 5;

std::uint16_t logarithm(double p) { return kernels::f32_to_f16(static_cast<float>(std::log(std::max(p, 1e-30)))); }

Error bad_rows(std::string found) {
  return Error{.code = ErrorCode::kCorrupt, .place = "the teacher's kept answers", .expected = "rows as they were written", .found = std::move(found)};
}

}  // namespace

KeptRow keep_top(std::span<const float> probabilities, std::size_t top) {
  std::vector<std::int32_t> order;
  const float floor = 1e-7f;   // nothing below it is worth five bytes
  for (std::size_t i = 0; i < probabilities.size(); ++i)
    if (probabilities[i] > floor) order.push_back(static_cast<std::int32_t>(i));
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    const float x = probabilities[static_cast<std::size_t>(a)], y = probabilities[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const std::size_t count = std::min(top, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), likelier);
  KeptRow row;
  double held = 0;
  for (std::size_t k = 0; k < count && held < kEnough; ++k) {
    row.classes.push_back(order[k]);
    row.probabilities.push_back(probabilities[static_cast<std::size_t>(order[k])]);
    held += static_cast<double>(row.probabilities.back());
  }
  return row;
}

std::vector<std::byte> pack_rows(const KeptRows& rows) {
  std::vector<std::byte> out;
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  for (const KeptRow& row : rows) {
    put(static_cast<std::uint32_t>(row.classes.size()), 2);
    if (row.classes.empty()) continue;
    double rest = 1;
    for (const float p : row.probabilities) rest -= static_cast<double>(p);
    put(logarithm(rest), 2);
    for (std::size_t k = 0; k < row.classes.size(); ++k) {
      put(static_cast<std::uint32_t>(row.classes[k]), 3);
      put(logarithm(static_cast<double>(row.probabilities[k])), 2);
    }
  }
  return out;
}

Result<KeptRows> unpack_rows(std::span<const std::byte> bytes, std::size_t rows, std::int64_t classes) {
  std::size_t at = 0;
  const auto take = [&](int count) {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i) value |= std::to_integer<std::uint32_t>(bytes[at + static_cast<std::size_t>(i)]) << (8 * i);
    at += static_cast<std::size_t>(count);
    return value;
  };
  KeptRows out(rows);
  for (KeptRow& row : out) {
    if (bytes.size() - at < kRowHead) return bad_rows("too few rows");
    const std::size_t count = take(2);
    if (count == 0) continue;
    if (bytes.size() - at < 2) return bad_rows("a row that is cut off");
    const double rest = std::exp(static_cast<double>(kernels::f16_to_f32(static_cast<std::uint16_t>(take(2)))));
    if (!(rest <= 1) || (bytes.size() - at) / kClassBytes < count) return bad_rows("a row that is cut off");
    double held = 0;
    for (std::size_t k = 0; k < count; ++k) {
      row.classes.push_back(static_cast<std::int32_t>(take(3)));
      row.probabilities.push_back(std::exp(kernels::f16_to_f32(static_cast<std::uint16_t>(take(2)))));
      if (row.classes.back() >= classes) return bad_rows(fmt::format("class {} of {}", row.classes.back(), classes));
      if (!(row.probabilities.back() <= 1)) return bad_rows("a probability above 1");
      held += static_cast<double>(row.probabilities.back());
    }
    // The rest may be less than what rounding does to the others: together they are 1 again.
    for (float& p : row.probabilities) p = static_cast<float>(static_cast<double>(p) * (1 - rest) / held);
  }
  if (at != bytes.size()) return bad_rows("bytes after the last row");
  return out;
}

}  // namespace retort::distill
