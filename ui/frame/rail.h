// The rail: the pages in the order of work, each with where it stands. Never forbids.
#pragma once

#include <QAbstractButton>
#include <QWidget>
#include <vector>

#include "ui/page.h"

namespace retort::ui {

class RailButton : public QAbstractButton {
  Q_OBJECT
 public:
  RailButton(const QString& title, const QString& icon, const QString& key, QWidget* parent);
  void setStatus(const PageStatus& status);
  PageStatus status() const { return m_status; }
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  QString m_icon, m_key;
  PageStatus m_status;
  bool m_shown = false;   // has a status
};

class Rail : public QWidget {
  Q_OBJECT
 public:
  Rail(const std::vector<PageEntry>& pages, QWidget* parent = nullptr);
  void setStatus(std::size_t page, const PageStatus& status);
  void setCurrent(int page);   // -1: none (the start page)
  RailButton* button(std::size_t page) const { return m_buttons[page]; }

 signals:
  void chosen(int page);

 private:
  std::vector<RailButton*> m_buttons;
};

}  // namespace retort::ui
