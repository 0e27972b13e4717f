// The GGUF reader, and binding what it opens: architecture, tokenizer and weights see whatever the bytes say.
#include "core/model/model.h"
#include "fuzz_file.h"

RETORT_FUZZ_TARGET(gguf) {
  const retort::fuzz::MemoryFile file(data, size);
  auto opened = retort::open_checkpoint(file.path());
  if (!opened.ok()) return 0;
  volatile unsigned sum = retort::fuzz::touch(**opened);
  static_cast<void>(sum);
  static_cast<void>(retort::bind_model(*opened).ok());
  return 0;
}
