#include <nlohmann/json.hpp>

#include "core/base/checked.h"
#include "core/formats/byte_reader.h"
#include "core/formats/safetensors.h"
#include "core/formats/write_behind.h"
#include "core/formats/writers.h"

namespace retort {
namespace {

using nlohmann::ordered_json;

Error refuse(const std::filesystem::path& path, ErrorCode code, const std::string& name, std::string expected,
             std::string found) {
  return Error{.code = code, .file = path.string(), .place = "tensor " + formats::printable(name),
               .expected = std::move(expected), .found = std::move(found)};
}

struct DataLayout {
  ordered_json header = ordered_json::object();
  std::vector<std::uint64_t> sizes;
  std::uint64_t data_bytes = 0;
};

Result<DataLayout> lay_out_data(const std::filesystem::path& path, std::span<const TensorToWrite> tensors) {
  DataLayout layout;
  layout.header["__metadata__"] = {{"format", "pt"}};   // transformers wants to know; "pt" is what everybody writes
  for (const TensorToWrite& tensor : tensors) {
    const std::string_view dtype = formats::safetensors_dtype(tensor.type);
    if (dtype.empty())
      return refuse(path, ErrorCode::kUnsupported, tensor.name, "a dense type",
                    std::string(kernels::traits(tensor.type).name));
    if (tensor.name.empty() || tensor.name == "__metadata__" || !formats::is_clean_utf8(tensor.name) ||
        layout.header.contains(tensor.name))
      return refuse(path, ErrorCode::kBadShape, tensor.name, "a name of its own in UTF-8", "another name");
    std::uint64_t bytes = kernels::traits(tensor.type).block_bytes;
    for (const std::int64_t size : tensor.shape) {
      const auto next = size >= 0 ? checked_mul(bytes, static_cast<std::uint64_t>(size)) : std::nullopt;
      if (!next) return refuse(path, ErrorCode::kBadShape, tensor.name, "sizes that fit", std::to_string(size));
      bytes = *next;
    }
    const auto end = checked_add(layout.data_bytes, bytes);
    if (!end) return refuse(path, ErrorCode::kBadShape, tensor.name, "a file that a disk can hold", "more than 2^64 bytes");
    layout.header[tensor.name] = {
        {"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {layout.data_bytes, *end}}};
    layout.sizes.push_back(bytes);
    layout.data_bytes = *end;
  }
  return layout;
}

// Padded, so that the data begin at a multiple of 8.
std::string header_of(const DataLayout& layout) {
  std::string header = layout.header.dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

}  // namespace

Result<std::uint64_t> safetensors_file_bytes(std::span<const TensorToWrite> tensors) {
  RETORT_TRY(const DataLayout layout, lay_out_data({}, tensors));
  return sizeof(std::uint64_t) + header_of(layout).size() + layout.data_bytes;
}

Result<void> write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                               const JobContext& job) {
  RETORT_TRY(const DataLayout layout, lay_out_data(path, tensors));
  const std::string header = header_of(layout);
  const std::uint64_t length = header.size(), total = sizeof(length) + length + layout.data_bytes;

  RETORT_TRY(AtomicFile file, AtomicFile::create(path));
  RETORT_CHECK(file.reserve(total));
  WriteBehind behind(file);
  RETORT_CHECK(behind.write(std::as_bytes(std::span(&length, 1))));
  RETORT_CHECK(behind.write(std::as_bytes(std::span(header))));
  std::uint64_t written = sizeof(length) + length;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    RETORT_CHECK(job.check(tensors[i].name));
    RETORT_CHECK(write_tensor(behind, path, tensors[i], layout.sizes[i], job));
    written += layout.sizes[i];
    job.report({static_cast<double>(written), static_cast<double>(total), "bytes", "writing " + tensors[i].name});
  }
  RETORT_CHECK(behind.finish());
  return file.commit();
}

}  // namespace retort
