// The tensor store: every derived tensor is computed once and kept under the digest of all that it depends on: source
// tensor, quantizer and version, parameters, calibration statistics. Per user, a few pack files and an index, with a size
// limit, pinning and collection. Several processes may read; puts are serialised by a lock. Survives kill -9: a
// tensor is in the index only after its bytes are on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/result.h"
#include "core/quantize/quantizer.h"

namespace retort {

struct StoredTensor {
  kernels::TensorType type;
  std::span<const std::byte> data;       // mapped
  std::span<const float> row_scales;     // I8 only
  QuantizeStats stats;
  std::shared_ptr<const MappedFile> keep_alive;
};

struct StoreUsage {
  std::uint64_t bytes = 0, limit = 0, tensors = 0, pinned_bytes = 0;
  std::filesystem::path folder;
};

class TensorStore {
 public:
  // RETORT_STORE or the user's cache folder when empty. Errors: kPermission, kCorrupt (a damaged index is rebuilt).
  static Result<std::shared_ptr<TensorStore>> open(const std::filesystem::path& folder = {}, std::uint64_t limit = 0);
  virtual ~TensorStore() = default;

  virtual std::optional<StoredTensor> find(const Digest& key) = 0;
  virtual bool contains(const Digest& key) = 0;
  // Errors: kDiskFull, kWrite.
  virtual Result<StoredTensor> put(const Digest& key, std::string_view name, kernels::TensorType type,
                                   const QuantizedTensor& tensor) = 0;
  // Owners (study paths) pin what their candidates need.
  virtual Result<void> pin(std::string_view owner, std::span<const Digest> keys) = 0;
  // Removes unpinned tensors, least recently used first, until at most `bytes` remain.
  virtual Result<std::uint64_t> collect(std::uint64_t bytes) = 0;
  // Compares every tensor's bytes with the digest taken when it was put; drops those that differ and returns how many.
  virtual Result<std::uint64_t> verify() = 0;
  virtual StoreUsage usage() = 0;
};

}  // namespace retort
