// The runtime over CUDA's, linked statically; the driver's library is looked for by it when it is first needed.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "kernels/cuda/runtime.h"

namespace retort::cuda {
namespace {

retort_status failed(cudaError_t error, const std::string& what) {
  const retort_status code = error == cudaErrorMemoryAllocation ? RETORT_OUT_OF_MEMORY
                             : error == cudaErrorNoDevice       ? RETORT_NO_DEVICE
                             : error == cudaErrorInsufficientDriver ? RETORT_NO_DRIVER
                                                                    : RETORT_FAILED;
  // Said here, and not again by the next launch that asks; an error that stays comes back by itself.
  static_cast<void>(cudaGetLastError());
  return fail(code, what + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

retort_status check(cudaError_t error, const char* what) { return error == cudaSuccess ? RETORT_OK : failed(error, what); }

// Of what may be unknown: whether it is there.
bool known(cudaError_t error) {
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
  return error == cudaSuccess;
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  return known(cudaDeviceGetAttribute(&value, which, device)) ? value : 0;
}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

template <std::size_t kSize>
void put(char (&to)[kSize], const std::string& text) {
  const std::size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

}  // namespace

retort_status count_devices(int& count, std::string& driver, std::string& reason) {
  count = 0;
  int number = 0;
  if (!known(cudaDriverGetVersion(&number))) number = 0;
  driver = number == 0 ? "" : "CUDA " + version(number);
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (known(error)) {
    reason = count == 0 ? "the driver knows no device" : "";
    return RETORT_OK;
  }
  count = 0;
  reason = number == 0 ? "there is no NVIDIA driver" : std::string(cudaGetErrorString(error)) + "; this plug-in needs CUDA " + version(CUDART_VERSION);
  return RETORT_OK;
}

retort_status describe_device(int index, retort_device_info& info) {
  cudaDeviceProp properties{};
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess)
    return failed(error, "describing device " + std::to_string(index));
  info.index = index;
  put(info.name, properties.name);
  std::string uuid = "GPU-";
  for (int i = 0; i < 16; ++i) {
    char hex[3];
    std::snprintf(hex, sizeof(hex), "%02x", static_cast<unsigned>(static_cast<unsigned char>(properties.uuid.bytes[i])));
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    uuid += hex;
  }
  put(info.uuid, uuid);
  info.compute_major = properties.major;
  info.compute_minor = properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_total = properties.totalGlobalMem;
  info.memory_free = 0;
  // Two transfers a clock; the clock is in kHz.
  info.memory_bandwidth = 2e3 * attribute(cudaDevAttrMemoryClockRate, index) * (properties.memoryBusWidth / 8.0);
  info.usable = properties.major * 10 + properties.minor >= 75;
  put(info.reason, info.usable ? "" : "compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor) + "; at least 7.5 is needed");
  return RETORT_OK;
}

std::string pci_bus_id(int index) {
  char id[32] = {};
  return known(cudaDeviceGetPCIBusId(id, sizeof(id), index)) ? id : "";
}

std::string plugin_description() { return "cuda " + version(CUDART_VERSION) + ", sm_" RETORT_CUDA_CODE; }
retort_status use_device(int index) { return check(cudaSetDevice(index), "using the device"); }

retort_status memory_of_device(std::uint64_t& free_bytes, std::uint64_t& total_bytes) {
  std::size_t free = 0, total = 0;
  const retort_status status = check(cudaMemGetInfo(&free, &total), "asking for the device's memory");
  free_bytes = free;
  total_bytes = total;
  return status;
}

Memory::~Memory() {
  if (data_) static_cast<void>(cudaFree(data_));
}

retort_status Memory::allocate(std::uint64_t bytes, const char* what) {
  void* data = nullptr;
  if (bytes > 0)
    if (const cudaError_t error = cudaMalloc(&data, bytes); error != cudaSuccess)
      return failed(error, std::to_string(bytes) + " bytes for " + what);
  if (data_) static_cast<void>(cudaFree(data_));
  data_ = data;
  bytes_ = bytes;
  return RETORT_OK;
}

struct Stream::State { cudaError_t first = cudaSuccess; };

namespace {

struct CudaGraph final : Stream::Graph {
  cudaGraphExec_t graph = nullptr;
  ~CudaGraph() override {
    if (graph) static_cast<void>(cudaGraphExecDestroy(graph));
  }
};

cudaStream_t native_stream(const Stream& stream) { return static_cast<cudaStream_t>(stream.native()); }

}  // namespace

Stream::Stream() : state_(std::make_unique<State>()) {}
Stream::~Stream() {
  if (native_) static_cast<void>(cudaStreamDestroy(static_cast<cudaStream_t>(native_)));
}
retort_status Stream::open() {
  cudaStream_t stream = nullptr;
  const retort_status status = check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "opening a stream");
  native_ = stream;
  return status;
}

void Stream::note_launch() {
  const cudaError_t error = cudaGetLastError();
  if (state_->first == cudaSuccess) state_->first = error;
}
void Stream::submit(std::function<void()> work) { work(); }

retort_status Stream::copy_in(void* to, const void* from, std::uint64_t bytes) {
  // From memory that isn't pinned this returns once `from` has been read.
  return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, native_stream(*this)), "copying to the device");
}
retort_status Stream::copy_out(void* to, const void* from, std::uint64_t bytes) {
  const cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, native_stream(*this));
  if (error != cudaSuccess) return failed(error, "copying from the device");
  return wait();
}
retort_status Stream::clear(void* to, std::uint64_t bytes) {
  return check(cudaMemsetAsync(to, 0, bytes, native_stream(*this)), "clearing device memory");
}

retort_status Stream::wait() {
  const cudaError_t error = cudaStreamSynchronize(native_stream(*this));
  const cudaError_t launch = std::exchange(state_->first, cudaSuccess);
  if (launch != cudaSuccess) return failed(launch, "starting a kernel");
  return check(error, "running kernels");
}

retort_status Stream::record() {
  return check(cudaStreamBeginCapture(native_stream(*this), cudaStreamCaptureModeThreadLocal), "recording a graph");
}
retort_status Stream::finish_record(std::unique_ptr<Graph>& graph) {
  cudaGraph_t recorded = nullptr;
  if (const cudaError_t error = cudaStreamEndCapture(native_stream(*this), &recorded); error != cudaSuccess)
    return failed(error, "recording a graph");
  auto made = std::make_unique<CudaGraph>();
  const cudaError_t error = cudaGraphInstantiate(&made->graph, recorded, 0);
  static_cast<void>(cudaGraphDestroy(recorded));
  if (error != cudaSuccess) return failed(error, "making a graph");
  const cudaError_t launch = std::exchange(state_->first, cudaSuccess);
  if (launch != cudaSuccess) return failed(launch, "recording a kernel");
  graph = std::move(made);
  return RETORT_OK;
}
retort_status Stream::play(Graph& graph) {
  return check(cudaGraphLaunch(static_cast<CudaGraph&>(graph).graph, native_stream(*this)), "starting a graph");
}

Timer::Timer() {
  for (void*& event : events_) {
    cudaEvent_t made = nullptr;
    static_cast<void>(cudaEventCreate(&made));
    event = made;
  }
}
Timer::~Timer() {
  for (void* event : events_) static_cast<void>(cudaEventDestroy(static_cast<cudaEvent_t>(event)));
}
void Timer::start(Stream& stream) { static_cast<void>(cudaEventRecord(static_cast<cudaEvent_t>(events_[0]), native_stream(stream))); }
double Timer::stop_seconds(Stream& stream) {
  static_cast<void>(cudaEventRecord(static_cast<cudaEvent_t>(events_[1]), native_stream(stream)));
  static_cast<void>(cudaEventSynchronize(static_cast<cudaEvent_t>(events_[1])));
  float milliseconds = 0;
  static_cast<void>(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(events_[0]), static_cast<cudaEvent_t>(events_[1])));
  return static_cast<double>(milliseconds) * 1e-3;
}

}  // namespace retort::cuda
