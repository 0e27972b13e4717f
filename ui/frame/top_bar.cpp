#include "ui/frame/top_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <algorithm>

#include "ui/format.h"
#include "ui/theme.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

QToolButton* bar_button(const QString& name, QWidget* parent) {
  auto* button = new QToolButton(parent);
  button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  button->setIconSize({16, 16});
  button->setAccessibleName(name);
  button->setToolTip(name);
  button->setFocusPolicy(Qt::StrongFocus);
  return button;
}

}  // namespace

const RunRow* runningRow(const StudySnapshot& study) {
  for (const JobState wanted : {JobState::kRunning, JobState::kPaused})
    for (const RunRow& row : study.run)
      if (row.state == wanted) return &row;
  return nullptr;
}

QString jobLine(const RunRow& row) {
  QString line = QString::fromStdString(row.candidate_name.empty() ? row.step : row.candidate_name + " · " + row.step);
  if (row.total > 0) line += QStringLiteral(" · ") + percent(std::clamp(row.done / row.total, 0.0, 1.0), 0);
  if (row.seconds_left >= 0) line += QStringLiteral(" · ") + secondsQuantity(row.seconds_left).text();
  return line;
}

TopBar::TopBar(QWidget* parent) : QWidget(parent) {
  setObjectName(QStringLiteral("topBar"));
  setAttribute(Qt::WA_StyledBackground);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(kGap, kGapSmall, kGap, kGapSmall);
  row->setSpacing(kGapSmall);

  m_study = bar_button(tr("Study: new, open, recent"), this);
  m_study->setFont(Theme::instance().font(Theme::Size::Body, true));
  m_study->setPopupMode(QToolButton::InstantPopup);
  m_studyMenu = new QMenu(m_study);
  m_study->setMenu(m_studyMenu);
  m_device = bar_button(tr("Device that the figures are for; opens Hardware"), this);
  m_jobs = bar_button(tr("Jobs: the queue, pause, resume, stop"), this);
  m_search = bar_button(tr("Search every action (Ctrl+K)"), this);
  m_search->setText(tr("Search"));
  m_inspector = bar_button(tr("Show or hide the inspector (Ctrl+I)"), this);
  m_inspector->setToolButtonStyle(Qt::ToolButtonIconOnly);
  m_busy = makeLabel({}, Tone::Muted);
  m_busy->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  m_busy->setAlignment(Qt::AlignRight | Qt::AlignVCenter);

  row->addWidget(m_study);
  row->addSpacing(kGap);
  row->addWidget(m_device);
  row->addWidget(m_busy, 1);
  row->addWidget(m_jobs);
  row->addWidget(m_search);
  row->addWidget(m_inspector);

  connect(m_device, &QToolButton::clicked, this, &TopBar::hardwareWanted);
  connect(m_jobs, &QToolButton::clicked, this, &TopBar::jobsWanted);
  connect(m_search, &QToolButton::clicked, this, &TopBar::paletteWanted);
  connect(m_inspector, &QToolButton::clicked, this, &TopBar::inspectorWanted);
  connect(&Theme::instance(), &Theme::changed, this, &TopBar::refreshIcons);
  refreshIcons();
  setSnapshot(nullptr);
}

void TopBar::refreshIcons() {
  const Theme& theme = Theme::instance();
  m_study->setIcon(theme.icon(QStringLiteral("study"), Role::Accent));
  m_device->setIcon(theme.icon(QStringLiteral("device"), Role::Muted));
  m_jobs->setIcon(theme.icon(QStringLiteral("jobs"), Role::Muted));
  m_search->setIcon(theme.icon(QStringLiteral("search"), Role::Muted));
  m_inspector->setIcon(theme.icon(QStringLiteral("inspector"), Role::Muted));
}

void TopBar::setSnapshot(const SnapshotPtr& snapshot) {
  m_study->setText(snapshot ? QString::fromStdString(snapshot->name) : tr("No study"));
  m_jobs->setVisible(snapshot != nullptr);
  if (!snapshot) {
    m_device->setText(tr("This machine"));
    return;
  }
  m_device->setText(snapshot->device.empty() ? tr("This machine") : QString::fromStdString(snapshot->device));
  const auto open = std::count_if(snapshot->run.begin(), snapshot->run.end(), [](const RunRow& row) {
    return row.state == JobState::kWaiting || row.state == JobState::kRunning || row.state == JobState::kPaused;
  });
  QString text = tr("No jobs");
  if (snapshot->running && open > 0) {
    text = tr("%n job(s)", nullptr, static_cast<int>(open));
    if (snapshot->paused) text = tr("Paused") + QStringLiteral(" · ") + text;
    if (const RunRow* row = runningRow(*snapshot)) text += QStringLiteral(" · ") + jobLine(*row);
  }
  m_jobs->setText(text);
}

void TopBar::setBusy(const QString& what) { m_busy->setText(what.isEmpty() ? QString() : what + QStringLiteral(" …")); }

}  // namespace retort::ui
