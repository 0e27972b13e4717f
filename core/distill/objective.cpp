#include "core/distill/objective.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace retort::distill {
namespace {

// The node that makes the vocabulary's logits; null when the plan has the logits itself.
const Node* head_of(const Graph& graph, const TrainPlan& plan) {
  return plan.head < 0 ? nullptr : &graph.nodes[static_cast<std::size_t>(plan.head)];
}

// What the logits are made from (a decoder), or the logits (a classifier).
Result<ValueId> answer_of(const Model& model, bool classifies) {
  if (classifies) return model.graph.logits;
  for (const Node& node : model.graph.nodes)
    if (node.output == model.graph.logits && node.op == Op::kLinear) return node.inputs[0];
  return Error{.code = ErrorCode::kUnsupported, .place = model.config.architecture, .expected = "a model whose logits are a linear's",
               .found = "another head", .next_step = "take another teacher"};
}

// The last value of a layer and its attention node.
struct LayerValues {
  ValueId last = -1;
  const Node* attention = nullptr;
};

LayerValues values_of(const Graph& graph, std::int32_t layer) {
  LayerValues out;
  for (const Node& node : graph.nodes) {
    if (node.layer != layer) continue;
    out.last = node.output;
    if (node.op == Op::kAttention) out.attention = &node;
  }
  return out;
}

std::size_t place(std::vector<ValueId>& outputs, ValueId v) {
  const auto found = std::find(outputs.begin(), outputs.end(), v);
  if (found != outputs.end()) return static_cast<std::size_t>(found - outputs.begin());
  outputs.push_back(v);
  return outputs.size() - 1;
}

Error unlike(const char* what, std::int64_t mine, std::int64_t theirs) {
  return Error{.code = ErrorCode::kConflict, .place = what, .expected = fmt::format("the teacher's {}", theirs), .found = std::to_string(mine)};
}

// What the answers to one labelled example say about student and teacher.
void count_answers(std::span<const float> mine, std::span<const float> teacher, std::int64_t label, BatchLoss& out) {
  if (label < 0) return;
  const std::int64_t answer = std::max_element(mine.begin(), mine.end()) - mine.begin();
  ++out.labelled;
  out.right += answer == label;
  if (teacher.empty()) return;
  const std::int64_t theirs = std::max_element(teacher.begin(), teacher.end()) - teacher.begin();
  ++out.asked;
  out.teacher_right += theirs == label;
  out.agreed += answer == theirs;
  out.repeated += answer == theirs && answer != label;
}

Batch batch_of(std::span<const TrainingExample* const> examples) {
  Batch batch;
  for (const TrainingExample* example : examples) batch.add(example->ids);
  return batch;
}

Batch teacher_batch_of(std::span<const TrainingExample* const> examples) {
  Batch batch;
  for (const TrainingExample* example : examples) batch.add(example->teacher_ids.empty() ? example->ids : example->teacher_ids);
  return batch;
}

}  // namespace

Result<std::unique_ptr<Objective>> Objective::make(const Model& student, Parameters& student_parameters, const Model* teacher,
                                                   Parameters* teacher_parameters, std::span<const std::int64_t> kept,
                                                   const LossMix& mix, bool recompute, kernels::ThreadPool& pool) {
  const HeadKind head = student.graph.head;
  if (head != HeadKind::kNextToken && head != HeadKind::kSequenceLabels)
    return Error{.code = ErrorCode::kUnsupported, .place = student.config.architecture, .expected = "a language model or a text classifier",
                 .found = "another head"};
  std::unique_ptr<Objective> out(new Objective(student, student_parameters, mix, pool));
  out->classifies_ = head == HeadKind::kSequenceLabels;
  RETORT_TRY(const ValueId answer, answer_of(student, out->classifies_));
  out->my_outputs_.push_back(answer);
  if (mix.needs_teacher() && teacher) {
    if (teacher->graph.outputs() != student.graph.outputs()) return unlike("logits", student.graph.outputs(), teacher->graph.outputs());
    out->teacher_ = teacher;
    RETORT_TRY(const ValueId theirs, answer_of(*teacher, out->classifies_));
    out->their_outputs_.push_back(theirs);
    RETORT_CHECK(out->plan_features(*teacher, kept));
    RETORT_TRY(out->teacher_session_, TrainSession::make(teacher->graph, teacher->config, *teacher_parameters,
                                                         {.outputs = out->their_outputs_, .trainable = {}, .backward = false}, pool));
    if (const Node* node = head_of(teacher->graph, out->teacher_session_->plan())) {
      out->teacher_weight_ = &(*teacher_parameters)[static_cast<std::size_t>(node->weight)];
      if (node->bias != kNoWeight) out->teacher_bias_ = &(*teacher_parameters)[static_cast<std::size_t>(node->bias)];
    }
  }
  RETORT_TRY(out->session_, TrainSession::make(student.graph, student.config, student_parameters,
                                               {.outputs = out->my_outputs_, .trainable = {}, .backward = true,
                                                .padding = padding_token(*student.checkpoint), .recompute = recompute}, pool));
  if (const Node* node = head_of(student.graph, out->session_->plan())) {
    out->head_weight_ = &student_parameters[static_cast<std::size_t>(node->weight)];
    if (node->bias != kNoWeight) out->head_bias_ = &student_parameters[static_cast<std::size_t>(node->bias)];
  }
  return out;
}

Result<Objective::Feature> Objective::layer_feature(Kind kind, const Model& teacher, std::int32_t mine, std::int32_t theirs) {
  const LayerValues a = values_of(student_.graph, mine), b = values_of(teacher.graph, theirs);
  Feature feature{.kind = kind, .mine = {0, 0}, .theirs = {0, 0}};
  if (kind == Kind::kHidden || kind == Kind::kExamples) {
    feature.mine[0] = place(my_outputs_, a.last);
    feature.theirs[0] = place(their_outputs_, b.last);
    const std::int64_t in = student_.graph.widths[static_cast<std::size_t>(a.last)], out = teacher.graph.widths[static_cast<std::size_t>(b.last)];
    if (kind == Kind::kHidden && in != out) return unlike("loss.hidden: the width of hidden states", in, out);
    return feature;
  }
  if (!a.attention || !b.attention)
    return Error{.code = ErrorCode::kUnsupported, .place = "loss.attention", .expected = "layers with attention", .found = "none"};
  feature.causal = a.attention->causal;
  feature.my_heads = a.attention->heads;
  feature.my_kv_heads = a.attention->kv_heads;
  feature.their_heads = b.attention->heads;
  feature.their_kv_heads = b.attention->kv_heads;
  const bool values = kind == Kind::kValues;
  const std::int64_t mine_heads = values ? feature.my_kv_heads : feature.my_heads, their_heads = values ? feature.their_kv_heads : feature.their_heads;
  if (mine_heads != their_heads) return unlike("heads", mine_heads, their_heads);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t input = values ? 2 : i;
    feature.mine[i] = place(my_outputs_, a.attention->inputs[input]);
    feature.theirs[i] = place(their_outputs_, b.attention->inputs[input]);
  }
  return feature;
}

// Student layer i imitates the end of the stretch of the teacher that it stands for.
Result<void> Objective::plan_features(const Model& teacher, std::span<const std::int64_t> kept) {
  const auto layers = static_cast<std::int64_t>(kept.size());
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::int64_t theirs = i + 1 < layers ? kept[static_cast<std::size_t>(i) + 1] - 1 : teacher.config.layers - 1;
    const auto add = [&](Kind kind) -> Result<void> {
      RETORT_TRY(const Feature feature, layer_feature(kind, teacher, static_cast<std::int32_t>(i), static_cast<std::int32_t>(theirs)));
      features_.push_back(feature);
      return {};
    };
    if (mix_.hidden_mse != 0 || mix_.hidden_cosine != 0) RETORT_CHECK(add(Kind::kHidden));
    if (mix_.attention != 0) RETORT_CHECK(add(Kind::kAttention));
    if (mix_.values != 0 && i + 1 == layers) RETORT_CHECK(add(Kind::kValues));
    if ((mix_.rkd_distance != 0 || mix_.rkd_angle != 0) && i + 1 == layers) RETORT_CHECK(add(Kind::kExamples));
  }
  return {};
}

Result<LogitLoss> Objective::token_loss(const Batch& batch, std::span<const TrainingExample* const> examples, bool train,
                                        double scale, BatchLoss& out, const JobContext& job) {
  std::vector<std::int64_t> labels;
  std::vector<float> weights;
  for (std::size_t s = 0; s < examples.size(); ++s) {
    const auto& ids = examples[s]->ids;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      labels.push_back(t + 1 < ids.size() ? ids[t + 1] : kIgnoredLabel);
      weights.push_back(examples[s]->weight);
      if (t + 1 < ids.size()) out.count += static_cast<double>(examples[s]->weight);
    }
  }
  HeadRequest request{.student = {session_->value(0), head_weight_, head_bias_}};
  request.labels = labels;
  request.row_weights = weights;
  request.weights = mix_.logits;
  if (teacher_ && mix_.logits.needs_teacher()) request.teacher = HeadSide{teacher_session_->value(0), teacher_weight_, teacher_bias_};
  if (train) {
    request.weight = head_weight_;
    request.bias = head_bias_;
    request.hidden_gradient = session_->gradient(0);
  }
  out.tokens = batch.tokens();
  return head_.run(request, scale, job);
}

Result<LogitLoss> Objective::class_loss(std::span<const TrainingExample* const> examples, bool train, double scale, BatchLoss& out) {
  const std::span<const float> logits = session_->value(0);
  const std::size_t classes = static_cast<std::size_t>(student_.graph.outputs());
  std::vector<float> gradient(classes), scratch(2 * classes);
  LogitLoss sum;
  for (const TrainingExample* example : examples) out.count += static_cast<double>(example->weight);
  for (std::size_t s = 0; s < examples.size(); ++s) {
    const std::span<const float> mine = logits.subspan(s * classes, classes);
    TeacherRow teacher;
    if (mix_.logits.needs_teacher() && teacher_)
      teacher.logits = cache_ ? cache_->of(examples[s]) : teacher_session_->value(0).subspan(s * classes, classes);
    sum += logit_row(mix_.logits, mine, teacher, examples[s]->label, static_cast<double>(examples[s]->weight) / std::max(out.count, 1e-12), gradient, scratch);
    count_answers(mine, teacher.logits, examples[s]->label, out);
    if (!train) continue;
    const std::span<float> to = session_->gradient(0).subspan(s * classes, classes);
    for (std::size_t i = 0; i < classes; ++i) to[i] += gradient[i] * static_cast<float>(scale);
  }
  return sum;
}

double Objective::relation_feature(const Feature& f, const Batch& batch, double factor, bool train) {
  const bool values = f.kind == Kind::kValues;
  double loss = 0;
  const auto side = [&](TrainSession& session, const std::size_t (&at)[2], std::int64_t heads, std::int64_t kv_heads, std::int64_t start, bool gradients) {
    const std::int64_t rows = batch.tokens();
    const std::int64_t a = static_cast<std::int64_t>(session.value(at[0]).size()) / rows, b = static_cast<std::int64_t>(session.value(at[1]).size()) / rows;
    Relation r{session.value(at[0]).data() + start * a, session.value(at[1]).data() + start * b, a, b, values ? a / kv_heads : a / heads};
    if (gradients) {
      r.da = session.gradient(at[0]).data() + start * a;
      r.db = session.gradient(at[1]).data() + start * b;
    }
    return r;
  };
  for (std::size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    const std::int64_t start = batch.starts[s], tokens = batch.starts[s + 1] - start;
    const Relation mine = side(*session_, f.mine, f.my_heads, f.my_kv_heads, start, train);
    const Relation theirs = side(*teacher_session_, f.theirs, f.their_heads, f.their_kv_heads, start, false);
    loss += relation_kl(mine, theirs, tokens, values ? f.my_kv_heads : f.my_heads, values ? 1 : f.my_heads / f.my_kv_heads,
                        values ? 1 : f.their_heads / f.their_kv_heads, f.causal, factor / static_cast<double>(batch.sequences()));
  }
  return loss;
}

Result<double> Objective::feature_loss(const Feature& f, const Batch& batch, bool train, double scale) {
  // Losses of the losses' own functions carry the factor; it is taken out of what is reported.
  std::vector<float> unused;
  const auto gradient = [&](std::size_t at) -> std::span<float> {
    if (train && !session_->gradient(at).empty()) return session_->gradient(at);
    unused.assign(session_->value(at).size(), 0.0f);
    return unused;
  };
  const double parts = static_cast<double>(std::count_if(features_.begin(), features_.end(), [&](const Feature& other) { return other.kind == f.kind; }));
  double loss = 0;
  const std::span<const float> mine = session_->value(f.mine[0]), theirs = teacher_session_->value(f.theirs[0]);
  const std::int64_t width = static_cast<std::int64_t>(mine.size()) / batch.tokens();
  if (f.kind == Kind::kHidden) {
    if (mix_.hidden_mse != 0) loss += hidden_mse(mine, theirs, width, {}, scale * mix_.hidden_mse / parts, gradient(f.mine[0]));
    if (mix_.hidden_cosine != 0) loss += hidden_cosine(mine, theirs, width, {}, scale * mix_.hidden_cosine / parts, gradient(f.mine[0]));
    return loss / scale;
  }
  if (f.kind != Kind::kExamples) return relation_feature(f, batch, scale * (f.kind == Kind::kValues ? mix_.values : mix_.attention / parts), train) / scale;
  // Between examples: the state of each sequence's last token (a decoder) or first (a classifier).
  const std::int64_t their_width = static_cast<std::int64_t>(theirs.size()) / batch.tokens();
  std::vector<float> a, b;
  std::vector<std::int64_t> rows;
  for (std::size_t s = 0; s + 1 < batch.starts.size(); ++s) rows.push_back(classifies_ ? batch.starts[s] : batch.starts[s + 1] - 1);
  for (const std::int64_t row : rows) {
    a.insert(a.end(), mine.begin() + row * width, mine.begin() + (row + 1) * width);
    b.insert(b.end(), theirs.begin() + row * their_width, theirs.begin() + (row + 1) * their_width);
  }
  std::vector<float> slope(a.size(), 0.0f);
  if (mix_.rkd_distance != 0) loss += rkd_distance(a, width, b, their_width, scale * mix_.rkd_distance, slope);
  if (mix_.rkd_angle != 0) loss += rkd_angle(a, width, b, their_width, scale * mix_.rkd_angle, slope);
  const std::span<float> to = gradient(f.mine[0]);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::int64_t j = 0; j < width; ++j)
      to[static_cast<std::size_t>(rows[i] * width + j)] += slope[i * static_cast<std::size_t>(width) + static_cast<std::size_t>(j)];
  return loss / scale;
}

// Features need the teacher's states every time; for logits alone it is asked for the examples that aren't known yet.
Result<void> Objective::ask_teacher(std::span<const TrainingExample* const> examples, const JobContext& job) {
  if (!teacher_) return {};
  if (!cache_ || !features_.empty()) RETORT_CHECK(teacher_session_->forward(teacher_batch_of(examples), job));
  if (!cache_) return {};
  std::vector<const TrainingExample*> unknown;
  for (const TrainingExample* example : examples)
    if (cache_->of(example).empty()) unknown.push_back(example);
  if (unknown.empty()) return {};
  const bool whole = !features_.empty();   // the pass above has their logits
  if (!whole) RETORT_CHECK(teacher_session_->forward(teacher_batch_of(unknown), job));
  const std::span<const float> logits = teacher_session_->value(0);
  const auto classes = static_cast<std::size_t>(student_.graph.outputs());
  const std::span<const TrainingExample* const> asked = whole ? examples : std::span<const TrainingExample* const>(unknown);
  for (std::size_t i = 0; i < asked.size(); ++i) cache_->set(asked[i], logits.subspan(i * classes, classes));
  return {};
}

Result<BatchLoss> Objective::run(std::span<const TrainingExample* const> examples, bool train, double scale, const JobContext& job) {
  const Batch batch = batch_of(examples);
  BatchLoss out;
  RETORT_CHECK(session_->forward(batch, job));
  RETORT_CHECK(ask_teacher(examples, job));
  RETORT_TRY(const LogitLoss logits, classifies_ ? class_loss(examples, train, scale, out) : token_loss(batch, examples, train, scale, out, job));
  out.tokens = batch.tokens();
  out.loss = logits.total;
  out.cross_entropy = logits.cross_entropy;
  out.divergence = logits.divergence;
  for (const Feature& feature : features_) {
    RETORT_TRY(const double loss, feature_loss(feature, batch, train, scale));
    out.features += loss;
  }
  out.loss += out.features;
  if (!std::isfinite(out.loss))
    return Error{.code = ErrorCode::kNonFinite, .place = "loss", .expected = "a number", .found = fmt::format("{}", out.loss)};
  if (train) RETORT_CHECK(session_->backward(job));
  return out;
}

std::uint64_t Objective::work_bytes() const noexcept {
  return session_->work_bytes() + (teacher_session_ ? teacher_session_->work_bytes() : 0);
}

}  // namespace retort::distill
