// ParameterTable: parameters of a distillation, each with its value in a field, its unit, range and default, and one line
// of explanation. One view paints them all; an editor exists only while one is typed into. Enter or a click edits, Space
// switches flags, Delete gives the default back.
#pragma once

#include <QStyledItemDelegate>
#include <QTableView>

#include "ui/models/parameter_model.h"

namespace retort::ui {

class ParameterDelegate : public QStyledItemDelegate {
  Q_OBJECT
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  QWidget* createEditor(QWidget* parent, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  void setEditorData(QWidget* editor, const QModelIndex& index) const override;
  void setModelData(QWidget* editor, QAbstractItemModel* model, const QModelIndex& index) const override;
  void updateEditorGeometry(QWidget* editor, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  // Where the value stands in its cell.
  static QRect field(const QRect& cell);
};

class ParameterTable : public QTableView {
  Q_OBJECT
 public:
  ParameterTable(const QString& name, DistillParameter::Group group, QWidget* parent = nullptr);
  ParameterModel& parameters() { return *m_model; }

 protected:
  void keyPressEvent(QKeyEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;

 private:
  void start(const QModelIndex& index);
  void browse(const QModelIndex& index);
  ParameterModel* m_model;
};

}  // namespace retort::ui
