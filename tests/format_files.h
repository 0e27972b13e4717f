// Small model files for the format tests, made byte by byte so that each field can be made wrong.
#pragma once

#include <QTemporaryDir>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/base/error_text.h"
#include "core/formats/writers.h"

namespace retort::test {

// A fresh folder for one test.
class Scratch {
 public:
  std::filesystem::path operator/(std::string_view name) const {
    return std::filesystem::path(folder_.path().toStdString()) / name;
  }
  std::filesystem::path root() const { return folder_.path().toStdString(); }

 private:
  QTemporaryDir folder_;
};

inline void put_file(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::string get_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

class RawBytes {
 public:
  template <class T>
  RawBytes& number(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes.append(raw, sizeof(T));
    return *this;
  }
  RawBytes& u32(std::uint32_t value) { return number(value); }
  RawBytes& u64(std::uint64_t value) { return number(value); }
  RawBytes& text(std::string_view value) {
    u64(value.size());
    bytes += value;
    return *this;
  }
  RawBytes& raw(std::string_view value) {
    bytes += value;
    return *this;
  }
  RawBytes& pad(std::size_t alignment) {
    while (bytes.size() % alignment != 0) bytes += '\0';
    return *this;
  }
  std::string bytes;
};

inline RawBytes gguf_header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
  RawBytes out;
  out.raw("GGUF").u32(version).u64(tensors).u64(keys);
  return out;
}

// A tensor to write whose data is `fill`ed bytes that stay alive in the closure.
inline TensorToWrite patterned_tensor(std::string name, std::vector<std::int64_t> shape, TensorType type) {
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) elements *= size;
  const auto& traits = kernels::traits(type);
  auto data = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(elements) / traits.block_size * traits.block_bytes);
  for (std::size_t i = 0; i < data->size(); ++i) (*data)[i] = static_cast<std::byte>((i * 7 + name.size()) & 0x3f);
  return {std::move(name), std::move(shape), type,
          [data]() -> Result<std::span<const std::byte>> { return std::span<const std::byte>(*data); }};
}

inline MetadataValue array_of(auto values) {
  auto array = std::make_shared<MetadataArray>();
  array->values = std::move(values);
  return std::shared_ptr<const MetadataArray>(std::move(array));
}

}  // namespace retort::test
