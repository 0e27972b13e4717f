// How checks of a written file are shown: shared by export and verify.
#pragma once

#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>

#include "core/export/verify.h"

namespace retort::cli {

nlohmann::json checks_json(const VerifyReport& report);
void print_checks(const VerifyReport& report);

}  // namespace retort::cli
