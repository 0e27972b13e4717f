// The tab of an ONNX graph that puts it beside its INT8: inputs chosen, made and run in a worker, a column for each graph.
#pragma once

#include <QThreadPool>
#include <QWidget>
#include <memory>

#include "ui/services/graph_compare.h"

class QLabel;
class QPushButton;
class QTableWidget;

namespace retort::ui {

class CodeBox;
class Notice;

class CompareView : public QWidget {
  Q_OBJECT
 public:
  explicit CompareView(QWidget* parent = nullptr);
  ~CompareView() override;
  // Another graph: what is running stops, what is shown goes. Empty: none. `runs`: whether Retort runs it as f32.
  void setGraph(const QString& path, bool runs);
  // `compared` empty: the same inputs.
  void setInputs(const QString& calibration, const QString& compared);
  bool isRunning() const { return m_job != nullptr; }

 public slots:
  void start();

 signals:
  void finished();

 private:
  QPushButton* addChooser(class QGridLayout* grid, int row, const QString& what, QLabel*& shown);
  void choose(bool calibration);
  void stop();
  void refresh();
  void fill(const GraphComparison& comparison);

  QString m_path, m_calibration, m_data;
  bool m_runs = false;
  std::shared_ptr<JobContext> m_job;
  QLabel *m_calibrationLabel = nullptr, *m_dataLabel = nullptr, *m_progress, *m_note;
  QPushButton *m_start, *m_stop;
  Notice* m_problem;
  QTableWidget* m_table;
  CodeBox* m_command;
  QThreadPool m_pool;
};

}  // namespace retort::ui
