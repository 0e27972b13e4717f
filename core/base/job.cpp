#include "core/base/job.h"

#include <chrono>
#include <thread>

namespace retort {

bool JobContext::stopped() const {
  while (state_->paused && !state_->stopped) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return state_->stopped;
}

Result<void> JobContext::check(std::string_view place) const {
  if (!stopped()) return {};
  return Error{.code = ErrorCode::kCanceled, .place = std::string(place)};
}

}  // namespace retort
