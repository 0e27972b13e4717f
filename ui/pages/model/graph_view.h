// An ONNX graph on the Model page: what it is in a line, whether it runs, then map, weights, operators and its INT8.
#pragma once

#include <QWidget>

#include "ui/models/operator_model.h"
#include "ui/page.h"
#include "ui/services/model_service.h"

class QLabel;
class QPushButton;
class QTabWidget;

namespace retort::ui {

class ColourBar;
class CompareView;
class GraphMap;
class Notice;
class TableView;
class TensorsView;

class GraphView : public QWidget {
  Q_OBJECT
 public:
  explicit GraphView(Services& services, QWidget* parent = nullptr);
  void showPart(const QString& part);
  // Whether there is a model to go back to.
  void setCanClose(bool can);

 signals:
  void openWanted();

 private:
  QWidget* buildHeader();
  void refresh();
  void refreshNotice(const LoadedGraph& graph);

  Services& m_services;
  QLabel *m_name, *m_facts, *m_ports;
  Notice *m_problem, *m_state;
  QPushButton* m_close;
  QTabWidget* m_tabs;
  GraphMap* m_map;
  ColourBar* m_colours;
  TensorsView* m_tensors;
  OperatorModel* m_operators;
  TableView* m_table;
  CompareView* m_compare;
};

}  // namespace retort::ui
