// The devices of this machine as `retort devices --json` tells them, and for processes that load no driver: asked of it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/job.h"
#include "core/model/device_backend.h"

namespace retort {

// An object with gpus, gpu_reason, gpu_plugin, gpu_driver.
std::string devices_to_json(const DeviceList& list);
// Reads them out of any object that has them. Errors: kChildFailed.
Result<DeviceList> devices_from_json(std::string_view json);

// Asks a child `program devices --json`. Never fails: what went wrong is the reason.
DeviceList ask_for_devices(const std::filesystem::path& program, const JobContext& job);

}  // namespace retort
