#include "core/distill/objective.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>

namespace retort::distill {
namespace {

// The node that makes the vocabulary's logits; null when the plan has the logits itself.
const Node* head_of(const Graph& graph, const TrainPlan& plan) {
  return plan.head < 0 ? nullptr : &graph.nodes[static_cast<std::size_t>(plan.head)];
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

std::int64_t likeliest(std::span<const float> logits) { return std::max_element(logits.begin(), logits.end()) - logits.begin(); }

// What the answers to one labelled example say about student and teacher.
void count_answers(std::span<const float> mine, std::span<const float> teacher, std::int64_t label, BatchLoss& out) {
  if (label < 0) return;
  const std::int64_t answer = likeliest(mine);
  AnswerCounts one{.labelled = 1, .right = answer == label};
  if (!teacher.empty()) {
    const std::int64_t theirs = likeliest(teacher);
    one.asked = 1;
    one.teacher_right = theirs == label;
    one.agreed = answer == theirs;
    one.repeated = answer == theirs && answer != label;
  }
  out.add(one);
  out.classes.resize(mine.size());
  out.classes[static_cast<std::size_t>(label)].add(one);
}

Batch batch_of(std::span<const TrainingExample* const> examples) {
  Batch batch;
  for (const TrainingExample* example : examples) batch.add(example->ids);
  return batch;
}

}  // namespace

void AnswerCounts::add(const AnswerCounts& other) noexcept {
  labelled += other.labelled;
  right += other.right;
  asked += other.asked;
  teacher_right += other.teacher_right;
  agreed += other.agreed;
  repeated += other.repeated;
}

void BatchLoss::add_counts(const BatchLoss& other) {
  add(other);
  targets += other.targets;
  contradicted += other.contradicted;
  tokens += other.tokens;
  sampled += other.sampled;
  classes.resize(std::max(classes.size(), other.classes.size()));
  for (std::size_t c = 0; c < other.classes.size(); ++c) classes[c].add(other.classes[c]);
}

Result<std::unique_ptr<Objective>> Objective::make(const Model& student, Parameters& student_parameters, std::span<const Teacher> teachers,
                                                   std::span<const std::int64_t> kept, const LossMix& mix, const TrainingPlan& training,
                                                   kernels::ThreadPool& pool, AnswerCache* rows) {
  const HeadKind head = student.graph.head;
  if (head != HeadKind::kNextToken && head != HeadKind::kSequenceLabels)
    return Error{.code = ErrorCode::kUnsupported, .place = student.config.architecture, .expected = "a language model or a text classifier",
                 .found = "another head"};
  std::unique_ptr<Objective> out(new Objective(student, student_parameters, mix, training.compute, pool));
  out->classifies_ = head == HeadKind::kSequenceLabels;
  RETORT_TRY(const ValueId answer, answer_of(student, out->classifies_));
  out->my_outputs_.push_back(answer);
  if (mix.needs_teacher() && !teachers.empty()) RETORT_CHECK(out->plan_teachers(teachers, kept, rows));
  RETORT_TRY(out->session_, TrainSession::make(student.graph, student.config, student_parameters,
                                               {.outputs = out->my_outputs_, .trainable = {}, .backward = true,
                                                .padding = padding_token(*student.checkpoint), .recompute = training.recompute, .compute = training.compute}, pool));
  if (const Node* node = head_of(student.graph, out->session_->plan())) {
    out->head_weight_ = &student_parameters[static_cast<std::size_t>(node->weight)];
    if (node->bias != kNoWeight) out->head_bias_ = &student_parameters[static_cast<std::size_t>(node->bias)];
  }
  return out;
}

Result<void> Objective::plan_teachers(std::span<const Teacher> teachers, std::span<const std::int64_t> kept, AnswerCache* rows) {
  RETORT_CHECK(plan_features(*teachers.front().model, kept));
  const PanelOptions options{.temperature = mix_.logits.temperature, .by_agreement = mix_.by_agreement, .top = classifies_ ? 0 : mix_.top, .rows = rows};
  RETORT_TRY(teachers_, TeacherPanel::make(student_, teachers, options, their_outputs_, pool_));
  return {};
}

// Learned with the student, and left behind when it is written. Begins with random rows that keep the length of a state in the
// mean: a stage that goes on from another finds it as that one left it.
Result<std::size_t> Objective::projection(std::int32_t layer, std::int64_t in, std::int64_t out) {
  const std::string name = fmt::format("projection.{}", layer);
  for (std::size_t id = 0; id < parameters_.size(); ++id)
    if (parameters_[id].name == name) return id;
  RETORT_TRY(const std::size_t id, parameters_.add(name, {out, in}));
  std::mt19937 random(static_cast<std::uint32_t>(layer) + 1);
  const double bound = std::sqrt(3.0 / static_cast<double>(in));
  for (std::size_t i = 0; i < parameters_[id].elements; ++i)
    parameters_[id].value()[i] = static_cast<float>(bound * (2 * static_cast<double>(random()) / 4294967295.0 - 1));
  return id;
}

Result<Objective::Feature> Objective::layer_feature(Kind kind, const Model& teacher, std::int32_t mine, std::int32_t theirs) {
  const LayerValues a = values_of(student_.graph, mine), b = values_of(teacher.graph, theirs);
  Feature feature{.kind = kind, .mine = {0, 0}, .theirs = {0, 0}};
  if (kind == Kind::kHidden || kind == Kind::kExamples) {
    feature.mine[0] = place(my_outputs_, a.last);
    feature.theirs[0] = place(their_outputs_, b.last);
    const std::int64_t in = student_.graph.widths[static_cast<std::size_t>(a.last)], out = teacher.graph.widths[static_cast<std::size_t>(b.last)];
    if (kind == Kind::kHidden && in != out) {
      RETORT_TRY(feature.projection, projection(mine, in, out));
    }
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

// The teacher's answers by row, where they are known before the head runs: from the data, or kept.
void Objective::take_rows(std::span<const TrainingExample* const> examples, BatchLoss& out) {
  rows_.clear();
  if (!mix_.logits.needs_teacher()) return;
  std::size_t total = 0;
  for (const TrainingExample* example : examples) total += example->ids.size();
  if (teachers_ && teachers_->kept()) rows_.assign(teachers_->rows().begin(), teachers_->rows().end());
  else rows_.resize(total);
  std::size_t start = 0;
  for (const TrainingExample* example : examples) {
    for (const auto& [row, given] : example->given) rows_[start + static_cast<std::size_t>(row)] = given.view();
    for (std::size_t t = 1; t < example->ids.size(); ++t)
      if (example->learns(t) && ((teachers_ && !teachers_->kept()) || rows_[start + t - 1].known())) out.targets += static_cast<double>(example->weight);
    start += example->ids.size();
  }
}

Result<LogitLoss> Objective::token_loss(const Batch& batch, std::span<const TrainingExample* const> examples, bool train,
                                        double scale, BatchLoss& out, const JobContext& job) {
  std::vector<std::int64_t> labels;
  std::vector<float> weights;
  for (const TrainingExample* example : examples) {
    for (std::size_t t = 1; t <= example->ids.size(); ++t) {
      const bool counts = t < example->ids.size() && example->learns(t);
      // What the student made up is no label.
      labels.push_back(!counts ? kIgnoredLabel : example->sampled ? -1 : example->ids[t]);
      weights.push_back(example->weight);
      if (counts) out.count += static_cast<double>(example->weight);
    }
  }
  take_rows(examples, out);
  HeadRequest request{.student = {session_->value(0), head_weight_, head_bias_}};
  request.labels = labels;
  request.row_weights = weights;
  request.weights = mix_.logits;
  request.teacher_rows = rows_;
  if (teachers_ && mix_.logits.needs_teacher() && !teachers_->kept())
    request.teacher_tile = [this](std::int64_t first, std::int64_t rows) { return teachers_->tile(first, rows); };
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
  const bool asked = teachers_ && mix_.logits.needs_teacher();
  std::vector<float> gradient(classes), scratch(2 * classes), answers;
  // What an example counts for can depend on the teacher's answer.
  std::vector<double> weights, answer_weights;
  for (std::size_t s = 0; s < examples.size(); ++s) {
    weights.push_back(static_cast<double>(examples[s]->weight));
    answer_weights.push_back(1);
    if (asked) {
      const std::span<const float> answer = teachers_->answer(s);
      answers.insert(answers.end(), answer.begin(), answer.end());
      if (examples[s]->label >= 0 && likeliest(answer) != examples[s]->label) {
        ++out.contradicted;
        weights.back() *= mix_.contradicted_weight;
        answer_weights.back() = mix_.contradicted_answer;
      }
    }
    out.count += weights.back();
  }
  LogitLoss sum;
  for (std::size_t s = 0; s < examples.size(); ++s) {
    const std::span<const float> mine = logits.subspan(s * classes, classes);
    TeacherRow teacher{.weight = answer_weights[s]};
    if (asked) teacher.logits = std::span<const float>(answers).subspan(s * classes, classes);
    out.targets += asked ? weights[s] : 0;
    sum += logit_row(mix_.logits, mine, teacher, examples[s]->label, weights[s] / std::max(out.count, 1e-12), gradient, scratch);
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
  const auto relation = [&](std::span<const float> x, std::span<const float> y, std::int64_t heads, std::int64_t kv_heads, std::int64_t start) {
    const std::int64_t rows = batch.tokens();
    const std::int64_t a = static_cast<std::int64_t>(x.size()) / rows, b = static_cast<std::int64_t>(y.size()) / rows;
    return Relation{x.data() + start * a, y.data() + start * b, a, b, values ? a / kv_heads : a / heads};
  };
  for (std::size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    const std::int64_t start = batch.starts[s], tokens = batch.starts[s + 1] - start;
    Relation mine = relation(session_->value(f.mine[0]), session_->value(f.mine[1]), f.my_heads, f.my_kv_heads, start);
    if (train) {
      mine.da = session_->gradient(f.mine[0]).data() + start * mine.a_stride;
      mine.db = session_->gradient(f.mine[1]).data() + start * mine.b_stride;
    }
    const Relation theirs = relation(teachers_->state(f.theirs[0]), teachers_->state(f.theirs[1]), f.their_heads, f.their_kv_heads, start);
    loss += relation_kl(mine, theirs, tokens, values ? f.my_kv_heads : f.my_heads, values ? 1 : f.my_heads / f.my_kv_heads,
                        values ? 1 : f.their_heads / f.their_kv_heads, f.causal, factor / static_cast<double>(batch.sequences()));
  }
  return loss;
}

// States as they are or, of another width, projected to the teacher's.
double Objective::hidden_feature(const Feature& f, double scale, std::span<float> gradient, bool train) {
  const std::span<const float> mine = session_->value(f.mine[0]), theirs = teachers_->state(f.theirs[0]);
  const auto compare = [&](std::span<const float> states, std::int64_t width, std::span<float> slope) {
    double loss = 0;
    if (mix_.hidden_mse != 0) loss += hidden_mse(states, theirs, width, {}, scale * mix_.hidden_mse, slope);
    if (mix_.hidden_cosine != 0) loss += hidden_cosine(states, theirs, width, {}, scale * mix_.hidden_cosine, slope);
    return loss;
  };
  if (f.projection == SIZE_MAX) return compare(mine, student_.graph.widths[static_cast<std::size_t>(my_outputs_[f.mine[0]])], gradient);
  Parameter& parameter = parameters_[f.projection];
  Projection p{.in = parameter.shape[1], .out = parameter.shape[0], .weight = {parameter.data, parameter.elements}, .bias = {}, .weight_gradient = {}, .bias_gradient = {}};
  std::vector<float> projected(theirs.size()), slope(theirs.size(), 0.0f);
  project(p, mine, projected);
  const double loss = compare(projected, p.out, slope);
  if (!train) return loss;
  if (parameter.trainable) p.weight_gradient = {parameter.added_gradient(), parameter.elements};
  project_backward(p, mine, slope, gradient);
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
  const std::span<const float> mine = session_->value(f.mine[0]), theirs = teachers_->state(f.theirs[0]);
  const std::int64_t width = static_cast<std::int64_t>(mine.size()) / batch.tokens();
  if (f.kind == Kind::kHidden) return hidden_feature(f, scale / parts, gradient(f.mine[0]), train) / scale;
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

Result<BatchLoss> Objective::run(std::span<const TrainingExample* const> given, bool train, double scale, const JobContext& job) {
  std::vector<const TrainingExample*> examples(given.begin(), given.end());
  BatchLoss out;
  // Texts that the student makes up live as long as the pass.
  std::vector<TrainingExample> made_up;
  if (train && policy_) {
    RETORT_TRY(made_up, policy_->sample(examples, pass_, job));
    for (const TrainingExample& example : made_up) out.sampled += static_cast<std::int64_t>(example.ids.size()) - example.prompt;
  }
  const Batch batch = batch_of(examples);
  RETORT_CHECK(session_->forward(batch, job));
  if (teachers_) RETORT_CHECK(teachers_->ask(examples, job));
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
  return session_->work_bytes() + (teachers_ ? teachers_->work_bytes() : 0);
}

}  // namespace retort::distill
