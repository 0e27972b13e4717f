// The one function of each file here: libFuzzer's entry under RETORT_FUZZ, else a plain function that fuzz_corpus_test calls,
// so that kept inputs are read again by every build.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef RETORT_FUZZ
#define RETORT_FUZZ_TARGET(name) extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
#else
#define RETORT_FUZZ_TARGET(name)                                        \
  namespace retort::fuzz { int name(const std::uint8_t*, std::size_t); } \
  int retort::fuzz::name(const std::uint8_t* data, std::size_t size)
#endif

namespace retort::fuzz {

// The parts of an input that stands for several files, parted by NUL bytes; the last takes the rest.
template <class Take>
void for_each_part(const std::uint8_t* data, std::size_t size, std::size_t parts, Take&& take) {
  std::size_t at = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    std::size_t end = at;
    while (end < size && (data[end] != 0 || part + 1 == parts)) ++end;
    take(part, data + at, end - at);
    at = end < size ? end + 1 : size;
  }
}

}  // namespace retort::fuzz
