#include <algorithm>
#include <unordered_set>

#include "core/base/checked.h"
#include "core/formats/byte_reader.h"
#include "core/formats/gguf.h"

namespace retort::formats {
namespace {

// Names of ggml types that Retort does not decode, so that the refusal says more than a number.
std::string_view foreign_type_name(std::uint32_t id) noexcept {
  switch (id) {
    case 4: return "Q4_2, withdrawn";
    case 5: return "Q4_3, withdrawn";
    case 9: return "Q8_1";
    case 15: return "Q8_K";
    case 31: case 32: case 33: return "Q4_0 in a CPU's order, withdrawn";
    case 36: case 37: case 38: return "IQ4_NL in a CPU's order, withdrawn";
    case 41: return "Q1_0";
    default: return "unknown";
  }
}

class GgufParser {
 public:
  explicit GgufParser(std::shared_ptr<const MappedFile> file)
      : file_(std::move(file)), reader_(file_->bytes(), file_->path().string()) {}

  Result<std::shared_ptr<Checkpoint>> parse() {
    out_->path = file_->path();
    out_->format = CheckpointFormat::kGguf;
    out_->files.push_back(file_);
    RETORT_TRY(const Counts counts, header());
    for (std::uint64_t i = 0; i < counts.keys; ++i) RETORT_CHECK(key_value(i));
    RETORT_TRY(const std::uint64_t alignment, data_alignment());
    for (std::uint64_t i = 0; i < counts.tensors; ++i) RETORT_CHECK(tensor_info(i, alignment));
    RETORT_CHECK(place_data(alignment));
    out_->chat_template = out_->metadata.string_at("tokenizer.chat_template").value_or("");
    return std::move(out_);
  }

 private:
  struct Counts {
    std::uint64_t tensors, keys;
  };

  Result<Counts> header() {
    RETORT_TRY(const auto magic, reader_.number<std::uint32_t>("header"));
    if (magic != kGgufMagic)
      return reader_.error(ErrorCode::kForeign, "header", 0, "the letters GGUF", "other bytes");
    RETORT_TRY(const auto version, reader_.number<std::uint32_t>("version"));
    if (version == 1 || version > kGgufVersion || version == 0) {
      const bool swapped = version != 0 && (version & 0xffffu) == 0;
      return reader_.error(ErrorCode::kUnsupported, "version", 4, "GGUF version 2 or 3, little-endian",
                           swapped ? "a big-endian file" : "version " + std::to_string(version),
                           "convert the model again with a current llama.cpp");
    }
    RETORT_TRY(const auto tensors, reader_.number<std::uint64_t>("tensor count"));
    RETORT_TRY(const auto keys, reader_.number<std::uint64_t>("key count"));
    // The smallest key is 8 + 0 + 4 + 1 bytes, the smallest tensor entry 8 + 0 + 4 + 4 + 8.
    RETORT_CHECK(reader_.expect_items(keys, 13, "key count"));
    RETORT_CHECK(reader_.expect_items(tensors, 24, "tensor count"));
    return Counts{tensors, keys};
  }

  Result<void> key_value(std::uint64_t index) {
    const std::uint64_t start = reader_.position();
    const std::string number = "key " + std::to_string(index);
    RETORT_TRY(const auto key, reader_.string(number, kGgufMaxKeyBytes));
    const std::string place = "key " + printable(key);
    if (key.empty() || !is_clean_utf8(key))
      return reader_.error(ErrorCode::kCorrupt, number, start, "a key in UTF-8", printable(key));
    if (!keys_.insert(key).second)
      return reader_.error(ErrorCode::kCorrupt, place, start, "each key once", "the same key again");
    RETORT_TRY(const auto type, reader_.number<std::uint32_t>(place));
    RETORT_TRY(auto parsed, value(type, place));
    out_->metadata.append(std::string(key), std::move(parsed));
    return {};
  }

  template <class T>
  Result<MetadataValue> plain(std::string_view place) {
    RETORT_TRY(const T number, reader_.number<T>(place));
    return MetadataValue(std::in_place_type<T>, number);
  }

  Result<MetadataValue> value(std::uint32_t type, const std::string& place) {
    switch (static_cast<GgufValue>(type)) {
      case GgufValue::kU8: return plain<std::uint8_t>(place);
      case GgufValue::kI8: return plain<std::int8_t>(place);
      case GgufValue::kU16: return plain<std::uint16_t>(place);
      case GgufValue::kI16: return plain<std::int16_t>(place);
      case GgufValue::kU32: return plain<std::uint32_t>(place);
      case GgufValue::kI32: return plain<std::int32_t>(place);
      case GgufValue::kF32: return plain<float>(place);
      case GgufValue::kU64: return plain<std::uint64_t>(place);
      case GgufValue::kI64: return plain<std::int64_t>(place);
      case GgufValue::kF64: return plain<double>(place);
      case GgufValue::kBool: {
        RETORT_TRY(const bool flag, boolean(place));
        return MetadataValue(std::in_place_type<bool>, flag);
      }
      case GgufValue::kString: {
        RETORT_TRY(const auto text, reader_.string(place, reader_.remaining()));
        return MetadataValue(std::in_place_type<std::string>, text);
      }
      case GgufValue::kArray: return array(place);
    }
    return reader_.error(ErrorCode::kCorrupt, place, reader_.position() - 4, "a value type from 0 to 12",
                         std::to_string(type));
  }

  Result<bool> boolean(std::string_view place) {
    const std::uint64_t start = reader_.position();
    RETORT_TRY(const auto byte, reader_.number<std::uint8_t>(place));
    if (byte > 1) return reader_.error(ErrorCode::kCorrupt, place, start, "0 or 1", std::to_string(byte));
    return byte == 1;
  }

  template <class T>
  Result<MetadataValue> numbers(std::uint64_t count, std::string_view place) {
    RETORT_CHECK(reader_.expect_items(count, sizeof(T), place));
    RETORT_TRY(const auto bytes, reader_.take(count * sizeof(T), place));
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    return wrap(std::move(values));
  }

  template <class Vector>
  static MetadataValue wrap(Vector values) {
    auto array = std::make_shared<MetadataArray>();
    array->values = std::move(values);
    return std::shared_ptr<const MetadataArray>(std::move(array));
  }

  Result<MetadataValue> array(const std::string& place) {
    const std::uint64_t start = reader_.position();
    RETORT_TRY(const auto type, reader_.number<std::uint32_t>(place));
    RETORT_TRY(const auto count, reader_.number<std::uint64_t>(place));
    switch (static_cast<GgufValue>(type)) {
      case GgufValue::kU8: return numbers<std::uint8_t>(count, place);
      case GgufValue::kI8: return numbers<std::int8_t>(count, place);
      case GgufValue::kU16: return numbers<std::uint16_t>(count, place);
      case GgufValue::kI16: return numbers<std::int16_t>(count, place);
      case GgufValue::kU32: return numbers<std::uint32_t>(count, place);
      case GgufValue::kI32: return numbers<std::int32_t>(count, place);
      case GgufValue::kF32: return numbers<float>(count, place);
      case GgufValue::kU64: return numbers<std::uint64_t>(count, place);
      case GgufValue::kI64: return numbers<std::int64_t>(count, place);
      case GgufValue::kF64: return numbers<double>(count, place);
      case GgufValue::kBool: {
        RETORT_CHECK(reader_.expect_items(count, 1, place));
        std::vector<bool> flags(count);
        for (std::uint64_t i = 0; i < count; ++i) {
          RETORT_TRY(const bool flag, boolean(place));
          flags[i] = flag;
        }
        return wrap(std::move(flags));
      }
      case GgufValue::kString: {
        RETORT_CHECK(reader_.expect_items(count, 8, place));
        std::vector<std::string> texts;
        texts.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
          RETORT_TRY(const auto text, reader_.string(place, reader_.remaining()));
          texts.emplace_back(text);
        }
        return wrap(std::move(texts));
      }
      case GgufValue::kArray:
        return reader_.error(ErrorCode::kUnsupported, place, start, "an array of numbers or strings",
                             "an array of arrays");
    }
    return reader_.error(ErrorCode::kCorrupt, place, start, "an element type from 0 to 12", std::to_string(type));
  }

  Result<std::uint64_t> data_alignment() const {
    const MetadataValue* value = out_->metadata.find("general.alignment");
    if (!value) return kGgufDefaultAlignment;
    const auto* number = std::get_if<std::uint32_t>(value);
    if (number && *number >= 1 && std::has_single_bit(*number)) return std::uint64_t{*number};
    return reader_.error(ErrorCode::kCorrupt, "key general.alignment", reader_.position(), "a power of two, u32",
                         number ? std::to_string(*number) : "a value of another type");
  }

  Result<void> tensor_info(std::uint64_t index, std::uint64_t alignment) {
    const std::uint64_t start = reader_.position();
    const std::string number = "tensor " + std::to_string(index);
    RETORT_TRY(const auto name, reader_.string(number, kGgufMaxNameBytes));
    if (name.empty() || !is_clean_utf8(name))
      return reader_.error(ErrorCode::kCorrupt, number, start, "a name in UTF-8", printable(name));
    const std::string place = "tensor " + printable(name);
    if (!names_.insert(name).second)
      return reader_.error(ErrorCode::kCorrupt, place, start, "each name once", "the same name again");
    TensorEntry tensor;
    tensor.name = name;
    RETORT_TRY(tensor.shape, shape(place));
    const std::uint64_t type_at = reader_.position();
    RETORT_TRY(const auto id, reader_.number<std::uint32_t>(place));
    const kernels::TypeTraits* type =
        id <= 0x7fffffffu ? kernels::find_ggml_type(static_cast<std::int32_t>(id)) : nullptr;
    if (!type)
      return reader_.error(ErrorCode::kUnsupported, place, type_at, "a tensor type that Retort decodes",
                           "ggml type " + std::to_string(id) + " (" + std::string(foreign_type_name(id)) + ")",
                           "take a file of another level, such as Q8_0 or Q4_K_M");
    tensor.type = type->type;
    const auto columns = static_cast<std::uint64_t>(tensor.columns());
    if (columns % type->block_size != 0)
      return reader_.error(ErrorCode::kCorrupt, place, start,
                           "rows of a multiple of " + std::to_string(type->block_size) + " elements for " +
                               std::string(type->name),
                           std::to_string(columns));
    const std::uint64_t offset_at = reader_.position();
    RETORT_TRY(tensor.offset, reader_.number<std::uint64_t>(place));
    if (tensor.offset % alignment != 0)
      return reader_.error(ErrorCode::kCorrupt, place, offset_at, "an offset that is a multiple of " + std::to_string(alignment),
                           std::to_string(tensor.offset));
    out_->tensors.push_back(std::move(tensor));
    return {};
  }

  // Sizes come innermost first; ours are outermost first. The product fits 63 bits with room for 8 bytes an element.
  Result<std::vector<std::int64_t>> shape(const std::string& place) {
    const std::uint64_t start = reader_.position();
    RETORT_TRY(const auto dimensions, reader_.number<std::uint32_t>(place));
    if (dimensions < 1 || dimensions > kGgufMaxDimensions)
      return reader_.error(ErrorCode::kCorrupt, place, start, "1 to 4 dimensions", std::to_string(dimensions));
    std::vector<std::int64_t> shape(dimensions);
    std::uint64_t product = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const std::uint64_t at = reader_.position();
      RETORT_TRY(const auto size, reader_.number<std::uint64_t>(place));
      const auto next = checked_mul(product, size);
      if (size == 0 || !next || *next > (std::uint64_t{1} << 59))
        return reader_.error(ErrorCode::kCorrupt, place, at, "a size from 1 to what a file can hold",
                             std::to_string(size));
      product = *next;
      shape[dimensions - 1 - i] = static_cast<std::int64_t>(size);
    }
    return shape;
  }

  // Turns offsets into views, after checking that each lies inside the file and none on top of another.
  Result<void> place_data(std::uint64_t alignment) {
    const std::span<const std::byte> bytes = file_->bytes();
    const auto base = align_up(reader_.position(), alignment);
    std::vector<TensorEntry*> order;
    order.reserve(out_->tensors.size());
    for (TensorEntry& tensor : out_->tensors) {
      const auto& type = kernels::traits(tensor.type);
      const std::uint64_t size = static_cast<std::uint64_t>(tensor.elements()) / type.block_size * type.block_bytes;
      const auto begin = base ? checked_add(*base, tensor.offset) : std::nullopt;
      const auto end = begin ? checked_add(*begin, size) : std::nullopt;
      if (!end || *end > bytes.size())
        return reader_.error(ErrorCode::kTruncated, "tensor " + printable(tensor.name), begin.value_or(0),
                             std::to_string(size) + " bytes of data",
                             std::to_string(begin && *begin < bytes.size() ? bytes.size() - *begin : 0));
      tensor.offset = *begin;
      tensor.data = bytes.subspan(*begin, size);
      order.push_back(&tensor);
    }
    std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) { return a->offset < b->offset; });
    for (std::size_t i = 1; i < order.size(); ++i)
      if (order[i]->offset < order[i - 1]->offset + order[i - 1]->data.size())
        return reader_.error(ErrorCode::kCorrupt, "tensor " + printable(order[i]->name), order[i]->offset,
                             "data of its own", "data that overlaps tensor " + printable(order[i - 1]->name));
    return {};
  }

  std::shared_ptr<const MappedFile> file_;
  ByteReader reader_;
  std::shared_ptr<Checkpoint> out_ = std::make_shared<Checkpoint>();
  std::unordered_set<std::string_view> keys_, names_;   // views into the mapped file
};

}  // namespace

Result<std::shared_ptr<Checkpoint>> read_gguf(std::shared_ptr<const MappedFile> file) {
  return GgufParser(std::move(file)).parse();
}

}  // namespace retort::formats
