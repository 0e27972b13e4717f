#include "ui/plots/markers.h"

#include <QPolygonF>
#include <QTransform>
#include <cmath>
#include <numbers>

namespace retort::ui {
namespace {

QPainterPath polygon(int corners, double radius, double inner, double turn) {
  QPolygonF points;
  for (int i = 0; i < corners; ++i) {
    const double angle = turn + 2 * std::numbers::pi * i / corners;
    const double r = i % 2 && inner > 0 ? inner : radius;
    points << QPointF(r * std::sin(angle), -r * std::cos(angle));
  }
  QPainterPath path;
  path.addPolygon(points);
  path.closeSubpath();
  return path;
}

QPainterPath plus(double size) {
  const double h = size / 2, w = size / 6;
  QPainterPath path;
  path.setFillRule(Qt::WindingFill);
  path.addRect(-w, -h, 2 * w, 2 * h);
  path.addRect(-h, -w, 2 * h, 2 * w);
  return path.simplified();
}

}  // namespace

QPainterPath markerPath(Marker marker, double size) {
  const double half = size / 2;
  QPainterPath path;
  switch (marker) {
    case Marker::Circle: path.addEllipse(QPointF(), half, half); return path;
    case Marker::Square: path.addRect(-half * 0.88, -half * 0.88, size * 0.88, size * 0.88); return path;
    case Marker::Diamond: return polygon(4, half * 1.2, 0, 0);
    case Marker::TriangleUp: return polygon(3, half * 1.2, 0, 0);
    case Marker::TriangleDown: return polygon(3, half * 1.2, 0, std::numbers::pi);
    case Marker::Plus: return plus(size * 1.1);
    case Marker::Cross: return QTransform().rotate(45).map(plus(size * 1.1));
    case Marker::Star: return polygon(10, half * 1.3, half * 0.55, 0);
  }
  return path;
}

void paintMarker(QPainter& painter, int series, double size, const QPointF& at, const QColor& hue, const QPen& edge) {
  painter.setPen(isHollow(series) ? QPen(hue, std::max(1.5, size / 6)) : edge);
  painter.setBrush(isHollow(series) ? color(Role::Surface) : hue);
  painter.drawPath(markerPath(Theme::marker(series), isHollow(series) ? size - 1 : size).translated(at));
}

}  // namespace retort::ui
