#include "ui/pages/compare/goals_bar.h"

#include <QCheckBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSlider>
#include <QToolButton>
#include <QVBoxLayout>
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
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapLarge, kGap, kGap, kGap);
  column->setSpacing(kGapSmall);
  m_line = new QHBoxLayout;
  m_line->setSpacing(kGapLarge);
  column->addLayout(m_line);
  addRow(tr("Size ≤"), QStringLiteral("size"), &Goals::max_bytes, false);
  addRow(tr("Loss ≤"), QStringLiteral("kld"), &Goals::max_kld, false);
  addRow(tr("Right ≥"), QStringLiteral("accuracy"), &Goals::min_accuracy, true);
  addRow(tr("First token ≤"), QStringLiteral("first"), &Goals::max_time_to_first_token, false);
  addRow(tr("Decode ≥"), QStringLiteral("decode"), &Goals::min_decode, true);
  const Theme& theme = Theme::instance();
  m_take = new WrappedText(Tone::Normal, theme.font(Theme::Size::Body, true));
  m_why = new WrappedText(Tone::Normal, theme.font(Theme::Size::Body));
  m_runnerUp = new WrappedText(Tone::Muted, theme.font(Theme::Size::Small));
  m_runnerUp->setFolded(true);
  m_show = makeButton(tr("Select it"), {}, false, this);
  m_show->setProperty("compact", true);
  connect(m_show, &QPushButton::clicked, this, [this] { if (m_recommended) emit recommendedChosen(*m_recommended); });
  m_more = makeToolButton(QStringLiteral("down"), tr("Runner-up, and what would change the answer"), this);
  m_more->setCheckable(true);
  connect(m_more, &QToolButton::toggled, this, [this](bool on) { m_runnerUp->setFolded(!on); });
  auto* first = new QHBoxLayout;
  first->setSpacing(kGap);
  first->addWidget(m_take, 1);
  first->addWidget(m_show);
  auto* last = new QHBoxLayout;
  last->setSpacing(kGap);
  last->addWidget(m_runnerUp, 1);
  last->addWidget(m_more, 0, Qt::AlignTop);
  auto* advice = new QVBoxLayout;
  advice->setSpacing(0);
  advice->addLayout(first);
  advice->addWidget(m_why);
  advice->addLayout(last);
  column->addLayout(advice);
}

void GoalsBar::addRow(const QString& text, const QString& measureId, std::optional<double> Goals::*goal, bool minimum) {
  auto* on = new QCheckBox(text, this);
  auto* slider = new QSlider(Qt::Horizontal, this);
  slider->setRange(0, kSteps);
  slider->setValue(minimum ? 0 : kSteps);
  slider->setAccessibleName(text);
  slider->setMinimumWidth(60);
  auto* value = makeLabel(tr("no limit"), Tone::Normal, Theme::Size::Body, false, this);
  value->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  auto* head = new QHBoxLayout;
  head->setSpacing(kGapSmall);
  head->addWidget(on);
  head->addWidget(value, 1);
  auto* box = new QWidget;
  auto* cell = new QVBoxLayout(box);
  cell->setContentsMargins(0, 0, 0, 0);
  cell->setSpacing(2);
  cell->addLayout(head);
  cell->addWidget(slider);
  m_line->addWidget(box, 1);
  m_rows.push_back({measureId, goal, minimum, on, slider, value, box});
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
  setTone(row.value, row.on->isChecked() ? Tone::Normal : Tone::Muted);
  setTextOf(row.value, row.on->isChecked() ? Quantity{significant(valueOf(row) * m.scale, 3), m.unit}.text() : tr("no limit"));
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
    // What this study's kind of model doesn't give is no goal; where there is a decode rate, the room is needed for it.
    const bool generates = isMeasured(snapshot, measure(QStringLiteral("decode")));
    const bool crowded = row.measure == QStringLiteral("accuracy") && generates;
    row.cell->setVisible((snapshot.goals.*row.goal).has_value() || (known && !crowded));
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
  if (!advice.runner_up.empty()) more << tr("Runner-up: %1").arg(toQString(advice.runner_up));
  if (!advice.would_change.empty()) more << toQString(advice.would_change);
  m_runnerUp->setText(more.join(QLatin1Char(' ')));
  m_runnerUp->setVisible(!more.isEmpty());
  m_more->setVisible(!more.isEmpty());
  m_show->setVisible(m_recommended.has_value());
}

}  // namespace retort::ui
