// The Try page: one prompt, two to four candidates side by side (the original first), the same seed, streaming.
#pragma once

#include <memory>
#include <vector>

#include "ui/page.h"
#include "ui/services/try_service.h"

class QCheckBox;
class QHBoxLayout;
class QLabel;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;
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

  SnapshotPtr m_snapshot;
  QStackedWidget* m_stack;
  QPlainTextEdit* m_prompt;
  QSpinBox* m_tokens;
  QDoubleSpinBox* m_temperature;
  QCheckBox* m_chat;
  QPushButton *m_ask, *m_stop, *m_more, *m_fewer;
  QHBoxLayout* m_row;
  std::vector<TryColumn*> m_columns;
  CodeBox* m_command;
  TryService m_service;
};

}  // namespace retort::ui
