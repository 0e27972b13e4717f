#include "ui/pages/data/data_preview.h"

#include <QFile>
#include <nlohmann/json.hpp>

#include "core/formats/json_text.h"

namespace retort::ui {
namespace {

constexpr int kRows = 8;
constexpr qint64 kLongestLine = 1 << 16;

QString cell_text(const nlohmann::json& value) {
  if (value.is_string()) return QString::fromStdString(value.get<std::string>());
  if (value.is_array()) {
    QStringList parts;
    for (const auto& part : value) parts << cell_text(part);
    return parts.join(QStringLiteral(" | "));
  }
  return QString::fromStdString(formats::json_text(value));
}

// One row of a JSONL file; false when the line is not an object.
bool read_row(const QByteArray& line, DataPreview& preview) {
  const auto json = nlohmann::json::parse(line.constData(), line.constData() + line.size(), nullptr, false);
  if (!json.is_object()) return false;
  QStringList cells;
  for (const auto& [field, value] : json.items()) {
    const QString name = QString::fromStdString(field);
    if (!preview.fields.contains(name)) preview.fields << name;
  }
  for (const QString& field : preview.fields) {
    const auto found = json.find(field.toStdString());
    cells << (found == json.end() ? QString() : cell_text(*found));
  }
  preview.rows.push_back(std::move(cells));
  return true;
}

void read_raw(DataPreview& preview) {
  QFile file(preview.path);
  if (!file.open(QIODevice::ReadOnly)) return;
  preview.jsonl = preview.path.endsWith(QStringLiteral(".jsonl"), Qt::CaseInsensitive) ||
                  preview.path.endsWith(QStringLiteral(".json"), Qt::CaseInsensitive);
  if (!preview.jsonl) preview.fields = {QObject::tr("text")};
  while (static_cast<int>(preview.rows.size()) < kRows && !file.atEnd()) {
    const QByteArray line = file.readLine(kLongestLine).trimmed();
    if (line.isEmpty()) continue;
    if (!preview.jsonl)
      preview.rows.push_back({QString::fromUtf8(line)});
    else if (!read_row(line, preview))
      return;
  }
}

}  // namespace

DataPreview previewData(const CoreApi& api, const QString& path, const Columns& columns) {
  DataPreview preview;
  preview.path = path;
  read_raw(preview);
  if (!api.readData) {
    preview.failure = failureOf(Error{.code = ErrorCode::kUnsupported, .place = "this build"});
    return preview;
  }
  auto sets = api.readData(std::filesystem::path(path.toStdU16String()), columns);
  if (!sets) {
    preview.failure = failureOf(sets.error());
    return preview;
  }
  for (DataSet& set : *sets) {
    DataPreview::Set made;
    made.name = QString::fromStdString(set.name);
    made.kind = set.kind;
    made.examples = static_cast<std::int64_t>(set.examples.size());
    const auto count = std::min<std::size_t>(set.examples.size(), kRows);
    made.first.assign(std::make_move_iterator(set.examples.begin()),
                      std::make_move_iterator(set.examples.begin() + static_cast<std::ptrdiff_t>(count)));
    preview.sets.push_back(std::move(made));
  }
  return preview;
}

}  // namespace retort::ui
