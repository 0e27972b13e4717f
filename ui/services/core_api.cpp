#include "ui/services/core_api.h"

namespace retort::ui {

CoreApi coreApi() {
  CoreApi api;
  api.describeHardware = &describe_hardware;
  api.measureLimits = &measure_limits;
  api.reportKernels = [] {
    std::vector<kernels::KernelReport> reports;
    kernels::report_kernels(
        [](void* context, const kernels::KernelReport& report) {
          static_cast<std::vector<kernels::KernelReport>*>(context)->push_back(report);
        },
        &reports);
    return reports;
  };
  return api;
}

}  // namespace retort::ui
