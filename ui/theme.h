// Theme: every colour, font, distance and icon of the window, by role. Light and dark follow the system palette at
// once; nothing else in `ui` names a colour. Window thread only.
#pragma once

#include <QColor>
#include <QFont>
#include <QIcon>
#include <QObject>
#include <QPalette>

namespace retort::ui {

// Distances in device-independent pixels: the only three.
inline constexpr int kGapSmall = 4;
inline constexpr int kGap = 8;
inline constexpr int kGapLarge = 16;
inline constexpr int kRadius = 6;
inline constexpr int kRowHeight = 28;

enum class Role {
  Window,      // behind everything
  Surface,     // pages, tables, charts
  Raised,      // headers, cards on a surface, popups
  Line,        // hairlines between things
  LineStrong,  // borders of things that can be changed
  Text,
  Muted,       // units, labels, help; still at least 4.5:1 on Surface
  Faint,       // disabled text, grid lines of charts
  Accent,      // selection, focus, the one button that goes on
  OnAccent,    // text on Accent
  AccentSoft,  // background of what is selected
  Hover,
  Good,
  Warn,
  Bad,
  GoodSoft,
  WarnSoft,
  BadSoft,
};

// Series are told apart without colour too: each has a marker and a line style of its own.
enum class Marker { Circle, Square, Diamond, TriangleUp, TriangleDown, Cross, Plus, Star };
inline constexpr int kSeriesCount = 8;

class Theme : public QObject {
  Q_OBJECT
 public:
  enum class Mode { System, Light, Dark };
  enum class Size { Body, Small };

  static Theme& instance();

  void setMode(Mode mode);
  Mode mode() const { return m_mode; }
  bool isDark() const { return m_dark; }

  QColor color(Role role) const { return m_colors[static_cast<std::size_t>(role)]; }
  // Okabe–Ito, adjusted for light and dark surfaces; `index` is taken modulo 8.
  QColor series(int index) const;
  static Marker marker(int index);
  static Qt::PenStyle lineStyle(int index);
  // Colour of a tensor type or format by its bits per weight: the map, the strips and the type labels agree.
  QColor bitsColor(double bitsPerWeight) const;
  // A colour between two, `part` 0…1 of the way from `a` to `b`.
  static QColor mix(const QColor& a, const QColor& b, double part);

  // The system's sans; digits of equal width (another sans is taken where the system's are not).
  QFont font(Size size = Size::Body, bool emphasis = false) const;
  QFont monospace(Size size = Size::Body) const;

  // A line icon of resources/icons, tinted by role; also disabled and selected states.
  QIcon icon(const QString& name, Role role = Role::Text) const;
  QPixmap pixmap(const QString& name, const QColor& color, int size, qreal ratio) const;

  QPalette palette() const;
  // For the main window; children, menus and popups of it inherit.
  QString styleSheet() const;

 signals:
  // Repaint with the new roles. Palettes and style sheet of the main window are already set.
  void changed();

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  Theme();
  void rebuild();

  Mode m_mode = Mode::System;
  bool m_dark = false;
  QColor m_colors[static_cast<std::size_t>(Role::BadSoft) + 1];
  QFont m_body;
};

inline QColor color(Role role) { return Theme::instance().color(role); }

}  // namespace retort::ui
