// Devices as backends: what there is, why there is none, and a backend that computes on one by its plug-in.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/backend.h"

namespace retort {

// Drivers and plug-ins are loaded only into processes that said so: the command line and its worker. Everywhere else a
// device is refused with that reason, so that a driver that fails takes down no window. Call it before the first backend.
void permit_devices() noexcept;

struct DeviceDescription {
  std::string backend;          // "cuda:0"
  std::string name;             // "NVIDIA H100 80GB HBM3"
  std::string compute;          // "9.0"
  int multiprocessors = 0;
  std::uint64_t memory_bytes = 0, free_memory_bytes = 0;   // 0: unknown
  double memory_bandwidth = 0;  // bytes per second by the data sheet; 0: unknown
  std::string reason;           // why it can't be used; empty: it can
};

struct DeviceList {
  std::vector<DeviceDescription> devices;
  std::string plugin, driver;   // what they call themselves; empty where there is none
  std::string reason;           // why there is no device, in one line; empty where there is one that can be used
};
// Never fails: what is missing is the reason.
DeviceList list_devices();
// What whoever reads of devices must know.
inline constexpr std::string_view kDeviceCaveat = "Nothing of CUDA in Retort has ever run on a device: figures from one are the first.";

// "cuda" or "cuda:N". Errors: kUnsupported (no permission, driver, plug-in or such device, with the reason), kBadArgument (the name).
Result<std::unique_ptr<Backend>> make_device_backend(std::string_view name);
bool names_device(std::string_view backend) noexcept;

}  // namespace retort
