#include "ui/widgets/line_text.h"

#include <QFontMetricsF>
#include <QHash>
#include <QStaticText>
#include <cmath>

namespace retort::ui {
namespace {

// More strings than a window shows; then all are forgotten.
constexpr qsizetype kMost = 4000;

struct Shaped {
  QStaticText text;
  double width = 0, height = 0;
};

struct Key {
  QFont font;
  QString text;
  bool operator==(const Key&) const = default;
};
size_t qHash(const Key& key, size_t seed) { return qHashMulti(seed, key.text, key.font.pointSizeF(), key.font.pixelSize(), key.font.weight()); }

const Shaped& shaped(const QFont& font, const QString& text) {
  static QHash<Key, Shaped> kept;
  const Key key{font, text};
  if (const auto found = kept.constFind(key); found != kept.constEnd()) return *found;
  if (kept.size() >= kMost) kept.clear();
  Shaped fresh;
  fresh.text.setTextFormat(Qt::PlainText);
  fresh.text.setPerformanceHint(QStaticText::AggressiveCaching);
  fresh.text.setText(text);
  fresh.text.prepare(QTransform(), font);
  const QFontMetricsF metrics(font);
  fresh.width = metrics.horizontalAdvance(text);
  fresh.height = metrics.height();
  return *kept.insert(key, fresh);
}

}  // namespace

double lineWidth(const QFont& font, const QString& text) { return text.isEmpty() ? 0 : shaped(font, text).width; }

void drawLine(QPainter& painter, const QFont& font, const QRectF& area, Qt::Alignment alignment, const QString& text, Qt::TextElideMode elide) {
  if (text.isEmpty() || area.width() < 1) return;
  const Shaped* line = &shaped(font, text);
  QString cut;
  if (line->width > area.width() + 0.5 && elide != Qt::ElideNone) {
    cut = QFontMetricsF(font).elidedText(text, elide, area.width());
    if (cut.isEmpty()) return;
    line = &shaped(font, cut);
  }
  double x = area.left(), y = area.top();
  if (alignment & Qt::AlignRight) x = area.right() - line->width;
  else if (alignment & Qt::AlignHCenter) x = area.center().x() - line->width / 2;
  if (alignment & Qt::AlignVCenter) y += (area.height() - line->height) / 2;
  else if (alignment & Qt::AlignBottom) y = area.bottom() - line->height;
  painter.setFont(font);
  painter.drawStaticText(QPointF(std::round(x), std::round(y)), line->text);
}

}  // namespace retort::ui
