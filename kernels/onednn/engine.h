// oneDNN's engine, for what is built with it only: includes dnnl.hpp.
#pragma once

#include <dnnl.hpp>

namespace retort::kernels::onednn {

// One engine for all: it holds nothing but the processor's kind.
inline const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

}  // namespace retort::kernels::onednn
