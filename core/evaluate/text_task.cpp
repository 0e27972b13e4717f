// Perplexity and KL divergence over chunks of text.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "core/evaluate/distribution.h"
#include "core/evaluate/metrics.h"
#include "core/evaluate/statistics.h"

namespace retort {
namespace {

struct Chunks {
  std::vector<TokenId> tokens;
  std::int64_t context = 0, count = 0, first_scored = 0;
  std::optional<TokenId> bos;   // replaces each chunk's first token when the model wants it

  std::int64_t scored() const { return context - 1 - first_scored; }
  std::vector<TokenId> chunk(std::int64_t i) const {
    const auto begin = tokens.begin() + i * context;
    std::vector<TokenId> ids(begin, begin + context);
    if (bos) ids[0] = *bos;
    return ids;
  }
  Digest digest() const {
    return DigestBuilder().number(static_cast<std::uint64_t>(context)).number(static_cast<std::uint64_t>(count))
        .raw(std::as_bytes(std::span(tokens).first(static_cast<std::size_t>(context * count)))).finish();
  }
};

Result<Chunks> cut(const Model& model, const DataSet& data, const EvaluateOptions& options) {
  if (!model.tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = model.checkpoint->path.string(), .expected = "a tokenizer",
                 .next_step = "put tokenizer.json beside the weights"};
  if (options.context < 4) return Error{.code = ErrorCode::kBadArgument, .place = "--context", .expected = "at least 4", .found = std::to_string(options.context)};
  Chunks chunks;
  chunks.context = options.context;
  chunks.first_scored = options.context / 2;
  chunks.tokens = model.tokenizer->encode(data.joined_text(), true);
  chunks.count = static_cast<std::int64_t>(chunks.tokens.size()) / options.context;
  if (options.chunks > 0) chunks.count = std::min(chunks.count, options.chunks);
  if (model.tokenizer->adds_bos) chunks.bos = model.tokenizer->bos;
  if (chunks.count == 0)
    return Error{.code = ErrorCode::kBadData, .file = data.path.string(),
                 .expected = "at least " + std::to_string(options.context) + " tokens", .found = std::to_string(chunks.tokens.size()),
                 .next_step = "take a longer text or a smaller --context"};
  return chunks;
}

// What every scored token gave; [chunk · scored + position].
struct TokenScores {
  std::vector<double> nll, kld;
  std::vector<char> agrees;
};

Figure resampled_quantile(const TokenScores& scores, const Chunks& chunks, double q, std::uint64_t seed) {
  const auto width = static_cast<std::size_t>(chunks.scored()), count = static_cast<std::size_t>(chunks.count);
  const auto quantile_of = [&](const std::vector<std::size_t>& picks) {
    std::vector<double> values;
    values.reserve(picks.size() * width);
    for (const std::size_t chunk : picks)
      values.insert(values.end(), scores.kld.begin() + static_cast<std::ptrdiff_t>(chunk * width),
                    scores.kld.begin() + static_cast<std::ptrdiff_t>((chunk + 1) * width));
    std::sort(values.begin(), values.end());
    return quantile(values, q);
  };
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  Figure figure;
  figure.value = quantile_of(all);
  std::vector<double> results;
  for (const auto& picks : resample_indices(count, 200, seed)) results.push_back(quantile_of(picks));
  std::sort(results.begin(), results.end());
  figure.low = quantile(results, 0.025);
  figure.high = quantile(results, 0.975);
  return figure;
}

void fill_figures(Evaluation& evaluation, const TokenScores& scores, const Chunks& chunks, bool with_reference,
                  std::uint64_t seed) {
  std::vector<double> nll, kld, agreement;
  const auto width = static_cast<std::size_t>(chunks.scored());
  for (std::size_t chunk = 0; chunk < static_cast<std::size_t>(chunks.count); ++chunk) {
    double nll_sum = 0, kld_sum = 0, agree_sum = 0;
    for (std::size_t i = chunk * width; i < (chunk + 1) * width; ++i) {
      nll_sum += scores.nll[i];
      if (with_reference) kld_sum += scores.kld[i], agree_sum += scores.agrees[i];
    }
    const auto n = static_cast<double>(width);
    nll.push_back(nll_sum / n);
    kld.push_back(kld_sum / n);
    agreement.push_back(agree_sum / n);
    Evaluation::Row& row = evaluation.rows[chunk];
    row.score = nll.back();
    row.kld = kld.back();
    row.correct = false;
  }
  const Figure loss = bootstrap_mean(nll, seed);
  evaluation.figures["perplexity"] = {std::exp(loss.value), std::exp(loss.low), std::exp(loss.high)};
  if (!with_reference) return;
  evaluation.figures["kld_mean"] = bootstrap_mean(kld, seed);
  evaluation.figures["top1_agreement"] = bootstrap_mean(agreement, seed);
  evaluation.figures["kld_median"] = resampled_quantile(scores, chunks, 0.5, seed);
  evaluation.figures["kld_p99"] = resampled_quantile(scores, chunks, 0.99, seed);
  evaluation.figures["kld_p999"] = resampled_quantile(scores, chunks, 0.999, seed);
}

std::string preview(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  std::string text = tokenizer.decode(ids.first(std::min<std::size_t>(ids.size(), 40)), true);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Result<void> check_reference(const Reference& reference, const Chunks& chunks, const DataSet& data) {
  if (reference.text == chunks.digest() && reference.context == chunks.context && reference.chunks == chunks.count) return {};
  return Error{.code = ErrorCode::kBadData, .file = data.path.string(), .expected = "the text and chunks that the original was measured on",
               .found = "others (the two models may tokenize differently)"};
}

// Scores rows [done, done + rows) of one chunk; both sets of logits are [rows, vocabulary].
void score_rows(TokenScores& scores, std::size_t base, std::span<const float> logits, std::span<const float> original,
                std::span<const TokenId> targets, kernels::ThreadPool& pool) {
  const std::size_t vocabulary = logits.size() / targets.size();
  pool.parallel_for(targets.size(), [&](std::size_t row, int) {
    const auto mine = logits.subspan(row * vocabulary, vocabulary);
    scores.nll[base + row] = log_normalizer(mine) - mine[static_cast<std::size_t>(targets[row])];
    if (original.empty()) return;
    const auto theirs = original.subspan(row * vocabulary, vocabulary);
    scores.kld[base + row] = kl_divergence(theirs, mine);
    scores.agrees[base + row] = arg_max(theirs) == arg_max(mine);
  });
}

}  // namespace

Result<Evaluation> evaluate_text(Session& session, const Model& model, const DataSet& data, const EvaluateOptions& options,
                                 const Reference* reference, Session* reference_head, Reference* record,
                                 const JobContext& job) {
  const auto start = std::chrono::steady_clock::now();
  RETORT_TRY(const Chunks chunks, cut(model, data, options));
  if (reference) RETORT_CHECK(check_reference(*reference, chunks, data));
  const auto width = static_cast<std::size_t>(chunks.scored());
  const auto hidden = static_cast<std::size_t>(model.config.hidden);
  const auto vocabulary = static_cast<std::size_t>(model.config.vocabulary);
  TokenScores scores;
  scores.nll.resize(width * static_cast<std::size_t>(chunks.count));
  if (reference) {
    if (static_cast<std::size_t>(reference->model->config.vocabulary) != vocabulary)
      return Error{.code = ErrorCode::kBadData, .expected = "models with the same vocabulary", .found = "different ones"};
    scores.kld.resize(scores.nll.size());
    scores.agrees.resize(scores.nll.size());
  }
  if (record) {
    *record = Reference{.model = {}, .hidden = {}, .context = chunks.context, .chunks = chunks.count,
                        .scored_per_chunk = chunks.scored(), .text = chunks.digest()};
    record->hidden.reserve(scores.nll.size() * hidden);
  }

  Evaluation evaluation;
  evaluation.task = reference ? "kld" : "perplexity";
  kernels::ThreadPool pool(options.threads);
  constexpr std::size_t kRowsAtOnce = 32;
  std::vector<float> original(reference ? kRowsAtOnce * vocabulary : 0);
  for (std::int64_t c = 0; c < chunks.count; ++c) {
    RETORT_CHECK(job.check(data.name));
    job.report({static_cast<double>(c), static_cast<double>(chunks.count), "chunks", "text " + data.name});
    const std::vector<TokenId> ids = chunks.chunk(c);
    session.rewind(0);
    RETORT_CHECK(session.run(ids, job));
    const std::size_t base = static_cast<std::size_t>(c) * width;
    if (record) {
      const auto states = session.hidden().subspan(static_cast<std::size_t>(chunks.first_scored) * hidden, width * hidden);
      record->hidden.insert(record->hidden.end(), states.begin(), states.end());
    }
    for (std::size_t done = 0; done < width; done += kRowsAtOnce) {
      const std::size_t rows = std::min(kRowsAtOnce, width - done);
      RETORT_TRY(const auto logits, session.logits(chunks.first_scored + static_cast<std::int64_t>(done), static_cast<std::int64_t>(rows)));
      std::span<const float> theirs;
      if (reference) {
        RETORT_CHECK(reference_head->head(std::span(reference->hidden).subspan((base + done) * reference->hidden.size() / scores.nll.size(), rows * reference->hidden.size() / scores.nll.size()),
                                          std::span(original).first(rows * vocabulary)));
        theirs = std::span(original).first(rows * vocabulary);
      }
      const auto targets = std::span(ids).subspan(static_cast<std::size_t>(chunks.first_scored) + done + 1, rows);
      score_rows(scores, base + done, logits, theirs, targets, pool);
    }
    Evaluation::Row row;
    row.index = c;
    row.text = preview(*model.tokenizer, ids);
    evaluation.rows.push_back(std::move(row));
  }
  evaluation.n = static_cast<std::int64_t>(scores.nll.size());
  fill_figures(evaluation, scores, chunks, reference != nullptr, options.seed);
  for (const double nll : scores.nll)
    if (!std::isfinite(nll)) return Error{.code = ErrorCode::kNonFinite, .file = model.checkpoint->path.string(), .place = "logits", .next_step = "check the model; its output is not a number"};
  evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  job.report({static_cast<double>(chunks.count), static_cast<double>(chunks.count), "chunks", "text " + data.name});
  return evaluation;
}

}  // namespace retort
