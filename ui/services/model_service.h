// ModelService: the study's source model, opened in a worker and shared as immutable values: tensors, what every level
// makes of it, memory at a context, statistics of one tensor at a time. Window thread only; the newest request wins.
#pragma once

#include <QObject>
#include <QThreadPool>
#include <atomic>
#include <memory>
#include <vector>

#include "ui/services/core_api.h"
#include "ui/services/failure.h"

namespace retort::ui {

struct TensorRow {
  std::size_t index = 0;      // of Checkpoint::tensors
  QString name;               // canonical where the graph has one, else as in the file
  QString sourceName;
  QString kind;               // "attn_q", "ffn_down", "token_embd"
  int layer = -1;             // -1 outside the layers
  QString shape;              // "576 × 1536"
  kernels::TensorType type = kernels::TensorType::kF32;
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
  QString path;
};
using LoadedModelPtr = std::shared_ptr<const LoadedModel>;

struct TensorStatistics {
  QString name;
  double minimum = 0, maximum = 0, mean = 0, deviation = 0;
  double outlierShare = 0;            // of values beyond 6 standard deviations
  double zeroShare = 0;
  std::int64_t elements = 0;
  std::vector<std::int64_t> histogram;   // 64 bins between minimum and maximum
  std::vector<float> rowPeaks;           // largest magnitude per output row, at most 256 bins of rows (largest of each)
};
// The whole tensor, decoded row by row. Errors: kCanceled.
Result<TensorStatistics> computeStatistics(const TensorEntry& tensor, const QString& name, const JobContext& job);

class ModelService : public QObject {
  Q_OBJECT
 public:
  explicit ModelService(const CoreApi& api, QObject* parent = nullptr);
  ~ModelService() override;

  LoadedModelPtr loaded() const { return m_loaded; }
  bool isLoading() const { return m_loading != nullptr; }
  std::optional<Failure> failure() const { return m_failure; }
  const CoreApi& api() const { return m_api; }

 public slots:
  // Opens when the path differs from what is open or on its way; an empty path forgets the model.
  void ensure(const QString& path);
  void requestStatistics(const QString& tensor);
  void requestMemory(std::int64_t context, int threads);

 signals:
  void loadedChanged();                       // loaded(), isLoading() or failure() changed
  void statisticsReady(std::shared_ptr<const TensorStatistics> statistics);
  void memoryReady(std::int64_t context, const MemoryByPart& memory);   // of the source's layout; weights differ by level

 private:
  void post(std::function<void()> body);

  CoreApi m_api;
  LoadedModelPtr m_loaded;
  QString m_path;
  std::optional<Failure> m_failure;
  std::shared_ptr<JobContext> m_loading, m_statistics;
  std::shared_ptr<std::atomic<quint64>> m_memoryRequest = std::make_shared<std::atomic<quint64>>(0);
  QThreadPool m_pool;
};

}  // namespace retort::ui
