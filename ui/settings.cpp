#include "ui/settings.h"

#include <QFileInfo>

namespace retort::ui {

const QList<SettingInfo>& settingTable() {
  static const QList<SettingInfo> table = {
      {Setting::WindowGeometry, "window/geometry", QByteArray()},
      {Setting::WindowLayout, "window/layout", QByteArray()},
      {Setting::LastPage, "window/page", QStringLiteral("model")},
      {Setting::RecentStudies, "recent/studies", QStringList()},
      {Setting::LastFolder, "recent/folder", QString()},
      {Setting::ThemeMode, "window/theme", QStringLiteral("system")},
      {Setting::ModelContext, "model/context", 4096},
      {Setting::MapColour, "model/map_colour", QStringLiteral("type")},
      {Setting::BlindTallies, "try/tallies", QVariantMap()},
  };
  Q_ASSERT(table.size() == static_cast<qsizetype>(Setting::Count));
  return table;
}

QVariant Settings::value(Setting setting) {
  const SettingInfo& info = settingTable().at(static_cast<qsizetype>(setting));
  const QVariant stored = QSettings().value(QLatin1String(info.key), info.fallback);
  // A value of another type (an edited file) is as good as none.
  return stored.canConvert(info.fallback.metaType()) ? stored : info.fallback;
}

void Settings::setValue(Setting setting, const QVariant& value) {
  QSettings().setValue(QLatin1String(settingTable().at(static_cast<qsizetype>(setting)).key), value);
}

QStringList Settings::recentStudies() {
  QStringList paths = value(Setting::RecentStudies).toStringList();
  paths.removeIf([](const QString& path) { return !QFileInfo::exists(path); });
  return paths;
}

void Settings::addRecentStudy(const QString& path) {
  QStringList paths = value(Setting::RecentStudies).toStringList();
  const QString full = QFileInfo(path).absoluteFilePath();
  if (!paths.isEmpty() && paths.front() == full) return;
  paths.removeAll(full);
  paths.prepend(full);
  setValue(Setting::RecentStudies, paths.mid(0, 12));
}

QVariantMap Settings::tally(const QString& study) { return value(Setting::BlindTallies).toMap().value(study).toMap(); }

void Settings::setTally(const QString& study, const QVariantMap& tally) {
  QVariantMap all = value(Setting::BlindTallies).toMap();
  if (tally.isEmpty()) all.remove(study);
  else all[study] = tally;
  setValue(Setting::BlindTallies, all);
}

}  // namespace retort::ui
