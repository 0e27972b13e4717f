#include "core/onnx/tensor.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/api/tensor_type.h"

namespace retort::onnx {

std::optional<std::int64_t> count_elements(std::span<const std::int64_t> shape) noexcept {
  constexpr std::int64_t kMost = std::int64_t{1} << 48;
  std::int64_t all = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0 || size > kMost || __builtin_mul_overflow(all, size == 0 ? 1 : size, &all) || all > kMost) return std::nullopt;
    empty = empty || size == 0;
  }
  return empty ? 0 : all;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + (shape[i] < 0 ? "?" : std::to_string(shape[i]));
  return text + "]";
}

struct Memory::State {
  static constexpr std::uint64_t kLeastKept = 1 << 14;   // smaller blocks the system keeps itself
  static constexpr std::uint64_t kAlwaysKept = 1 << 26;  // all together

  std::mutex mutex;
  std::uint64_t used = 0, peak = 0, kept = 0;
  std::multimap<std::uint64_t, std::byte*> free;         // by size

  ~State() { drop(); }
  void drop() {
    for (const auto& [size, block] : free) std::free(block);
    free.clear();
    kept = 0;
  }
  // A kept block of this size or up to a quarter more.
  std::pair<std::byte*, std::uint64_t> take(std::uint64_t bytes) {
    const auto found = free.lower_bound(bytes);
    if (found == free.end() || found->first > bytes + bytes / 4) return {nullptr, 0};
    const auto [size, block] = *found;
    free.erase(found);
    kept -= size;
    return {block, size};
  }
  void give(std::byte* block, std::uint64_t size) {
    const std::lock_guard lock(mutex);
    used -= size;
    // Beyond that never more than the values took at their greatest.
    if (size < kLeastKept || used + kept + size > std::max(peak, kAlwaysKept)) {
      std::free(block);
      return;
    }
    free.emplace(size, block);
    kept += size;
  }
};

Memory::Memory(std::uint64_t limit) : limit_(limit), state_(std::make_shared<State>()) {}

std::uint64_t Memory::peak() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->peak;
}

Result<std::shared_ptr<std::byte>> Memory::allocate(std::uint64_t bytes) {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  const std::uint64_t rounded = (bytes + 127) / 64 * 64;   // never nothing, and room for a vector read behind the last value
  auto [memory, size] = rounded > limit_ - std::min(limit_, state.used) ? std::pair<std::byte*, std::uint64_t>{nullptr, 0} : state.take(rounded);
  if (memory == nullptr && rounded <= limit_ - std::min(limit_, state.used)) {
    if (state.used + state.kept + rounded > limit_) state.drop();
    memory = static_cast<std::byte*>(std::aligned_alloc(64, rounded));
    size = rounded;
  }
  if (memory == nullptr)
    return Error{.code = ErrorCode::kOutOfMemory, .expected = "room for " + std::to_string(bytes) + " bytes of values",
                 .found = std::to_string(limit_ - std::min(limit_, state.used)) + " bytes left", .next_step = "use smaller inputs"};
  state.used += size;
  state.peak = std::max(state.peak, state.used);
  lock.unlock();   // giving back takes it
  return std::shared_ptr<std::byte>(memory, [held = state_, taken = size](std::byte* p) { held->give(p, taken); });
}

Result<Tensor> Tensor::make(Memory& memory, ElementType type, Shape shape) {
  const auto elements = count_elements(shape);
  if (!elements || shape.size() > kMostRank)
    return Error{.code = ErrorCode::kBadShape, .expected = "sizes of at most " + std::to_string(kMostRank) + " dimensions", .found = shape_text(shape)};
  Tensor out;
  out.type_ = type;
  out.elements_ = *elements;
  out.shape_ = std::move(shape);
  RETORT_TRY(auto memory_block, memory.allocate(static_cast<std::uint64_t>(*elements) * out.element_size()));
  out.bytes_ = memory_block.get();
  out.keep_ = std::move(memory_block);
  return out;
}

Result<Tensor> Tensor::from(Memory& memory, const StoredTensor& stored, std::shared_ptr<const void> keep) {
  const std::size_t size = traits(stored.type).bits / 8;
  const bool aligned = size > 0 && reinterpret_cast<std::uintptr_t>(stored.data.data()) % size == 0;
  if (keep && aligned && stored.shape.size() <= kMostRank && count_elements(stored.shape)) {
    Tensor out;
    out.type_ = stored.type;
    out.shape_ = stored.shape;
    out.elements_ = stored.elements();
    out.bytes_ = stored.data.data();
    out.keep_ = std::move(keep);
    return out;
  }
  RETORT_TRY(Tensor out, make(memory, stored.type, stored.shape));
  if (out.bytes().size() != stored.data.size())
    return Error{.code = ErrorCode::kUnsupported, .place = stored.name, .expected = "whole bytes for each value", .found = std::string(traits(stored.type).name)};
  if (!stored.data.empty()) std::memcpy(out.write<std::byte>(), stored.data.data(), stored.data.size());
  return out;
}

Result<Tensor> Tensor::held(Memory& memory, const StoredTensor& stored, std::shared_ptr<const void> keep) {
  if (!is_half(stored.type)) return from(memory, stored, std::move(keep));
  RETORT_TRY(Tensor out, make(memory, ElementType::kFloat, stored.shape));
  if (static_cast<std::uint64_t>(out.elements()) * 2 != stored.data.size())
    return Error{.code = ErrorCode::kUnsupported, .place = stored.name, .expected = "two bytes for each value", .found = std::string(traits(stored.type).name)};
  const auto type = stored.type == ElementType::kFloat16 ? kernels::TensorType::kF16 : kernels::TensorType::kBF16;
  kernels::traits(type).decode(stored.data.data(), out.write<float>(), static_cast<std::size_t>(out.elements()));
  return out;
}

Tensor Tensor::as_lying() const {
  Tensor out = *this;
  if (!channels_last_) return out;
  out.channels_last_ = false;
  out.shape_.erase(out.shape_.begin() + 1);
  out.shape_.push_back(shape_[1]);
  return out;
}

Tensor Tensor::channels_last(const Tensor& lying) {
  Tensor out = lying;
  out.channels_last_ = true;
  out.shape_.pop_back();
  out.shape_.insert(out.shape_.begin() + 1, lying.shape_.back());
  return out;
}

Tensor Tensor::reshaped(Shape shape) const {
  Tensor out = *this;
  out.shape_ = std::move(shape);
  return out;
}

}  // namespace retort::onnx
