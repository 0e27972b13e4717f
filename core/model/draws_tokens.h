// Sessions that draw tokens where their logits are, so that only the token leaves the device.
#pragma once

#include "core/model/backend.h"
#include "core/model/sampling.h"

namespace retort {

class DrawsTokens {
 public:
  virtual ~DrawsTokens() = default;
  // Whether draw() can be asked, before anything is run. Errors: kUnsupported.
  virtual Result<void> can_draw() const = 0;
  // A token drawn as Drawer draws it, and its probability (temperature 1), for a row of the last run. Errors: those of
  // Session::likeliest(), kUnsupported.
  virtual Result<Likeliest> draw(std::int64_t row, const Drawing& how) = 0;
};

}  // namespace retort
