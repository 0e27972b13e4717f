#include "ui/models/flips_model.h"

#include <algorithm>
#include <tuple>

#include "ui/format.h"
#include "ui/models/measures.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

QString oneLine(const std::string& text) { return toQString(text).simplified(); }

}  // namespace

FlipsModel::FlipsModel(QObject* parent) : QAbstractTableModel(parent) {}

void FlipsModel::setCandidates(const CandidateInfo* original, const CandidateInfo* candidate) {
  beginResetModel();
  m_rows.clear();
  m_summary.clear();
  std::size_t compared = 0, worse = 0, better = 0;
  std::vector<Row> pieces;
  if (candidate) {
    for (const auto& [name, evaluation] : candidate->evaluations) {
      const Evaluation* base = nullptr;
      if (original)
        if (const auto found = original->evaluations.find(name); found != original->evaluations.end()) base = &found->second;
      const bool labelled = hasAnswers(evaluation);
      for (std::size_t i = 0; i < evaluation.rows.size(); ++i) {
        const auto& row = evaluation.rows[i];
        if (!labelled) {
          if (row.kld > 0) pieces.push_back({toQString(name), row.index, tr("text"), row.kld, oneLine(row.text), QString(), significant(row.kld, 3) + tr(" nats"), true});
          continue;
        }
        if (!base || i >= base->rows.size()) continue;
        ++compared;
        const auto& before = base->rows[i];
        if (before.correct == row.correct) continue;
        (before.correct ? worse : better) += 1;
        m_rows.push_back({toQString(name), row.index, before.correct ? tr("right → wrong") : tr("wrong → right"), std::abs(row.margin),
                          oneLine(row.text), oneLine(before.answer), oneLine(row.answer), before.correct});
      }
    }
  }
  // The worst first: answers lost with the greatest confidence, then answers won.
  std::stable_sort(m_rows.begin(), m_rows.end(), [](const Row& a, const Row& b) { return std::tuple(!a.worse, -a.damage) < std::tuple(!b.worse, -b.damage); });
  std::stable_sort(pieces.begin(), pieces.end(), [](const Row& a, const Row& b) { return a.damage > b.damage; });
  if (pieces.size() > 50) pieces.resize(50);
  m_rows.insert(m_rows.end(), pieces.begin(), pieces.end());
  if (compared > 0)
    m_summary = tr("%1 of %2 answers differ from the original's: %3 for the worse, %4 for the better")
                    .arg(worse + better).arg(compared).arg(worse).arg(better);
  endResetModel();
}

int FlipsModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : static_cast<int>(m_rows.size()); }
int FlipsModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : 5; }

QVariant FlipsModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid()) return {};
  const Row& row = m_rows[static_cast<std::size_t>(index.row())];
  if (role == Qt::DisplayRole) switch (index.column()) {
      case 0: return row.what;
      case 1: return row.dataSet;
      case 2: return row.text;
      case 3: return row.before;
      case 4: return row.after;
      default: return {};
    }
  if (role == Qt::ToolTipRole) return row.text;
  if (role == kToneRole && index.column() == 0 && !row.before.isEmpty()) return static_cast<int>(row.worse ? Tone::Bad : Tone::Good);
  if (role == kMutedRole) return index.column() == 1;
  return {};
}

QVariant FlipsModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return {};
  switch (section) {
    case 0: return tr("What");
    case 1: return tr("Data");
    case 2: return tr("Example");
    case 3: return tr("Original said");
    case 4: return tr("This one");
    default: return {};
  }
}

}  // namespace retort::ui
