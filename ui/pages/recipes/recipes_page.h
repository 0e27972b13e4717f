// Recipes: presets on the left, the study's candidates in the middle, the editor of the selected recipe on the right.
#pragma once

#include "ui/models/candidate_model.h"
#include "ui/models/preset_model.h"
#include "ui/page.h"
#include "ui/services/model_service.h"

class QLabel;
class QPushButton;
class QToolButton;

namespace retort::ui {

class RecipeEditor;
class TableView;

class RecipesPage : public Page {
  Q_OBJECT
 public:
  RecipesPage(Services& services, QWidget* parent);
  void setSnapshot(const SnapshotPtr& snapshot) override;
  static PageStatus status(const StudySnapshot* study);

 private:
  QWidget* buildPresets();
  QWidget* buildCandidates();
  void connectParts();
  void refreshPresets();
  void refreshSelected();
  void addPreset();
  void duplicate();
  void remove();
  void move(int step);
  const CandidateInfo* selected() const;

  SnapshotPtr m_snapshot;
  bool m_filling = false;
  std::optional<MemoryByPart> m_memory;
  std::int64_t m_memoryContext = -1;
  PresetModel* m_presets;
  CandidateModel* m_candidates;
  TableView *m_presetTable, *m_candidateTable;
  RecipeEditor* m_editor;
  QLabel* m_hint;
  QPushButton* m_addPreset;
  QToolButton *m_duplicate, *m_remove, *m_up, *m_down, *m_undo;
};

}  // namespace retort::ui
