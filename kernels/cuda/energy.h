// Energy that a device has drawn, as NVML counts it. Its library is looked for when it is first asked.
#pragma once

#include <string>

#include "kernels/api/device_plugin.h"

namespace retort::cuda {

// Always fills `out`; available = 0 with a reason where there is no count.
void read_energy(const std::string& pci_bus_id, retort_energy& out);

}  // namespace retort::cuda
