#include "ui/models/stage_titles.h"

#include "ui/translate.h"

namespace retort::ui {

using distill::StageKind;

QString stageTitle(StageKind kind) {
  switch (kind) {
    case StageKind::kDistill: return tr("Distill");
    case StageKind::kQat: return tr("Train quantized");
    case StageKind::kQuantize: return tr("Quantize");
    case StageKind::kRepair: return tr("Repair");
    case StageKind::kProbe: return tr("Fit the head");
  }
  return {};
}

QString stageHelp(StageKind kind) {
  switch (kind) {
    case StageKind::kDistill: return tr("Every weight learns from the teacher.");
    case StageKind::kQat: return tr("Every weight learns, computed with as the level rounds it.");
    case StageKind::kQuantize: return tr("Nothing trains; the level rounds the weights.");
    case StageKind::kRepair: return tr("Scales, norms and biases learn; the file's size stays.");
    case StageKind::kProbe: return tr("A new head learns from the labels; the encoder stays as it is.");
  }
  return {};
}

}  // namespace retort::ui
