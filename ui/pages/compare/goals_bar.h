// GoalsBar: the user's limits as sliders over the range of what was measured, and the recommendation that follows.
#pragma once

#include <QFrame>
#include <vector>

#include "core/study/snapshot.h"

class QCheckBox;
class QHBoxLayout;
class QLabel;
class QPushButton;
class QSlider;
class QToolButton;

namespace retort::ui {

class WrappedText;

class GoalsBar : public QFrame {
  Q_OBJECT
 public:
  explicit GoalsBar(QWidget* parent = nullptr);
  void setSnapshot(const StudySnapshot& snapshot);

 signals:
  void goalsChanged(const Goals& goals);
  void recommendedChosen(std::int64_t id);

 private:
  struct Row {
    QString measure;
    std::optional<double> Goals::*goal;
    bool minimum;
    QCheckBox* on;
    QSlider* slider;
    QLabel* value;
    QWidget* cell;
    double low = 0, high = 1;
  };
  void addRow(const QString& text, const QString& measure, std::optional<double> Goals::*goal, bool minimum);
  double valueOf(const Row& row) const;
  void showValue(const Row& row);
  void emitGoals();

  std::vector<Row> m_rows;
  QHBoxLayout* m_line;
  WrappedText *m_take, *m_why, *m_runnerUp;
  QToolButton* m_more;
  QPushButton* m_show;
  std::optional<std::int64_t> m_recommended;
  bool m_filling = false;
};

}  // namespace retort::ui
