// The greatest outputs, and drawing one.
#pragma once

#include <random>

#include "core/model/sampling.h"
#include "cuda_cases.h"

namespace retort::cuda::test {

inline std::string top_case(Stream& stream, std::vector<float> x, std::int32_t count) {
  const std::int32_t n = static_cast<std::int32_t>(x.size());
  const OnDevice<float> dx(stream, x), values(stream, std::vector<float>(static_cast<std::size_t>(count), NAN));
  const OnDevice<std::int32_t> ids(stream, std::vector<std::int32_t>(static_cast<std::size_t>(count), -7));
  const OnDevice<double> sum(stream, {NAN});
  launch_top(stream, {dx.data(), n, count, ids.data(), values.data(), sum.data()});
  const std::vector<std::int32_t> got = ids.values();
  const std::string where = "the " + std::to_string(count) + " greatest of " + std::to_string(n);
  if (got.empty()) return where + ": " + last_failure();
  if (std::any_of(x.begin(), x.end(), [](float v) { return std::isnan(v); })) return got[0] == -1 ? "" : where + ": NaN not seen";
  std::vector<std::int32_t> order(x.size());
  for (std::int32_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return x[static_cast<std::size_t>(a)] > x[static_cast<std::size_t>(b)]; });
  order.resize(static_cast<std::size_t>(count));
  if (got != order) return where;
  const std::vector<float> got_values = values.values();
  for (std::size_t i = 0; i < order.size(); ++i)
    if (got_values[i] != x[static_cast<std::size_t>(order[i])]) return where + ": values";
  double total = 0;
  const double most = static_cast<double>(x[static_cast<std::size_t>(order[0])]);
  for (const float v : x) total += std::exp(static_cast<double>(v) - most);
  const double want = most + std::log(total);
  return std::fabs(sum.values()[0] - want) < 1e-5 * std::max(1.0, std::fabs(want)) ? "" : where + ": sum of exponentials";
}

// One drawing after another from the same numbers, each as the processor's sampler draws.
inline std::string sample_case(Stream& stream, const std::vector<float>& x, double temperature, double top_p) {
  const OnDevice<float> dx(stream, x);
  const OnDevice<unsigned char> memory(stream, std::vector<unsigned char>(kSampleState, 0xff));
  const OnDevice<double> shares(stream, std::vector<double>(x.size(), NAN));
  auto* const state = reinterpret_cast<SampleState*>(memory.data());
  Drawer processor;
  std::mt19937 random(17);
  for (const double uniform : {0.0, 0.5, 1 - 0x1p-53, static_cast<double>(random()) * 0x1p-32, static_cast<double>(random()) * 0x1p-32}) {
    const Drawing how{temperature, top_p, uniform};
    Drawn drawn{};
    const std::string where = std::to_string(x.size()) + " numbers at " + std::to_string(temperature) + ", " + std::to_string(top_p) + ", " + std::to_string(uniform);
    if (stream.copy_in(&state->how, &how, sizeof(how)) != RETORT_OK) return last_failure();
    launch_sample(stream, {dx.data(), static_cast<std::int32_t>(x.size()), 0, state, shares.data()});
    if (stream.copy_out(&drawn, &state->drawn, sizeof(drawn)) != RETORT_OK) return last_failure();
    const TokenId want = processor.draw(x, {temperature, top_p, uniform});
    if (drawn.id != want) return where + ": " + std::to_string(drawn.id) + " for " + std::to_string(want);
    if (want < 0) continue;
    if (drawn.value != x[static_cast<std::size_t>(want)]) return where + ": another value";
    const double sum = log_sum_exp(x);
    if (!(std::fabs(drawn.log_sum - sum) < 1e-5 * std::max(1.0, std::fabs(sum)))) return where + ": sum of exponentials";
  }
  return {};
}

}  // namespace retort::cuda::test
