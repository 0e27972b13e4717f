#include "kernels/cuda/runtime.h"

namespace retort::cuda {
namespace {
thread_local std::string g_text;
}

retort_status fail(retort_status code, std::string text) {
  g_text = std::move(text);
  return code;
}
const std::string& last_failure() { return g_text; }

}  // namespace retort::cuda
