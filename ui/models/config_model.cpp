#include "ui/models/config_model.h"

#include "ui/format.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

constexpr qsizetype kShown = 300;   // characters of a value in its cell; the view shows the whole beneath

}  // namespace

QVariant ConfigModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const ConfigEntry& r = row(index.row());
  if (role == kMutedRole) return index.column() == Kind || index.column() == Source;
  if (role != Qt::DisplayRole && role != kSortRole) return {};
  switch (index.column()) {
    case Key: return toQString(r.key);
    case Value: return role == kSortRole ? toQString(r.value) : toQString(r.value).left(kShown);
    case Kind: return toQString(r.kind);
    case Source: return toQString(r.source);
    default: return {};
  }
}

QVariant ConfigModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Key"), QT_TR_NOOP("Value"), QT_TR_NOOP("Kind"), QT_TR_NOOP("From")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

}  // namespace retort::ui
