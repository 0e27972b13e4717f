#include "ui/services/model_service.h"

#include <QElapsedTimer>
#include <QFileInfo>
#include <QThread>
#include <algorithm>

#include "ui/services/model_loading.h"

namespace retort::ui {
namespace {

constexpr std::size_t kMostKnown = 4096;             // statistics that are kept for coming back to a tensor
constexpr std::int64_t kOutlierSample = 1 << 14;     // values of each tensor for the map
constexpr qint64 kBetweenPosts = 100;                // milliseconds

}  // namespace

ModelService::ModelService(const CoreApi& api, QObject* parent) : QObject(parent), m_api(api) {
  m_pool.setMaxThreadCount(4);   // one job of each kind; all but the newest of its kind are stopped
  m_pool.setThreadPriority(QThread::LowPriority);
}

ModelService::~ModelService() {
  for (const auto& job : {m_loading, m_graphLoading, m_statistics, m_sampling})
    if (job) job->stop();
  m_pool.waitForDone();   // nothing posts after this; queued posts die with the object
}

void ModelService::post(std::function<void()> body) {
  QMetaObject::invokeMethod(this, [body = std::move(body)] { body(); }, Qt::QueuedConnection);
}

bool ModelService::isGraph(const QString& path) {
  return QFileInfo(path).isFile() && path.endsWith(QStringLiteral(".onnx"), Qt::CaseInsensitive);
}

// What was computed on tensors that are no longer shown.
void ModelService::forgetValues() {
  for (auto* job : {&m_statistics, &m_sampling}) {
    if (*job) (*job)->stop();
    job->reset();
  }
  m_known.clear();
  m_outliers.clear();
}

void ModelService::ensure(const QString& path) {
  if (path == m_studyPath) return;
  m_studyPath = path;
  if (!path.isEmpty()) closeGraph();
  if (path != m_path) open(path);
}

void ModelService::preview(const QString& path) {
  closeGraph();
  if (path != m_path || m_failure) open(path);
}

void ModelService::endPreview() {
  if (m_path != m_studyPath) open(m_studyPath);
}

void ModelService::open(const QString& path) {
  m_path = path;
  m_loaded.reset();
  m_failure.reset();
  forgetValues();
  if (m_loading) m_loading->stop();
  m_loading.reset();
  if (!path.isEmpty()) {
    m_loading = std::make_shared<JobContext>();
    m_pool.start([this, path, job = m_loading] {
      auto loaded = loadModel(m_api, path);
      post([this, job, path, loaded] {
        if (m_loading != job) return;
        if (loaded) {
          m_loaded = *loaded;
        } else {
          m_loading.reset();
          m_failure = failureOf(loaded.error(), tr("Opening %1").arg(QFileInfo(path).fileName()));
        }
        emit loadedChanged();
      });
      if (!loaded || job->stopped()) return;
      auto whole = std::make_shared<LoadedModel>(**loaded);
      whole->levels = levelRows(m_api, *whole->model);
      post([this, job, whole] {
        if (m_loading != job) return;
        m_loading.reset();
        m_loaded = whole;
        emit loadedChanged();
      });
    });
  }
  emit loadedChanged();
}

void ModelService::showGraph(const QString& path) {
  forgetValues();
  if (m_graphLoading) m_graphLoading->stop();
  m_graph.reset();
  m_graphFailure.reset();
  m_graphPath = path;
  m_graphLoading = std::make_shared<JobContext>();
  m_pool.start([this, path, job = m_graphLoading] {
    auto loaded = loadGraph(path);
    post([this, job, path, loaded = std::move(loaded)] {
      if (m_graphLoading != job) return;
      m_graphLoading.reset();
      if (loaded)
        m_graph = *loaded;
      else
        m_graphFailure = failureOf(loaded.error(), tr("Opening %1").arg(QFileInfo(path).fileName()));
      emit graphChanged();
    });
  });
  emit graphChanged();
}

void ModelService::closeGraph() {
  if (m_graphPath.isEmpty()) return;
  if (m_graphLoading) m_graphLoading->stop();
  m_graphLoading.reset();
  m_graph.reset();
  m_graphFailure.reset();
  m_graphPath.clear();
  forgetValues();
  emit graphChanged();
}

const std::vector<TensorRow>& ModelService::tensors() const {
  static const std::vector<TensorRow> none;
  if (!m_graphPath.isEmpty()) return m_graph ? m_graph->tensors : none;
  return m_loaded ? m_loaded->tensors : none;
}

const TensorRow* ModelService::tensor(const QString& name) const {
  const auto& rows = tensors();
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const TensorRow& row) { return row.name == name || row.sourceName == name; });
  return found == rows.end() ? nullptr : &*found;
}

std::optional<TensorEntry> ModelService::entryOf(const TensorRow& row) const {
  if (m_graph) return m_graph->entries[row.index];
  return m_loaded->model->checkpoint->tensors[row.index];
}

std::shared_ptr<const void> ModelService::keepAlive() const {
  if (m_graph) return m_graph;
  return m_loaded;
}

void ModelService::requestStatistics(const QString& name) {
  const TensorRow* row = tensor(name);
  if (!row) return;
  if (m_statistics) m_statistics->stop();
  m_statistics.reset();
  if (const auto known = m_known.find(row->name); known != m_known.end()) {
    emit statisticsReady(known->second);
    return;
  }
  const std::optional<TensorEntry> entry = entryOf(*row);
  if (!entry) return;
  m_statistics = std::make_shared<JobContext>();
  m_pool.start([this, keep = keepAlive(), entry = *entry, shown = row->name, job = m_statistics] {
    const auto give = [this, job, &shown](TensorStatistics statistics) {
      statistics.name = shown.toStdString();
      post([this, job, shown, shared = std::make_shared<const TensorStatistics>(std::move(statistics))] {
        if (m_statistics != job) return;
        if (!shared->is_sample()) {
          if (m_known.size() >= kMostKnown) m_known.clear();
          m_known[shown] = shared;
          noteOutliers(shown, *shared);
        }
        emit statisticsReady(shared);
      });
    };
    TensorStatistics sample = sample_statistics(entry);
    const bool partial = sample.is_sample();
    give(std::move(sample));
    if (!partial) return;
    QElapsedTimer since;
    since.start();
    job->on_progress([this, job = job.get(), &shown, &since](const Progress& progress) {
      if (since.elapsed() < kBetweenPosts) return;
      since.restart();
      post([this, job, shown, part = progress.done / std::max(progress.total, 1.0)] {
        if (m_statistics.get() == job) emit statisticsProgress(shown, part);
      });
    });
    auto whole = tensor_statistics(entry, *job);
    job->on_progress({});
    if (whole) give(std::move(*whole));   // else stopped: a newer one is on its way
  });
}

// What all values say is better than what a sample said.
void ModelService::noteOutliers(const QString& name, const TensorStatistics& whole) {
  const TensorRow* row = tensor(name);
  if (!row || m_outliers.size() != tensors().size()) return;
  m_outliers[static_cast<std::size_t>(row - tensors().data())] = {static_cast<float>(whole.farthest()), static_cast<float>(whole.outliers)};
  emit outliersChanged();
}

void ModelService::requestOutliers() {
  const auto& rows = tensors();
  if (rows.empty() || m_outliers.size() == rows.size()) return;
  m_outliers.assign(rows.size(), {});
  std::vector<std::optional<TensorEntry>> entries;
  for (const TensorRow& row : rows) entries.push_back(entryOf(row));
  m_sampling = std::make_shared<JobContext>();
  m_pool.start([this, keep = keepAlive(), entries = std::move(entries), job = m_sampling] {
    std::vector<std::pair<std::size_t, OutlierMark>> marks;
    QElapsedTimer since;
    since.start();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (job->stopped()) return;
      if (entries[i]) {
        const TensorStatistics sample = sample_statistics(*entries[i], kOutlierSample);
        marks.emplace_back(i, OutlierMark{static_cast<float>(sample.farthest()), static_cast<float>(sample.outliers)});
      }
      if (since.elapsed() < kBetweenPosts && i + 1 < entries.size()) continue;
      since.restart();
      post([this, job, marks = std::exchange(marks, {})] {
        if (m_sampling != job) return;
        for (const auto& [at, mark] : marks) {
          const auto known = m_known.find(tensors()[at].name);
          m_outliers[at] = known == m_known.end() ? mark : OutlierMark{static_cast<float>(known->second->farthest()), static_cast<float>(known->second->outliers)};
        }
        emit outliersChanged();
      });
    }
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
