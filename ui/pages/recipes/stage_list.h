// StageList: the stages of a distillation as a short column of cards, in the order in which they run. Each says what
// trains in it, and has its level and what it does otherwise than the recipe.
#pragma once

#include <QWidget>
#include <vector>

#include "core/distill/distill_recipe.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QToolButton;
class QVBoxLayout;

namespace retort::ui {

class StageList : public QWidget {
  Q_OBJECT
 public:
  // `levels`: name beside code, and the code.
  StageList(std::vector<std::pair<QString, QString>> levels, QWidget* parent = nullptr);
  // `newHead`: the student gets classes of its own, whose head can be fitted first.
  void setStages(const std::vector<distill::TrainStage>& stages, bool newHead = false);
  const std::vector<distill::TrainStage>& stages() const { return m_stages; }

 signals:
  void edited(const std::vector<retort::distill::TrainStage>& stages);
  void refused(const QString& why);
  void detailsWanted(std::size_t stage);

 private:
  struct Card {
    QComboBox* level = nullptr;
    QLineEdit *steps = nullptr, *rate = nullptr;
  };
  void rebuild();
  QWidget* makeCard(std::size_t index);
  QLineEdit* makeNumber(const QString& name, const QString& unit, double value, std::size_t index, bool whole, const std::function<void(distill::TrainStage&, double)>& set);
  void fill();
  void takeCards();
  void addStage(distill::StageKind kind);
  void removeStage(std::size_t index);

  std::vector<std::pair<QString, QString>> m_levels;
  std::vector<distill::TrainStage> m_stages;
  std::vector<Card> m_cards;
  QVBoxLayout* m_column;
  QToolButton* m_add;
  bool m_filling = false, m_newHead = false;
};

}  // namespace retort::ui
