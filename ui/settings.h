// Settings: one table of every key with its type and default, over QSettings. Window thread only.
#pragma once

#include <QByteArray>
#include <QSettings>
#include <QStringList>
#include <QVariant>

namespace retort::ui {

enum class Setting {
  WindowGeometry,   // bytes of saveGeometry()
  WindowLayout,     // bytes of saveState(): docks
  LastPage,         // page id
  RecentStudies,    // paths, newest first
  LastFolder,       // of file dialogs
  ThemeMode,        // "system", "light", "dark"
  ModelContext,     // tokens on the Model page's slider
  MapColour,        // "type", "bytes"
  BlindTallies,     // votes of the Try page by study path
  Count,
};

struct SettingInfo {
  Setting setting;
  const char* key;
  QVariant fallback;
};
// In the order of the enum.
const QList<SettingInfo>& settingTable();

class Settings {
 public:
  static QVariant value(Setting setting);
  static void setValue(Setting setting, const QVariant& value);
  // Newest first, at most 12, each once; those that are gone are left out.
  static QStringList recentStudies();
  static void addRecentStudy(const QString& path);
  static QVariantMap tally(const QString& study);
  static void setTally(const QString& study, const QVariantMap& tally);
};

}  // namespace retort::ui
