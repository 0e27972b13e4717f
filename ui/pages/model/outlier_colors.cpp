#include "ui/pages/model/outlier_colors.h"

#include <QCoreApplication>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr double kCalm = 4, kStrong = 64;   // deviations at the two ends of the scale

QString words(const char* text) { return QCoreApplication::translate("OutlierColors", text); }

QColor at(double part) {
  const QColor calm = Theme::mix(color(Role::Surface), color(Role::Text), 0.16), middle = Theme::instance().series(1), strong = color(Role::Bad);
  return part < 0.5 ? Theme::mix(calm, middle, 2 * part) : Theme::mix(middle, strong, 2 * part - 1);
}

}  // namespace

QColor outlierColor(double farthest) {
  if (farthest < 0) return Theme::mix(color(Role::Surface), color(Role::Text), 0.05);
  return at(std::clamp(std::log(std::max(farthest, 1.0) / kCalm) / std::log(kStrong / kCalm), 0.0, 1.0));
}

void paintOutlierLegend(QPainter& painter, const QRectF& area) {
  const QFont font = Theme::instance().font(Theme::Size::Small);
  const QFontMetrics metrics(font);
  painter.setFont(font);
  const QString before = words("farthest value, in deviations:");
  double x = area.left();
  const auto text = [&](const QString& shown) {
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(x, area.top(), metrics.horizontalAdvance(shown) + 2, area.height()), Qt::AlignLeft | Qt::AlignVCenter, shown);
    x += metrics.horizontalAdvance(shown) + kGap;
  };
  text(before);
  for (const double mark : {4.0, 8.0, 16.0, 32.0, 64.0}) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(outlierColor(mark));
    painter.drawRoundedRect(QRectF(x, area.center().y() - 5, 10, 10), 2, 2);
    x += 15;
    text(QString::number(mark));
  }
  const QString note = words("area = bytes · from a sample of each tensor");
  painter.setPen(color(Role::Faint));
  if (x + metrics.horizontalAdvance(note) < area.right())
    painter.drawText(area, Qt::AlignRight | Qt::AlignVCenter, note);
}

QString outlierWords(const OutlierMark& mark) {
  if (mark.farthest < 0) return {};
  return words("\nfarthest value %1 deviations from the mean, %2 beyond 6 (sample)")
      .arg(significant(static_cast<double>(mark.farthest), 3), percent(static_cast<double>(mark.share), 3));
}

}  // namespace retort::ui
