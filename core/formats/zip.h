// The directory of a zip archive whose entries are stored without compression, as PyTorch writes them (APPNOTE.TXT 6.3,
// zip64 included). Entries are views into the file.
#pragma once

#include <span>
#include <string>
#include <unordered_map>

#include "core/base/result.h"

namespace retort::formats {

struct ZipEntry {
  std::span<const std::byte> data;
  std::uint64_t offset = 0;   // of the data in the file
};

// Names → entries. Every offset and size is checked against the file. Errors: kTruncated, kCorrupt, kUnsupported (a
// compressed or encrypted entry, an archive in several files).
Result<std::unordered_map<std::string, ZipEntry>> read_zip(std::span<const std::byte> bytes, const std::string& file);

}  // namespace retort::formats
