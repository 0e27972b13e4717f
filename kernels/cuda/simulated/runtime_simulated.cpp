// A device that is the CPU: its memory is the host's, and kernels run thread by thread. For tests of everything but speed.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cuda/runtime.h"
#include "kernels/cuda/simulator.h"

namespace retort::cuda {

retort_status count_devices(int& count, std::string& driver, std::string& reason) {
  count = 1;
  driver = "simulated";
  reason.clear();
  return RETORT_OK;
}

retort_status describe_device(int index, retort_device_info& info) {
  if (index != 0) return fail(RETORT_NO_DEVICE, "there is one simulated device, number 0");
  info.index = 0;
  std::strcpy(info.name, "simulated on the CPU");
  info.compute_major = 8;
  info.compute_minor = 0;
  info.multiprocessors = 4;
  info.usable = 1;
  info.memory_total = info.memory_free = std::uint64_t{1} << 30;
  return RETORT_OK;
}

std::string pci_bus_id(int) { return {}; }
std::string plugin_description() { return "cuda, simulated"; }
retort_status use_device(int) { return RETORT_OK; }
retort_status memory_of_device(std::uint64_t& free_bytes, std::uint64_t& total_bytes) {
  free_bytes = total_bytes = std::uint64_t{1} << 30;
  return RETORT_OK;
}

Memory::~Memory() { std::free(data_); }

// New memory holds NaN patterns, so that what is read before it is written shows.
retort_status Memory::allocate(std::uint64_t bytes, const char* what) {
  const std::uint64_t whole = (bytes + 255) / 256 * 256;
  if (whole > std::uint64_t{1} << 32) return fail(RETORT_OUT_OF_MEMORY, std::string("no device memory for ") + what);
  void* const data = whole == 0 ? nullptr : std::aligned_alloc(256, whole);
  if (whole != 0 && !data) return fail(RETORT_OUT_OF_MEMORY, std::string("no device memory for ") + what);
  if (data) std::memset(data, 0xff, whole);
  std::free(data_);
  data_ = data;
  bytes_ = bytes;
  return RETORT_OK;
}

namespace {
// FNV-1a, as Fowler, Noll and Vo have it.
constexpr std::uint64_t kStart = 0xcbf29ce484222325u, kFactor = 0x100000001b3u;
std::uint64_t g_results = kStart;
}  // namespace

std::uint64_t results_so_far() { return std::exchange(g_results, kStart); }

struct Stream::State { std::vector<std::function<void()>>* recording = nullptr; };

namespace {
struct RecordedWork final : Stream::Graph {
  std::vector<std::function<void()>> work;
};
}  // namespace

Stream::Stream() : state_(std::make_unique<State>()) {}
Stream::~Stream() { delete state_->recording; }
retort_status Stream::open() { return RETORT_OK; }
void Stream::note_launch() {}
void Stream::submit(std::function<void()> work) {
  if (state_->recording) state_->recording->push_back(std::move(work));
  else work();
}
retort_status Stream::copy_in(void* to, const void* from, std::uint64_t bytes) {
  if (state_->recording) return fail(RETORT_FAILED, "a copy within a recording");
  if (bytes > 0) std::memcpy(to, from, bytes);
  return RETORT_OK;
}
retort_status Stream::copy_out(void* to, const void* from, std::uint64_t bytes) {
  const retort_status status = copy_in(to, from, bytes);
  for (std::uint64_t i = 0; i < bytes && status == RETORT_OK; ++i) g_results = (g_results ^ static_cast<const unsigned char*>(to)[i]) * kFactor;
  return status;
}
retort_status Stream::clear(void* to, std::uint64_t bytes) {
  if (bytes > 0) std::memset(to, 0, bytes);
  return RETORT_OK;
}
retort_status Stream::wait() { return RETORT_OK; }
retort_status Stream::record() {
  state_->recording = new std::vector<std::function<void()>>;
  return RETORT_OK;
}
retort_status Stream::finish_record(std::unique_ptr<Graph>& graph) {
  auto recorded = std::make_unique<RecordedWork>();
  recorded->work = std::move(*state_->recording);
  delete std::exchange(state_->recording, nullptr);
  graph = std::move(recorded);
  return RETORT_OK;
}
retort_status Stream::play(Graph& graph) {
  for (const auto& work : static_cast<RecordedWork&>(graph).work) work();
  return RETORT_OK;
}

// The processor's own time.
namespace {
std::chrono::steady_clock::time_point g_started;
}
Timer::Timer() = default;
Timer::~Timer() = default;
void Timer::start(Stream&) { g_started = std::chrono::steady_clock::now(); }
double Timer::stop_seconds(Stream&) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - g_started).count(); }

}  // namespace retort::cuda
