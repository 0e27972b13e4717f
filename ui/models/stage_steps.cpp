#include "ui/models/stage_steps.h"

#include <algorithm>
#include <optional>

#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

struct Line {
  const char* figure;
  const char* title;
  double scale;
  const char* unit;
};
// The quality that the stairs are drawn in: the first that the most stages have.
constexpr Line kQualities[] = {{"accuracy", QT_TRANSLATE_NOOP("StageSteps", "Right answers, %"), 100, "%"},
                               {"kld_mean", QT_TRANSLATE_NOOP("StageSteps", "KL divergence, nats"), 1, ""},
                               {"validation_accuracy", QT_TRANSLATE_NOOP("StageSteps", "Right on the validation texts, %"), 100, "%"},
                               {"validation_loss", QT_TRANSLATE_NOOP("StageSteps", "Loss on the validation texts, nats"), 1, ""}};
constexpr Line kFacts[] = {{"accuracy", QT_TRANSLATE_NOOP("StageSteps", "right"), 100, "%"},
                           {"kld_mean", QT_TRANSLATE_NOOP("StageSteps", "KL div."), 1, ""},
                           {"p50", QT_TRANSLATE_NOOP("StageSteps", "latency"), 1000, "ms"},
                           {"decode", QT_TRANSLATE_NOOP("StageSteps", "decode"), 1, "tok/s"},
                           {"peak_memory", QT_TRANSLATE_NOOP("StageSteps", "memory"), 1e-6, "MB"}};

std::optional<Figure> figureOf(const StageInfo& stage, const char* name) {
  const auto found = stage.figures.find(name);
  return found == stage.figures.end() ? std::nullopt : std::optional(found->second);
}

const Line& qualityOf(const CandidateInfo& candidate) {
  const Line* best = &kQualities[0];
  std::ptrdiff_t most = 0;
  for (const Line& quality : kQualities) {
    const auto count = std::count_if(candidate.stages.begin(), candidate.stages.end(), [&](const StageInfo& stage) { return figureOf(stage, quality.figure).has_value(); });
    if (count > most) best = &quality, most = count;
  }
  return *best;
}

QString stageName(const std::string& name) {
  if (name == "source") return tr("source");
  const QString text = toQString(name);
  return text.left(1).toUpper() + text.mid(1);
}

}  // namespace

StageSteps stageSteps(const CandidateInfo& candidate) {
  StageSteps steps;
  if (candidate.stages.size() < 2) return steps;
  const Line& quality = qualityOf(candidate);
  const bool divergence = std::string_view(quality.figure) == "kld_mean";
  steps.measure = {tr(quality.title), quality.scale, divergence};
  std::vector<const Line*> lines;
  for (const Line& line : kFacts)
    if (std::string_view(line.figure) != quality.figure && std::any_of(candidate.stages.begin(), candidate.stages.end(), [&](const StageInfo& s) { return figureOf(s, line.figure).has_value(); })) {
      lines.push_back(&line);
      steps.facts << tr(line.title);
    }
  for (std::size_t i = 0; i < candidate.stages.size(); ++i) {
    const StageInfo& stage = candidate.stages[i];
    if (!stage.warning.empty()) steps.warnings << toQString(stage.warning);
    const auto height = figureOf(stage, quality.figure);
    if (!height) continue;   // not measured yet
    StairTread tread{static_cast<std::int64_t>(i), static_cast<int>(i), stageName(stage.name), static_cast<double>(stage.bytes), *height, {}, {}, !stage.warning.empty()};
    for (const Line* line : lines) {
      const auto figure = figureOf(stage, line->figure);
      tread.facts << (figure ? Quantity{significant(figure->value * line->scale, 3), QString::fromLatin1(line->unit)}.text() : QStringLiteral("–"));
    }
    steps.treads.push_back(std::move(tread));
  }
  return steps;
}

}  // namespace retort::ui
