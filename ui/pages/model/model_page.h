// Model: what the source is, whether it is quantized already and what that means, what every level would make of it and
// where that fits; then the map, the tensors, the configuration and the tokenizer. An ONNX graph is shown instead when one
// was opened.
#pragma once

#include <QThreadPool>

#include "ui/page.h"
#include "ui/services/model_service.h"

class QLabel;
class QSlider;
class QStackedLayout;
class QTabWidget;
class QTimer;

namespace retort::ui {

class ColourBar;
class ConfigView;
class EmptyState;
class GraphView;
class LayerMap;
class LevelsStrip;
class Notice;
class TensorsView;

class ModelPage : public Page {
  Q_OBJECT
 public:
  ModelPage(Services& services, QWidget* parent);
  ~ModelPage() override;
  void setSnapshot(const SnapshotPtr& snapshot) override;
  void showPart(const QString& part) override;
  static PageStatus status(const StudySnapshot* study);

 private:
  QWidget* buildHeader();
  QWidget* buildTabs();
  void askModel();
  void refreshStack();
  void refreshHeader();
  void refreshModel();
  void refreshContext();
  void describeMachine();
  std::int64_t context() const;

  SnapshotPtr m_snapshot;
  std::shared_ptr<const Model> m_shown;   // whose tensors map and tables hold
  QLabel *m_name, *m_facts, *m_contextLabel;
  QSlider* m_context;
  QTimer* m_later;
  Notice *m_quantized, *m_problem;
  LevelsStrip* m_levels;
  QTabWidget* m_tabs;
  LayerMap* m_map;
  ColourBar* m_colours;
  TensorsView* m_tensors;
  ConfigView* m_config;
  QWidget* m_text;
  GraphView* m_graph;
  EmptyState* m_empty;
  QStackedLayout* m_stack;
  QThreadPool m_pool;
};

}  // namespace retort::ui
