// What the main window does on a key, from the study menu and from the palette.
#include <QApplication>
#include <QDir>
#include <QDockWidget>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenu>

#include "ui/actions.h"
#include "ui/format.h"
#include "ui/frame/command_palette.h"
#include "ui/frame/top_bar.h"
#include "ui/main_window.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/widgets/basics.h"

namespace retort::ui {

void MainWindow::buildActions() {
  const QString study = tr("Study"), run = tr("Run"), view = tr("View"), edit = tr("Edit");
  const auto add = [this](const char* id, const QString& group, const QString& text, const QKeySequence& key, const char* icon,
                          const QString& help, std::function<void()> body) {
    m_actions->add({QString::fromLatin1(id), group, text, key, QString::fromLatin1(icon), help}, this, std::move(body));
  };
  add("study.new", study, tr("New study …"), QKeySequence::New, "plus", tr("Makes an empty study file"), [this] { askNew(); });
  add("study.open", study, tr("Open model or study …"), QKeySequence::Open, "file", tr("A GGUF file or a .retort study"), [this] { askOpen(); });
  add("study.open_folder", study, tr("Open model folder …"), {}, "folder", tr("A folder with config.json and safetensors"), [this] { askOpenFolder(); });
  add("study.close", study, tr("Close the study"), QKeySequence::Close, "close", tr("Back to the start page; nothing is lost"), [this] { m_study.closeStudy(); });
  add("app.quit", study, tr("Quit"), QKeySequence(tr("Ctrl+Q")), "", tr("Ends Retort; a run goes on at the next start"), [this] { close(); });

  add("run.start", run, tr("Run the study"), QKeySequence(tr("F5")), "run", tr("Makes and measures what is missing"), [this] { m_study.run(); });
  add("run.pause", run, tr("Pause the run"), QKeySequence(tr("Ctrl+Shift+P")), "pause", tr("Keeps what is done and waits"), [this] { m_study.pause(!m_study.isPaused()); });
  add("run.stop", run, tr("Stop the run"), QKeySequence(tr("Ctrl+.")), "stop", tr("Stops what was started last; finished parts are kept"), [this] { m_study.stop(); });

  add("edit.undo", edit, tr("Undo"), QKeySequence::Undo, "undo", tr("Takes back the last change of recipes, candidates, goals or data"), [this] { m_study.undo(); });
  add("selection.pin", edit, tr("Pin or unpin the selected candidate"), {}, "pin", tr("Pinned candidates stay in every comparison (Space in tables and charts)"), [this] {
    if (m_selection->candidate()) m_selection->togglePin(*m_selection->candidate());
  });
  add("selection.clear", edit, tr("Clear the selection"), {}, "", tr("The inspector becomes empty"), [this] { m_selection->clear(); });

  add("app.palette", view, tr("Search every action"), QKeySequence(tr("Ctrl+K")), "search", tr("By name"), [this] { openPalette(); });
  add("view.hardware", view, tr("Hardware"), {}, "device", tr("Processor, kernels, measured limits"), [this] { emit m_top->hardwareWanted(); });
  add("view.jobs", view, tr("Jobs"), QKeySequence(tr("Ctrl+J")), "jobs", tr("The queue"), [this] { if (m_study.snapshot()) emit m_top->jobsWanted(); });
  add("view.inspector", view, tr("Show or hide the inspector"), QKeySequence(tr("Ctrl+I")), "inspector", tr("What the selection is"),
      [this] { m_inspectorDock->setVisible(!m_inspectorDock->isVisible()); });
  add("view.default_layout", view, tr("Default layout"), QKeySequence(tr("Ctrl+0")), "layout", tr("Docks back to where they were at first"), [this] { resetLayout(); });
  const auto theme = [this](Theme::Mode mode, const QString& name) {
    Settings::setValue(Setting::ThemeMode, name);
    Theme::instance().setMode(mode);
  };
  add("view.theme_system", view, tr("Colours: as the system"), {}, "theme", tr("Light or dark with the desktop"), [=] { theme(Theme::Mode::System, QStringLiteral("system")); });
  add("view.theme_light", view, tr("Colours: light"), {}, "theme", tr("Always light"), [=] { theme(Theme::Mode::Light, QStringLiteral("light")); });
  add("view.theme_dark", view, tr("Colours: dark"), {}, "theme", tr("Always dark"), [=] { theme(Theme::Mode::Dark, QStringLiteral("dark")); });
  for (const char* id : {"run.start", "run.pause", "run.stop", "edit.undo", "study.close"}) m_actions->action(QString::fromLatin1(id))->setEnabled(false);
}

void MainWindow::buildPageActions() {
  for (std::size_t i = 0; i < m_pages.size(); ++i) {
    const PageEntry& entry = m_pages[i];
    m_actions->add({QStringLiteral("page.") + entry.id, tr("Page"), entry.title,
                    QKeySequence(QStringLiteral("Ctrl+%1").arg(i + 1)), entry.icon, tr("Goes to %1").arg(entry.title)},
                   this, [this, i] { showPageAt(static_cast<int>(i)); });
  }
}

void MainWindow::fillStudyMenu() {
  QMenu* menu = m_top->studyMenu();
  menu->clear();
  for (const char* id : {"study.new", "study.open", "study.open_folder"}) menu->addAction(m_actions->action(QString::fromLatin1(id)));
  const QStringList recent = Settings::recentStudies();
  if (!recent.isEmpty()) menu->addSeparator();
  for (const QString& path : recent.mid(0, 8)) {
    QAction* action = menu->addAction(QFileInfo(path).completeBaseName());
    action->setToolTip(path);
    connect(action, &QAction::triggered, this, [this, path] { openPath(path); });
  }
  menu->addSeparator();
  menu->addAction(m_actions->action(QStringLiteral("study.close")));
}

void MainWindow::askNew() {
  const QString folder = Settings::value(Setting::LastFolder).toString();
  QString path = QFileDialog::getSaveFileName(this, tr("New study"), QDir(folder).filePath(tr("study.retort")), tr("Retort studies (*.retort)"));
  if (path.isEmpty()) return;
  if (!path.endsWith(QStringLiteral(".retort"))) path += QStringLiteral(".retort");
  Settings::setValue(Setting::LastFolder, QFileInfo(path).absolutePath());
  m_study.createStudy(path);
}

void MainWindow::askOpen() {
  const QString path = QFileDialog::getOpenFileName(this, tr("Open a model or a study"), Settings::value(Setting::LastFolder).toString(),
                                                    tr("Models and studies (*.gguf *.safetensors *.onnx *.retort);;All files (*)"));
  if (path.isEmpty()) return;
  Settings::setValue(Setting::LastFolder, QFileInfo(path).absolutePath());
  openPath(path);
}

void MainWindow::askOpenFolder() {
  const QString path = QFileDialog::getExistingDirectory(this, tr("Open a model folder"), Settings::value(Setting::LastFolder).toString());
  if (path.isEmpty()) return;
  Settings::setValue(Setting::LastFolder, QFileInfo(path).absolutePath());
  openPath(path);
}

void MainWindow::offerToGoOn() {
  m_notice->showText(Notice::Kind::Info, tr("The run was stopped. Finished parts are kept."));
  m_notice->setRemedy(tr("Go on"), this, [this] { m_study.run(); });
}

void MainWindow::openPalette() {
  if (!m_palette) m_palette = new CommandPalette(*m_actions, this);
  std::vector<PaletteItem> items;
  if (const SnapshotPtr snapshot = m_study.snapshot())
    for (const CandidateInfo& candidate : snapshot->candidates)
      items.push_back({QString::fromStdString(candidate.name), tr("Candidate"),
                       [this, id = candidate.id] { m_selection->setCandidate(id); }});
  for (const TensorRow& tensor : m_model.tensors())
    items.push_back({tensor.name, tr("Tensor"), [this, name = tensor.name] { m_selection->setTensor(name); }});
  for (const QString& path : Settings::recentStudies())
    items.push_back({QFileInfo(path).completeBaseName(), tr("Recent"), [this, path] { openPath(path); }});
  m_palette->open(std::move(items));
}

}  // namespace retort::ui
