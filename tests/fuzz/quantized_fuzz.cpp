// Folders that are quantized already: quantization_config and the parts of the linears. Input: config.json, a NUL byte,
// model.safetensors.
#include "core/formats/quantized.h"
#include "fuzz_file.h"

RETORT_FUZZ_TARGET(quantized) {
  std::string config;
  std::span<const std::uint8_t> weights;
  retort::fuzz::for_each_part(data, size, 2, [&](std::size_t part, const std::uint8_t* at, std::size_t length) {
    if (part == 0) config.assign(reinterpret_cast<const char*>(at), length);
    else weights = {at, length};
  });
  const retort::fuzz::MemoryFile file(weights.data(), weights.size());
  const auto opened = retort::open_safetensors(file.path());
  if (!opened.ok()) return 0;
  retort::Checkpoint checkpoint = **opened;
  checkpoint.config_json = config;
  if (!retort::formats::assemble_quantized(checkpoint, "").ok()) return 0;
  volatile unsigned sum = retort::fuzz::touch(checkpoint);
  static_cast<void>(sum);
  return 0;
}
