#include "ui/services/model_service.h"

#include <QFileInfo>
#include <QRegularExpression>
#include <QThread>
#include <algorithm>
#include <cmath>
#include <map>

#include "ui/format.h"

namespace retort::ui {
namespace {

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
    QStringList shape;
    for (const std::int64_t d : tensor.shape) shape << QString::number(d);
    row.shape = shape.join(QStringLiteral(" × "));
    row.type = tensor.type;
    row.elements = tensor.elements();
    row.bytes = tensor.stored_bytes();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<LevelRow> level_rows(const CoreApi& api, const Model& model) {
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

Result<LoadedModelPtr> load(const CoreApi& api, const QString& path) {
  try {
    if (!api.openModel) return Error{.code = ErrorCode::kUnsupported, .place = "this build"};
    RETORT_TRY(Model model, api.openModel(std::filesystem::path(path.toStdU16String())));
    auto loaded = std::make_shared<LoadedModel>();
    loaded->path = path;
    loaded->model = std::make_shared<const Model>(std::move(model));
    loaded->tensors = tensor_rows(*loaded->model);
    loaded->levels = level_rows(api, *loaded->model);
    return LoadedModelPtr(std::move(loaded));
  } catch (const std::bad_alloc&) {
    return Error{.code = ErrorCode::kOutOfMemory};
  } catch (const std::exception& exception) {
    return Error{.code = ErrorCode::kInternal, .found = exception.what()};
  }
}

}  // namespace

Result<TensorStatistics> computeStatistics(const TensorEntry& tensor, const QString& name, const JobContext& job) {
  constexpr std::size_t kBins = 64, kRowBins = 256;
  TensorStatistics statistics;
  statistics.name = name;
  statistics.elements = tensor.elements();
  const auto columns = static_cast<std::size_t>(tensor.columns()), rows = static_cast<std::size_t>(tensor.rows());
  if (columns == 0 || rows == 0) return statistics;
  std::vector<float> row(columns);
  statistics.rowPeaks.assign(std::min(rows, kRowBins), 0.0f);

  const auto each_row = [&](auto&& body) -> Result<void> {
    for (std::size_t r = 0; r < rows; ++r) {
      if (r % 64 == 0) RETORT_CHECK(job.check(tensor.name));
      tensor.decode_rows(static_cast<std::int64_t>(r), 1, row.data());
      body(r);
    }
    return {};
  };
  double low = INFINITY, high = -INFINITY, sum = 0, squares = 0;
  std::int64_t zeros = 0;
  RETORT_CHECK(each_row([&](std::size_t r) {
    float peak = 0;
    for (const float x : row) {
      low = std::min(low, static_cast<double>(x));
      high = std::max(high, static_cast<double>(x));
      sum += x;
      squares += static_cast<double>(x) * x;
      zeros += x == 0;
      peak = std::max(peak, std::abs(x));
    }
    float& bin = statistics.rowPeaks[r * statistics.rowPeaks.size() / rows];
    bin = std::max(bin, peak);
  }));
  const double n = static_cast<double>(rows * columns);
  statistics.minimum = low;
  statistics.maximum = high;
  statistics.mean = sum / n;
  statistics.deviation = std::sqrt(std::max(0.0, squares / n - statistics.mean * statistics.mean));
  statistics.zeroShare = static_cast<double>(zeros) / n;

  statistics.histogram.assign(kBins, 0);
  const double scale = high > low ? static_cast<double>(kBins) / (high - low) : 0;
  const double far = 6 * statistics.deviation;
  std::int64_t outliers = 0;
  RETORT_CHECK(each_row([&](std::size_t) {
    for (const float x : row) {
      const auto bin = static_cast<std::size_t>(std::clamp((x - low) * scale, 0.0, static_cast<double>(kBins - 1)));
      ++statistics.histogram[bin];
      outliers += std::abs(x - statistics.mean) > far;
    }
  }));
  statistics.outlierShare = static_cast<double>(outliers) / n;
  return statistics;
}

ModelService::ModelService(const CoreApi& api, QObject* parent) : QObject(parent), m_api(api) {
  m_pool.setMaxThreadCount(2);
  m_pool.setThreadPriority(QThread::LowPriority);
}

ModelService::~ModelService() {
  for (const auto& job : {m_loading, m_statistics})
    if (job) job->stop();
  m_pool.waitForDone();   // nothing posts after this; queued posts die with the object
}

void ModelService::post(std::function<void()> body) {
  QMetaObject::invokeMethod(this, [body = std::move(body)] { body(); }, Qt::QueuedConnection);
}

void ModelService::ensure(const QString& path) {
  if (path == m_path) return;
  m_path = path;
  m_loaded.reset();
  m_failure.reset();
  if (m_loading) m_loading->stop();
  m_loading.reset();
  if (m_statistics) m_statistics->stop();
  if (!path.isEmpty()) {
    m_loading = std::make_shared<JobContext>();
    m_pool.start([this, path, job = m_loading] {
      auto loaded = load(m_api, path);
      post([this, job, path, loaded = std::move(loaded)] {
        if (m_loading != job) return;
        m_loading.reset();
        if (loaded)
          m_loaded = *loaded;
        else
          m_failure = failureOf(loaded.error(), tr("Opening %1").arg(QFileInfo(path).fileName()));
        emit loadedChanged();
      });
    });
  }
  emit loadedChanged();
}

void ModelService::requestStatistics(const QString& name) {
  if (!m_loaded) return;
  const auto found = std::find_if(m_loaded->tensors.begin(), m_loaded->tensors.end(),
                                  [&](const TensorRow& row) { return row.name == name || row.sourceName == name; });
  if (found == m_loaded->tensors.end()) return;
  if (m_statistics) m_statistics->stop();
  m_statistics = std::make_shared<JobContext>();
  m_pool.start([this, loaded = m_loaded, index = found->index, name, job = m_statistics] {
    auto statistics = computeStatistics(loaded->model->checkpoint->tensors[index], name, *job);
    if (!statistics) return;   // stopped: a newer one is on its way
    post([this, job, shared = std::make_shared<const TensorStatistics>(std::move(*statistics))] {
      if (m_statistics == job) emit statisticsReady(shared);
    });
  });
}

void ModelService::requestMemory(std::int64_t context, int threads) {
  if (!m_loaded || !m_api.predictMemory) return;
  const quint64 request = ++*m_memoryRequest;
  m_pool.start([this, loaded = m_loaded, context, threads, request, newest = m_memoryRequest] {
    if (*newest != request) return;
    RunOptions options;
    options.context = context;
    const auto memory = m_api.predictMemory(*loaded->model, options, threads);
    if (!memory) return;
    post([this, context, memory = *memory, request] {
      if (*m_memoryRequest == request) emit memoryReady(context, memory);
    });
  });
}

}  // namespace retort::ui
