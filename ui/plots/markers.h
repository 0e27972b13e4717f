// The marker shapes of series, for charts that paint themselves and for keys in tables.
#pragma once

#include <QPainter>
#include <QPainterPath>

#include "ui/theme.h"

namespace retort::ui {

// Centred on the origin, `size` across.
QPainterPath markerPath(Marker marker, double size);

// The marker of a series at a place. After the eighth the shapes come again, hollow.
void paintMarker(QPainter& painter, int series, double size, const QPointF& at, const QColor& hue, const QPen& edge);
inline bool isHollow(int series) { return series / kSeriesCount % 2 == 1; }

}  // namespace retort::ui
