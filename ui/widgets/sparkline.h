// Small bars without axes: a histogram in a table cell or in the inspector.
#pragma once

#include <QPainter>
#include <QWidget>
#include <vector>

#include "ui/theme.h"

namespace retort::ui {

// Bars of `values` over `area`; the largest fills the height. With `logarithmic`, small bins stay visible.
void paintBars(QPainter& painter, const QRectF& area, const std::vector<double>& values, const QColor& ink,
               bool logarithmic = false);

class Sparkline : public QWidget {
  Q_OBJECT
 public:
  explicit Sparkline(const QString& name, QWidget* parent = nullptr);
  // `from` and `to` stand under the two ends.
  void setValues(std::vector<double> values, const QString& from, const QString& to, bool logarithmic = false);
  QSize sizeHint() const override { return {160, 72}; }

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  std::vector<double> m_values;
  QString m_from, m_to;
  bool m_logarithmic = false;
};

}  // namespace retort::ui
