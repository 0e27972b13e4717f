#include "ui/models/slices_model.h"

#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

void SlicesModel::setSlices(std::vector<Slice> slices, std::vector<Column> columns) {
  beginResetModel();
  m_slices = std::move(slices);
  m_columns = std::move(columns);
  m_mostText = 0;
  for (const Slice& slice : m_slices)
    if (slice.isText)
      for (const auto& [id, cell] : slice.cells) m_mostText = std::max(m_mostText, cell.figure.value);
  endResetModel();
}

std::int64_t SlicesModel::idAt(int column) const {
  const int at = column - kFirst;
  return at >= 0 && at < static_cast<int>(m_columns.size()) ? m_columns[static_cast<std::size_t>(at)].id : 0;
}

int SlicesModel::columnOf(std::int64_t id) const {
  for (std::size_t i = 0; i < m_columns.size(); ++i)
    if (m_columns[i].id == id) return kFirst + static_cast<int>(i);
  return -1;
}

// 0 … 1 for the shade: of the largest divergence, or of 25 answers in a hundred.
double SlicesModel::lost(const Slice& slice, const SliceCell& cell) const {
  if (slice.isText) return m_mostText > 0 ? std::sqrt(cell.figure.value / m_mostText) : 0;
  if (!cell.paired) return 0;
  return std::clamp(-cell.paired->difference / 0.25, 0.0, 1.0);
}

QVariant SlicesModel::cellData(const Slice& slice, const Column& column, int role) const {
  const auto found = slice.cells.find(column.id);
  if (role == Qt::TextAlignmentRole) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (found == slice.cells.end()) {
    // The original's divergence from itself is nothing by definition, and is not measured.
    if (role == Qt::DisplayRole) return slice.isText && column.isOriginal ? QStringLiteral("0") : QStringLiteral("–");
    if (role == kMutedRole) return true;
    return {};
  }
  const SliceCell& cell = found->second;
  const bool apart = cell.paired && cell.paired->verdict != Verdict::kCannotTell;
  switch (role) {
    case Qt::DisplayRole: return slice.isText ? significant(cell.figure.value, 2) : QString::number(100 * cell.figure.value, 'f', 0);
    case kUnitRole: return slice.isText ? QString() : !cell.paired ? QStringLiteral("%") : apart ? QStringLiteral("%") : QStringLiteral("% ≈");
    case kUnitSampleRole: return QStringLiteral("% ≈");
    case kHeatRole: return lost(slice, cell);
    case kToneRole: return static_cast<int>(!apart ? Tone::Normal : cell.paired->verdict == Verdict::kWorse ? Tone::Bad : Tone::Good);
    case Qt::ToolTipRole: {
      QString text = QStringLiteral("%1 · %2\n").arg(column.name, slice.name);
      if (slice.isText) return text + tr("KL divergence %1 nats (%2 to %3) over %n chunk(s)", nullptr, static_cast<int>(slice.n)).arg(significant(cell.figure.value, 3), significant(cell.figure.low, 3), significant(cell.figure.high, 3));
      text += tr("%1 right (%2 to %3) of %n example(s)", nullptr, static_cast<int>(slice.n)).arg(percent(cell.figure.value), percent(cell.figure.low), percent(cell.figure.high));
      if (cell.paired)
        text += tr("\n%1 points against the original%2%3").arg(QString::number(100 * cell.paired->difference, 'f', 1), cell.paired->p ? tr(", p = %1").arg(significant(*cell.paired->p, 2)) : QString(), apart ? QString() : tr(": can't be told apart"));
      return text;
    }
    default: return {};
  }
}

QVariant SlicesModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const Slice& slice = m_slices[static_cast<std::size_t>(index.row())];
  if (index.column() >= kFirst) return cellData(slice, m_columns[static_cast<std::size_t>(index.column() - kFirst)], role);
  if (index.column() == 0) {
    if (role == Qt::DisplayRole || role == Qt::ToolTipRole) return slice.name;
    if (role == kSecondRole && slice.isText) return slice.cut == Slice::Cut::Difficulty ? tr("%1 nats").arg(significant(slice.difficulty, 2)) : tr("KLD");
    return {};
  }
  if (role == Qt::DisplayRole) return integer(slice.n);
  if (role == kUnitRole) return QString();
  if (role == Qt::ToolTipRole) return slice.isText ? tr("chunks of text") : tr("examples");
  return {};
}

QVariant SlicesModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole && section > 0) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  if (section == 0) return tr("Part of the data");
  if (section == 1) return QStringLiteral("n");
  return section < columnCount() ? m_columns[static_cast<std::size_t>(section - kFirst)].name : QVariant();
}

}  // namespace retort::ui
