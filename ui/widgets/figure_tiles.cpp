#include "ui/widgets/figure_tiles.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

namespace retort::ui {

FigureTiles::FigureTiles(QWidget* parent) : QWidget(parent) {
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void FigureTiles::setTiles(std::vector<FigureTile> tiles) {
  m_tiles = std::move(tiles);
  QStringList said;
  for (const FigureTile& tile : m_tiles) said << QStringLiteral("%1: %2 %3").arg(tile.title, tile.figure.text(), tile.note);
  setAccessibleName(said.join(QStringLiteral("; ")));
  update();
}

QSize FigureTiles::sizeHint() const {
  const QFontMetrics small(Theme::instance().font(Theme::Size::Small)), body(Theme::instance().font());
  return {400, 2 * small.height() + body.height() + 2};
}
QSize FigureTiles::minimumSizeHint() const { return {240, sizeHint().height()}; }

std::vector<double> FigureTiles::edges() const {
  const QFontMetrics small(Theme::instance().font(Theme::Size::Small)), strong(Theme::instance().font(Theme::Size::Body, true));
  std::vector<double> wanted;
  double sum = 0;
  for (const FigureTile& tile : m_tiles) {
    const int figure = strong.horizontalAdvance(tile.figure.value) + kGapSmall + small.horizontalAdvance(tile.figure.unit);
    wanted.push_back(std::max({figure, small.horizontalAdvance(tile.title), small.horizontalAdvance(tile.note)}) + kGap);
    sum += wanted.back();
  }
  const double room = width(), share = (room - sum) / static_cast<double>(m_tiles.size());
  std::vector<double> out{0};
  for (const double one : wanted) out.push_back(out.back() + (share >= 0 ? one + share : one * room / sum));
  return out;
}

void FigureTiles::paintEvent(QPaintEvent*) {
  static constexpr Role kInks[] = {Role::Text, Role::Muted, Role::Good, Role::Warn, Role::Bad};
  if (m_tiles.empty()) return;
  QPainter painter(this);
  const Theme& theme = Theme::instance();
  const QFont small = theme.font(Theme::Size::Small), strong = theme.font(Theme::Size::Body, true);
  const QFontMetrics smallMetrics(small), strongMetrics(strong);
  const std::vector<double> edge = edges();
  for (std::size_t i = 0; i < m_tiles.size(); ++i) {
    const FigureTile& tile = m_tiles[i];
    const double left = edge[i];
    const int room = static_cast<int>(std::ceil(edge[i + 1] - left)) - kGap;
    const auto line = [&](double y, const QFont& font, const QFontMetrics& metrics, Role role, const QString& text) {
      painter.setFont(font);
      painter.setPen(color(role));
      painter.drawText(QPointF(left, y + metrics.ascent()), metrics.elidedText(text, Qt::ElideRight, room));
    };
    line(0, small, smallMetrics, Role::Muted, tile.title);
    const double y = smallMetrics.height();
    line(y, strong, strongMetrics, kInks[static_cast<std::size_t>(tile.tone)], tile.figure.value);
    painter.setFont(small);
    painter.setPen(color(Role::Muted));
    painter.drawText(QPointF(left + strongMetrics.horizontalAdvance(tile.figure.value) + kGapSmall, y + strongMetrics.ascent()), tile.figure.unit);
    line(y + strongMetrics.height(), small, smallMetrics, Role::Muted, tile.note);
  }
}

bool FigureTiles::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip || m_tiles.empty()) return QWidget::event(event);
  auto* help = static_cast<QHelpEvent*>(event);
  const std::vector<double> edge = edges();
  const auto i = static_cast<std::size_t>(std::upper_bound(edge.begin() + 1, edge.end(), help->pos().x()) - edge.begin() - 1);
  if (i < m_tiles.size() && !m_tiles[i].hover.isEmpty()) QToolTip::showText(help->globalPos(), m_tiles[i].hover, this);
  else QToolTip::hideText();
  return true;
}

}  // namespace retort::ui
