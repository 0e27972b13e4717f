// TryColumn: one candidate's answer, streaming, with the first token that parts from the original's marked.
#pragma once

#include <QFrame>
#include <vector>

#include "core/model/generate.h"
#include "ui/services/failure.h"

class QComboBox;
class QLabel;
class QTextBrowser;

namespace retort::ui {

class TryColumn : public QFrame {
  Q_OBJECT
 public:
  explicit TryColumn(int number, QWidget* parent = nullptr);

  void setCandidates(const std::vector<std::pair<std::int64_t, QString>>& candidates, bool fixedToFirst);
  std::int64_t candidate() const;
  void setCandidate(std::int64_t id);

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

 private:
  void render(std::size_t parting, const QString& note);

  QComboBox* m_choice;
  QLabel *m_rate, *m_parting;
  QTextBrowser* m_text;
  std::vector<GeneratedToken> m_tokens;
};

}  // namespace retort::ui
