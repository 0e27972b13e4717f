#include "ui/pages/try/try_page.h"

#include <QCheckBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QShortcut>
#include <QSpinBox>
#include <QStackedWidget>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/pages/try/try_column.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
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
  m_command = new CodeBox(tr("Command line"), content);
  column->addWidget(m_command);
  m_stack->addWidget(content);
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
  m_temperature->setSpecialValueText(tr("0 (greedy)"));
  m_temperature->setAccessibleName(tr("Temperature"));
  m_chat = new QCheckBox(tr("Chat template"), box);
  m_ask = makeButton(tr("Ask"), QStringLiteral("run"), true, box);
  m_ask->setToolTip(tr("Ctrl+Return"));
  m_stop = makeButton(tr("Stop"), QStringLiteral("stop"), false, box);
  m_more = makeButton(tr("Add column"), QStringLiteral("plus"), false, box);
  m_fewer = makeButton(tr("Remove column"), {}, false, box);
  auto* line = new QHBoxLayout;
  line->setSpacing(kGap);
  line->addWidget(m_ask);
  line->addWidget(m_stop);
  line->addSpacing(kGapLarge);
  line->addWidget(makeLabel(tr("Tokens"), Tone::Muted));
  line->addWidget(m_tokens);
  line->addWidget(makeLabel(tr("Temperature"), Tone::Muted));
  line->addWidget(m_temperature);
  line->addWidget(m_chat);
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
  connect(m_more, &QPushButton::clicked, this, [this] { setColumnCount(static_cast<int>(m_columns.size()) + 1); });
  connect(m_fewer, &QPushButton::clicked, this, [this] { setColumnCount(static_cast<int>(m_columns.size()) - 1); });
  connect(new QShortcut(QKeySequence(Qt::CTRL | Qt::Key_Return), this, nullptr, nullptr, Qt::WidgetWithChildrenShortcut), &QShortcut::activated, this, &TryPage::start);
  connect(m_prompt, &QPlainTextEdit::textChanged, this, &TryPage::showCommand);
  connect(m_tokens, &QSpinBox::valueChanged, this, &TryPage::showCommand);
  connect(m_temperature, &QDoubleSpinBox::valueChanged, this, &TryPage::showCommand);
  connect(m_chat, &QCheckBox::toggled, this, &TryPage::showCommand);
  return box;
}

void TryPage::connectService() {
  connect(&m_service, &TryService::started, this, [this](int i) { m_columns[static_cast<std::size_t>(i)]->begin(); });
  connect(&m_service, &TryService::token, this, [this](int i, const GeneratedToken& token) { m_columns[static_cast<std::size_t>(i)]->add(token); });
  connect(&m_service, &TryService::finished, this, [this](int i, const GenerateResult& result) {
    TryColumn* column = m_columns[static_cast<std::size_t>(i)];
    column->end(result);
    if (i > 0) column->compareWith(m_columns.front()->tokens());
  });
  connect(&m_service, &TryService::columnFailed, this, [this](int i, const Failure& failure) { m_columns[static_cast<std::size_t>(i)]->fail(failure); });
  connect(&m_service, &TryService::allDone, this, [this] {
    setRunning(false);
    emit allDone();
  });
  setRunning(false);
}

void TryPage::setRunning(bool running) {
  m_ask->setEnabled(!running);
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
  m_stack->setCurrentIndex(any ? 1 : 0);
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
  QString prompt = m_prompt->toPlainText();
  prompt.replace(QLatin1Char('\''), QStringLiteral("'\\''"));
  QString line = QStringLiteral("retort generate '%1' --prompt '%2' --tokens %3").arg(toQString(m_snapshot->source->path.string()), prompt).arg(m_tokens->value());
  line += m_temperature->value() > 0 ? QStringLiteral(" --temperature %1 --seed 0").arg(m_temperature->value()) : QStringLiteral(" --greedy");
  if (m_chat->isChecked()) line += QStringLiteral(" --chat");
  m_command->setCode(line);
}

void TryPage::start() {
  if (m_service.isRunning() || !services().study.study()) return;
  TryRequest request;
  request.study = services().study.study();
  for (TryColumn* column : m_columns) {
    column->clear();
    request.candidates.push_back(column->candidate());
  }
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
