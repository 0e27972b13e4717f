#include "ui/models/command_lines.h"

#include <QRegularExpression>
#include <QStringList>

#include "core/distill/packed_forms.h"
#include "ui/format.h"

namespace retort::ui {

QString shellWord(const QString& text) {
  static const QRegularExpression plain(QStringLiteral("^[A-Za-z0-9_./:,=@%-]+$"));
  if (plain.match(text).hasMatch()) return text;
  QString inside = text;
  return QLatin1Char('\'') + inside.replace(QLatin1Char('\''), QStringLiteral("'\\''")) + QLatin1Char('\'');
}

QString newStudyCommand(const StudySnapshot& study) {
  QString line = QStringLiteral("retort study new ") + shellWord(study.path);
  if (study.source) line += QStringLiteral(" --model ") + shellWord(study.source->path);
  QStringList files;   // a file that holds several sets is one --data
  for (const DataInfo& set : study.data) {
    const QString word = QString::fromStdU16String(set.path.u16string()) + QLatin1Char(':') + toQString(data_role_name(set.role));
    if (!files.contains(word)) files << word;
  }
  for (const QString& word : files) line += QStringLiteral(" --data ") + shellWord(word);
  QStringList levels;
  for (const CandidateInfo& candidate : study.candidates)
    if (!candidate.is_original && candidate.recipe.stages.size() == 1 && candidate.recipe.stages.front().overrides.empty())
      if (const QString level = toQString(candidate.recipe.stages.front().level); !levels.contains(level)) levels << level;
  if (!levels.isEmpty()) line += QStringLiteral(" --levels ") + levels.join(QLatin1Char(','));
  return line + QStringLiteral(" --context %1").arg(study.context);
}

QString dataCommand(const StudySnapshot& study, const DataInfo& set) {
  if (!study.source) return {};
  const QString model = shellWord(study.source->path), data = shellWord(set.path);
  if (set.role == DataRole::kTraining) return QStringLiteral("retort distill --teacher %1 --data %2 -o student").arg(model, data);
  if (set.role != DataRole::kEvaluation) return QStringLiteral("retort quantize %1 --type Q4_K_M --calibration %2 -o Q4_K_M.gguf").arg(model, data);
  const QString task = set.kind == DataKind::kChoice     ? QStringLiteral("choice")
                       : set.kind == DataKind::kText     ? QStringLiteral("perplexity")
                       : set.kind == DataKind::kLabelled ? QStringLiteral("classification")
                                                         : QStringLiteral("exact");
  return QStringLiteral("retort eval %1 --task %2 --data %3 --context %4").arg(model, task, data).arg(study.context);
}

QString runCommand(const StudySnapshot& study, bool onlyEstimate) {
  return QStringLiteral("retort study run %1").arg(shellWord(study.path)) + (onlyEstimate ? QStringLiteral(" --estimate") : QString());
}

QString draftCommand(const StudySnapshot& study, const Recipe& recipe) {
  if (!study.source) return {};
  QString name = QString::fromStdString(recipe.name).toLower();
  static const QRegularExpression other(QStringLiteral("[^a-z0-9_.]+"));
  name.replace(other, QStringLiteral("-"));
  while (name.endsWith(QLatin1Char('-'))) name.chop(1);
  if (name.isEmpty()) name = QStringLiteral("recipe");
  if (!recipe.student.empty()) {
    QString line = QStringLiteral("retort distill --recipe %1.json").arg(name);
    const auto student = distill::distill_recipe_from_json(recipe.student);
    if (!student || student->teacher.empty()) line += QStringLiteral(" --teacher ") + shellWord(study.source->path);
    if (student && student->data.train.empty())
      for (const DataInfo& set : study.data)
        if (set.role == DataRole::kTraining) {
          line += QStringLiteral(" --data ") + shellWord(set.path);
          break;
        }
    const std::string_view level = student ? distill::final_level(*student) : std::string_view();
    const std::filesystem::path parts = student ? distill::parts_of(*student) : std::filesystem::path();
    const bool gguf = parts.empty() ? study.source->gguf : parts.extension() == ".gguf";
    const bool file = level.empty() ? gguf : !distill::folder_level(level);
    return line + QStringLiteral(" -o %1%2").arg(name, file ? QStringLiteral(".gguf") : QString());
  }
  if (recipe.stages.size() != 1) return {};
  return QStringLiteral("retort quantize %1 --recipe %2.json -o %2.gguf").arg(shellWord(study.source->path), name);
}

QString showCommand(const StudySnapshot& study) { return QStringLiteral("retort study show ") + shellWord(study.path); }

}  // namespace retort::ui
