#include "ui/actions.h"

#include <QHash>
#include <QWidget>

#include "ui/theme.h"

namespace retort::ui {

ActionRegistry::ActionRegistry(QWidget* window) : QObject(window), m_window(window) {
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    for (QAction* action : std::as_const(m_actions))
      if (const QString icon = action->property("iconName").toString(); !icon.isEmpty())
        action->setIcon(Theme::instance().icon(icon));
  });
}

QAction* ActionRegistry::add(const Spec& spec, QObject* context, std::function<void()> body) {
  Q_ASSERT_X(!action(spec.id), "ActionRegistry::add", qPrintable(spec.id));
  auto* made = new QAction(spec.text, this);
  made->setObjectName(spec.id);
  made->setProperty("group", spec.group);
  made->setProperty("iconName", spec.icon);
  if (!spec.icon.isEmpty()) made->setIcon(Theme::instance().icon(spec.icon));
  if (!spec.key.isEmpty()) made->setShortcut(spec.key);
  const QString key = spec.key.toString(QKeySequence::NativeText);
  const QString help = spec.help.isEmpty() ? spec.text : spec.help;
  made->setStatusTip(help);
  made->setToolTip(key.isEmpty() ? help : QStringLiteral("%1 (%2)").arg(help, key));
  connect(made, &QAction::triggered, context, [body = std::move(body)] { body(); });
  // An action of a page ends with the page.
  if (context != this && context != m_window)
    connect(context, &QObject::destroyed, this, [this, made] {
      m_actions.removeAll(made);
      made->deleteLater();
    });
  m_actions.append(made);
  m_window->addAction(made);
  return made;
}

QAction* ActionRegistry::action(const QString& id) const {
  for (QAction* action : m_actions)
    if (action->objectName() == id) return action;
  return nullptr;
}

QString ActionRegistry::group(const QAction* action) { return action->property("group").toString(); }

QStringList ActionRegistry::conflicts() const {
  QHash<QKeySequence, QString> owners;
  QStringList found;
  for (const QAction* action : m_actions)
    for (const QKeySequence& key : action->shortcuts()) {
      if (owners.contains(key)) found << QStringLiteral("%1 + %2: %3").arg(owners[key], action->objectName(), key.toString());
      owners[key] = action->objectName();
    }
  return found;
}

}  // namespace retort::ui
