// TryService: answers of several candidates to one prompt, one after another in a worker, so that each has the machine
// to itself and its rate means something. Tokens arrive as signals in the window's thread; a newer request wins.
#pragma once

#include <QObject>
#include <QThreadPool>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/model/generate.h"
#include "core/study/study.h"
#include "ui/services/failure.h"

namespace retort::ui {

struct TryRequest {
  std::shared_ptr<Study> study;
  std::vector<std::int64_t> candidates;
  std::string prompt;
  bool chat = false;              // wrapped in the model's chat template
  GenerateOptions options;
  int threads = 0;
};

class TryService : public QObject {
  Q_OBJECT
 public:
  explicit TryService(QObject* parent = nullptr);
  ~TryService() override;

  bool isRunning() const { return m_job != nullptr; }

 public slots:
  void start(const TryRequest& request);
  void stop();

 signals:
  void started(int column);
  void token(int column, const GeneratedToken& token);
  void finished(int column, const GenerateResult& result);
  void columnFailed(int column, const Failure& failure);
  void allDone();

 private:
  std::shared_ptr<JobContext> m_job;
  std::shared_ptr<std::atomic<quint64>> m_newest = std::make_shared<std::atomic<quint64>>(0);
  QThreadPool m_pool;
};

}  // namespace retort::ui
