// Opening what ModelService holds; called from workers.
#pragma once

#include "ui/services/model_service.h"

namespace retort::ui {

// The model with its tensors and configuration; levels are planned afterwards, since that takes longer than reading headers.
Result<std::shared_ptr<LoadedModel>> loadModel(const CoreApi& api, const QString& path);
std::vector<LevelRow> levelRows(const CoreApi& api, const Model& model);
Result<LoadedGraphPtr> loadGraph(const QString& path);

}  // namespace retort::ui
