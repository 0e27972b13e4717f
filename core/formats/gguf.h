// GGUF: ggml's container (github.com/ggml-org/ggml, docs/gguf.md). Little-endian, versions 2 and 3 read, 3 written:
//   "GGUF" · u32 version · u64 tensors · u64 keys
//   keys:    string key · u32 value type · value          (string: u64 length · bytes; array: u32 type · u64 n · values)
//   tensors: string name · u32 dimensions · u64 size each, innermost first · u32 ggml type · u64 offset
//   padding to general.alignment (32 unless given), then the data; offsets count from there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/formats/checkpoint.h"

namespace retort::formats {

inline constexpr std::uint32_t kGgufMagic = 0x46554747;   // "GGUF"
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::uint64_t kGgufDefaultAlignment = 32;
inline constexpr std::uint64_t kGgufMaxNameBytes = 63;    // ggml keeps names in 64 bytes with a final NUL
inline constexpr std::uint64_t kGgufMaxKeyBytes = 65535;
inline constexpr std::uint32_t kGgufMaxDimensions = 4;

// Numbers of the value types, and the variant's alternatives in their order.
enum class GgufValue : std::uint32_t {
  kU8 = 0, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64
};

// One file by itself. Errors: as open_checkpoint.
Result<std::shared_ptr<Checkpoint>> read_gguf(std::shared_ptr<const MappedFile> file);

// A file, or all files of a model that llama-gguf-split cut up: NAME-00001-of-0000N.gguf and its neighbours, whichever of
// them is given. Metadata are the first file's. Errors: as open_checkpoint; kMissingPart names the file that is not there.
Result<std::shared_ptr<const Checkpoint>> open_gguf(std::shared_ptr<const MappedFile> file);

// The first file's name when `name` is one of a split model ("m-00002-of-00003.gguf" → "m-00001-of-00003.gguf").
std::optional<std::string> first_of_split(std::string_view name);

}  // namespace retort::formats
