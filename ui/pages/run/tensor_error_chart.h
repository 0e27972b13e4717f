// The relative error of every tensor of one candidate, in the order of the model, as it is quantized: bars whose height
// is the error, coloured by the type that the tensor got. Arrows walk it; choosing a bar chooses the tensor everywhere.
#pragma once

#include <QWidget>
#include <vector>

#include "ui/services/selection.h"

namespace retort::ui {

struct TensorError {
  QString name, type;
  double error = 0;
  double bits = 0;
};

class TensorErrorChart : public QWidget {
  Q_OBJECT
 public:
  explicit TensorErrorChart(Selection& selection, QWidget* parent = nullptr);
  void setErrors(std::vector<TensorError> errors, int expected);
  QSize sizeHint() const override { return {400, 150}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;

 private:
  QRectF plot() const;
  int barAt(const QPointF& position) const;
  void choose(int bar);

  Selection& m_selection;
  std::vector<TensorError> m_errors;
  int m_expected = 0;      // tensors that the candidate will have
  double m_top = 0.01;     // of the axis
};

}  // namespace retort::ui
