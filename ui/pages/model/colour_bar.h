// What the colours of a map mean: a choice above it.
#pragma once

#include <QWidget>

#include "ui/pages/model/layer_map.h"

class QComboBox;

namespace retort::ui {

class ColourBar : public QWidget {
  Q_OBJECT
 public:
  explicit ColourBar(QWidget* parent = nullptr);
  LayerMap::Colouring colouring() const;
  void setColouring(LayerMap::Colouring colouring);

 signals:
  void changed(retort::ui::LayerMap::Colouring colouring);

 private:
  QComboBox* m_choice;
};

}  // namespace retort::ui
