#include "ui/services/study_service.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QMutex>
#include <QThread>
#include <utility>

#include "core/base/files.h"

namespace retort::ui {
namespace {

std::filesystem::path to_path(const QString& path) { return std::filesystem::path(path.toStdU16String()); }

// The one place where exceptions of a job end (bad_alloc too): they become an Error.
template <class Body>
auto guarded(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{.code = ErrorCode::kOutOfMemory};
  } catch (const std::exception& exception) {
    return Error{.code = ErrorCode::kInternal, .found = exception.what()};
  }
}

// A snapshot holds some ten thousand small strings: the last to let go of one is often the window, and that would cost
// it milliseconds. A worker takes it apart.
SnapshotPtr shared_snapshot(StudySnapshot snapshot) {
  return {new StudySnapshot(std::move(snapshot)), [](const StudySnapshot* old) {
            if (QThreadPool* pool = QCoreApplication::instance() ? QThreadPool::globalInstance() : nullptr)
              pool->start([old] { delete old; });
            else
              delete old;
          }};
}

Error not_in_this_build() { return Error{.code = ErrorCode::kUnsupported, .place = "this build"}; }

}  // namespace

// Shared with workers, which may outlive the service by a moment. Posts closures to the window thread and keeps only
// the newest snapshot on its way, so that a fast run cannot flood the event loop.
struct StudyService::Link {
  QMutex mutex;
  StudyService* service = nullptr;
  std::shared_ptr<Study> current;      // results of others are stale
  SnapshotPtr pending;
  bool pendingUndo = false, posted = false;

  void post(std::function<void(StudyService&)> body) {
    const QMutexLocker lock(&mutex);
    if (!service) return;
    QMetaObject::invokeMethod(
        service, [target = service, body = std::move(body)] { body(*target); }, Qt::QueuedConnection);
  }

  void postSnapshot(const std::shared_ptr<Study>& study) {
    auto fresh = shared_snapshot(study->snapshot());
    const bool undo = study->can_undo();
    const QMutexLocker lock(&mutex);
    if (!service || current != study) return;
    pending = std::move(fresh);
    pendingUndo = undo;
    if (std::exchange(posted, true)) return;
    QMetaObject::invokeMethod(service, &StudyService::takeSnapshot, Qt::QueuedConnection);
  }
};

StudyService::StudyService(CoreApi api, QObject* parent)
    : QObject(parent), m_api(std::move(api)), m_link(std::make_shared<Link>()) {
  m_link->service = this;
  m_edits.setMaxThreadCount(1);
  m_jobs.setMaxThreadCount(4);
  for (QThreadPool* pool : {&m_edits, &m_jobs}) pool->setThreadPriority(QThread::LowPriority);
}

StudyService::~StudyService() {
  {
    const QMutexLocker lock(&m_link->mutex);
    m_link->service = nullptr;
  }
  if (m_run) m_run->stop();
  if (m_opening) m_opening->stop();
  m_edits.waitForDone();
  m_jobs.waitForDone();
}

void StudyService::createStudy(const QString& path) { open(tr("Creating the study"), path, true, {}); }
void StudyService::openStudy(const QString& path) { open(tr("Opening the study"), path, false, {}); }

void StudyService::createFromModel(const QString& model) {
  const QDir folder(QDir(QString::fromStdU16String(user_data_folder().u16string())).filePath(QStringLiteral("studies")));
  const QString base = QFileInfo(model).completeBaseName();
  QString path = folder.filePath(base + QStringLiteral(".retort"));
  for (int n = 2; QFileInfo::exists(path); ++n) path = folder.filePath(QStringLiteral("%1-%2.retort").arg(base).arg(n));
  open(tr("Opening the model"), path, true, model);
}

void StudyService::open(const QString& what, const QString& path, bool create, const QString& source) {
  const auto opener = create ? m_api.createStudy : m_api.openStudy;
  if (m_opening) m_opening->stop();
  m_opening = std::make_shared<JobContext>();
  const quint64 request = ++m_openRequest;
  setBusy(QStringLiteral("%1 · %2").arg(what, QFileInfo(source.isEmpty() ? path : source).fileName()));
  m_jobs.start([=, link = m_link, job = m_opening] {
    auto study = guarded([&]() -> Result<std::shared_ptr<Study>> {
      if (!opener) return not_in_this_build();
      if (create) std::filesystem::create_directories(to_path(path).parent_path());
      RETORT_TRY(auto opened, opener(to_path(path)));
      if (!source.isEmpty()) {
        if (auto set = opened->set_source(to_path(source), *job); !set) {
          // A study without its model is of no use to anybody: it is not left behind.
          opened.reset();
          std::error_code ignored;
          std::filesystem::remove(to_path(path), ignored);
          return set.error();
        }
      }
      return opened;
    });
    link->post([request, what, study = std::move(study)](StudyService& service) {
      if (request != service.m_openRequest) return;   // a newer request won
      service.setBusy({});
      if (!study)
        emit service.failed(failureOf(study.error(), what));
      else
        service.accept(*study);
    });
  });
}

void StudyService::adopt(std::shared_ptr<Study> study) {
  ++m_openRequest;
  accept(std::move(study));
}

void StudyService::accept(std::shared_ptr<Study> study) {
  if (m_run) stop();
  m_run.reset();
  m_study = std::move(study);
  m_snapshot.reset();
  {
    const QMutexLocker lock(&m_link->mutex);
    m_link->current = m_study;
    m_link->pending.reset();
  }
  emit runStateChanged();
  if (!m_study) {
    m_canUndo = false;
    emit undoChanged(false);
    emit snapshotChanged(nullptr);
    return;
  }
  m_edits.start([link = m_link, current = m_study] { link->postSnapshot(current); });
}

void StudyService::closeStudy() {
  ++m_openRequest;
  setBusy({});
  accept(nullptr);
}

void StudyService::takeSnapshot() {
  bool undo = false;
  {
    const QMutexLocker lock(&m_link->mutex);
    m_link->posted = false;
    if (!m_link->pending) return;
    m_snapshot = std::exchange(m_link->pending, nullptr);
    undo = m_link->pendingUndo;
  }
  if (std::exchange(m_canUndo, undo) != undo) emit undoChanged(undo);
  emit snapshotChanged(m_snapshot);
}

void StudyService::edit(const QString& what, Edit body) {
  if (!m_study) return;
  m_edits.start([=, link = m_link, current = m_study] {
    const auto done = guarded([&] { return body(*current); });
    if (!done) link->post([=](StudyService& service) { emit service.failed(failureOf(done.error(), what)); });
    link->postSnapshot(current);
  });
}

void StudyService::longEdit(const QString& what, std::function<Result<void>(Study&, const JobContext&)> body) {
  if (!m_study) return;
  if (m_opening) m_opening->stop();
  m_opening = std::make_shared<JobContext>();
  setBusy(what);
  m_jobs.start([=, link = m_link, current = m_study, job = m_opening] {
    const auto done = guarded([&] { return body(*current, *job); });
    link->post([=](StudyService& service) {
      if (service.m_opening != job) return;
      service.setBusy({});
      if (!done && done.error().code != ErrorCode::kCanceled) emit service.failed(failureOf(done.error(), what));
    });
    link->postSnapshot(current);
  });
}

void StudyService::setSource(const QString& model) {
  if (!m_study) return createFromModel(model);
  longEdit(tr("Reading %1").arg(QFileInfo(model).fileName()),
           [path = to_path(model)](Study& study, const JobContext& job) { return study.set_source(path, job); });
}

void StudyService::addData(const QString& path, DataRole role, const Columns& columns) {
  longEdit(tr("Reading %1").arg(QFileInfo(path).fileName()), [=, file = to_path(path)](Study& study, const JobContext& job) {
    return study.add_data(file, role, columns, job);
  });
}

void StudyService::removeData(const QString& name) {
  edit(tr("Removing %1").arg(name), [n = name.toStdString()](Study& study) { return study.remove_data(n); });
}

void StudyService::setDataRole(const QString& name, DataRole role) {
  edit(tr("Changing the role of %1").arg(name), [=, n = name.toStdString()](Study& study) { return study.set_data_role(n, role); });
}

void StudyService::addCandidate(const Recipe& recipe) {
  edit(tr("Adding %1").arg(QString::fromStdString(recipe.name)), [=](Study& study) -> Result<void> {
    RETORT_TRY([[maybe_unused]] const auto id, study.add_candidate(recipe));
    return {};
  });
}

void StudyService::updateCandidate(std::int64_t id, const Recipe& recipe) {
  edit(tr("Changing %1").arg(QString::fromStdString(recipe.name)),
       [=](Study& study) { return study.update_candidate(id, recipe); });
}

void StudyService::removeCandidate(std::int64_t id) {
  edit(tr("Removing a candidate"), [=](Study& study) { return study.remove_candidate(id); });
}

void StudyService::setChosen(std::int64_t id, bool chosen) {
  edit(tr("Choosing candidates"), [=](Study& study) { return study.set_chosen(id, chosen); });
}

void StudyService::moveCandidate(std::int64_t id, int newIndex) {
  edit(tr("Reordering candidates"), [=](Study& study) { return study.move_candidate(id, newIndex); });
}

void StudyService::setGoals(const Goals& goals) {
  edit(tr("Setting goals"), [=](Study& study) { return study.set_goals(goals); });
}

void StudyService::setContext(std::int64_t context) {
  edit(tr("Setting the context"), [=](Study& study) { return study.set_context(context); });
}

void StudyService::setThreads(int threads) {
  edit(tr("Setting the threads"), [=](Study& study) { return study.set_threads(threads); });
}

void StudyService::setDevice(const std::string& device) {
  edit(tr("Choosing the device"), [=](Study& study) { return study.set_device(device); });
}

void StudyService::undo() {
  edit(tr("Undo"), [](Study& study) { return study.undo(); });
}

void StudyService::run() {
  if (m_run) return pause(false);
  if (!m_study) return;
  m_run = std::make_shared<JobContext>();
  emit runStateChanged();
  m_jobs.start([link = m_link, current = m_study, job = m_run, runner = m_api.runStudy] {
    const auto done = guarded([&]() -> Result<void> {
      if (!runner) return not_in_this_build();
      return runner(current, *job, [&] { link->postSnapshot(current); });
    });
    link->postSnapshot(current);
    link->post([=](StudyService& service) {
      if (service.m_run != job) return;
      service.m_run.reset();
      emit service.runStateChanged();
      if (!done && done.error().code != ErrorCode::kCanceled) emit service.failed(failureOf(done.error(), tr("The run")));
      emit service.runFinished(done.ok());
    });
  });
}

void StudyService::pause(bool on) {
  if (!m_run || m_run->paused() == on) return;
  m_run->pause(on);
  emit runStateChanged();
}

void StudyService::stop() {
  if (m_run) m_run->stop();
}

void StudyService::requestEstimate() {
  if (!m_study || !m_api.estimateRun) return;
  m_jobs.start([link = m_link, current = m_study, estimator = m_api.estimateRun, request = ++m_estimateRequest] {
    const auto estimate = guarded([&]() -> Result<RunEstimate> { return estimator(*current); });
    link->post([=](StudyService& service) {
      if (estimate && service.m_study == current && request == service.m_estimateRequest)
        emit service.estimateReady(*estimate);
    });
  });
}

void StudyService::requestStoreUsage() {
  if (!m_study) return;
  m_jobs.start([link = m_link, current = m_study] {
    const auto store = current->store();
    if (!store) return;
    link->post([usage = store->usage()](StudyService& service) { emit service.storeUsageReady(usage); });
  });
}

void StudyService::collectStore(std::uint64_t bytes) {
  edit(tr("Cleaning up the store"), [=, link = m_link](Study& study) -> Result<void> {
    const auto store = study.store();
    if (!store) return {};
    RETORT_TRY([[maybe_unused]] const auto freed, store->collect(bytes));
    link->post([usage = store->usage()](StudyService& service) { emit service.storeUsageReady(usage); });
    return {};
  });
}

void StudyService::setBusy(const QString& what) {
  if (m_busy == what) return;
  m_busy = what;
  emit busyChanged(what);
}

}  // namespace retort::ui
