// Tensor: a value while an ONNX graph runs. Shares its bytes: a reshaped value is the same memory under another shape.
// Images may lie with their channels innermost, as convolutions want them: the shape stays [batch, channels, space …], the
// bytes are those of [batch, space …, channels]. Only the operators that core/onnx/layout.h names ever see such values.
// Written once, by the operator that makes it; from then on read only, from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/onnx.h"

namespace retort::onnx {

using Shape = std::vector<std::int64_t>;
inline constexpr std::size_t kMostRank = 8;

// Half precision is computed in f32: what values of a type are held in. FLOAT16 and BFLOAT16 become FLOAT, all else stays.
constexpr bool is_half(ElementType type) noexcept { return type == ElementType::kFloat16 || type == ElementType::kBfloat16; }
constexpr ElementType held_type(ElementType type) noexcept { return is_half(type) ? ElementType::kFloat : type; }

// Product of the sizes; nullopt when one is negative or the product is above 2^48.
std::optional<std::int64_t> count_elements(std::span<const std::int64_t> shape) noexcept;
std::string shape_text(std::span<const std::int64_t> shape);     // "[1, 3, ?]": sizes below 0 are open

// What all values of a run may take together; freed memory counts as free. Large blocks are kept for the next value of about
// their size, since a run makes the same ones again and again and new pages cost as much as computing on them. Thread-safe.
class Memory {
 public:
  explicit Memory(std::uint64_t limit);
  // 64-byte aligned, not cleared. Errors: kOutOfMemory.
  Result<std::shared_ptr<std::byte>> allocate(std::uint64_t bytes);
  std::uint64_t peak() const noexcept;

 private:
  struct State;
  std::uint64_t limit_;
  std::shared_ptr<State> state_;
};

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised values. Errors: kOutOfMemory, kBadShape (negative, too large, too many dimensions).
  static Result<Tensor> make(Memory& memory, ElementType type, Shape shape);
  // The values of a stored tensor: in place when they are aligned and `keep` (which owns them) is set, else copied.
  static Result<Tensor> from(Memory& memory, const StoredTensor& stored, std::shared_ptr<const void> keep);
  // The same with half precision widened. Errors: kOutOfMemory, kUnsupported.
  static Result<Tensor> held(Memory& memory, const StoredTensor& stored, std::shared_ptr<const void> keep);
  // The same values in another shape of as many elements.
  Tensor reshaped(Shape shape) const;
  // The same bytes as an ordinary tensor of [batch, space …, channels], and back.
  Tensor as_lying() const;
  static Tensor channels_last(const Tensor& lying);

  ElementType type() const noexcept { return type_; }
  const Shape& shape() const noexcept { return shape_; }
  bool is_channels_last() const noexcept { return channels_last_; }
  std::size_t rank() const noexcept { return shape_.size(); }
  std::int64_t size(std::size_t axis) const noexcept { return shape_[axis]; }
  std::int64_t elements() const noexcept { return elements_; }
  std::size_t element_size() const noexcept { return traits(type_).bits / 8; }
  std::span<const std::byte> bytes() const noexcept { return {bytes_, static_cast<std::size_t>(elements_) * element_size()}; }

  template <class T>
  const T* data() const noexcept { return reinterpret_cast<const T*>(bytes_); }
  template <class T>
  std::span<const T> values() const noexcept { return {data<T>(), static_cast<std::size_t>(elements_)}; }
  // For the operator that makes this tensor.
  template <class T>
  T* write() noexcept { return reinterpret_cast<T*>(const_cast<std::byte*>(bytes_)); }

 private:
  ElementType type_ = ElementType::kUndefined;
  Shape shape_;
  std::int64_t elements_ = 0;
  bool channels_last_ = false;
  const std::byte* bytes_ = nullptr;
  std::shared_ptr<const void> keep_;
};

// Calls f(T()) with the C++ type of `type`; false when it isn't among Ts.
template <class... Ts>
struct Types {};
template <class T>
constexpr ElementType element_type() noexcept {
  if constexpr (std::is_same_v<T, float>) return ElementType::kFloat;
  else if constexpr (std::is_same_v<T, double>) return ElementType::kDouble;
  else if constexpr (std::is_same_v<T, std::int64_t>) return ElementType::kInt64;
  else if constexpr (std::is_same_v<T, std::int32_t>) return ElementType::kInt32;
  else if constexpr (std::is_same_v<T, std::int8_t>) return ElementType::kInt8;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return ElementType::kUint8;
  else if constexpr (std::is_same_v<T, bool>) return ElementType::kBool;
  else return ElementType::kUndefined;
}
template <class F, class... Ts>
bool with_type(ElementType type, Types<Ts...>, const F& f) {
  return ((type == element_type<Ts>() && (f(Ts()), true)) || ...);
}
using Numbers = Types<float, double, std::int64_t, std::int32_t>;
using Bytes8 = Types<std::int8_t, std::uint8_t>;

}  // namespace retort::onnx
