#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/formats/checkpoint.h"
#include "kernels/dispatch/ops.h"

namespace retort {
namespace {

template <class T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

}  // namespace

const MetadataValue* Metadata::find(std::string_view key) const noexcept {
  for (const auto& [name, value] : entries_)
    if (name == key) return &value;
  return nullptr;
}

void Metadata::set(std::string key, MetadataValue value) {
  for (auto& [name, old] : entries_) {
    if (name != key) continue;
    old = std::move(value);
    return;
  }
  append(std::move(key), std::move(value));
}

void Metadata::append(std::string key, MetadataValue value) {
  entries_.emplace_back(std::move(key), std::move(value));
}

void Metadata::erase(std::string_view key) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.first == key; });
}

std::optional<std::uint64_t> Metadata::unsigned_at(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<std::uint64_t> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsInteger<T>) {
          if constexpr (std::is_signed_v<T>)
            if (v < 0) return std::nullopt;
          return static_cast<std::uint64_t>(v);
        } else if constexpr (std::is_floating_point_v<T>) {
          // Some writers store counts as floats; only whole numbers count.
          const double number = static_cast<double>(v);
          if (!(number >= 0 && number < 0x1p53) || std::floor(number) != number) return std::nullopt;
          return static_cast<std::uint64_t>(number);
        } else {
          return std::nullopt;
        }
      },
      *value);
}

std::optional<double> Metadata::number_at(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  return std::visit(
      [](const auto& v) -> std::optional<double> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsInteger<T> || std::is_floating_point_v<T>)
          return static_cast<double>(v);
        else
          return std::nullopt;
      },
      *value);
}

std::optional<std::string> Metadata::string_at(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  const auto* text = std::get_if<std::string>(value);
  return text ? std::optional(*text) : std::nullopt;
}

std::optional<bool> Metadata::bool_at(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return std::nullopt;
  const auto* flag = std::get_if<bool>(value);
  return flag ? std::optional(*flag) : std::nullopt;
}

const MetadataArray* Metadata::array_at(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (!value) return nullptr;
  const auto* array = std::get_if<std::shared_ptr<const MetadataArray>>(value);
  return array ? array->get() : nullptr;
}

void TensorEntry::decode_rows(std::int64_t first, std::int64_t count, float* out) const {
  if (coded) return coded->decode(first, count, 0, columns(), out);
  const auto width = static_cast<std::size_t>(columns());
  kernels::decode(type, data.data() + static_cast<std::size_t>(first) * kernels::row_bytes(type, width), out,
                  static_cast<std::size_t>(count) * width);
}

const TensorEntry* Checkpoint::find(std::string_view name) const noexcept {
  for (const TensorEntry& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

std::uint64_t Checkpoint::tensor_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const TensorEntry& tensor : tensors) sum += tensor.stored_bytes();
  return sum;
}

}  // namespace retort
