// What a file that Retort does not open seems to be, so that the refusal can say what to do about it.
#pragma once

#include <span>
#include <string>

#include "core/base/result.h"

namespace retort::formats {

// A kForeign error for `file`: what its first bytes look like, and the next step.
Error foreign_error(std::span<const std::byte> bytes, std::string file);

}  // namespace retort::formats
