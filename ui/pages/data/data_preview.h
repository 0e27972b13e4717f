// What a data file looks like before it is added: its fields, its first rows, the sets that it makes. Read in a worker.
#pragma once

#include <QMetaType>
#include <QString>
#include <QStringList>
#include <vector>

#include "ui/services/core_api.h"
#include "ui/services/failure.h"

namespace retort::ui {

struct DataPreview {
  struct Set {
    QString name;
    DataKind kind = DataKind::kText;
    std::int64_t examples = 0;
    std::vector<Example> first;          // up to 8
  };
  QString path;
  bool jsonl = false;
  QStringList fields;                    // of the first rows, in the order met
  std::vector<QStringList> rows;         // up to 8 raw rows by field; plain text: its first lines
  std::vector<Set> sets;                 // as the columns say
  std::optional<Failure> failure;        // why it can't be used with these columns
};

// Thread-safe. The raw rows are there even when the columns do not fit.
DataPreview previewData(const CoreApi& api, const QString& path, const Columns& columns);

}  // namespace retort::ui
