#include "ui/widgets/basics.h"

#include <QApplication>
#include <QClipboard>
#include <QHBoxLayout>
#include <QStyle>
#include <QVBoxLayout>

namespace retort::ui {
namespace {

void repolish(QWidget* widget) {
  widget->style()->unpolish(widget);
  widget->style()->polish(widget);
}

}  // namespace

void setTone(QWidget* widget, Tone tone) {
  widget->setProperty("muted", tone == Tone::Muted);
  widget->setProperty("good", tone == Tone::Good);
  widget->setProperty("warn", tone == Tone::Warn);
  widget->setProperty("bad", tone == Tone::Bad);
  repolish(widget);
}

QLabel* makeLabel(const QString& text, Tone tone, Theme::Size size, bool emphasis, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setFont(Theme::instance().font(size, emphasis));
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
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
  const QString remedy = failure.remedy.isEmpty() ? QString() : QStringLiteral(" %1.").arg(failure.remedy);
  showText(Kind::Bad, failure.text + QStringLiteral(".") + remedy, failure.details);
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

FactGrid::FactGrid(QWidget* parent) : QWidget(parent), m_grid(new QGridLayout(this)) {
  m_grid->setContentsMargins(0, 0, 0, 0);
  m_grid->setHorizontalSpacing(kGapLarge);
  m_grid->setVerticalSpacing(kGapSmall);
  m_grid->setColumnStretch(1, 1);
}

void FactGrid::clear() {
  clearLayout(m_grid);
  m_rows = 0;
}

void FactGrid::add(const QString& what, const Quantity& value, const QString& hover, Tone tone) {
  add(what, richQuantity(value), hover, tone);
}

void FactGrid::add(const QString& what, const QString& value, const QString& hover, Tone tone) {
  QLabel* name = makeLabel(what, Tone::Muted);
  QLabel* figure = makeLabel(value, tone);
  figure->setWordWrap(true);
  // A digest has no place to break: it may be cut, the column may not grow.
  figure->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  figure->setAlignment(Qt::AlignRight | Qt::AlignTop);
  // Takes what is left and wraps there: a narrow dock must not cut figures off.
  figure->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  figure->setMinimumWidth(64);
  figure->setAccessibleName(what);
  name->setToolTip(hover);
  figure->setToolTip(hover);
  m_grid->addWidget(name, m_rows, 0, Qt::AlignTop);
  m_grid->addWidget(figure, m_rows, 1);
  ++m_rows;
}

CodeBox::CodeBox(const QString& what, QWidget* parent) : QFrame(parent) {
  setProperty("card", "raised");
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(kGap, kGapSmall, kGapSmall, kGapSmall);
  m_label = makeLabel({}, Tone::Normal, Theme::Size::Small);
  m_label->setFont(Theme::instance().monospace(Theme::Size::Small));
  m_label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  m_label->setWordWrap(true);
  m_label->setTextFormat(Qt::PlainText);
  m_label->setMinimumWidth(40);
  m_label->setAccessibleName(what);
  m_copy = makeToolButton(QStringLiteral("copy"), tr("Copy %1").arg(what));
  row->addWidget(m_label, 1);
  row->addWidget(m_copy, 0, Qt::AlignTop);
  connect(m_copy, &QToolButton::clicked, this, [this] { QApplication::clipboard()->setText(m_code); });
}

void CodeBox::setCode(const QString& code) {
  m_code = code;
  m_label->setText(code);
  m_copy->setEnabled(!code.isEmpty());
}

}  // namespace retort::ui
