#include "core/model/device_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

// Where libraries are installed, seen from the prefix: "lib/x86_64-linux-gnu". Set by core/CMakeLists.txt.
#ifndef RETORT_LIBDIR
#define RETORT_LIBDIR "lib"
#endif

namespace retort {
namespace {

constexpr const char* kPluginFile = "libretort_cuda.so";
constexpr const char* kDriver = "libcuda.so.1";

Error no_device(std::string place, std::string expected, std::string found, std::string next_step) {
  return Error{.code = ErrorCode::kUnsupported, .place = std::move(place), .expected = std::move(expected),
               .found = std::move(found), .next_step = std::move(next_step)};
}

Error absent(std::string place, std::string expected, std::string found, std::string next_step) {
  Error error = no_device(std::move(place), std::move(expected), std::move(found), std::move(next_step));
  error.code = ErrorCode::kMissingPart;
  return error;
}

std::string loader_error() {
  const char* text = ::dlerror();
  return text ? text : "no reason given";
}

// The driver's library only: it is what a machine without an NVIDIA driver lacks.
Result<void> probe_driver() {
  const char* forced = std::getenv("RETORT_CUDA_DRIVER");
  const char* name = forced && *forced ? forced : kDriver;
  if (::dlopen(name, RTLD_LAZY | RTLD_LOCAL)) return {};
  return absent("NVIDIA driver", name, loader_error(), "install the NVIDIA driver, or compute on the processor with --backend cpu");
}

// Every function of the table, as the bytes that follow its two numbers: pointers only.
bool complete(const retort_device_plugin& table) {
  constexpr std::size_t kFirst = offsetof(retort_device_plugin, error_text);
  constexpr std::size_t kFunctions = (sizeof(retort_device_plugin) - kFirst) / sizeof(void*);
  for (std::size_t i = 0; i < kFunctions; ++i) {
    void* function = nullptr;
    std::memcpy(&function, reinterpret_cast<const std::byte*>(&table) + kFirst + i * sizeof(void*), sizeof function);
    if (!function) return false;
  }
  return true;
}

ErrorCode code_of(retort_status status) noexcept {
  switch (status) {
    case RETORT_UNSUPPORTED:
    case RETORT_NO_DEVICE:
    case RETORT_NO_DRIVER: return ErrorCode::kUnsupported;
    case RETORT_OUT_OF_MEMORY: return ErrorCode::kOutOfMemory;
    case RETORT_BAD_ARGUMENT: return ErrorCode::kInternal;
    default: return ErrorCode::kRead;   // of results: the device failed during work
  }
}

}  // namespace

std::vector<std::filesystem::path> device_plugin_places() {
  if (const char* forced = std::getenv("RETORT_CUDA_PLUGIN"); forced && *forced) return {forced};
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return {program / kPluginFile, program.parent_path() / RETORT_LIBDIR / "retort" / kPluginFile};
}

Result<std::shared_ptr<const DeviceLibrary>> DeviceLibrary::load() {
  RETORT_CHECK(probe_driver());
  const std::vector<std::filesystem::path> places = device_plugin_places();
  for (const std::filesystem::path& path : places) {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return load(path);
  }
  return absent("CUDA plug-in", places.front().string(), "no such file",
                "install Retort's CUDA plug-in, or name it in RETORT_CUDA_PLUGIN");
}

Result<std::shared_ptr<const DeviceLibrary>> DeviceLibrary::load(const std::filesystem::path& path) {
  const std::string file = path.string();
  const char* const next = "install the plug-in that belongs to this version of Retort";
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return no_device("CUDA plug-in", file, loader_error(), next);
  const auto refuse = [&](std::string expected, std::string found) {
    ::dlclose(library);
    return no_device("CUDA plug-in " + file, std::move(expected), std::move(found), next);
  };
  const auto entry = reinterpret_cast<retort_device_plugin_entry_fn>(::dlsym(library, RETORT_DEVICE_ENTRY));
  if (!entry) return refuse(fmt::format("the function {}", RETORT_DEVICE_ENTRY), "none of that name");
  const retort_device_plugin* const table = entry();
  if (!table) return refuse("a table of functions", "none");
  if (table->abi != RETORT_DEVICE_ABI)
    return refuse(fmt::format("plug-in interface {}", RETORT_DEVICE_ABI), fmt::format("{}", table->abi));
  if (table->size != sizeof(retort_device_plugin))
    return refuse(fmt::format("a table of {} bytes", sizeof(retort_device_plugin)), fmt::format("{}", table->size));
  if (!complete(*table)) return refuse("every function of the interface", "one is missing");
  return std::shared_ptr<const DeviceLibrary>(new DeviceLibrary(table, path));
}

Error DeviceLibrary::error(retort_status status, std::string place) const {
  Error error{.code = code_of(status), .place = std::move(place)};
  const char* text = table_->error_text();
  error.found = text && *text ? text : fmt::format("status {} without a reason", status);
  if (status == RETORT_OUT_OF_MEMORY) error.next_step = "choose a smaller context or a smaller level, or compute with --backend cpu";
  if (status == RETORT_UNSUPPORTED || status == RETORT_NO_DEVICE || status == RETORT_NO_DRIVER)
    error.next_step = "compute with --backend cpu";
  if (status == RETORT_FAILED) error.next_step = "look at the driver's log (dmesg), then try again; --backend cpu computes without the device";
  return error;
}

}  // namespace retort
