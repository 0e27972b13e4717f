// ProposalBar: "fit into so much": a limit of size, memory or latency, and below it the students that meet it. One click takes one.
#pragma once

#include <QThreadPool>
#include <QWidget>

#include "core/distill/propose.h"
#include "ui/services/model_service.h"
#include "ui/services/study_service.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QVBoxLayout;

namespace retort::ui {

class ProposalBar : public QWidget {
  Q_OBJECT
 public:
  explicit ProposalBar(StudyService& study, QWidget* parent = nullptr);
  ~ProposalBar() override;
  // What students are made of (null: not read yet), and the recipe that the rest is taken from.
  void setSource(const LoadedModelPtr& model, const distill::DistillRecipe& recipe);

 signals:
  void chosen(const retort::distill::StudentProposal& proposal);

 private:
  void ask();
  void say(const QString& text);
  void showProposals(const std::vector<distill::StudentProposal>& proposals);
  QString rowText(const distill::StudentProposal& proposal) const;

  StudyService& m_study;
  LoadedModelPtr m_model;
  distill::DistillRecipe m_recipe;
  QLineEdit* m_most;
  QComboBox* m_unit;
  QLabel* m_says;
  QWidget* m_list;
  QVBoxLayout* m_rows;
  quint64 m_request = 0;
  QThreadPool m_pool;
};

}  // namespace retort::ui
