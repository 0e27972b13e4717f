// English sentences for errors. The one table of texts in core: the command line prints it, ui passes it
// through tr().
#pragma once

#include <string>

#include "core/base/result.h"

namespace retort {

// "truncated file": the code's short name, stable, for --json.
std::string_view error_name(ErrorCode code) noexcept;
// One line: file, place, cause, and the next step.
std::string error_text(const Error& error);
// The exit code of the command line: 1 the answer is no, 3 bad input, 4 memory or disk, 5 stopped.
int exit_code(ErrorCode code) noexcept;

}  // namespace retort
