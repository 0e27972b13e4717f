#include "ui/models/compare_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ui/format.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

constexpr QChar kFigureSpace(0x2007);
// Smaller divergences are written as below this: their digits would push the others off the table. Hovering gives them.
constexpr double kLeastLoss = 1e-4;
constexpr char16_t kSame = u'≈';

// Digits after the point that a figure carries: as many as its interval, else three in all.
int decimalsOf(const Measure& measure, const Figure& figure) {
  if (measure.id == QStringLiteral("size")) return 1;
  if (measure.id == QStringLiteral("bpw")) return 2;
  const double half = (figure.high - figure.low) / 2 * measure.scale, value = std::abs(figure.value * measure.scale);
  if (half > 0) {
    // One digit of the interval, two when the first is a 1.
    const int first = -static_cast<int>(std::floor(std::log10(half)));
    return std::clamp(first + (half * std::pow(10.0, first) < 2 ? 1 : 0), measure.unit == QStringLiteral("%") ? 1 : 0, 6);
  }
  if (value == 0) return 0;
  return std::clamp(2 - static_cast<int>(std::floor(std::log10(value))), 0, 4);
}

// Figure spaces in place of the digits that a row has fewer than the longest, the point's included.
QString padded(const QString& text, int has, int wants) {
  if (has == wants) return text;
  // A punctuation space is as wide as the point.
  return text + (has == 0 ? QString(QChar(0x2008)) : QString()) + QString(wants - has, kFigureSpace);
}

}  // namespace

CompareModel::CompareModel(QObject* parent) : QAbstractTableModel(parent) {
  const std::pair<const char*, QString> columns[] = {
      {"size", tr("Size")}, {"bpw", tr("Bits")}, {"kld", tr("KL div.")}, {"agreement", tr("Same answer")}, {"accuracy", tr("Right")}, {"f1", tr("Macro F1")}, {"first", tr("First")},
      {"decode", tr("Decode")}, {"memory", tr("Memory")}, {"perplexity", tr("Perplexity")}, {"prefill", tr("Prefill")}, {"p50", tr("p50")}, {"p95", tr("p95")}};
  for (const auto& [id, title] : columns) m_all.push_back({&measure(QString::fromLatin1(id)), title});
  m_columns = m_all;
}

// A column that no row can fill says nothing: a classifier has no perplexity and decodes nothing.
std::vector<CompareModel::Column> CompareModel::columnsFor(const StudySnapshot* study) const {
  std::vector<Column> columns;
  for (const Column& column : m_all)
    if (!study || isMeasured(*study, *column.measure)) columns.push_back(column);
  return columns;
}

void CompareModel::fillCells() {
  m_cells.assign(m_columns.size(), {});
  m_widest.assign(m_columns.size(), QString());
  if (!m_snapshot) return;
  for (std::size_t c = 0; c < m_columns.size(); ++c) {
    const Measure& m = *m_columns[c].measure;
    std::vector<std::optional<Figure>> figures;
    std::vector<int> decimals;
    int most = 0;
    for (const CandidateInfo& candidate : m_snapshot->candidates) {
      figures.push_back(m.figure(candidate));
      const bool tiny = m.id == QStringLiteral("kld") && figures.back() && figures.back()->value < kLeastLoss;
      decimals.push_back(figures.back() && !tiny ? decimalsOf(m, *figures.back()) : 0);
      if (figures.back()) most = std::max(most, decimals.back());
    }
    for (std::size_t r = 0; r < figures.size(); ++r) {
      Cell cell;
      if (!figures[r]) {
        cell.value = QStringLiteral("–");
      } else if (m.id == QStringLiteral("kld") && figures[r]->value > 0 && figures[r]->value < kLeastLoss) {
        cell.value = QStringLiteral("< 0.0001");
      } else {
        const double value = figures[r]->value * m.scale, half = std::abs(figures[r]->high - figures[r]->low) / 2 * m.scale;
        cell.value = padded(QString::number(value, 'f', decimals[r]), decimals[r], most);
        if (m.id == QStringLiteral("size") && m_snapshot->candidates[r].bytes_predicted) cell.value.prepend(tr("about "));
        if (half > 0) cell.interval = QStringLiteral("± ") + QString::number(half, 'f', decimals[r]);
      }
      if (const QString all = cell.interval + QStringLiteral(" ") + QChar(kSame); cell.interval.size() > 0 && all.size() > m_widest[c].size()) m_widest[c] = all;
      m_cells[c].push_back(cell);
    }
  }
}

void CompareModel::setSnapshot(const std::shared_ptr<const StudySnapshot>& snapshot) {
  const auto ids = [](const StudySnapshot* study) {
    QList<std::int64_t> list;
    if (study)
      for (const CandidateInfo& candidate : study->candidates) list << candidate.id;
    return list;
  };
  std::vector<Column> columns = columnsFor(snapshot.get());
  const bool same = ids(snapshot.get()) == ids(m_snapshot.get()) && columns.size() == m_columns.size() &&
                    std::equal(columns.begin(), columns.end(), m_columns.begin(), [](const Column& a, const Column& b) { return a.measure == b.measure; });
  if (!same) beginResetModel();
  m_snapshot = snapshot;
  m_columns = std::move(columns);
  fillCells();
  if (!same) endResetModel();
  else if (rowCount() > 0) emit dataChanged(index(0, 0), index(rowCount() - 1, columnCount() - 1));
}

void CompareModel::setFigures(const CompareFigures& figures) {
  m_figures = figures;
  if (rowCount() > 0) emit dataChanged(index(0, 0), index(rowCount() - 1, columnCount() - 1));
}

void CompareModel::setPinned(const QList<std::int64_t>& pinned) {
  m_pinned = pinned;
  if (rowCount() > 0) emit dataChanged(index(0, 0), index(rowCount() - 1, 0));
}

std::int64_t CompareModel::idAt(int row) const {
  return m_snapshot && row >= 0 && row < rowCount() ? m_snapshot->candidates[static_cast<std::size_t>(row)].id : 0;
}
int CompareModel::rowOf(std::int64_t id) const {
  for (int row = 0; row < rowCount(); ++row)
    if (idAt(row) == id) return row;
  return -1;
}
int CompareModel::columnOf(const QString& id) const {
  const auto found = std::find_if(m_columns.begin(), m_columns.end(), [&](const Column& column) { return column.measure->id == id; });
  return found == m_columns.end() ? -1 : static_cast<int>(found - m_columns.begin()) + 1;
}

int CompareModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() || !m_snapshot ? 0 : static_cast<int>(m_snapshot->candidates.size());
}
int CompareModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : 1 + static_cast<int>(m_columns.size());
}

const Comparison* CompareModel::against(const CandidateInfo& candidate, const Measure& m) const {
  const auto found = m_figures.against.find({candidate.id, m.id});
  return found == m_figures.against.end() ? nullptr : &found->second;
}

QString CompareModel::hover(const CandidateInfo& candidate, const Measure& m) const {
  const Comparison* test = against(candidate, m);
  if (!test) return measureText(m, candidate) + QLatin1Char(' ') + m.unit + QLatin1Char('\n') + m.hover;
  const int row = rowOf(m_figures.reference);
  const QString other = row < 0 ? QString() : toQString(m_snapshot->candidates[static_cast<std::size_t>(row)].name);
  const QString verdict = test->verdict == Verdict::kCannotTell ? tr("≈ can't be told apart from %1") : test->verdict == Verdict::kBetter ? tr("better than %1") : tr("worse than %1");
  // Perplexity is tested as the mean loss of the same chunks.
  const double scale = m.id == QStringLiteral("accuracy") ? m.scale : 1;
  QString text = verdict.arg(other) + tr(": difference %1 (%2 to %3)").arg(significant(test->difference * scale, 2), significant(test->low * scale, 2), significant(test->high * scale, 2));
  if (m.id == QStringLiteral("perplexity")) text += tr(" nats per token");
  text += test->p ? tr("\nExact McNemar test over the same prompts, p = %1").arg(significant(*test->p, 2)) : tr("\nPaired over the same chunks of text, 95 %");
  return text + QLatin1Char('\n') + m.hover;
}

QVariant CompareModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || !m_snapshot || index.row() >= rowCount()) return {};
  const auto row = static_cast<std::size_t>(index.row());
  const CandidateInfo& candidate = m_snapshot->candidates[row];
  if (index.column() == 0) {
    switch (role) {
      case Qt::DisplayRole:
      case kSecondRole: {
        static const QString kMatrix = QStringLiteral(" + importance matrix");
        const QString name = toQString(candidate.name);
        const bool matrix = name.endsWith(kMatrix);
        if (role == Qt::DisplayRole) return matrix ? name.chopped(kMatrix.size()) : name;
        return matrix ? QVariant(tr("+ importance matrix")) : QVariant();
      }
      case kMarkerRole:
      case SeriesRole: return index.row();
      case kIconRole: return m_pinned.contains(candidate.id) ? QVariant(QStringLiteral("pin")) : QVariant();
      case kToneRole: return candidate.state == CandidateState::kFailed ? 4 : 0;
      case Qt::ToolTipRole: return QStringLiteral("%1 · %2").arg(toQString(candidate.name), toQString(candidate.failure.empty() ? candidate.plain : candidate.failure));
      case SortRole: return index.row();
      case IdRole: return QVariant::fromValue<qint64>(candidate.id);
      case Qt::AccessibleTextRole: return toQString(candidate.name) + (m_pinned.contains(candidate.id) ? tr(", pinned") : QString());
      default: return {};
    }
  }
  const auto column = static_cast<std::size_t>(index.column() - 1);
  const Measure& m = *m_columns[column].measure;
  const Cell& cell = m_cells[column][row];
  const Comparison* test = against(candidate, m);
  const bool same = test && test->verdict == Verdict::kCannotTell;
  switch (role) {
    case Qt::DisplayRole: return cell.value;
    case kUnitRole: return same ? (cell.interval + QStringLiteral(" ") + QChar(kSame)) : cell.interval;
    case kUnitSampleRole: return m_widest[column];
    case kMutedRole: return cell.value == QStringLiteral("–");
    case Qt::TextAlignmentRole: return QVariant(Qt::AlignRight | Qt::AlignVCenter);
    case Qt::ToolTipRole: return hover(candidate, m);
    case SortRole:
      if (const auto figure = m.figure(candidate)) return figure->value;
      return std::numeric_limits<double>::infinity();
    case IdRole: return QVariant::fromValue<qint64>(candidate.id);
    case SeriesRole: return index.row();
    case Qt::AccessibleTextRole:
      return QStringLiteral("%1: %2 %3%4").arg(m.axisTitle(), cell.value.trimmed(), cell.interval, same ? tr(", can't be told apart from the reference") : QString());
    default: return {};
  }
}

QVariant CompareModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (section == 0) return role == Qt::DisplayRole ? QVariant(tr("Candidate")) : role == Qt::TextAlignmentRole ? QVariant(Qt::AlignLeft | Qt::AlignVCenter) : QVariant();
  if (section < 0 || section > static_cast<int>(m_columns.size())) return {};
  const Column& column = m_columns[static_cast<std::size_t>(section - 1)];
  const Measure& m = *column.measure;
  if (role == Qt::DisplayRole) return column.title + QStringLiteral("\n") + (m.unit == QStringLiteral("tokens/s") ? tr("tok/s") : m.unit);
  if (role == Qt::ToolTipRole) return m.axisTitle() + QLatin1Char('\n') + m.hover;
  if (role == Qt::TextAlignmentRole) return QVariant(Qt::AlignRight | Qt::AlignVCenter);
  return {};
}

}  // namespace retort::ui
