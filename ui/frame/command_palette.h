// The command palette: every action by name, and tensors and candidates of the study. Type, arrows, Enter.
#pragma once

#include <QFrame>
#include <QSortFilterProxyModel>
#include <functional>

class QLineEdit;
class QListView;
class QStandardItemModel;

namespace retort::ui {

class ActionRegistry;

// One thing that can be chosen besides actions.
struct PaletteItem {
  QString text, group;
  std::function<void()> choose;
};

class CommandPalette : public QFrame {
  Q_OBJECT
 public:
  CommandPalette(const ActionRegistry& actions, QWidget* window);
  // Shows it over the window's top middle with all actions and `items`.
  void open(std::vector<PaletteItem> items);
  QLineEdit* input() const { return m_input; }
  QListView* list() const { return m_list; }

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void filter(const QString& words);
  void choose();

  const ActionRegistry& m_actions;
  QLineEdit* m_input;
  QListView* m_list;
  QStandardItemModel* m_model;
  QSortFilterProxyModel* m_proxy;
  std::vector<std::function<void()>> m_choices;
};

}  // namespace retort::ui
