// oneDNN's OpenMP build would start a team of its own in every thread that calls it; our pool is the parallelism.
#pragma once

namespace retort::kernels::onednn {

// Makes OpenMP regions that this thread starts run on this thread alone. Nothing happens without OpenMP.
void prepare_thread() noexcept;

}  // namespace retort::kernels::onednn
