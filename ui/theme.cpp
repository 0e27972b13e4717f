#include "ui/theme.h"

#include <QApplication>
#include <QEvent>
#include <QFile>
#include <QFontDatabase>
#include <QFontMetricsF>
#include <QPainter>
#include <QPixmapCache>
#include <QSvgRenderer>
#include <algorithm>
#include <cmath>

// A static library's resources are only there once asked for, and the macro wants the global namespace.
static void loadResources() { Q_INIT_RESOURCE(resources); }

namespace retort::ui {
namespace {

struct Neutrals {
  QRgb window, surface, raised, line, lineStrong, text, muted, faint, hover, good, warn, bad;
};
constexpr Neutrals kLight{0xfff1f3f5, 0xffffffff, 0xfff8f9fb, 0xffe1e5ea, 0xffc3cad3, 0xff1b2129, 0xff5c6775,
                          0xffa6afba, 0xffeef1f4, 0xff18794e, 0xff8f5e00, 0xffbf3026};
constexpr Neutrals kDark{0xff12151a, 0xff1a1e24, 0xff21262e, 0xff2d343d, 0xff46505c, 0xffe4e8ed, 0xff98a3b0,
                         0xff5b6672, 0xff262c34, 0xff52c08d, 0xffe0ac48, 0xfff27d70};

double luminance(const QColor& color) {
  const auto channel = [](double v) { return v <= 0.03928 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
  return 0.2126 * channel(color.redF()) + 0.7152 * channel(color.greenF()) + 0.0722 * channel(color.blueF());
}

double contrast(const QColor& a, const QColor& b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

// The system's highlight in its own hue, moved until text of it reads on `back` (WCAG AA, 4.5:1).
QColor readable_accent(QColor wish, const QColor& back, bool dark) {
  if (wish.hslSaturationF() < 0.15f) wish = QColor(0x1f, 0x6f, 0xc4);
  const QColor target = dark ? Qt::white : Qt::black;
  QColor accent = wish;
  for (int step = 0; step < 20 && contrast(accent, back) < 4.6; ++step) accent = Theme::mix(accent, target, 0.08);
  return accent;
}

bool digits_are_tabular(const QFont& font) {
  const QFontMetricsF metrics(font);
  const double width = metrics.horizontalAdvance('0');
  for (char16_t digit = u'1'; digit <= u'9'; ++digit)
    if (std::abs(metrics.horizontalAdvance(QChar(digit)) - width) > 0.01) return false;
  return true;
}

}  // namespace

Theme& Theme::instance() {
  // Owned by the application, so that it goes before the platform does.
  static QPointer<Theme> theme;
  if (!theme) {
    theme = new Theme;
    theme->setParent(qApp);
  }
  return *theme;
}

Theme::Theme() {
  loadResources();
  m_body = QApplication::font();
  if (m_body.pointSizeF() > 0) m_body.setPointSizeF(std::clamp(m_body.pointSizeF(), 9.0, 14.0));
  if (!digits_are_tabular(m_body)) {
    for (const char* family : {"Noto Sans", "DejaVu Sans", "Liberation Sans"}) {
      QFont candidate(m_body);
      candidate.setFamily(QString::fromLatin1(family));
      if (QFontInfo(candidate).family() == QLatin1String(family) && digits_are_tabular(candidate)) {
        m_body = candidate;
        break;
      }
    }
  }
  qApp->installEventFilter(this);
  rebuild();
}

void Theme::setMode(Mode mode) {
  if (m_mode == mode) return;
  m_mode = mode;
  rebuild();
  emit changed();
}

bool Theme::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::ApplicationPaletteChange && watched == qApp) {
    rebuild();
    emit changed();
  }
  return QObject::eventFilter(watched, event);
}

QColor Theme::mix(const QColor& a, const QColor& b, double part) {
  const auto between = [part](float x, float y) { return static_cast<float>(x + (y - x) * part); };
  return QColor::fromRgbF(between(a.redF(), b.redF()), between(a.greenF(), b.greenF()), between(a.blueF(), b.blueF()));
}

void Theme::rebuild() {
  const QPalette system = QApplication::palette();
  m_dark = m_mode == Mode::Dark ||
           (m_mode == Mode::System && luminance(system.color(QPalette::Window)) < luminance(system.color(QPalette::WindowText)));
  const Neutrals& n = m_dark ? kDark : kLight;
  const auto set = [this](Role role, const QColor& value) { m_colors[static_cast<std::size_t>(role)] = value; };
  const QColor surface(n.surface);
  // The background that is nearest to ink: raised parts in dark, the window in light.
  const QColor accent = readable_accent(system.color(QPalette::Highlight), QColor(m_dark ? n.raised : n.window), m_dark);
  set(Role::Window, QColor(n.window));
  set(Role::Surface, surface);
  set(Role::Raised, QColor(n.raised));
  set(Role::Line, QColor(n.line));
  set(Role::LineStrong, QColor(n.lineStrong));
  set(Role::Text, QColor(n.text));
  set(Role::Muted, QColor(n.muted));
  set(Role::Faint, QColor(n.faint));
  set(Role::Hover, QColor(n.hover));
  set(Role::Accent, accent);
  set(Role::OnAccent, contrast(Qt::white, accent) >= 4.5 ? QColor(Qt::white) : QColor(n.window));
  set(Role::AccentSoft, mix(surface, accent, m_dark ? 0.24 : 0.13));
  set(Role::Good, QColor(n.good));
  set(Role::Warn, QColor(n.warn));
  set(Role::Bad, QColor(n.bad));
  set(Role::GoodSoft, mix(surface, QColor(n.good), m_dark ? 0.18 : 0.10));
  set(Role::WarnSoft, mix(surface, QColor(n.warn), m_dark ? 0.18 : 0.10));
  set(Role::BadSoft, mix(surface, QColor(n.bad), m_dark ? 0.18 : 0.10));
}

QColor Theme::series(int index) const {
  // Okabe & Ito 2008, "Color universal design". Yellow is darkened on white; black becomes light on dark.
  static constexpr QRgb kOnLight[kSeriesCount] = {0xff0072b2, 0xffd98a00, 0xff009e73, 0xffcc79a7,
                                                  0xff3f9fd8, 0xffd55e00, 0xffb5a800, 0xff4a5058};
  static constexpr QRgb kOnDark[kSeriesCount] = {0xff3a9ad9, 0xffe69f00, 0xff1fb98c, 0xffd98fb8,
                                                 0xff7cc8f2, 0xffe9772b, 0xfff0e442, 0xffb9c0c8};
  const int i = ((index % kSeriesCount) + kSeriesCount) % kSeriesCount;
  return QColor((m_dark ? kOnDark : kOnLight)[i]);
}

Marker Theme::marker(int index) {
  return static_cast<Marker>(((index % kSeriesCount) + kSeriesCount) % kSeriesCount);
}

Qt::PenStyle Theme::lineStyle(int index) {
  static constexpr Qt::PenStyle kStyles[] = {Qt::SolidLine, Qt::DashLine, Qt::DotLine, Qt::DashDotLine};
  return kStyles[(index % 4 + 4) % 4];
}

QColor Theme::bitsColor(double bits) const {
  // One hue run from few bits (warm) to many (cool), readable in order also as grey: fewer bits are darker on light.
  struct Stop {
    double bits;
    QRgb light, dark;
  };
  static constexpr Stop kStops[] = {{2.0, 0xff9c3c12, 0xffd0642e}, {3.4, 0xffc96a1a, 0xffe08a3c},
                                    {4.5, 0xffd9a437, 0xffdcb45a}, {5.5, 0xff8fb35a, 0xff9fbe6c},
                                    {6.6, 0xff4ba58a, 0xff58b49a}, {8.5, 0xff4f9ac4, 0xff5ba7d2},
                                    {16.0, 0xff9aa9bd, 0xff8494aa}, {32.0, 0xffc3ccd6, 0xff66727f}};
  const auto at = [this](const Stop& stop) { return QColor(m_dark ? stop.dark : stop.light); };
  if (bits <= kStops[0].bits) return at(kStops[0]);
  for (std::size_t i = 1; i < std::size(kStops); ++i)
    if (bits <= kStops[i].bits)
      return mix(at(kStops[i - 1]), at(kStops[i]), (bits - kStops[i - 1].bits) / (kStops[i].bits - kStops[i - 1].bits));
  return at(kStops[std::size(kStops) - 1]);
}

QFont Theme::font(Size size, bool emphasis) const {
  QFont font(m_body);
  if (size == Size::Small) {
    if (font.pointSizeF() > 0)
      font.setPointSizeF(font.pointSizeF() * 0.88);
    else
      font.setPixelSize(static_cast<int>(std::lround(font.pixelSize() * 0.88)));
  }
  if (emphasis) font.setWeight(QFont::DemiBold);
  return font;
}

QFont Theme::monospace(Size size) const {
  QFont font = QFontDatabase::systemFont(QFontDatabase::FixedFont);
  const QFont body = this->font(size);
  if (body.pointSizeF() > 0)
    font.setPointSizeF(body.pointSizeF() * 0.95);
  else
    font.setPixelSize(body.pixelSize());
  return font;
}

QPixmap Theme::pixmap(const QString& name, const QColor& color, int size, qreal ratio) const {
  const QString key = QStringLiteral("retort:%1:%2:%3:%4").arg(name, color.name(QColor::HexArgb)).arg(size).arg(ratio);
  QPixmap pixmap;
  if (QPixmapCache::find(key, &pixmap)) return pixmap;
  const int pixels = static_cast<int>(std::lround(size * ratio));
  pixmap = QPixmap(pixels, pixels);
  pixmap.fill(Qt::transparent);
  QFile file(QStringLiteral(":/icons/%1.svg").arg(name));
  if (file.open(QIODevice::ReadOnly)) {
    // The drawings use currentColor only, so tinting is a replacement.
    QByteArray svg = file.readAll();
    svg.replace("currentColor", color.name().toLatin1());
    QSvgRenderer renderer(svg);
    QPainter painter(&pixmap);
    renderer.render(&painter, QRectF(0, 0, pixels, pixels));
  }
  pixmap.setDevicePixelRatio(ratio);
  QPixmapCache::insert(key, pixmap);
  return pixmap;
}

QIcon Theme::icon(const QString& name, Role role) const {
  QIcon icon;
  for (const qreal ratio : {1.0, 2.0}) {
    icon.addPixmap(pixmap(name, color(role), 16, ratio), QIcon::Normal);
    icon.addPixmap(pixmap(name, color(role), 20, ratio), QIcon::Normal);
    icon.addPixmap(pixmap(name, color(Role::Faint), 16, ratio), QIcon::Disabled);
    icon.addPixmap(pixmap(name, color(Role::Faint), 20, ratio), QIcon::Disabled);
  }
  return icon;
}

QPalette Theme::palette() const {
  QPalette p;
  const auto set = [&](QPalette::ColorRole role, Role ours) { p.setColor(role, color(ours)); };
  set(QPalette::Window, Role::Window);
  set(QPalette::WindowText, Role::Text);
  set(QPalette::Base, Role::Surface);
  set(QPalette::AlternateBase, Role::Raised);
  set(QPalette::Text, Role::Text);
  set(QPalette::Button, Role::Raised);
  set(QPalette::ButtonText, Role::Text);
  set(QPalette::BrightText, Role::Bad);
  set(QPalette::Highlight, Role::AccentSoft);
  set(QPalette::HighlightedText, Role::Text);
  set(QPalette::ToolTipBase, Role::Raised);
  set(QPalette::ToolTipText, Role::Text);
  set(QPalette::PlaceholderText, Role::Muted);
  set(QPalette::Link, Role::Accent);
  set(QPalette::LinkVisited, Role::Accent);
  set(QPalette::Light, Role::Surface);
  set(QPalette::Midlight, Role::Line);
  set(QPalette::Mid, Role::Line);
  set(QPalette::Dark, Role::LineStrong);
  set(QPalette::Shadow, Role::LineStrong);
  for (const QPalette::ColorRole role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
    p.setColor(QPalette::Disabled, role, color(Role::Faint));
  return p;
}

QString Theme::styleSheet() const {
  QFile file(QStringLiteral(":/window.qss"));
  if (!file.open(QIODevice::ReadOnly)) return {};
  QString sheet = QString::fromUtf8(file.readAll());
  struct Name {
    const char* name;
    Role role;
  };
  // Longer names first, so that @line does not eat the head of @lineStrong.
  static constexpr Name kNames[] = {
      {"@window", Role::Window},         {"@surface", Role::Surface},   {"@raised", Role::Raised},
      {"@lineStrong", Role::LineStrong}, {"@line", Role::Line},         {"@text", Role::Text},
      {"@muted", Role::Muted},           {"@faint", Role::Faint},       {"@accentSoft", Role::AccentSoft},
      {"@accent", Role::Accent},         {"@onAccent", Role::OnAccent}, {"@hover", Role::Hover},
      {"@goodSoft", Role::GoodSoft},     {"@good", Role::Good},         {"@warnSoft", Role::WarnSoft},
      {"@warn", Role::Warn},             {"@badSoft", Role::BadSoft},   {"@bad", Role::Bad}};
  for (const Name& entry : kNames) sheet.replace(QLatin1String(entry.name), color(entry.role).name());
  return sheet;
}

}  // namespace retort::ui
