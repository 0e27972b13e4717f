// One line of text, drawn often: what shaping it gave is kept, since a repaint of the window shapes the same few hundred
// strings again and again, and that is most of what it costs. Window thread only.
#pragma once

#include <QFont>
#include <QPainter>
#include <QRectF>
#include <QString>

namespace retort::ui {

double lineWidth(const QFont& font, const QString& text);
// With the painter's pen; what does not fit is cut at `elide`.
void drawLine(QPainter& painter, const QFont& font, const QRectF& area, Qt::Alignment alignment, const QString& text,
              Qt::TextElideMode elide = Qt::ElideRight);

}  // namespace retort::ui
