#include "ui/services/graph_compare.h"

#include <QTemporaryDir>
#include <functional>

#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

constexpr int kRounds = 5;

std::filesystem::path asPath(const QString& text) { return std::filesystem::path(text.toStdU16String()); }

// "87.5 (75 – 94) %"
QString shareText(const onnx::Share& figure) {
  return QStringLiteral("%1 (%2 – %3)%4%").arg(significant(100 * figure.value, 3), significant(100 * figure.low, 2), significant(100 * figure.high, 2), QString(QChar(0x202f)));
}

QString verdictText(const onnx::Paired& against) {
  return against.better ? tr("better") : against.worse ? tr("worse") : tr("can't be told apart");
}

class Rows {
 public:
  explicit Rows(const std::vector<onnx::GraphFigures>& all) : m_all(all) {}

  void add(const QString& label, const std::function<QString(const onnx::GraphFigures&)>& cell, const QString& hover = {}) {
    ComparisonRow row{.label = label, .cells = {}, .hover = hover};
    for (const onnx::GraphFigures& graph : m_all) row.cells << cell(graph);
    m_rows.push_back(std::move(row));
  }
  void addHeading(const QString& label) {
    add(label, [](const onnx::GraphFigures&) { return QString(); });
    m_rows.back().heading = true;
  }
  // Of one output, by its name; nothing for the first graph, which the others are compared with.
  void addOf(const std::string& output, const QString& label, const std::function<QString(const onnx::OutputDifference&)>& text, const QString& hover = {}) {
    add(label, [&](const onnx::GraphFigures& graph) {
      const onnx::OutputDifference* const own = graph.output(output);
      return own ? text(*own) : QString();
    }, hover);
  }
  std::vector<ComparisonRow> take() { return std::move(m_rows); }

 private:
  const std::vector<onnx::GraphFigures>& m_all;
  std::vector<ComparisonRow> m_rows;
};

}  // namespace

Result<GraphComparison> compareWithInt8(const QString& graph, const QString& calibration, const QString& data, const JobContext& job) {
  try {
    const QTemporaryDir folder;
    if (!folder.isValid()) return Error{.code = ErrorCode::kWrite, .file = folder.path().toStdString(), .found = folder.errorString().toStdString()};
    RETORT_TRY(onnx::Int8Variants made, onnx::make_int8_variants(asPath(graph), asPath(calibration), asPath(folder.path()), {}, {}, job));
    GraphComparison out;
    RETORT_TRY(out.figures, onnx::compare_graphs(made.graphs, asPath(data), kRounds, {}, job));
    out.sensitivity = std::move(made.sensitivity);
    return out;
  } catch (const std::bad_alloc&) {
    return Error{.code = ErrorCode::kOutOfMemory};
  } catch (const std::exception& exception) {
    return Error{.code = ErrorCode::kInternal, .found = exception.what()};
  }
}

std::vector<ComparisonRow> comparisonRows(const GraphComparison& comparison) {
  const auto& all = comparison.figures;
  Rows rows(all);
  if (all.empty()) return {};
  rows.add(tr("File"), [](const auto& graph) { return bytesQuantity(graph.file_bytes).text(); });
  rows.add(tr("Weights"), [](const auto& graph) { return bytesQuantity(graph.weight_bytes).text(); });
  const QString runs = tr("Over %1 runs of a set of inputs, the graphs in turn. 8-bit values are expanded to f32 for computing: time says nothing about integer arithmetic")
                           .arg(integer(static_cast<std::int64_t>(all.front().seconds.size())));
  rows.add(tr("A run, median"), [](const auto& graph) { return secondsQuantity(onnx::median(graph.seconds)).text(); }, runs);
  rows.add(tr("95 of 100 runs within"), [](const auto& graph) { return secondsQuantity(onnx::within_95(graph.seconds)).text(); }, runs);
  if (all.front().answers) {
    rows.add(tr("Right answers of %1").arg(integer(static_cast<std::int64_t>(all.front().answers->right.size()))), [](const auto& graph) { return shareText(graph.answers->accuracy); },
             tr("With the 95 % interval (Wilson)"));
    rows.add(tr("against f32"), [](const auto& graph) { return graph.answers->against ? verdictText(*graph.answers->against) : QString(); }, tr("Paired, row by row"));
  }
  for (const onnx::OutputDifference& output : all.back().outputs) {
    rows.addHeading(toQString(output.name()));
    if (output.rows() > 0)
      rows.addOf(output.name(), tr("Same answer, of %1").arg(integer(output.rows())), [](const auto& own) { return shareText(own.agreement()); },
                 tr("Rows along the last axis whose greatest value stands where that of f32 does, with the 95 % interval (Wilson)"));
    rows.addOf(output.name(), tr("Difference, root mean square"), [](const auto& own) { return percent(own.relative_rms(), 2); }, tr("Relative to the root mean square in f32"));
    rows.addOf(output.name(), tr("Largest difference"), [](const auto& own) { return percent(own.relative_worst(), 2); }, tr("Relative to the greatest value in f32"));
    rows.addOf(output.name(), tr("Cosine"), [](const auto& own) { return QString::number(own.cosine(), 'f', 6); });
  }
  return rows.take();
}

}  // namespace retort::ui
