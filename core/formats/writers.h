// Writers: beside the target, synced, renamed; sizes known before the first byte, so a full disk is known too.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/formats/checkpoint.h"

namespace retort {

// A tensor to write: its data is asked for when its turn comes, so a model larger than memory can be written.
struct TensorToWrite {
  std::string name;
  std::vector<std::int64_t> shape;   // outermost first
  TensorType type;
  // Returns a view valid until the next call. Errors are passed on.
  std::function<Result<std::span<const std::byte>>()> data;
  // Instead of `data`, for what is made row by row: fills `out` with whole rows, `first` being the first of them; asked in order.
  std::function<Result<void>(std::int64_t first, std::span<std::byte> out)> rows = nullptr;
};

// GGUF v3, alignment 32 (or metadata general.alignment). Errors: kDiskFull, kWrite, kPermission, kCanceled,
// kBadShape (data of another size than shape and type say).
Result<void> write_gguf(const std::filesystem::path& path, const Metadata& metadata, std::span<const TensorToWrite> tensors,
                        const JobContext& job);
// The size of the file that write_gguf would make of these; `data` is not called. Errors: kBadShape, kUnsupported.
Result<std::uint64_t> gguf_file_bytes(const Metadata& metadata, std::span<const TensorToWrite> tensors);
// safetensors, one file, 8-byte aligned header. Dense types only.
Result<void> write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                               const JobContext& job);
// The size of the file that write_safetensors would make of these; `data` is not called. Errors: kBadShape, kUnsupported.
Result<std::uint64_t> safetensors_file_bytes(std::span<const TensorToWrite> tensors);

}  // namespace retort
