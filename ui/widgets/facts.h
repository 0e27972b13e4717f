// FactGrid: what on the left, the figure with its unit muted on the right. One widget paints all rows, so that filling
// it costs the window no more than its text: an inspector is filled ten times a second while a run reports.
#pragma once

#include <QWidget>
#include <vector>

#include "ui/format.h"
#include "ui/widgets/basics.h"

namespace retort::ui {

class FactGrid : public QWidget {
  Q_OBJECT
 public:
  enum class Values { Right, BesideNames };
  explicit FactGrid(QWidget* parent = nullptr, Values values = Values::Right);
  void clear();
  void add(const QString& what, const QString& value, const QString& hover = {}, Tone tone = Tone::Normal);
  void add(const QString& what, const Quantity& value, const QString& hover = {}, Tone tone = Tone::Normal);
  bool isEmpty() const { return m_rows.empty(); }
  int count() const { return static_cast<int>(m_rows.size()); }
  // The value shown for `what`, with its unit; empty when there is no such row.
  QString valueOf(const QString& what) const;
  // All rows, tab-separated: for the clipboard and for screen readers.
  QString text() const;

  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;
  bool hasHeightForWidth() const override { return true; }
  int heightForWidth(int width) const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;

 private:
  struct Row {
    QString what, value, unit, hover;
    Tone tone = Tone::Normal;
  };
  struct Place {
    QRect name, value;
  };
  const std::vector<Place>& layOut(int width) const;
  std::vector<Place> computePlaces(int width) const;
  void changed();
  int rowAt(const QPoint& position) const;

  std::vector<Row> m_rows;
  Values m_values;
  // Layouts ask for the same width many times over.
  mutable std::vector<Place> m_places;
  mutable int m_placesWidth = -1;
};

}  // namespace retort::ui
