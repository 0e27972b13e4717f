// JobContext: how long work tells its progress and learns that it should stop or pause.
// Everything above 50 ms takes one. Copies share the same job. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace retort {

struct Progress {
  double done = 0;        // in `unit`; never goes backward within a job
  double total = 0;       // 0: not known yet
  std::string unit;       // "tensors", "tokens", "bytes"
  std::string step;       // what is being worked on, for people
};

class JobContext {
 public:
  JobContext() : state_(std::make_shared<State>()), callback_(std::make_shared<Callback>()) {}

  // Called from any worker, at most a few times a second; must not block.
  using Callback = std::function<void(const Progress&)>;
  void on_progress(Callback callback) { *callback_ = std::move(callback); }
  void report(const Progress& progress) const { if (*callback_) (*callback_)(progress); }

  // The same job for one of its steps: stop and pause are shared, its progress goes to `callback` instead.
  JobContext with_progress(Callback callback) const {
    JobContext step(*this);
    step.callback_ = std::make_shared<Callback>(std::move(callback));
    return step;
  }

  // Stop is honoured within half a second: long loops call stopped() at least that often.
  void stop() const noexcept { state_->stopped = true; state_->paused = false; }
  void pause(bool on) const noexcept { state_->paused = on; }
  bool paused() const noexcept { return state_->paused; }
  // Waits while paused, then says whether to stop. Cheap when neither.
  bool stopped() const;
  // kCanceled when stopped: RETORT_CHECK(job.check("tensor name")).
  Result<void> check(std::string_view place = {}) const;

 private:
  struct State {
    std::atomic<bool> stopped{false};
    std::atomic<bool> paused{false};
  };
  std::shared_ptr<State> state_;
  std::shared_ptr<Callback> callback_;
};

}  // namespace retort
