// What the fast way of running a graph makes of its plan before the first run: steps between constants are computed once, and
// convolutions take in what follows them. The plan itself stays as it is, for calibration and for the reference.
#pragma once

#include "core/onnx/plan.h"

namespace retort::onnx {

// Errors: kOutOfMemory, kCanceled, and what a step between constants gives.
Result<std::shared_ptr<const Plan>> fused_plan(const Plan& plan, Memory& memory, const Device& device);

}  // namespace retort::onnx
