// A model's plan as the plain structures that a device plug-in takes, and what of it a device refuses.
#pragma once

#include <string>
#include <vector>

#include "core/model/backend.h"
#include "kernels/api/device_plugin.h"

namespace retort {

// Owns everything that view() points to, names and the model's weights excepted: the model outlives it.
class DevicePlan {
 public:
  // Errors: kUnsupported (kTap, a weight whose type the interface has no number for, no plan for the graph),
  // kBadArgument (options).
  static Result<DevicePlan> make(std::shared_ptr<const Model> model, const RunOptions& options);

  // Valid while this lives and isn't moved.
  retort_plan view() const noexcept;
  std::span<const retort_weight> weights() const noexcept { return weights_; }
  // The bytes to upload for a weight: as stored, or made now into `made`. Errors: those of coded weights.
  Result<std::span<const std::byte>> data(std::size_t weight, std::vector<float>& made) const;
  // The mapping that a weight lies in, whose pages may go once it was uploaded.
  void done_with(std::size_t weight) const;

  // Whether the device does everything that the plan asks. Errors: kUnsupported naming the part and what there is.
  Result<void> check(const retort_capabilities& device) const;

  std::int64_t rows() const noexcept { return plan_.batch; }
  bool pools() const noexcept { return plan_.pool >= 0; }

 private:
  explicit DevicePlan(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  // A relative position bias, by distance: a weight that no file holds.
  struct Derived {
    WeightId table;
    std::int64_t heads;
    std::string name;
  };
  class Lowering;

  Result<void> check_weight(const retort_capabilities& device, std::size_t weight) const;
  Result<void> check_step(const retort_capabilities& device, const retort_step& step) const;

  std::shared_ptr<const Model> model_;
  retort_plan plan_{};                       // its pointers are set by view()
  std::vector<retort_step> steps_, head_steps_;
  std::vector<retort_linear> linears_;
  std::vector<retort_weight> weights_;       // by WeightId, then the derived ones
  std::vector<retort_rope> ropes_;
  std::vector<Derived> derived_;
};

}  // namespace retort
