#include "ui/models/parameter_model.h"

#include "ui/widgets/table.h"

namespace retort::ui {

ParameterModel::ParameterModel(DistillParameter::Group group, QObject* parent) : QAbstractTableModel(parent) {
  for (const DistillParameter& parameter : distillParameters())
    if (parameter.group == group) m_rows.push_back(&parameter);
}

void ParameterModel::setRecipe(const distill::DistillRecipe& recipe) {
  m_recipe = recipe;
  emit dataChanged(index(0, 0), index(rowCount() - 1, Count - 1));
}

bool ParameterModel::isChanged(int row) const { return parameter(row).get(m_recipe) != parameter(row).standard(); }

QVariant ParameterModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const DistillParameter& p = parameter(index.row());
  if (role == Qt::ToolTipRole) return QStringLiteral("%1\n%2\n%3").arg(p.explanation, p.range(), p.place);
  if (index.column() == Name) {
    if (role == Qt::DisplayRole) return p.title;
    if (role == kSecondRole) return p.explanation;
    return {};
  }
  const QVariant value = p.get(m_recipe);
  switch (role) {
    case Qt::DisplayRole:
    case Qt::EditRole: return p.text(value);
    case kUnitRole: return !p.zero.isEmpty() && value.toDouble() == 0 ? p.zero : p.unit;
    case kSecondRole: return p.range();
    case kMutedRole: return !isChanged(index.row());
    case Qt::AccessibleTextRole: return QStringLiteral("%1: %2 %3, %4").arg(p.title, p.text(value), p.unit, p.range());
    default: return {};
  }
}

bool ParameterModel::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (!index.isValid() || index.column() != Value || role != Qt::EditRole) return false;
  const DistillParameter& p = parameter(index.row());
  const std::optional<QVariant> parsed = p.parse(value.toString());
  if (!parsed) {
    emit refused(tr("%1: %2 is not possible; %3").arg(p.title, value.toString(), p.kind == DistillParameter::Kind::Whole ? tr("a whole number, %1").arg(p.range()) : p.range()));
    return false;
  }
  if (*parsed == p.get(m_recipe)) return true;
  p.set(m_recipe, *parsed);
  emit dataChanged(index, index);
  emit edited(m_recipe);
  return true;
}

Qt::ItemFlags ParameterModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  const Qt::ItemFlags base = Qt::ItemIsEnabled | Qt::ItemIsSelectable;
  return index.column() == Value ? base | Qt::ItemIsEditable : base;
}

}  // namespace retort::ui
