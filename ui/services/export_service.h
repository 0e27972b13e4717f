// ExportService: writes a candidate as a file and checks it, in a worker. One at a time. Window thread only.
#pragma once

#include <QObject>
#include <QThreadPool>
#include <cstdint>
#include <memory>

#include "core/export/verify.h"
#include "core/study/study_export.h"
#include "core/study/study.h"
#include "ui/services/failure.h"

namespace retort::ui {

struct CheckedExport {
  ExportReport report;
  VerifyReport check;
};

class ExportService : public QObject {
  Q_OBJECT
 public:
  explicit ExportService(QObject* parent = nullptr);
  ~ExportService() override;

  bool isRunning() const { return m_job != nullptr; }

 public slots:
  void start(std::shared_ptr<Study> study, std::int64_t candidate, const QString& path, int threads);
  void stop();

 signals:
  void progress(const Progress& progress);
  void finished(const CheckedExport& result);
  void failed(const Failure& failure);

 private:
  std::shared_ptr<JobContext> m_job;
  QThreadPool m_pool;
};

}  // namespace retort::ui
