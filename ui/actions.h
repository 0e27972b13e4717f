// ActionRegistry: every action of the window by name, with its shortcut; the palette lists them, a test checks that no
// two share a key. Window thread only.
#pragma once

#include <QAction>
#include <QKeySequence>
#include <QList>
#include <QObject>
#include <functional>

namespace retort::ui {

class ActionRegistry : public QObject {
  Q_OBJECT
 public:
  // Actions are added to `window`, so that their keys work everywhere in it.
  explicit ActionRegistry(QWidget* window);

  struct Spec {
    QString id;             // "run.start": stable, unique
    QString group;          // "Run": shown in the palette
    QString text;           // "Run the study"
    QKeySequence key = {};
    QString icon = {};      // name in resources/icons
    QString help = {};      // one line
  };
  // `body` is called in the window's thread, as long as `context` lives. Asserts that id and key are new.
  QAction* add(const Spec& spec, QObject* context, std::function<void()> body);

  QAction* action(const QString& id) const;
  QList<QAction*> actions() const { return m_actions; }
  static QString group(const QAction* action);
  // Pairs of ids that share a key; empty is right.
  QStringList conflicts() const;

 private:
  QWidget* m_window;
  QList<QAction*> m_actions;
};

}  // namespace retort::ui
