#include "ui/pages/try/try_column.h"

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QScrollBar>
#include <QSignalBlocker>
#include <QTextBrowser>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/theme.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

QString html(const std::string& text) {
  return QString::fromStdString(text).toHtmlEscaped().replace(QLatin1Char('\n'), QStringLiteral("<br>")).replace(QStringLiteral("  "), QStringLiteral(" &nbsp;"));
}

QString quoted(const GeneratedToken& token) {
  QString text = QString::fromStdString(token.text).trimmed();
  if (text.isEmpty()) text = QStringLiteral("␠");
  return QStringLiteral("“%1” %2").arg(text, percent(token.probability));
}

}  // namespace

TryColumn::TryColumn(int number, QWidget* parent) : QFrame(parent), m_number(number) {
  setProperty("card", QStringLiteral("true"));
  m_choice = new QComboBox(this);
  m_choice->setAccessibleName(tr("Candidate of column %1").arg(number));
  m_choice->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  m_letter = makeHeading({}, this);
  m_letter->setMinimumHeight(m_choice->sizeHint().height());
  m_letter->hide();
  m_text = new QTextBrowser(this);
  m_text->setAccessibleName(tr("Answer %1").arg(number));
  m_text->setProperty("plain", true);
  m_text->setFrameShape(QFrame::NoFrame);
  m_parting = makeLabel(QString(), Tone::Warn, Theme::Size::Small, false, this);
  m_parting->setWordWrap(true);
  m_rate = makeLabel(QString(), Tone::Muted, Theme::Size::Small, false, this);
  m_rate->setWordWrap(true);
  m_vote = makeButton(tr("This is the best (%1)").arg(number), QStringLiteral("check"), false, this);
  m_vote->hide();
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGap, kGap, kGap, kGap);
  column->setSpacing(kGapSmall);
  column->addWidget(m_choice);
  column->addWidget(m_letter);
  column->addWidget(m_text, 1);
  column->addWidget(m_parting);
  column->addWidget(m_rate);
  column->addWidget(m_vote);
  m_parting->hide();
  connect(m_choice, &QComboBox::currentIndexChanged, this, &TryColumn::candidateChanged);
  connect(m_vote, &QPushButton::clicked, this, &TryColumn::voted);
}

void TryColumn::setCandidates(const std::vector<std::pair<std::int64_t, QString>>& candidates, bool fixedToFirst) {
  const QSignalBlocker quiet(m_choice);
  const std::int64_t keep = candidate();
  m_choice->clear();
  for (const auto& [id, name] : candidates) m_choice->addItem(name, QVariant::fromValue<qint64>(id));
  m_choice->setEnabled(!fixedToFirst);
  m_choice->setToolTip(fixedToFirst ? tr("The first column is always the original") : QString());
  setCandidate(fixedToFirst && !candidates.empty() ? candidates.front().first : keep);
}
std::int64_t TryColumn::candidate() const { return m_choice->currentData().toLongLong(); }
QString TryColumn::candidateName() const { return m_choice->currentText(); }
void TryColumn::setCandidate(std::int64_t id) {
  if (const int at = m_choice->findData(QVariant::fromValue<qint64>(id)); at >= 0) m_choice->setCurrentIndex(at);
}

void TryColumn::setBlind(std::int64_t shown) {
  m_blind = shown;
  m_hidden = shown != 0;
  m_choice->setVisible(shown == 0);
  m_letter->setVisible(shown != 0);
  m_letter->setText(tr("Answer %1").arg(QChar(static_cast<char16_t>(u'A' + m_number - 1))));
  setTone(m_letter, Tone::Normal);
  setVoting(false);
  showTexts();
}

void TryColumn::reveal(const QString& name, bool preferred) {
  m_hidden = false;
  m_letter->setText(preferred ? tr("%1 · your choice").arg(name) : name);
  setTone(m_letter, preferred ? Tone::Good : Tone::Normal);
  setVoting(false);
  showTexts();
}

void TryColumn::setVoting(bool on) { m_vote->setVisible(on); }

void TryColumn::showTexts() {
  m_rate->setVisible(!m_hidden && !m_rate->text().isEmpty());
  m_parting->setVisible(!m_hidden && !m_parting->text().isEmpty());
}

void TryColumn::clear() {
  m_tokens.clear();
  m_text->clear();
  m_rate->clear();
  m_parting->clear();
  showTexts();
}
void TryColumn::begin() {
  clear();
  m_rate->setText(tr("reading the prompt …"));
  showTexts();
}

void TryColumn::add(const GeneratedToken& token) {
  m_tokens.push_back(token);
  m_text->moveCursor(QTextCursor::End);
  m_text->insertPlainText(QString::fromStdString(token.text));
  m_text->verticalScrollBar()->setValue(m_text->verticalScrollBar()->maximum());
  if (token.seconds > 0 && m_tokens.size() % 8 == 0) m_rate->setText(tr("%1 tokens").arg(m_tokens.size()));
}

void TryColumn::end(const GenerateResult& result) {
  m_rate->setText(tr("%1 tokens · first after %2 · %3").arg(QString::number(result.tokens.size()), secondsQuantity(result.time_to_first_token).text(), rateQuantity(result.decode_tokens_per_second, tr("tokens")).text()));
  render(m_tokens.size(), m_parting->text());
}

void TryColumn::fail(const Failure& failure) {
  m_hidden = false;
  m_rate->setText(failure.sentences());
  setTone(m_rate, Tone::Bad);
  showTexts();
}

void TryColumn::compareWith(const std::vector<GeneratedToken>& original) {
  std::size_t same = 0;
  while (same < m_tokens.size() && same < original.size() && m_tokens[same].id == original[same].id) ++same;
  QString note;
  const bool parts = same < m_tokens.size() && same < original.size();
  if (parts)
    note = tr("parts at token %1: %2 here, %3 in the original").arg(QString::number(same + 1), quoted(m_tokens[same]), quoted(original[same]));
  else if (m_tokens.size() == original.size() && !m_tokens.empty())
    note = tr("the same as the original, token for token");
  setTone(m_parting, parts ? Tone::Warn : Tone::Good);
  render(parts ? same : m_tokens.size(), note);
}

// Blind, the mark waits with the names: it would say which column is the original.
void TryColumn::render(std::size_t parting, const QString& note) {
  QString text;
  for (std::size_t i = 0; i < m_tokens.size(); ++i) {
    if (i == parting && !m_hidden)
      text += QStringLiteral("<span style=\"background:%1; color:%2; font-weight:600; text-decoration:underline\">%3</span>")
                  .arg(color(Role::WarnSoft).name(), color(Role::Text).name(), html(m_tokens[i].text));
    else
      text += html(m_tokens[i].text);
  }
  m_text->setHtml(QStringLiteral("<div style=\"line-height:130%\">%1</div>").arg(text));
  m_parting->setText(note);
  showTexts();
}

}  // namespace retort::ui
