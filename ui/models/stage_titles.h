// What a stage of a distillation is called, and what it does, in one sentence.
#pragma once

#include <QString>

#include "core/distill/distill_recipe.h"

namespace retort::ui {

QString stageTitle(distill::StageKind kind);
QString stageHelp(distill::StageKind kind);

}  // namespace retort::ui
