// ModelService: what the Model page shows: the study's source model, or one that is about to become it, and beside it an
// ONNX graph. Opened in a worker and shared as immutable values: tensors, configuration, what every level makes of it,
// memory at a context, values of one tensor at a time, outliers of all. Window thread only; the newest request wins.
#pragma once

#include <QObject>
#include <QThreadPool>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/model/inspect_config.h"
#include "core/model/tensor_statistics.h"
#include "core/onnx/summary.h"
#include "ui/services/core_api.h"
#include "ui/services/failure.h"

namespace retort::ui {

struct TensorRow {
  std::size_t index = 0;      // of the entries that values are read from
  QString name;               // canonical where the graph has one, else as in the file
  QString sourceName;
  QString kind;               // "attn_q", "ffn_down", "token_embd"; of ONNX: the operator that reads it
  int layer = -1;             // -1 outside the layers
  QString shape;              // "576 × 1536"
  QString typeName, typePlain;
  double bits = 32;           // per weight
  std::int64_t elements = 0;
  std::uint64_t bytes = 0;
};

// What a level would make of the model; nothing has been computed on its weights.
struct LevelRow {
  QString id, plain, explanation;
  bool takesImportance = false;
  LevelPlan plan;
  qsizetype fallbacks = 0;
  QString problem;            // why it cannot be planned; empty otherwise
};

struct LoadedModel {
  std::shared_ptr<const Model> model;
  std::vector<TensorRow> tensors;
  std::vector<LevelRow> levels;
  std::vector<ConfigEntry> config;
  QString path;
};
using LoadedModelPtr = std::shared_ptr<const LoadedModel>;

struct LoadedGraph {
  QString path;
  std::shared_ptr<const onnx::OnnxFile> file;
  onnx::Summary summary;                             // points into the file
  std::vector<TensorRow> tensors;                    // weights, in the summary's order
  std::vector<std::optional<TensorEntry>> entries;   // their values, where their type has any
};
using LoadedGraphPtr = std::shared_ptr<const LoadedGraph>;

using TensorStatisticsPtr = std::shared_ptr<const TensorStatistics>;

// What a sample of a tensor says of its outliers. `farthest` below 0: not sampled yet.
struct OutlierMark {
  float farthest = -1;        // the value farthest from the mean, in standard deviations
  float share = 0;            // beyond six of them
};
using OutlierMarks = std::vector<OutlierMark>;       // by place in tensors()

class ModelService : public QObject {
  Q_OBJECT
 public:
  explicit ModelService(const CoreApi& api, QObject* parent = nullptr);
  ~ModelService() override;

  LoadedModelPtr loaded() const { return m_loaded; }
  bool isLoading() const { return m_loading != nullptr; }
  std::optional<Failure> failure() const { return m_failure; }
  // The file or folder that loaded() is or will be; empty: none.
  QString path() const { return m_path; }
  const CoreApi& api() const { return m_api; }

  // A graph that is looked at beside the study. Null while it opens and where none was asked for.
  LoadedGraphPtr graph() const { return m_graph; }
  QString graphPath() const { return m_graphPath; }   // empty: none
  std::optional<Failure> graphFailure() const { return m_graphFailure; }
  static bool isGraph(const QString& path);

  // The tensors of what is shown: the graph's where one is, else the model's.
  const std::vector<TensorRow>& tensors() const;
  const TensorRow* tensor(const QString& name) const;
  const OutlierMarks& outliers() const { return m_outliers; }

 public slots:
  // The study's source. Opens when it is another one than last time; an empty path forgets the model.
  void ensure(const QString& path);
  // Shows a model at once, before a study has taken it in.
  void preview(const QString& path);
  // A preview that came to nothing: back to the study's source.
  void endPreview();
  void showGraph(const QString& path);
  void closeGraph();
  // A sample at once, then every value; asking for another tensor stops it.
  void requestStatistics(const QString& tensor);
  // Samples all tensors of what is shown, once.
  void requestOutliers();
  void requestMemory(std::int64_t context, int threads);

 signals:
  void loadedChanged();                       // loaded(), isLoading() or failure() changed
  void graphChanged();                        // graph(), graphPath() or graphFailure() changed
  void statisticsReady(const retort::ui::TensorStatisticsPtr& statistics);     // a sample first, then the whole
  void statisticsProgress(const QString& tensor, double part);    // of reading every value
  void outliersChanged();
  void memoryReady(std::int64_t context, const MemoryByPart& memory);   // of the source's layout; weights differ by level

 private:
  void post(std::function<void()> body);
  void open(const QString& path);
  void forgetValues();
  void noteOutliers(const QString& name, const TensorStatistics& whole);
  std::optional<TensorEntry> entryOf(const TensorRow& row) const;
  std::shared_ptr<const void> keepAlive() const;

  CoreApi m_api;
  LoadedModelPtr m_loaded;
  QString m_path, m_studyPath;
  std::optional<Failure> m_failure, m_graphFailure;
  LoadedGraphPtr m_graph;
  QString m_graphPath;
  std::shared_ptr<JobContext> m_loading, m_graphLoading, m_statistics, m_sampling;
  std::map<QString, TensorStatisticsPtr> m_known;   // whole ones
  OutlierMarks m_outliers;
  std::shared_ptr<std::atomic<quint64>> m_memoryRequest = std::make_shared<std::atomic<quint64>>(0);
  QThreadPool m_pool;
};

}  // namespace retort::ui
