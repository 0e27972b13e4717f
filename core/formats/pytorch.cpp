#include "core/formats/pytorch.h"

#include <algorithm>
#include <unordered_set>

#include "core/base/checked.h"
#include "core/formats/byte_reader.h"
#include "core/formats/pickle.h"
#include "core/formats/zip.h"

namespace retort::formats {
namespace {

using Entries = std::unordered_map<std::string, ZipEntry>;

// "archive/" for the one entry named "archive/data.pkl".
Result<std::string> find_prefix(const Entries& entries, const std::string& file) {
  constexpr std::string_view kPickle = "data.pkl";
  std::string prefix;
  int found = 0;
  for (const auto& [name, entry] : entries) {
    if (!name.ends_with(kPickle) || (name.size() > kPickle.size() && name[name.size() - kPickle.size() - 1] != '/')) continue;
    prefix = name.substr(0, name.size() - kPickle.size());
    ++found;
  }
  if (found == 1 && !entries.contains(prefix + "constants.pkl")) return prefix;
  return Error{.code = found == 0 ? ErrorCode::kForeign : ErrorCode::kUnsupported, .file = file, .place = "data.pkl",
               .expected = "one pickled dictionary of tensors",
               .found = found == 0 ? "a zip archive of something else" : found == 1 ? "a TorchScript program" : "several",
               .next_step = "save the model's state_dict as safetensors and open the folder"};
}

// Elements from the first to the last of a tensor laid out row after row. nullopt when it is laid out in another way or
// too large for any file.
std::optional<std::uint64_t> contiguous_elements(const PickledTensor& tensor) {
  std::uint64_t elements = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    const auto size = static_cast<std::uint64_t>(tensor.shape[i]);
    if (size == 0) return 0;
    if (size > 1 && static_cast<std::uint64_t>(tensor.strides[i]) != elements) return std::nullopt;
    const auto next = checked_mul(elements, size);
    if (!next || *next > (std::uint64_t{1} << 59)) return std::nullopt;
    elements = *next;
  }
  return elements;
}

Result<TensorEntry> place(const PickledTensor& tensor, const std::string& prefix, const Entries& entries, const std::string& file) {
  const auto error = [&](ErrorCode code, std::string expected, std::string found) {
    return Error{.code = code, .file = file, .place = "tensor " + printable(tensor.name), .expected = std::move(expected),
                 .found = std::move(found)};
  };
  const auto storage = entries.find(prefix + "data/" + tensor.storage);
  if (storage == entries.end()) return error(ErrorCode::kMissingPart, "storage " + printable(tensor.storage), "no such entry");
  const std::uint64_t width = kernels::traits(tensor.type).block_bytes;
  const auto elements = contiguous_elements(tensor);
  if (!elements) {
    Error strided = error(ErrorCode::kUnsupported, "a tensor stored row by row", "one in another order");
    strided.next_step = "save the model with contiguous tensors, as safetensors does";
    return strided;
  }
  const std::uint64_t room = std::min(storage->second.data.size() / width, tensor.storage_elements);
  if (tensor.offset > room || *elements > room - tensor.offset)
    return error(ErrorCode::kTruncated, std::to_string(*elements) + " elements from " + std::to_string(tensor.offset), std::to_string(room));
  TensorEntry entry;
  entry.name = tensor.name;
  entry.shape = tensor.shape;
  entry.type = tensor.type;
  entry.offset = storage->second.offset + tensor.offset * width;
  entry.data = storage->second.data.subspan(tensor.offset * width, *elements * width);
  return entry;
}

}  // namespace

bool looks_like_pytorch(std::span<const std::byte> bytes) noexcept {
  constexpr std::string_view kZip("PK\x03\x04", 4);
  return bytes.size() >= kZip.size() && std::memcmp(bytes.data(), kZip.data(), kZip.size()) == 0;
}

Result<std::vector<TensorEntry>> read_pytorch(const MappedFile& file, std::size_t file_index) {
  const std::string name = file.path().string();
  RETORT_TRY(const Entries entries, read_zip(file.bytes(), name));
  RETORT_TRY(const std::string prefix, find_prefix(entries, name));
  if (const auto order = entries.find(prefix + "byteorder"); order != entries.end()) {
    const std::string_view text(reinterpret_cast<const char*>(order->second.data.data()), order->second.data.size());
    if (!text.starts_with("little"))
      return Error{.code = ErrorCode::kUnsupported, .file = name, .place = "byteorder", .expected = "little", .found = printable(text)};
  }
  RETORT_TRY(const auto pickled, read_pickle(entries.at(prefix + "data.pkl").data, name));
  std::vector<TensorEntry> tensors;
  std::unordered_set<std::string_view> names;
  for (const PickledTensor& tensor : pickled) {
    if (!names.insert(tensor.name).second)
      return Error{.code = ErrorCode::kCorrupt, .file = name, .place = "tensor " + printable(tensor.name), .expected = "each name once",
                   .found = "the same name again"};
    RETORT_TRY(auto entry, place(tensor, prefix, entries, name));
    entry.file = file_index;
    tensors.push_back(std::move(entry));
  }
  return tensors;
}

}  // namespace retort::formats
