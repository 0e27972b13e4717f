#include "kernels/cuda/energy.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

namespace retort::cuda {
namespace {

// NVML's C interface, as its documentation has it.
using NvmlDevice = void*;
struct Nvml {
  int (*init)() = nullptr;
  int (*device_by_pci)(const char*, NvmlDevice*) = nullptr;
  int (*total_energy)(NvmlDevice, unsigned long long*) = nullptr;   // millijoules since the driver was loaded
  int (*power)(NvmlDevice, unsigned*) = nullptr;                    // milliwatts
  const char* reason = nullptr;
};

template <class F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

Nvml load() {
  Nvml nvml;
  void* const library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);   // kept for the program's life
  if (!library) {
    nvml.reason = "libnvidia-ml.so.1 isn't there";
    return nvml;
  }
  const bool all = find(library, "nvmlInit_v2", nvml.init) && find(library, "nvmlDeviceGetHandleByPciBusId_v2", nvml.device_by_pci) &&
                   find(library, "nvmlDeviceGetTotalEnergyConsumption", nvml.total_energy) && find(library, "nvmlDeviceGetPowerUsage", nvml.power);
  if (!all) nvml.reason = "NVML is too old to count energy";
  else if (nvml.init() != 0) nvml.reason = "NVML doesn't start";
  return nvml;
}

void refuse(retort_energy& out, const char* reason) {
  out.available = 0;
  std::strncpy(out.reason, reason, sizeof(out.reason) - 1);
}

}  // namespace

void read_energy(const std::string& pci_bus_id, retort_energy& out) {
  const std::uint32_t size = out.size;
  out = {};
  out.size = size;
  static const Nvml nvml = load();
  if (nvml.reason) return refuse(out, nvml.reason);
  NvmlDevice device = nullptr;
  unsigned long long millijoules = 0;
  unsigned milliwatts = 0;
  if (pci_bus_id.empty() || nvml.device_by_pci(pci_bus_id.c_str(), &device) != 0) return refuse(out, "NVML doesn't know the device");
  if (nvml.total_energy(device, &millijoules) != 0) return refuse(out, "the device doesn't count its energy");
  out.available = 1;
  out.joules = static_cast<double>(millijoules) * 1e-3;
  if (nvml.power(device, &milliwatts) == 0) out.watts = milliwatts * 1e-3;
}

}  // namespace retort::cuda
