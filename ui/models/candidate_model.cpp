#include "ui/models/candidate_model.h"

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

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
      if (role == Qt::DisplayRole) return QString::fromStdString(r.name);
      if (role == kSecondRole) return QString::fromStdString(r.plain);
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
  if (!index.isValid()) return Qt::NoItemFlags;
  Qt::ItemFlags flags = Qt::ItemIsEnabled | Qt::ItemIsSelectable;
  if (index.column() == Name) flags |= Qt::ItemIsUserCheckable;
  return flags;
}

int CandidateModel::rowOf(std::int64_t id) const {
  for (int i = 0; i < rowCount(); ++i)
    if (row(i).id == id) return i;
  return -1;
}

}  // namespace retort::ui
