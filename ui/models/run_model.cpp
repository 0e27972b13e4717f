#include "ui/models/run_model.h"

#include <QMimeData>
#include <algorithm>

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

QString state_text(const RunRow& row) {
  if (row.state == JobState::kRunning && !row.working_on.empty()) return QString::fromStdString(row.working_on);
  if (!row.message.empty()) return QString::fromStdString(row.message);
  return jobStateName(row.state);
}

int state_tone(JobState state) {
  switch (state) {
    case JobState::kDone: return static_cast<int>(Tone::Good);
    case JobState::kFailed: return static_cast<int>(Tone::Bad);
    case JobState::kPaused:
    case JobState::kStopped: return static_cast<int>(Tone::Warn);
    case JobState::kWaiting: return static_cast<int>(Tone::Muted);
    case JobState::kRunning: break;
  }
  return static_cast<int>(Tone::Normal);
}

QString progress_text(const RunRow& row) {
  if (row.total <= 0) return {};
  return QStringLiteral("%1 / %2").arg(integer(static_cast<std::int64_t>(row.done)), integer(static_cast<std::int64_t>(row.total)));
}

}  // namespace

QString jobStateName(JobState state) {
  switch (state) {
    case JobState::kWaiting: return RunModel::tr("waiting");
    case JobState::kRunning: return RunModel::tr("running");
    case JobState::kPaused: return RunModel::tr("paused");
    case JobState::kDone: return RunModel::tr("done");
    case JobState::kFailed: return RunModel::tr("failed");
    case JobState::kStopped: return RunModel::tr("stopped");
  }
  return {};
}

QVariant RunModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const RunRow& r = row(index.row());
  const bool active = r.state == JobState::kRunning || r.state == JobState::kPaused;
  switch (index.column()) {
    case Candidate:
      if (role == Qt::DisplayRole) return r.candidate == 0 ? tr("all") : QString::fromStdString(r.candidate_name);
      if (role == kMutedRole) return r.candidate == 0;
      break;
    case Step:
      if (role == Qt::DisplayRole) return QString::fromStdString(r.step);
      break;
    case State:
      if (role == Qt::DisplayRole || role == Qt::ToolTipRole) return state_text(r);
      if (role == kToneRole) return state_tone(r.state);
      break;
    case ProgressColumn:
      if (role == Qt::DisplayRole) return progress_text(r);
      if (role == kUnitRole) return r.total > 0 ? QString::fromStdString(r.unit) : QString();
      if (role == kProgressRole && active && r.total > 0) return std::clamp(r.done / r.total, 0.0, 1.0);
      break;
    case Rate:
      if (role == Qt::DisplayRole) return active && r.rate > 0 ? significant(r.rate, 3) : QString();
      if (role == kUnitRole) return active && r.rate > 0 ? QStringLiteral("/s") : QString();
      break;
    case Left:
      if (role == Qt::DisplayRole) return active && r.seconds_left >= 0 ? secondsQuantity(r.seconds_left).value : QString();
      if (role == kUnitRole) return active && r.seconds_left >= 0 ? secondsQuantity(r.seconds_left).unit : QString();
      break;
    case Reused:
      if (role == Qt::DisplayRole) return r.reused > 0 ? integer(r.reused) : QString();
      if (role == kUnitRole) return QString();
      if (role == Qt::ToolTipRole && r.reused > 0) return tr("Taken from the store instead of being made again");
      break;
    default: break;
  }
  return {};
}

QVariant RunModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole && section >= ProgressColumn) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Candidate"), QT_TR_NOOP("Step"), QT_TR_NOOP("Now"), QT_TR_NOOP("Progress"),
                                       QT_TR_NOOP("Rate"), QT_TR_NOOP("Time left"), QT_TR_NOOP("Reused")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

namespace {
constexpr const char* kRunMime = "application/x-retort-run";
}

Qt::ItemFlags RunModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  return Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsDropEnabled | (row(index.row()).candidate != 0 ? Qt::ItemIsDragEnabled : Qt::NoItemFlags);
}

QStringList RunModel::mimeTypes() const { return {QString::fromLatin1(kRunMime)}; }

QMimeData* RunModel::mimeData(const QModelIndexList& indexes) const {
  auto* data = new QMimeData;
  if (!indexes.isEmpty()) data->setData(QString::fromLatin1(kRunMime), QByteArray::number(static_cast<qlonglong>(row(indexes.front().row()).candidate)));
  return data;
}

// The new order comes with the next snapshot: nothing is removed here.
bool RunModel::dropMimeData(const QMimeData* data, Qt::DropAction action, int, int, const QModelIndex& parent) {
  const std::int64_t moved = data->data(QString::fromLatin1(kRunMime)).toLongLong();
  if (action != Qt::MoveAction || moved == 0 || !parent.isValid()) return false;
  if (const std::int64_t onto = row(parent.row()).candidate; onto != 0 && onto != moved) emit dropWanted(moved, onto);
  return false;
}

}  // namespace retort::ui
