// The JSON parts of a Hugging Face folder together: configuration, tokenizer and shard index, parted by NUL bytes. Each of
// the first two has a faster program of its own.
#include <filesystem>
#include <fstream>

#include "core/model/model.h"
#include "fuzz_file.h"

RETORT_FUZZ_TARGET(folder) {
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("retort-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  static constexpr const char* kNames[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"};
  retort::fuzz::for_each_part(data, size, std::size(kNames), [](std::size_t part, const std::uint8_t* at, std::size_t length) {
    std::ofstream(folder / kNames[part], std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(at), static_cast<std::streamsize>(length));
  });
  const auto opened = retort::open_checkpoint(folder);
  if (opened.ok()) static_cast<void>(retort::bind_model(*opened).ok());
  return 0;
}
