#include "core/study/budget.h"

#include <algorithm>
#include <cstring>
#include <queue>

#include <fmt/format.h>

#include "core/quantize/quantizer.h"

namespace retort {
namespace {

// What a matrix may become, smallest first.
constexpr TensorType kLadder[] = {TensorType::kQ2_K, TensorType::kQ3_K, TensorType::kQ4_0, TensorType::kQ4_K, TensorType::kQ5_0,
                                  TensorType::kQ5_K, TensorType::kQ5_1, TensorType::kQ6_K, TensorType::kQ8_0};
// Rows that an error is measured on: enough for two digits.
constexpr std::int64_t kSampleRows = 64, kSamplePieces = 8;

struct Option {
  TensorType type;
  std::uint64_t bytes;
  double damage;       // elements · (relative error)²
};

// The choices of one matrix that lie on the lower convex hull of bytes and damage: each step buys less than the one
// before, so the greedy order is right.
std::vector<Option> hull(std::vector<Option> choices) {
  std::sort(choices.begin(), choices.end(), [](const Option& a, const Option& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.damage < b.damage;
  });
  const auto slope = [](const Option& a, const Option& b) { return (a.damage - b.damage) / static_cast<double>(b.bytes - a.bytes); };
  std::vector<Option> kept;
  for (const Option& choice : choices) {
    if (!kept.empty() && (choice.bytes == kept.back().bytes || choice.damage >= kept.back().damage)) continue;
    while (kept.size() > 1 && slope(kept[kept.size() - 2], kept.back()) <= slope(kept.back(), choice)) kept.pop_back();
    kept.push_back(choice);
  }
  return kept;
}

// Pieces of rows from all over the matrix, back to back as stored.
std::vector<std::byte> sample_rows(const WeightHandle& weight, std::int64_t rows, std::int64_t columns, std::int64_t& taken) {
  const std::size_t row = kernels::row_bytes(weight.type, static_cast<std::size_t>(columns));
  std::vector<std::byte> sample;
  taken = 0;
  const std::int64_t pieces = rows <= kSampleRows ? 1 : kSamplePieces;
  const std::int64_t height = rows <= kSampleRows ? rows : kSampleRows / kSamplePieces;
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t first = pieces == 1 ? 0 : (rows - height) * piece / (pieces - 1);
    const auto part = weight.data.subspan(static_cast<std::size_t>(first) * row, static_cast<std::size_t>(height) * row);
    sample.insert(sample.end(), part.begin(), part.end());
    taken += height;
  }
  return sample;
}

struct Matrix {
  std::size_t weight;
  std::vector<Option> choices;   // on the hull
  std::size_t at = 0;
  double gain() const {
    const Option &now = choices[at], &next = choices[at + 1];
    return (now.damage - next.damage) / static_cast<double>(next.bytes - now.bytes);
  }
};

Result<Matrix> measure(const Model& model, std::size_t id, const ImportanceMatrix* importance, kernels::ThreadPool& pool,
                       const JobContext& job) {
  const WeightHandle& weight = model.weights[id];
  const std::string& name = model.graph.weights[id].name;
  const std::int64_t columns = weight.shape[1], rows = weight.shape[0];
  std::int64_t taken = 0;
  const std::vector<std::byte> sample = sample_rows(weight, rows, columns, taken);
  QuantizeRequest request{.source_type = weight.type, .source = sample, .rows = taken, .columns = columns, .importance = {}, .target_type = {}};
  if (importance)
    if (const auto found = importance->columns.find(name); found != importance->columns.end() && static_cast<std::int64_t>(found->second.size()) == columns)
      request.importance = found->second;
  const double elements = static_cast<double>(rows) * static_cast<double>(columns);
  std::vector<Option> choices;
  for (const TensorType type : kLadder) {
    if (columns % kernels::traits(type).block_size != 0 || !find_quantizer(type)) continue;
    request.target_type = type;
    RETORT_TRY(const QuantizedTensor made, quantize_tensor(request, name, pool, job));
    choices.push_back({type, static_cast<std::uint64_t>(rows) * kernels::row_bytes(type, static_cast<std::size_t>(columns)),
                       elements * made.stats.relative_error * made.stats.relative_error});
  }
  // As it is stored costs nothing but bytes.
  choices.push_back({weight.type, weight.data.size(), 0});
  return Matrix{id, hull(std::move(choices)), 0};
}

std::string exactly(const std::string& name) {
  std::string pattern = "^";
  for (const char c : name) pattern += c == '.' ? std::string("\\.") : std::string(1, c);
  return pattern + "$";
}

}  // namespace

Result<BudgetPlan> plan_budget(const Model& model, std::uint64_t budget, const ImportanceMatrix* importance,
                               const FileBytes& file_bytes, kernels::ThreadPool& pool, const JobContext& job) {
  std::vector<Matrix> matrices;
  for (std::size_t id = 0; id < model.weights.size(); ++id) {
    job.report({static_cast<double>(id), static_cast<double>(model.weights.size()), "tensors", "error of " + model.graph.weights[id].name});
    if (model.weights[id].shape.size() != 2) continue;
    RETORT_TRY(Matrix matrix, measure(model, id, importance, pool, job));
    matrices.push_back(std::move(matrix));
  }
  std::vector<TensorType> types;
  for (const WeightHandle& weight : model.weights) types.push_back(weight.type);
  for (const Matrix& matrix : matrices) types[matrix.weight] = matrix.choices.front().type;
  RETORT_TRY(std::uint64_t bytes, file_bytes(types));
  if (bytes > budget)
    return Error{.code = ErrorCode::kBadArgument, .place = "--budget-bytes", .expected = fmt::format("at least {} for this model", bytes),
                 .found = std::to_string(budget), .next_step = "raise the budget, or take a smaller model"};

  // Best buy first; what no longer fits is out for good, since everything only grows.
  const auto worse = [&](std::size_t a, std::size_t b) { return matrices[a].gain() < matrices[b].gain(); };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(worse)> queue(worse);
  for (std::size_t i = 0; i < matrices.size(); ++i)
    if (matrices[i].choices.size() > 1) queue.push(i);
  // Each tensor is padded to 32 bytes in the file.
  const auto padded = [](std::uint64_t size) { return (size + 31) / 32 * 32; };
  while (!queue.empty()) {
    Matrix& matrix = matrices[queue.top()];
    const std::size_t index = queue.top();
    queue.pop();
    const std::uint64_t more = padded(matrix.choices[matrix.at + 1].bytes) - padded(matrix.choices[matrix.at].bytes);
    if (bytes + more > budget) continue;
    bytes += more;
    ++matrix.at;
    if (matrix.at + 1 < matrix.choices.size()) queue.push(index);
  }
  BudgetPlan plan;
  for (const Matrix& matrix : matrices) {
    types[matrix.weight] = matrix.choices[matrix.at].type;
    plan.overrides.push_back({exactly(model.graph.weights[matrix.weight].name), types[matrix.weight]});
  }
  RETORT_TRY(plan.file_bytes, file_bytes(types));
  if (plan.file_bytes > budget)
    return Error{.code = ErrorCode::kInternal, .place = "--budget-bytes", .expected = fmt::format("at most {}", budget), .found = std::to_string(plan.file_bytes)};
  return plan;
}

}  // namespace retort
