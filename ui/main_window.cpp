#include "ui/main_window.h"

#include <QCloseEvent>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QMimeData>
#include <QPaintEvent>
#include <QPainter>
#include <QStackedWidget>
#include <QStatusBar>
#include <QStatusTipEvent>
#include <QToolBar>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/actions.h"
#include "ui/format.h"
#include "ui/frame/command_palette.h"
#include "ui/frame/hardware_popup.h"
#include "ui/frame/inspector.h"
#include "ui/frame/jobs_popup.h"
#include "ui/frame/rail.h"
#include "ui/frame/start_page.h"
#include "ui/frame/top_bar.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

// A fixed bar at an edge of the window that holds one widget.
QToolBar* bar_with(QWidget* widget, const QString& name, QMainWindow* window) {
  auto* bar = new QToolBar(name, window);
  bar->setObjectName(name);
  bar->setMovable(false);
  bar->setFloatable(false);
  bar->setContextMenuPolicy(Qt::PreventContextMenu);
  bar->setStyleSheet(QStringLiteral("QToolBar { border: none; padding: 0; margin: 0; spacing: 0; }"));
  bar->addWidget(widget);
  widget->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
  return bar;
}

// What all pages stand on. It fills itself and counts as opaque, so nothing below it is painted; done by the palette it would
// lose the colour whenever the style sheet changes. A page that fills itself is painted twice when it comes to the front.
class Ground : public QWidget {
 public:
  Ground() {
    setAttribute(Qt::WA_OpaquePaintEvent);
    connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
  }

 protected:
  void paintEvent(QPaintEvent* event) override { QPainter(this).fillRect(event->rect(), color(Role::Surface)); }
};

// The pages' place. It asks no page how large it would like to be: of seven, six are not seen, and laying all of them out
// whenever one changes costs the window ten milliseconds.
class PageStack : public QStackedWidget {
 public:
  using QStackedWidget::QStackedWidget;
  QSize sizeHint() const override { return {900, 640}; }
  QSize minimumSizeHint() const override { return {480, 320}; }
  bool hasHeightForWidth() const override { return false; }
};

}  // namespace

MainWindow::MainWindow(StudyService& study, ModelService& model, QWidget* parent)
    : QMainWindow(parent), m_pages(pageList()), m_study(study), m_model(model) {
  m_made.resize(m_pages.size());
  m_given.resize(m_pages.size());
  m_selection = new Selection(this);
  m_actions = new ActionRegistry(this);
  m_services = std::make_unique<Services>(Services{study, model, *m_selection, *m_actions});
  setWindowTitle(QStringLiteral("Retort"));
  setAcceptDrops(true);
  setMinimumSize(880, 560);
  applyTheme();
  buildFrame();
  buildActions();
  buildPageActions();
  connectServices();
  m_defaultLayout = saveState();
  restoreLayout();
  takeSnapshot(m_study.snapshot());
}

MainWindow::~MainWindow() = default;

void MainWindow::buildFrame() {
  m_top = new TopBar;
  addToolBar(Qt::TopToolBarArea, bar_with(m_top, QStringLiteral("top"), this));
  m_rail = new Rail(m_pages);
  addToolBar(Qt::LeftToolBarArea, bar_with(m_rail, QStringLiteral("pages"), this));

  auto* center = new Ground;
  auto* column = new QVBoxLayout(center);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(makeLine(Qt::Horizontal));
  auto* beside = new QHBoxLayout;
  beside->setSpacing(0);
  beside->addWidget(makeLine(Qt::Vertical));
  auto* inner = new QVBoxLayout;
  inner->setSpacing(0);
  m_notice = new Notice;
  auto* noticeBox = new QVBoxLayout;
  noticeBox->setContentsMargins(0, 0, 0, 0);
  noticeBox->addWidget(m_notice);
  inner->addLayout(noticeBox);
  m_stack = new PageStack;
  m_start = new StartPage;
  m_stack->addWidget(m_start);
  inner->addWidget(m_stack, 1);
  beside->addLayout(inner, 1);
  column->addLayout(beside, 1);
  setCentralWidget(center);

  m_inspector = new Inspector(*m_services);
  m_inspectorDock = new QDockWidget(tr("Inspector"));
  m_inspectorDock->setObjectName(QStringLiteral("inspector"));
  m_inspectorDock->setWidget(m_inspector);
  m_inspectorDock->setFeatures(QDockWidget::DockWidgetMovable | QDockWidget::DockWidgetClosable | QDockWidget::DockWidgetFloatable);
  addDockWidget(Qt::RightDockWidgetArea, m_inspectorDock);
  resizeDocks({m_inspectorDock}, {290}, Qt::Horizontal);

  auto* status = new QStatusBar;
  status->setSizeGripEnabled(false);
  m_statusText = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_statusRight = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_statusText->setContentsMargins(kGap, 0, 0, 0);
  m_statusRight->setContentsMargins(0, 0, kGap, 0);
  status->addWidget(m_statusText, 1);
  status->addPermanentWidget(m_statusRight);
  setStatusBar(status);
}

void MainWindow::connectServices() {
  connect(&Theme::instance(), &Theme::changed, this, &MainWindow::applyTheme);
  connect(&m_study, &StudyService::snapshotChanged, this, &MainWindow::takeSnapshot);
  connect(&m_study, &StudyService::busyChanged, m_top, &TopBar::setBusy);
  connect(&m_study, &StudyService::failed, this, [this](const Failure& failure) {
    m_model.endPreview();
    m_notice->setRemedy({});
    m_notice->showFailure(failure);
  });
  connect(&m_study, &StudyService::runStateChanged, this, [this] {
    const bool on = m_study.isRunning();
    m_actions->action(QStringLiteral("run.stop"))->setEnabled(on);
    m_actions->action(QStringLiteral("run.pause"))->setEnabled(on);
    m_actions->action(QStringLiteral("run.pause"))->setText(m_study.isPaused() ? tr("Go on with the run") : tr("Pause the run"));
    refreshStatusLine();
  });
  connect(&m_study, &StudyService::undoChanged, this,
          [this](bool possible) { m_actions->action(QStringLiteral("edit.undo"))->setEnabled(possible); });
  connect(&m_study, &StudyService::runFinished, this, [this](bool completed) {
    if (!completed) return offerToGoOn();
    QApplication::alert(this);   // the task bar asks for attention when the window is elsewhere
  });
  connect(m_rail, &Rail::chosen, this, &MainWindow::showPageAt);
  connect(m_start, &StartPage::openWanted, this, &MainWindow::askOpen);
  connect(m_start, &StartPage::openFolderWanted, this, &MainWindow::askOpenFolder);
  connect(m_start, &StartPage::pathChosen, this, &MainWindow::openPath);
  connect(m_top, &TopBar::paletteWanted, this, &MainWindow::openPalette);
  connect(m_top, &TopBar::inspectorWanted, this, [this] { m_actions->action(QStringLiteral("view.inspector"))->trigger(); });
  connect(m_top, &TopBar::hardwareWanted, this, [this] {
    if (!m_hardware) {
      m_hardware = new HardwarePopup(m_study.api(), this);
      connect(m_hardware, &HardwarePopup::deviceChosen, &m_study, [this](const QString& device) { m_study.setDevice(device.toStdString()); });
    }
    m_hardware->setStudy(m_study.snapshot());
    m_hardware->openBelow(m_top->deviceButton());
  });
  connect(m_top, &TopBar::jobsWanted, this, [this] {
    if (!m_jobs) m_jobs = new JobsPopup(*m_services, this);
    m_jobs->setSnapshot(m_study.snapshot());
    m_jobs->openBelow(m_top->jobsButton());
  });
  connect(m_top->studyMenu(), &QMenu::aboutToShow, this, &MainWindow::fillStudyMenu);
}

void MainWindow::applyTheme() {
  const Theme& theme = Theme::instance();
  setFont(theme.font());
  setPalette(theme.palette());
  setStyleSheet(theme.styleSheet());
}

void MainWindow::takeSnapshot(const SnapshotPtr& snapshot) {
  const QString path = snapshot ? QString::fromStdU16String(snapshot->path.u16string()) : QString();
  const bool anotherStudy = path != m_pagePath;
  m_pagePath = path;
  if (anotherStudy) {
    m_selection->clear();
    if (!path.isEmpty()) Settings::addRecentStudy(path);
    setWindowTitle(snapshot ? QString::fromStdString(snapshot->name) + QStringLiteral(" – Retort") : QStringLiteral("Retort"));
  }
  if (snapshot) {
    QList<std::int64_t> ids;
    for (const CandidateInfo& candidate : snapshot->candidates) ids << candidate.id;
    m_selection->keepCandidates(ids);
  }
  m_model.ensure(snapshot && snapshot->source ? QString::fromStdU16String(snapshot->source->path.u16string()) : QString());
  m_top->setSnapshot(snapshot);
  m_inspector->setSnapshot(snapshot);
  if (m_jobs) m_jobs->setSnapshot(snapshot);
  for (std::size_t i = 0; i < m_pages.size(); ++i) m_rail->setStatus(i, m_pages[i].status(snapshot.get()));
  for (const char* id : {"run.start", "study.close"}) m_actions->action(QString::fromLatin1(id))->setEnabled(snapshot != nullptr);
  if (m_current >= 0) {
    const auto at = static_cast<std::size_t>(m_current);
    m_given[at] = snapshot;
    m_made[at]->setSnapshot(snapshot);
  }
  if (anotherStudy && snapshot && m_current < 0) {
    showPage(Settings::value(Setting::LastPage).toString());
    // The keyboard starts at the rail, not at whatever comes first in the window.
    if (m_current >= 0) m_rail->button(static_cast<std::size_t>(m_current))->setFocus(Qt::OtherFocusReason);
  }
  if (anotherStudy && !snapshot) showPage({});
  refreshStatusLine();
}

void MainWindow::refreshStatusLine() {
  const SnapshotPtr snapshot = m_study.snapshot();
  if (!snapshot) {
    m_statusText->setText(tr("No study is open"));
    m_statusRight->clear();
    return;
  }
  int done = 0, working = 0, failed = 0, planned = 0;
  bool baseline = false;
  for (const CandidateInfo& candidate : snapshot->candidates) {
    if (candidate.is_original) {
      baseline = candidate.state == CandidateState::kDone;
      continue;
    }
    if (!candidate.chosen) continue;
    done += candidate.state == CandidateState::kDone;
    failed += candidate.state == CandidateState::kFailed;
    working += candidate.state == CandidateState::kQuantizing || candidate.state == CandidateState::kMeasuring;
    planned += candidate.state == CandidateState::kPlanned;
  }
  QStringList parts{baseline ? tr("Baseline measured") : tr("Baseline not measured yet")};
  if (done > 0) parts << tr("%n candidate(s) done", nullptr, done);
  if (working > 0) parts << tr("%n running", nullptr, working);
  if (planned > 0) parts << tr("%n planned", nullptr, planned);
  if (failed > 0) parts << tr("%n failed", nullptr, failed);
  if (m_study.isPaused()) parts << tr("paused");
  m_statusText->setText(parts.join(QStringLiteral(" · ")));
  const QString folder = homeShortened(QFileInfo(m_pagePath).absolutePath() + QLatin1Char('/')).chopped(1);
  m_statusRight->setText(tr("%1 · tensor store %2").arg(folder, bytesQuantity(snapshot->store_bytes).text()));
}

void MainWindow::showPageAt(int index) {
  if (index < 0) {
    m_current = -1;
    m_rail->setCurrent(-1);
    m_start->refresh();
    m_stack->setCurrentWidget(m_start);
    return;
  }
  const auto at = static_cast<std::size_t>(index);
  if (!m_made[at]) {
    Page* page = m_pages[at].make(*m_services, m_stack);
    page->setAccessibleName(m_pages[at].title);
    m_made[at] = page;
    m_stack->addWidget(page);
    connect(page, &Page::message, this, [this](const QString& text) { statusBar()->showMessage(text, 8000); });
    connect(page, &Page::pageWanted, this, &MainWindow::showPage);
    page->setSnapshot(m_study.snapshot());
    m_given[at] = m_study.snapshot();
  } else if (m_given[at] != m_study.snapshot()) {
    m_given[at] = m_study.snapshot();
    m_made[at]->setSnapshot(m_given[at]);
  }
  m_current = index;
  // The keyboard's place in the rail follows: a ring around another page's button would mislead.
  if (m_rail->isAncestorOf(focusWidget())) m_rail->button(at)->setFocus(Qt::OtherFocusReason);
  m_rail->setCurrent(index);
  m_stack->setCurrentWidget(m_made[at]);
  Settings::setValue(Setting::LastPage, m_pages[at].id);
}

void MainWindow::showPage(const QString& id) {
  if (id.isEmpty()) return showPageAt(-1);
  const auto found = std::find_if(m_pages.begin(), m_pages.end(), [&](const PageEntry& entry) { return entry.id == id; });
  if (found != m_pages.end())
    showPageAt(static_cast<int>(found - m_pages.begin()));
  else if (!m_pages.empty())
    showPageAt(0);
}

QString MainWindow::currentPage() const { return m_current < 0 ? QString() : m_pages[static_cast<std::size_t>(m_current)].id; }

Page* MainWindow::page(const QString& id) const {
  for (std::size_t i = 0; i < m_pages.size(); ++i)
    if (m_pages[i].id == id) return m_made[i];
  return nullptr;
}

void MainWindow::openPath(const QString& path) {
  m_notice->hide();
  const QFileInfo file(path);
  if (file.isFile() && file.suffix() == QStringLiteral("retort"))
    return m_study.openStudy(file.absoluteFilePath());
  // Seen at once: a study takes its model in only when it has its digest.
  showPage(QStringLiteral("model"));
  if (ModelService::isGraph(path)) return m_model.showGraph(file.absoluteFilePath());
  m_model.preview(file.absoluteFilePath());
  if (m_study.study() && !m_study.snapshot()->source)
    m_study.setSource(file.absoluteFilePath());   // the study waits for its model
  else
    m_study.createFromModel(file.absoluteFilePath());
}

void MainWindow::setSample(const QString& path) { m_start->setSample(path); }

void MainWindow::restoreLayout() {
  resize(1280, 800);
  if (const QByteArray geometry = Settings::value(Setting::WindowGeometry).toByteArray(); !geometry.isEmpty()) restoreGeometry(geometry);
  if (const QByteArray layout = Settings::value(Setting::WindowLayout).toByteArray(); !layout.isEmpty()) restoreState(layout);
}

void MainWindow::resetLayout() {
  restoreState(m_defaultLayout);
  resizeDocks({m_inspectorDock}, {280}, Qt::Horizontal);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  Settings::setValue(Setting::WindowGeometry, saveGeometry());
  Settings::setValue(Setting::WindowLayout, saveState());
  m_study.stop();   // finished parts are kept; the next start goes on
  QMainWindow::closeEvent(event);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  const QList<QUrl> urls = event->mimeData()->urls();
  if (urls.size() == 1 && urls.front().isLocalFile()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
  event->acceptProposedAction();
  openPath(event->mimeData()->urls().front().toLocalFile());
}

bool MainWindow::event(QEvent* event) {
  // Status tips go to the status line's right part; the study's state stays readable.
  if (event->type() == QEvent::StatusTip) {
    const QString tip = static_cast<QStatusTipEvent*>(event)->tip();
    if (tip.isEmpty())
      refreshStatusLine();
    else
      m_statusRight->setText(tip);
    return true;
  }
  return QMainWindow::event(event);
}

}  // namespace retort::ui
