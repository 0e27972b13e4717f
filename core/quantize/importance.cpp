#include "core/quantize/importance.h"

#include <algorithm>
#include <cmath>

namespace retort {
namespace {

// Sums the squares of what flows into the linears of the layers. Linears that share an input (queries, keys and values;
// gate and up) share its sums. The head is left out, as llama.cpp does: it stays at six or eight bits.
class Collector {
 public:
  explicit Collector(const Graph& graph) : graph_(graph), values_(graph.widths.size()) {}

  void add(const Node& node, std::span<const float> rows, std::int64_t tokens) {
    if (node.weight == kNoWeight || node.layer < 0 || node.inputs.empty() || tokens <= 0) return;
    const auto id = static_cast<std::size_t>(node.inputs.front());
    if (id >= values_.size()) return;
    names_.emplace(graph_.weights[static_cast<std::size_t>(node.weight)].name, id);
    Value& value = values_[id];
    if (value.from == &node || value.from == nullptr) {
      value.from = &node;   // the first reader of a value speaks for all
      sum(value, rows, tokens);
    }
  }

  // Names every weight's mean squares. Errors: kNonFinite.
  Result<ImportanceMatrix> finish() const {
    ImportanceMatrix matrix;
    for (const auto& [name, id] : names_) {
      const Value& value = values_[id];
      std::vector<float>& means = matrix.columns[name];
      means.reserve(value.squares.size());
      for (const double square : value.squares) {
        // Rounded as a file holds it, a sum and a count in f32, so that writing and reading changes nothing.
        const float mean = static_cast<float>(square) / static_cast<float>(value.tokens);
        if (!std::isfinite(mean)) {
          return Error{.code = ErrorCode::kNonFinite, .place = name + ", input", .expected = "finite activations"};
        }
        means.push_back(mean);
      }
    }
    return matrix;
  }

 private:
  struct Value {
    std::vector<double> squares;
    std::int64_t tokens = 0;
    const Node* from = nullptr;
  };

  // Token after token into one double per column: the same sums for any number of threads.
  static void sum(Value& value, std::span<const float> rows, std::int64_t tokens) {
    const std::size_t columns = rows.size() / static_cast<std::size_t>(tokens);
    value.squares.resize(columns);
    double* squares = value.squares.data();
    for (const float* row = rows.data(); row != rows.data() + columns * static_cast<std::size_t>(tokens); row += columns) {
      for (std::size_t i = 0; i < columns; ++i) {
        const double x = row[i];
        squares[i] += x * x;
      }
    }
    value.tokens += tokens;
  }

  const Graph& graph_;
  std::vector<Value> values_;
  std::map<std::string, std::size_t> names_;
};

}  // namespace

Result<ImportanceMatrix> collect_importance(std::shared_ptr<const Model> model, Backend& backend,
                                            std::span<const TokenId> tokens, std::int64_t context, std::int64_t max_chunks,
                                            const JobContext& job) {
  const std::int64_t whole = context > 0 ? static_cast<std::int64_t>(tokens.size()) / context : 0;
  const std::int64_t chunks = max_chunks > 0 ? std::min(whole, max_chunks) : whole;
  if (chunks < 1) {
    return Error{.code = ErrorCode::kBadData, .place = "calibration text",
                 .expected = "at least " + std::to_string(context) + " tokens", .found = std::to_string(tokens.size())};
  }
  RunOptions options;
  options.activations = kernels::Activations::kF32;
  options.context = context;
  options.batch = context;
  options.cache_f16 = false;
  options.plan = PlanKind::kTap;
  RETORT_TRY(auto session, backend.compile(model, options));

  Collector collector(model->graph);
  session->set_tap([&](const Node& node, std::span<const float> rows, std::int64_t count) {
    collector.add(node, rows, count);
  });
  const bool starts_with_bos = model->tokenizer != nullptr && model->tokenizer->adds_bos && model->tokenizer->bos;
  std::vector<TokenId> chunk(static_cast<std::size_t>(context));
  for (std::int64_t c = 0; c < chunks; ++c) {
    RETORT_CHECK(job.check("importance matrix"));
    const double total = static_cast<double>(chunks * context);
    job.report({static_cast<double>(c * context), total, "tokens", "importance matrix"});
    const auto part = tokens.subspan(static_cast<std::size_t>(c * context), static_cast<std::size_t>(context));
    std::copy(part.begin(), part.end(), chunk.begin());
    if (starts_with_bos) chunk.front() = *model->tokenizer->bos;   // in place of the first token, as llama.cpp does
    session->rewind(0);
    RETORT_CHECK(session->run(chunk, job));
    if (c + 1 == chunks) job.report({total, total, "tokens", "importance matrix"});
  }
  RETORT_TRY(auto matrix, collector.finish());
  matrix.chunks = chunks;
  matrix.tokens = chunks * context;
  return matrix;
}

Digest ImportanceMatrix::digest() const {
  DigestBuilder builder;
  builder.text("importance matrix").number(columns.size());
  for (const auto& [name, means] : columns) {
    builder.text(name).number(means.size()).raw(std::as_bytes(std::span(means)));
  }
  return builder.finish();
}

}  // namespace retort
