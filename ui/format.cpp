#include "ui/format.h"

#include <QDir>
#include <QLocale>
#include <algorithm>
#include <cmath>

namespace retort::ui {
namespace {

constexpr QChar kThinSpace(0x202f);   // narrow, and no line may break at it

Quantity scaled(double value, const QStringList& units, double step) {
  qsizetype unit = 0;
  while (unit + 1 < units.size() && std::abs(value) >= step * 0.9995) {
    value /= step;
    ++unit;
  }
  const int decimals = unit == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return {QString::number(value, 'f', decimals), units[unit]};
}

}  // namespace

Quantity bytesQuantity(std::uint64_t bytes) {
  static const QStringList units{QStringLiteral("B"), QStringLiteral("kB"), QStringLiteral("MB"), QStringLiteral("GB"),
                                 QStringLiteral("TB")};
  return scaled(static_cast<double>(bytes), units, 1000);
}

Quantity countQuantity(double count) {
  static const QStringList units{QString(), QStringLiteral("k"), QStringLiteral("M"), QStringLiteral("B")};
  return scaled(count, units, 1000);
}

Quantity secondsQuantity(double seconds) {
  if (seconds < 0 || !std::isfinite(seconds)) return {QStringLiteral("–"), {}};
  if (seconds < 0.9995) return {QString::number(seconds * 1000, 'f', seconds < 0.00995 ? 2 : seconds < 0.0995 ? 1 : 0), QStringLiteral("ms")};
  if (seconds < 9.95) return {QString::number(seconds, 'f', 1), QStringLiteral("s")};
  const auto whole = static_cast<qint64>(std::llround(seconds));
  if (whole < 60) return {QString::number(whole), QStringLiteral("s")};
  if (whole < 3600) return {QStringLiteral("%1 min %2").arg(whole / 60).arg(whole % 60, 2, 10, QLatin1Char('0')), QStringLiteral("s")};
  return {QStringLiteral("%1 h %2").arg(whole / 3600).arg(whole % 3600 / 60, 2, 10, QLatin1Char('0')), QStringLiteral("min")};
}

Quantity rateQuantity(double perSecond, const QString& unit) {
  const QString text = unit + QStringLiteral("/s");
  if (!(perSecond > 0) || !std::isfinite(perSecond)) return {QStringLiteral("–"), text};
  return {significant(perSecond, 3), text};
}

QString homeShortened(QString text) {
  static const QString kHome = QDir::homePath() + QLatin1Char('/');
  if (kHome.size() < 3) return text;
  if (text.startsWith(kHome)) text.replace(0, kHome.size(), QStringLiteral("~/"));
  return text.replace(QLatin1Char(' ') + kHome, QStringLiteral(" ~/"));
}

QString significant(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return value == 0 ? QStringLiteral("0") : QStringLiteral("–");
  const double magnitude = std::abs(value);
  if (magnitude < 1e-4 || magnitude >= 1e7) return QString::number(value, 'g', digits);
  const int exponent = static_cast<int>(std::floor(std::log10(magnitude)));
  const double unit = std::pow(10.0, exponent - digits + 1);
  return QString::number(exponent - digits + 1 > 0 ? std::round(value / unit) * unit : value, 'f', std::max(0, digits - 1 - exponent));
}

std::optional<double> typedNumber(const QString& text) {
  bool ok = false;
  const double value = QLocale::c().toDouble(text.trimmed().replace(QLatin1Char(','), QLatin1Char('.')), &ok);
  return ok && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

QString percent(double share, int decimals) {
  return QString::number(share * 100, 'f', decimals) + kThinSpace + QLatin1Char('%');
}

QString integer(std::int64_t value) {
  QString digits = QString::number(value < 0 ? -value : value);
  for (qsizetype at = digits.size() - 3; at > 0; at -= 3) digits.insert(at, kThinSpace);
  return value < 0 ? QChar(0x2212) + digits : digits;
}

QString figureText(const Figure& figure, double scale) {
  const double half = std::abs(figure.high - figure.low) / 2 * scale;
  const double value = figure.value * scale;
  if (!(half > 0)) return significant(value, 4);
  if (std::max(std::abs(value), half) < 1e-4) return QStringLiteral("%1 ± %2").arg(significant(value, 2), significant(half, 1));
  const int decimals = std::clamp(1 - static_cast<int>(std::floor(std::log10(half))), 0, 6);
  return QStringLiteral("%1 ± %2").arg(value, 0, 'f', decimals).arg(half, 0, 'f', decimals);
}

}  // namespace retort::ui
