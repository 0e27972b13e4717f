// Classification of labelled texts by a model with a sequence classifier.
#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "core/evaluate/distribution.h"
#include "core/evaluate/metrics.h"
#include "core/evaluate/statistics.h"
#include "core/model/encoder_input.h"

namespace retort {
namespace {

constexpr int kResamples = 1000;
constexpr std::size_t kShownBytes = 160;
constexpr std::int64_t kTokensAtOnce = 2048;   // of one call: enough for the linears, little to wait for

Result<void> check(const Model& model, const DataSet& data) {
  const std::string file = model.checkpoint->path.string();
  if (model.graph.head != HeadKind::kSequenceLabels)
    return Error{.code = ErrorCode::kUnsupported, .file = file, .place = "head", .expected = "a sequence classifier",
                 .found = model.config.architecture + " without one", .next_step = "choose another --task or model"};
  if (!model.tokenizer) return Error{.code = ErrorCode::kMissingPart, .file = file, .expected = "a tokenizer"};
  if (data.kind != DataKind::kLabelled || data.examples.empty())
    return Error{.code = ErrorCode::kBadData, .file = data.path.string(), .expected = "labelled texts",
                 .found = std::string(data_kind_name(data.kind))};
  for (std::size_t i = 0; i < data.examples.size(); ++i)
    if (data.examples[i].answer >= model.config.labels)
      return Error{.code = ErrorCode::kBadData, .file = data.path.string(), .place = fmt::format("example {}", i + 1),
                   .expected = fmt::format("a label from 0 to {}", model.config.labels - 1),
                   .found = std::to_string(data.examples[i].answer)};
  return {};
}

// Cut as transformers cuts: the text's end goes, the special tokens behind it stay.
std::vector<TokenId> encode_cut(const Tokenizer& tokenizer, const std::string& text, std::size_t limit) {
  std::vector<TokenId> ids = tokenizer.encode(text, true);
  if (ids.size() <= limit) return ids;
  std::size_t behind = 0;
  while (behind < limit && tokenizer.is_special(ids[ids.size() - 1 - behind])) ++behind;
  ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(limit - behind), ids.end() - static_cast<std::ptrdiff_t>(behind));
  return ids;
}

std::string begin_of_text(std::string text) {
  if (text.size() > kShownBytes) {
    std::size_t end = kShownBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;   // not inside a character
    text.resize(end);
    text += "…";
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

struct Outcome {
  std::int64_t label = 0, answer = 0;
};

// Mean over the classes that were given or answered of 2 · right / (given + answered).
double macro_f1(std::span<const Outcome> outcomes, std::span<const std::size_t> picks, std::int64_t labels) {
  std::vector<std::int64_t> right(static_cast<std::size_t>(labels)), named(right.size());
  for (const std::size_t pick : picks) {
    const Outcome& o = outcomes[pick];
    ++named[static_cast<std::size_t>(o.label)];
    ++named[static_cast<std::size_t>(o.answer)];
    if (o.label == o.answer) ++right[static_cast<std::size_t>(o.label)];
  }
  double sum = 0;
  int classes = 0;
  for (std::size_t c = 0; c < right.size(); ++c) {
    if (named[c] == 0) continue;
    sum += 2 * static_cast<double>(right[c]) / static_cast<double>(named[c]);
    ++classes;
  }
  return classes > 0 ? sum / classes : 0;
}

Figure macro_f1_figure(std::span<const Outcome> outcomes, std::int64_t labels, std::uint64_t seed) {
  std::vector<std::size_t> all(outcomes.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  std::vector<double> resampled;
  for (const auto& picks : resample_indices(outcomes.size(), kResamples, seed)) resampled.push_back(macro_f1(outcomes, picks, labels));
  std::sort(resampled.begin(), resampled.end());
  return {macro_f1(outcomes, all, labels), quantile(resampled, 0.025), quantile(resampled, 0.975)};
}

// The q-quantile of the rows' divergences, with its interval over resampled rows.
Figure quantile_figure(std::span<const double> values, double q, std::uint64_t seed) {
  std::vector<double> sorted(values.begin(), values.end()), some(values.size()), resampled;
  std::sort(sorted.begin(), sorted.end());
  for (const auto& picks : resample_indices(values.size(), kResamples, seed)) {
    for (std::size_t i = 0; i < picks.size(); ++i) some[i] = values[picks[i]];
    std::sort(some.begin(), some.end());
    resampled.push_back(quantile(some, q));
  }
  std::sort(resampled.begin(), resampled.end());
  return {quantile(sorted, q), quantile(resampled, 0.025), quantile(resampled, 0.975)};
}

class Classifier {
 public:
  Classifier(Session& session, const Model& model, const DataSet& data, const EvaluateOptions& options, const ClassReference* reference,
             ClassReference* record)
      : session_(session), model_(model), data_(data), reference_(reference), record_(record), input_(model.config) {
    std::int64_t limit = options.max_tokens > 0 ? std::min(options.max_tokens, options.context) : options.context;
    if (model.config.positions > 0) limit = std::min(limit, model.config.positions - model.config.position_offset);
    limit_ = static_cast<std::size_t>(std::max<std::int64_t>(limit, 1));
  }

  Result<void> run(const JobContext& job) {
    for (std::size_t i = 0; i < data_.examples.size(); ++i) {
      if (job.stopped()) return Error{.code = ErrorCode::kCanceled, .place = fmt::format("example {}", i)};
      const std::vector<TokenId> ids = encode_cut(*model_.tokenizer, data_.examples[i].text, limit_);
      if (ids.empty())
        return Error{.code = ErrorCode::kBadData, .file = data_.path.string(), .place = fmt::format("example {}", i + 1),
                     .expected = "text that has tokens", .found = "none"};
      RETORT_CHECK(input_.add(ids));
      if (input_.tokens() >= kTokensAtOnce) RETORT_CHECK(flush(job));
    }
    return flush(job);
  }

  std::vector<Outcome> outcomes;
  std::vector<Evaluation::Row> rows;
  std::vector<double> divergences, agreements;   // with a reference

 private:
  Result<void> flush(const JobContext& job) {
    if (input_.sequences() == 0) return {};
    RETORT_CHECK(session_.encode(input_.batch(), job));
    RETORT_TRY(const auto logits, session_.logits(0, input_.sequences()));
    const std::size_t labels = static_cast<std::size_t>(model_.config.labels);
    for (std::int64_t s = 0; s < input_.sequences(); ++s) RETORT_CHECK(add_row(logits.subspan(static_cast<std::size_t>(s) * labels, labels)));
    input_.clear();
    job.report({static_cast<double>(rows.size()), static_cast<double>(data_.examples.size()), "examples", "classifying"});
    return {};
  }

  Result<void> add_row(std::span<const float> logits) {
    const Example& example = data_.examples[rows.size()];
    if (!std::all_of(logits.begin(), logits.end(), [](float value) { return std::isfinite(value); }))
      return Error{.code = ErrorCode::kNonFinite, .file = model_.checkpoint->path.string(), .place = fmt::format("logits of example {}", rows.size() + 1),
                   .next_step = "check the model; its output is not a number"};
    const auto best = std::max_element(logits.begin(), logits.end());
    float second = -INFINITY;
    for (auto at = logits.begin(); at != logits.end(); ++at)
      if (at != best) second = std::max(second, *at);
    const std::int64_t answer = best - logits.begin();
    outcomes.push_back({example.answer, answer});
    Evaluation::Row row;
    row.index = static_cast<std::int64_t>(rows.size());
    row.text = begin_of_text(example.text);
    row.group = name_of(example.answer);
    row.correct = answer == example.answer;
    row.score = row.correct ? 1 : 0;
    row.answer = name_of(answer);
    row.margin = logits.size() > 1 ? static_cast<double>(*best) - static_cast<double>(second) : 0;
    if (reference_) {
      const auto theirs = std::span(reference_->logits).subspan(rows.size() * logits.size(), logits.size());
      row.kld = kl_divergence(theirs, logits);
      divergences.push_back(row.kld);
      agreements.push_back(arg_max(theirs) == answer ? 1.0 : 0.0);
    }
    if (record_) record_->logits.insert(record_->logits.end(), logits.begin(), logits.end());
    rows.push_back(std::move(row));
    return {};
  }

  std::string name_of(std::int64_t label) const {
    const auto& names = model_.config.label_names;
    return names.empty() ? std::to_string(label) : names[static_cast<std::size_t>(label)];
  }

  Session& session_;
  const Model& model_;
  const DataSet& data_;
  const ClassReference* reference_;
  ClassReference* record_;
  EncoderInput input_;
  std::size_t limit_ = 1;
};

// What the original was asked. Not its tokens: a student may have another vocabulary.
Digest questions(const DataSet& data, const EvaluateOptions& options) {
  return std::move(DigestBuilder().text("classes 1").digest(data.digest).number(static_cast<std::uint64_t>(options.max_tokens))
                       .number(static_cast<std::uint64_t>(options.context))).finish();
}

Result<void> check_reference(const ClassReference& reference, const Model& model, const DataSet& data, const EvaluateOptions& options) {
  if (reference.labels != model.config.labels)
    return Error{.code = ErrorCode::kBadData, .file = model.checkpoint->path.string(), .expected = fmt::format("the original's {} classes", reference.labels),
                 .found = std::to_string(model.config.labels)};
  if (reference.data == questions(data, options) && reference.logits.size() == data.examples.size() * static_cast<std::size_t>(reference.labels)) return {};
  return Error{.code = ErrorCode::kBadData, .file = data.path.string(), .expected = "the texts that the original was measured on", .found = "others"};
}

}  // namespace

Result<Evaluation> evaluate_classification(Session& session, const Model& model, const DataSet& data,
                                           const EvaluateOptions& options, const ClassReference* reference,
                                           ClassReference* record, const JobContext& job) {
  const auto start = std::chrono::steady_clock::now();
  RETORT_CHECK(check(model, data));
  if (reference) RETORT_CHECK(check_reference(*reference, model, data, options));
  if (record) *record = ClassReference{.logits = {}, .labels = model.config.labels, .data = questions(data, options)};
  Classifier classifier(session, model, data, options, reference, record);
  RETORT_CHECK(classifier.run(job));
  Evaluation evaluation;
  evaluation.task = "classification";
  evaluation.n = static_cast<std::int64_t>(classifier.rows.size());
  std::vector<double> scores;
  for (const Evaluation::Row& row : classifier.rows) scores.push_back(row.score);
  evaluation.figures["accuracy"] = bootstrap_mean(scores, options.seed);
  evaluation.figures["macro_f1"] = macro_f1_figure(classifier.outcomes, model.config.labels, options.seed);
  if (reference) {
    evaluation.figures["kld_mean"] = bootstrap_mean(classifier.divergences, options.seed);
    evaluation.figures["kld_median"] = quantile_figure(classifier.divergences, 0.5, options.seed);
    evaluation.figures["kld_p99"] = quantile_figure(classifier.divergences, 0.99, options.seed);
    evaluation.figures["top1_agreement"] = bootstrap_mean(classifier.agreements, options.seed);
  }
  evaluation.rows = std::move(classifier.rows);
  evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

}  // namespace retort
