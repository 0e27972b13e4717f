#include "ui/frame/inspector.h"

#include <QVBoxLayout>
#include <algorithm>

#include "ui/format.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/sparkline.h"

namespace retort::ui {
namespace {

QString example_text(const Evaluation::Row& row) { return QString::fromStdString(row.text); }

}  // namespace

Inspector::Inspector(Services& services, QWidget* parent) : QScrollArea(parent), m_services(services) {
  setWidgetResizable(true);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setFrameShape(QFrame::NoFrame);
  setAccessibleName(tr("Inspector"));
  auto* body = new QWidget;
  m_column = new QVBoxLayout(body);
  m_column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  m_column->setSpacing(kGap);
  setWidget(body);
  setMinimumWidth(240);
  connect(&services.selection, &Selection::changed, this, &Inspector::refresh);
  connect(&services.selection, &Selection::pinsChanged, this, [this] {
    m_shown.clear();
    refresh();
  });
  connect(&services.selection, &Selection::tensorChanged, &services.model, &ModelService::requestStatistics);
  connect(&services.model, &ModelService::statisticsReady, this, [this](const auto& statistics) {
    m_statistics = statistics;
    m_shown.clear();
    refresh();
  });
  connect(&services.model, &ModelService::loadedChanged, this, [this] {
    m_shown.clear();
    refresh();
  });
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    m_shown.clear();
    refresh();
  });
  refresh();
}

void Inspector::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  refresh();
}

void Inspector::refresh() {
  const Selection& selection = m_services.selection;
  const CandidateInfo* candidate = nullptr;
  if (m_snapshot && selection.candidate())
    for (const CandidateInfo& info : m_snapshot->candidates)
      if (info.id == *selection.candidate()) candidate = &info;

  // What is shown, in one line: an equal line means that nothing has to be built again.
  QString key = QString::number(static_cast<int>(selection.kind()));
  if (selection.kind() == Selection::Kind::Candidate && candidate)
    key += QStringLiteral("%1|%2|%3|%4|%5|%6")
               .arg(candidate->id).arg(static_cast<int>(candidate->state)).arg(candidate->evaluations.size())
               .arg(candidate->bench.has_value()).arg(candidate->bytes)
               .arg(QString::fromStdString(candidate->name + candidate->failure));
  else if (selection.kind() == Selection::Kind::Tensor)
    key += selection.tensor();
  else if (selection.kind() == Selection::Kind::Example && selection.example())
    key += selection.example()->dataSet + QString::number(selection.example()->index) + (candidate ? QString::number(candidate->id) : QString());
  if (key == m_shown) return;
  m_shown = key;

  setUpdatesEnabled(false);
  clearLayout(m_column);
  if (selection.kind() == Selection::Kind::Candidate && candidate)
    showCandidate(*candidate);
  else if (selection.kind() == Selection::Kind::Tensor && !selection.tensor().isEmpty())
    showTensor(selection.tensor());
  else if (selection.kind() == Selection::Kind::Example && selection.example())
    showExample();
  else
    showNothing();
  m_column->addStretch();
  setUpdatesEnabled(true);
}

void Inspector::addTitle(const QString& kind, const QString& title, const QString& plain) {
  QLabel* over = makeLabel(kind, Tone::Muted, Theme::Size::Small);
  QLabel* name = makeLabel(title, Tone::Normal, Theme::Size::Body, true);
  name->setWordWrap(true);
  m_column->addWidget(over);
  m_column->addWidget(name);
  if (!plain.isEmpty()) addText(plain);
}

void Inspector::addHeading(const QString& text) {
  m_column->addSpacing(kGapSmall);
  m_column->addWidget(makeLine(Qt::Horizontal));
  m_column->addWidget(makeHeading(text));
}

void Inspector::addText(const QString& text, bool muted) {
  QLabel* label = makeLabel(text, muted ? Tone::Muted : Tone::Normal, Theme::Size::Small);
  label->setWordWrap(true);
  m_column->addWidget(label);
}

void Inspector::showNothing() {
  addText(tr("Select a candidate, a tensor or an example on any page: what it is, its figures, its recipe and its "
             "command line appear here."));
}

void Inspector::showCandidate(const CandidateInfo& candidate) {
  const bool pinned = m_services.selection.pinned().contains(candidate.id);
  addTitle(candidate.is_original ? tr("Original") : tr("Candidate"), QString::fromStdString(candidate.name),
           QString::fromStdString(candidate.plain));
  if (pinned) addText(tr("Pinned (Space takes the pin off)"));
  if (candidate.state == CandidateState::kFailed) {
    QLabel* failure = makeLabel(QString::fromStdString(candidate.failure), Tone::Bad, Theme::Size::Small);
    failure->setWordWrap(true);
    m_column->addWidget(failure);
  }

  auto* facts = new FactGrid;
  facts->add(candidate.bytes_predicted ? tr("Size, predicted") : tr("Size"), bytesQuantity(candidate.bytes));
  facts->add(tr("Bits per weight"), significant(candidate.bits_per_weight, 3));
  if (candidate.predicted_memory > 0) facts->add(tr("Memory, predicted"), bytesQuantity(candidate.predicted_memory));
  struct Line {
    const char* figure;
    QString name;
    double scale;
    const char* unit;
  };
  const Line lines[] = {{"kld_mean", tr("KL divergence"), 1, ""},
                        {"perplexity", tr("Perplexity"), 1, ""},
                        {"top1_agreement", tr("Same next token"), 100, "%"},
                        {"accuracy", tr("Right answers"), 100, "%"}};
  for (const Line& line : lines)
    if (const auto figure = candidate.figure(line.figure))
      facts->add(line.name, Quantity{figureText(*figure, line.scale), QString::fromLatin1(line.unit)});
  if (candidate.bench) {
    const BenchResult& bench = *candidate.bench;
    facts->add(tr("First word after"), secondsQuantity(bench.time_to_first_token_seconds));
    facts->add(tr("Prefill"), rateQuantity(bench.prefill_tokens_per_second, tr("tok")));
    facts->add(tr("Decode"), rateQuantity(bench.decode_tokens_per_second, tr("tok")));
    facts->add(tr("p50 · p95 · p99"), QStringLiteral("%1 · %2 · %3")
                                          .arg(secondsQuantity(bench.p50).text(), secondsQuantity(bench.p95).text(),
                                               secondsQuantity(bench.p99).text()));
    facts->add(tr("Peak memory"), bytesQuantity(bench.peak_memory_bytes));
  }
  m_column->addWidget(facts);

  if (!candidate.fallbacks.empty()) {
    addHeading(tr("%n fallback(s)", nullptr, static_cast<int>(candidate.fallbacks.size())));
    const auto& [tensor, how] = candidate.fallbacks.front();
    addText(tr("Rows that do not fill a block take another type, as %1: %2.")
                .arg(QString::fromStdString(tensor), QString::fromStdString(how)));
  }
  addHeading(tr("Recipe"));
  if (m_services.study.api().recipeToJson) {
    auto* recipe = new CodeBox(tr("recipe"));
    recipe->setCode(QString::fromStdString(m_services.study.api().recipeToJson(candidate.recipe)));
    m_column->addWidget(recipe);
  }
  if (!candidate.command_line.empty()) {
    addHeading(tr("Command line"));
    auto* command = new CodeBox(tr("command line"));
    command->setCode(QString::fromStdString(candidate.command_line));
    m_column->addWidget(command);
  }
  addHeading(tr("Provenance"));
  auto* provenance = new FactGrid;
  if (m_snapshot->source) {
    provenance->add(tr("Source"), QString::fromStdString(m_snapshot->source->name));
    provenance->add(tr("SHA-256"), QString::fromStdString(m_snapshot->source->digest.hex()).left(16) + QStringLiteral("…"),
                    QString::fromStdString(m_snapshot->source->digest.hex()));
  }
  if (candidate.bench) {
    provenance->add(tr("Device"), QString::fromStdString(candidate.bench->device));
    provenance->add(tr("Speed with"), QString::fromStdString(candidate.bench->activations) + tr(" activations"));
  }
  for (const auto& [set, evaluation] : candidate.evaluations)
    provenance->add(QString::fromStdString(set),
                    tr("%1 · %2 scored · %3").arg(QString::fromStdString(evaluation.task), integer(evaluation.n),
                                                  QString::fromStdString(evaluation.activations)));
  m_column->addWidget(provenance);
}

void Inspector::showTensor(const QString& name) {
  addTitle(tr("Tensor"), name, {});
  const LoadedModelPtr loaded = m_services.model.loaded();
  const TensorRow* row = nullptr;
  if (loaded)
    for (const TensorRow& candidate : loaded->tensors)
      if (candidate.name == name) row = &candidate;
  auto* facts = new FactGrid;
  if (row) {
    const auto& type = kernels::traits(row->type);
    if (row->sourceName != row->name) facts->add(tr("In the file"), row->sourceName);
    facts->add(tr("Shape"), row->shape);
    facts->add(tr("Type"), toQString(type.name), toQString(type.plain));
    facts->add(tr("Weights"), countQuantity(static_cast<double>(row->elements)));
    facts->add(tr("Size"), bytesQuantity(row->bytes));
  }
  m_column->addWidget(facts);

  if (m_snapshot) {
    auto* damage = new FactGrid;
    for (const CandidateInfo& candidate : m_snapshot->candidates) {
      const std::string key = name.toStdString();
      const auto error = candidate.tensor_errors.find(key);
      const auto type = candidate.tensor_types.find(key);
      if (error == candidate.tensor_errors.end()) continue;
      damage->add(QString::fromStdString(candidate.name),
                  Quantity{percent(error->second, 2), type == candidate.tensor_types.end() ? QString() : QString::fromStdString(type->second)});
    }
    if (!damage->isEmpty()) {
      addHeading(tr("Relative error per candidate"));
      m_column->addWidget(damage);
    } else {
      delete damage;
    }
  }

  addHeading(tr("Values"));
  if (!m_statistics || m_statistics->name != name) {
    addText(row ? tr("Reading the tensor …") : tr("Not part of the source's file."));
    return;
  }
  const TensorStatistics& s = *m_statistics;
  auto* histogram = new Sparkline(tr("Histogram of the values, logarithmic"));
  histogram->setValues(std::vector<double>(s.histogram.begin(), s.histogram.end()), significant(s.minimum, 3),
                       significant(s.maximum, 3), true);
  m_column->addWidget(histogram);
  auto* values = new FactGrid;
  values->add(tr("Mean"), significant(s.mean, 3));
  values->add(tr("Standard deviation"), significant(s.deviation, 3));
  values->add(tr("Beyond 6 deviations"), percent(s.outlierShare, 4), tr("Values that stretch a block's scale"));
  values->add(tr("Zeros"), percent(s.zeroShare, 2));
  m_column->addWidget(values);
  addHeading(tr("Largest magnitude per row"));
  auto* peaks = new Sparkline(tr("Largest magnitude per output row"));
  peaks->setValues(std::vector<double>(s.rowPeaks.begin(), s.rowPeaks.end()), tr("first row"), tr("last row"));
  m_column->addWidget(peaks);
}

void Inspector::showExample() {
  const ExampleRef ref = *m_services.selection.example();
  addTitle(tr("Example %1").arg(ref.index + 1), ref.dataSet, {});
  if (!m_snapshot) return;
  bool textShown = false;
  auto* answers = new FactGrid;
  for (const CandidateInfo& candidate : m_snapshot->candidates) {
    const auto evaluation = candidate.evaluations.find(ref.dataSet.toStdString());
    if (evaluation == candidate.evaluations.end()) continue;
    const auto& rows = evaluation->second.rows;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Evaluation::Row& r) { return r.index == ref.index; });
    if (row == rows.end()) continue;
    if (!textShown) {
      addText(example_text(*row), false);
      textShown = true;
    }
    const bool labelled = evaluation->second.task == "choice" || evaluation->second.task == "exact";
    answers->add(QString::fromStdString(candidate.name),
                 labelled ? QStringLiteral("%1 %2").arg(QString::fromStdString(row->answer), row->correct ? QStringLiteral("✓") : QStringLiteral("✗"))
                          : QStringLiteral("KLD %1").arg(significant(row->kld, 3)),
                 {}, labelled && !row->correct ? Tone::Bad : Tone::Normal);
  }
  addHeading(tr("What each candidate gave"));
  m_column->addWidget(answers);
}

}  // namespace retort::ui
