// What a data set of the study covers: scripts, lengths, tokens, groups, where the right answers stand, and its first
// examples. Read from its file in a worker, when somebody looks at it.
#pragma once

#include <QString>
#include <QStringList>
#include <optional>
#include <utility>
#include <vector>

#include "core/study/snapshot.h"
#include "ui/services/core_api.h"
#include "ui/services/failure.h"
#include "ui/services/model_service.h"

namespace retort::ui {

struct DataCoverage {
  struct Line {
    QString what, value, unit, hover;
  };
  QString name;
  std::vector<Line> lines;
  std::vector<double> lengths;              // examples by tokens, 24 bins from 0 to the longest
  std::int64_t longest = 0;                 // tokens
  std::vector<QStringList> examples;        // the first ones: text, what is expected
  std::optional<Failure> failure;           // the file cannot be read any more
};

// Shares of letters by script ("Latin", 0.98), largest first; other characters are not letters.
std::vector<std::pair<QString, double>> scriptShares(const QString& text);

// Thread-safe; `loaded` may be null (nothing is said of tokens then). Large files are read to their first 4 MB of text.
DataCoverage coverageOf(const CoreApi& api, const DataInfo& set, const LoadedModelPtr& loaded);

}  // namespace retort::ui
