// safetensors (github.com/huggingface/safetensors): u64 header length · JSON header · data.
// The header maps names to {dtype, shape, data_offsets [begin, end)}, offsets counted from the end of the header;
// "__metadata__" maps strings to strings and is not used.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/formats/checkpoint.h"

namespace retort::formats {

inline constexpr std::uint64_t kSafetensorsMaxHeader = 100'000'000;   // the format's own limit

// "F16" → kF16, "BOOL" → kU8 …; nullptr when Retort has no such type.
const kernels::TypeTraits* find_safetensors_type(std::string_view dtype) noexcept;
// kF16 → "F16"; empty for packed types.
std::string_view safetensors_dtype(TensorType type) noexcept;

// The tensors of one file, in the order of their data. `file_index` goes into TensorEntry::file.
// Errors: kTruncated, kCorrupt, kUnsupported (a dtype).
Result<std::vector<TensorEntry>> read_safetensors(const MappedFile& file, std::size_t file_index);

// Whether the first bytes look like a safetensors file: a plausible header length, then "{".
bool looks_like_safetensors(std::span<const std::byte> bytes) noexcept;

}  // namespace retort::formats
