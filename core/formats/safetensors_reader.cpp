#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/checked.h"
#include "core/formats/byte_reader.h"
#include "core/formats/json_text.h"
#include "core/formats/safetensors.h"

namespace retort::formats {
namespace {

using nlohmann::json;

struct DtypeName {
  std::string_view dtype;
  TensorType type;
};
constexpr std::array kDtypes = {
    DtypeName{"F32", TensorType::kF32}, DtypeName{"F16", TensorType::kF16},  DtypeName{"BF16", TensorType::kBF16},
    DtypeName{"F64", TensorType::kF64}, DtypeName{"I8", TensorType::kI8},    DtypeName{"I16", TensorType::kI16},
    DtypeName{"I32", TensorType::kI32}, DtypeName{"I64", TensorType::kI64},  DtypeName{"U8", TensorType::kU8},
    DtypeName{"U16", TensorType::kU16}, DtypeName{"U32", TensorType::kU32},  DtypeName{"U64", TensorType::kU64},
    DtypeName{"F8_E4M3", TensorType::kF8_E4M3}, DtypeName{"F8_E5M2", TensorType::kF8_E5M2},
    DtypeName{"BOOL", TensorType::kU8},
    // A power of two, 2^(code - 127): a scale of blocks, read as its code.
    DtypeName{"F8_E8M0", TensorType::kU8},
};

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::size_t kMaxDimensions = 8;

class SafetensorsParser {
 public:
  SafetensorsParser(const MappedFile& file, std::size_t file_index)
      : bytes_(file.bytes()), file_index_(file_index), reader_(bytes_, file.path().string()) {}

  Result<std::vector<TensorEntry>> parse() {
    RETORT_TRY(const auto length, reader_.number<std::uint64_t>("header length"));
    if (length > kSafetensorsMaxHeader)
      return reader_.error(ErrorCode::kCorrupt, "header length", 0,
                           "at most " + std::to_string(kSafetensorsMaxHeader) + " bytes", std::to_string(length));
    RETORT_TRY(const auto text, reader_.take(length, "header"));
    data_start_ = kLengthBytes + length;
    RETORT_TRY(const json header, parse_json(text, reader_.file(), "header", kLengthBytes));
    if (!header.is_object())
      return reader_.error(ErrorCode::kCorrupt, "header", kLengthBytes, "a JSON object", header.type_name());
    std::vector<TensorEntry> tensors;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      RETORT_TRY(auto tensor, read_entry(name, entry));
      tensors.push_back(std::move(tensor));
    }
    RETORT_CHECK(order_and_check(tensors));
    return tensors;
  }

 private:
  Error corrupt(const std::string& place, std::string expected, std::string found) const {
    return reader_.error(ErrorCode::kCorrupt, place, kLengthBytes, std::move(expected), std::move(found));
  }

  Result<TensorEntry> read_entry(const std::string& name, const json& entry) const {
    const std::string place = "tensor " + printable(name);
    if (name.empty() || !is_clean_utf8(name)) return corrupt(place, "a name in UTF-8", "other bytes");
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") ||
        !entry["shape"].is_array() || !entry.contains("data_offsets") || !entry["data_offsets"].is_array())
      return corrupt(place, "dtype, shape and data_offsets", "an entry without them");
    const std::string& dtype = entry["dtype"].get_ref<const std::string&>();
    const kernels::TypeTraits* type = find_safetensors_type(dtype);
    if (!type)
      return reader_.error(ErrorCode::kUnsupported, place, kLengthBytes, "a dtype that Retort reads",
                           printable(dtype), "save the model as F32, F16 or BF16");
    TensorEntry tensor;
    tensor.name = name;
    tensor.type = type->type;
    tensor.file = file_index_;
    RETORT_TRY(tensor.shape, shape(entry["shape"], place));
    RETORT_CHECK(place_data(entry["data_offsets"], type->block_bytes, place, tensor));
    return tensor;
  }

  Result<std::vector<std::int64_t>> shape(const json& sizes, const std::string& place) const {
    if (sizes.size() > kMaxDimensions)
      return corrupt(place, "at most " + std::to_string(kMaxDimensions) + " dimensions", std::to_string(sizes.size()));
    std::vector<std::int64_t> shape;
    std::uint64_t product = 1;
    bool empty = false;
    for (const json& size : sizes) {
      if (!size.is_number_unsigned()) return corrupt(place, "sizes that are whole numbers", size.type_name());
      const auto value = size.get<std::uint64_t>();
      // A size of 0 makes the tensor empty; the other sizes must still multiply without overflow.
      const auto next = checked_mul(product, value == 0 ? 1 : value);
      if (!next || *next > (std::uint64_t{1} << 59))
        return corrupt(place, "a shape that a file can hold", std::to_string(value));
      product = *next;
      empty = empty || value == 0;
      shape.push_back(static_cast<std::int64_t>(value));
    }
    return shape;
  }

  Result<void> place_data(const json& offsets, std::uint64_t element_bytes, const std::string& place,
                          TensorEntry& tensor) const {
    if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
      return corrupt(place, "two data_offsets", "something else");
    const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
    const std::uint64_t wanted = static_cast<std::uint64_t>(tensor.elements()) * element_bytes;
    if (begin > end || end - begin != wanted)
      return corrupt(place, std::to_string(wanted) + " bytes of data",
                     "offsets " + std::to_string(begin) + " to " + std::to_string(end));
    const std::uint64_t room = bytes_.size() - data_start_;
    if (end > room)
      return reader_.error(ErrorCode::kTruncated, place, data_start_ + std::min(begin, room),
                           std::to_string(wanted) + " bytes of data", std::to_string(room - std::min(begin, room)));
    tensor.offset = data_start_ + begin;
    tensor.data = bytes_.subspan(tensor.offset, wanted);
    return {};
  }

  Result<void> order_and_check(std::vector<TensorEntry>& tensors) const {
    std::sort(tensors.begin(), tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
      return std::pair(a.offset, a.data.size()) < std::pair(b.offset, b.data.size());
    });
    for (std::size_t i = 1; i < tensors.size(); ++i)
      if (tensors[i].offset < tensors[i - 1].offset + tensors[i - 1].data.size())
        return reader_.error(ErrorCode::kCorrupt, "tensor " + printable(tensors[i].name), tensors[i].offset,
                             "data of its own", "data that overlaps tensor " + printable(tensors[i - 1].name));
    return {};
  }

  std::span<const std::byte> bytes_;
  std::size_t file_index_;
  ByteReader reader_;
  std::uint64_t data_start_ = 0;
};

}  // namespace

const kernels::TypeTraits* find_safetensors_type(std::string_view dtype) noexcept {
  for (const DtypeName& row : kDtypes)
    if (row.dtype == dtype) return &kernels::traits(row.type);
  return nullptr;
}

std::string_view safetensors_dtype(TensorType type) noexcept {
  for (const DtypeName& row : kDtypes)
    if (row.type == type) return row.dtype;
  return {};
}

Result<std::vector<TensorEntry>> read_safetensors(const MappedFile& file, std::size_t file_index) {
  return SafetensorsParser(file, file_index).parse();
}

bool looks_like_safetensors(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < kLengthBytes + 2 || bytes[kLengthBytes] != std::byte{'{'}) return false;
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  return length <= kSafetensorsMaxHeader;
}

}  // namespace retort::formats
