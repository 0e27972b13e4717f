#include "core/distill/teachers.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace retort::distill {
namespace {

std::string place_of(const Model& model) { return model.checkpoint ? model.checkpoint->path.string() : model.config.architecture; }

std::span<const TokenId> read_by(const TrainingExample& example, std::size_t teacher) {
  const bool own = teacher < example.teachers.size() && !example.teachers[teacher].ids.empty();
  return own ? example.teachers[teacher].ids : example.ids;
}

}  // namespace

Result<ValueId> answer_of(const Model& model, bool classifies) {
  if (classifies) return model.graph.logits;
  for (const Node& node : model.graph.nodes)
    if (node.output == model.graph.logits && node.op == Op::kLinear) return node.inputs[0];
  return Error{.code = ErrorCode::kUnsupported, .place = model.config.architecture, .expected = "a model whose logits are a linear's",
               .found = "another head", .next_step = "take another model"};
}

void mix_logits(std::span<const float* const> logits, std::span<const double> weights, bool by_agreement, std::int64_t label,
                double temperature, std::span<float> out, std::span<float> probabilities) {
  const auto& ops = *kernels::train_ops();
  const std::size_t n = out.size();
  std::vector<double> shares(weights.begin(), weights.end());
  if (by_agreement && label >= 0) {
    // In logarithms: all of them may be very unlikely.
    double greatest = -std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < shares.size(); ++k) {
      const double log_sum = ops.softmax_row(logits[k], 1.0f, probabilities.data(), n);
      shares[k] = std::log(shares[k]) + static_cast<double>(logits[k][label]) - log_sum;
      greatest = std::max(greatest, shares[k]);
    }
    for (double& share : shares) share = std::exp(share - greatest);
  }
  double sum = 0;
  for (const double share : shares) sum += share;
  std::fill(out.begin(), out.end(), 0.0f);
  for (std::size_t k = 0; k < shares.size(); ++k) {
    ops.softmax_row(logits[k], static_cast<float>(1 / temperature), probabilities.data(), n);
    const float share = static_cast<float>(shares[k] / sum);
    for (std::size_t i = 0; i < n; ++i) out[i] += share * probabilities[i];
  }
  for (float& x : out) x = static_cast<float>(temperature) * std::log(std::max(x, 1e-37f));
}

Result<std::unique_ptr<TeacherPanel>> TeacherPanel::make(const Model& student, std::span<const Teacher> teachers, const PanelOptions& options,
                                                         std::vector<ValueId> states, kernels::ThreadPool& pool) {
  std::unique_ptr<TeacherPanel> out(new TeacherPanel(options, pool));
  out->classifies_ = student.graph.head == HeadKind::kSequenceLabels;
  out->classes_ = student.graph.outputs();
  out->wants_states_ = !states.empty();
  for (const Teacher& teacher : teachers) {
    RETORT_CHECK(out->add(student, teacher, out->members_.empty() ? states : std::vector<ValueId>()));
    out->weights_.push_back(teacher.weight);
  }
  return out;
}

Result<void> TeacherPanel::add(const Model& student, const Teacher& teacher, std::vector<ValueId> outputs) {
  const Model& model = *teacher.model;
  const auto conflict = [&](std::string expected, std::string found) {
    return Error{.code = ErrorCode::kConflict, .file = place_of(model), .place = "teacher", .expected = std::move(expected), .found = std::move(found)};
  };
  if (model.graph.head != student.graph.head) return conflict("a model of the student's kind", "another kind of head");
  const std::int64_t theirs = model.graph.outputs();
  const bool other_pieces = !classifies_ && student.tokenizer && model.tokenizer && !same_pieces(*student.tokenizer, *model.tokenizer);
  if (classifies_ && theirs != classes_) return conflict(fmt::format("{} classes", classes_), fmt::format("{}", theirs));
  if (!classifies_ && !other_pieces && theirs != classes_ && (!student.tokenizer || !model.tokenizer))
    return conflict(fmt::format("a vocabulary of {}", classes_), fmt::format("{}", theirs));
  // The same pieces in a table of another length (padding) are read like another tokenizer's, and every one of them fits.
  if (other_pieces || (!classifies_ && theirs != classes_)) {
    if (wants_states_) return conflict("the student's tokenizer: other tokens have no states to compare", "another tokenizer");
    map_.emplace(*student.tokenizer, classes_, *model.tokenizer);
    if (options_.top == 0) options_.top = 64;
  }
  if (map_ && !members_.empty()) return conflict("one tokenizer for all teachers", "another");
  RETORT_TRY(const ValueId answer, answer_of(model, classifies_));
  outputs.insert(outputs.begin(), answer);
  Member member{.teacher = teacher, .session = nullptr, .head = nullptr, .answers = {}};
  RETORT_TRY(member.session, TrainSession::make(model.graph, model.config, *teacher.parameters, {.outputs = outputs, .trainable = {}, .backward = false}, pool_));
  if (const std::int32_t head = member.session->plan().head; head >= 0) {
    const Node& node = model.graph.nodes[static_cast<std::size_t>(head)];
    member.weight = &(*teacher.parameters)[static_cast<std::size_t>(node.weight)];
    if (node.bias != kNoWeight) member.bias = &(*teacher.parameters)[static_cast<std::size_t>(node.bias)];
  }
  member.head = std::make_unique<LmHead>(theirs, pool_);
  members_.push_back(std::move(member));
  return {};
}

Result<void> TeacherPanel::forward(Member& member, std::span<const TrainingExample* const> examples, const JobContext& job) {
  Batch batch;
  const auto number = static_cast<std::size_t>(&member - members_.data());
  for (const TrainingExample* example : examples) batch.add(read_by(*example, number));
  return member.session->forward(batch, job);
}

Result<void> TeacherPanel::ask(std::span<const TrainingExample* const> examples, const JobContext& job) {
  return classifies_ ? ask_classes(examples, job) : ask_tokens(examples, job);
}

Result<void> TeacherPanel::ask_classes(std::span<const TrainingExample* const> examples, const JobContext& job) {
  const auto n = static_cast<std::size_t>(classes_);
  labels_.clear();
  for (const TrainingExample* example : examples) labels_.push_back(example->label);
  for (Member& member : members_) {
    AnswerCache* const cache = member.teacher.answers;
    const auto known = [&](const TrainingExample* example) { return cache ? cache->of(example) : std::span<const std::byte>(); };
    const bool whole = wants_states_ && &member == members_.data();
    std::vector<const TrainingExample*> asked;
    for (const TrainingExample* example : examples)
      if (whole || known(example).size() != n * sizeof(float)) asked.push_back(example);
    std::span<const float> fresh;
    if (!asked.empty()) {
      RETORT_CHECK(forward(member, asked, job));
      fresh = member.session->value(0);
    }
    member.answers.resize(examples.size() * n);
    for (std::size_t i = 0, next = 0; i < examples.size(); ++i) {
      const std::span<float> answer = std::span(member.answers).subspan(i * n, n);
      const bool was_asked = next < asked.size() && asked[next] == examples[i];
      if (was_asked) std::ranges::copy(fresh.subspan(next++ * n, n), answer.begin());
      else std::memcpy(answer.data(), known(examples[i]).data(), n * sizeof(float));
      if (!std::isfinite(answer.front()))
        return Error{.code = ErrorCode::kNonFinite, .file = place_of(*member.teacher.model), .place = "teacher", .expected = "a number", .found = fmt::format("{}", answer.front())};
      if (cache && was_asked) cache->set(examples[i], std::as_bytes(answer));
    }
  }
  return {};
}

std::span<const float> TeacherPanel::answer(std::size_t example) {
  const auto n = static_cast<std::size_t>(classes_);
  const auto of = [&](const Member& member) { return std::span<const float>(member.answers).subspan(example * n, n); };
  if (members_.size() == 1) return of(members_.front());
  std::vector<const float*> all;
  for (const Member& member : members_) all.push_back(of(member).data());
  mixed_.resize(n);
  scratch_.resize(n);
  mix_logits(all, weights_, options_.by_agreement, labels_[example], options_.temperature, mixed_, scratch_);
  return mixed_;
}

Result<void> TeacherPanel::ask_tokens(std::span<const TrainingExample* const> examples, const JobContext& job) {
  if (kept()) return ask_rows(examples, job);
  labels_.clear();
  for (const TrainingExample* example : examples)
    for (std::size_t t = 1; t <= example->ids.size(); ++t) labels_.push_back(t < example->ids.size() && !example->sampled ? example->ids[t] : -1);
  for (Member& member : members_) RETORT_CHECK(forward(member, examples, job));
  return {};
}

Result<std::span<const float>> TeacherPanel::tile(std::int64_t first, std::int64_t rows) {
  std::vector<std::span<const float>> tiles;
  for (Member& member : members_) {
    RETORT_TRY(const std::span<const float> one, member.head->logits({member.session->value(0), member.weight, member.bias}, first, rows));
    tiles.push_back(one);
  }
  if (tiles.size() == 1) return tiles.front();
  const auto n = static_cast<std::size_t>(classes_);
  mixed_.resize(static_cast<std::size_t>(rows) * n);
  scratch_.resize(static_cast<std::size_t>(pool_.threads()) * n);
  pool_.parallel_for(static_cast<std::size_t>(rows), [&](std::size_t r, int worker) {
    std::vector<const float*> row;
    for (const auto& one : tiles) row.push_back(one.data() + r * n);
    mix_logits(row, weights_, options_.by_agreement, labels_[static_cast<std::size_t>(first) + r], options_.temperature,
               std::span(mixed_).subspan(r * n, n), std::span(scratch_).subspan(static_cast<std::size_t>(worker) * n, n));
  });
  return std::span<const float>(mixed_);
}

// Rows whose next token counts, and where their answers go.
std::vector<TeacherPanel::Wanted> TeacherPanel::wanted(std::span<const TrainingExample* const> examples, std::vector<KeptRows>& to) const {
  std::vector<Wanted> out;
  std::int64_t start = 0;
  for (std::size_t e = 0; e < examples.size(); ++e) {
    const TrainingExample& example = *examples[e];
    const auto want = [&](std::int32_t mine, std::int32_t theirs) {
      if (mine >= 1 && theirs >= 1 && example.learns(static_cast<std::size_t>(mine)))
        out.push_back({start + theirs - 1, &to[e][static_cast<std::size_t>(mine) - 1]});
    };
    const std::span<const TokenId> theirs = read_by(example, 0);
    if (!map_) {
      for (std::size_t t = 1; t < example.ids.size(); ++t) want(static_cast<std::int32_t>(t), static_cast<std::int32_t>(t));
    } else if (!example.teachers.empty()) {
      for (const TextSpan& span : example.teachers.front().spans)
        for (const AlignedToken& token : map_->align(example.ids, theirs, span)) want(token.mine, token.theirs);
    }
    start += static_cast<std::int64_t>(theirs.size());
  }
  return out;
}

// Runs the head for the tiles in which a row is wanted.
Result<void> TeacherPanel::fill(std::span<const Wanted> wanted, const JobContext& job) {
  const auto& ops = *kernels::train_ops();
  const auto mine = static_cast<std::size_t>(classes_), theirs = static_cast<std::size_t>(members_.front().teacher.model->graph.outputs());
  const std::int64_t total = static_cast<std::int64_t>(members_.front().session->value(0).size()) / members_.front().weight->shape[1];
  std::vector<float> room(static_cast<std::size_t>(pool_.threads()) * (mine + theirs));
  std::atomic<bool> finite = true;
  for (std::size_t at = 0; at < wanted.size();) {
    RETORT_CHECK(job.check("teacher"));
    const std::int64_t first = wanted[at].row, rows = std::min(LmHead::kRows, total - first);
    std::size_t end = at;
    while (end < wanted.size() && wanted[end].row < first + rows) ++end;
    RETORT_TRY(const std::span<const float> logits, tile(first, rows));
    pool_.parallel_for(end - at, [&](std::size_t i, int worker) {
      const Wanted& one = wanted[at + i];
      const std::span<float> space = std::span(room).subspan(static_cast<std::size_t>(worker) * (mine + theirs), mine + theirs);
      const std::span<float> share = space.first(theirs), carried = space.subspan(theirs);
      const double log_sum = ops.softmax_row(logits.data() + static_cast<std::size_t>(one.row - first) * theirs, static_cast<float>(1 / options_.temperature), share.data(), theirs);
      if (!std::isfinite(log_sum)) finite = false;
      if (map_) map_->carry_over(share, carried);
      *one.to = keep_top(map_ ? std::span<const float>(carried) : std::span<const float>(share), static_cast<std::size_t>(options_.top));
    });
    at = end;
  }
  if (!finite)
    return Error{.code = ErrorCode::kNonFinite, .file = place_of(*members_.front().teacher.model), .place = "teacher", .expected = "a number", .found = "none"};
  return {};
}

Result<void> TeacherPanel::ask_rows(std::span<const TrainingExample* const> examples, const JobContext& job) {
  kept_.assign(examples.size(), {});
  std::vector<const TrainingExample*> asked;
  std::vector<std::size_t> unknown;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::span<const std::byte> packed = options_.rows ? options_.rows->of(examples[i]) : std::span<const std::byte>();
    auto rows = unpack_rows(packed, examples[i]->ids.size(), classes_);
    if (rows.ok()) {
      kept_[i] = std::move(rows).value();
      continue;
    }
    unknown.push_back(i);   // never asked, or damaged
    asked.push_back(examples[i]);
  }
  // Where states are compared the first teacher sees all of them anyway.
  if (wants_states_) asked.assign(examples.begin(), examples.end());
  std::vector<KeptRows> answers;
  labels_.clear();
  for (const TrainingExample* example : asked) {
    answers.emplace_back(example->ids.size());
    for (std::size_t t = 1; t <= example->ids.size(); ++t) labels_.push_back(t < example->ids.size() && !example->sampled ? example->ids[t] : -1);
  }
  for (Member& member : members_)
    if (!unknown.empty() || (wants_states_ && &member == members_.data())) RETORT_CHECK(forward(member, asked, job));
  if (!unknown.empty()) RETORT_CHECK(fill(wanted(asked, answers), job));
  for (std::size_t k = 0; k < unknown.size(); ++k) {
    const std::size_t i = unknown[k];
    // Even an answer that is kept nowhere goes the way of the others: the same numbers with and without room.
    const std::vector<std::byte> packed = pack_rows(answers[wants_states_ ? i : k]);
    RETORT_TRY(kept_[i], unpack_rows(packed, examples[i]->ids.size(), classes_));
    if (options_.rows) options_.rows->set(examples[i], packed);
  }
  rows_.clear();
  for (const KeptRows& rows : kept_)
    for (const KeptRow& row : rows) rows_.push_back(row.view());
  return {};
}

std::uint64_t TeacherPanel::work_bytes() const noexcept {
  std::uint64_t sum = (mixed_.size() + scratch_.size()) * sizeof(float);
  for (const Member& member : members_) sum += member.session->work_bytes() + member.answers.size() * sizeof(float);
  return sum;
}

}  // namespace retort::distill
