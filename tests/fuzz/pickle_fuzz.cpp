// The pickle machine by itself, without an archive around it.
#include <span>

#include "core/formats/pickle.h"
#include "fuzz_target.h"

RETORT_FUZZ_TARGET(pickle) {
  static_cast<void>(retort::formats::read_pickle(std::as_bytes(std::span(data, size)), "fuzz").ok());
  return 0;
}
