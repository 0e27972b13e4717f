// Failure: what the window says about an Error: one line with the cause, the remedy apart from it.
#pragma once

#include <QString>

#include "core/base/result.h"

namespace retort::ui {

struct Failure {
  QString text;      // place and cause
  QString remedy;    // the next step, as a sentence
  QString details;   // code, byte, expected and found, for the unfolding part
  ErrorCode code = ErrorCode::kInternal;
  QString sentences() const;   // both, for a line
};

// What a request was about goes before the cause: failureOf(error, tr("Opening the study")).
Failure failureOf(const Error& error, const QString& what = {});

}  // namespace retort::ui
