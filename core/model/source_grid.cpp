#include "core/model/source_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/formats/sampled_reads.h"

namespace retort {
namespace {

constexpr std::size_t kBlock = 32;
constexpr std::int64_t kBlocksPerTensor = 24;
constexpr std::size_t kTensors = 24;
constexpr double kAgreement = 0.9;       // of the blocks that can be judged; a few may be cut or rounded twice
constexpr std::size_t kTypes = static_cast<std::size_t>(TensorType::kCount);

// Relative rounding error of a stored value. F32 leaves room for how the expansion was computed.
std::optional<double> rounding_unit(TensorType type) noexcept {
  switch (type) {
    case TensorType::kF64:
    case TensorType::kF32: return 0x1p-21;
    case TensorType::kF16: return 0x1p-11;
    case TensorType::kBF16: return 0x1p-8;
    default: return std::nullopt;
  }
}

// Whether every value is first + a whole number of steps, within what rounding explains. A step too fine to be told
// from rounding proves nothing.
bool lies_on(std::span<const double> values, double step, double unit) noexcept {
  constexpr double kSmallest = 0x1p-24;   // rounding of F16 near 0, where it is absolute
  const double first = values.front(), largest = std::max(std::abs(first), std::abs(values.back()));
  if (step < 6 * (unit * largest + kSmallest * unit)) return false;
  for (const double value : values) {
    const double steps = (value - first) / step;
    const double slack = 1.5 * unit * (std::abs(value) + largest) + kSmallest;
    if (std::abs(steps - std::round(steps)) * step > slack) return false;
  }
  return true;
}

bool passes_through_zero(std::span<const double> values, double step, double unit) noexcept {
  const double nearest = *std::min_element(values.begin(), values.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  const double steps = nearest / step;
  // The nearest value's own error is small; the step's error grows with its distance from 0.
  const double largest = std::max(std::abs(values.front()), std::abs(values.back()));
  return std::abs(steps - std::round(steps)) * step <= 2 * unit * largest + 0x1p-24;
}

struct Votes {
  std::array<double, kTypes> weight{};
  double judged = 0;
};

// Elements stored per type, of matrices only.
std::optional<TensorType> stored_type(const Checkpoint& checkpoint) {
  std::array<double, kTypes> elements{};
  double all = 0;
  for (const TensorEntry& tensor : checkpoint.tensors) {
    if (tensor.shape.size() < 2) continue;
    elements[static_cast<std::size_t>(tensor.type)] += static_cast<double>(tensor.elements());
    all += static_cast<double>(tensor.elements());
  }
  double packed = 0;
  std::size_t most = 0;
  for (std::size_t i = 0; i < kTypes; ++i) {
    if (!kernels::traits(static_cast<TensorType>(i)).packed()) continue;
    packed += elements[i];
    if (elements[i] > elements[most] || !kernels::traits(static_cast<TensorType>(most)).packed()) most = i;
  }
  return packed * 2 > all ? std::optional(static_cast<TensorType>(most)) : std::nullopt;
}

// The scheme of most weights that lie in several parts, by bytes; the stated method where Retort can't decode it.
std::string stored_scheme(const Checkpoint& checkpoint) {
  std::map<std::string, std::uint64_t> bytes;
  for (const TensorEntry& tensor : checkpoint.tensors)
    if (tensor.coded) bytes[tensor.coded->scheme()] += tensor.coded->bytes();
  if (bytes.empty()) return checkpoint.quantization_problem ? checkpoint.quantization_method : std::string();
  return std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
}

// A tensor's verdict: the finest grid that its blocks need, when nearly all of them lie on one.
std::optional<TensorType> grid_of_tensor(const TensorEntry& tensor, double unit) {
  const auto& type = kernels::traits(tensor.type);
  const std::int64_t blocks_per_row = tensor.columns() / static_cast<std::int64_t>(kBlock);
  const std::int64_t blocks = blocks_per_row * tensor.rows();
  std::array<int, kTypes> found{};
  int judged = 0, on_grid = 0;
  const formats::SampledReads sampled(tensor.data);
  for (std::int64_t i = 0; i < std::min(blocks, kBlocksPerTensor); ++i) {
    // Evenly spread, so that padding rows or a strange corner don't decide.
    const std::int64_t block = blocks * i / std::min(blocks, kBlocksPerTensor);
    const std::int64_t at = block / blocks_per_row * tensor.columns() + block % blocks_per_row * static_cast<std::int64_t>(kBlock);
    std::array<float, kBlock> values;
    type.decode(tensor.data.data() + static_cast<std::size_t>(at) * type.block_bytes, values.data(), kBlock);
    const std::optional<TensorType> grid = grid_of_block(values, unit);
    const bool judgeable = grid || std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) != values.end();
    judged += judgeable ? 1 : 0;
    if (!grid) continue;
    ++on_grid;
    ++found[static_cast<std::size_t>(*grid)];
  }
  if (judged < 4 || on_grid < kAgreement * judged) return std::nullopt;
  // A block may by chance need fewer levels than its type has: the type is what at least a tenth of the blocks need.
  const auto has = [&](TensorType t) { return found[static_cast<std::size_t>(t)] * 10 >= on_grid; };
  const bool affine = has(TensorType::kQ4_1) || has(TensorType::kQ5_1);
  if (has(TensorType::kQ8_0) && !affine) return TensorType::kQ8_0;
  if (has(TensorType::kQ5_1) || (affine && has(TensorType::kQ5_0))) return TensorType::kQ5_1;
  if (affine) return TensorType::kQ4_1;
  return has(TensorType::kQ5_0) ? TensorType::kQ5_0 : TensorType::kQ4_0;
}

}  // namespace

std::optional<TensorType> grid_of_block(std::span<const float> block, double unit) {
  std::array<double, kBlock> sorted;
  std::size_t count = 0;
  for (const float value : block.first(std::min(block.size(), kBlock))) {
    if (!std::isfinite(value)) return std::nullopt;
    sorted[count++] = static_cast<double>(value);
  }
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
  const auto end = std::unique(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
  const std::span<const double> values(sorted.data(), static_cast<std::size_t>(end - sorted.begin()));
  if (values.size() < 4) return std::nullopt;
  const double width = values.back() - values.front();
  for (int steps = static_cast<int>(values.size()) - 1; steps < 255; ++steps) {
    const double step = width / steps;
    if (!lies_on(values, step, unit)) continue;
    const bool zero = passes_through_zero(values, step, unit);
    if (steps < 16) return zero ? TensorType::kQ4_0 : TensorType::kQ4_1;
    if (steps < 32) return zero ? TensorType::kQ5_0 : TensorType::kQ5_1;
    return zero ? std::optional(TensorType::kQ8_0) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<SourceQuantization> find_source_quantization(const Checkpoint& checkpoint) {
  if (auto scheme = stored_scheme(checkpoint); !scheme.empty()) return SourceQuantization{TensorType::kF32, true, std::move(scheme)};
  if (const auto type = stored_type(checkpoint)) return SourceQuantization{*type, true, {}};
  std::vector<const TensorEntry*> matrices;
  for (const TensorEntry& tensor : checkpoint.tensors)
    if (tensor.shape.size() == 2 && tensor.columns() >= static_cast<std::int64_t>(kBlock) && rounding_unit(tensor.type))
      matrices.push_back(&tensor);
  Votes votes;
  const std::size_t taken = std::min(matrices.size(), kTensors);
  for (std::size_t i = 0; i < taken; ++i) {
    const TensorEntry& tensor = *matrices[matrices.size() * i / taken];
    // The vote of a tensor counts once: an embedding is large, but the linears are what a level is about.
    votes.judged += 1;
    if (const auto grid = grid_of_tensor(tensor, *rounding_unit(tensor.type))) votes.weight[static_cast<std::size_t>(*grid)] += 1;
  }
  double on_grid = 0;
  for (const double weight : votes.weight) on_grid += weight;
  if (votes.judged == 0 || on_grid * 2 <= votes.judged) return std::nullopt;
  const auto most = std::max_element(votes.weight.begin(), votes.weight.end()) - votes.weight.begin();
  return SourceQuantization{static_cast<TensorType>(most), false, {}};
}

}  // namespace retort
