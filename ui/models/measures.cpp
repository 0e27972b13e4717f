#include "ui/models/measures.h"

#include <algorithm>

#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

std::optional<Figure> exact(double value) { return Figure{value, value, value}; }

template <class Member>
std::function<std::optional<Figure>(const CandidateInfo&)> ofBench(Member member) {
  return [member](const CandidateInfo& c) -> std::optional<Figure> {
    // What a kind of model doesn't do (a classifier decodes nothing) is 0 there.
    if (!c.bench || !(static_cast<double>((*c.bench).*member) > 0)) return std::nullopt;
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
                 tr("Mean distance of the answers' distribution (next words, or classes) from the original's; 0 is equal. Interval: 95 %, resampled by chunk or text"), 1, true, true, true, ofFigure("kld_mean")});
  all.push_back({QStringLiteral("agreement"), tr("Same answer"), QStringLiteral("%"), tr("Share of positions (of a classifier: texts) whose most likely answer is the original's"), 100, false, false, true, ofFigure("top1_agreement")});
  all.push_back({QStringLiteral("perplexity"), tr("Perplexity"), QString(), tr("On the evaluation text, second half of each chunk scored"), 1, true, false, true, ofFigure("perplexity")});
  all.push_back({QStringLiteral("accuracy"), tr("Accuracy"), QStringLiteral("%"), tr("Right answers over all labelled prompts or texts; interval: Wilson, 95 %"), 100, false, false, true, ofFigure("accuracy")});
  all.push_back({QStringLiteral("f1"), tr("Macro F1"), QStringLiteral("%"), tr("F1 of each class, as a mean over the classes: rare ones count as much as frequent ones"), 100, false, false, true, ofFigure("macro_f1")});
  all.push_back({QStringLiteral("decode"), tr("Decode"), QStringLiteral("tokens/s"), tr("Generated tokens per second"), 1, false, false, false, ofBench(&BenchResult::decode_tokens_per_second)});
  all.push_back({QStringLiteral("prefill"), tr("Prefill"), QStringLiteral("tokens/s"), tr("Tokens read per second: of a prompt, or of many texts at once"), 1, false, false, false, ofBench(&BenchResult::prefill_tokens_per_second)});
  all.push_back({QStringLiteral("first"), tr("First token"), QStringLiteral("ms"), tr("From the prompt to the first token, 512 tokens of prompt"), 1000, true, false, false, ofBench(&BenchResult::time_to_first_token_seconds)});
  all.push_back({QStringLiteral("p50"), tr("Latency p50"), QStringLiteral("ms"), tr("Per generated token, or per text of a classifier; median"), 1000, true, false, false, ofBench(&BenchResult::p50)});
  all.push_back({QStringLiteral("p95"), tr("Latency p95"), QStringLiteral("ms"), tr("Per generated token, or per text of a classifier"), 1000, true, false, false, ofBench(&BenchResult::p95)});
  all.push_back({QStringLiteral("p99"), tr("Latency p99"), QStringLiteral("ms"), tr("Per generated token, or per text of a classifier"), 1000, true, false, false, ofBench(&BenchResult::p99)});
  all.push_back({QStringLiteral("memory"), tr("Peak memory"), QStringLiteral("MB"), tr("Of the measuring process"), 1e-6, true, false, false, ofBench(&BenchResult::peak_memory_bytes)});
  // The same model on the study's GPU, where it has one.
  all.push_back({QStringLiteral("gpu-decode"), tr("GPU decode"), QStringLiteral("tokens/s"), tr("Generated tokens per second on the study's GPU"), 1, false, false, false, ofFigure("device_decode")});
  all.push_back({QStringLiteral("gpu-prefill"), tr("GPU prefill"), QStringLiteral("tokens/s"), tr("Tokens read per second on the study's GPU"), 1, false, false, false, ofFigure("device_prefill")});
  all.push_back({QStringLiteral("gpu-p50"), tr("GPU latency p50"), QStringLiteral("ms"), tr("Per generated token, or per text, on the study's GPU; median"), 1000, true, false, false, ofFigure("device_p50")});
  all.push_back({QStringLiteral("gpu-memory"), tr("GPU memory"), QStringLiteral("MB"), tr("Weights, KV cache and work space on the study's GPU"), 1e-6, true, false, false, ofFigure("device_memory")});
  all.push_back({QStringLiteral("gpu-energy"), tr("GPU energy"), QStringLiteral("mJ a token"), tr("Counted by the GPU itself, per generated token or encoded one"), 1000, true, false, false, ofFigure("device_energy")});
  return all;
}

}  // namespace

const std::vector<Measure>& measures() {
  static const std::vector<Measure> all = makeMeasures();
  return all;
}

const Measure& measure(QStringView id) {
  const auto& all = measures();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Measure& m) { return m.id == id; });
  return found == all.end() ? all.front() : *found;
}

QString measureText(const Measure& measure, const CandidateInfo& candidate) {
  const auto figure = measure.figure(candidate);
  if (!figure) return QStringLiteral("–");
  if (figure->high > figure->low) return figureText(*figure, measure.scale);
  return significant(figure->value * measure.scale, 3);   // as the inspector shows it
}

bool hasAnswers(const Evaluation& evaluation) { return evaluation.task == "choice" || evaluation.task == "exact" || evaluation.task == "classification"; }

bool isMeasured(const StudySnapshot& study, const Measure& measure) {
  return std::any_of(study.candidates.begin(), study.candidates.end(), [&](const CandidateInfo& c) { return measure.figure(c).has_value(); });
}

std::vector<double> labelledRows(const CandidateInfo& candidate) {
  std::vector<double> rows;
  for (const auto& [name, evaluation] : candidate.evaluations)
    if (hasAnswers(evaluation))
      for (const auto& row : evaluation.rows) rows.push_back(row.correct ? 1 : 0);
  return rows;
}

}  // namespace retort::ui
