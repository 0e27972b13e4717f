#include "ui/models/parameter_model.h"

#include <algorithm>

#include "ui/widgets/table.h"

namespace retort::ui {

using Kind = DistillParameter::Kind;

ParameterModel::ParameterModel(DistillParameter::Group group, QObject* parent) : QAbstractTableModel(parent), m_group(group), m_rows(distillParameters(group, {})) {}

// Rows are laid out anew only where other ones come: the mark and the place of the scroll bar stay otherwise.
void ParameterModel::setRecipe(const distill::DistillRecipe& recipe, const std::optional<TeacherShape>& shape) {
  std::vector<DistillParameter> rows = distillParameters(m_group, recipe);
  const bool same = std::equal(rows.begin(), rows.end(), m_rows.begin(), m_rows.end(), [](const DistillParameter& a, const DistillParameter& b) { return a.place == b.place && a.kind == b.kind; });
  if (!same) beginResetModel();
  m_recipe = recipe;
  m_shape = shape;
  m_rows = std::move(rows);
  if (!same) endResetModel();
  else if (rowCount() > 0) emit dataChanged(index(0, 0), index(rowCount() - 1, Count - 1));
}

int ParameterModel::rowOf(const QString& place) const {
  const auto found = std::find_if(m_rows.begin(), m_rows.end(), [&](const DistillParameter& p) { return p.place == place; });
  return found == m_rows.end() ? -1 : static_cast<int>(found - m_rows.begin());
}

bool ParameterModel::isChanged(int row) const { return parameter(row).get(m_recipe) != parameter(row).standard(); }

QString ParameterModel::idleReason(int row) const {
  const DistillParameter& p = parameter(row);
  return p.idle ? p.idle(m_recipe, m_shape ? &*m_shape : nullptr) : QString();
}

QVariant ParameterModel::valueData(int row, int role) const {
  const DistillParameter& p = parameter(row);
  const QVariant value = p.get(m_recipe);
  switch (role) {
    case Qt::DisplayRole:
    case Qt::EditRole: return p.text(value);
    case kUnitRole: return p.isSpecial(value) ? p.zero : p.unit;
    case kSecondRole: return p.range();
    case kMutedRole: return !isChanged(row);
    case Qt::AccessibleTextRole: return QStringLiteral("%1: %2 %3, %4 %5").arg(p.title, p.text(value), p.isSpecial(value) ? p.zero : p.unit, p.range(), idleReason(row));
    default: return {};
  }
}

QVariant ParameterModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const DistillParameter& p = parameter(index.row());
  if (p.kind == Kind::Heading) {
    if (index.column() == Name && role == Qt::DisplayRole) return p.title;
    return role == kSecondRole || role == Qt::ToolTipRole ? QVariant(p.explanation) : QVariant();
  }
  const QString idle = idleReason(index.row());
  if (role == Qt::ToolTipRole) {
    QStringList lines{p.explanation, p.range(), p.place};
    if (!idle.isEmpty()) lines.prepend(idle);
    if (p.kind == Kind::Path && !p.text(p.get(m_recipe)).isEmpty()) lines.prepend(p.text(p.get(m_recipe)));
    if (p.kind == Kind::Path && idle.isEmpty()) lines << tr("F4 looks for it among the files");
    lines.removeAll(QString());
    return lines.join(QLatin1Char('\n'));
  }
  if (role == kIdleRole) return !idle.isEmpty();
  if (index.column() == Value) return valueData(index.row(), role);
  if (role == Qt::DisplayRole) return p.title;
  if (role == kSecondRole) return idle.isEmpty() ? p.explanation : idle;
  return {};
}

bool ParameterModel::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (!index.isValid() || index.column() != Value || role != Qt::EditRole) return false;
  const DistillParameter p = parameter(index.row());   // a copy: what is edited may take rows away
  const std::optional<QVariant> parsed = p.parse(value.toString());
  if (!parsed) {
    emit refused(tr("%1: %2 is not possible; %3").arg(p.title, value.toString(), p.kind == Kind::Whole ? tr("a whole number, %1").arg(p.range()) : p.range()));
    return false;
  }
  if (*parsed == p.get(m_recipe)) return true;
  if (const QString idle = idleReason(index.row()); !idle.isEmpty() && *parsed != p.standard()) {
    emit refused(QStringLiteral("%1: %2").arg(p.title, idle));
    return false;
  }
  distill::DistillRecipe recipe = m_recipe;
  p.set(recipe, *parsed);
  setRecipe(recipe, std::optional(m_shape));
  emit edited(m_recipe);
  return true;
}

Qt::ItemFlags ParameterModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  if (parameter(index.row()).kind == Kind::Heading) return Qt::ItemIsEnabled;
  const Qt::ItemFlags base = Qt::ItemIsEnabled | Qt::ItemIsSelectable;
  const bool editable = index.column() == Value && (isChanged(index.row()) || idleReason(index.row()).isEmpty());
  return editable ? base | Qt::ItemIsEditable : base;
}

}  // namespace retort::ui
