// The pickle machine by itself, without an archive around it.
#include <span>

#include "core/formats/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(retort::formats::read_pickle(std::as_bytes(std::span(data, size)), "fuzz").ok());
  return 0;
}
