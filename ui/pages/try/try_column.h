// TryColumn: one candidate's answer, streaming, with the first token that parts from the original's marked. Blind, it
// has a letter instead of a name, and says neither rate nor parting until names are shown.
#pragma once

#include <QFrame>
#include <vector>

#include "core/model/generate.h"
#include "ui/services/failure.h"

class QComboBox;
class QLabel;
class QPushButton;
class QTextBrowser;

namespace retort::ui {

class TryColumn : public QFrame {
  Q_OBJECT
 public:
  explicit TryColumn(int number, QWidget* parent = nullptr);

  void setCandidates(const std::vector<std::pair<std::int64_t, QString>>& candidates, bool fixedToFirst);
  std::int64_t candidate() const;
  QString candidateName() const;
  void setCandidate(std::int64_t id);

  // Whose answer a blind column shows; 0: the chosen candidate's, by name.
  void setBlind(std::int64_t shown);
  std::int64_t shown() const { return m_blind != 0 ? m_blind : candidate(); }
  void reveal(const QString& name, bool preferred);
  void setVoting(bool on);

  void clear();
  void begin();
  void add(const GeneratedToken& token);
  void end(const GenerateResult& result);
  void fail(const Failure& failure);
  const std::vector<GeneratedToken>& tokens() const { return m_tokens; }
  // Marks where this answer parts from `original`; draws the text anew.
  void compareWith(const std::vector<GeneratedToken>& original);

 signals:
  void candidateChanged();
  void voted();

 private:
  void render(std::size_t parting, const QString& note);
  void showTexts();

  int m_number;
  std::int64_t m_blind = 0;
  bool m_hidden = false;      // names, rates and partings are not shown yet
  QComboBox* m_choice;
  QLabel *m_letter, *m_rate, *m_parting;
  QPushButton* m_vote;
  QTextBrowser* m_text;
  std::vector<GeneratedToken> m_tokens;
};

}  // namespace retort::ui
