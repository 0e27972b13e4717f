#include "ui/pages/model/text_view.h"

#include <QPainter>
#include <QPlainTextEdit>
#include <QSplitter>
#include <QTimer>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/format.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

constexpr qsizetype kLongest = 20000;        // characters that are tokenized while typing
constexpr std::size_t kMostPieces = 3000;    // pieces that are drawn

// A piece as it reads: blanks, tabs and line ends are visible; bytes that are no characters of their own show as <xx>.
QString visible(const std::string& bytes) {
  const QString text = QString::fromStdString(bytes);
  if (text.contains(QChar::ReplacementCharacter)) {
    QString hex;
    for (const char byte : bytes) hex += QStringLiteral("<%1>").arg(static_cast<unsigned char>(byte), 2, 16, QLatin1Char('0'));
    return hex;
  }
  QString shown;
  for (const QChar c : text)
    shown += c == QLatin1Char('\n') ? QStringLiteral("⏎") : c == QLatin1Char('\t') ? QStringLiteral("⇥") : c == QLatin1Char(' ') ? QStringLiteral("·") : QString(c);
  return shown.isEmpty() ? QStringLiteral("∅") : shown;
}

}  // namespace

TokenFlow::TokenFlow(QWidget* parent) : QWidget(parent) {
  setAccessibleName(tr("Tokens"));
  QSizePolicy policy(QSizePolicy::Preferred, QSizePolicy::Preferred);
  policy.setHeightForWidth(true);
  setSizePolicy(policy);
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void TokenFlow::setPieces(std::vector<TokenPiece> pieces) {
  m_pieces = std::move(pieces);
  QStringList words;
  for (const TokenPiece& piece : m_pieces) words << QStringLiteral("%1 %2").arg(piece.text).arg(piece.id);
  setAccessibleDescription(words.mid(0, 200).join(QStringLiteral(", ")));
  layOut(width(), &m_cells);
  setMinimumHeight(heightForWidth(std::max(width(), 200)));
  updateGeometry();
  update();
}

int TokenFlow::layOut(int width, std::vector<QRectF>* cells) const {
  const Theme& theme = Theme::instance();
  const QFontMetrics over(theme.monospace()), under(theme.font(Theme::Size::Small));
  const int height = over.height() + under.height() + 4;
  double x = 0, y = 0;
  if (cells) cells->clear();
  for (const TokenPiece& piece : m_pieces) {
    const double w = std::max(over.horizontalAdvance(piece.text), under.horizontalAdvance(QString::number(piece.id))) + 8;
    if (x > 0 && x + w > width) {
      x = 0;
      y += height + kGapSmall;
    }
    if (cells) cells->push_back(QRectF(x, y, w, height));
    x += w + 2;
  }
  return static_cast<int>(y) + height;
}

void TokenFlow::resizeEvent(QResizeEvent*) {
  layOut(width(), &m_cells);
  setMinimumHeight(heightForWidth(width()));
}

void TokenFlow::paintEvent(QPaintEvent* event) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const Theme& theme = Theme::instance();
  const QFont over = theme.monospace(), under = theme.font(Theme::Size::Small);
  const QFontMetrics metrics(over);
  for (std::size_t i = 0; i < m_pieces.size() && i < m_cells.size(); ++i) {
    const QRectF& cell = m_cells[i];
    if (!cell.intersects(event->rect())) continue;
    const TokenPiece& piece = m_pieces[i];
    const QColor tint = piece.special ? color(Role::AccentSoft)
                                      : Theme::mix(color(Role::Surface), theme.series(static_cast<int>(i % 4)), theme.isDark() ? 0.26 : 0.17);
    painter.setPen(Qt::NoPen);
    painter.setBrush(tint);
    painter.drawRoundedRect(cell, 3, 3);
    painter.setFont(over);
    painter.setPen(color(piece.special ? Role::Accent : Role::Text));
    painter.drawText(cell.adjusted(4, 1, -4, 0), Qt::AlignHCenter | Qt::AlignTop, piece.text);
    painter.setFont(under);
    painter.setPen(color(Role::Muted));
    painter.drawText(cell.adjusted(2, metrics.height(), -2, -1), Qt::AlignHCenter | Qt::AlignBottom, QString::number(piece.id));
  }
}

TextView::TextView(ModelService& model, QWidget* parent) : QWidget(parent), m_model(model) {
  m_pool.setMaxThreadCount(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapLarge, kGap, kGapLarge, kGapLarge);
  auto* splitter = new QSplitter(Qt::Horizontal);
  splitter->setChildrenCollapsible(false);
  auto* left = new QWidget;
  auto* leftColumn = new QVBoxLayout(left);
  leftColumn->setContentsMargins(0, 0, kGapLarge, 0);
  leftColumn->addWidget(makeHeading(tr("Text")));
  m_input = new QPlainTextEdit(tr("The quick brown fox reads 1,234 pages; naïve café, 你好!"));
  m_input->setAccessibleName(tr("Text to cut into tokens"));
  m_input->setTabChangesFocus(true);
  m_input->setMaximumHeight(96);
  leftColumn->addWidget(m_input);
  m_summary = makeLabel({}, Tone::Muted);
  leftColumn->addWidget(m_summary);
  auto* scroll = new QScrollArea;
  scroll->setWidgetResizable(true);
  m_flow = new TokenFlow;
  scroll->setWidget(m_flow);
  leftColumn->addWidget(scroll, 1);
  auto* right = new QWidget;
  auto* rightColumn = new QVBoxLayout(right);
  rightColumn->setContentsMargins(kGapLarge, 0, 0, 0);
  rightColumn->addWidget(makeHeading(tr("As the chat template sends it")));
  m_chatProblem = makeLabel({}, Tone::Muted);
  m_chatProblem->setWordWrap(true);
  rightColumn->addWidget(m_chatProblem);
  m_chat = new QPlainTextEdit;
  m_chat->setReadOnly(true);
  m_chat->setAccessibleName(tr("Chat as the template renders it"));
  m_chat->setFont(Theme::instance().monospace(Theme::Size::Small));
  rightColumn->addWidget(m_chat, 1);
  rightColumn->addStretch();   // without a template there is no chat, and the heading stays above
  splitter->addWidget(left);
  splitter->addWidget(right);
  splitter->setSizes({500, 340});
  column->addWidget(splitter, 1);
  m_later = new QTimer(this);
  m_later->setSingleShot(true);
  m_later->setInterval(60);
  connect(m_later, &QTimer::timeout, this, &TextView::request);
  connect(m_input, &QPlainTextEdit::textChanged, m_later, qOverload<>(&QTimer::start));
  connect(&model, &ModelService::loadedChanged, this, &TextView::request);
  request();
}

TextView::~TextView() { m_pool.waitForDone(); }

void TextView::request() {
  const LoadedModelPtr loaded = m_model.loaded();
  if (!loaded) return show({});
  const quint64 request = ++m_request;
  m_pool.start([this, request, loaded, api = m_model.api(), text = m_input->toPlainText().left(kLongest)] {
    Outcome outcome = compute(api, *loaded, text);
    QMetaObject::invokeMethod(this, [this, request, outcome = std::move(outcome)] {
      if (request == m_request) show(outcome);
    }, Qt::QueuedConnection);
  });
}

TextView::Outcome TextView::compute(const CoreApi& api, const LoadedModel& loaded, const QString& text) {
  Outcome outcome;
  const auto& tokenizer = loaded.model->tokenizer;
  if (!tokenizer) {
    outcome.summary = tr("This model has no tokenizer: put tokenizer.json beside it.");
    return outcome;
  }
  const std::vector<TokenId> ids = tokenizer->encode(text.toStdString(), true);
  for (std::size_t i = 0; i < std::min(ids.size(), kMostPieces); ++i) {
    const bool special = tokenizer->is_special(ids[i]);
    outcome.pieces.push_back({special ? QString::fromStdString(tokenizer->piece(ids[i])) : visible(tokenizer->piece_bytes(ids[i])), ids[i], special});
  }
  const double characters = static_cast<double>(std::max<qsizetype>(text.size(), 1));
  outcome.summary = tr("%1 tokens · %2 characters each · %3, %4 pieces")
                        .arg(integer(static_cast<std::int64_t>(ids.size())), significant(characters / static_cast<double>(std::max<std::size_t>(ids.size(), 1)), 2),
                             toQString(tokenizer->kind()).toUpper(), integer(static_cast<std::int64_t>(tokenizer->size())));
  if (loaded.model->chat_template.empty()) {
    outcome.chatProblem = tr("This model has no chat template: it continues text.");
    return outcome;
  }
  if (!api.renderChat) return outcome;
  const auto special = [&](std::optional<TokenId> id) { return id ? tokenizer->piece(*id) : std::string(); };
  const ChatMessage message{"user", text.toStdString()};
  const auto chat = api.renderChat(loaded.model->chat_template, {&message, 1}, true, special(tokenizer->bos), special(tokenizer->eos));
  if (chat)
    outcome.chat = QString::fromStdString(*chat);
  else
    outcome.chatProblem = failureOf(chat.error()).text;
  return outcome;
}

void TextView::show(const Outcome& outcome) {
  m_flow->setPieces(outcome.pieces);
  m_summary->setText(outcome.summary);
  m_chat->setPlainText(outcome.chat);
  m_chat->setVisible(outcome.chatProblem.isEmpty());
  m_chatProblem->setText(outcome.chatProblem);
  m_chatProblem->setVisible(!outcome.chatProblem.isEmpty());
}

}  // namespace retort::ui
