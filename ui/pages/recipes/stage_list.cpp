#include "ui/pages/recipes/stage_list.h"

#include <QComboBox>
#include <QLineEdit>
#include <QMenu>
#include <QSignalBlocker>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "core/distill/packed_forms.h"
#include "core/quantize/levels.h"
#include "ui/format.h"
#include "ui/models/stage_titles.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

using distill::StageKind;
using distill::TrainStage;

bool packs(StageKind kind) { return kind == StageKind::kQat || kind == StageKind::kQuantize; }
bool trains(StageKind kind) { return kind != StageKind::kQuantize; }

// Another level leaves nothing behind that it has no use for.
void dropWhatTheLevelCannot(TrainStage& stage) {
  const distill::Grid* const grid = distill::find_grid(stage.level);
  const bool integers = grid && grid->any_group, rows = distill::keeps_row_scales(stage);
  if (!integers) stage.group = TrainStage{}.group, stage.embedding_bits = 0, stage.per_tensor = false;
  if (!integers || rows) stage.learned_scales = false;
  if (!rows) stage.activations = false;
  const Level* const level = find_level(stage.level);
  if (!level || !level->takes_importance) stage.importance = false;
}

}  // namespace

StageList::StageList(std::vector<std::pair<QString, QString>> levels, QWidget* parent) : QWidget(parent), m_levels(std::move(levels)) {
  auto* outer = new QVBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  outer->setSpacing(kGapSmall);
  auto* head = new QHBoxLayout;
  head->addWidget(makeHeading(tr("Stages")));
  head->addStretch();
  m_add = makeToolButton(QStringLiteral("plus"), tr("Add a stage"));
  m_add->setPopupMode(QToolButton::InstantPopup);
  m_add->setMenu(new QMenu(m_add));
  head->addWidget(m_add);
  outer->addLayout(head);
  m_column = new QVBoxLayout;
  m_column->setSpacing(kGapSmall);
  outer->addLayout(m_column);
}

void StageList::setStages(const std::vector<TrainStage>& stages, bool newHead) {
  const bool same = m_newHead == newHead && stages.size() == m_stages.size() && std::equal(stages.begin(), stages.end(), m_stages.begin(), [](const TrainStage& a, const TrainStage& b) { return a.kind == b.kind; });
  m_stages = stages;
  m_newHead = newHead;
  if (!same || m_cards.size() != stages.size()) rebuild();
  fill();
}

QLineEdit* StageList::makeNumber(const QString& name, const QString& unit, double value, std::size_t index, bool whole, const std::function<void(TrainStage&, double)>& set) {
  auto* line = new QLineEdit;
  line->setAccessibleName(tr("%1 of stage %2").arg(name).arg(index + 1));
  line->setPlaceholderText(unit);
  line->setToolTip(tr("%1 of this stage; empty: as the recipe says").arg(name));
  line->setFixedWidth(68);
  if (value > 0) line->setText(QString::number(value, 'g', 8));
  connect(line, &QLineEdit::editingFinished, this, [this, line, index, whole, set, name] {
    if (m_filling || index >= m_stages.size()) return;
    const std::optional<double> typed = line->text().trimmed().isEmpty() ? 0.0 : typedNumber(line->text());
    if (!typed || *typed < 0 || *typed > 1e9 || (whole && *typed != std::floor(*typed))) {
      emit refused(tr("%1 of stage %2: %3 is not possible").arg(name).arg(index + 1).arg(line->text()));
      return fill();
    }
    const TrainStage before = m_stages[index];
    set(m_stages[index], *typed);
    if (before.steps != m_stages[index].steps || before.rate != m_stages[index].rate) emit edited(m_stages);
  });
  return line;
}

QWidget* StageList::makeCard(std::size_t index) {
  const TrainStage& stage = m_stages[index];
  Card card;
  auto* box = new QFrame;
  box->setProperty("card", "raised");
  auto* row = new QHBoxLayout(box);
  row->setContentsMargins(kGap, kGapSmall, kGapSmall, kGapSmall);
  row->setSpacing(kGap);
  QLabel* title = makeHeading(QStringLiteral("%1 · %2").arg(index + 1).arg(stageTitle(stage.kind)));
  title->setToolTip(stageHelp(stage.kind));
  row->addWidget(title);
  if (packs(stage.kind)) {
    card.level = new QComboBox;
    card.level->setAccessibleName(tr("Level of stage %1").arg(index + 1));
    card.level->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    card.level->setMinimumContentsLength(6);
    for (const auto& [name, id] : m_levels)
      if (id != QStringLiteral("F16")) card.level->addItem(name, id);
    connect(card.level, &QComboBox::currentIndexChanged, this, &StageList::takeCards);
    row->addWidget(card.level, 1);
  }
  if (trains(stage.kind)) {
    if (!packs(stage.kind)) row->addStretch(1);
    card.steps = makeNumber(tr("Steps"), tr("steps"), static_cast<double>(stage.steps), index, true, [](TrainStage& s, double v) { s.steps = static_cast<std::int64_t>(v); });
    card.rate = makeNumber(tr("Learning rate"), tr("rate"), stage.rate, index, false, [](TrainStage& s, double v) { s.rate = v; });
    if (stage.kind == StageKind::kRepair) card.rate->setPlaceholderText(tr("0.001"));
    row->addWidget(card.steps);
    row->addWidget(card.rate);
  }
  auto* more = makeToolButton(QStringLiteral("right"), tr("All parameters of stage %1").arg(index + 1));
  connect(more, &QToolButton::clicked, this, [this, index] { emit detailsWanted(index); });
  row->addWidget(more);
  auto* remove = makeToolButton(QStringLiteral("close"), tr("Remove stage %1").arg(index + 1));
  remove->setEnabled(m_stages.size() > 1);
  connect(remove, &QToolButton::clicked, this, [this, index] { removeStage(index); });
  row->addWidget(remove);
  m_cards.push_back(card);
  return box;
}

void StageList::rebuild() {
  clearLayout(m_column);
  m_cards.clear();
  for (std::size_t i = 0; i < m_stages.size(); ++i) m_column->addWidget(makeCard(i));
  QMenu* menu = m_add->menu();
  menu->clear();
  const auto has = [this](auto which) { return std::any_of(m_stages.begin(), m_stages.end(), [&](const TrainStage& s) { return which(s.kind); }); };
  const auto hasKind = [&](StageKind kind) { return has([kind](StageKind k) { return k == kind; }); };
  const bool packed = has(packs);
  // What can't be added says why.
  const QString once = tr("there is one already"), packedOnce = tr("the weights are packed once");
  const std::pair<StageKind, QString> offers[] = {
      {StageKind::kProbe, hasKind(StageKind::kProbe) ? once : m_newHead ? QString() : tr("needs new classes, on the tab Student")},
      {StageKind::kDistill, hasKind(StageKind::kDistill) ? once : QString()},
      {StageKind::kQat, packed ? packedOnce : QString()},
      {StageKind::kQuantize, packed ? packedOnce : QString()},
      {StageKind::kRepair, hasKind(StageKind::kRepair) ? once : packed ? QString() : tr("needs a stage that packs the weights")}};
  for (const auto& [kind, problem] : offers) {
    QAction* const action = menu->addAction(QStringLiteral("%1: %2").arg(stageTitle(kind), problem.isEmpty() ? stageHelp(kind) : problem));
    action->setEnabled(problem.isEmpty());
    connect(action, &QAction::triggered, this, [this, wanted = kind] { addStage(wanted); });
  }
}

void StageList::fill() {
  m_filling = true;
  for (std::size_t i = 0; i < m_cards.size(); ++i) {
    const TrainStage& stage = m_stages[i];
    const Card& card = m_cards[i];
    if (card.level) {
      card.level->setCurrentIndex(card.level->findData(QString::fromStdString(stage.level)));
      card.level->setToolTip(card.level->currentText());
    }
    if (card.steps) card.steps->setText(stage.steps > 0 ? QString::number(stage.steps) : QString());
    if (card.rate) card.rate->setText(stage.rate > 0 ? QString::number(stage.rate, 'g', 8) : QString());
  }
  m_filling = false;
}

void StageList::takeCards() {
  if (m_filling) return;
  for (std::size_t i = 0; i < m_cards.size(); ++i) {
    if (!m_cards[i].level) continue;
    TrainStage& stage = m_stages[i];
    if (m_cards[i].level->currentIndex() >= 0) stage.level = m_cards[i].level->currentData().toString().toStdString();
    dropWhatTheLevelCannot(stage);
  }
  fill();
  emit edited(m_stages);
}

// Each goes where it can stand: the head's fit first, then distill, repair last, packing between.
void StageList::addStage(StageKind kind) {
  TrainStage stage;
  stage.kind = kind;
  if (packs(kind)) stage.level = "INT8";
  const auto rank = [](StageKind k) { return k == StageKind::kProbe ? 0 : k == StageKind::kDistill ? 1 : packs(k) ? 2 : 3; };
  const auto at = std::find_if(m_stages.begin(), m_stages.end(), [&](const TrainStage& s) { return rank(s.kind) > rank(kind); });
  m_stages.insert(at, std::move(stage));
  rebuild();
  fill();
  emit edited(m_stages);
}

// A repair without anything packed before it would mend nothing.
void StageList::removeStage(std::size_t index) {
  if (index >= m_stages.size() || m_stages.size() < 2) return;
  const bool packed = packs(m_stages[index].kind);
  m_stages.erase(m_stages.begin() + static_cast<std::ptrdiff_t>(index));
  if (packed) std::erase_if(m_stages, [](const TrainStage& s) { return s.kind == StageKind::kRepair; });
  if (m_stages.empty()) m_stages.emplace_back();
  rebuild();
  fill();
  emit edited(m_stages);
}

}  // namespace retort::ui
