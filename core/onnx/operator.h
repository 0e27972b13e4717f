// One operator of ONNX: its signature as data, what of its attributes Retort does, and the function that computes it.
// The table in operators.cpp lists all of them; check_node says before a run why a node can't run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/job.h"
#include "core/onnx/tensor.h"
#include "kernels/api/matmul.h"
#include "kernels/api/thread_pool.h"

namespace retort::onnx {

// What operators compute with. Null kernels: the reference.
struct Device {
  kernels::ThreadPool* pool = nullptr;
  const kernels::MatmulKernel* matmul = nullptr;
  float* matmul_scratch = nullptr;            // kMatmulScratch floats for each thread
  bool reference() const noexcept { return matmul == nullptr; }
};

// A node's attributes with the defaults of the standard.
class Attributes {
 public:
  explicit Attributes(const Node& node) : node_(&node) {}
  bool has(std::string_view name) const noexcept { return node_->find(name) != nullptr; }
  std::int64_t whole(std::string_view name, std::int64_t otherwise) const noexcept;
  float real(std::string_view name, float otherwise) const noexcept;
  std::string_view text(std::string_view name, std::string_view otherwise) const noexcept;
  std::vector<std::int64_t> wholes(std::string_view name, std::vector<std::int64_t> otherwise = {}) const;
  const Node& node() const noexcept { return *node_; }

 private:
  const Node* node_;
};

struct Call {
  const Node& node;
  Attributes attributes;
  std::int64_t opset;
  std::span<const Tensor* const> inputs;      // null: left out; at least as many as the row allows
  std::span<Tensor> outputs;
  Memory& memory;
  const Device& device;
  const JobContext& job;

  const Tensor& in(std::size_t i) const noexcept { return *inputs[i]; }
  const Tensor* optional(std::size_t i) const noexcept { return i < inputs.size() ? inputs[i] : nullptr; }
  bool wants(std::size_t output) const noexcept { return output < outputs.size() && wanted[output]; }
  std::span<const bool> wanted;
  // Makes output i. Errors: kOutOfMemory, kBadShape.
  Result<void> make(std::size_t i, ElementType type, Shape shape) const;
  template <class T>
  T* out(std::size_t i) const noexcept { return outputs[i].write<T>(); }
  // The whole numbers of input i (INT64 or INT32). Empty when it is left out.
  std::vector<std::int64_t> numbers(std::size_t i) const;
};

Error bad_input(std::string expected, std::string found);   // kBadShape; the session adds the node
// axis in [-rank, rank) → [0, rank). Errors: kBadShape.
Result<std::size_t> axis_of(std::int64_t axis, std::size_t rank);

using RunOperator = Result<void> (*)(const Call& call);
// Attribute values beyond what the names say. Errors: kUnsupported, kCorrupt.
using CheckOperator = Result<void> (*)(const Attributes& attributes, std::int64_t opset);

// Sets of element types, as bits by the format's number.
constexpr std::uint32_t bit(ElementType type) noexcept { return 1u << static_cast<unsigned>(type); }
inline constexpr std::uint32_t kF32 = bit(ElementType::kFloat);
inline constexpr std::uint32_t kFloats = kF32 | bit(ElementType::kDouble);
inline constexpr std::uint32_t kNumbers = kFloats | bit(ElementType::kInt64) | bit(ElementType::kInt32);
inline constexpr std::uint32_t kSmall = bit(ElementType::kInt8) | bit(ElementType::kUint8);
inline constexpr std::uint32_t kBool = bit(ElementType::kBool);
inline constexpr std::uint32_t kAll = kNumbers | kSmall | kBool;
inline constexpr std::uint32_t kIndex = bit(ElementType::kInt64) | bit(ElementType::kInt32);

// Signatures: one letter for each input and output.
//   T  a type of `types`, the same wherever it stands     U  likewise, of `more_types`
//   F FLOAT · L INT64 · J INT32 · B BOOL · I INT64 or INT32 · Y UINT8
//   A  (outputs) what attribute `to` (or `dtype`) says     V (outputs) what attribute `value` holds
//   Q  (outputs) U where an input has it, else UINT8
// "?": all that follow may be left out. "*": the one before may be repeated.
struct Operator {
  std::string_view name;
  std::string_view inputs, outputs;
  std::uint32_t types = kAll;
  std::string_view attributes;       // what is understood, each with its kind: "axis/i pads/I alpha/f mode/s names/S value/t"
  RunOperator run = nullptr;
  std::uint32_t more_types = kAll;
  CheckOperator check = nullptr;
  std::string_view domain = "";
};

inline constexpr std::int64_t kOldestOpset = 7, kNewestOpset = 23;

std::span<const Operator> operators() noexcept;
const Operator* find_operator(std::string_view domain, std::string_view name) noexcept;

// Whether the node can run with inputs of these types (kUndefined: left out). Returns the types of its outputs.
// Errors: kUnsupported, kCorrupt; `place` names the node.
Result<std::vector<ElementType>> check_node(const Node& node, std::span<const ElementType> inputs, std::int64_t opset);

}  // namespace retort::onnx
