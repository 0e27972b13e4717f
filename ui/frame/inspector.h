// The inspector: what the selection is, its figures, its recipe, its command line, its provenance. On every page the
// same; without a selection, the study itself. Shown in a dock. Its widgets are made once and refilled in steps, one per
// turn of the event loop, so that no selection and no snapshot holds up the window.
#pragma once

#include <QScrollArea>
#include <deque>
#include <functional>

#include "ui/page.h"
#include "ui/services/model_service.h"
#include "ui/widgets/basics.h"

namespace retort::ui {

class FactGrid;
class Sparkline;

class Inspector : public QScrollArea {
  Q_OBJECT
 public:
  explicit Inspector(Services& services, QWidget* parent = nullptr);
  void setSnapshot(const SnapshotPtr& snapshot);
  // Nothing is left to be filled: for tests and pictures.
  bool isSettled() const { return m_steps.empty(); }

 private:
  // A heading with what stands under it; hidden when that is empty.
  struct Section {
    QWidget* box;
    QLabel* heading;
  };
  Section addSection(const QString& heading, QWidget* body);
  void showSection(const Section& section, bool on, const QString& heading = {});
  void build();
  void refresh();
  void fillNext();
  QString key(const CandidateInfo* candidate) const;
  const CandidateInfo* selected() const;

  void showStudy();
  void showCandidate(const CandidateInfo& candidate);
  void fillFigures(const CandidateInfo& candidate);
  void fillTexts(const CandidateInfo& candidate);
  void fillProvenance(const CandidateInfo& candidate);
  void showTensor(const QString& name);
  void fillDamage(const QString& name);
  void fillValues(const QString& name, bool known);
  QString valuesNote(const QString& name, bool known) const;
  void fillPeaks(Sparkline* line, const std::vector<float>& peaks, const QString& first, const QString& last);
  void showExample();
  void showData(const QString& name);
  void setHead(const QString& kind, const QString& title, const QString& plain);
  void setNote(const QString& text, Tone tone = Tone::Muted);
  void hideAll();

  Services& m_services;
  SnapshotPtr m_snapshot;
  TensorStatisticsPtr m_statistics;
  double m_readPart = 0;                       // of the values, while all are read after a sample
  QString m_shown;                             // what the widgets show, so that equal snapshots fill nothing
  std::deque<std::function<void()>> m_steps;   // what is still to be filled
  bool m_waiting = false;

  WrappedText *m_kind, *m_title, *m_plain, *m_note, *m_text, *m_valuesNote, *m_peaksWords, *m_columnsWords, *m_fallback;
  FactGrid *m_facts, *m_damage, *m_provenance, *m_values;
  CodeBox *m_recipe, *m_command;
  Sparkline *m_histogram, *m_peaks, *m_columns;
  Section m_damageSection, m_fallbackSection, m_recipeSection, m_commandSection, m_provenanceSection, m_valuesSection, m_peaksSection, m_columnsSection;
};

}  // namespace retort::ui
