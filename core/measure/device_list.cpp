#include "core/measure/device_list.h"

#include <nlohmann/json.hpp>

#include "core/base/error_text.h"
#include "core/formats/json_text.h"
#include "core/measure/worker.h"

namespace retort {

std::string devices_to_json(const DeviceList& list) {
  nlohmann::json gpus = nlohmann::json::array();
  for (const DeviceDescription& device : list.devices)
    gpus.push_back({{"backend", device.backend}, {"name", device.name}, {"compute_capability", device.compute},
                    {"multiprocessors", device.multiprocessors}, {"memory_bytes", device.memory_bytes},
                    {"free_memory_bytes", device.free_memory_bytes}, {"memory_bytes_per_second", device.memory_bandwidth},
                    {"usable", device.reason.empty()}, {"reason", device.reason}});
  const nlohmann::json out = {{"gpus", std::move(gpus)}, {"gpu_reason", list.reason}, {"gpu_plugin", list.plugin}, {"gpu_driver", list.driver}};
  return formats::json_text(out);
}

Result<DeviceList> devices_from_json(std::string_view json) {
  try {
    const auto in = nlohmann::json::parse(json);
    DeviceList list;
    list.reason = in.at("gpu_reason").get<std::string>();
    list.plugin = in.at("gpu_plugin").get<std::string>();
    list.driver = in.at("gpu_driver").get<std::string>();
    for (const auto& gpu : in.at("gpus"))
      list.devices.push_back({.backend = gpu.at("backend").get<std::string>(), .name = gpu.at("name").get<std::string>(),
                              .compute = gpu.at("compute_capability").get<std::string>(), .multiprocessors = gpu.at("multiprocessors").get<int>(),
                              .memory_bytes = gpu.at("memory_bytes").get<std::uint64_t>(),
                              .free_memory_bytes = gpu.at("free_memory_bytes").get<std::uint64_t>(),
                              .memory_bandwidth = gpu.at("memory_bytes_per_second").get<double>(), .reason = gpu.at("reason").get<std::string>()});
    return list;
  } catch (const nlohmann::json::exception& exception) {
    return Error{.code = ErrorCode::kChildFailed, .place = "devices", .found = exception.what()};
  }
}

DeviceList ask_for_devices(const std::filesystem::path& program, const JobContext& job) {
  const auto text = run_worker({program.string(), "devices", "--json", "--no-measure"}, kUnlimitedMemory, {}, "devices", job);
  auto list = text ? devices_from_json(*text) : Result<DeviceList>(text.error());
  if (list) return *std::move(list);
  return {.devices = {}, .plugin = {}, .driver = {}, .reason = error_text(list.error())};
}

}  // namespace retort
