#include "kernels/onednn/prepare_thread.h"

#include <dlfcn.h>

namespace retort::kernels::onednn {

void prepare_thread() noexcept {
  // Looked up, not linked: libgomp comes along with oneDNN or not at all.
  using SetThreads = void (*)(int);
  static const auto set_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (set_threads != nullptr) set_threads(1);
}

}  // namespace retort::kernels::onednn
