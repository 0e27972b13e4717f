#include "ui/pages/export/export_page.h"

#include <QComboBox>
#include <QDesktopServices>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QSignalBlocker>
#include <QStackedWidget>
#include <QUrl>
#include <QVBoxLayout>

#include "core/base/files.h"
#include "ui/models/command_lines.h"
#include "ui/models/measures.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/facts.h"

namespace retort::ui {
namespace {

bool made(const CandidateInfo& candidate) {
  return (candidate.recipe.stages.empty() && candidate.recipe.student.empty()) || candidate.state == CandidateState::kDone || candidate.state == CandidateState::kMeasuring;
}

bool isInt8(const CandidateInfo& candidate) {
  for (const Stage& stage : candidate.recipe.stages)
    if (stage.level == "INT8") return true;
  return false;
}

QString checkTitle(const QString& id) {
  if (id == QStringLiteral("tensors")) return ExportPage::tr("Tensors the same");
  if (id == QStringLiteral("weights")) return ExportPage::tr("Weights the same");
  if (id == QStringLiteral("tokens")) return ExportPage::tr("Tokens the same");
  if (id == QStringLiteral("template")) return ExportPage::tr("Chat template the same");
  if (id == QStringLiteral("logits")) return ExportPage::tr("Answers the same (logits)");
  return id;
}

}  // namespace

PageStatus ExportPage::status(const StudySnapshot* study) {
  if (!study || !study->source) return {PageState::Empty, tr("No model is open")};
  for (const CandidateInfo& candidate : study->candidates)
    if (made(candidate)) return {PageState::Ready, tr("A candidate can be written")};
  return {PageState::Empty, tr("No candidate is made yet")};
}

Page* ExportPage::make(Services& services, QWidget* parent) { return new ExportPage(services, parent); }

ExportPage::ExportPage(Services& s, QWidget* parent) : Page(s, parent) {
  m_stack = new QStackedWidget(this);
  auto* empty = new EmptyState(QStringLiteral("export"), tr("Take it with you"), tr("The candidate that you choose becomes a file that llama.cpp, Ollama and LM Studio load, and is checked after writing. Make a candidate first."), m_stack);
  connect(empty->addButton(tr("Run the study"), QStringLiteral("run")), &QPushButton::clicked, this, [this] { emit pageWanted(QStringLiteral("run")); });
  m_stack->addWidget(empty);
  auto* content = new QWidget(m_stack);
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  column->setSpacing(kGapLarge);
  column->addWidget(buildForm());
  column->addWidget(buildResult());
  column->addWidget(buildReport());
  column->addStretch();
  m_stack->addWidget(content);
  auto* outer = new QVBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  outer->addWidget(m_stack);
  connect(&services().selection, &Selection::candidateChanged, this, [this](std::int64_t id) {
    if (const int at = m_choice->findData(QVariant::fromValue<qint64>(id)); at >= 0) m_choice->setCurrentIndex(at);
  });
  connect(&m_service, &ExportService::progress, this, [this](const Progress& now) {
    m_bar->setRange(0, 1000);
    m_bar->setValue(now.total > 0 ? static_cast<int>(1000 * now.done / now.total) : 0);
    m_step->setText(toQString(now.step));
  });
  connect(&m_service, &ExportService::finished, this, &ExportPage::showResult);
  connect(&m_service, &ExportService::failed, this, [this](const Failure& failure) {
    setRunning(false);
    m_notice->showFailure(failure);
  });
  setRunning(false);
}

QWidget* ExportPage::buildForm() {
  auto* card = new QFrame(this);
  card->setProperty("card", QStringLiteral("true"));
  auto* grid = new QGridLayout(card);
  grid->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  grid->setHorizontalSpacing(kGapLarge);
  grid->setVerticalSpacing(kGap);
  m_choice = new QComboBox(card);
  m_choice->setAccessibleName(tr("Candidate to export"));
  m_path = new QLineEdit(card);
  m_path->setAccessibleName(tr("File to write"));
  auto* browse = makeButton(tr("Choose …"), QStringLiteral("folder"), false, card);
  m_facts = new FactGrid(card, FactGrid::Values::BesideNames);
  m_notice = new Notice(card);
  m_start = makeButton(tr("Export and check"), QStringLiteral("export"), true, card);
  m_stop = makeButton(tr("Stop"), QStringLiteral("stop"), false, card);
  m_bar = new QProgressBar(card);
  m_bar->setTextVisible(false);
  m_bar->setMaximumHeight(6);
  m_step = makeLabel(QString(), Tone::Muted, Theme::Size::Small, false, card);
  m_command = new CodeBox(tr("Command line"), card);
  int row = 0;
  grid->addWidget(makeHeading(tr("Export")), row++, 0, 1, 3);
  grid->addWidget(makeLabel(tr("Candidate"), Tone::Muted), row, 0);
  grid->addWidget(m_choice, row++, 1, 1, 2);
  grid->addWidget(makeLabel(tr("Format"), Tone::Muted), row, 0);
  grid->addWidget(makeLabel(tr("GGUF  ·  runs in llama.cpp, Ollama, LM Studio and programs built on them")), row++, 1, 1, 2);
  grid->addWidget(makeLabel(tr("File"), Tone::Muted), row, 0);
  grid->addWidget(m_path, row, 1);
  grid->addWidget(browse, row++, 2);
  grid->addWidget(m_facts, row++, 1, 1, 2);
  grid->addWidget(m_notice, row++, 0, 1, 3);
  auto* line = new QHBoxLayout;
  line->addWidget(m_start);
  line->addWidget(m_stop);
  line->addWidget(m_step, 1);
  line->addStretch();
  grid->addLayout(line, row++, 0, 1, 3);
  grid->addWidget(m_bar, row++, 0, 1, 3);
  grid->addWidget(m_command, row++, 0, 1, 3);
  grid->setColumnStretch(1, 1);
  m_notice->hide();
  connect(m_choice, &QComboBox::currentIndexChanged, this, &ExportPage::chosenChanged);
  connect(m_path, &QLineEdit::textEdited, this, [this] { m_ownPath = true; });
  connect(m_path, &QLineEdit::textChanged, this, &ExportPage::pathChanged);
  connect(browse, &QPushButton::clicked, this, [this] {
    const QString path = QFileDialog::getSaveFileName(this, tr("File to write"), m_path->text(), tr("GGUF files (*.gguf)"));
    if (path.isEmpty()) return;
    m_ownPath = true;
    m_path->setText(path);
  });
  connect(m_start, &QPushButton::clicked, this, &ExportPage::start);
  connect(m_stop, &QPushButton::clicked, &m_service, &ExportService::stop);
  return card;
}

ExportPage::~ExportPage() { m_pool.waitForDone(); }

QWidget* ExportPage::buildReport() {
  auto* card = new QFrame(this);
  card->setProperty("card", QStringLiteral("true"));
  auto* grid = new QGridLayout(card);
  grid->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  grid->setHorizontalSpacing(kGapLarge);
  grid->setVerticalSpacing(kGap);
  grid->setColumnStretch(1, 1);
  m_reportPath = new QLineEdit(card);
  m_reportPath->setAccessibleName(tr("Report to write"));
  m_reportStart = makeButton(tr("Write report"), QStringLiteral("file"), false, card);
  m_reportOpen = makeButton(tr("Open report"), QStringLiteral("right"), false, card);
  m_reportOpen->hide();
  m_reportNotice = new Notice(card);
  m_reportCommand = new CodeBox(tr("command line of the report"), card);
  grid->addWidget(makeHeading(tr("Report")), 0, 0);
  grid->addWidget(makeLabel(tr("One HTML page: recommendation, charts, table, settings, digests and limits; nothing to install to read it"), Tone::Muted), 0, 1, 1, 2);
  grid->addWidget(makeLabel(tr("File"), Tone::Muted), 1, 0);
  grid->addWidget(m_reportPath, 1, 1);
  auto* buttons = new QHBoxLayout;
  buttons->addWidget(m_reportStart);
  buttons->addWidget(m_reportOpen);
  grid->addLayout(buttons, 1, 2);
  grid->addWidget(m_reportNotice, 2, 0, 1, 3);
  grid->addWidget(m_reportCommand, 3, 0, 1, 3);
  m_pool.setMaxThreadCount(1);
  connect(m_reportStart, &QPushButton::clicked, this, &ExportPage::writeReport);
  connect(m_reportOpen, &QPushButton::clicked, this, [this] { QDesktopServices::openUrl(QUrl::fromLocalFile(m_reportPath->text())); });
  connect(m_reportPath, &QLineEdit::textChanged, this, [this](const QString& path) {
    m_reportOpen->hide();
    m_reportStart->setEnabled(!path.isEmpty());
    if (m_snapshot) m_reportCommand->setCode(QStringLiteral("retort study report %1 -o %2").arg(shellWord(m_snapshot->path), shellWord(path)));
  });
  return card;
}

void ExportPage::writeReport() {
  if (!m_snapshot) return;
  m_reportStart->setEnabled(false);
  m_pool.start([this, snapshot = m_snapshot, path = m_reportPath->text()] {
    const auto written = write_report(*snapshot, std::filesystem::path(path.toStdU16String()));
    QMetaObject::invokeMethod(this, [this, written, path] {
      m_reportStart->setEnabled(true);
      m_reportOpen->setVisible(written.ok());
      if (!written) return m_reportNotice->showFailure(failureOf(written.error(), tr("The report")));
      m_reportNotice->hide();
      emit message(tr("%1 written").arg(path));
    }, Qt::QueuedConnection);
  });
}

QWidget* ExportPage::buildResult() {
  m_resultBox = new QFrame(this);
  m_resultBox->setProperty("card", QStringLiteral("true"));
  auto* column = new QVBoxLayout(m_resultBox);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  m_resultTitle = makeHeading(QString(), m_resultBox);
  column->addWidget(m_resultTitle);
  m_checks = new QGridLayout;
  m_checks->setHorizontalSpacing(kGap);
  m_checks->setVerticalSpacing(kGapSmall);
  m_checks->setColumnStretch(2, 1);
  column->addLayout(m_checks);
  m_open = makeButton(tr("Open folder"), QStringLiteral("folder"), false, m_resultBox);
  column->addWidget(m_open, 0, Qt::AlignLeft);
  connect(m_open, &QPushButton::clicked, this, [this] { QDesktopServices::openUrl(QUrl::fromLocalFile(QFileInfo(m_path->text()).absolutePath())); });
  m_resultBox->hide();
  return m_resultBox;
}

const CandidateInfo* ExportPage::chosen() const {
  if (!m_snapshot) return nullptr;
  const std::int64_t id = m_choice->currentData().toLongLong();
  for (const CandidateInfo& candidate : m_snapshot->candidates)
    if (candidate.id == id) return &candidate;
  return nullptr;
}

QString ExportPage::suggestedPath(const CandidateInfo& candidate) const {
  QString name = QFileInfo(toQString(m_snapshot->source->path.string())).completeBaseName();
  QString level = toQString(candidate.name).replace(QLatin1Char(' '), QLatin1Char('-'));
  level.remove(QLatin1Char('+')).remove(QChar(0x00b7)).remove(QLatin1Char(','));
  while (level.contains(QStringLiteral("--"))) level.replace(QStringLiteral("--"), QStringLiteral("-"));
  const QDir folder(QFileInfo(toQString(m_snapshot->path.string())).absolutePath());
  // Encoders from a folder have no GGUF form: they are written as a folder again.
  const bool asFolder = m_snapshot->source->kind != SourceKind::kLanguageModel && !m_snapshot->source->gguf;
  return folder.filePath(QStringLiteral("%1.%2%3").arg(name, level, asFolder ? QString() : QStringLiteral(".gguf")));
}

void ExportPage::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  const bool any = snapshot && status(snapshot.get()).state == PageState::Ready;
  m_stack->setCurrentIndex(any ? 1 : 0);
  if (!any) return;
  QString now;
  for (const CandidateInfo& candidate : snapshot->candidates)
    if (made(candidate)) now += QStringLiteral("%1 %2 %3|").arg(candidate.id).arg(toQString(candidate.name)).arg(candidate.bytes);
  if (m_reportOf != snapshot->path) {
    m_reportOf = snapshot->path;
    const QFileInfo file(QString::fromStdU16String(snapshot->path.u16string()));
    m_reportPath->setText(QDir(file.absolutePath()).filePath(file.completeBaseName() + QStringLiteral(".html")));
  }
  if (now == m_shown) return;   // a report of the run changes nothing here
  m_shown = now;
  std::int64_t keep = m_choice->currentData().toLongLong();
  if (keep == 0) keep = services().selection.candidate().value_or(snapshot->recommendation.candidate.value_or(0));
  {
    const QSignalBlocker quiet(m_choice);
    m_choice->clear();
    for (const CandidateInfo& candidate : snapshot->candidates)
      if (made(candidate)) m_choice->addItem(toQString(candidate.name) + (candidate.plain.empty() ? QString() : QStringLiteral("  ·  ") + toQString(candidate.plain)), QVariant::fromValue<qint64>(candidate.id));
    if (const int at = m_choice->findData(QVariant::fromValue<qint64>(keep)); at >= 0) m_choice->setCurrentIndex(at);
  }
  chosenChanged();
}

void ExportPage::chosenChanged() {
  const CandidateInfo* candidate = chosen();
  if (!candidate || m_service.isRunning()) return;
  if (!m_ownPath) m_path->setText(suggestedPath(*candidate));
  m_notice->hide();
  if (isInt8(*candidate)) {
    m_notice->showText(Notice::Kind::Warn, tr("GGUF has no type for INT8 with a scale per row, so this candidate cannot be written. Q8_0 is the closest: 8 bits with a scale per 32 weights."));
    m_notice->setRemedy(tr("Choose Q8_0"), this, [this] {
      for (const CandidateInfo& other : m_snapshot->candidates)
        if (!other.recipe.stages.empty() && other.recipe.stages.front().level == "Q8_0" && made(other))
          m_choice->setCurrentIndex(m_choice->findData(QVariant::fromValue<qint64>(other.id)));
    });
  }
  pathChanged();
}

void ExportPage::pathChanged() {
  const CandidateInfo* candidate = chosen();
  if (!candidate) return;
  m_facts->clear();
  const std::uint64_t room = free_disk_bytes(QFileInfo(m_path->text()).absolutePath().toStdString());
  m_facts->add(tr("Size"), Quantity{bytesQuantity(candidate->bytes).text(), tr("· %1 bits per weight").arg(significant(candidate->bits_per_weight, 3))});
  m_facts->add(tr("Free on that disk"), bytesQuantity(room), {}, room < candidate->bytes ? Tone::Bad : Tone::Normal);
  for (const char* id : {"kld", "accuracy", "decode", "memory"}) {
    const Measure& m = measure(QString::fromLatin1(id));
    if (m.figure(*candidate)) m_facts->add(m.title, Quantity{measureText(m, *candidate), m.unit}, m.hover);
  }
  m_start->setEnabled(!m_service.isRunning() && !isInt8(*candidate) && room >= candidate->bytes && !m_path->text().isEmpty());
  m_command->setCode(QStringLiteral("retort study export %1 %2 -o %3").arg(shellWord(m_snapshot->path), shellWord(toQString(candidate->name)), shellWord(m_path->text())));
}

void ExportPage::start() {
  const CandidateInfo* candidate = chosen();
  if (!candidate || !services().study.study()) return;
  m_notice->hide();
  m_resultBox->hide();
  m_service.start(services().study.study(), candidate->id, m_path->text(), m_snapshot->threads);
  setRunning(true);
}

void ExportPage::setRunning(bool running) {
  m_start->setEnabled(!running);
  m_stop->setVisible(running);
  m_bar->setVisible(running);
  m_step->setVisible(running);
  if (running) m_bar->setRange(0, 0);
  else pathChanged();
}

void ExportPage::showResult(const CheckedExport& result) {
  setRunning(false);
  clearLayout(m_checks);
  m_resultTitle->setText(result.check.passed() ? tr("Written and checked: %1, %2 bits per weight").arg(bytesQuantity(result.report.bytes).text(), QString::number(result.report.bits_per_weight, 'f', 2))
                                               : tr("Written, but the check failed: do not use this file"));
  int row = 0;
  for (const VerifyCheck& check : result.check.checks) {
    m_checks->addWidget(new IconLabel(check.passed ? QStringLiteral("check") : QStringLiteral("error"), check.passed ? Role::Good : Role::Bad, 16, m_resultBox), row, 0);
    m_checks->addWidget(makeLabel(checkTitle(toQString(check.name))), row, 1);
    auto* detail = makeLabel(toQString(check.detail), Tone::Muted, Theme::Size::Small);
    detail->setWordWrap(true);
    m_checks->addWidget(detail, row++, 2);
  }
  for (const std::string& note : result.report.notes) {
    m_checks->addWidget(new IconLabel(QStringLiteral("info"), Role::Muted, 16, m_resultBox), row, 0);
    auto* text = makeLabel(toQString(note), Tone::Muted);
    text->setWordWrap(true);
    m_checks->addWidget(text, row++, 1, 1, 2);
  }
  m_resultBox->show();
  emit message(tr("%1 written").arg(m_path->text()));
}

}  // namespace retort::ui
