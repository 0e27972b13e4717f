// The Try page: one prompt, two to four candidates side by side (the original first), the same seed, streaming. Blind,
// the columns are shuffled and unnamed until a vote; the tally is kept per study.
#pragma once

#include <memory>
#include <vector>

#include "ui/models/blind_tally.h"
#include "ui/page.h"
#include "ui/services/try_service.h"

class QCheckBox;
class QHBoxLayout;
class QLabel;
class QPlainTextEdit;
class QPushButton;
class QShortcut;
class QSpinBox;
class QToolButton;
class QStackedWidget;
class QDoubleSpinBox;

namespace retort::ui {

class CodeBox;
class TryColumn;

class TryPage : public Page {
  Q_OBJECT
 public:
  TryPage(Services& services, QWidget* parent);
  void setSnapshot(const SnapshotPtr& snapshot) override;

  // For screenshots and tests: asks the prompt; allDone() follows.
  void ask(const QString& prompt, const std::vector<std::int64_t>& candidates);
  // What the columns show, in their order; names are hidden until vote().
  std::vector<std::int64_t> shown() const;
  bool isVoting() const { return m_voting; }
  void setBlind(bool on);
  // 0: none is better. Shows the names.
  void vote(std::int64_t best);
  const BlindTally& tally() const { return m_tally; }

  static PageStatus status(const StudySnapshot* study);
  static Page* make(Services& services, QWidget* parent);

 signals:
  void allDone();

 private:
  QWidget* buildPrompt();
  void setColumnCount(int count);
  void fillColumns();
  void start();
  void showCommand();
  void setRunning(bool running);
  void connectService();
  QWidget* buildTally();
  void finishAnswers();
  void setVoting(bool on);
  void showTally();
  void loadTally();
  QString nameOf(std::int64_t id) const;
  std::int64_t originalId() const;

  SnapshotPtr m_snapshot;
  QString m_shown;             // the candidates of the choices
  QStackedWidget* m_stack;
  QPlainTextEdit* m_prompt;
  QSpinBox* m_tokens;
  QDoubleSpinBox* m_temperature;
  QCheckBox *m_chat, *m_blind;
  QPushButton *m_ask, *m_stop;
  QToolButton *m_more, *m_fewer;
  QWidget* m_tallyBox;
  QLabel* m_tallyText;
  QPushButton *m_noneBetter, *m_forget;
  std::vector<QShortcut*> m_voteKeys;
  BlindTally m_tally;
  QString m_tallyOf;           // the study that the tally belongs to
  bool m_voting = false, m_blindRun = false;
  QHBoxLayout* m_row;
  std::vector<TryColumn*> m_columns;
  CodeBox* m_command;
  TryService m_service;
};

}  // namespace retort::ui
