// Parameters: the f32 master copies of a model's weights, their gradients, and AdamW over them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/model/aligned_buffer.h"
#include "core/model/model.h"
#include "kernels/api/thread_pool.h"
#include "kernels/api/train_ops.h"

namespace retort::distill {

// What a linear computes with is `data`: the master copy itself, or what a later stage puts between (fake quantization),
// whose gradient goes straight through to the master.
struct Parameter {
  std::string name, source_name;           // canonical; as in the checkpoint
  std::vector<std::int64_t> shape;
  std::size_t elements = 0;
  const float* data = nullptr;             // read by forward and backward
  AlignedBuffer master{};                  // empty when `data` is mapped from a file (a teacher in f32)
  AlignedBuffer gradient{};                // empty until wanted
  bool trainable = false;
  bool decay = false;                      // weight decay applies: two or more dimensions
  bool derived = false;                    // made of other parameters (packed codes and their scales): its gradient is
                                           // wanted, but the optimizer leaves it alone
  bool round_inputs = false;               // linears with this weight read their input rounded to 8 bits by row
  bool fresh = true;                       // the gradient holds nothing yet: the first writer overwrites

  bool stepped() const noexcept { return trainable && !derived; }   // the optimizer changes it
  float* value() noexcept { return master.as<float>(); }
  std::span<float> gradients() noexcept { return {gradient.as<float>(), gradient.size() == 0 ? 0 : elements}; }
  // The gradient, zeroed if it holds nothing yet: for writers that only add.
  float* added_gradient() noexcept;
};

class Parameters {
 public:
  // Decodes every weight to f32; with `frozen`, those stored as f32 stay mapped. Errors: kOutOfMemory, kUnsupported.
  static Result<Parameters> from_model(const Model& model, bool frozen, kernels::ThreadPool& pool);

  std::size_t size() const noexcept { return list_.size(); }
  Parameter& operator[](std::size_t id) noexcept { return list_[id]; }
  const Parameter& operator[](std::size_t id) const noexcept { return list_[id]; }
  auto begin() noexcept { return list_.begin(); }
  auto end() noexcept { return list_.end(); }
  auto begin() const noexcept { return list_.begin(); }
  auto end() const noexcept { return list_.end(); }

  // Adds a parameter that no graph has (a projection between teacher and student). Errors: kOutOfMemory.
  Result<std::size_t> add(std::string name, std::vector<std::int64_t> shape);
  // Gives every trainable parameter its gradient. Errors: kOutOfMemory.
  Result<void> make_gradients();
  void forget_gradients() noexcept;        // the next backward pass starts anew
  std::int64_t elements() const noexcept;

 private:
  std::vector<Parameter> list_;
};

// The padding token of a folder's config.json, whose embedding PyTorch leaves alone when it is looked up; -1: none.
std::int32_t padding_token(const Checkpoint& checkpoint);

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0.01;
  double clip = 1;                         // largest joint norm of the gradients; 0: none
};

// Moments of every trainable parameter. Not thread-safe; runs on the pool in fixed tiles.
class Optimizer {
 public:
  // Errors: kOutOfMemory.
  static Result<Optimizer> make(const Parameters& parameters, const AdamWOptions& options);

  // The joint norm of all gradients times `scale`, in f64. Infinite or NaN when a gradient is.
  static double gradient_norm(Parameters& parameters, double scale, kernels::ThreadPool& pool);
  // One step; gradients are multiplied by `scale`, and clipped given their joint `norm`.
  void step(Parameters& parameters, double rate, double scale, double norm, kernels::ThreadPool& pool);

  std::int64_t steps() const noexcept { return steps_; }
  void set_steps(std::int64_t steps) noexcept { steps_ = steps; }
  // First and second moment of parameter `id`; empty when it isn't trained.
  std::span<float> first(std::size_t id) noexcept { return view(first_[id]); }
  std::span<float> second(std::size_t id) noexcept { return view(second_[id]); }

 private:
  struct Moment {
    AlignedBuffer buffer;
    std::size_t elements = 0;
  };
  static std::span<float> view(Moment& m) noexcept { return {m.buffer.as<float>(), m.elements}; }
  AdamWOptions options_;
  std::vector<Moment> first_, second_;
  std::int64_t steps_ = 0;
};

}  // namespace retort::distill
