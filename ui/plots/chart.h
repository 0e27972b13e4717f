// Chart: one picture of candidates that is also a table. Every chart follows the theme, can be walked by arrow keys, and
// can be drawn on any paint device, so that saving and the screen share one drawing. ChartFrame adds title and menu.
#pragma once

#include <QStringList>
#include <QWidget>
#include <cstdint>
#include <optional>
#include <vector>

class QAction;
class QLabel;
class QPainter;
class QHBoxLayout;
class QStackedLayout;
class QTableWidget;
class QToolButton;

namespace retort::ui {

// The chart's figures as text, first row the header: for the table view, copying and CSV.
struct ChartTable {
  QStringList header;
  std::vector<QStringList> rows;
  QString separated(QChar separator) const;   // tab for the clipboard, comma (quoted) for CSV
};

class Chart : public QWidget {
  Q_OBJECT
 public:
  explicit Chart(QWidget* parent = nullptr);

  virtual ChartTable table() const = 0;
  // The same picture as on the screen, `size` in device-independent pixels.
  virtual void drawTo(QPaintDevice* device, const QSize& size) = 0;
  // Ids in the order that arrow keys walk.
  virtual std::vector<std::int64_t> order() const = 0;

  std::optional<std::int64_t> selected() const { return m_selected; }
  void setSelected(std::optional<std::int64_t> id);

 signals:
  void chosen(std::int64_t id);
  void pinWanted(std::int64_t id);   // Space

 protected:
  virtual void selectionChanged() { update(); }
  // The frame that says that arrow keys go here; not part of saved pictures.
  void drawFocus(QPainter& painter) const;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  std::optional<std::int64_t> m_selected;
};

class ChartFrame : public QWidget {
  Q_OBJECT
 public:
  ChartFrame(const QString& title, Chart* chart, QWidget* parent = nullptr);

  Chart* chart() const { return m_chart; }
  void setTitle(const QString& title);
  // A choice of what the chart shows, in its head.
  void addControl(QWidget* control);
  // Without, the controls say what is shown; saved pictures have the title all the same.
  void setTitleShown(bool on);
  QString title() const;
  // What saved files say below the picture: study, device, data, version.
  void setProvenance(const QString& line);
  // PNG, SVG or CSV by the suffix; false when the file cannot be written.
  bool save(const QString& path, const QSize& size = QSize(900, 560));

 signals:
  void saveFailed(const QString& path);

 private:
  void askAndSave(const QString& suffix);
  void showTable(bool on);
  void fillTable();

  Chart* m_chart;
  QLabel* m_title;
  QToolButton* m_menu;
  QHBoxLayout* m_head;
  QStackedLayout* m_stack;
  QTableWidget* m_table = nullptr;
  QAction* m_provenanceAction;
  QString m_provenance;
};

}  // namespace retort::ui
