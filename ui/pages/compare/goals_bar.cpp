#include "ui/pages/compare/goals_bar.h"

#include <QCheckBox>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSlider>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/models/measures.h"
#include "ui/theme.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {
constexpr int kSteps = 200;
}

GoalsBar::GoalsBar(QWidget* parent) : QFrame(parent) {
  setProperty("card", QStringLiteral("raised"));
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(kGapLarge, kGap, kGapLarge, kGap);
  grid->setHorizontalSpacing(kGap);
  grid->setVerticalSpacing(kGapSmall);
  addRow(tr("Size ≤"), QStringLiteral("size"), &Goals::max_bytes, false);
  addRow(tr("Loss ≤"), QStringLiteral("kld"), &Goals::max_kld, false);
  addRow(tr("First token ≤"), QStringLiteral("first"), &Goals::max_time_to_first_token, false);
  addRow(tr("Decode ≥"), QStringLiteral("decode"), &Goals::min_decode, true);
  m_take = makeLabel(QString(), Tone::Normal, Theme::Size::Body, true, this);
  m_why = makeLabel(QString(), Tone::Normal, Theme::Size::Body, false, this);
  m_runnerUp = makeLabel(QString(), Tone::Muted, Theme::Size::Small, false, this);
  for (QLabel* label : {m_take, m_why, m_runnerUp}) label->setWordWrap(true);
  m_take->setAccessibleName(tr("Recommendation"));
  m_show = makeButton(tr("Select it"), {}, false, this);
  connect(m_show, &QPushButton::clicked, this, [this] { if (m_recommended) emit recommendedChosen(*m_recommended); });
  auto* text = new QVBoxLayout;
  text->setSpacing(2);
  text->addWidget(m_take);
  text->addWidget(m_why);
  text->addWidget(m_runnerUp);
  auto* line = new QHBoxLayout;
  line->addLayout(text, 1);
  line->addWidget(m_show, 0, Qt::AlignTop);
  grid->addLayout(line, 2, 0, 1, 8);
}

void GoalsBar::addRow(const QString& text, const QString& measureId, std::optional<double> Goals::*goal, bool minimum) {
  auto* grid = static_cast<QGridLayout*>(layout());
  const int place = static_cast<int>(m_rows.size());
  auto* on = new QCheckBox(text, this);
  auto* slider = new QSlider(Qt::Horizontal, this);
  slider->setRange(0, kSteps);
  slider->setValue(minimum ? 0 : kSteps);
  slider->setAccessibleName(text);
  slider->setMinimumWidth(60);
  auto* value = makeLabel(QStringLiteral("–"), Tone::Normal, Theme::Size::Body, false, this);
  value->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  value->setMinimumWidth(84);
  const int column = (place % 2) * 4, line = place / 2;
  grid->addWidget(on, line, column);
  grid->addWidget(slider, line, column + 1);
  grid->addWidget(value, line, column + 2);
  grid->setColumnStretch(column + 1, 1);
  grid->setColumnMinimumWidth(column + 3, kGapLarge);
  m_rows.push_back({measureId, goal, minimum, on, slider, value});
  const std::size_t index = m_rows.size() - 1;
  connect(on, &QCheckBox::toggled, this, [this, index] { showValue(m_rows[index]); emitGoals(); });
  connect(slider, &QSlider::valueChanged, this, [this, index] {
    if (!m_filling) m_rows[index].on->setChecked(true);
    showValue(m_rows[index]);
  });
  // The study is asked once per movement, not per pixel.
  connect(slider, &QSlider::sliderReleased, this, [this] { emitGoals(); });
  connect(slider, &QSlider::actionTriggered, this, [this, slider] { if (!slider->isSliderDown()) QMetaObject::invokeMethod(this, [this] { emitGoals(); }, Qt::QueuedConnection); });
}

// Geometric between the smallest and largest: sizes and losses span decades.
double GoalsBar::valueOf(const Row& row) const {
  const double part = static_cast<double>(row.slider->value()) / kSteps;
  if (row.low <= 0) return row.low + part * (row.high - row.low);
  return row.low * std::pow(row.high / row.low, part);
}

void GoalsBar::showValue(const Row& row) {
  const Measure& m = measure(row.measure);
  row.value->setText(row.on->isChecked() ? Quantity{significant(valueOf(row) * m.scale, 3), m.unit}.text() : tr("no limit"));
}

void GoalsBar::emitGoals() {
  if (m_filling) return;
  Goals goals;
  for (const Row& row : m_rows)
    if (row.on->isChecked()) goals.*row.goal = valueOf(row);
  emit goalsChanged(goals);
}

void GoalsBar::setSnapshot(const StudySnapshot& snapshot) {
  m_filling = true;
  for (Row& row : m_rows) {
    if (row.slider->isSliderDown()) continue;
    const Measure& m = measure(row.measure);
    double low = 1e300, high = 0;
    for (const CandidateInfo& candidate : snapshot.candidates)
      if (const auto figure = m.figure(candidate); figure && figure->value > 0) {
        low = std::min(low, figure->value);
        high = std::max(high, figure->value);
      }
    const bool known = high > 0;
    row.on->setEnabled(known);
    row.slider->setEnabled(known);
    if (known) row.low = low * 0.9, row.high = high * 1.1;
    const std::optional<double> goal = snapshot.goals.*row.goal;
    const QSignalBlocker quiet(row.on);
    row.on->setChecked(goal.has_value());
    if (goal && known)
      row.slider->setValue(static_cast<int>(std::lround(kSteps * std::clamp(std::log(*goal / row.low) / std::log(row.high / row.low), 0.0, 1.0))));
    showValue(row);
  }
  m_filling = false;
  const Recommendation& advice = snapshot.recommendation;
  m_recommended = advice.candidate;
  m_take->setText(advice.candidate ? toQString(advice.what) : advice.missing.empty() ? tr("Nothing is measured yet: run the study to get a recommendation.") : toQString(advice.missing));
  m_why->setText(toQString(advice.why));
  m_why->setVisible(!advice.why.empty());
  QStringList more;
  if (!advice.runner_up.empty()) more << toQString(advice.runner_up);
  if (!advice.would_change.empty()) more << toQString(advice.would_change);
  m_runnerUp->setText(more.join(QLatin1Char(' ')));
  m_runnerUp->setVisible(!more.isEmpty());
  m_show->setVisible(m_recommended.has_value());
}

}  // namespace retort::ui
