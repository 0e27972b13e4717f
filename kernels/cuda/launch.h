// Starts a kernel body: on the device where this is compiled for one, else thread by thread on the CPU.
#pragma once

#include "kernels/cuda/runtime.h"

#ifdef __CUDACC__
#include "kernels/cuda/thread_device.h"
#else
#include "kernels/cuda/simulator.h"
#endif

namespace retort::cuda {

#ifdef __CUDACC__

struct Grid { int x = 1, y = 1, z = 1; };

template <class Body>
__global__ void __launch_bounds__(Body::kThreads) run_body(const __grid_constant__ typename Body::Args args) {
  Body::run(DeviceThread{}, args);
}

template <class Body>
void launch(Stream& stream, Grid grid, std::size_t shared_bytes, const typename Body::Args& args) {
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  run_body<Body><<<blocks, Body::kThreads, shared_bytes, static_cast<cudaStream_t>(stream.native())>>>(args);
  stream.note_launch();
}

#else

template <class Body>
void launch(Stream& stream, Grid grid, std::size_t shared_bytes, const typename Body::Args& args) {
  stream.submit([=] { simulate(grid, Body::kThreads, shared_bytes, [&](SimulatedThread& t) { Body::run(t, args); }); });
}

#endif

template <class Body>
void launch(Stream& stream, Grid grid, const typename Body::Args& args) {
  launch<Body>(stream, grid, Body::kShared, args);
}

}  // namespace retort::cuda
