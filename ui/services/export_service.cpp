#include "ui/services/export_service.h"

namespace retort::ui {

ExportService::ExportService(QObject* parent) : QObject(parent) { m_pool.setMaxThreadCount(1); }

ExportService::~ExportService() {
  stop();
  m_pool.waitForDone();
}

void ExportService::stop() {
  if (m_job) m_job->stop();
}

void ExportService::start(std::shared_ptr<Study> study, std::int64_t candidate, const QString& path, int threads) {
  if (m_job) return;
  m_job = std::make_shared<JobContext>();
  const JobContext job = *m_job;
  m_job->on_progress([this](const Progress& now) {
    QMetaObject::invokeMethod(this, [this, now] { emit progress(now); }, Qt::QueuedConnection);
  });
  m_pool.start([this, study, candidate, path = path.toStdString(), threads, job] {
    const auto work = [&]() -> Result<CheckedExport> {
      CheckedExport result;
      RETORT_TRY(result.report, export_study_candidate(*study, candidate, path, job));
      RETORT_TRY(const auto model, study->candidate_model(candidate));
      VerifyOptions options;
      options.threads = threads;
      RETORT_TRY(result.check, verify_file(path, *model, options, job));
      return result;
    };
    const auto result = work();
    QMetaObject::invokeMethod(this, [this, result] {
      m_job.reset();
      if (result.ok()) emit finished(*result);
      else emit failed(failureOf(result.error(), tr("Export")));
    }, Qt::QueuedConnection);
  });
}

}  // namespace retort::ui
