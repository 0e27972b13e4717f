// Choices by log-likelihood and greedy exact answers.
#include <algorithm>
#include <chrono>
#include <cctype>
#include <cmath>
#include <numeric>

#include "core/evaluate/distribution.h"
#include "core/evaluate/metrics.h"
#include "core/evaluate/statistics.h"

namespace retort {
namespace {

Result<void> check_data(const Model& model, const DataSet& data, std::initializer_list<DataKind> kinds) {
  if (!model.tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = model.checkpoint->path.string(), .expected = "a tokenizer"};
  if (std::find(kinds.begin(), kinds.end(), data.kind) == kinds.end())
    return Error{.code = ErrorCode::kBadData, .file = data.path.string(), .expected = "choices or exact answers", .found = std::string(data_kind_name(data.kind))};
  return {};
}

std::string end_of_text(const std::string& text) {
  std::string out = text.size() <= 160 ? text : "…" + text.substr(text.size() - 157);
  // Never begin inside a character.
  if (text.size() > 160)
    while (out.size() > 3 && (static_cast<unsigned char>(out[3]) & 0xc0) == 0x80) out.erase(3, 1);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

// Context and choice as one text; what is scored begins after the context's own tokens (lm-evaluation-harness: blanks at
// the end of the context belong to the choice).
struct Scored {
  std::vector<TokenId> ids;
  std::size_t first = 1;   // index of the first scored token
};

Scored encode_choice(const Tokenizer& tokenizer, std::string context, std::string choice, std::size_t max_tokens) {
  const std::size_t end = context.find_last_not_of(" \t\n");
  const std::string blanks = end == std::string::npos ? "" : context.substr(end + 1);
  context.resize(context.size() - blanks.size());
  const bool spaced = !blanks.empty() || (!choice.empty() && std::isspace(static_cast<unsigned char>(choice[0])));
  choice = blanks + (spaced ? "" : " ") + choice;
  Scored scored;
  scored.ids = tokenizer.encode(context + choice, true);
  scored.first = std::max<std::size_t>(1, tokenizer.encode(context, true).size());
  scored.first = std::min(scored.first, scored.ids.size() - 1);
  if (scored.ids.size() > max_tokens) {   // keep the end: the choice and what comes just before
    const std::size_t cut = scored.ids.size() - max_tokens;
    scored.ids.erase(scored.ids.begin(), scored.ids.begin() + static_cast<std::ptrdiff_t>(cut));
    scored.first = scored.first > cut ? std::max<std::size_t>(1, scored.first - cut) : 1;
  }
  return scored;
}

double log_likelihood(std::span<const float> logits, TokenId token) {
  return logits[static_cast<std::size_t>(token)] - log_normalizer(logits);
}

// Log-likelihood of the scored tokens. The prefix that all choices share is run once and kept in the cache.
class ChoiceScorer {
 public:
  ChoiceScorer(Session& session, const JobContext& job) : session_(session), job_(job) {}

  Result<void> run_prefix(std::span<const TokenId> prefix) {
    session_.rewind(0);
    RETORT_CHECK(session_.run(prefix, job_));
    RETORT_TRY(const auto row, session_.logits(static_cast<std::int64_t>(prefix.size()) - 1, 1));
    last_.assign(row.begin(), row.end());
    prefix_ = prefix.size();
    return {};
  }

  Result<double> score(const Scored& scored) {
    double sum = 0;
    if (scored.first == prefix_) sum += log_likelihood(last_, scored.ids[prefix_]);
    const auto rest = std::span(scored.ids).subspan(prefix_, scored.ids.size() - 1 - prefix_);
    if (rest.empty()) return sum;
    session_.rewind(static_cast<std::int64_t>(prefix_));
    RETORT_CHECK(session_.run(rest, job_));
    RETORT_TRY(const auto logits, session_.logits(0, static_cast<std::int64_t>(rest.size())));
    const std::size_t vocabulary = logits.size() / rest.size();
    for (std::size_t i = std::max(scored.first, prefix_ + 1); i < scored.ids.size(); ++i)
      sum += log_likelihood(logits.subspan((i - 1 - prefix_) * vocabulary, vocabulary), scored.ids[i]);
    return sum;
  }

 private:
  Session& session_;
  const JobContext& job_;
  std::vector<float> last_;
  std::size_t prefix_ = 0;
};

std::size_t shared_prefix(const std::vector<Scored>& choices) {
  std::size_t length = choices[0].first;
  for (const Scored& choice : choices) {
    std::size_t same = 0;
    const std::size_t limit = std::min({length, choice.first, choice.ids.size() - 1});
    while (same < limit && choice.ids[same] == choices[0].ids[same]) ++same;
    length = same;
  }
  return std::max<std::size_t>(1, length);
}

void accuracy_figures(Evaluation& evaluation) {
  const auto right = std::count_if(evaluation.rows.begin(), evaluation.rows.end(), [](const auto& row) { return row.correct; });
  evaluation.n = static_cast<std::int64_t>(evaluation.rows.size());
  evaluation.figures["accuracy"] = wilson(right, evaluation.n);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool answer_is(std::string_view said, std::string_view answer) {
  const std::size_t begin = said.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos || !said.substr(begin).starts_with(answer)) return false;
  const std::size_t end = begin + answer.size();
  return end >= said.size() || !std::isalnum(static_cast<unsigned char>(said[end]));
}

// Greedy continuation until the answer is decided: a line end after something, an end token, or enough tokens.
Result<std::string> greedy_answer(Session& session, const Tokenizer& tokenizer, std::vector<TokenId> prompt,
                                  std::size_t max_tokens, const JobContext& job) {
  session.rewind(0);
  std::string said;
  std::vector<TokenId> next = std::move(prompt);
  for (std::size_t i = 0; i < max_tokens; ++i) {
    RETORT_CHECK(session.run(next, job));
    RETORT_TRY(const auto logits, session.logits(static_cast<std::int64_t>(next.size()) - 1, 1));
    const auto id = static_cast<TokenId>(arg_max(logits));
    if (std::find(tokenizer.end_of_generation.begin(), tokenizer.end_of_generation.end(), id) != tokenizer.end_of_generation.end()) break;
    said += tokenizer.piece_bytes(id);
    const std::size_t begin = said.find_first_not_of(" \t\n");
    if (begin != std::string::npos && said.find('\n', begin) != std::string::npos) break;
    next.assign(1, id);
  }
  return said;
}

}  // namespace

Result<Evaluation> evaluate_choice(Session& session, const Model& model, const DataSet& data, const EvaluateOptions& options,
                                   const JobContext& job) {
  const auto start = std::chrono::steady_clock::now();
  RETORT_CHECK(check_data(model, data, {DataKind::kChoice}));
  const auto limit = static_cast<std::size_t>(options.max_tokens > 0 ? std::min(options.max_tokens, options.context) : options.context);
  Evaluation evaluation;
  evaluation.task = "choice";
  std::int64_t right_per_byte = 0;
  ChoiceScorer scorer(session, job);
  for (std::size_t e = 0; e < data.examples.size(); ++e) {
    RETORT_CHECK(job.check(data.name));
    job.report({static_cast<double>(e), static_cast<double>(data.examples.size()), "prompts", "choices " + data.name});
    const Example& example = data.examples[e];
    std::vector<Scored> choices;
    for (const std::string& choice : example.choices) {
      choices.push_back(encode_choice(*model.tokenizer, example.text, choice, limit));
      if (choices.back().ids.size() < 2)
        return Error{.code = ErrorCode::kBadData, .file = data.path.string(), .place = "example " + std::to_string(e + 1), .expected = "a context and a choice", .found = "nothing to score"};
    }
    RETORT_CHECK(scorer.run_prefix(std::span(choices[0].ids).first(shared_prefix(choices))));
    std::vector<double> sums, per_byte;
    for (std::size_t c = 0; c < choices.size(); ++c) {
      RETORT_TRY(const double sum, scorer.score(choices[c]));
      sums.push_back(sum);
      per_byte.push_back(sum / static_cast<double>(std::max<std::size_t>(1, example.choices[c].size())));
    }
    const auto best = std::max_element(sums.begin(), sums.end()) - sums.begin();
    right_per_byte += std::max_element(per_byte.begin(), per_byte.end()) - per_byte.begin() == example.answer;
    Evaluation::Row row;
    row.index = static_cast<std::int64_t>(e);
    row.text = end_of_text(example.text);
    row.group = example.group;
    row.correct = best == example.answer;
    row.score = row.correct ? 1 : 0;
    row.answer = example.choices[static_cast<std::size_t>(best)];
    std::sort(sums.rbegin(), sums.rend());
    row.margin = sums[0] - sums[1];
    evaluation.rows.push_back(std::move(row));
  }
  accuracy_figures(evaluation);
  evaluation.figures["accuracy_normalized"] = wilson(right_per_byte, evaluation.n);
  evaluation.seconds = seconds_since(start);
  return evaluation;
}

Result<Evaluation> evaluate_exact(Session& session, const Model& model, const DataSet& data, const EvaluateOptions& options,
                                  const JobContext& job) {
  const auto start = std::chrono::steady_clock::now();
  RETORT_CHECK(check_data(model, data, {DataKind::kExact, DataKind::kLastWord}));
  Evaluation evaluation;
  evaluation.task = "exact";
  for (std::size_t e = 0; e < data.examples.size(); ++e) {
    RETORT_CHECK(job.check(data.name));
    job.report({static_cast<double>(e), static_cast<double>(data.examples.size()), "prompts", "answers " + data.name});
    const Example& example = data.examples[e];
    std::vector<TokenId> prompt = model.tokenizer->encode(example.text, true);
    // Room for the answer as the model might spell it, and what shows that it ended.
    const std::size_t answer_tokens = model.tokenizer->encode(" " + example.target, false).size() + 3;
    const auto limit = static_cast<std::size_t>(options.max_tokens > 0 ? std::min(options.max_tokens, options.context) : options.context);
    if (prompt.empty() || answer_tokens >= limit)
      return Error{.code = ErrorCode::kBadData, .file = data.path.string(), .place = "example " + std::to_string(e + 1), .expected = "a prompt and a short answer", .found = "an empty prompt or an answer longer than the context"};
    if (prompt.size() + answer_tokens > limit) prompt.erase(prompt.begin(), prompt.end() - static_cast<std::ptrdiff_t>(limit - answer_tokens));
    RETORT_TRY(const std::string said, greedy_answer(session, *model.tokenizer, std::move(prompt), answer_tokens, job));
    Evaluation::Row row;
    row.index = static_cast<std::int64_t>(e);
    row.text = end_of_text(example.text);
    row.group = example.group;
    row.correct = answer_is(said, example.target);
    row.score = row.correct ? 1 : 0;
    row.answer = said;
    evaluation.rows.push_back(std::move(row));
  }
  accuracy_figures(evaluation);
  evaluation.seconds = seconds_since(start);
  return evaluation;
}

}  // namespace retort
