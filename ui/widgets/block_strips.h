// BlockStrips: rows of blocks, each a part of a model that can be taken away: single blocks (layers), or as many from the
// end as one likes (heads, width, pieces). Clicks and keys do the same: arrows walk, Space takes a block away or gives it
// back, + and − change a row by one.
#pragma once

#include <QWidget>
#include <vector>

namespace retort::ui {

struct BlockRow {
  QString name;                 // "Layers"
  QString figure;               // at the end: "3 of 6"
  QString hover;
  std::vector<bool> kept;       // by block
  std::vector<QString> labels;  // by block; empty: none
  bool single = false;          // blocks go one by one; else all after the one that is clicked
  bool vague = false;           // which ones is known only once it runs: drawn hatched
  QString problem;              // why it cannot be changed; the row is greyed
};

class BlockStrips : public QWidget {
  Q_OBJECT
 public:
  explicit BlockStrips(const QString& name, QWidget* parent = nullptr);
  void setRows(std::vector<BlockRow> rows);
  const std::vector<BlockRow>& rows() const { return m_rows; }
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 signals:
  void toggled(int row, int block);          // a row of single blocks
  void countWanted(int row, int kept);       // any row: so many stay

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  bool event(QEvent* event) override;

 private:
  QRectF cell(int row, int block) const;
  QRectF lane(int row) const;
  void paintRow(class QPainter& painter, int row) const;
  void paintBlock(class QPainter& painter, int row, int block) const;
  void act(int row, int block);
  int keptOf(int row) const;
  void describe();

  std::vector<BlockRow> m_rows;
  int m_row = 0, m_block = 0;   // where the keyboard stands
};

}  // namespace retort::ui
