#include "ui/models/run_log.h"

#include <QDateTime>

#include "ui/format.h"
#include "ui/models/run_model.h"

namespace retort::ui {
namespace {

constexpr qsizetype kMostLines = 2000;

}  // namespace

QString RunLog::sentence(const RunRow& row, const Seen& before, qint64 now) const {
  const QString what = row.candidate == 0 ? toQString(row.step) : QStringLiteral("%1 · %2").arg(toQString(row.candidate_name), toQString(row.step));
  QString text = tr("%1: %2").arg(what, jobStateName(row.state));
  if (row.state == JobState::kDone && before.state == JobState::kRunning) {
    text += tr(" after %1").arg(secondsQuantity(static_cast<double>(now - before.since) / 1000).text());
    if (row.total > 1) text += tr(", %1 %2").arg(integer(static_cast<std::int64_t>(row.total)), toQString(row.unit));
  }
  if (!row.message.empty()) text += QStringLiteral(" · ") + toQString(row.message);
  return text;
}

void RunLog::take(const StudySnapshot* study) {
  const std::string path = study ? study->path.string() : std::string();
  if (path != m_study) {
    m_study = path;
    m_seen.clear();
    m_running = false;
    if (!m_lines.isEmpty()) {
      m_lines.clear();
      emit cleared();
    }
  }
  if (!study) return;
  const qint64 now = QDateTime::currentMSecsSinceEpoch();
  const QString time = QDateTime::fromMSecsSinceEpoch(now).toString(QStringLiteral("HH:mm:ss  "));
  QStringList fresh;
  if (study->running && !m_running) {
    m_seen.clear();   // another run: its rows are numbered anew
    fresh << time + tr("The run begins: %n step(s)", nullptr, static_cast<int>(study->run.size()));
  }
  for (const RunRow& row : study->run) {
    const auto known = m_seen.find(row.id);
    const Seen before = known == m_seen.end() ? Seen{} : known->second;
    if (known != m_seen.end() && before.state == row.state) continue;
    m_seen[row.id] = {row.state, row.state == JobState::kPaused || before.state == JobState::kPaused ? before.since : now};
    // Rows that were done when the study was first seen are no news.
    if (row.state != JobState::kWaiting && (m_running || study->running || known != m_seen.end())) fresh << time + sentence(row, before, now);
  }
  if (m_running && !study->running) fresh << time + tr("The run ended");
  m_running = study->running;
  if (fresh.isEmpty()) return;
  m_lines += fresh;
  if (m_lines.size() > kMostLines) m_lines = m_lines.mid(m_lines.size() - kMostLines);
  emit added(fresh);
}

}  // namespace retort::ui
