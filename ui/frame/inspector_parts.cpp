// What the inspector says of each kind of thing.
#include <algorithm>

#include "ui/frame/inspector.h"
#include "ui/models/command_lines.h"
#include "ui/models/data_model.h"
#include "ui/models/measures.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/facts.h"
#include "ui/widgets/sparkline.h"

namespace retort::ui {
namespace {

bool isLabelled(const Evaluation& evaluation) { return hasAnswers(evaluation); }

// "0.0123 ± 0.0004": the interval only where a sample was read.
QString withError(double value, double error) {
  return error > 0 ? figureText(Figure{.value = value, .low = value - error, .high = value + error}) : significant(value, 3);
}

}  // namespace

void Inspector::showStudy() {
  if (!m_snapshot) {
    setHead({}, tr("Nothing is open"), tr("What you select on a page appears here: what it is, its figures, its recipe and its command line."));
    return;
  }
  const StudySnapshot& study = *m_snapshot;
  setHead(tr("Study"), toQString(study.name), tr("Select a candidate, a tensor, a data set or an example: it appears here."));
  if (study.source) {
    m_facts->add(tr("Model"), toQString(study.source->name));
    m_facts->add(tr("Parameters"), countQuantity(static_cast<double>(study.source->parameters)));
  }
  m_facts->add(tr("Candidates"), integer(static_cast<std::int64_t>(study.candidates.size())));
  m_facts->add(tr("Data sets"), integer(static_cast<std::int64_t>(study.data.size())));
  m_facts->add(tr("Context"), Quantity{integer(study.context), tr("tokens")}, tr("Of text evaluations and of the memory prediction"));
  m_facts->add(tr("Tensor store"), bytesQuantity(study.store_bytes));
  m_steps.emplace_back([this] {
    if (!m_snapshot) return;
    m_command->setCode(newStudyCommand(*m_snapshot));
    showSection(m_commandSection, true);
  });
}

void Inspector::showCandidate(const CandidateInfo& candidate) {
  setHead(candidate.is_original ? tr("Original") : tr("Candidate"), toQString(candidate.name), toQString(candidate.plain));
  if (candidate.state == CandidateState::kFailed)
    setNote(toQString(candidate.failure), Tone::Bad);
  else if (m_services.selection.pinned().contains(candidate.id))
    setNote(tr("Pinned (Space takes the pin off)"));
  fillFigures(candidate);
  const auto later = [this, id = candidate.id](void (Inspector::*fill)(const CandidateInfo&)) {
    m_steps.emplace_back([this, id, fill] {
      if (const CandidateInfo* now = selected(); now && now->id == id) (this->*fill)(*now);
    });
  };
  later(&Inspector::fillTexts);
  later(&Inspector::fillProvenance);
}

void Inspector::fillFigures(const CandidateInfo& candidate) {
  m_facts->add(candidate.bytes_predicted ? tr("Size, predicted") : tr("Size"), bytesQuantity(candidate.bytes));
  m_facts->add(tr("Bits per weight"), significant(candidate.bits_per_weight, 3));
  if (candidate.predicted_memory > 0) m_facts->add(tr("Memory, predicted"), bytesQuantity(candidate.predicted_memory));
  struct Line {
    const char* figure;
    QString name;
    double scale;
    const char* unit;
    const char* measure;
  };
  const Line lines[] = {{"kld_mean", tr("KL divergence"), 1, "", "kld"},
                        {"perplexity", tr("Perplexity"), 1, "", "perplexity"},
                        {"top1_agreement", tr("Same answer"), 100, "%", "agreement"},
                        {"accuracy", tr("Right answers"), 100, "%", "accuracy"},
                        {"macro_f1", tr("Macro F1"), 100, "%", "f1"}};
  for (const Line& line : lines)
    if (const auto figure = candidate.figure(line.figure))
      m_facts->add(line.name, Quantity{figureText(*figure, line.scale), QString::fromLatin1(line.unit)}, measure(QString::fromLatin1(line.measure)).hover);
  if (!candidate.bench) return;
  const BenchResult& bench = *candidate.bench;
  const bool generates = bench.decode_tokens_per_second > 0;
  if (generates) m_facts->add(tr("First token after"), secondsQuantity(bench.time_to_first_token_seconds));
  m_facts->add(generates ? tr("Prefill") : tr("Reads"), rateQuantity(bench.prefill_tokens_per_second, tr("tok")));
  if (generates) m_facts->add(tr("Decode"), rateQuantity(bench.decode_tokens_per_second, tr("tok")));
  m_facts->add(tr("p50 · 95 · 99"), Quantity{QStringLiteral("%1 · %2 · %3").arg(significant(1000 * bench.p50, 3), significant(1000 * bench.p95, 3), significant(1000 * bench.p99, 3)), tr("ms")},
               generates ? tr("Per generated token, over %n token(s)", nullptr, static_cast<int>(bench.token_seconds.size())) : tr("Per text, over %n text(s)", nullptr, static_cast<int>(bench.token_seconds.size())));
  m_facts->add(tr("Peak memory"), bytesQuantity(bench.peak_memory_bytes));
  if (!candidate.device_bench) return;
  const BenchResult& device = *candidate.device_bench;
  const QString on = toQString(device.device);
  m_facts->add(generates ? tr("GPU decode") : tr("GPU reads"), rateQuantity(generates ? device.decode_tokens_per_second : device.prefill_tokens_per_second, tr("tok")), on);
  m_facts->add(tr("GPU memory"), bytesQuantity(device.memory.total()), on);
  if (device.joules_per_token > 0) m_facts->add(tr("GPU energy"), Quantity{significant(1000 * device.joules_per_token, 3), tr("mJ a token")}, on);
}

void Inspector::fillTexts(const CandidateInfo& candidate) {
  if (!candidate.fallbacks.empty()) {
    const auto& [tensor, how] = candidate.fallbacks.front();
    m_fallback->setText(tr("Rows that do not fill a block take another type, as %1: %2.").arg(toQString(tensor), toQString(how)));
    showSection(m_fallbackSection, true, tr("%n fallback(s)", nullptr, static_cast<int>(candidate.fallbacks.size())));
  }
  if (!candidate.command_line.empty()) {
    m_command->setCode(toQString(candidate.command_line));
    showSection(m_commandSection, true);
  }
  if (const auto& json = m_services.study.api().recipeToJson) {
    m_recipe->setCode(toQString(json(candidate.recipe)));
    showSection(m_recipeSection, true);
  }
}

void Inspector::fillProvenance(const CandidateInfo& candidate) {
  if (m_snapshot->source) {
    const QString digest = toQString(m_snapshot->source->digest.hex());
    m_provenance->add(tr("Source"), toQString(m_snapshot->source->name));
    m_provenance->add(tr("SHA-256"), digest.left(12) + QStringLiteral("…"), digest);
  }
  if (candidate.bench) {
    m_provenance->add(tr("Device"), toQString(candidate.bench->device));
    m_provenance->add(tr("Speed with"), tr("%1 activations").arg(toQString(candidate.bench->activations)));
  }
  for (const auto& [set, evaluation] : candidate.evaluations)
    m_provenance->add(toQString(set), tr("%1 · %2 %3").arg(toQString(evaluation.task), integer(evaluation.n), evaluation.task == "classification" ? tr("texts") : isLabelled(evaluation) ? tr("prompts") : tr("tokens")),
                      tr("Computed with %1 activations in %2").arg(toQString(evaluation.activations), secondsQuantity(evaluation.seconds).text()));
  showSection(m_provenanceSection, !m_provenance->isEmpty());
}

void Inspector::showTensor(const QString& name) {
  setHead(tr("Tensor"), name, {});
  const TensorRow* row = m_services.model.tensor(name);
  if (row) {
    if (row->sourceName != row->name) m_facts->add(tr("In the file"), row->sourceName);
    m_facts->add(tr("Shape"), row->shape);
    m_facts->add(tr("Type"), row->typeName, row->typePlain);
    m_facts->add(tr("Weights"), countQuantity(static_cast<double>(row->elements)));
    m_facts->add(tr("Size"), bytesQuantity(row->bytes));
  }
  m_steps.emplace_back([this, name] { fillDamage(name); });
  m_steps.emplace_back([this, name, known = row != nullptr] { fillValues(name, known); });
}

void Inspector::fillDamage(const QString& name) {
  if (!m_snapshot) return;
  const std::string key = name.toStdString();
  for (const CandidateInfo& candidate : m_snapshot->candidates) {
    const auto error = candidate.tensor_errors.find(key);
    if (error == candidate.tensor_errors.end()) continue;
    const auto type = candidate.tensor_types.find(key);
    m_damage->add(toQString(candidate.name), Quantity{percent(error->second, 2), type == candidate.tensor_types.end() ? QString() : toQString(type->second)});
  }
  showSection(m_damageSection, !m_damage->isEmpty(), tr("Relative error per candidate"));
}

void Inspector::fillValues(const QString& name, bool known) {
  const bool ready = m_statistics && toQString(m_statistics->name) == name;
  m_values->clear();
  m_valuesNote->setText(valuesNote(name, known));
  m_valuesNote->setVisible(!m_valuesNote->text().isEmpty());
  m_histogram->setVisible(ready);
  showSection(m_valuesSection, true);
  showSection(m_peaksSection, ready && m_statistics->row_peaks.size() > 1);
  showSection(m_columnsSection, ready && m_statistics->column_peaks.size() > 1);
  if (!ready) return;
  const TensorStatistics& s = *m_statistics;
  const QString least = s.is_sample() ? tr(" or less") : QString(), most = s.is_sample() ? tr(" or more") : QString();
  m_histogram->setValues(std::vector<double>(s.histogram.begin(), s.histogram.end()), significant(s.minimum, 3) + least, significant(s.maximum, 3) + most, true);
  m_values->add(tr("Mean"), withError(s.mean, s.mean_error));
  m_values->add(tr("Standard deviation"), withError(s.deviation, s.deviation_error));
  m_values->add(tr("Farthest value"), Quantity{significant(s.farthest(), 3) + most, tr("σ")}, tr("Distance from the mean in standard deviations: what stretches a scale"));
  m_values->add(tr("Beyond 6 deviations"), s.outliers_error > 0 && s.outliers > 0 ? QStringLiteral("%1 ± %2").arg(percent(s.outliers, 4), percent(s.outliers_error, 4))
                                           : s.outliers_error > 0 ? tr("below %1").arg(percent(s.outliers_error, 4)) : percent(s.outliers, 4),
                tr("Values that stretch a block's scale"));
  m_values->add(tr("Zeros"), percent(s.zeros, 2));
  if (s.non_finite > 0) m_values->add(tr("Not a number, or infinite"), integer(s.non_finite), {}, Tone::Bad);
  fillPeaks(m_peaks, s.row_peaks, tr("first row"), tr("last row"));
  fillPeaks(m_columns, s.column_peaks, tr("first column"), tr("last column"));
}

QString Inspector::valuesNote(const QString& name, bool known) const {
  if (!m_statistics || toQString(m_statistics->name) != name) return known ? tr("Reading the tensor …") : tr("Not part of the source's file.");
  const TensorStatistics& s = *m_statistics;
  if (!s.is_sample()) return {};
  const QString sample = tr("A sample of %1 of %2 values, 95 % intervals.").arg(countQuantity(static_cast<double>(s.read)).text(), countQuantity(static_cast<double>(s.elements)).text());
  return m_readPart > 0 ? tr("%1 Reading all: %2").arg(sample, percent(m_readPart, 0)) : sample;
}

// The scale of each row or column is its peak; a few high ones are what outliers do to quantization by rows.
void Inspector::fillPeaks(Sparkline* line, const std::vector<float>& peaks, const QString& first, const QString& last) {
  std::vector<double> shown(peaks.begin(), peaks.end());
  std::vector<float> seen;
  std::copy_if(peaks.begin(), peaks.end(), std::back_inserter(seen), [](float x) { return x >= 0; });
  if (seen.empty()) return line->setValues({}, first, last);
  std::sort(seen.begin(), seen.end());
  const float median = seen[seen.size() / 2];
  line->setValues(std::move(shown), first, last);
  const QString words = median > 0 ? tr("median %1, largest %2 (%3 times)").arg(significant(static_cast<double>(median), 3), significant(static_cast<double>(seen.back()), 3), significant(static_cast<double>(seen.back() / median), 2))
                                   : tr("largest %1").arg(significant(static_cast<double>(seen.back()), 3));
  line->setToolTip(words);
  (line == m_peaks ? m_peaksWords : m_columnsWords)->setText(words);
}

void Inspector::showExample() {
  const ExampleRef ref = *m_services.selection.example();
  setHead(tr("Example %1").arg(ref.index + 1), ref.dataSet, {});
  if (!m_snapshot) return;
  for (const CandidateInfo& candidate : m_snapshot->candidates) {
    const auto evaluation = candidate.evaluations.find(ref.dataSet.toStdString());
    if (evaluation == candidate.evaluations.end()) continue;
    const auto& rows = evaluation->second.rows;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Evaluation::Row& r) { return r.index == ref.index; });
    if (row == rows.end()) continue;
    if (m_damage->isEmpty()) {
      m_text->setText(toQString(row->text));
      m_text->show();
      if (!row->group.empty()) m_facts->add(tr("Group"), toQString(row->group));
    }
    const bool labelled = isLabelled(evaluation->second);
    m_damage->add(toQString(candidate.name),
                  labelled ? QStringLiteral("%1 %2").arg(toQString(row->answer).simplified().left(60), row->correct ? QStringLiteral("✓") : QStringLiteral("✗"))
                  : candidate.is_original ? tr("%1 nats of its own").arg(significant(row->score, 3))
                                          : tr("KLD %1").arg(significant(row->kld, 3)),
                  {}, labelled && !row->correct ? Tone::Bad : Tone::Normal);
  }
  showSection(m_damageSection, !m_damage->isEmpty(), tr("What each candidate gave"));
}

void Inspector::showData(const QString& name) {
  const DataInfo* set = nullptr;
  if (m_snapshot)
    for (const DataInfo& info : m_snapshot->data)
      if (toQString(info.name) == name) set = &info;
  setHead(tr("Data set"), name, set ? dataKindName(set->kind) : QString());
  if (!set) return;
  setNote(toQString(set->overlap_warning), Tone::Bad);
  m_facts->add(tr("Role"), dataRoleName(set->role));
  m_facts->add(tr("Examples"), integer(set->examples));
  if (set->tokens > 0) m_facts->add(tr("Tokens"), integer(set->tokens));
  if (set->tokens > 0 && set->examples > 1) m_facts->add(tr("Tokens per example"), significant(static_cast<double>(set->tokens) / static_cast<double>(set->examples), 3));
  m_facts->add(tr("File"), toQString(set->path.filename().string()), toQString(set->path.string()));
  for (const CandidateInfo& candidate : m_snapshot->candidates) {
    const auto evaluation = candidate.evaluations.find(set->name);
    if (evaluation == candidate.evaluations.end()) continue;
    const auto& figures = evaluation->second.figures;
    for (const char* figure : {"accuracy", "kld_mean", "perplexity"})
      if (const auto found = figures.find(figure); found != figures.end()) {
        const bool share = std::string_view(figure) == "accuracy";
        m_damage->add(toQString(candidate.name), Quantity{figureText(found->second, share ? 100 : 1), share ? QStringLiteral("%") : std::string_view(figure) == "kld_mean" ? QStringLiteral("KLD") : QStringLiteral("PPL")});
        break;
      }
  }
  showSection(m_damageSection, !m_damage->isEmpty(), tr("What candidates gave on it"));
  m_steps.emplace_back([this, line = dataCommand(*m_snapshot, *set)] {
    m_command->setCode(line);
    showSection(m_commandSection, !line.isEmpty());
  });
}

}  // namespace retort::ui
