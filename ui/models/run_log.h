// RunLog: what a run did, line by line: from the changes between one snapshot and the next. Keeps the last 2000 lines.
#pragma once

#include <QObject>
#include <QStringList>
#include <map>

#include "core/study/snapshot.h"

namespace retort::ui {

class RunLog : public QObject {
  Q_OBJECT
 public:
  using QObject::QObject;
  // Compares with the snapshot before; another study starts anew.
  void take(const StudySnapshot* study);
  QStringList lines() const { return m_lines; }

 signals:
  void added(const QStringList& lines);
  void cleared();

 private:
  struct Seen {
    JobState state = JobState::kWaiting;
    qint64 since = 0;      // milliseconds since the epoch
  };
  QString sentence(const RunRow& row, const Seen& before, qint64 now) const;

  std::string m_study;
  bool m_running = false;
  std::map<std::int64_t, Seen> m_seen;
  QStringList m_lines;
};

}  // namespace retort::ui
