// `retort-gui [STUDY.retort | MODEL]`: the window. With --screenshots or --save-charts it works without a person.
#include <QApplication>
#include <QCommandLineParser>
#include <QFileInfo>
#include <QTextStream>

#include "core/base/version.h"
#include "ui/capture.h"
#include "ui/main_window.h"
#include "ui/services/core_api.h"
#include "ui/services/model_service.h"
#include "ui/services/study_service.h"
#include "ui/theme.h"

using namespace retort::ui;

namespace {

struct Options {
  QString path, screenshots, suffix, charts, prompt;
  QSize size;
};

Options parse(QApplication& application) {
  QCommandLineParser parser;
  parser.setApplicationDescription(QStringLiteral("Retort: make language models smaller, and prove what that cost"));
  parser.addHelpOption();
  parser.addVersionOption();
  parser.addPositionalArgument(QStringLiteral("path"), QStringLiteral("A study (.retort), a GGUF file or a Hugging Face folder"), QStringLiteral("[path]"));
  const auto add = [&](const char* name, const char* help, const char* value) {
    parser.addOption({QString::fromLatin1(name), QString::fromLatin1(help), QString::fromLatin1(value)});
  };
  add("theme", "light, dark or system", "theme");
  add("size", "Size of the window, WIDTHxHEIGHT", "size");
  add("screenshots", "Save a picture of every page in this folder and end", "folder");
  add("suffix", "Ending of the pictures' names", "text");
  add("prompt", "What the Try page asks for its picture", "text");
  add("save-charts", "Save every chart of the study in this folder and end", "folder");
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
  if (theme == QStringLiteral("light")) Theme::instance().setMode(Theme::Mode::Light);
  if (theme == QStringLiteral("dark")) Theme::instance().setMode(Theme::Mode::Dark);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  QApplication application(argc, argv);
  QApplication::setApplicationName(QStringLiteral("retort"));
  QApplication::setApplicationDisplayName(QStringLiteral("Retort"));
  QApplication::setApplicationVersion(QString::fromUtf8(retort::kVersion.data(), static_cast<qsizetype>(retort::kVersion.size())));
  QApplication::setDesktopFileName(QStringLiteral("retort"));
  const Options options = parse(application);

  const CoreApi api = coreApi();
  StudyService study(api);
  ModelService model(api);
  MainWindow window(study, model);
  if (options.size.isValid()) window.resize(options.size);
  if (!options.path.isEmpty()) window.openPath(QFileInfo(options.path).absoluteFilePath());
  window.show();
  if (options.screenshots.isEmpty() && options.charts.isEmpty()) return QApplication::exec();

  Capture capture(window, study);
  if (!options.screenshots.isEmpty()) capture.pagesTo(options.screenshots, options.suffix, options.prompt);
  if (!options.charts.isEmpty()) capture.chartsTo(options.charts);
  QObject::connect(&capture, &Capture::finished, &application, [](const QStringList& problems) {
    for (const QString& problem : problems) QTextStream(stderr) << "retort-gui: " << problem << " could not be made\n";
    QApplication::exit(problems.isEmpty() ? 0 : 1);
  });
  capture.start();
  return QApplication::exec();
}
