// The folders are the architecture: each may include only what stands left of it (kernels, core, ui, app), and some
// libraries may be seen from one folder only. This test reads every include of the sources.
#include <QtTest>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct Include {
  fs::path file;      // relative to the source folder
  std::string what;   // as written between the quotes or brackets
};

std::vector<Include> includes_below(const std::string& folder) {
  static const std::regex kInclude("^\\s*#\\s*include\\s*[<\x22]([^>\x22]+)[>\x22]");
  std::vector<Include> includes;
  const fs::path root = RETORT_SOURCE_DIR;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
    std::ifstream file(entry.path());
    std::smatch match;
    for (std::string line; std::getline(file, line);)
      if (std::regex_search(line, match, kInclude)) includes.push_back({fs::relative(entry.path(), root), match[1]});
  }
  return includes;
}

bool starts(const std::string& text, std::string_view prefix) { return text.rfind(prefix, 0) == 0; }
bool is_qt(const std::string& what) {
  return (what.size() > 1 && what[0] == 'Q' && std::isupper(static_cast<unsigned char>(what[1]))) || starts(what, "Qt") || starts(what, "qcustomplot");
}
bool is_eigen(const std::string& what) { return starts(what, "Eigen/"); }
bool is_json(const std::string& what) { return starts(what, "nlohmann/"); }

}  // namespace

class LayersTest : public QObject {
  Q_OBJECT
 private slots:
  void foldersIncludeOnlyWhatStandsLeft() {
    const std::map<std::string, std::set<std::string>> allowed = {
        {"kernels", {"kernels"}},
        {"core", {"kernels", "core"}},
        {"ui", {"kernels", "core", "ui"}},
        {"app", {"kernels", "core", "ui", "app"}}};
    int seen = 0;
    for (const auto& [folder, left] : allowed)
      for (const Include& include : includes_below(folder)) {
        ++seen;
        for (const std::string other : {"kernels", "core", "ui", "app", "tests"})
          if (starts(include.what, other + "/"))
            QVERIFY2(left.count(other), qPrintable(QString::fromStdString(include.file.string() + " includes " + include.what)));
      }
    QVERIFY(seen > 100);  // the walk found the sources
  }

  void qtStaysInTheWindow() {
    for (const char* folder : {"kernels", "core", "app/cli"})
      for (const Include& include : includes_below(folder))
        QVERIFY2(!is_qt(include.what), qPrintable(QString::fromStdString(include.file.string() + " includes " + include.what)));
  }

  void librariesStayWhereTheyBelong() {
    for (const char* folder : {"kernels", "core", "ui", "app"})
      for (const Include& include : includes_below(folder)) {
        const std::string file = include.file.string();
        const std::string message = file + " includes " + include.what;
        if (starts(include.what, "dnnl") || starts(include.what, "oneapi/dnnl"))
          QVERIFY2(starts(file, "kernels/onednn/"), message.c_str());
        if (starts(include.what, "cuda") || starts(include.what, "cublas"))
          QVERIFY2(starts(file, "kernels/cuda/"), message.c_str());
        if (starts(include.what, "qcustomplot")) QVERIFY2(starts(file, "ui/plots/"), message.c_str());
        if (is_eigen(include.what)) QVERIFY2(starts(file, "core/"), message.c_str());
        // A large header: only headers about JSON itself may include it, so that the build stays short.
        if (is_json(include.what) && include.what != "nlohmann/json_fwd.hpp")
          QVERIFY2(include.file.extension() == ".cpp" || file.find("json") != std::string::npos, message.c_str());
        if (starts(include.what, "immintrin"))
          QVERIFY2(starts(file, "kernels/avx2/") || starts(file, "kernels/avx512/"), message.c_str());
      }
  }

  void kernelsThrowNothing() {
    const fs::path root = RETORT_SOURCE_DIR;
    for (const auto& entry : fs::recursive_directory_iterator(root / "kernels")) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);)
        QVERIFY2(!std::regex_search(line, std::regex("^\\s*throw\\b")), entry.path().c_str());
    }
  }
};

QTEST_APPLESS_MAIN(LayersTest)
#include "layers_test.moc"
