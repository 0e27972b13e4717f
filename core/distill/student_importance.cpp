#include "core/distill/student_importance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "core/distill/student_sizes.h"
#include "core/distill/train_session.h"
#include "core/distill/width_groups.h"

namespace retort::distill {
namespace {

constexpr std::size_t kBatch = 8;

// f(session) after each forward pass over some of the examples.
template <class F>
Result<void> for_batches(TrainSession& session, std::span<const TrainingExample> examples, const JobContext& job, F&& f) {
  examples = examples.first(std::min(examples.size(), kImportanceExamples));
  for (std::size_t at = 0; at < examples.size(); at += kBatch) {
    Batch batch;
    for (const TrainingExample& example : examples.subspan(at, std::min(kBatch, examples.size() - at))) batch.add(example.ids);
    job.report({static_cast<double>(at), static_cast<double>(examples.size()), "examples", "what matters in the teacher"});
    RETORT_CHECK(session.forward(batch, job.with_progress({})));
    f();
  }
  return {};
}

// The state before and after each layer.
Result<std::vector<std::pair<ValueId, ValueId>>> layer_ends(const Model& model) {
  std::vector<std::pair<ValueId, ValueId>> ends(static_cast<std::size_t>(model.config.layers), {-1, -1});
  for (const Node& node : model.graph.nodes) {
    if (node.layer < 0 || node.layer >= model.config.layers || node.inputs.empty()) continue;
    auto& [first, last] = ends[static_cast<std::size_t>(node.layer)];
    if (first < 0) first = node.inputs[0];
    last = node.output;
  }
  for (const auto& [first, last] : ends)
    if (first < 0 || model.graph.widths[static_cast<std::size_t>(first)] != model.graph.widths[static_cast<std::size_t>(last)])
      return Error{.code = ErrorCode::kUnsupported, .place = "student.choice: importance", .expected = "layers that take and give a state of one width", .found = "others"};
  return ends;
}

double mean_cosine(std::span<const float> a, std::span<const float> b, std::size_t width, double& rows) {
  double sum = 0;
  for (std::size_t at = 0; at + width <= a.size(); at += width) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = at; i < at + width; ++i) {
      ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
      aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
      bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
    sum += ab / std::max(std::sqrt(aa * bb), 1e-30);
    ++rows;
  }
  return sum;
}

// A linear that reads a value which can be cut, and the value's place among a session's outputs.
struct Reader {
  const Node* node;
  std::size_t output;
  std::vector<double> squares{};   // Σ x² by column
};

class Narrowing {
 public:
  Narrowing(const Model& teacher, const StudentDesign& design) : teacher_(teacher), design_(design), widths_(find_widths(teacher)) {}

  Result<Model> run(std::span<const TrainingExample> examples, kernels::ThreadPool& pool, const JobContext& job) {
    auto checkpoint = std::make_shared<Cut>();
    checkpoint->checkpoint = *teacher_.checkpoint;
    checkpoint->base = teacher_.checkpoint;
    RETORT_CHECK(set_sizes(teacher_, design_, checkpoint->checkpoint));
    RETORT_TRY(parameters_, Parameters::from_model(teacher_, true, pool));
    RETORT_CHECK(choose(examples, pool, job));
    RETORT_CHECK(cut(*checkpoint));
    auto bound = bind_model(std::shared_ptr<const Checkpoint>(checkpoint, &checkpoint->checkpoint));
    if (bound.ok() || bound.error().code != ErrorCode::kBadShape) return bound;
    return Error{.code = ErrorCode::kUnsupported, .place = "student.heads, feed_forward, hidden", .expected = "an architecture whose configuration states these sizes by themselves",
                 .found = bound.error().place + ": " + bound.error().found + " instead of " + bound.error().expected};
  }

 private:
  // A checkpoint that owns what was cut.
  struct Cut {
    Checkpoint checkpoint;
    std::vector<std::vector<std::byte>> data;
    std::shared_ptr<const Checkpoint> base;   // of what wasn't
  };

  std::int64_t wanted(const WidthGroup& group) const {
    switch (group.kind) {
      case WidthKind::kHidden: return design_.hidden > 0 ? design_.hidden : group.units;
      case WidthKind::kFeedForward: return design_.feed_forward > 0 ? design_.feed_forward : group.units;
      case WidthKind::kHeads: return design_.heads > 0 ? design_.heads / (teacher_.config.heads / teacher_.config.kv_heads) : group.units;
      case WidthKind::kFixed: break;
    }
    return group.units;
  }

  Result<void> choose(std::span<const TrainingExample> examples, kernels::ThreadPool& pool, const JobContext& job) {
    std::vector<Reader> readers;
    std::vector<ValueId> outputs;
    for (const Node& node : teacher_.graph.nodes) {
      if (node.op != Op::kLinear) continue;
      const WidthUse use = widths_.values[static_cast<std::size_t>(node.inputs[0])];
      if (use.group < 0) continue;
      const WidthGroup& group = widths_.groups[static_cast<std::size_t>(use.group)];
      if (wanted(group) >= group.units) continue;
      auto place = std::find(outputs.begin(), outputs.end(), node.inputs[0]);
      if (place == outputs.end()) place = outputs.insert(place, node.inputs[0]);
      readers.push_back({&node, static_cast<std::size_t>(place - outputs.begin()),
                         std::vector<double>(static_cast<std::size_t>(teacher_.graph.widths[static_cast<std::size_t>(node.inputs[0])]), 0.0)});
    }
    if (readers.empty())
      return Error{.code = ErrorCode::kUnsupported, .place = "student.heads, feed_forward, hidden", .expected = "weights that can be cut", .found = "none in this architecture"};
    RETORT_TRY(const auto session, TrainSession::make(teacher_.graph, teacher_.config, parameters_, {.outputs = outputs, .trainable = {}, .backward = false}, pool));
    RETORT_CHECK(for_batches(*session, examples, job, [&] {
      for (Reader& reader : readers) {
        const std::span<const float> x = session->value(reader.output);
        for (std::size_t i = 0; i < x.size(); ++i) reader.squares[i % reader.squares.size()] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      }
    }));
    score(readers);
    return {};
  }

  void score(const std::vector<Reader>& readers) {
    std::vector<std::vector<double>> scores(widths_.groups.size());
    for (const Reader& reader : readers) {
      const WidthUse use = widths_.values[static_cast<std::size_t>(reader.node->inputs[0])];
      const auto units = static_cast<std::size_t>(widths_.groups[static_cast<std::size_t>(use.group)].units);
      const Parameter& weight = parameters_[static_cast<std::size_t>(reader.node->weight)];
      const std::size_t columns = reader.squares.size();
      std::vector<double> own(units, 0.0);
      for (std::size_t c = 0; c < columns; ++c) {
        double length = 0;
        for (std::size_t r = 0; r < weight.elements / columns; ++r) length += static_cast<double>(weight.data[r * columns + c]) * static_cast<double>(weight.data[r * columns + c]);
        own[c / static_cast<std::size_t>(use.width)] += reader.squares[c] * length;
      }
      for (double& x : own) x = std::sqrt(x);
      const double all = std::max(std::accumulate(own.begin(), own.end(), 0.0), 1e-300);
      auto& sum = scores[static_cast<std::size_t>(use.group)];
      sum.resize(units, 0.0);
      for (std::size_t u = 0; u < units; ++u) sum[u] += own[u] / all;
    }
    kept_.resize(widths_.groups.size());
    for (std::size_t g = 0; g < scores.size(); ++g) {
      if (scores[g].empty()) continue;
      std::vector<std::int64_t> order(scores[g].size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return scores[g][static_cast<std::size_t>(a)] > scores[g][static_cast<std::size_t>(b)]; });
      order.resize(static_cast<std::size_t>(wanted(widths_.groups[g])));
      std::sort(order.begin(), order.end());
      kept_[g] = std::move(order);
    }
  }

  // The indices of an axis that stay; empty: all.
  std::vector<std::size_t> indices(const WidthUse& use) const {
    std::vector<std::size_t> out;
    if (use.group < 0) return out;
    for (const std::int64_t unit : kept_[static_cast<std::size_t>(use.group)])
      for (std::int64_t i = 0; i < use.width; ++i) out.push_back(static_cast<std::size_t>(unit * use.width + i));
    return out;
  }

  Result<void> cut(Cut& out) {
    std::map<std::string, std::size_t> places;
    for (std::size_t i = 0; i < out.checkpoint.tensors.size(); ++i) places[out.checkpoint.tensors[i].name] = i;
    for (std::size_t id = 0; id < teacher_.graph.weights.size(); ++id) {
      const WeightSpec& spec = teacher_.graph.weights[id];
      const auto place = places.find(spec.source_name);
      const std::vector<std::size_t> rows = indices(widths_.weights[id][0]), columns = indices(widths_.weights[id][1]);
      if (place == places.end() || (rows.empty() && columns.empty())) continue;
      Parameter smaller{.name = spec.name, .source_name = spec.source_name, .shape = spec.shape};
      if (!rows.empty()) smaller.shape[0] = static_cast<std::int64_t>(rows.size());
      if (!columns.empty()) smaller.shape[1] = static_cast<std::int64_t>(columns.size());
      RETORT_CHECK(gather(parameters_[id], rows, columns, smaller));
      TensorEntry& tensor = out.checkpoint.tensors[place->second];
      tensor.type = written_student_type("source", tensor.coded ? TensorType::kF16 : tensor.type, smaller.shape.size());
      tensor.coded = nullptr;
      tensor.shape = smaller.shape;
      if (spec.stored == Stored::kTransposed) std::reverse(tensor.shape.begin(), tensor.shape.end());
      RETORT_TRY(std::vector<std::byte> data, packed_parameter(smaller, tensor.type, spec.stored));
      out.data.push_back(std::move(data));
      tensor.data = out.data.back();   // moving the list's vectors leaves their data where they are
    }
    return {};
  }

  static Result<void> gather(const Parameter& from, const std::vector<std::size_t>& rows, const std::vector<std::size_t>& columns, Parameter& to) {
    const std::size_t width = from.shape.size() == 2 ? static_cast<std::size_t>(from.shape[1]) : 1;
    const std::size_t new_rows = rows.empty() ? static_cast<std::size_t>(from.shape[0]) : rows.size(), new_width = columns.empty() ? width : columns.size();
    to.elements = new_rows * new_width;
    RETORT_TRY(to.master, AlignedBuffer::allocate(to.elements * sizeof(float), to.name));
    for (std::size_t r = 0; r < new_rows; ++r)
      for (std::size_t c = 0; c < new_width; ++c)
        to.value()[r * new_width + c] = from.data[(rows.empty() ? r : rows[r]) * width + (columns.empty() ? c : columns[c])];
    to.data = to.value();
    return {};
  }

  const Model& teacher_;
  const StudentDesign& design_;
  Widths widths_;
  Parameters parameters_;
  std::vector<std::vector<std::int64_t>> kept_;
};

}  // namespace

Result<std::vector<double>> layer_influence(const Model& teacher, std::span<const TrainingExample> examples, kernels::ThreadPool& pool, const JobContext& job) {
  RETORT_TRY(const auto ends, layer_ends(teacher));
  std::vector<ValueId> outputs;
  const auto place = [&](ValueId v) {
    const auto found = std::find(outputs.begin(), outputs.end(), v);
    if (found != outputs.end()) return static_cast<std::size_t>(found - outputs.begin());
    outputs.push_back(v);
    return outputs.size() - 1;
  };
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (const auto& [first, last] : ends) {
    const std::size_t before = place(first);
    places.emplace_back(before, place(last));
  }
  RETORT_TRY(Parameters parameters, Parameters::from_model(teacher, true, pool));
  RETORT_TRY(const auto session, TrainSession::make(teacher.graph, teacher.config, parameters, {.outputs = outputs, .trainable = {}, .backward = false}, pool));
  std::vector<double> cosine(places.size(), 0.0), rows(places.size(), 0.0);
  RETORT_CHECK(for_batches(*session, examples, job, [&] {
    for (std::size_t l = 0; l < places.size(); ++l)
      cosine[l] += mean_cosine(session->value(places[l].first), session->value(places[l].second),
                               static_cast<std::size_t>(teacher.graph.widths[static_cast<std::size_t>(ends[l].first)]), rows[l]);
  }));
  for (std::size_t l = 0; l < cosine.size(); ++l) cosine[l] = 1 - cosine[l] / std::max(rows[l], 1.0);
  return cosine;
}

Result<std::vector<std::int64_t>> measured_layers(const StudentDesign& design, const Model& teacher, std::span<const TrainingExample> examples,
                                                  kernels::ThreadPool& pool, const JobContext& job) {
  if (design.choice != LayerChoice::kImportance || !design.kept.empty()) return kept_layers(design, teacher.config.layers);
  RETORT_CHECK(kept_layers(design, teacher.config.layers));
  RETORT_TRY(const std::vector<double> influence, layer_influence(teacher, examples, pool, job));
  std::vector<std::int64_t> order(influence.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return influence[static_cast<std::size_t>(a)] > influence[static_cast<std::size_t>(b)]; });
  order.resize(static_cast<std::size_t>(design.layers));
  std::sort(order.begin(), order.end());
  return order;
}

Result<Model> narrow(const Model& teacher, const StudentDesign& design, std::span<const TrainingExample> examples, kernels::ThreadPool& pool, const JobContext& job) {
  return Narrowing(teacher, design).run(examples, pool, job);
}

}  // namespace retort::distill
