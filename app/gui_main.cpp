// `retort-gui [STUDY.retort | MODEL]`: the window. With --screenshots or --save-charts it works without a person.
#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QElapsedTimer>
#include <QFileInfo>
#include <QIcon>
#include <QStyleFactory>
#include <QTextStream>
#include <QTimer>

#include "core/base/version.h"
#include "ui/capture.h"
#include "ui/english_plurals.h"
#include "ui/main_window.h"
#include "ui/services/core_api.h"
#include "ui/services/model_service.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/theme.h"

using namespace retort::ui;

namespace {

struct Options {
  QString path, screenshots, suffix, charts, prompt;
  QSize size;
  bool timeStart = false, parts = false;
};

Options parse(QApplication& application) {
  QCommandLineParser parser;
  parser.setApplicationDescription(QStringLiteral("Retort: make language models smaller, and prove what that cost"));
  parser.addHelpOption();
  parser.addVersionOption();
  parser.addPositionalArgument(QStringLiteral("path"), QStringLiteral("A study (.retort), a GGUF file, a Hugging Face folder or an ONNX graph"), QStringLiteral("[path]"));
  const auto add = [&](const char* name, const char* help, const char* value) {
    parser.addOption({QString::fromLatin1(name), QString::fromLatin1(help), QString::fromLatin1(value)});
  };
  add("theme", "light, dark or system", "theme");
  add("size", "Size of the window, WIDTHxHEIGHT", "size");
  add("screenshots", "Save a picture of every page in this folder and end", "folder");
  add("suffix", "Ending of the pictures' names", "text");
  add("prompt", "What the Try page asks for its picture", "text");
  add("save-charts", "Save every chart of the study in this folder and end", "folder");
  const QCommandLineOption timeStart(QStringLiteral("time-start"), QStringLiteral("Print the milliseconds to the first frame and end"));
  parser.addOption(timeStart);
  const QCommandLineOption parts(QStringLiteral("parts"), QStringLiteral("With --screenshots: also the tabs of Model and Compare"));
  parser.addOption(parts);
  parser.process(application);
  Options options;
  options.path = parser.positionalArguments().value(0);
  options.screenshots = parser.value(QStringLiteral("screenshots"));
  options.suffix = parser.value(QStringLiteral("suffix"));
  options.prompt = parser.value(QStringLiteral("prompt"));
  options.charts = parser.value(QStringLiteral("save-charts"));
  const QStringList size = parser.value(QStringLiteral("size")).split(QLatin1Char('x'));
  if (size.size() == 2) options.size = QSize(size[0].toInt(), size[1].toInt());
  const QString theme = parser.value(QStringLiteral("theme"));
  const QString wished = theme.isEmpty() ? Settings::value(Setting::ThemeMode).toString() : theme;
  if (wished == QStringLiteral("light")) Theme::instance().setMode(Theme::Mode::Light);
  if (wished == QStringLiteral("dark")) Theme::instance().setMode(Theme::Mode::Dark);
  options.timeStart = parser.isSet(timeStart);
  options.parts = parser.isSet(parts);
  return options;
}

// The sample's study, where `./run` has made it.
QString sampleStudy() {
  const QByteArray data = qgetenv("XDG_DATA_HOME");
  const QString base = data.isEmpty() ? QDir::homePath() + QStringLiteral("/.local/share") : QFile::decodeName(data);
  for (const char* name : {"sample-study", "tiny-study"}) {
    const QString path = QStringLiteral("%1/retort/studies/%2/%2.retort").arg(base, QLatin1String(name));
    if (QFileInfo::exists(path)) return path;
  }
  return {};
}

// Ends the program at the first painted frame, with the time that it took.
class FirstFrame : public QObject {
 public:
  explicit FirstFrame(const QElapsedTimer& clock) : m_clock(clock) {}
  bool eventFilter(QObject* watched, QEvent* event) override {
    if (event->type() == QEvent::Paint && !m_seen) {
      m_seen = true;
      QTimer::singleShot(0, qApp, [this] {
        QTextStream(stdout) << m_clock.elapsed() << " ms\n";
        QCoreApplication::quit();
      });
    }
    return QObject::eventFilter(watched, event);
  }

 private:
  const QElapsedTimer& m_clock;
  bool m_seen = false;
};

}  // namespace

int main(int argc, char** argv) {
  QElapsedTimer clock;
  clock.start();
  QApplication application(argc, argv);
  QApplication::setApplicationName(QStringLiteral("retort"));
  QApplication::setApplicationDisplayName(QStringLiteral("Retort"));
  QApplication::setApplicationVersion(QString::fromUtf8(retort::kVersion.data(), static_cast<qsizetype>(retort::kVersion.size())));
  QApplication::setOrganizationName(QStringLiteral("retort"));
  QApplication::setDesktopFileName(QStringLiteral("retort"));
  QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  EnglishPlurals plurals;
  QApplication::installTranslator(&plurals);
  Theme::instance();   // brings the icons with it
  QApplication::setWindowIcon(QIcon(QStringLiteral(":/icons/retort.svg")));
  const Options options = parse(application);

  const CoreApi api = coreApi();
  StudyService study(api);
  ModelService model(api);
  MainWindow window(study, model);
  if (options.size.isValid()) window.resize(options.size);
  if (!options.path.isEmpty()) window.openPath(QFileInfo(options.path).absoluteFilePath());
  window.setSample(sampleStudy());
  FirstFrame firstFrame(clock);
  if (options.timeStart) window.installEventFilter(&firstFrame);
  window.show();
  if (options.screenshots.isEmpty() && options.charts.isEmpty()) return QApplication::exec();

  Capture capture(window, study);
  if (!options.screenshots.isEmpty() && ModelService::isGraph(options.path)) capture.graphTo(options.screenshots, options.suffix);
  else if (!options.screenshots.isEmpty()) capture.pagesTo(options.screenshots, options.suffix, options.prompt, options.parts);
  if (!options.charts.isEmpty()) capture.chartsTo(options.charts);
  QObject::connect(&capture, &Capture::finished, &application, [](const QStringList& problems) {
    for (const QString& problem : problems) QTextStream(stderr) << "retort-gui: " << problem << " could not be made\n";
    QApplication::exit(problems.isEmpty() ? 0 : 1);
  });
  capture.start();
  return QApplication::exec();
}
