// How the maps of the Model page colour outliers: by the value farthest from a tensor's mean, in standard deviations. About
// 4 is what values spread like a bell have; from 6 on single values stretch the scales of their blocks.
#pragma once

#include <QColor>
#include <QPainter>

#include "ui/services/model_service.h"

namespace retort::ui {

// Below 0: not sampled yet.
QColor outlierColor(double farthest);
void paintOutlierLegend(QPainter& painter, const QRectF& area);
// A line for tool tips; empty while nothing is known.
QString outlierWords(const OutlierMark& mark);

}  // namespace retort::ui
