// The main window: pages, rail, top bar, inspector, status line, menus. No logic of the study's own.
#pragma once

#include <QMainWindow>
#include <memory>
#include <vector>

#include "ui/page.h"

class QDockWidget;
class QLabel;
class QStackedWidget;

namespace retort::ui {

class CommandPalette;
class HardwarePopup;
class Inspector;
class JobsPopup;
class Notice;
class Rail;
class StartPage;
class TopBar;

class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  MainWindow(StudyService& study, ModelService& model, QWidget* parent = nullptr);
  ~MainWindow() override;

  // A study file, a model file or a folder; what else it is becomes a notice.
  void openPath(const QString& path);
  void setSample(const QString& path);
  // By id of the page list; makes the page at its first visit. "" is the start page.
  void showPage(const QString& id);
  QString currentPage() const;
  Page* page(const QString& id) const;   // null when never visited
  ActionRegistry& actions() const { return *m_actions; }
  Selection& selection() const { return *m_selection; }
  const std::vector<PageEntry>& pages() const { return m_pages; }

 protected:
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void buildFrame();
  void buildActions();
  void buildPageActions();
  void fillStudyMenu();
  void connectServices();
  void applyTheme();
  void takeSnapshot(const SnapshotPtr& snapshot);
  void showPageAt(int index);
  void refreshStatusLine();
  void askNew();
  void askOpen();
  void askOpenFolder();
  void offerToGoOn();
  void openPalette();
  void restoreLayout();
  void resetLayout();

  std::vector<PageEntry> m_pages;
  std::vector<Page*> m_made;              // null until visited
  std::vector<SnapshotPtr> m_given;       // the newest snapshot that each page has seen
  int m_current = -1;
  QString m_pagePath;                     // study that the pages show, to notice a change of study

  StudyService& m_study;
  ModelService& m_model;
  Selection* m_selection;
  ActionRegistry* m_actions;
  std::unique_ptr<Services> m_services;

  TopBar* m_top;
  Rail* m_rail;
  QStackedWidget* m_stack;
  StartPage* m_start;
  Notice* m_notice;
  Inspector* m_inspector;
  QDockWidget* m_inspectorDock;
  QLabel *m_statusText, *m_statusRight;
  CommandPalette* m_palette = nullptr;    // made at the first use, as the two below
  HardwarePopup* m_hardware = nullptr;
  JobsPopup* m_jobs = nullptr;
  QByteArray m_defaultLayout;
};

}  // namespace retort::ui
