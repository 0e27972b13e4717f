#include "ui/pages/try/try_page.h"

#include <QCheckBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QRandomGenerator>
#include <QShortcut>
#include <QSpinBox>
#include <QStackedWidget>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/models/command_lines.h"
#include "ui/pages/try/try_column.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

constexpr int kMost = 4;

// A candidate can answer when its tensors were made.
bool usable(const CandidateInfo& candidate) {
  return candidate.is_original || candidate.recipe.stages.empty() || candidate.state == CandidateState::kMeasuring || candidate.state == CandidateState::kDone;
}

}  // namespace

PageStatus TryPage::status(const StudySnapshot* study) {
  if (!study || !study->source) return {PageState::Empty, tr("No model is open")};
  return {PageState::Ready, tr("%n candidate(s) can answer", nullptr, static_cast<int>(std::count_if(study->candidates.begin(), study->candidates.end(), usable)))};
}

Page* TryPage::make(Services& services, QWidget* parent) { return new TryPage(services, parent); }

TryPage::TryPage(Services& s, QWidget* parent) : Page(s, parent) {
  m_stack = new QStackedWidget(this);
  auto* empty = new EmptyState(QStringLiteral("try"), tr("Ask them yourself"), tr("One prompt goes to up to four versions of the model at once, and the first word where they part is marked. Open a model first."), m_stack);
  connect(empty->addButton(tr("Open a model"), QStringLiteral("model")), &QPushButton::clicked, this, [this] { emit pageWanted(QStringLiteral("model")); });
  m_stack->addWidget(empty);
  auto* content = new QWidget(m_stack);
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  column->setSpacing(kGap);
  column->addWidget(buildPrompt());
  m_row = new QHBoxLayout;
  m_row->setSpacing(kGap);
  column->addLayout(m_row, 1);
  column->addWidget(buildTally());
  m_command = new CodeBox(tr("Command line"), content);
  column->addWidget(m_command);
  m_stack->addWidget(content);
  auto* classes = new EmptyState(QStringLiteral("try"), tr("This model answers with classes, not with words"), tr("What each version says of your labelled texts, and where it parts from the original, stands on the Compare page under Flips."), m_stack);
  connect(classes->addButton(tr("Compare"), QStringLiteral("compare")), &QPushButton::clicked, this, [this] { emit pageWanted(QStringLiteral("compare")); });
  m_stack->addWidget(classes);
  auto* outer = new QVBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  outer->addWidget(m_stack);
  setColumnCount(2);
  connectService();
}

QWidget* TryPage::buildPrompt() {
  auto* box = new QFrame(this);
  box->setProperty("card", QStringLiteral("raised"));
  m_prompt = new QPlainTextEdit(box);
  m_prompt->setPlaceholderText(tr("A prompt, as you would write it to the model"));
  m_prompt->setPlainText(tr("The capital of France is"));
  m_prompt->setAccessibleName(tr("Prompt"));
  m_prompt->setTabChangesFocus(true);
  m_prompt->setMaximumHeight(76);
  m_tokens = new QSpinBox(box);
  m_tokens->setRange(1, 4096);
  m_tokens->setValue(64);
  m_tokens->setAccessibleName(tr("Tokens to generate"));
  m_temperature = new QDoubleSpinBox(box);
  m_temperature->setRange(0, 2);
  m_temperature->setSingleStep(0.1);
  m_temperature->setSpecialValueText(tr("greedy"));
  m_temperature->setAccessibleName(tr("Temperature"));
  m_chat = new QCheckBox(tr("Chat template"), box);
  m_ask = makeButton(tr("Ask"), QStringLiteral("run"), true, box);
  m_ask->setToolTip(tr("Ctrl+Return"));
  m_stop = makeButton(tr("Stop"), QStringLiteral("stop"), false, box);
  m_blind = new QCheckBox(tr("Blind"), box);
  m_blind->setToolTip(tr("Shuffles the columns and hides the names until you say which answer is best (keys 1 to 4, 0 for none)"));
  m_fewer = makeToolButton(QStringLiteral("minus"), tr("Remove a column"), box);
  m_more = makeToolButton(QStringLiteral("plus"), tr("Add a column"), box);
  auto* line = new QHBoxLayout;
  line->setSpacing(kGap);
  line->addWidget(m_ask);
  line->addWidget(m_stop);
  line->addSpacing(kGap);
  line->addWidget(makeLabel(tr("Tokens"), Tone::Muted));
  line->addWidget(m_tokens);
  line->addWidget(makeLabel(tr("Temperature"), Tone::Muted));
  line->addWidget(m_temperature);
  line->addWidget(m_chat);
  line->addWidget(m_blind);
  line->addStretch();
  line->addWidget(m_fewer);
  line->addWidget(m_more);
  auto* column = new QVBoxLayout(box);
  column->setContentsMargins(kGapLarge, kGap, kGapLarge, kGap);
  column->setSpacing(kGap);
  column->addWidget(m_prompt);
  column->addLayout(line);
  connect(m_ask, &QPushButton::clicked, this, &TryPage::start);
  connect(m_stop, &QPushButton::clicked, &m_service, &TryService::stop);
  connect(m_more, &QToolButton::clicked, this, [this] { setColumnCount(static_cast<int>(m_columns.size()) + 1); });
  connect(m_fewer, &QToolButton::clicked, this, [this] { setColumnCount(static_cast<int>(m_columns.size()) - 1); });
  connect(new QShortcut(QKeySequence(Qt::CTRL | Qt::Key_Return), this, nullptr, nullptr, Qt::WidgetWithChildrenShortcut), &QShortcut::activated, this, &TryPage::start);
  connect(m_prompt, &QPlainTextEdit::textChanged, this, &TryPage::showCommand);
  connect(m_tokens, &QSpinBox::valueChanged, this, &TryPage::showCommand);
  connect(m_temperature, &QDoubleSpinBox::valueChanged, this, &TryPage::showCommand);
  connect(m_chat, &QCheckBox::toggled, this, &TryPage::showCommand);
  connect(m_blind, &QCheckBox::toggled, this, [this](bool on) {
    if (!on && !m_service.isRunning()) {
      for (TryColumn* shown : m_columns) shown->setBlind(0);
      setVoting(false);
    }
    showTally();
  });
  return box;
}

QWidget* TryPage::buildTally() {
  m_tallyBox = new QFrame(this);
  m_tallyBox->setProperty("card", QStringLiteral("raised"));
  auto* row = new QHBoxLayout(m_tallyBox);
  row->setContentsMargins(kGapLarge, kGapSmall, kGap, kGapSmall);
  m_tallyText = makeLabel({}, Tone::Normal, Theme::Size::Small);
  m_tallyText->setWordWrap(true);
  m_tallyText->setAccessibleName(tr("Tally of the blind trials"));
  m_noneBetter = makeButton(tr("No difference (0)"));
  m_forget = makeButton(tr("Forget the tally"), QStringLiteral("trash"));
  row->addWidget(m_tallyText, 1);
  row->addWidget(m_noneBetter);
  row->addWidget(m_forget);
  connect(m_noneBetter, &QPushButton::clicked, this, [this] { vote(0); });
  connect(m_forget, &QPushButton::clicked, this, [this] {
    m_tally.clear();
    Settings::setTally(m_tallyOf, m_tally.toMap());
    showTally();
  });
  // Digits vote only while there is something to vote on: otherwise they belong to the prompt.
  for (int key = 0; key <= kMost; ++key) {
    auto* shortcut = new QShortcut(QKeySequence(static_cast<Qt::Key>(Qt::Key_0 + key)), this, nullptr, nullptr, Qt::WidgetWithChildrenShortcut);
    shortcut->setEnabled(false);
    connect(shortcut, &QShortcut::activated, this, [this, key] {
      if (key == 0) vote(0);
      else if (key <= static_cast<int>(m_columns.size())) vote(m_columns[static_cast<std::size_t>(key - 1)]->shown());
    });
    m_voteKeys.push_back(shortcut);
  }
  m_tallyBox->hide();
  return m_tallyBox;
}

std::int64_t TryPage::originalId() const {
  if (m_snapshot)
    for (const CandidateInfo& candidate : m_snapshot->candidates)
      if (candidate.is_original) return candidate.id;
  return 0;
}

QString TryPage::nameOf(std::int64_t id) const {
  if (m_snapshot)
    for (const CandidateInfo& candidate : m_snapshot->candidates)
      if (candidate.id == id) return candidate.is_original ? tr("the original") : toQString(candidate.name);
  return {};
}

std::vector<std::int64_t> TryPage::shown() const {
  std::vector<std::int64_t> ids;
  for (const TryColumn* column : m_columns) ids.push_back(column->shown());
  return ids;
}

void TryPage::setBlind(bool on) { m_blind->setChecked(on); }

// Blind answers wait for a vote; when every column says the same there is nothing to choose.
void TryPage::finishAnswers() {
  if (!m_blindRun) return;
  const bool complete = std::all_of(m_columns.begin(), m_columns.end(), [](const TryColumn* column) { return !column->tokens().empty(); });
  setVoting(complete);
  if (!complete)
    for (TryColumn* column : m_columns) column->reveal(nameOf(column->shown()), false);
  showTally();
}

void TryPage::setVoting(bool on) {
  m_voting = on;
  for (TryColumn* column : m_columns) column->setVoting(on);
  for (QShortcut* key : m_voteKeys) key->setEnabled(on);
  m_noneBetter->setEnabled(on);
  if (on && m_prompt->hasFocus()) m_tallyBox->setFocus(Qt::OtherFocusReason);   // digits are votes now
}

void TryPage::vote(std::int64_t best) {
  if (!m_voting) return;
  m_tally.vote(shown(), best);
  Settings::setTally(m_tallyOf, m_tally.toMap());
  setVoting(false);
  const std::int64_t original = originalId();
  const auto base = std::find_if(m_columns.begin(), m_columns.end(), [&](const TryColumn* column) { return column->shown() == original; });
  for (TryColumn* column : m_columns) {
    column->reveal(nameOf(column->shown()), best != 0 && column->shown() == best);
    if (base != m_columns.end() && column != *base) column->compareWith((*base)->tokens());
  }
  showTally();
  m_ask->setFocus(Qt::OtherFocusReason);
}

void TryPage::loadTally() {
  const QString study = m_snapshot ? toQString(m_snapshot->path.string()) : QString();
  if (study == m_tallyOf) return;
  m_tallyOf = study;
  m_tally = BlindTally::fromMap(Settings::tally(study));
}

void TryPage::showTally() {
  m_tallyBox->setVisible(m_blind->isChecked());
  m_forget->setEnabled(!m_tally.isEmpty());
  if (m_voting) {
    m_tallyText->setText(tr("Which answer is best? Press its number, or 0 when you see no difference. The names follow."));
    return;
  }
  QStringList lines;
  const std::int64_t original = originalId();
  std::vector<std::int64_t> ids = shown();
  std::sort(ids.begin(), ids.end());
  for (const std::int64_t id : ids)
    if (id != original) lines << tallySentence(m_tally.between(original, id), nameOf(original), nameOf(id));
  m_tallyText->setText(m_tally.isEmpty() ? tr("Ask: the answers come in an order that you don't know. After your vote the names are shown, and the tally says when it is sure.") : lines.join(QLatin1Char('\n')));
}

void TryPage::connectService() {
  connect(&m_service, &TryService::started, this, [this](int i) { m_columns[static_cast<std::size_t>(i)]->begin(); });
  connect(&m_service, &TryService::token, this, [this](int i, const GeneratedToken& token) { m_columns[static_cast<std::size_t>(i)]->add(token); });
  connect(&m_service, &TryService::finished, this, [this](int i, const GenerateResult& result) {
    TryColumn* column = m_columns[static_cast<std::size_t>(i)];
    column->end(result);
    if (i > 0 && !m_blindRun) column->compareWith(m_columns.front()->tokens());
  });
  connect(&m_service, &TryService::columnFailed, this, [this](int i, const Failure& failure) { m_columns[static_cast<std::size_t>(i)]->fail(failure); });
  connect(&m_service, &TryService::allDone, this, [this] {
    setRunning(false);
    finishAnswers();
    emit allDone();
  });
  setRunning(false);
}

void TryPage::setRunning(bool running) {
  m_ask->setEnabled(!running);
  m_blind->setEnabled(!running);
  m_stop->setEnabled(running);
  m_more->setEnabled(!running && static_cast<int>(m_columns.size()) < kMost);
  m_fewer->setEnabled(!running && m_columns.size() > 2);
}

void TryPage::setColumnCount(int count) {
  count = std::clamp(count, 2, kMost);
  while (static_cast<int>(m_columns.size()) > count) {
    delete m_columns.back();
    m_columns.pop_back();
  }
  while (static_cast<int>(m_columns.size()) < count) {
    auto* column = new TryColumn(static_cast<int>(m_columns.size()) + 1, this);
    connect(column, &TryColumn::candidateChanged, this, &TryPage::showCommand);
    m_columns.push_back(column);
    m_row->addWidget(column, 1);
  }
  fillColumns();
  setRunning(m_service.isRunning());
}

void TryPage::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  const bool any = snapshot && snapshot->source;
  m_stack->setCurrentIndex(!any ? 0 : snapshot->source->kind == SourceKind::kLanguageModel ? 1 : 2);
  loadTally();
  QString now = m_tallyOf;
  if (any)
    for (const CandidateInfo& candidate : snapshot->candidates)
      if (usable(candidate)) now += QStringLiteral("|%1 %2").arg(candidate.id).arg(toQString(candidate.name));
  if (now == m_shown) return;   // a report of the run changes nothing here
  m_shown = now;
  if (any) fillColumns();
}

void TryPage::fillColumns() {
  if (!m_snapshot) return;
  std::vector<std::pair<std::int64_t, QString>> all;
  for (const CandidateInfo& candidate : m_snapshot->candidates)
    if (usable(candidate)) all.emplace_back(candidate.id, toQString(candidate.name));
  // The original first; then pins, then the selection, then the smallest.
  std::stable_sort(all.begin(), all.end(), [this](const auto& a, const auto& b) {
    const auto rank = [this](std::int64_t id) {
      for (const CandidateInfo& c : m_snapshot->candidates)
        if (c.id == id && c.is_original) return 0;
      if (services().selection.pinned().contains(id)) return 1;
      return services().selection.candidate() == id ? 2 : 3;
    };
    return rank(a.first) < rank(b.first);
  });
  for (std::size_t i = 0; i < m_columns.size(); ++i) {
    const std::int64_t before = m_columns[i]->candidate();
    m_columns[i]->setCandidates(all, i == 0);
    if (before == 0 && i < all.size()) m_columns[i]->setCandidate(all[i].first);
  }
  showCommand();
}

void TryPage::showCommand() {
  if (!m_snapshot || !m_snapshot->source) return;
  QString line = QStringLiteral("retort generate %1 --prompt %2 --tokens %3").arg(shellWord(m_snapshot->source->path), shellWord(m_prompt->toPlainText())).arg(m_tokens->value());
  line += m_temperature->value() > 0 ? QStringLiteral(" --temperature %1 --seed 0").arg(m_temperature->value()) : QStringLiteral(" --greedy");
  if (m_chat->isChecked()) line += QStringLiteral(" --chat");
  m_command->setCode(line);
}

void TryPage::start() {
  if (m_service.isRunning() || !services().study.study()) return;
  TryRequest request;
  request.study = services().study.study();
  m_blindRun = m_blind->isChecked();
  for (TryColumn* column : m_columns) request.candidates.push_back(column->candidate());
  if (m_blindRun) std::shuffle(request.candidates.begin(), request.candidates.end(), *QRandomGenerator::global());
  for (std::size_t i = 0; i < m_columns.size(); ++i) {
    m_columns[i]->clear();
    m_columns[i]->setBlind(m_blindRun ? request.candidates[i] : 0);
  }
  setVoting(false);
  showTally();
  request.prompt = m_prompt->toPlainText().toStdString();
  request.chat = m_chat->isChecked();
  request.options.max_tokens = m_tokens->value();
  request.options.temperature = m_temperature->value();
  request.threads = m_snapshot ? m_snapshot->threads : 0;
  m_service.start(request);
  setRunning(true);
}

void TryPage::ask(const QString& prompt, const std::vector<std::int64_t>& candidates) {
  m_prompt->setPlainText(prompt);
  setColumnCount(static_cast<int>(candidates.size()));
  for (std::size_t i = 0; i < m_columns.size() && i < candidates.size(); ++i) m_columns[i]->setCandidate(candidates[i]);
  start();
}

}  // namespace retort::ui
