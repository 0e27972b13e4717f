#include "core/base/error_text.h"

#include <array>

namespace retort {
namespace {

struct Row {
  ErrorCode code;
  int exit;
  std::string_view name;
  std::string_view cause;
  std::string_view next_step;
};

constexpr std::array kRows = {
    Row{ErrorCode::kNotFound, 3, "not-found", "does not exist", "check the name"},
    Row{ErrorCode::kPermission, 3, "permission", "may not be read or written", "check the permissions or choose another folder"},
    Row{ErrorCode::kRead, 3, "read", "could not be read", "check the disk and try again"},
    Row{ErrorCode::kWrite, 3, "write", "could not be written", "check the disk and try again"},
    Row{ErrorCode::kDiskFull, 4, "disk-full", "no room is left on the disk", "free some space; finished work is kept"},
    Row{ErrorCode::kOutOfMemory, 4, "out-of-memory", "does not fit the memory", "close other programs, lower the context or choose a smaller level"},
    Row{ErrorCode::kTruncated, 3, "truncated", "the file ends before what its header promises", "download or copy it again"},
    Row{ErrorCode::kCorrupt, 3, "corrupt", "the content contradicts the format", "download or copy the file again"},
    Row{ErrorCode::kForeign, 3, "foreign", "is not a file of a format that Retort opens", "open a GGUF file or a folder with config.json and safetensors"},
    Row{ErrorCode::kUnsupported, 3, "unsupported", "is not supported", "see docs/models.md for what opens and runs"},
    Row{ErrorCode::kMissingPart, 3, "missing-part", "a part is missing", "put the named file beside the others"},
    Row{ErrorCode::kBadShape, 3, "bad-shape", "has another shape than the architecture says", "check that configuration and tensors belong together"},
    Row{ErrorCode::kNonFinite, 3, "non-finite", "holds NaN or infinity", "take an undamaged copy of the model"},
    Row{ErrorCode::kBadArgument, 2, "bad-argument", "cannot be used", "see --help"},
    Row{ErrorCode::kBadData, 3, "bad-data", "cannot be used as this kind of data", "see docs/data.md for the accepted forms"},
    Row{ErrorCode::kBadRecipe, 3, "bad-recipe", "is not a valid recipe", "see docs/recipes.md"},
    Row{ErrorCode::kConflict, 3, "conflict", "is in use or contradicts something else", "close the other user or change one of the two"},
    Row{ErrorCode::kCanceled, 5, "stopped", "was stopped", "start it again to go on; finished parts are kept"},
    Row{ErrorCode::kChildFailed, 3, "child-failed", "the measuring process ended without a result", "see its message above; close other programs and try again"},
    Row{ErrorCode::kCheckFailed, 1, "check-failed", "did not pass the check", "do not use this file; see the differences listed"},
    Row{ErrorCode::kInternal, 3, "internal", "failed because of a mistake in Retort", "please report it with this line"},
};

const Row& row(ErrorCode code) noexcept {
  for (const Row& candidate : kRows)
    if (candidate.code == code) return candidate;
  return kRows.back();
}

}  // namespace

std::string_view error_name(ErrorCode code) noexcept { return row(code).name; }
int exit_code(ErrorCode code) noexcept { return row(code).exit; }

std::string error_text(const Error& error) {
  const Row& r = row(error.code);
  std::string text;
  if (!error.file.empty()) text += error.file;
  if (!error.place.empty()) text += (text.empty() ? "" : ": ") + error.place;
  text += (text.empty() ? "" : ": ") + std::string(r.cause);
  if (error.offset) text += " (at byte " + std::to_string(*error.offset) + ")";
  if (!error.expected.empty() && !error.found.empty())
    text += ": expected " + error.expected + ", found " + error.found;
  else if (!error.expected.empty())
    text += ": expected " + error.expected;
  else if (!error.found.empty())
    text += ": " + error.found;
  text += ". Next: " + (error.next_step.empty() ? std::string(r.next_step) : error.next_step) + ".";
  return text;
}

}  // namespace retort
