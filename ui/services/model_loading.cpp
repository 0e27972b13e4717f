#include "ui/services/model_loading.h"

#include <QRegularExpression>
#include <algorithm>

#include "ui/format.h"

namespace retort::ui {
namespace {

QString shape_text(std::span<const std::int64_t> shape) {
  QStringList sizes;
  for (const std::int64_t d : shape) sizes << QString::number(d);
  return sizes.join(QStringLiteral(" × "));
}

std::vector<TensorRow> tensor_rows(const Model& model) {
  std::map<std::string_view, std::string_view> canonical;
  for (const WeightSpec& spec : model.graph.weights) canonical[spec.source_name] = spec.name;
  static const QRegularExpression layered(QStringLiteral(R"(^blk\.(\d+)\.(.+?)(\.weight|\.bias)?$)"));
  std::vector<TensorRow> rows;
  const auto& tensors = model.checkpoint->tensors;
  rows.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorEntry& tensor = tensors[i];
    TensorRow row;
    row.index = i;
    row.sourceName = QString::fromStdString(tensor.name);
    const auto known = canonical.find(tensor.name);
    row.name = known == canonical.end() ? row.sourceName : toQString(known->second);
    if (const auto match = layered.match(row.name); match.hasMatch()) {
      row.layer = match.captured(1).toInt();
      row.kind = match.captured(2) + (match.captured(3) == QStringLiteral(".bias") ? QStringLiteral(".bias") : QString());
    } else {
      row.kind = row.name;
      if (row.kind.endsWith(QStringLiteral(".weight"))) row.kind.chop(7);
    }
    row.shape = shape_text(tensor.shape);
    const auto& type = kernels::traits(tensor.type);
    row.typeName = toQString(tensor.coded ? std::string_view(tensor.coded->scheme()) : type.name);
    row.typePlain = tensor.coded ? QString() : toQString(type.plain);
    row.elements = tensor.elements();
    row.bytes = tensor.stored_bytes();
    row.bits = tensor.coded && row.elements > 0 ? 8.0 * static_cast<double>(row.bytes) / static_cast<double>(row.elements) : type.bits_per_weight();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<TensorRow> tensor_rows(const onnx::Summary& summary) {
  std::vector<TensorRow> rows;
  rows.reserve(summary.weights.size());
  for (const onnx::Weight& weight : summary.weights) {
    const onnx::StoredTensor& tensor = weight.tensor;
    const auto& type = onnx::traits(tensor.type);
    TensorRow row;
    row.index = rows.size();
    row.name = row.sourceName = QString::fromStdString(tensor.name);
    row.kind = weight.op.empty() ? ModelService::tr("not read") : QString::fromStdString(weight.op);
    row.shape = tensor.shape.empty() ? ModelService::tr("scalar") : shape_text(tensor.shape);
    row.typeName = toQString(type.plain);
    row.bits = std::max(type.bits, 1u);
    row.elements = tensor.elements();
    row.bytes = tensor.data.size();
    rows.push_back(std::move(row));
  }
  return rows;
}

template <class Body>
auto guarded(const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{.code = ErrorCode::kOutOfMemory};
  } catch (const std::exception& exception) {
    return Error{.code = ErrorCode::kInternal, .found = exception.what()};
  }
}

}  // namespace

std::vector<LevelRow> levelRows(const CoreApi& api, const Model& model) {
  std::vector<LevelRow> rows;
  if (!api.levels || !api.planLevel) return rows;
  for (const Level& level : api.levels()) {
    LevelRow row{.id = toQString(level.id), .plain = toQString(level.plain), .explanation = toQString(level.explanation),
                 .takesImportance = level.takes_importance, .plan = {}, .fallbacks = 0, .problem = {}};
    if (auto plan = api.planLevel(model, level.id, false, {})) {
      row.plan = std::move(*plan);
      row.fallbacks = std::count_if(row.plan.tensors.begin(), row.plan.tensors.end(),
                                    [](const TensorPlan& t) { return t.wanted.has_value(); });
    } else {
      row.problem = failureOf(plan.error()).text;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<std::shared_ptr<LoadedModel>> loadModel(const CoreApi& api, const QString& path) {
  return guarded([&]() -> Result<std::shared_ptr<LoadedModel>> {
    if (!api.openModel) return Error{.code = ErrorCode::kUnsupported, .place = "this build"};
    RETORT_TRY(Model model, api.openModel(std::filesystem::path(path.toStdU16String())));
    auto loaded = std::make_shared<LoadedModel>();
    loaded->path = path;
    loaded->model = std::make_shared<const Model>(std::move(model));
    loaded->tensors = tensor_rows(*loaded->model);
    loaded->config = config_entries(*loaded->model->checkpoint);
    return loaded;
  });
}

Result<LoadedGraphPtr> loadGraph(const QString& path) {
  return guarded([&]() -> Result<LoadedGraphPtr> {
    auto loaded = std::make_shared<LoadedGraph>();
    loaded->path = path;
    RETORT_TRY(loaded->file, onnx::open_onnx(std::filesystem::path(path.toStdU16String())));
    loaded->summary = onnx::summarise(*loaded->file);
    loaded->tensors = tensor_rows(loaded->summary);
    for (const onnx::Weight& weight : loaded->summary.weights) loaded->entries.push_back(onnx::entry_of(weight.tensor));
    return LoadedGraphPtr(std::move(loaded));
  });
}

}  // namespace retort::ui
