// The small parts that every page is made of: labels by role, lines, empty states, notices, command lines.
// All follow the theme by themselves.
#pragma once

#include <QFrame>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>
#include <functional>

#include "ui/format.h"
#include "ui/services/failure.h"
#include "ui/theme.h"

class QHBoxLayout;
class QPainter;

namespace retort::ui {

enum class Tone { Normal, Muted, Good, Warn, Bad };

// A label that can be selected by mouse; `size` and `emphasis` by the theme.
// Sets the text only when it differs: an equal text would lay the window out again.
void setTextOf(QLabel* label, const QString& text);
QLabel* makeLabel(const QString& text, Tone tone = Tone::Normal, Theme::Size size = Theme::Size::Body,
                  bool emphasis = false, QWidget* parent = nullptr);
void setTone(QWidget* widget, Tone tone);
// The heading of a part of a page: emphasised, one size for all.
QLabel* makeHeading(const QString& text, QWidget* parent = nullptr);
QFrame* makeLine(Qt::Orientation orientation, QWidget* parent = nullptr);
QPushButton* makeButton(const QString& text, const QString& icon = {}, bool primary = false, QWidget* parent = nullptr);
QToolButton* makeToolButton(const QString& icon, const QString& name, QWidget* parent = nullptr);
// "12.3 <muted>MB</muted>" as rich text in the theme's colours.
QString richQuantity(const Quantity& quantity);
// Removes and deletes everything in a layout.
void clearLayout(QLayout* layout);

// A label that keeps an icon of the theme, tinted by role, at `size`.
class IconLabel : public QLabel {
  Q_OBJECT
 public:
  IconLabel(const QString& icon, Role role, int size, QWidget* parent = nullptr);
  void setIcon(const QString& icon, Role role);

 private:
  void refresh();
  QString m_icon;
  Role m_role;
  int m_size;
};

// What a page shows when it has nothing: what it is for, and the next action.
class EmptyState : public QWidget {
  Q_OBJECT
 public:
  EmptyState(const QString& icon, const QString& title, const QString& sentence, QWidget* parent = nullptr);
  QPushButton* addButton(const QString& text, const QString& icon = {}, bool primary = true);
  void setTexts(const QString& title, const QString& sentence);

 private:
  QLabel* m_title;
  QLabel* m_sentence;
  QHBoxLayout* m_buttons;
};

// One line that says what happened, with a button for the remedy; details unfold. Hidden until shown.
class Notice : public QFrame {
  Q_OBJECT
 public:
  enum class Kind { Info, Good, Warn, Bad };
  explicit Notice(QWidget* parent = nullptr);
  void showText(Kind kind, const QString& text, const QString& details = {});
  void showFailure(const Failure& failure);
  // The remedy; replaces an earlier one. An empty text removes it.
  void setRemedy(const QString& text, QObject* context = nullptr, std::function<void()> body = {});

 private:
  IconLabel* m_icon;
  QLabel* m_text;
  QLabel* m_details;
  QToolButton* m_more;
  QPushButton* m_remedy;
};

// A text that wraps, painted without the machinery of a label that can be selected: laying one out costs microseconds,
// and an inspector has many. Its context menu copies it.
class WrappedText : public QWidget {
  Q_OBJECT
 public:
  WrappedText(Tone tone, const QFont& font, QWidget* parent = nullptr);
  void setText(const QString& text);
  QString text() const { return m_text; }
  void setTone(Tone tone);
  // One line with its end cut off, the whole as tool tip.
  void setFolded(bool on);
  bool isCut() const;   // folded, and the line does not hold it

  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;
  bool hasHeightForWidth() const override { return true; }
  int heightForWidth(int width) const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;

 private:
  QString m_text;
  Tone m_tone;
  int layOut(int width, QPainter* painter) const;

  bool m_folded = false;
  mutable int m_width = -1, m_height = 0;
};

// A monospaced text (command line, JSON) with a button that copies it.
class CodeBox : public QFrame {
  Q_OBJECT
 public:
  explicit CodeBox(const QString& what, QWidget* parent = nullptr);
  void setCode(const QString& code);
  QString code() const { return m_code; }

 private:
  QString m_code;
  WrappedText* m_label;
  QToolButton* m_copy;
};

}  // namespace retort::ui
