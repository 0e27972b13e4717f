// Finding and loading the plug-in of a device: driver first, then the library, then its table of functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "kernels/api/device_plugin.h"

namespace retort {

// A library whose table was checked: its ABI is ours and no function is missing. It stays loaded until the process ends:
// drivers keep threads and exit handlers in what they have called.
class DeviceLibrary {
 public:
  // The CUDA plug-in: RETORT_CUDA_PLUGIN, or libretort_cuda.so beside the program or in the prefix' library folder. The driver
  // (libcuda.so.1, or what RETORT_CUDA_DRIVER names) must load first: without one nothing of the plug-in is mapped.
  // Errors: kMissingPart (no driver, no plug-in), kUnsupported, each with the reason.
  static Result<std::shared_ptr<const DeviceLibrary>> load();
  // This library, without a driver. Errors: kUnsupported.
  static Result<std::shared_ptr<const DeviceLibrary>> load(const std::filesystem::path& path);

  const retort_device_plugin& table() const noexcept { return *table_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  // The last call's status as an Error with the plug-in's words; `place`: what it was about.
  Error error(retort_status status, std::string place) const;
  Result<void> check(retort_status status, const char* place) const {
    if (status == RETORT_OK) return {};
    return error(status, place);
  }

 private:
  DeviceLibrary(const retort_device_plugin* table, std::filesystem::path path) : table_(table), path_(std::move(path)) {}
  const retort_device_plugin* table_;
  std::filesystem::path path_;
};

// Where the CUDA plug-in is looked for, in order.
std::vector<std::filesystem::path> device_plugin_places();

}  // namespace retort
