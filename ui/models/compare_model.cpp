#include "ui/models/compare_model.h"

#include <algorithm>
#include <limits>

#include "core/evaluate/statistics.h"
#include "ui/format.h"

namespace retort::ui {

CompareModel::CompareModel(QObject* parent) : QAbstractTableModel(parent) {
  for (const char* id : {"size", "bpw", "kld", "agreement", "perplexity", "accuracy", "first", "prefill", "decode", "p95", "memory"})
    m_columns.push_back(&measure(QString::fromLatin1(id)));
}

void CompareModel::setSnapshot(const std::shared_ptr<const StudySnapshot>& snapshot) {
  beginResetModel();
  m_snapshot = snapshot;
  m_sameAnswers.clear();
  if (snapshot) {
    const auto original = std::find_if(snapshot->candidates.begin(), snapshot->candidates.end(), [](const CandidateInfo& c) { return c.is_original; });
    const std::vector<double> base = original == snapshot->candidates.end() ? std::vector<double>() : labelledRows(*original);
    for (const CandidateInfo& candidate : snapshot->candidates) {
      const std::vector<double> rows = labelledRows(candidate);
      m_sameAnswers.push_back(!candidate.is_original && !rows.empty() && rows.size() == base.size() &&
                              compare_rows(rows, base, false, 1).verdict == Verdict::kCannotTell);
    }
  }
  endResetModel();
}

std::int64_t CompareModel::idAt(int row) const {
  return m_snapshot && row >= 0 && row < rowCount() ? m_snapshot->candidates[static_cast<std::size_t>(row)].id : 0;
}
int CompareModel::rowOf(std::int64_t id) const {
  for (int row = 0; row < rowCount(); ++row)
    if (idAt(row) == id) return row;
  return -1;
}

int CompareModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() || !m_snapshot ? 0 : static_cast<int>(m_snapshot->candidates.size());
}
int CompareModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : 1 + static_cast<int>(m_columns.size());
}

QString CompareModel::cellText(const CandidateInfo& candidate, int column) const {
  if (column == 0) return toQString(candidate.name);
  const Measure& m = *m_columns[static_cast<std::size_t>(column - 1)];
  if (m.id == QStringLiteral("size") && candidate.bytes)
    return (candidate.bytes_predicted ? QStringLiteral("≈ ") : QString()) + QString::number(static_cast<double>(candidate.bytes) * 1e-6, 'f', 1);
  if (m.id == QStringLiteral("bpw") && candidate.bits_per_weight > 0) return QString::number(candidate.bits_per_weight, 'f', 2);
  return measureText(m, candidate);
}

QVariant CompareModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || !m_snapshot) return {};
  const auto row = static_cast<std::size_t>(index.row());
  const CandidateInfo& candidate = m_snapshot->candidates[row];
  const Measure* m = index.column() > 0 ? m_columns[static_cast<std::size_t>(index.column() - 1)] : nullptr;
  switch (role) {
    case Qt::DisplayRole: {
      QString text = cellText(candidate, index.column());
      if (m && m->id == QStringLiteral("accuracy") && m_sameAnswers[row]) text += QStringLiteral("  ≈");
      return text;
    }
    case Qt::TextAlignmentRole: return m ? QVariant(Qt::AlignRight | Qt::AlignVCenter) : QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    case Qt::ToolTipRole:
      if (!m) return candidate.failure.empty() ? toQString(candidate.plain) : toQString(candidate.failure);
      if (m->id == QStringLiteral("accuracy") && m_sameAnswers[row])
        return tr("≈ cannot be told apart from the original (exact McNemar test over the same prompts)");
      return m->hover;
    case SortRole:
      if (!m) return index.row();
      if (const auto figure = m->figure(candidate)) return figure->value;
      return std::numeric_limits<double>::infinity();
    case IdRole: return QVariant::fromValue<qint64>(candidate.id);
    case SeriesRole: return index.row();
    case Qt::AccessibleTextRole: return headerData(index.column(), Qt::Horizontal, Qt::DisplayRole).toString() + QStringLiteral(": ") + cellText(candidate, index.column());
    default: return {};
  }
}

QVariant CompareModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (section == 0) return role == Qt::DisplayRole ? QVariant(tr("Candidate")) : role == Qt::TextAlignmentRole ? QVariant(Qt::AlignLeft | Qt::AlignVCenter) : QVariant();
  if (section < 0 || section > static_cast<int>(m_columns.size())) return {};
  const Measure& m = *m_columns[static_cast<std::size_t>(section - 1)];
  if (role == Qt::DisplayRole) return m.unit.isEmpty() ? m.title : m.title + QStringLiteral("\n") + m.unit;
  if (role == Qt::ToolTipRole) return m.hover;
  if (role == Qt::TextAlignmentRole) return QVariant(Qt::AlignRight | Qt::AlignVCenter);
  return {};
}

}  // namespace retort::ui
