#include "ui/models/measures.h"

#include <QCoreApplication>
#include <algorithm>

#include "ui/format.h"

namespace retort::ui {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("Measures", text); }

std::optional<Figure> exact(double value) { return Figure{value, value, value}; }

template <class Member>
std::function<std::optional<Figure>(const CandidateInfo&)> ofBench(Member member) {
  return [member](const CandidateInfo& c) -> std::optional<Figure> {
    if (!c.bench) return std::nullopt;
    return exact(static_cast<double>((*c.bench).*member));
  };
}

std::function<std::optional<Figure>(const CandidateInfo&)> ofFigure(const char* name) {
  return [name](const CandidateInfo& c) { return c.figure(name); };
}

std::vector<Measure> makeMeasures() {
  std::vector<Measure> all;
  all.push_back({QStringLiteral("size"), tr("Size"), QStringLiteral("MB"), tr("Bytes of the file"), 1e-6, true, false, false,
                 [](const CandidateInfo& c) { return c.bytes ? exact(static_cast<double>(c.bytes)) : std::nullopt; }});
  all.push_back({QStringLiteral("bpw"), tr("Bits per weight"), QString(), tr("Of the whole file, scales and fallbacks included"), 1, true, false, false,
                 [](const CandidateInfo& c) { return c.bits_per_weight > 0 ? exact(c.bits_per_weight) : std::nullopt; }});
  all.push_back({QStringLiteral("kld"), tr("KL divergence"), QStringLiteral("nats"),
                 tr("Mean distance of the next-word distribution from the original's; 0 is equal. Interval: 95 %, resampled by chunk"), 1, true, true, true, ofFigure("kld_mean")});
  all.push_back({QStringLiteral("agreement"), tr("Same next word"), QStringLiteral("%"), tr("Share of positions where the most likely token is the original's"), 100, false, false, true, ofFigure("top1_agreement")});
  all.push_back({QStringLiteral("perplexity"), tr("Perplexity"), QString(), tr("On the evaluation text, second half of each chunk scored"), 1, true, false, true, ofFigure("perplexity")});
  all.push_back({QStringLiteral("accuracy"), tr("Accuracy"), QStringLiteral("%"), tr("Right answers over all labelled prompts; interval: Wilson, 95 %"), 100, false, false, true, ofFigure("accuracy")});
  all.push_back({QStringLiteral("decode"), tr("Decode"), QStringLiteral("tokens/s"), tr("Generated tokens per second"), 1, false, false, false, ofBench(&BenchResult::decode_tokens_per_second)});
  all.push_back({QStringLiteral("prefill"), tr("Prefill"), QStringLiteral("tokens/s"), tr("Prompt tokens per second"), 1, false, false, false, ofBench(&BenchResult::prefill_tokens_per_second)});
  all.push_back({QStringLiteral("first"), tr("First token"), QStringLiteral("ms"), tr("From the prompt to the first token, 512 tokens of prompt"), 1000, true, false, false, ofBench(&BenchResult::time_to_first_token_seconds)});
  all.push_back({QStringLiteral("p50"), tr("Latency p50"), QStringLiteral("ms"), tr("Per generated token, median"), 1000, true, false, false, ofBench(&BenchResult::p50)});
  all.push_back({QStringLiteral("p95"), tr("Latency p95"), QStringLiteral("ms"), tr("Per generated token"), 1000, true, false, false, ofBench(&BenchResult::p95)});
  all.push_back({QStringLiteral("p99"), tr("Latency p99"), QStringLiteral("ms"), tr("Per generated token"), 1000, true, false, false, ofBench(&BenchResult::p99)});
  all.push_back({QStringLiteral("memory"), tr("Peak memory"), QStringLiteral("MB"), tr("Of the measuring process"), 1e-6, true, false, false, ofBench(&BenchResult::peak_memory_bytes)});
  return all;
}

}  // namespace

const std::vector<Measure>& measures() {
  static const std::vector<Measure> all = makeMeasures();
  return all;
}

const Measure& measure(const QString& id) {
  const auto& all = measures();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Measure& m) { return m.id == id; });
  return found == all.end() ? all.front() : *found;
}

QString measureText(const Measure& measure, const CandidateInfo& candidate) {
  const auto figure = measure.figure(candidate);
  if (!figure) return QStringLiteral("–");
  if (figure->high > figure->low) return figureText(*figure, measure.scale);
  return significant(figure->value * measure.scale, 4);
}

std::vector<double> labelledRows(const CandidateInfo& candidate) {
  std::vector<double> rows;
  for (const auto& [name, evaluation] : candidate.evaluations)
    if (evaluation.task == "choice" || evaluation.task == "exact")
      for (const auto& row : evaluation.rows) rows.push_back(row.correct ? 1 : 0);
  return rows;
}

}  // namespace retort::ui
