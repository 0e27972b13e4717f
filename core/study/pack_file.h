// Pack files: the tensors of the store, one record after another. A record carries everything that the index knows about
// it, so a lost index is rebuilt by reading the packs.
//
// Record (little-endian, at a multiple of 64 bytes):
//     0  RecordHeader   256 bytes
//   256  tensor data    header.data_bytes, padded with zeros to a multiple of 64
//     …  row scales     header.scale_bytes (f32, I8 tensors only), padded likewise
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/result.h"
#include "core/quantize/quantizer.h"

namespace retort {

struct RecordHeader {
  std::array<char, 8> magic;                  // "RTTENS01"
  std::array<std::uint8_t, 32> key;           // of the store: a digest of inputs
  std::uint64_t data_bytes;
  std::uint64_t scale_bytes;
  double mean_squared_error, relative_error;  // of the quantization
  std::array<std::uint8_t, 32> content;       // SHA-256 of data and scales: finds damage, never used as a key
  std::array<char, 16> type;                  // name of the tensor type, zero-filled
  std::array<char, 80> name;                  // of the tensor, cut, for people
  std::array<std::uint8_t, 24> reserved;      // zero
  std::array<std::uint8_t, 32> check;         // SHA-256 of the 224 bytes before
};
static_assert(sizeof(RecordHeader) == 256, "the layout is part of the file format");

inline constexpr std::uint64_t kRecordAlignment = 64;

std::uint64_t record_bytes(std::uint64_t data_bytes, std::uint64_t scale_bytes) noexcept;

RecordHeader make_header(const Digest& key, std::string_view name, kernels::TensorType type,
                         std::span<const std::byte> data, std::span<const float> scales, const QuantizeStats& stats);

// A record inside a mapped pack, its header checked and its length inside the file. Views live as long as the map.
struct Record {
  const RecordHeader* header = nullptr;
  kernels::TensorType type = kernels::TensorType::kF32;
  std::span<const std::byte> data;
  std::span<const float> scales;
  Digest key;
  std::uint64_t bytes = 0;                    // of the whole record
  QuantizeStats stats() const { return {header->mean_squared_error, header->relative_error}; }
};
// Errors: kTruncated (past the end of the file), kCorrupt (not a record, unknown type, wrong check).
Result<Record> read_record(const MappedFile& pack, std::uint64_t offset);
// Reads the whole record.
bool content_matches(const Record& record);

// Writes one record at `offset` and waits until it is on the disk. Errors: kDiskFull, kWrite, kPermission.
Result<void> write_record(const std::filesystem::path& pack, std::uint64_t offset, const RecordHeader& header,
                          std::span<const std::byte> data, std::span<const float> scales);

// Calls `found` for every record whose content matches, from the start to the first place that is no record; returns
// the end of the last good record.
std::uint64_t scan_pack(const MappedFile& pack, const std::function<void(std::uint64_t offset, const Record&)>& found);

}  // namespace retort
