// Folders that are quantized already: quantization_config and the parts of the linears. Input: config.json, a NUL byte,
// model.safetensors.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("retort-fuzz-quantized-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), input.size());
  std::ofstream(folder / "config.json", std::ios::binary | std::ios::trunc) << input.substr(0, end);
  std::ofstream(folder / "model.safetensors", std::ios::binary | std::ios::trunc) << input.substr(std::min(end + 1, input.size()));
  const auto opened = retort::open_checkpoint(folder);
  if (!opened.ok()) return 0;
  volatile unsigned sum = retort::fuzz::touch(**opened);
  static_cast<void>(sum);
  return 0;
}
