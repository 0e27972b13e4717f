// ParameterModel: one group of a distillation's parameters as rows: what it is on the left, its value on the right.
#pragma once

#include <QAbstractTableModel>
#include <vector>

#include "ui/models/distill_parameters.h"

namespace retort::ui {

class ParameterModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Column { Name, Value, Count };
  ParameterModel(DistillParameter::Group group, QObject* parent = nullptr);
  void setRecipe(const distill::DistillRecipe& recipe);
  const distill::DistillRecipe& recipe() const { return m_recipe; }
  const DistillParameter& parameter(int row) const { return *m_rows[static_cast<std::size_t>(row)]; }
  // Whether the value differs from the default.
  bool isChanged(int row) const;

  int rowCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : static_cast<int>(m_rows.size()); }
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  // Takes the text that was typed; false when it is outside the range, and problem() says why.
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;

 signals:
  void edited(const retort::distill::DistillRecipe& recipe);
  void refused(const QString& why);

 private:
  std::vector<const DistillParameter*> m_rows;
  distill::DistillRecipe m_recipe;
};

}  // namespace retort::ui
