// PyTorch's files (.bin, .pt, .pth since PyTorch 1.6): a zip archive with PREFIX/data.pkl, the pickled dictionary of tensors,
// and PREFIX/data/KEY, the bytes of each storage, stored as they are and mapped here. Nothing is executed: see pickle.h.
#pragma once

#include <vector>

#include "core/formats/checkpoint.h"

namespace retort::formats {

bool looks_like_pytorch(std::span<const std::byte> bytes) noexcept;

// The tensors of one file, in the order of the dictionary; tied ones share their bytes. `file_index` goes into
// TensorEntry::file. Errors: kTruncated, kCorrupt, kUnsupported.
Result<std::vector<TensorEntry>> read_pytorch(const MappedFile& file, std::size_t file_index);

}  // namespace retort::formats
