// Tables as the window shows them: calm rows, numbers right-aligned with a muted unit, sparklines, progress, state marks.
// Models say what a cell is through the roles below; they hold no widgets.
#pragma once

#include <QStyledItemDelegate>
#include <QTableView>

namespace retort::ui {

enum CellRole {
  kUnitRole = Qt::UserRole + 10,   // QString: drawn muted after a right-aligned figure
  kSortRole,                       // what sorting compares
  kMutedRole,                      // bool: the whole cell is secondary
  kToneRole,                       // int of Tone
  kProgressRole,                   // double 0…1: a bar under the text
  kHistogramRole,                  // QVariantList of double: a sparkline instead of text
  kSwatchRole,                     // QColor: a small square before the text
  kSecondRole,                     // QString: muted text after the text, in the same line
  kUnitSampleRole,                 // QString: the widest unit of the column, so that figures end at the same place
  kMarkerRole,                     // int: the marker of this series before the text
  kHeatRole,                       // double 0…1: a shade behind the figure
  kIconRole,                       // QString: an icon of the theme at the right end
  kIdleRole,                       // bool: the row can do nothing here
};

class CellDelegate : public QStyledItemDelegate {
  Q_OBJECT
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  bool editorEvent(QEvent* event, QAbstractItemModel* model, const QStyleOptionViewItem& option, const QModelIndex& index) override;
};

// A view with whole-row selection, no grid, sortable where the model is, and Ctrl+C copying the selected rows as
// tab-separated text.
class TableView : public QTableView {
  Q_OBJECT
 public:
  explicit TableView(const QString& name, QWidget* parent = nullptr);
  // Column widths in device-independent pixels; 0 stretches.
  void setWidths(const QList<int>& widths);
  void copySelection() const;

 signals:
  void spacePressed(const QModelIndex& index);
  void deletePressed(const QModelIndex& index);
  void moveWanted(int step);   // Ctrl+Up and Ctrl+Down

 protected:
  void keyPressEvent(QKeyEvent* event) override;
};

}  // namespace retort::ui
