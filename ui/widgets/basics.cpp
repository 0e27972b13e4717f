#include "ui/widgets/basics.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QFontMetrics>
#include <QHBoxLayout>
#include <QMenu>
#include <QPainter>
#include <QStyle>
#include <QTextLayout>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/format.h"

namespace retort::ui {
namespace {

// A widget that was never shown takes its style when it is; only one that has it already must take it anew.
void repolish(QWidget* widget) {
  if (!widget->testAttribute(Qt::WA_WState_Polished)) return;
  widget->style()->unpolish(widget);
  widget->style()->polish(widget);
}

// Text that can be selected has a document of its own, which costs three times as much to paint: only a label that is
// clicked gets one, until the keyboard leaves it.
class Label : public QLabel {
 public:
  using QLabel::QLabel;

 protected:
  void mousePressEvent(QMouseEvent* event) override {
    if (textInteractionFlags() == kIdle) setTextInteractionFlags(Qt::TextSelectableByMouse);
    QLabel::mousePressEvent(event);
  }
  void focusOutEvent(QFocusEvent* event) override {
    QLabel::focusOutEvent(event);
    if (!hasSelectedText() && event->reason() != Qt::PopupFocusReason && textInteractionFlags() == Qt::TextSelectableByMouse) setTextInteractionFlags(kIdle);
  }

 private:
  static constexpr Qt::TextInteractionFlags kIdle = Qt::LinksAccessibleByMouse;   // QLabel's own
};

}  // namespace

void setTone(QWidget* widget, Tone tone) {
  if (widget->property("tone") == QVariant(static_cast<int>(tone))) return;
  widget->setProperty("tone", static_cast<int>(tone));
  widget->setProperty("muted", tone == Tone::Muted);
  widget->setProperty("good", tone == Tone::Good);
  widget->setProperty("warn", tone == Tone::Warn);
  widget->setProperty("bad", tone == Tone::Bad);
  repolish(widget);
}

void setTextOf(QLabel* label, const QString& text) {
  if (label->text() != text) label->setText(text);
}

QLabel* makeLabel(const QString& text, Tone tone, Theme::Size size, bool emphasis, QWidget* parent) {
  auto* label = new Label(text, parent);
  label->setFont(Theme::instance().font(size, emphasis));
  if (tone != Tone::Normal) setTone(label, tone);
  return label;
}

QLabel* makeHeading(const QString& text, QWidget* parent) {
  QLabel* label = makeLabel(text, Tone::Normal, Theme::Size::Body, true, parent);
  label->setTextInteractionFlags(Qt::NoTextInteraction);
  return label;
}

QFrame* makeLine(Qt::Orientation orientation, QWidget* parent) {
  auto* line = new QFrame(parent);
  line->setProperty("line", orientation == Qt::Horizontal ? "h" : "v");
  return line;
}

QPushButton* makeButton(const QString& text, const QString& icon, bool primary, QWidget* parent) {
  auto* button = new QPushButton(text, parent);
  if (primary) button->setProperty("primary", true);
  button->setAutoDefault(false);
  button->setCursor(Qt::PointingHandCursor);
  if (!icon.isEmpty()) {
    const auto refresh = [button, icon, primary] {
      button->setIcon(Theme::instance().icon(icon, primary ? Role::OnAccent : Role::Text));
    };
    refresh();
    QObject::connect(&Theme::instance(), &Theme::changed, button, refresh);
  }
  return button;
}

QToolButton* makeToolButton(const QString& icon, const QString& name, QWidget* parent) {
  auto* button = new QToolButton(parent);
  button->setToolTip(name);
  button->setAccessibleName(name);
  button->setIconSize({16, 16});
  const auto refresh = [button, icon] { button->setIcon(Theme::instance().icon(icon, Role::Muted)); };
  refresh();
  QObject::connect(&Theme::instance(), &Theme::changed, button, refresh);
  return button;
}

QString richQuantity(const Quantity& quantity) {
  if (quantity.unit.isEmpty()) return quantity.value.toHtmlEscaped();
  return QStringLiteral("%1&thinsp;<span style='color:%3'>%2</span>")
      .arg(quantity.value.toHtmlEscaped(), quantity.unit.toHtmlEscaped(), color(Role::Muted).name());
}

void clearLayout(QLayout* layout) {
  while (QLayoutItem* item = layout->takeAt(0)) {
    if (QWidget* widget = item->widget()) {
      widget->hide();
      widget->deleteLater();
    } else if (item->layout()) {
      clearLayout(item->layout());
    }
    delete item;
  }
}

IconLabel::IconLabel(const QString& icon, Role role, int size, QWidget* parent)
    : QLabel(parent), m_icon(icon), m_role(role), m_size(size) {
  setFixedSize(size, size);
  connect(&Theme::instance(), &Theme::changed, this, &IconLabel::refresh);
  refresh();
}

void IconLabel::setIcon(const QString& icon, Role role) {
  m_icon = icon;
  m_role = role;
  refresh();
}

void IconLabel::refresh() {
  setPixmap(Theme::instance().pixmap(m_icon, color(m_role), m_size, devicePixelRatioF()));
}

EmptyState::EmptyState(const QString& icon, const QString& title, const QString& sentence, QWidget* parent)
    : QWidget(parent) {
  auto* column = new QVBoxLayout(this);
  column->setSpacing(kGap);
  column->addStretch(2);
  column->addWidget(new IconLabel(icon, Role::Faint, 40), 0, Qt::AlignHCenter);
  column->addSpacing(kGapSmall);
  m_title = makeHeading(title);
  m_title->setAlignment(Qt::AlignCenter);
  column->addWidget(m_title);
  m_sentence = makeLabel(sentence, Tone::Muted);
  m_sentence->setAlignment(Qt::AlignCenter);
  m_sentence->setWordWrap(true);
  m_sentence->setMinimumWidth(420);
  m_sentence->setMaximumWidth(520);
  column->addWidget(m_sentence, 0, Qt::AlignHCenter);
  column->addSpacing(kGap);
  m_buttons = new QHBoxLayout;
  m_buttons->setSpacing(kGap);
  m_buttons->addStretch();
  m_buttons->addStretch();
  column->addLayout(m_buttons);
  column->addStretch(3);
}

QPushButton* EmptyState::addButton(const QString& text, const QString& icon, bool primary) {
  QPushButton* button = makeButton(text, icon, primary);
  m_buttons->insertWidget(m_buttons->count() - 1, button);
  return button;
}

void EmptyState::setTexts(const QString& title, const QString& sentence) {
  m_title->setText(title);
  m_sentence->setText(sentence);
}

Notice::Notice(QWidget* parent) : QFrame(parent) {
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(kGap, kGapSmall, kGapSmall, kGapSmall);
  grid->setHorizontalSpacing(kGap);
  grid->setVerticalSpacing(kGapSmall);
  m_icon = new IconLabel(QStringLiteral("info"), Role::Accent, 16);
  m_text = makeLabel({});
  m_text->setWordWrap(true);
  m_text->setMinimumWidth(80);
  m_remedy = makeButton({});
  m_remedy->setAccessibleName(tr("Remedy"));
  m_remedy->hide();
  m_more = makeToolButton(QStringLiteral("down"), tr("Details"));
  m_more->setCheckable(true);
  auto* close = makeToolButton(QStringLiteral("close"), tr("Close this line"));
  m_details = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_details->setFont(Theme::instance().monospace(Theme::Size::Small));
  m_details->setWordWrap(true);
  m_details->hide();
  grid->addWidget(m_icon, 0, 0, Qt::AlignVCenter);
  grid->addWidget(m_text, 0, 1);
  grid->addWidget(m_remedy, 0, 2);
  grid->addWidget(m_more, 0, 3);
  grid->addWidget(close, 0, 4);
  grid->addWidget(m_details, 1, 1, 1, 3);
  grid->setColumnStretch(1, 1);
  connect(m_more, &QToolButton::toggled, m_details, &QWidget::setVisible);
  connect(close, &QToolButton::clicked, this, &QWidget::hide);
  hide();
}

void Notice::showText(Kind kind, const QString& text, const QString& details) {
  static constexpr const char* kNames[] = {"info", "good", "warn", "bad"};
  static constexpr Role kRoles[] = {Role::Accent, Role::Good, Role::Warn, Role::Bad};
  static constexpr const char* kIcons[] = {"info", "check", "warn", "error"};
  const auto i = static_cast<std::size_t>(kind);
  setProperty("notice", QString::fromLatin1(kNames[i]));
  m_icon->setIcon(QString::fromLatin1(kIcons[i]), kRoles[i]);
  m_text->setText(text);
  m_details->setText(details);
  m_more->setVisible(!details.isEmpty());
  m_more->setChecked(false);
  setAccessibleName(text);
  repolish(this);
  show();
}

void Notice::showFailure(const Failure& failure) {
  showText(Kind::Bad, failure.sentences(), failure.details);
}

void Notice::setRemedy(const QString& text, QObject* context, std::function<void()> body) {
  m_remedy->disconnect();
  m_remedy->setVisible(!text.isEmpty());
  m_remedy->setText(text);
  if (!text.isEmpty()) m_remedy->setAccessibleName(text);
  if (body)
    connect(m_remedy, &QPushButton::clicked, context, [this, body = std::move(body)] {
      hide();
      body();
    });
}

WrappedText::WrappedText(Tone tone, const QFont& font, QWidget* parent) : QWidget(parent), m_tone(tone) {
  setFont(font);
  QSizePolicy policy(QSizePolicy::Preferred, QSizePolicy::Minimum);
  policy.setHeightForWidth(true);
  setSizePolicy(policy);
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void WrappedText::setText(const QString& text) {
  if (text == m_text) return;
  m_text = text;
  m_width = -1;
  if (m_folded) setToolTip(text);
  setAccessibleName(text);
  updateGeometry();
  update();
}

void WrappedText::setTone(Tone tone) {
  m_tone = tone;
  update();
}

// Breaks between words, and inside one only where it is longer than a line (paths). Returns the height.
int WrappedText::layOut(int width, QPainter* painter) const {
  const int line_height = QFontMetrics(font()).height();
  int y = 0;
  QStringList paragraphs = m_text.split(QLatin1Char('\n'));
  for (QString& paragraph : paragraphs) {
    // Options of a command line stay whole: no line ends after a hyphen.
    QTextLayout layout(paragraph.replace(QLatin1Char('-'), QChar(0x2011)), font());
    QTextOption option;
    option.setWrapMode(QTextOption::WrapAtWordBoundaryOrAnywhere);
    layout.setTextOption(option);
    layout.beginLayout();
    const int top = y;
    while (true) {
      QTextLine line = layout.createLine();
      if (!line.isValid()) break;
      line.setLineWidth(std::max(width, 20));
      line.setPosition(QPointF(0, y - top));
      y += line_height;
    }
    layout.endLayout();
    if (y == top) y += line_height;   // an empty line
    if (painter) layout.draw(painter, QPointF(0, top));
  }
  return y;
}

void WrappedText::setFolded(bool on) {
  m_folded = on;
  m_width = -1;
  setToolTip(on ? m_text : QString());
  updateGeometry();
  update();
}

bool WrappedText::isCut() const {
  return m_folded && (m_text.contains(QLatin1Char('\n')) || QFontMetrics(font()).horizontalAdvance(m_text) > width());
}

int WrappedText::heightForWidth(int width) const {
  if (m_folded) return m_text.isEmpty() ? 0 : QFontMetrics(font()).height();
  if (width != m_width) {
    m_height = m_text.isEmpty() ? 0 : layOut(width, nullptr);
    m_width = width;
  }
  return m_height;
}

QSize WrappedText::sizeHint() const { return {200, heightForWidth(std::max(width(), 120))}; }
QSize WrappedText::minimumSizeHint() const { return {40, heightForWidth(std::max(width(), 120))}; }

void WrappedText::paintEvent(QPaintEvent*) {
  static constexpr Role kInks[] = {Role::Text, Role::Muted, Role::Good, Role::Warn, Role::Bad};
  QPainter painter(this);
  painter.setFont(font());
  painter.setPen(color(kInks[static_cast<std::size_t>(m_tone)]));
  if (m_folded) painter.drawText(rect(), Qt::AlignLeft | Qt::AlignVCenter, QFontMetrics(font()).elidedText(m_text, Qt::ElideRight, width()));
  else layOut(width(), &painter);
}

void WrappedText::contextMenuEvent(QContextMenuEvent* event) {
  auto* menu = new QMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  connect(menu->addAction(tr("Copy")), &QAction::triggered, this, [this] { QApplication::clipboard()->setText(m_text); });
  menu->popup(event->globalPos());
}

CodeBox::CodeBox(const QString& what, QWidget* parent) : QFrame(parent) {
  setProperty("card", "raised");
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(kGap, kGapSmall, kGapSmall, kGapSmall);
  m_label = new WrappedText(Tone::Normal, Theme::instance().monospace(Theme::Size::Small));
  m_copy = makeToolButton(QStringLiteral("copy"), tr("Copy %1").arg(what));
  row->addWidget(m_label, 1);
  row->addWidget(m_copy, 0, Qt::AlignTop);
  connect(m_copy, &QToolButton::clicked, this, [this] { QApplication::clipboard()->setText(m_code); });
}

void CodeBox::setCode(const QString& code) {
  if (m_code == code) return;
  m_code = code;
  m_label->setText(homeShortened(code));   // what is copied stays whole
  m_copy->setEnabled(!code.isEmpty());
}

}  // namespace retort::ui
