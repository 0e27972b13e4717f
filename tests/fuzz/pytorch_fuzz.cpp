// The PyTorch reader: zip directory and pickle.
#include "fuzz_file.h"

RETORT_FUZZ_TARGET(pytorch) {
  const retort::fuzz::MemoryFile file(data, size);
  const auto opened = retort::open_checkpoint(file.path());
  if (!opened.ok()) return 0;
  volatile unsigned sum = retort::fuzz::touch(**opened);
  static_cast<void>(sum);
  return 0;
}
