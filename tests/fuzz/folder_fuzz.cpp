// The JSON parts of a Hugging Face folder: configuration, tokenizer and shard index, parted by NUL bytes in the input.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/model/model.h"
#include "fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("retort-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::size_t at = 0;
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"}) {
    const std::size_t end = std::min(input.find('\0', at), input.size());
    std::ofstream(folder / name, std::ios::binary | std::ios::trunc) << input.substr(at, end - at);
    at = std::min(end + 1, input.size());
  }
  const auto opened = retort::open_checkpoint(folder);
  if (opened.ok()) static_cast<void>(retort::bind_model(*opened).ok());
  return 0;
}
