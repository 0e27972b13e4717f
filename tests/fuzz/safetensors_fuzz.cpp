// The safetensors reader.
#include "fuzz_file.h"

RETORT_FUZZ_TARGET(safetensors) {
  const retort::fuzz::MemoryFile file(data, size);
  const auto opened = retort::open_safetensors(file.path());
  if (!opened.ok()) return 0;
  volatile unsigned sum = retort::fuzz::touch(**opened);
  static_cast<void>(sum);
  return 0;
}
