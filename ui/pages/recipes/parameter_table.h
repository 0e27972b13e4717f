// ParameterTable: parameters of a distillation, each with its value in a field, its unit, range and default, and one line
// of explanation, or why it can do nothing. One view paints them all; an editor exists only while one is typed into. Enter
// or a click edits, Space switches flags, Delete gives the default back.
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

 private:
  void paintValue(QPainter* painter, const QStyleOptionViewItem& option, const QRect& below, const QModelIndex& index) const;
};

class ParameterTable : public QTableView {
  Q_OBJECT
 public:
  ParameterTable(const QString& name, DistillParameter::Group group, QWidget* parent = nullptr);
  ParameterModel& parameters() { return *m_model; }
  // Brings the row of a place in the recipe into view, at the top, and marks it, or the one after a heading.
  void showPlace(const QString& place);
  // Asks for a model: a GGUF file, or the folder of the file that was chosen. Empty: none.
  static QString chosenModel(QWidget* parent, const QString& title, const QString& now = {});

 protected:
  void keyPressEvent(QKeyEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;

 private:
  void start(const QModelIndex& index);
  void browse(const QModelIndex& index);
  void layOutRows();
  ParameterModel* m_model;
};

}  // namespace retort::ui
