// What the plug-in needs of a device's runtime: memory, copies, a stream of work, graphs. runtime_cuda.cpp is CUDA's;
// simulated/runtime_simulated.cpp does the same with the memory of the CPU, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "kernels/api/device_plugin.h"

namespace retort::cuda {

// The sentence that error_text() gives. Returns `code`.
retort_status fail(retort_status code, std::string text);
const std::string& last_failure();

// Both return RETORT_OK or fail(). `reason` tells why there is no device.
retort_status count_devices(int& count, std::string& driver, std::string& reason);
retort_status describe_device(int index, retort_device_info& info);
std::string pci_bus_id(int index);      // "0000:1b:00.0"; empty where unknown
std::string plugin_description();       // "cuda 13.0, sm_75 80 86 89 90+"
retort_status use_device(int index);    // of the calling thread
retort_status find_code();              // RETORT_UNSUPPORTED where the library has none that the device in use runs
retort_status memory_of_device(std::uint64_t& free_bytes, std::uint64_t& total_bytes);

// Memory of the device that was in use when it was allocated. On 256 bytes.
class Memory {
 public:
  Memory() = default;
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Memory();
  // Errors: RETORT_OUT_OF_MEMORY; then it is as before.
  retort_status allocate(std::uint64_t bytes, const char* what);
  void* data() const { return data_; }
  std::uint64_t bytes() const { return bytes_; }
  template <class T>
  T* as(std::uint64_t byte_offset = 0) const { return reinterpret_cast<T*>(static_cast<unsigned char*>(data_) + byte_offset); }

 private:
  void* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

// Work in order. Errors of kernels are seen by wait().
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  retort_status open();

  void* native() const { return native_; }
  void note_launch();                                  // CUDA: keeps the first error of a launch
  void submit(std::function<void()> work);             // simulated: now, or into the graph that is being recorded

  retort_status copy_in(void* to, const void* from, std::uint64_t bytes);     // host → device; `from` may change afterwards
  retort_status copy_out(void* to, const void* from, std::uint64_t bytes);    // device → host, done on return
  retort_status clear(void* to, std::uint64_t bytes);
  retort_status wait();

  // Everything launched in between is recorded, not done.
  retort_status record();
  class Graph;
  retort_status finish_record(std::unique_ptr<Graph>& graph);
  retort_status play(Graph& graph);

 private:
  struct State;
  void* native_ = nullptr;
  std::unique_ptr<State> state_;
};

// A recorded piece of work.
class Stream::Graph {
 public:
  virtual ~Graph() = default;
};

// Times between two points of a stream, for benchmarks.
class Timer {
 public:
  Timer();
  ~Timer();
  void start(Stream& stream);
  double stop_seconds(Stream& stream);   // waits

 private:
  void* events_[2] = {};
};

}  // namespace retort::cuda
