#include "ui/models/candidate_model.h"

#include <QMimeData>
#include <algorithm>

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

constexpr const char* kCandidateMime = "application/x-retort-candidate";

int state_tone(CandidateState state) {
  switch (state) {
    case CandidateState::kDone: return static_cast<int>(Tone::Good);
    case CandidateState::kFailed: return static_cast<int>(Tone::Bad);
    case CandidateState::kPlanned: return static_cast<int>(Tone::Muted);
    default: return static_cast<int>(Tone::Normal);
  }
}

}  // namespace

QString candidateStateName(CandidateState state) {
  switch (state) {
    case CandidateState::kPlanned: return CandidateModel::tr("planned");
    case CandidateState::kQuantizing: return CandidateModel::tr("being made");
    case CandidateState::kMeasuring: return CandidateModel::tr("measured now");
    case CandidateState::kDone: return CandidateModel::tr("measured");
    case CandidateState::kFailed: return CandidateModel::tr("failed");
  }
  return {};
}

std::vector<CandidateInfo> withoutMeasurements(const std::vector<CandidateInfo>& candidates) {
  std::vector<CandidateInfo> rows(candidates.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const CandidateInfo& from = candidates[i];
    CandidateInfo& to = rows[i];
    to.id = from.id;
    to.name = from.name;
    to.plain = from.plain;
    to.recipe = from.recipe;
    to.is_original = from.is_original;
    to.chosen = from.chosen;
    to.state = from.state;
    to.failure = from.failure;
    to.bytes = from.bytes;
    to.bytes_predicted = from.bytes_predicted;
    to.bits_per_weight = from.bits_per_weight;
    to.command_line = from.command_line;
  }
  return rows;
}

QVariant CandidateModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const CandidateInfo& r = row(index.row());
  switch (index.column()) {
    case Name:
      if (role == Qt::DisplayRole || role == kSecondRole) {
        // The part that tells it from the others first; the rest may be cut.
        static const QString kMatrix = QStringLiteral(" + importance matrix");
        const QString name = QString::fromStdString(r.name);
        const bool matrix = name.endsWith(kMatrix);
        if (role == Qt::DisplayRole) return matrix ? name.chopped(kMatrix.size()) : name;
        return matrix ? tr("+ importance matrix") : QString::fromStdString(r.plain);
      }
      if (role == Qt::ToolTipRole) return QStringLiteral("%1 · %2").arg(QString::fromStdString(r.name), QString::fromStdString(r.plain));
      if (role == Qt::CheckStateRole) return static_cast<int>(r.chosen ? Qt::Checked : Qt::Unchecked);
      if (role == Qt::FontRole && r.is_original) return Theme::instance().font(Theme::Size::Body, true);
      break;
    case Size:
      if (role == Qt::DisplayRole) return bytesQuantity(r.bytes).value;
      if (role == kUnitRole) return bytesQuantity(r.bytes).unit;
      if (role == kMutedRole) return r.bytes_predicted;
      if (role == Qt::ToolTipRole && r.bytes_predicted) return tr("Predicted; exact once it is made");
      break;
    case Bits:
      if (role == Qt::DisplayRole) return QString::number(r.bits_per_weight, 'f', 1);
      if (role == kUnitRole) return QString();
      break;
    case State:
      if (role == Qt::DisplayRole) return candidateStateName(r.state);
      if (role == kToneRole) return state_tone(r.state);
      if (role == Qt::ToolTipRole && !r.failure.empty()) return QString::fromStdString(r.failure);
      break;
    default: break;
  }
  return {};
}

QVariant CandidateModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole && (section == Size || section == Bits)) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Candidate"), QT_TR_NOOP("Size"), QT_TR_NOOP("Bits"), QT_TR_NOOP("State")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

bool CandidateModel::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (role != Qt::CheckStateRole || !index.isValid() || index.column() != Name) return false;
  emit chosenWanted(row(index.row()).id, value.toInt() == Qt::Checked);
  return true;
}

Qt::ItemFlags CandidateModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::ItemIsDropEnabled;
  Qt::ItemFlags flags = Qt::ItemIsEnabled | Qt::ItemIsSelectable;
  if (index.column() == Name) flags |= Qt::ItemIsUserCheckable;
  // The original stays first.
  if (!row(index.row()).is_original) flags |= Qt::ItemIsDragEnabled;
  return flags | Qt::ItemIsDropEnabled;
}

QStringList CandidateModel::mimeTypes() const { return {QString::fromLatin1(kCandidateMime)}; }

QMimeData* CandidateModel::mimeData(const QModelIndexList& indexes) const {
  auto* data = new QMimeData;
  if (!indexes.isEmpty()) data->setData(QString::fromLatin1(kCandidateMime), QByteArray::number(static_cast<qlonglong>(row(indexes.front().row()).id)));
  return data;
}

// Onto a row: to its place; between two: there. The new order comes with the next snapshot, so nothing is removed here.
bool CandidateModel::dropMimeData(const QMimeData* data, Qt::DropAction action, int dropRow, int, const QModelIndex& parent) {
  const std::int64_t id = data->data(QString::fromLatin1(kCandidateMime)).toLongLong();
  const int from = rowOf(id);
  if (action != Qt::MoveAction || from < 0) return false;
  int target = parent.isValid() ? parent.row() : dropRow < 0 ? rowCount() - 1 : dropRow > from ? dropRow - 1 : dropRow;
  target = std::clamp(target, 1, rowCount() - 1);
  if (target != from) emit moveWanted(id, target);
  return false;
}

int CandidateModel::rowOf(std::int64_t id) const {
  for (int i = 0; i < rowCount(); ++i)
    if (row(i).id == id) return i;
  return -1;
}

}  // namespace retort::ui
