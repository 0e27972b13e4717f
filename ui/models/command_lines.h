// The `retort …` lines that do what the window does, ready to be pasted into a shell.
#pragma once

#include <QString>

#include "core/study/snapshot.h"

namespace retort::ui {

// In single quotes when a shell would read it otherwise.
QString shellWord(const QString& text);
inline QString shellWord(const std::filesystem::path& path) { return shellWord(QString::fromStdU16String(path.u16string())); }

// Makes a study of the same model and data. Its presets are those that the study has; own recipes need --recipe files.
QString newStudyCommand(const StudySnapshot& study);
// Measures the source on a set, or collects an importance matrix from it.
QString dataCommand(const StudySnapshot& study, const DataInfo& set);
QString runCommand(const StudySnapshot& study, bool onlyEstimate = false);
// What makes a recipe that is only edited yet: the file that it names has to be saved first.
QString draftCommand(const StudySnapshot& study, const Recipe& recipe);
QString showCommand(const StudySnapshot& study);

}  // namespace retort::ui
