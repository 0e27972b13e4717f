#include "core/onnx/compare.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>

#include "core/base/files.h"
#include "core/evaluate/statistics.h"
#include "core/onnx/summary.h"
#include "core/onnx/value_files.h"

namespace retort::onnx {
namespace {

constexpr std::size_t kMostJudged = 6;   // sets of inputs that nodes are judged by: each costs a run for every node

Share share_of(std::int64_t some, std::int64_t all) {
  const Figure figure = wilson(some, all);
  return {figure.value, figure.low, figure.high};
}

Paired paired(std::span<const double> own, std::span<const double> reference) {
  const Comparison compared = compare_rows(own, reference, false, 1);
  return {compared.difference, compared.low, compared.high, compared.verdict == Verdict::kBetter, compared.verdict == Verdict::kWorse};
}

std::size_t row_length(const Tensor& value) noexcept { return value.rank() == 0 ? 1 : static_cast<std::size_t>(value.shape().back()); }

std::ptrdiff_t answer_of(std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

// One graph at work.
struct Running {
  std::unique_ptr<Session> session;
  std::vector<Session::Values> sets;
  std::vector<Session::Values> outputs;   // of each set, from the first round
};

Result<Running> start(const GraphToCompare& graph, const std::filesystem::path& data, const SessionOptions& options) {
  Running out;
  RETORT_TRY(out.session, Session::make(graph.file, options));
  RETORT_TRY(out.sets, read_value_sets(*out.session, data));
  return out;
}

std::uint64_t file_bytes(const OnnxFile& file) {
  std::uint64_t sum = 0;
  for (const auto& part : file.files) sum += part->bytes().size();
  return sum;
}

std::vector<OutputDifference> differences(const Running& reference, const Running& own) {
  std::vector<OutputDifference> out;
  if (reference.outputs.empty()) return out;
  for (const auto& [name, first] : reference.outputs.front()) {
    if (first.type() != ElementType::kFloat) continue;
    OutputDifference difference(name);
    bool comparable = true;
    for (std::size_t set = 0; set < reference.outputs.size() && comparable; ++set) {
      const auto mine = own.outputs[set].find(name);
      const Tensor& theirs = reference.outputs[set].at(name);
      comparable = mine != own.outputs[set].end() && mine->second.type() == ElementType::kFloat && mine->second.shape() == theirs.shape();
      if (comparable) difference.add(theirs, mine->second);
    }
    if (comparable) out.push_back(std::move(difference));
  }
  return out;
}

// The first output with a row for each label, in every set.
Result<Answers> answers_of(const Running& own, const std::vector<std::vector<std::int64_t>>& labels) {
  for (const auto& [name, first] : own.outputs.front()) {
    Answers out{.output = name, .accuracy = {}, .right = {}, .against = {}};
    bool fits = first.type() == ElementType::kFloat;
    for (std::size_t set = 0; set < labels.size() && fits; ++set) {
      const auto value = own.outputs[set].find(name);
      fits = value != own.outputs[set].end() && value->second.type() == ElementType::kFloat && row_length(value->second) > 1 &&
             static_cast<std::size_t>(value->second.elements()) == labels[set].size() * row_length(value->second);
      if (!fits) break;
      const std::size_t n = row_length(value->second);
      const auto values = value->second.values<float>();
      for (std::size_t row = 0; row < labels[set].size(); ++row) out.right.push_back(answer_of(values.subspan(row * n, n)) == labels[set][row] ? 1 : 0);
    }
    if (!fits || out.right.empty()) continue;
    out.accuracy = share_of(std::count(out.right.begin(), out.right.end(), 1.0), static_cast<std::int64_t>(out.right.size()));
    return out;
  }
  return Error{.code = ErrorCode::kBadShape, .place = "label", .expected = "an f32 output with a row for each label", .found = "none"};
}

Result<void> run_rounds(std::span<Running> all, std::span<GraphFigures> figures, int rounds, const JobContext& job) {
  const std::size_t sets = all.front().sets.size();
  const double total = static_cast<double>(static_cast<std::size_t>(rounds) * sets * all.size());
  double done = 0;
  for (int round = 0; round < rounds; ++round)
    for (std::size_t set = 0; set < sets; ++set)
      for (std::size_t i = 0; i < all.size(); ++i) {
        RETORT_CHECK(job.check(figures[i].name));
        job.report({done++, total, "runs", figures[i].name});
        const auto began = std::chrono::steady_clock::now();
        RETORT_TRY(Session::Values outputs, all[i].session->run(all[i].sets[set], job.with_progress({})));
        figures[i].seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
        if (round == 0) all[i].outputs.push_back(std::move(outputs));
      }
  return {};
}

Result<GraphToCompare> written(const std::filesystem::path& path, std::string name, const std::string& bytes) {
  RETORT_CHECK(write_text_file(path, bytes));
  RETORT_TRY(auto file, open_onnx(path));
  return GraphToCompare{std::move(name), std::move(file)};
}

}  // namespace

void OutputDifference::add(const Tensor& reference, const Tensor& own) {
  const auto a = reference.values<float>(), b = own.values<float>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    worst_ = std::max(worst_, std::abs(x - y));
    greatest_ = std::max(greatest_, std::abs(x));
    squares_ += (x - y) * (x - y);
    reference_squares_ += x * x;
    own_squares_ += y * y;
    product_ += x * y;
  }
  const std::size_t n = row_length(reference);
  for (std::size_t i = 0; n > 1 && i + n <= a.size(); i += n) {
    ++rows_;
    same_ += answer_of(a.subspan(i, n)) == answer_of(b.subspan(i, n));
  }
}

double OutputDifference::relative_worst() const noexcept { return greatest_ > 0 ? worst_ / greatest_ : worst_; }
double OutputDifference::relative_rms() const noexcept { return reference_squares_ > 0 ? std::sqrt(squares_ / reference_squares_) : std::sqrt(squares_); }
Share OutputDifference::agreement() const { return share_of(same_, rows_); }
const OutputDifference* GraphFigures::output(std::string_view output_name) const noexcept {
  const auto found = std::find_if(outputs.begin(), outputs.end(), [&](const OutputDifference& own) { return own.name() == output_name; });
  return found == outputs.end() ? nullptr : &*found;
}

double median(std::span<const double> ascending) { return quantile(ascending, 0.5); }
double within_95(std::span<const double> ascending) { return quantile(ascending, 0.95); }
double OutputDifference::cosine() const noexcept {
  return reference_squares_ > 0 && own_squares_ > 0 ? product_ / std::sqrt(reference_squares_ * own_squares_) : 1;
}

Result<std::vector<GraphFigures>> compare_graphs(std::span<const GraphToCompare> graphs, const std::filesystem::path& data, int rounds,
                                                 const SessionOptions& options, const JobContext& job) {
  std::vector<Running> all;
  std::vector<GraphFigures> figures;
  for (const GraphToCompare& graph : graphs) {
    RETORT_TRY(Running running, start(graph, data, options));
    all.push_back(std::move(running));
    const Summary summary = summarise(*graph.file);
    GraphFigures& own = figures.emplace_back();
    own.name = graph.name;
    own.file_bytes = file_bytes(*graph.file);
    own.weight_bytes = summary.bytes;
    own.parameters = summary.parameters;
    own.quantized = summary.quantized;
  }
  if (all.empty()) return figures;
  RETORT_TRY(const auto labels, read_labels(data, all.front().sets.size()));
  RETORT_CHECK(run_rounds(all, figures, std::max(rounds, 1), job));
  for (std::size_t i = 0; i < all.size(); ++i) {
    GraphFigures& own = figures[i];
    for (const double seconds : own.seconds) own.total_seconds += seconds;
    std::sort(own.seconds.begin(), own.seconds.end());
    own.value_bytes = all[i].session->peak_bytes();
    if (i > 0) own.outputs = differences(all.front(), all[i]);
    if (labels.empty()) continue;
    RETORT_TRY(own.answers, answers_of(all[i], labels));
    const auto& first = figures.front().answers->right;
    if (i > 0 && first.size() == own.answers->right.size()) own.answers->against = paired(own.answers->right, first);
  }
  return figures;
}

Result<Int8Plan> plan_int8(Session& session, std::span<const Session::Values> sets, const Int8Options& options, const JobContext& job) {
  Int8Plan plan;
  Calibrator calibrator(session);
  RETORT_CHECK(calibrator.observe(sets, job));
  plan.ranges = calibrator.ranges(options.ranges);
  RETORT_TRY(plan.biases, corrected_biases(session, plan.ranges, sets, job));
  RETORT_TRY(plan.sensitivity, measure_sensitivity(session, plan.ranges, plan.biases, sets.first(std::min(sets.size(), kMostJudged)), options.most_error,
                                                   options.most_f32, job));
  return plan;
}

Result<Int8Variants> make_int8_variants(const std::filesystem::path& path, const std::filesystem::path& calibration, const std::filesystem::path& folder,
                                        const Int8Options& options, const SessionOptions& session_options, const JobContext& job) {
  RETORT_TRY(const auto file, open_onnx(path));
  RETORT_TRY(const auto session, Session::make(file, session_options));
  RETORT_TRY(const auto sets, read_value_sets(*session, calibration));
  RETORT_TRY(Int8Plan plan, plan_int8(*session, sets, options, job));
  RETORT_TRY(const QuantizedGraph all, quantize_graph(session->plan(), plan.ranges, {}, plan.biases));
  if (all.nodes == 0)
    return Error{.code = ErrorCode::kUnsupported, .file = path.string(), .expected = "Conv, MatMul or Gemm with constant f32 weights", .found = "none"};
  Int8Variants out;
  const std::string stem = path.stem().string();
  out.graphs.push_back({"f32", file});
  RETORT_TRY(out.graphs.emplace_back(), written(folder / (stem + ".int8.onnx"), "INT8", all.bytes));
  if (const NodeSet kept = plan.sensitivity.kept(); !kept.empty()) {
    RETORT_TRY(const QuantizedGraph mixed, quantize_graph(session->plan(), plan.ranges, kept, plan.biases));
    RETORT_TRY(out.graphs.emplace_back(), written(folder / (stem + ".mixed.onnx"), fmt::format("INT8, {} nodes f32", kept.size()), mixed.bytes));
  }
  out.sensitivity = std::move(plan.sensitivity);
  return out;
}

}  // namespace retort::onnx
