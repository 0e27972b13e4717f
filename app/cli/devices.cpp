// `retort devices`: processor, kernels chosen and why, limits as measured.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "core/measure/device_list.h"
#include "core/measure/hardware.h"
#include "kernels/dispatch/ops.h"

namespace retort::cli {
namespace {

struct DevicesArguments {
  CommonOptions common;
  bool no_measure = false;
};

void print_gpus(const DeviceList& gpus) {
  if (gpus.devices.empty()) fmt::print("GPU         none: {}\n", gpus.reason);
  for (const DeviceDescription& gpu : gpus.devices)
    fmt::print("GPU         {} · {} · compute capability {} · {}{}\n", gpu.backend, gpu.name, gpu.compute, human_bytes(gpu.memory_bytes),
               gpu.reason.empty() ? "" : " · not used: " + gpu.reason);
  fmt::print("            {}\n", kDeviceCaveat);
  if (!gpus.plugin.empty()) fmt::print("Plug-in     {}{}\n", gpus.plugin, gpus.driver.empty() ? "" : " · driver " + gpus.driver);
}

Result<void> devices(const DevicesArguments& options) {
  const Hardware hardware = describe_hardware();
  MachineLimits limits;
  const DeviceList gpus = list_devices();
  if (!options.no_measure) limits = measure_limits(options.common.threads);
  std::vector<kernels::KernelReport> reports;
  kernels::report_kernels(
      [](void* context, const kernels::KernelReport& report) {
        static_cast<std::vector<kernels::KernelReport>*>(context)->push_back(report);
      },
      &reports);

  if (options.common.json) {
    nlohmann::json out = {{"processor", hardware.processor}, {"features", hardware.features},
                          {"cores", hardware.cores}, {"memory_bytes", hardware.memory_bytes},
                          {"system", hardware.system}};
    out.update(nlohmann::json::parse(devices_to_json(gpus)));
    for (const auto& report : reports)
      out["kernels"].push_back({{"operation", report.operation}, {"kernel", report.kernel},
                                {"chosen", report.chosen}, {"reason", report.reason}});
    if (!options.no_measure)
      out["limits"] = {{"read_bytes_per_second", limits.read_bytes_per_second},
                       {"f32_operations_per_second", limits.f32_operations_per_second}};
    fmt::print("{}\n", out.dump(2));
    return {};
  }
  fmt::print("Processor   {}\nFeatures    {}\nCores       {}\nMemory      {} ({} free)\nSystem      {}\n",
             hardware.processor, hardware.features, hardware.cores, human_bytes(hardware.memory_bytes),
             human_bytes(hardware.free_memory_bytes), hardware.system);
  print_gpus(gpus);
  if (!options.no_measure)
    fmt::print("Measured    {:.1f} GB/s read from memory, {:.0f} GFLOP/s f32\n", limits.read_bytes_per_second / 1e9,
               limits.f32_operations_per_second / 1e9);
  fmt::print("\n{:<34} {:<12} {}\n", "operation", "kernel", "");
  for (const auto& report : reports)
    fmt::print("{} {:<32} {:<12} {}\n", report.chosen ? "*" : " ", report.operation, report.kernel, report.reason);
  return {};
}

}  // namespace

void add_devices(CLI::App& app, Context& context) {
  auto options = std::make_shared<DevicesArguments>();
  CLI::App* command = app.add_subcommand("devices", "Processor, kernels chosen and why, measured limits");
  add_json(*command, options->common);
  command->add_option("--threads", options->common.threads, "Threads for the measured limits; 0 takes all cores");
  command->add_flag("--no-measure", options->no_measure, "Skip measuring bandwidth and compute limits");
  command->callback([options, &context] { finish(context, devices(*options)); });
}

}  // namespace retort::cli
