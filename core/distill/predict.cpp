#include "core/distill/predict.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "core/distill/predict_rates.h"
#include "core/distill/train_plan.h"
#include "core/formats/shape.h"
#include "core/model/backend.h"

namespace retort::distill {
namespace {

constexpr double kBytesPerToken = 4.2;          // of English text with vocabularies of 30,000 pieces and more
constexpr std::int64_t kInferenceContext = 512;

// How long the examples are and how many.
struct Lengths {
  double tokens = 0;        // of one example, in the mean
  double examples = 0;      // 0: unknown
};

Lengths lengths_of(const DataPlan& data, bool labelled) {
  const std::filesystem::path& path = data.train.empty() ? data.unlabelled : data.train;
  const auto longest = static_cast<double>(labelled ? data.max_tokens : data.context);
  Lengths out{.tokens = longest};
  std::error_code failed;
  const auto size = static_cast<double>(std::filesystem::is_regular_file(path, failed) ? std::filesystem::file_size(path, failed) : 0);
  if (failed || size <= 0) return out;
  if (!labelled) {
    out.examples = std::max(1.0, size / kBytesPerToken / longest);
    return out;
  }
  std::string head(64 << 10, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  const double lines = std::max<double>(1, static_cast<double>(std::count(head.begin(), head.end(), '\n')));
  constexpr double kFrame = 26;   // {"text": "", "label": 0} and the line's end
  const double mean = static_cast<double>(head.size()) / lines;
  out.tokens = std::min(longest, 2 + std::max(1.0, mean - kFrame) / kBytesPerToken);
  out.examples = size / mean;
  if (data.most_examples > 0 && data.unlabelled.empty()) out.examples = std::min(out.examples, static_cast<double>(data.most_examples));
  return out;
}

// Operations of a graph for one token (forward), and what isn't linear.
struct Work {
  double linear = 0, attention = 0, head = 0;    // operations, 2 for a multiply-add; head: of the vocabulary
};

Work work_of(const Graph& graph, double length) {
  Work work;
  bool pooled = false;   // from here on rows are sequences
  for (const Node& node : graph.nodes) {
    pooled = pooled || node.op == Op::kPool;
    if (node.op == Op::kAttention) {
      const double seen = node.causal ? length / 2 : length;
      work.attention += 4 * seen * static_cast<double>(graph.widths[static_cast<std::size_t>(node.output)]);
    }
    if (node.op != Op::kLinear) continue;
    const auto& shape = graph.weights[static_cast<std::size_t>(node.weight)].shape;
    const double operations = 2 * static_cast<double>(shape[0]) * static_cast<double>(shape[1]);
    const bool by_sequence = pooled && node.layer < 0;
    (node.output == graph.logits && !by_sequence ? work.head : work.linear) += by_sequence ? operations / std::max(1.0, length) : operations;
  }
  return work;
}

// Values that row-wise instructions of a plan write, per token.
double row_values(const Graph& graph, const TrainPlan& plan) {
  double sum = 0;
  for (const Instruction& step : plan.instructions) {
    const bool linear = step.node >= 0 && (graph.nodes[static_cast<std::size_t>(step.node)].op == Op::kLinear || graph.nodes[static_cast<std::size_t>(step.node)].op == Op::kAttention);
    if (linear) continue;
    const auto add = [&](BufferId id) {
      if (id != kNoBuffer && !plan.buffers[static_cast<std::size_t>(id)].per_sequence) sum += static_cast<double>(plan.buffers[static_cast<std::size_t>(id)].width);
    };
    add(step.out);
    for (const BufferId id : step.d_in) add(id);
  }
  return sum;
}

// What the losses read: the logits, or the state before a vocabulary's head.
ValueId answer_of(const Graph& graph) {
  if (graph.head == HeadKind::kSequenceLabels) return graph.logits;
  for (const Node& node : graph.nodes)
    if (node.output == graph.logits && node.op == Op::kLinear) return node.inputs[0];
  return graph.hidden;
}

Result<TrainPlan> plan_of(const Graph& graph, bool backward, bool recompute) {
  TrainPlanOptions options{.outputs = {answer_of(graph)}, .trainable = std::vector<bool>(graph.weights.size(), true), .backward = backward, .padding = -1, .recompute = recompute};
  return make_train_plan(graph, options);
}

std::uint64_t activation_bytes(const TrainPlan& plan, double tokens, std::int64_t sequences) {
  return sizeof(float) * lay_out(plan, static_cast<std::int64_t>(std::ceil(tokens)), sequences).back();
}

class Predictor {
 public:
  Predictor(const Model& teacher, const Model& student, const DistillRecipe& recipe, int threads)
      : teacher_(teacher), student_(student), recipe_(recipe), threads_(threads), rates_(training_rates(threads)),
        labelled_(student.graph.head == HeadKind::kSequenceLabels), lengths_(lengths_of(recipe.data, labelled_)) {}

  Result<StudentPrediction> run() {
    RETORT_CHECK(size());
    RETORT_CHECK(inference());
    RETORT_CHECK(training());
    return out_;
  }

 private:
  Result<void> size() {
    out_.parameters = student_.parameters();
    const TrainStage* const stage = packing_stage(recipe_);
    if (stage) RETORT_CHECK(check_packed(student_, *stage));
    RETORT_TRY(out_.bytes, stage ? predict_packed_bytes(student_, *stage) : predict_student_bytes(student_, recipe_.type));
    return {};
  }

  // What inference computes with: the type of most weights, the bytes of all, and of those that linears read.
  struct Weights {
    TensorType type = TensorType::kF32;
    std::uint64_t bytes = 0, read = 0;
  };
  Result<Weights> weights() const {
    const TrainStage* const stage = packing_stage(recipe_);
    std::map<WeightId, WeightForm> forms;
    if (stage) {
      RETORT_TRY(const auto list, weight_forms(student_, *stage, stage->importance));
      for (const WeightForm& form : list) forms[form.id] = form;
    }
    std::set<WeightId> multiplied;
    for (const Node& node : student_.graph.nodes)
      if (node.op == Op::kLinear) multiplied.insert(node.weight);
    Weights out;
    std::map<TensorType, std::uint64_t> elements;
    for (std::size_t id = 0; id < student_.weights.size(); ++id) {
      const auto& shape = student_.graph.weights[id].shape;
      const auto count = static_cast<std::uint64_t>(shape_elements(shape));
      const auto form = forms.find(static_cast<WeightId>(id));
      const bool grid = form != forms.end() && form->second.grid;
      TensorType type = form != forms.end() ? form->second.type : written_student_type(recipe_.type, student_.weights[id].type, shape.size());
      if (grid) type = TensorType::kF32;   // decoded by rectangles and multiplied in f32
      const std::uint64_t bytes = grid ? grid_bytes(shape[0], shape[1], *form->second.grid, form->second.group)
                                       : count / kernels::traits(type).block_size * kernels::traits(type).block_bytes;
      out.bytes += bytes;
      if (multiplied.contains(static_cast<WeightId>(id))) out.read += bytes;
      if (shape.size() == 2) elements[type] += count;
    }
    const auto most = std::max_element(elements.begin(), elements.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most != elements.end()) out.type = most->first;
    return out;
  }

  Result<void> inference() {
    RETORT_TRY(const Weights held, weights());
    const bool causal = student_.graph.causal;
    RunOptions run;
    run.context = student_.config.context > 0 ? std::min(kInferenceContext, student_.config.context) : kInferenceContext;
    run.batch = std::min(run.batch, run.context);
    RETORT_TRY(const auto backend, make_backend("cpu", threads_));
    const MemoryByPart parts = backend->predict_memory(student_, run);
    out_.memory = held.bytes + parts.kv_cache + parts.work_space;
    // A vocabulary's head runs for the last token of a prompt only.
    const Work work = work_of(student_.graph, static_cast<double>(causal ? run.context : std::min<std::int64_t>(run.context, 64)));
    const double values = row_values(student_.graph, inference_plan()), rate = linear_rate(held.type, threads_);
    out_.tokens_per_second = 1 / (work.linear / rate + work.attention / rates_.matmul + values / rates_.elements);
    // A text of a classifier is one pass over its tokens; a token of a language model reads every weight once, its head's too.
    const Work one = work_of(student_.graph, lengths_.tokens);
    if (causal) out_.latency_seconds = static_cast<double>(held.read) / read_rate(threads_) + (one.linear + one.head) / rate;
    else out_.latency_seconds = std::min(lengths_.tokens, 64.0) * (one.linear / rate + one.attention / rates_.matmul + values / rates_.elements);
    return {};
  }

  TrainPlan inference_plan() const {
    auto plan = plan_of(student_.graph, false, false);
    return plan.ok() ? std::move(plan).value() : TrainPlan();
  }

  Result<void> training() {
    RETORT_TRY(const TrainPlan plan, plan_of(student_.graph, true, recipe_.training.recompute));
    const double tokens = static_cast<double>(recipe_.training.batch) * lengths_.tokens;
    const bool asks = recipe_.loss.needs_teacher(), cached = asks && labelled_ && !recipe_.loss.features();
    const Work mine = work_of(student_.graph, lengths_.tokens), theirs = work_of(teacher_.graph, lengths_.tokens);
    RETORT_TRY(const TrainPlan teacher_plan, plan_of(teacher_.graph, false, false));
    const double forward = (mine.linear + mine.attention + mine.head) / training_rates(threads_, recipe_.training.compute).matmul;
    const double teacher = ((theirs.linear + theirs.attention + theirs.head) / rates_.matmul + row_values(teacher_.graph, teacher_plan) / rates_.elements);
    const double again = recipe_.training.recompute ? 4 : 3;   // forward, its gradients of inputs and of weights
    const double pass = tokens * (again * forward + row_values(student_.graph, plan) / rates_.elements);
    const auto accumulate = static_cast<double>(recipe_.training.accumulate);
    double first = 0;
    const double distinct = lengths_.examples * lengths_.tokens;   // a cached teacher reads each text once
    double unread = cached && distinct > 0 ? distinct : HUGE_VAL;
    for (const TrainStage& stage : recipe_.stages) {
      if (stage.kind == StageKind::kQuantize) continue;
      const double steps = steps_of(plan_of_stage(recipe_.training, stage));
      const double read = asks ? std::min(steps * accumulate * tokens, cached ? unread : HUGE_VAL) : 0;
      if (cached) unread -= read;
      double step = accumulate * pass + static_cast<double>(out_.parameters) / rates_.parameters;
      RETORT_TRY(const double packing, stage.kind == StageKind::kQat ? packing_seconds(stage) : Result<double>(0.0));
      step += packing;
      out_.training_seconds += steps * step + read * teacher;
      if (first == 0) first = step + (asks && !cached ? accumulate * tokens * teacher : steps > 0 ? read * teacher / steps : 0);
    }
    out_.seconds_per_step = first;
    memory(plan, teacher_plan, tokens, asks);
    return {};
  }

  Result<double> packing_seconds(const TrainStage& stage) const {
    RETORT_TRY(const auto forms, weight_forms(student_, stage, stage.importance));
    double seconds = 0;
    for (const WeightForm& form : forms) {
      const auto& shape = student_.graph.weights[static_cast<std::size_t>(form.id)].shape;
      const double count = static_cast<double>(shape[0]) * static_cast<double>(shape[1]);
      seconds += count / (form.grid ? packing_rate(*form.grid, threads_) : packing_rate(form.type, threads_));
    }
    return seconds;
  }

  double steps_of(const TrainingPlan& plan) const {
    if (plan.steps > 0) return static_cast<double>(plan.steps);
    return std::ceil(plan.epochs * std::max(1.0, lengths_.examples) / static_cast<double>(plan.batch * plan.accumulate));
  }

  void memory(const TrainPlan& plan, const TrainPlan& teacher_plan, double tokens, bool asks) {
    const auto parameters = static_cast<std::uint64_t>(out_.parameters);
    out_.training_memory = 16 * parameters + activation_bytes(plan, tokens, recipe_.training.batch);   // weights, gradients, two moments
    if (packing_stage(recipe_)) out_.training_memory += 5 * parameters;                                // decoded, and codes
    if (!labelled_) {   // tiles of the vocabulary's logits: student, teacher, gradient
      constexpr std::uint64_t kTileRows = 192;
      out_.training_memory += 3 * kTileRows * static_cast<std::uint64_t>(student_.graph.outputs()) * sizeof(float);
    }
    if (!asks) return;
    for (std::size_t id = 0; id < teacher_.weights.size(); ++id) {
      std::uint64_t count = sizeof(float);
      for (const std::int64_t size : teacher_.graph.weights[id].shape) count *= static_cast<std::uint64_t>(size);
      out_.training_memory += count;
    }
    out_.training_memory += activation_bytes(teacher_plan, tokens, recipe_.training.batch);
  }

  const Model &teacher_, &student_;
  const DistillRecipe& recipe_;
  int threads_;
  TrainingRates rates_;
  bool labelled_;
  Lengths lengths_;
  StudentPrediction out_;
};

}  // namespace

Result<StudentPrediction> predict_student(const Model& teacher, const DistillRecipe& recipe, int threads) {
  RETORT_TRY(const Model student, shape_student(teacher, recipe.student, recipe.student.trim_positions ? recipe.data.max_tokens : 0));
  return Predictor(teacher, student, recipe, threads).run();
}

}  // namespace retort::distill
