// FigureTiles: a few figures side by side in one painted widget: what it is, the figure with its unit, a muted note.
#pragma once

#include <QWidget>
#include <vector>

#include "ui/format.h"
#include "ui/widgets/basics.h"

namespace retort::ui {

struct FigureTile {
  QString title;
  Quantity figure;
  QString note;              // "of 22.7 M"
  QString hover;
  Tone tone = Tone::Normal;
};

class FigureTiles : public QWidget {
  Q_OBJECT
 public:
  explicit FigureTiles(QWidget* parent = nullptr);
  void setTiles(std::vector<FigureTile> tiles);
  const std::vector<FigureTile>& tiles() const { return m_tiles; }
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;

 private:
  // Where each tile begins, and where the last one ends: as wide as its texts, what is left over shared alike.
  std::vector<double> edges() const;
  std::vector<FigureTile> m_tiles;
};

}  // namespace retort::ui
