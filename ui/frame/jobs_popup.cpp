#include "ui/frame/jobs_popup.h"

#include <QProgressBar>
#include <QScrollArea>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

QString state_text(const RunRow& row) {
  switch (row.state) {
    case JobState::kWaiting: return JobsPopup::tr("waiting");
    case JobState::kRunning: return QString::fromStdString(row.working_on);
    case JobState::kPaused: return JobsPopup::tr("paused");
    case JobState::kDone: return row.reused > 0 ? JobsPopup::tr("done, %1 reused").arg(row.reused) : JobsPopup::tr("done");
    case JobState::kFailed: return QString::fromStdString(row.message);
    case JobState::kStopped: return JobsPopup::tr("stopped");
  }
  return {};
}

}  // namespace

JobsPopup::JobsPopup(Services& services, QWidget* window)
    : QFrame(window, Qt::Popup | Qt::FramelessWindowHint), m_services(services) {
  setProperty("card", "raised");
  setAccessibleName(tr("Jobs"));
  resize(460, 380);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  auto* head = new QHBoxLayout;
  head->addWidget(makeHeading(tr("Jobs")));
  head->addStretch();
  m_run = makeButton(tr("Run"), QStringLiteral("run"), true);
  m_pause = makeButton(tr("Pause"), QStringLiteral("pause"));
  m_stop = makeButton(tr("Stop"), QStringLiteral("stop"));
  for (QPushButton* button : {m_run, m_pause, m_stop}) head->addWidget(button);
  column->addLayout(head);
  auto* body = new QWidget;
  m_rows = new QVBoxLayout(body);
  m_rows->setContentsMargins(0, kGap, kGap, 0);
  m_rows->setSpacing(kGap);
  m_rows->addStretch();
  m_scroll = new QScrollArea;
  m_scroll->setWidgetResizable(true);
  m_scroll->setWidget(body);
  column->addWidget(m_scroll, 1);
  connect(m_run, &QPushButton::clicked, this, [this] { m_services.study.run(); });
  connect(m_pause, &QPushButton::clicked, this, [this] { m_services.study.pause(!m_services.study.isPaused()); });
  connect(m_stop, &QPushButton::clicked, this, [this] { m_services.study.stop(); });
  connect(&services.study, &StudyService::runStateChanged, this, &JobsPopup::refresh);
}

void JobsPopup::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  if (isVisible()) refresh();
}

void JobsPopup::openBelow(QWidget* anchor) {
  refresh();
  const QPoint corner = anchor->mapToGlobal(QPoint(anchor->width(), anchor->height() + kGapSmall));
  move(corner.x() - width(), corner.y());
  show();
  m_run->isVisible() ? m_run->setFocus() : m_pause->setFocus();
}

void JobsPopup::refresh() {
  const bool running = m_services.study.isRunning(), paused = m_services.study.isPaused();
  m_run->setVisible(!running);
  m_run->setEnabled(m_snapshot != nullptr);
  m_pause->setVisible(running);
  m_pause->setText(paused ? tr("Go on") : tr("Pause"));
  m_stop->setVisible(running);

  // What is at work first, then what waits, then what is done.
  std::vector<const RunRow*> rows;
  if (m_snapshot)
    for (const RunRow& row : m_snapshot->run) rows.push_back(&row);
  const auto rank = [](const RunRow* row) {
    switch (row->state) {
      case JobState::kRunning:
      case JobState::kPaused: return 0;
      case JobState::kFailed: return 1;
      case JobState::kWaiting: return 2;
      default: return 3;
    }
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const RunRow* a, const RunRow* b) { return rank(a) < rank(b); });
  while (m_shown.size() < rows.size()) {
    Row row{new QWidget, makeLabel({}), makeLabel({}, Tone::Muted, Theme::Size::Small),
            makeLabel({}, Tone::Muted, Theme::Size::Small), new QProgressBar};
    auto* grid = new QGridLayout(row.box);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setVerticalSpacing(2);
    grid->addWidget(row.name, 0, 0);
    grid->addWidget(row.rate, 0, 1, Qt::AlignRight);
    grid->addWidget(row.bar, 1, 0, 1, 2);
    grid->addWidget(row.state, 2, 0, 1, 2);
    grid->setColumnStretch(0, 1);
    row.bar->setRange(0, 1000);
    m_rows->insertWidget(static_cast<int>(m_shown.size()), row.box);
    m_shown.push_back(row);
  }
  for (std::size_t i = 0; i < m_shown.size(); ++i) {
    Row& shown = m_shown[i];
    shown.box->setVisible(i < rows.size());
    if (i >= rows.size()) continue;
    const RunRow& row = *rows[i];
    const bool active = row.state == JobState::kRunning || row.state == JobState::kPaused;
    shown.name->setText(QString::fromStdString(row.candidate_name.empty() ? row.step : row.candidate_name + " · " + row.step));
    shown.state->setText(state_text(row));
    shown.bar->setVisible(active);
    shown.bar->setAccessibleName(shown.name->text());
    if (row.total > 0) shown.bar->setValue(static_cast<int>(1000 * std::clamp(row.done / row.total, 0.0, 1.0)));
    QString rate;
    if (active && row.rate > 0) rate = rateQuantity(row.rate, QString::fromStdString(row.unit)).text();
    if (active && row.seconds_left >= 0) rate += (rate.isEmpty() ? QString() : QStringLiteral(" · ")) + secondsQuantity(row.seconds_left).text() + tr(" left");
    shown.rate->setText(rate);
  }
}

}  // namespace retort::ui
