// Capture: drives the real window without a person: a picture of every page, or every chart as a file. The scripts that
// make docs/screenshots and the charts of a headless run use it.
#pragma once

#include <QObject>
#include <QStringList>
#include <functional>
#include <vector>

namespace retort::ui {

class MainWindow;
class StudyService;

class Capture : public QObject {
  Q_OBJECT
 public:
  Capture(MainWindow& window, StudyService& study, QObject* parent = nullptr);

  // Every page as FOLDER/ID-SUFFIX.png. The Try page asks `prompt` first when it isn't empty. With `parts` also the linked
  // views of Compare and the tabs of Model, as ID-PART-SUFFIX.png.
  void pagesTo(const QString& folder, const QString& suffix, const QString& prompt, bool parts);
  // The views of the ONNX graph that is open, as graph-VIEW-SUFFIX.png. Needs no study.
  void graphTo(const QString& folder, const QString& suffix);
  // Every chart of the Compare page as PNG, SVG and CSV.
  void chartsTo(const QString& folder);
  // Begins when the study is open; finished() follows.
  void start();

 signals:
  void finished(const QStringList& problems);

 private:
  struct Step {
    int delay;                       // milliseconds after the step before
    std::function<void()> body;
  };
  void next();
  void selectStudent();
  void grab(const QString& path);

  MainWindow& m_window;
  StudyService& m_study;
  std::vector<Step> m_steps;
  std::size_t m_next = 0;
  bool m_needsStudy = true;
  bool m_waiting = false;            // for the Try page's answers
  QStringList m_problems;
};

}  // namespace retort::ui
