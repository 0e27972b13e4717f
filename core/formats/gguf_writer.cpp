#include <array>
#include <unordered_set>

#include "core/base/checked.h"
#include "core/formats/byte_reader.h"
#include "core/formats/gguf.h"
#include "core/formats/write_behind.h"
#include "core/formats/writers.h"

namespace retort {
namespace {

using formats::GgufValue;

class ByteBuffer {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    std::array<char, sizeof(T)> raw;
    std::memcpy(raw.data(), &value, sizeof(T));
    bytes_.append(raw.data(), raw.size());
  }
  void string(std::string_view text) {
    number<std::uint64_t>(text.size());
    bytes_.append(text);
  }
  void pad_to(std::uint64_t size) { bytes_.resize(size, '\0'); }
  std::uint64_t size() const noexcept { return bytes_.size(); }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

// The same, counted only.
class ByteCounter {
 public:
  template <class T>
  void number(T) noexcept { size_ += sizeof(T); }
  void string(std::string_view text) noexcept { size_ += sizeof(std::uint64_t) + text.size(); }
  void pad_to(std::uint64_t size) noexcept { size_ = size; }
  std::uint64_t size() const noexcept { return size_; }

 private:
  std::uint64_t size_ = 0;
};

template <class T>
constexpr GgufValue value_type() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return GgufValue::kU8;
  else if constexpr (std::is_same_v<T, std::int8_t>) return GgufValue::kI8;
  else if constexpr (std::is_same_v<T, std::uint16_t>) return GgufValue::kU16;
  else if constexpr (std::is_same_v<T, std::int16_t>) return GgufValue::kI16;
  else if constexpr (std::is_same_v<T, std::uint32_t>) return GgufValue::kU32;
  else if constexpr (std::is_same_v<T, std::int32_t>) return GgufValue::kI32;
  else if constexpr (std::is_same_v<T, std::uint64_t>) return GgufValue::kU64;
  else if constexpr (std::is_same_v<T, std::int64_t>) return GgufValue::kI64;
  else if constexpr (std::is_same_v<T, float>) return GgufValue::kF32;
  else if constexpr (std::is_same_v<T, double>) return GgufValue::kF64;
  else if constexpr (std::is_same_v<T, bool>) return GgufValue::kBool;
  else return GgufValue::kString;
}

template <class T, class Sink>
void put_plain(Sink& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) out.number(static_cast<std::uint8_t>(value ? 1 : 0));
  else if constexpr (std::is_same_v<T, std::string>) out.string(value);
  else out.number(value);
}

template <class Sink>
void put_array(Sink& out, const MetadataArray& array) {
  std::visit(
      [&](const auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        out.number(static_cast<std::uint32_t>(value_type<T>()));
        out.number(static_cast<std::uint64_t>(values.size()));
        for (std::size_t i = 0; i < values.size(); ++i) put_plain<T>(out, values[i]);
      },
      array.values);
}

template <class Sink>
void put_entry(Sink& out, const std::string& key, const MetadataValue& value) {
  out.string(key);
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::shared_ptr<const MetadataArray>>) {
          out.number(static_cast<std::uint32_t>(GgufValue::kArray));
          put_array(out, *v);
        } else {
          out.number(static_cast<std::uint32_t>(value_type<T>()));
          put_plain<T>(out, v);
        }
      },
      value);
}

Error bad_shape(const std::filesystem::path& path, const std::string& name, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadShape, .file = path.string(), .place = "tensor " + formats::printable(name),
               .expected = std::move(expected), .found = std::move(found)};
}

// What a reader would refuse is not written.
Result<std::uint64_t> checked_bytes(const std::filesystem::path& path, const TensorToWrite& tensor) {
  const auto& type = kernels::traits(tensor.type);
  if (type.ggml_id < 0)
    return Error{.code = ErrorCode::kUnsupported, .file = path.string(), .place = "tensor " + tensor.name,
                 .expected = "a type that GGUF has", .found = std::string(type.name)};
  if (tensor.name.empty() || tensor.name.size() > formats::kGgufMaxNameBytes || !formats::is_clean_utf8(tensor.name))
    return bad_shape(path, tensor.name, "a name of 1 to 63 bytes in UTF-8", std::to_string(tensor.name.size()) + " bytes");
  if (tensor.shape.empty() || tensor.shape.size() > formats::kGgufMaxDimensions)
    return bad_shape(path, tensor.name, "1 to 4 dimensions", std::to_string(tensor.shape.size()));
  std::uint64_t elements = 1;
  for (const std::int64_t size : tensor.shape) {
    const auto next = size > 0 ? checked_mul(elements, static_cast<std::uint64_t>(size)) : std::nullopt;
    if (!next || *next > (std::uint64_t{1} << 59)) return bad_shape(path, tensor.name, "sizes above 0", std::to_string(size));
    elements = *next;
  }
  if (static_cast<std::uint64_t>(tensor.shape.back()) % type.block_size != 0)
    return bad_shape(path, tensor.name, "rows of a multiple of " + std::to_string(type.block_size),
                     std::to_string(tensor.shape.back()));
  return elements / type.block_size * type.block_bytes;
}

struct Layout {
  std::vector<std::uint64_t> sizes, offsets;   // bytes of each tensor; where each starts, from the start of the data
  std::uint64_t data_bytes = 0;                // the last tensor's padding included, as llama.cpp writes it
};

Result<Layout> lay_out(const std::filesystem::path& path, std::span<const TensorToWrite> tensors, std::uint64_t alignment) {
  Layout layout;
  std::unordered_set<std::string_view> names;
  for (const TensorToWrite& tensor : tensors) {
    if (!names.insert(tensor.name).second) return bad_shape(path, tensor.name, "each name once", "the same name again");
    RETORT_TRY(const std::uint64_t bytes, checked_bytes(path, tensor));
    const auto end = checked_add(layout.data_bytes, bytes);
    const auto next = end ? formats::align_up(*end, alignment) : std::nullopt;
    if (!next) return bad_shape(path, tensor.name, "a file that a disk can hold", "more than 2^64 bytes");
    layout.sizes.push_back(bytes);
    layout.offsets.push_back(layout.data_bytes);
    layout.data_bytes = *next;
  }
  return layout;
}

Result<std::uint64_t> chosen_alignment(const std::filesystem::path& path, const Metadata& metadata) {
  const MetadataValue* value = metadata.find("general.alignment");
  if (!value) return formats::kGgufDefaultAlignment;
  const auto* number = std::get_if<std::uint32_t>(value);
  if (number && *number >= 1 && std::has_single_bit(*number)) return std::uint64_t{*number};
  return Error{.code = ErrorCode::kBadArgument, .file = path.string(), .place = "general.alignment",
               .expected = "a power of two, u32", .found = "another value"};
}

template <class Sink>
Sink make_header(const Metadata& metadata, std::span<const TensorToWrite> tensors, const Layout& layout,
                 std::uint64_t alignment) {
  Sink header;
  header.number(formats::kGgufMagic);
  header.number(formats::kGgufVersion);
  header.number(static_cast<std::uint64_t>(tensors.size()));
  header.number(static_cast<std::uint64_t>(metadata.entries().size()));
  for (const auto& [key, value] : metadata.entries()) put_entry(header, key, value);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorToWrite& tensor = tensors[i];
    header.string(tensor.name);
    header.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      header.number(static_cast<std::uint64_t>(*size));
    header.number(static_cast<std::uint32_t>(kernels::traits(tensor.type).ggml_id));
    header.number(static_cast<std::uint64_t>(layout.offsets[i]));
  }
  header.pad_to(*formats::align_up(header.size(), alignment));
  return header;
}

}  // namespace

Result<std::uint64_t> gguf_file_bytes(const Metadata& metadata, std::span<const TensorToWrite> tensors) {
  RETORT_TRY(const std::uint64_t alignment, chosen_alignment({}, metadata));
  RETORT_TRY(const Layout layout, lay_out({}, tensors, alignment));
  return make_header<ByteCounter>(metadata, tensors, layout, alignment).size() + layout.data_bytes;
}

Result<void> write_gguf(const std::filesystem::path& path, const Metadata& metadata, std::span<const TensorToWrite> tensors,
                        const JobContext& job) {
  RETORT_TRY(const std::uint64_t alignment, chosen_alignment(path, metadata));
  RETORT_TRY(const Layout layout, lay_out(path, tensors, alignment));
  const auto header = make_header<ByteBuffer>(metadata, tensors, layout, alignment);
  const std::uint64_t total = header.size() + layout.data_bytes;

  RETORT_TRY(AtomicFile file, AtomicFile::create(path));
  RETORT_CHECK(file.reserve(total));
  WriteBehind behind(file);
  RETORT_CHECK(behind.write(std::as_bytes(std::span(header.bytes()))));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorToWrite& tensor = tensors[i];
    RETORT_CHECK(job.check(tensor.name));
    RETORT_CHECK(write_tensor(behind, path, tensor, layout.sizes[i], job));
    const std::uint64_t next = i + 1 < tensors.size() ? layout.offsets[i + 1] : layout.data_bytes;
    const std::string zeros(next - layout.offsets[i] - layout.sizes[i], '\0');
    RETORT_CHECK(behind.write(std::as_bytes(std::span(zeros))));
    job.report({static_cast<double>(header.size() + next), static_cast<double>(total), "bytes", "writing " + tensor.name});
  }
  RETORT_CHECK(behind.finish());
  return file.commit();
}

}  // namespace retort
