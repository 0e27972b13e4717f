// Python pickles of state dictionaries, read as data: a machine that knows only the opcodes and the globals that torch.save
// uses for tensors. Nothing named in a file is ever looked up, imported or called; anything else is refused by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "kernels/api/tensor_type.h"

namespace retort::formats {

// A tensor as the pickle describes it: part of a storage, whose bytes lie elsewhere.
struct PickledTensor {
  std::string name;
  kernels::TensorType type{};
  std::string storage;              // key of the bytes
  std::uint64_t storage_elements = 0, offset = 0;   // in elements
  std::vector<std::int64_t> shape, strides;
};

// The tensors of a pickled dictionary of tensors, or of the dictionary under "state_dict". Errors: kTruncated, kCorrupt,
// kUnsupported (an opcode, a global or a kind of value, named).
Result<std::vector<PickledTensor>> read_pickle(std::span<const std::byte> bytes, const std::string& file);

}  // namespace retort::formats
