// StudyService: the window's one door to the study. Requests return at once and run in workers, in the order made; the
// outcome is a new snapshot or a failure, as signals in the window's thread. Of requests that replace each other (open,
// set source, add data, estimate) the newest wins. Every method is for the window thread.
#pragma once

#include <QObject>
#include <QThreadPool>
#include <functional>
#include <memory>

#include "ui/page.h"
#include "ui/services/core_api.h"
#include "ui/services/failure.h"

namespace retort::ui {

class StudyService : public QObject {
  Q_OBJECT
 public:
  explicit StudyService(CoreApi api, QObject* parent = nullptr);
  // Stops what runs and waits for it: at most half a second by the contract of JobContext.
  ~StudyService() override;

  SnapshotPtr snapshot() const { return m_snapshot; }
  bool canUndo() const { return m_canUndo; }
  bool isRunning() const { return m_run != nullptr; }
  bool isPaused() const { return m_run && m_run->paused(); }
  QString busyWith() const { return m_busy; }
  const CoreApi& api() const { return m_api; }
  // For jobs of pages in their own workers (candidate_model, write_manifest, export); null when none is open.
  std::shared_ptr<Study> study() const { return m_study; }

 public slots:
  void createStudy(const QString& path);
  void openStudy(const QString& path);
  // A new study beside the user's others, named after the model, with this source.
  void createFromModel(const QString& model);
  void adopt(std::shared_ptr<Study> study);   // one that is open already
  void closeStudy();

  void setSource(const QString& model);
  void addData(const QString& path, DataRole role, const Columns& columns);
  void removeData(const QString& name);
  void setDataRole(const QString& name, DataRole role);
  void addCandidate(const Recipe& recipe);
  void updateCandidate(std::int64_t id, const Recipe& recipe);
  void removeCandidate(std::int64_t id);
  void setChosen(std::int64_t id, bool chosen);
  void moveCandidate(std::int64_t id, int newIndex);
  void setGoals(const Goals& goals);
  void setContext(std::int64_t context);
  void setThreads(int threads);
  // "cuda:0", or empty: runs measure speed and memory there too.
  void setDevice(const std::string& device);
  void undo();

  void run();                 // goes on when paused
  void pause(bool on);
  void stop();                // finished parts are kept; run() goes on from there
  void requestEstimate();
  void requestStoreUsage();
  void collectStore(std::uint64_t bytes);   // removes what no study pins until at most this remains

 signals:
  void snapshotChanged(std::shared_ptr<const StudySnapshot> snapshot);
  void failed(const Failure& failure);
  void busyChanged(const QString& what);    // "Reading model.gguf …"; empty when idle
  void runStateChanged();                   // running, paused or neither
  void runFinished(bool completed);
  void estimateReady(const RunEstimate& estimate);
  void storeUsageReady(const StoreUsage& usage);
  void undoChanged(bool possible);

 private:
  struct Link;
  using Edit = std::function<Result<void>(Study&)>;
  void open(const QString& what, const QString& path, bool create, const QString& source);
  void edit(const QString& what, Edit body);
  void longEdit(const QString& what, std::function<Result<void>(Study&, const JobContext&)> body);
  void accept(std::shared_ptr<Study> study);
  void takeSnapshot();
  void setBusy(const QString& what);

  CoreApi m_api;
  std::shared_ptr<Link> m_link;
  std::shared_ptr<Study> m_study;
  SnapshotPtr m_snapshot;
  bool m_canUndo = false;
  QString m_busy;
  std::shared_ptr<JobContext> m_run;       // set while a run is on
  std::shared_ptr<JobContext> m_opening;   // the newest of open, source and data requests
  quint64 m_openRequest = 0, m_estimateRequest = 0;
  QThreadPool m_edits;                     // one thread: edits keep their order
  QThreadPool m_jobs;                      // opening, reading data, the run
};

}  // namespace retort::ui
