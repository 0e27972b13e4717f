// Several graphs on the same inputs, side by side: how far the outputs and answers of each are from the first one's, how many
// answers are right, how long a run takes, what it weighs. And the graphs that static quantization makes of one, to compare.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/onnx/quantize.h"
#include "core/onnx/session.h"

namespace retort::onnx {

// A share with its 95 % interval (Wilson).
struct Share {
  double value = 0, low = 0, high = 0;
};

// How one f32 output differs from the reference's, over all sets of inputs.
class OutputDifference {
 public:
  explicit OutputDifference(std::string name) : name_(std::move(name)) {}
  void add(const Tensor& reference, const Tensor& own);

  const std::string& name() const noexcept { return name_; }
  double relative_worst() const noexcept;   // the largest difference over the reference's greatest magnitude
  double relative_rms() const noexcept;     // both as root mean squares
  double cosine() const noexcept;
  // Answers: rows along the last axis whose greatest value stands at the same place.
  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t same() const noexcept { return same_; }
  Share agreement() const;

 private:
  std::string name_;
  double worst_ = 0, greatest_ = 0, squares_ = 0, reference_squares_ = 0, product_ = 0, own_squares_ = 0;
  std::int64_t rows_ = 0, same_ = 0;
};

// Right answers against another graph's on the same rows: neither better nor worse is "can't be told apart".
struct Paired {
  double difference = 0, low = 0, high = 0;
  bool better = false, worse = false;
};

// Answers of the first f32 output that has a row for each label.
struct Answers {
  std::string output;
  Share accuracy;
  std::vector<double> right;           // 1 or 0 of each row
  std::optional<Paired> against;       // the first graph on the same rows; none for the first itself
};

struct GraphFigures {
  std::string name;
  std::uint64_t file_bytes = 0, weight_bytes = 0, parameters = 0;
  bool quantized = false;              // 8-bit values, which are expanded to f32 for computing: speed isn't that of integers
  std::uint64_t value_bytes = 0;       // the most that values and prepared weights took
  std::vector<double> seconds;         // of every run, ascending
  double total_seconds = 0;
  std::vector<OutputDifference> outputs;   // by name; none for the first graph
  std::optional<Answers> answers;
  const OutputDifference* output(std::string_view output_name) const noexcept;   // null: none of that name
};

// `ascending` is not empty.
double median(std::span<const double> ascending);
double within_95(std::span<const double> ascending);   // of 100

struct GraphToCompare {
  std::string name;
  std::shared_ptr<const OnnxFile> file;
};
// Runs the sets of inputs in `data` (value_files.h) through every graph, in turn, `rounds` times; the first graph is the reference.
// Errors: those of making a session, reading the data and running; kBadShape (labels that fit no output), kCanceled.
Result<std::vector<GraphFigures>> compare_graphs(std::span<const GraphToCompare> graphs, const std::filesystem::path& data, int rounds,
                                                 const SessionOptions& options, const JobContext& job);

struct Int8Options {
  RangeMethod ranges = RangeMethod::kMse;
  double most_error = 0.05, most_f32 = 0.1;   // measure_sensitivity's
};
// All that calibration tells: with it quantize_graph writes any mix.
struct Int8Plan {
  Ranges ranges;
  Biases biases;
  SensitivityReport sensitivity;
};
// Errors: those of a run, kNonFinite (a weight), kCanceled.
Result<Int8Plan> plan_int8(Session& session, std::span<const Session::Values> sets, const Int8Options& options, const JobContext& job);

// The graph itself, all of it in INT8, and the mix with nodes in f32 where there is one; what is made is written into `folder` as
// NAME.int8.onnx and NAME.mixed.onnx and read back. Errors: those of plan_int8, quantize_graph and of writing; kUnsupported
// (nothing to quantize).
struct Int8Variants {
  std::vector<GraphToCompare> graphs;
  SensitivityReport sensitivity;
};
Result<Int8Variants> make_int8_variants(const std::filesystem::path& path, const std::filesystem::path& calibration, const std::filesystem::path& folder,
                                        const Int8Options& options, const SessionOptions& session_options, const JobContext& job);

}  // namespace retort::onnx
