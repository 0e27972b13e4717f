// The marker shapes of series, for charts that paint themselves and for keys in tables.
#pragma once

#include <QPainterPath>

#include "ui/theme.h"

namespace retort::ui {

// Centred on the origin, `size` across.
QPainterPath markerPath(Marker marker, double size);

}  // namespace retort::ui
