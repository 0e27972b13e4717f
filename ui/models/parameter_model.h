// ParameterModel: one group of a distillation's parameters as rows: what it is on the left, its value on the right;
// headings over both. Rows that can do nothing say why in place of their explanation, and only give their default back.
#pragma once

#include <QAbstractTableModel>
#include <optional>
#include <vector>

#include "ui/models/distill_parameters.h"
#include "ui/models/student_shape.h"

namespace retort::ui {

class ParameterModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Column { Name, Value, Count };
  ParameterModel(DistillParameter::Group group, QObject* parent = nullptr);
  // `shape`: of the model that the student is made of; without it nothing is held against a row but the recipe.
  void setRecipe(const distill::DistillRecipe& recipe, const std::optional<TeacherShape>& shape = std::nullopt);
  const distill::DistillRecipe& recipe() const { return m_recipe; }
  const DistillParameter& parameter(int row) const { return m_rows[static_cast<std::size_t>(row)]; }
  // The row of a place in the recipe; -1: none.
  int rowOf(const QString& place) const;
  // Whether the value differs from the default.
  bool isChanged(int row) const;
  // Why the row can do nothing; empty: it can.
  QString idleReason(int row) const;

  int rowCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : static_cast<int>(m_rows.size()); }
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  // Takes the text that was typed; false when it is outside the range or the row can do nothing, and refused() says why.
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;

 signals:
  void edited(const retort::distill::DistillRecipe& recipe);
  void refused(const QString& why);

 private:
  QVariant valueData(int row, int role) const;

  DistillParameter::Group m_group;
  std::vector<DistillParameter> m_rows;
  distill::DistillRecipe m_recipe;
  std::optional<TeacherShape> m_shape;
};

}  // namespace retort::ui
