// Numbers as people read them: a few digits, a unit apart from the figure so that it can be drawn muted.
#pragma once

#include <QString>
#include <cstdint>
#include <optional>

#include "core/evaluate/metrics.h"

namespace retort::ui {

// A figure and its unit, joined by text() with a narrow gap.
struct Quantity {
  QString value;
  QString unit;
  QString text() const { return unit.isEmpty() ? value : value + QChar(0x202f) + unit; }
};

Quantity bytesQuantity(std::uint64_t bytes);          // "98.4" "MB" (powers of 1000, as file managers show)
Quantity countQuantity(double count);                 // "134.5" "M"
Quantity secondsQuantity(double seconds);             // "12.3" "ms", "0.72" "s", "1 min 40" "s"
Quantity rateQuantity(double perSecond, const QString& unit);   // "294" "tok/s"
// Paths in a command line or a label: "~/" for the home folder.
QString homeShortened(QString text);
QString significant(double value, int digits);        // no exponent between 1e-4 and 1e7
QString percent(double share, int decimals = 1);      // 0.9923 → "99.2 %"
QString integer(std::int64_t value);                  // "49 152", grouped by thin spaces
// "0.0341 ± 0.0012"; digits follow the interval, so that no digit is shown that the interval does not carry.
QString figureText(const Figure& figure, double scale = 1);

// A number as it is typed, with a point or a comma; nothing where it is none, or infinite.
std::optional<double> typedNumber(const QString& text);

inline QString toQString(std::string_view text) {
  return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size()));
}

}  // namespace retort::ui
