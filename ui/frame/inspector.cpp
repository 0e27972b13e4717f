#include "ui/frame/inspector.h"

#include <QTimer>
#include <QVBoxLayout>

#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/facts.h"
#include "ui/widgets/sparkline.h"

namespace retort::ui {

Inspector::Inspector(Services& services, QWidget* parent) : QScrollArea(parent), m_services(services) {
  setWidgetResizable(true);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setFrameShape(QFrame::NoFrame);
  setAccessibleName(tr("Inspector"));
  setMinimumWidth(240);
  build();
  const auto again = [this] {
    m_shown.clear();
    refresh();
  };
  connect(&services.selection, &Selection::changed, this, &Inspector::refresh);
  connect(&services.selection, &Selection::pinsChanged, this, again);
  connect(&services.selection, &Selection::tensorChanged, &services.model, &ModelService::requestStatistics);
  connect(&services.model, &ModelService::loadedChanged, this, again);
  connect(&Theme::instance(), &Theme::changed, this, again);
  connect(&services.model, &ModelService::graphChanged, this, again);
  connect(&services.model, &ModelService::statisticsReady, this, [this, again](const auto& statistics) {
    m_statistics = statistics;
    m_readPart = 0;
    again();
  });
  connect(&services.model, &ModelService::statisticsProgress, this, [this](const QString& tensor, double part) {
    m_readPart = part;
    if (m_services.selection.kind() == Selection::Kind::Tensor && m_services.selection.tensor() == tensor) m_valuesNote->setText(valuesNote(tensor, true));
  });
  refresh();
}

Inspector::Section Inspector::addSection(const QString& heading, QWidget* body) {
  Section section{new QWidget, makeHeading(heading)};
  auto* column = new QVBoxLayout(section.box);
  column->setContentsMargins(0, kGapSmall, 0, 0);
  column->setSpacing(kGap);
  column->addWidget(makeLine(Qt::Horizontal));
  column->addWidget(section.heading);
  column->addWidget(body);
  section.box->hide();
  widget()->layout()->addWidget(section.box);
  return section;
}

void Inspector::build() {
  auto* body = new QWidget;
  auto* column = new QVBoxLayout(body);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  column->setSpacing(kGap);
  setWidget(body);
  const auto wrapped = [column](Tone tone, Theme::Size size, bool emphasis = false) {
    auto* text = new WrappedText(tone, Theme::instance().font(size, emphasis));
    column->addWidget(text);
    return text;
  };
  m_kind = wrapped(Tone::Muted, Theme::Size::Small);
  m_title = wrapped(Tone::Normal, Theme::Size::Body, true);
  m_plain = wrapped(Tone::Muted, Theme::Size::Small);
  m_note = wrapped(Tone::Muted, Theme::Size::Small);
  m_text = wrapped(Tone::Normal, Theme::Size::Small);
  m_facts = new FactGrid;
  column->addWidget(m_facts);
  m_damage = new FactGrid;
  m_damageSection = addSection({}, m_damage);
  m_fallback = new WrappedText(Tone::Muted, Theme::instance().font(Theme::Size::Small));
  m_fallbackSection = addSection({}, m_fallback);
  m_recipe = new CodeBox(tr("recipe"));
  m_recipeSection = addSection(tr("Recipe"), m_recipe);
  m_command = new CodeBox(tr("command line"));
  m_commandSection = addSection(tr("Command line"), m_command);
  m_provenance = new FactGrid;
  m_provenanceSection = addSection(tr("Provenance"), m_provenance);
  auto* values = new QWidget;
  auto* inside = new QVBoxLayout(values);
  inside->setContentsMargins(0, 0, 0, 0);
  m_valuesNote = new WrappedText(Tone::Muted, Theme::instance().font(Theme::Size::Small));
  m_histogram = new Sparkline(tr("Histogram of the values, logarithmic"));
  m_values = new FactGrid;
  inside->addWidget(m_valuesNote);
  inside->addWidget(m_histogram);
  inside->addWidget(m_values);
  m_valuesSection = addSection(tr("Values"), values);
  const auto peaks = [](Sparkline* line, WrappedText*& words) {
    auto* box = new QWidget;
    auto* inner = new QVBoxLayout(box);
    inner->setContentsMargins(0, 0, 0, 0);
    inner->setSpacing(kGapSmall);
    words = new WrappedText(Tone::Muted, Theme::instance().font(Theme::Size::Small));
    inner->addWidget(line);
    inner->addWidget(words);
    return box;
  };
  m_peaks = new Sparkline(tr("Largest magnitude per output row"));
  m_peaksSection = addSection(tr("Largest magnitude per row"), peaks(m_peaks, m_peaksWords));
  m_columns = new Sparkline(tr("Largest magnitude per input column"));
  m_columnsSection = addSection(tr("Largest magnitude per column"), peaks(m_columns, m_columnsWords));
  column->addStretch(1);
}

void Inspector::showSection(const Section& section, bool on, const QString& heading) {
  if (!heading.isEmpty()) setTextOf(section.heading, heading);
  section.box->setVisible(on);
}

void Inspector::hideAll() {
  for (WrappedText* text : {m_plain, m_note, m_text}) text->hide();
  for (const Section& section : {m_damageSection, m_fallbackSection, m_recipeSection, m_commandSection, m_provenanceSection, m_valuesSection, m_peaksSection, m_columnsSection})
    section.box->hide();
  m_facts->clear();
  m_damage->clear();
  m_provenance->clear();
}

void Inspector::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  refresh();
}

const CandidateInfo* Inspector::selected() const {
  if (m_snapshot && m_services.selection.candidate())
    for (const CandidateInfo& info : m_snapshot->candidates)
      if (info.id == *m_services.selection.candidate()) return &info;
  return nullptr;
}

// What is shown, in one line: an equal line means that nothing has to be filled again.
QString Inspector::key(const CandidateInfo* candidate) const {
  const Selection& selection = m_services.selection;
  const QString kind = QString::number(static_cast<int>(selection.kind()));
  switch (selection.kind()) {
    case Selection::Kind::Candidate:
      if (!candidate) break;
      return kind + QStringLiteral("%1|%2|%3|%4|%5|%6|%7")
                        .arg(candidate->id).arg(static_cast<int>(candidate->state)).arg(candidate->evaluations.size())
                        .arg(candidate->bench.has_value()).arg(candidate->bytes).arg(recipe_digest(candidate->recipe).hex().c_str())
                        .arg(QString::fromStdString(candidate->name + candidate->failure));
    case Selection::Kind::Tensor: {
      // Damage of a tensor grows while candidates are made.
      std::size_t made = 0;
      if (m_snapshot)
        for (const CandidateInfo& info : m_snapshot->candidates) made += info.tensor_errors.contains(selection.tensor().toStdString());
      return kind + selection.tensor() + QString::number(made);
    }
    case Selection::Kind::Example:
      if (selection.example()) return kind + selection.example()->dataSet + QString::number(selection.example()->index);
      break;
    case Selection::Kind::Data: {
      QString text = kind + selection.data();
      if (m_snapshot)
        for (const DataInfo& set : m_snapshot->data) text += QStringLiteral("|%1%2").arg(toQString(set.name)).arg(static_cast<int>(set.role)) + toQString(set.overlap_warning);
      return text;
    }
    case Selection::Kind::Nothing: break;
  }
  if (!m_snapshot) return QStringLiteral("none");
  return QStringLiteral("study%1|%2|%3|%4").arg(toQString(m_snapshot->path.string())).arg(m_snapshot->candidates.size()).arg(m_snapshot->data.size()).arg(m_snapshot->store_bytes >> 20);
}

void Inspector::refresh() {
  const Selection& selection = m_services.selection;
  const CandidateInfo* candidate = selected();
  const QString now = key(candidate);
  if (now == m_shown) return;
  m_shown = now;
  m_steps.clear();
  setUpdatesEnabled(false);
  hideAll();
  if (selection.kind() == Selection::Kind::Candidate && candidate)
    showCandidate(*candidate);
  else if (selection.kind() == Selection::Kind::Tensor && !selection.tensor().isEmpty())
    showTensor(selection.tensor());
  else if (selection.kind() == Selection::Kind::Example && selection.example())
    showExample();
  else if (selection.kind() == Selection::Kind::Data && !selection.data().isEmpty())
    showData(selection.data());
  else
    showStudy();
  setUpdatesEnabled(true);
  if (!m_steps.empty() && !std::exchange(m_waiting, true)) QTimer::singleShot(0, this, &Inspector::fillNext);
}

void Inspector::fillNext() {
  m_waiting = false;
  if (m_steps.empty()) return;
  const auto step = std::move(m_steps.front());
  m_steps.pop_front();
  step();
  if (!m_steps.empty() && !std::exchange(m_waiting, true)) QTimer::singleShot(0, this, &Inspector::fillNext);
}

void Inspector::setHead(const QString& kind, const QString& title, const QString& plain) {
  m_kind->setText(kind);
  m_title->setText(title);
  m_plain->setText(plain);
  m_plain->setVisible(!plain.isEmpty());
}

void Inspector::setNote(const QString& text, Tone tone) {
  m_note->setTone(tone);
  m_note->setText(text);
  m_note->setVisible(!text.isEmpty());
}

}  // namespace retort::ui
