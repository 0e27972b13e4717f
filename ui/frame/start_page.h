// The start page: recent studies, a drop area, the sample. Shown while no study is open.
#pragma once

#include <QWidget>

class QVBoxLayout;

namespace retort::ui {

class StartPage : public QWidget {
  Q_OBJECT
 public:
  explicit StartPage(QWidget* parent = nullptr);
  void refresh();                          // the recent studies
  void setSample(const QString& path);     // empty: there is none, so no button for it

 signals:
  void openWanted();                       // asks with a file dialog
  void openFolderWanted();
  void pathChosen(const QString& path);    // a recent one, the sample, or a dropped file

 protected:
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dragLeaveEvent(QDragLeaveEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  void setHot(bool on);
  QWidget* m_drop;
  QWidget* m_recentBox;
  QVBoxLayout* m_recent;
  QWidget* m_sampleBox;
  QString m_sample;
};

}  // namespace retort::ui
