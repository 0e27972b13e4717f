// Where candidates lose: the staircase of sizes, that of one student's stages, damage by layer, by difficulty, by part of the data, and the worst
// examples. Tabs of the Compare page, linked by the selection.
#pragma once

#include <QPointer>

#include "ui/models/compare_figures.h"
#include "ui/page.h"

class QComboBox;
class QLabel;
class QTabWidget;

namespace retort::ui {

class ChartFrame;
class FlipsModel;
class HeatGrid;
class ProfileChart;
class SlicesModel;
class StairChart;
class TableView;
class WrappedText;

class LossViews : public QObject {
  Q_OBJECT
 public:
  // Adds its tabs.
  LossViews(Services& services, QTabWidget* tabs);
  void setSnapshot(const SnapshotPtr& snapshot);
  void setFigures(const CompareFigures& figures);
  void setSelected(std::int64_t id);
  // The tab of a part by name ("stairs", "stages", "layers", "difficulty", "flips", "slices"); null for others.
  QWidget* tab(const QString& part) const;
  std::vector<ChartFrame*> frames() const;

 signals:
  void chosen(std::int64_t id);

 private:
  QWidget* buildFlips();
  QWidget* buildSlices();
  QWidget* buildDifficulty();
  QWidget* buildStages();
  void fillStairs();
  void fillStages();
  void fillDifficulty();
  void fillSlices();
  void fillFlips();
  void fillLayers();
  void fillVisible();
  const CandidateInfo* candidate(std::int64_t id) const;

  Services& m_services;
  QTabWidget* m_tabs;
  SnapshotPtr m_snapshot;
  CompareFigures m_figures;
  std::int64_t m_selected = 0;
  QString m_flipsShown, m_layersShown;     // what these two tabs were filled for
  StairChart *m_stairs, *m_stages;
  HeatGrid* m_layers;
  ProfileChart* m_profile;
  QWidget* m_stagesTab;
  WrappedText* m_stagesWarning;
  ChartFrame *m_stairsFrame, *m_stagesFrame, *m_layersFrame, *m_profileFrame;
  QComboBox *m_profileChoice, *m_cut;
  FlipsModel* m_flips;
  SlicesModel* m_slices;
  QLabel *m_flipsSummary, *m_slicesNote;
  TableView *m_flipsTable, *m_slicesTable;
  QWidget *m_flipsTab, *m_slicesTab, *m_difficultyTab;
};

// Names for charts, that have little room: the importance matrix is left out where no twin without it makes it needed.
QString shortName(const StudySnapshot& study, const CandidateInfo& candidate);

}  // namespace retort::ui
