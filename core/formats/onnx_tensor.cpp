#include "core/formats/onnx_tensor.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "core/base/checked.h"
#include "core/formats/byte_reader.h"
#include "core/formats/protobuf.h"

namespace retort::onnx {
namespace {

namespace fs = std::filesystem;
using formats::printable;
using formats::ProtoField;
using formats::Wire;

constexpr std::array kElements = {
    ElementTraits{ElementType::kUndefined, "UNDEFINED", 0, "?"},
    ElementTraits{ElementType::kFloat, "FLOAT", 32, "F32"},
    ElementTraits{ElementType::kUint8, "UINT8", 8, "U8"},
    ElementTraits{ElementType::kInt8, "INT8", 8, "I8"},
    ElementTraits{ElementType::kUint16, "UINT16", 16, "U16"},
    ElementTraits{ElementType::kInt16, "INT16", 16, "I16"},
    ElementTraits{ElementType::kInt32, "INT32", 32, "I32"},
    ElementTraits{ElementType::kInt64, "INT64", 64, "I64"},
    ElementTraits{ElementType::kString, "STRING", 0, "STRING"},
    ElementTraits{ElementType::kBool, "BOOL", 8, "BOOL"},
    ElementTraits{ElementType::kFloat16, "FLOAT16", 16, "F16"},
    ElementTraits{ElementType::kDouble, "DOUBLE", 64, "F64"},
    ElementTraits{ElementType::kUint32, "UINT32", 32, "U32"},
    ElementTraits{ElementType::kUint64, "UINT64", 64, "U64"},
    ElementTraits{ElementType::kComplex64, "COMPLEX64", 64, "COMPLEX64"},
    ElementTraits{ElementType::kComplex128, "COMPLEX128", 128, "COMPLEX128"},
    ElementTraits{ElementType::kBfloat16, "BFLOAT16", 16, "BF16"},
    ElementTraits{ElementType::kFloat8E4M3FN, "FLOAT8E4M3FN", 8, "F8_E4M3"},
    ElementTraits{ElementType::kFloat8E4M3FNUZ, "FLOAT8E4M3FNUZ", 8, "FLOAT8E4M3FNUZ"},
    ElementTraits{ElementType::kFloat8E5M2, "FLOAT8E5M2", 8, "F8_E5M2"},
    ElementTraits{ElementType::kFloat8E5M2FNUZ, "FLOAT8E5M2FNUZ", 8, "FLOAT8E5M2FNUZ"},
    ElementTraits{ElementType::kUint4, "UINT4", 4, "UINT4"},
    ElementTraits{ElementType::kInt4, "INT4", 4, "INT4"},
    ElementTraits{ElementType::kFloat4E2M1, "FLOAT4E2M1", 4, "FLOAT4E2M1"},
};
static_assert(kElements.size() == static_cast<std::size_t>(ElementType::kCount));

constexpr std::size_t kMostParts = 1u << 21, kLongestName = 4096, kMostDimensions = 64;

// The fields of a TensorProto before they are put together.
struct Fields {
  StoredTensor tensor;
  std::optional<std::string_view> raw;
  std::optional<std::string_view> packed;    // the only chunk of float_data or double_data: its bytes are the values
  std::uint32_t typed = 0;                   // the field that holds numbers: 4 to 11; 0: none
  std::vector<std::int64_t> wholes;          // int32_data, int64_data, uint64_data
  std::vector<std::byte> reals;              // float_data, double_data in several chunks
  bool external = false;
  std::string location, offset, length;
};

Error broken(const Fields& fields, ErrorCode code, std::string expected, std::string found) {
  return Error{.code = code, .place = "tensor " + printable(fields.tensor.name), .expected = std::move(expected), .found = std::move(found)};
}

Result<void> add_external(std::string_view bytes, Fields& fields) {
  std::string key, value;
  RETORT_CHECK(formats::for_fields(bytes, "external_data", [&](const ProtoField& field) -> Result<void> {
    if (field.is(1, Wire::kBytes)) key = field.bytes.substr(0, kLongestName);
    if (field.is(2, Wire::kBytes)) value = field.bytes.substr(0, kLongestName);
    return {};
  }));
  if (key == "location") fields.location = value;
  if (key == "offset") fields.offset = value;
  if (key == "length") fields.length = value;
  return {};
}

Result<void> add_typed(const ProtoField& field, Fields& fields) {
  if (fields.typed != 0 && fields.typed != field.number)
    return broken(fields, ErrorCode::kCorrupt, "values in one field", "two kinds of values");
  const bool first = fields.typed == 0;
  fields.typed = field.number;
  if (field.number == 5 || field.number == 7 || field.number == 11) return formats::append_numbers(field, "tensor", fields.wholes);
  if (field.wire == Wire::kBytes && first) {
    fields.packed = field.bytes;
    return {};
  }
  if (fields.packed) {
    const auto view = std::as_bytes(std::span(*fields.packed));
    fields.reals.assign(view.begin(), view.end());
    fields.packed.reset();
  }
  const std::size_t width = field.wire == Wire::kFixed32 ? 4 : 8;
  const auto view = field.wire == Wire::kBytes ? std::as_bytes(std::span(field.bytes)) : std::as_bytes(std::span(&field.value, 1)).first(width);
  fields.reals.insert(fields.reals.end(), view.begin(), view.end());
  return {};
}

Result<void> add_field(const ProtoField& field, Fields& fields) {
  StoredTensor& tensor = fields.tensor;
  switch (field.number) {
    case 1: return formats::append_numbers(field, "tensor dims", tensor.shape);
    case 2:
      if (field.value == 0 || field.value >= kElements.size())
        return broken(fields, ErrorCode::kUnsupported, "a data type from 1 to " + std::to_string(kElements.size() - 1), std::to_string(field.value));
      tensor.type = static_cast<ElementType>(field.value);
      return {};
    case 3: return broken(fields, ErrorCode::kUnsupported, "a whole tensor", "a segment of one");
    case 4: case 5: case 7: case 10: case 11: return add_typed(field, fields);
    case 6: return broken(fields, ErrorCode::kUnsupported, "numbers", "strings");
    case 8: {
      RETORT_TRY(tensor.name, read_name(field.bytes, "a tensor's name"));
      return {};
    }
    case 9:
      if (field.wire == Wire::kBytes) fields.raw = field.bytes;
      return {};
    case 13: return add_external(field.bytes, fields);
    case 14: fields.external = field.value == 1; return {};
    default: return {};
  }
}

// The value's bytes in `width`; the format writes small types as int32.
std::shared_ptr<const std::vector<std::byte>> narrowed(const std::vector<std::int64_t>& wholes, std::size_t width) {
  auto out = std::make_shared<std::vector<std::byte>>(wholes.size() * width);
  for (std::size_t i = 0; i < wholes.size(); ++i) std::memcpy(out->data() + i * width, &wholes[i], width);
  return out;
}

// Which typed field a type's values stand in (onnx.proto3, TensorProto): 0 when only raw_data may hold them.
std::uint32_t typed_field(ElementType type) noexcept {
  switch (type) {
    case ElementType::kFloat: case ElementType::kComplex64: return 4;
    case ElementType::kInt64: return 7;
    case ElementType::kDouble: case ElementType::kComplex128: return 10;
    case ElementType::kUint32: case ElementType::kUint64: return 11;
    case ElementType::kUndefined: case ElementType::kString: return 0;
    default: return 5;
  }
}

Result<std::optional<std::uint64_t>> number_in(const std::string& text, const char* what, const Fields& fields) {
  if (text.empty()) return std::optional<std::uint64_t>();
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size())
    return broken(fields, ErrorCode::kCorrupt, std::string("a number for the external ") + what, printable(text));
  return std::optional(value);
}

// The file beside the graph that `location` names. It may lie in a folder below, never outside, by links neither.
Result<std::shared_ptr<const MappedFile>> open_external(const Fields& fields, ReadState& state) {
  if (const auto known = state.external.find(fields.location); known != state.external.end()) return known->second;
  const fs::path folder = state.file.path.has_parent_path() ? state.file.path.parent_path() : fs::path(".");
  const fs::path location(fields.location);
  const bool clean = !fields.location.empty() && formats::is_clean_utf8(fields.location) && location.is_relative() &&
                     std::none_of(location.begin(), location.end(), [](const fs::path& part) { return part == ".."; });
  std::error_code problem;
  const fs::path root = clean ? fs::canonical(folder, problem) : fs::path();
  const fs::path real = clean && !problem ? fs::weakly_canonical(folder / location, problem) : fs::path();
  const bool inside = clean && !problem && std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
  if (!inside)
    return Error{.code = ErrorCode::kPermission, .place = "tensor " + printable(fields.tensor.name), .expected = "external data inside the model's folder",
                 .found = printable(fields.location), .next_step = "put the data file beside the model and save the model again"};
  auto opened = MappedFile::open(folder / location);
  if (!opened) {
    if (opened.error().code != ErrorCode::kNotFound) return opened.error();
    return Error{.code = ErrorCode::kMissingPart, .file = (folder / location).string(), .place = "tensor " + printable(fields.tensor.name),
                 .expected = "external data", .found = "no such file"};
  }
  state.file.files.push_back(*opened);
  state.external.emplace(fields.location, *opened);
  return *opened;
}

Result<void> place_external(Fields& fields, std::uint64_t wanted, ReadState& state) {
  RETORT_TRY(const auto offset, number_in(fields.offset, "offset", fields));
  RETORT_TRY(const auto length, number_in(fields.length, "length", fields));
  fields.tensor.external = true;
  if (wanted == 0) return {};
  RETORT_TRY(const auto file, open_external(fields, state));
  const auto bytes = file->bytes();
  const std::uint64_t from = offset.value_or(0);
  if (from > bytes.size() || bytes.size() - from < wanted || (length && *length != wanted)) {
    Error error = broken(fields, ErrorCode::kTruncated, std::to_string(wanted) + " bytes",
                         length && *length != wanted ? std::to_string(*length) + " stated" : std::to_string(from > bytes.size() ? 0 : bytes.size() - from));
    error.file = file->path().string();
    error.offset = from;
    return error;
  }
  fields.tensor.data = bytes.subspan(from, wanted);
  return {};
}

Result<void> place_values(Fields& fields, std::uint64_t wanted) {
  StoredTensor& tensor = fields.tensor;
  if (fields.raw) {
    tensor.data = std::as_bytes(std::span(*fields.raw));
  } else if (fields.typed == 5 || fields.typed == 7 || fields.typed == 11) {
    tensor.owned = narrowed(fields.wholes, traits(tensor.type).bits / 8 == 0 ? 1 : traits(tensor.type).bits / 8);
    tensor.data = *tensor.owned;
  } else if (fields.packed) {
    tensor.data = std::as_bytes(std::span(*fields.packed));
  } else if (!fields.reals.empty()) {
    tensor.owned = std::make_shared<const std::vector<std::byte>>(std::move(fields.reals));
    tensor.data = *tensor.owned;
  }
  if (fields.raw && fields.typed != 0) return broken(fields, ErrorCode::kCorrupt, "raw or typed values", "both");
  if (fields.typed != 0 && fields.typed != typed_field(tensor.type))
    return broken(fields, ErrorCode::kCorrupt, std::string(traits(tensor.type).name) + " values", "values in the field of another type");
  if (tensor.data.size() != wanted)
    return broken(fields, ErrorCode::kTruncated, std::to_string(wanted) + " bytes of values", std::to_string(tensor.data.size()));
  return {};
}

}  // namespace

const ElementTraits& traits(ElementType type) noexcept {
  const auto index = static_cast<std::size_t>(type);
  return kElements[index < kElements.size() ? index : 0];
}

std::optional<std::uint64_t> element_bytes(ElementType type, std::uint64_t n) noexcept {
  const std::uint32_t bits = traits(type).bits;
  if (bits == 0) return std::nullopt;
  if (bits == 4) return n / 2 + n % 2;
  return checked_mul(n, bits / 8);
}

Result<void> ReadState::count(std::size_t more) {
  parts += more;
  if (parts <= kMostParts) return {};
  return Error{.code = ErrorCode::kCorrupt, .expected = "at most " + std::to_string(kMostParts) + " nodes, names and attributes", .found = "more"};
}

Result<std::string> read_name(std::string_view bytes, std::string_view what) {
  if (bytes.size() <= kLongestName && (bytes.empty() || formats::is_clean_utf8(bytes))) return std::string(bytes);
  return Error{.code = ErrorCode::kCorrupt, .place = std::string(what), .expected = "UTF-8 of at most " + std::to_string(kLongestName) + " bytes",
               .found = printable(bytes)};
}

Result<StoredTensor> read_tensor(std::string_view bytes, ReadState& state) {
  RETORT_CHECK(state.count());
  Fields fields;
  RETORT_CHECK(formats::for_fields(bytes, "a tensor", [&](const ProtoField& field) { return add_field(field, fields); }));
  StoredTensor& tensor = fields.tensor;
  if (tensor.type == ElementType::kUndefined) return broken(fields, ErrorCode::kCorrupt, "a data type", "none");
  if (tensor.shape.size() > kMostDimensions)
    return broken(fields, ErrorCode::kCorrupt, "at most " + std::to_string(kMostDimensions) + " dimensions", std::to_string(tensor.shape.size()));
  // The product of the sizes other than 0 must fit too, so that code may multiply any of them.
  std::uint64_t product = 1;
  bool empty = false;
  for (const std::int64_t size : tensor.shape) {
    const auto next = size < 0 ? std::nullopt : checked_mul(product, static_cast<std::uint64_t>(size == 0 ? 1 : size));
    if (!next || *next > (std::uint64_t{1} << 56)) return broken(fields, ErrorCode::kCorrupt, "sizes of a tensor", std::to_string(size));
    product = *next;
    empty = empty || size == 0;
  }
  const auto wanted = element_bytes(tensor.type, empty ? 0 : product);
  if (!wanted) return broken(fields, ErrorCode::kUnsupported, "numbers", std::string(traits(tensor.type).name));
  if (fields.external) {
    RETORT_CHECK(place_external(fields, *wanted, state));
  } else {
    RETORT_CHECK(place_values(fields, *wanted));
  }
  return std::move(fields.tensor);
}

}  // namespace retort::onnx
