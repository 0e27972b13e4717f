#include "core/model/device_backend.h"

#include <atomic>
#include <charconv>

#include <fmt/format.h>

#include "core/base/error_text.h"
#include "core/model/device_library.h"
#include "core/model/device_plan.h"
#include "core/model/device_session.h"

namespace retort {
namespace {

std::atomic<bool> devices_permitted{false};

// A text field of the interface, which a plug-in may have filled to its end.
template <std::size_t N>
std::string field_text(const char (&field)[N]) {
  std::size_t n = 0;
  while (n < N && field[n]) ++n;
  return {field, n};
}

Result<std::shared_ptr<const DeviceLibrary>> permitted_library() {
  if (!devices_permitted)
    return Error{.code = ErrorCode::kUnsupported, .place = "device", .expected = "the program `retort`",
                 .found = "a process that opens no devices", .next_step = "run it with `retort`, or compute on the processor"};
  return DeviceLibrary::load();
}

Result<int> device_index(std::string_view name) {
  constexpr std::string_view kPrefix = "cuda";
  std::string_view rest = name.substr(std::min(kPrefix.size(), name.size()));
  int index = 0;
  if (rest.empty()) return index;
  rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  if (rest.empty() || error != std::errc{} || end != rest.data() + rest.size() || index < 0)
    return Error{.code = ErrorCode::kBadArgument, .place = "backend", .expected = "cuda or cuda:N", .found = std::string(name)};
  return index;
}

MemoryByPart by_part(const retort_memory& memory) noexcept { return {memory.weights, memory.kv_cache, memory.work_space}; }

class DeviceBackend final : public Backend {
 public:
  DeviceBackend(std::shared_ptr<const OpenedDevice> device, const retort_capabilities& can, std::string described)
      : device_(std::move(device)), can_(can), described_(std::move(described)) {}

  std::string_view name() const noexcept override { return device_->name; }
  std::string device() const override { return described_; }
  int threads() const noexcept override { return 1; }   // of the processor: one feeds the device
  std::optional<double> joules() const override {
    retort_energy energy = sized<retort_energy>();
    if (table().energy(device_->handle, &energy) != RETORT_OK || !energy.available) return std::nullopt;
    return energy.joules;
  }

  Result<std::unique_ptr<Session>> compile(std::shared_ptr<const Model> model, const RunOptions& options) override {
    RETORT_TRY(const DevicePlan plan, DevicePlan::make(model, options));
    RETORT_TRY(const retort_memory needed, predict(plan));
    std::uint64_t free = 0, total = 0;
    RETORT_CHECK(device_->library->check(table().device_memory(device_->handle, &free, &total), "memory of the device"));
    const MemoryByPart parts = by_part(needed);
    if (parts.total() > free)
      return Error{.code = ErrorCode::kOutOfMemory, .place = fmt::format("context {} on {}", options.context, device_->name),
                   .expected = fmt::format("{} bytes for weights, {} for the cache and {} for work space", parts.weights, parts.kv_cache,
                                           parts.work_space),
                   .found = fmt::format("{} bytes free of {}", free, total),
                   .next_step = "choose a smaller context or a smaller level, or compute with --backend cpu"};
    return DeviceSession::create(device_, std::move(model), options, plan);
  }

  MemoryByPart predict_memory(const Model& model, const RunOptions& options) const override {
    // The plan borrows the model for this call.
    const auto plan = DevicePlan::make(std::shared_ptr<const Model>(std::shared_ptr<const Model>(), &model), options);
    if (!plan) return {};
    const auto needed = predict(*plan);
    return needed ? by_part(*needed) : MemoryByPart{};
  }

 private:
  const retort_device_plugin& table() const noexcept { return device_->library->table(); }

  Result<retort_memory> predict(const DevicePlan& plan) const {
    RETORT_CHECK(plan.check(can_));
    const retort_plan view = plan.view();
    retort_memory needed = sized<retort_memory>();
    RETORT_CHECK(device_->library->check(table().check(device_->handle, &view, &needed), "model on the device"));
    return needed;
  }

  std::shared_ptr<const OpenedDevice> device_;
  retort_capabilities can_;
  std::string described_;
};

DeviceDescription describe_device(const retort_device_info& info) {
  DeviceDescription out;
  out.backend = fmt::format("cuda:{}", info.index);
  out.name = field_text(info.name);
  out.compute = fmt::format("{}.{}", info.compute_major, info.compute_minor);
  out.multiprocessors = info.multiprocessors;
  out.memory_bytes = info.memory_total;
  out.free_memory_bytes = info.memory_free;
  out.memory_bandwidth = info.memory_bandwidth;
  if (!info.usable) out.reason = field_text(info.reason).empty() ? "the plug-in can't use it" : field_text(info.reason);
  return out;
}

Result<DeviceList> find_devices(const DeviceLibrary& library) {
  DeviceList list;
  retort_probe probe = sized<retort_probe>();
  RETORT_CHECK(library.check(library.table().probe(&probe), "device"));
  list.plugin = field_text(probe.plugin);
  list.driver = field_text(probe.driver);
  if (probe.devices <= 0) list.reason = field_text(probe.reason).empty() ? "the driver knows no device" : field_text(probe.reason);
  for (std::int32_t i = 0; i < probe.devices; ++i) {
    retort_device_info info = sized<retort_device_info>();
    RETORT_CHECK(library.check(library.table().device_info(i, &info), "device"));
    list.devices.push_back(describe_device(info));
  }
  bool any = list.devices.empty();
  for (const DeviceDescription& device : list.devices) any = any || device.reason.empty();
  if (!any) list.reason = list.devices.front().name + ": " + list.devices.front().reason;
  return list;
}

}  // namespace

void permit_devices() noexcept { devices_permitted = true; }

bool names_device(std::string_view backend) noexcept { return backend == "cuda" || backend.starts_with("cuda:"); }

DeviceList list_devices() {
  const auto library = permitted_library();
  auto list = library ? find_devices(**library) : Result<DeviceList>(library.error());
  if (list) return *std::move(list);
  return {.devices = {}, .plugin = {}, .driver = {}, .reason = error_text(list.error())};
}

Result<std::unique_ptr<Backend>> make_device_backend(std::string_view name) {
  RETORT_TRY(const int index, device_index(name));
  RETORT_TRY(const auto library, permitted_library());
  RETORT_TRY(const DeviceList list, find_devices(*library));
  const std::string called = fmt::format("cuda:{}", index);
  const auto refuse = [&](std::string expected, std::string found) {
    return Error{.code = ErrorCode::kUnsupported, .place = called, .expected = std::move(expected), .found = std::move(found),
                 .next_step = "see `retort devices`, or compute with --backend cpu"};
  };
  if (list.devices.empty()) return refuse("a device", list.reason);
  if (static_cast<std::size_t>(index) >= list.devices.size())
    return refuse(list.devices.size() == 1 ? "cuda:0, the only device" : fmt::format("cuda:0 to cuda:{}", list.devices.size() - 1), called);
  const DeviceDescription& described = list.devices[static_cast<std::size_t>(index)];
  if (!described.reason.empty()) return refuse("a device that can be used", described.name + ": " + described.reason);

  retort_device* handle = nullptr;
  RETORT_CHECK(library->check(library->table().device_open(index, &handle), called.c_str()));
  const auto device = std::make_shared<const OpenedDevice>(library, handle, index, called);
  retort_capabilities can = sized<retort_capabilities>();
  RETORT_CHECK(library->check(library->table().capabilities(handle, &can), called.c_str()));
  std::string text = fmt::format("{} · {}", described.name, list.plugin);
  if (!list.driver.empty()) text += " · driver " + list.driver;
  return std::unique_ptr<Backend>(std::make_unique<DeviceBackend>(device, can, std::move(text)));
}

}  // namespace retort
