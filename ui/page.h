// Page: one of the seven places of the window. A page shows the newest snapshot and asks the services for changes; it
// holds no study data of its own and calls nothing that blocks.
#pragma once

#include <QString>
#include <QWidget>
#include <memory>
#include <vector>

#include "core/study/snapshot.h"

namespace retort::ui {

class ActionRegistry;
class ModelService;
class Selection;
class StudyService;

// What pages work with; all live as long as the window.
struct Services {
  StudyService& study;
  ModelService& model;
  Selection& selection;
  ActionRegistry& actions;
};

using SnapshotPtr = std::shared_ptr<const StudySnapshot>;

// Where work stands, for the rail. Never forbids anything.
enum class PageState { Empty, Ready, Running, Attention };
struct PageStatus {
  PageState state = PageState::Empty;
  QString why;   // one sentence, for the tool tip and screen readers
};

class Page : public QWidget {
  Q_OBJECT
 public:
  Page(Services& services, QWidget* parent) : QWidget(parent), m_services(services) {}

  // The newest study; null when none is open. Called when the page is visible or becomes so, never while hidden.
  virtual void setSnapshot(const SnapshotPtr& snapshot) = 0;
  // Brings the part that an action or a link means into view ("tensors", "kld"); unknown names are ignored.
  virtual void showPart(const QString& /*part*/) {}

 signals:
  // One line for the status bar.
  void message(const QString& text);
  // Asks the window for another page: the button of an empty state.
  void pageWanted(const QString& id);

 protected:
  Services& services() const { return m_services; }

 private:
  Services& m_services;
};

// A page's entry in the one list that the rail, the palette, the shortcuts and the screenshots are made from.
struct PageEntry {
  QString id;      // "compare"
  QString title;   // translated
  QString icon;    // name in resources/icons
  PageStatus (*status)(const StudySnapshot* study);      // cheap; null when no study is open
  Page* (*make)(Services& services, QWidget* parent);    // called at the first visit
};
// In the order of work. A page that is not built yet is not in it.
std::vector<PageEntry> pageList();

}  // namespace retort::ui
