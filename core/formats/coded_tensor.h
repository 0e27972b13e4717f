// Tensors whose values lie in several stored tensors: codes here, scales there (GPTQ, AWQ, compressed-tensors,
// bitsandbytes, FP8). A checkpoint shows such a linear as one tensor under its plain name; the parts stay mapped, and any
// rectangle of the values is decoded on demand.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "kernels/api/linear.h"

namespace retort {

// Const after construction; thread-safe. Holds views into the checkpoint's files: lives as long as the checkpoint.
class CodedTensor {
 public:
  CodedTensor() {
    source_.self = this;
    source_.decode = [](const void* self, std::int64_t first_row, std::int64_t rows, std::int64_t first_column,
                        std::int64_t columns, float* out) {
      static_cast<const CodedTensor*>(self)->decode(first_row, rows, first_column, columns, out);
    };
  }
  virtual ~CodedTensor() = default;
  CodedTensor(const CodedTensor&) = delete;
  CodedTensor& operator=(const CodedTensor&) = delete;

  // out[r * columns + c] = value[first_row + r, first_column + c], exactly as the format defines it, in f32.
  virtual void decode(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns,
                      float* out) const noexcept = 0;
  // Checks what opening leaves unread (group numbers of columns). Decoding is safe in any case. Errors: kCorrupt.
  virtual Result<void> check() const { return {}; }

  // "GPTQ, 4 bits, groups of 128"
  const std::string& scheme() const noexcept { return scheme_; }
  std::uint64_t bytes() const noexcept { return bytes_; }   // of all parts
  // For kernels; valid as long as this object.
  const kernels::WeightSource& source() const noexcept { return source_; }

  std::string scheme_;
  std::uint64_t bytes_ = 0;

 private:
  kernels::WeightSource source_;
};

}  // namespace retort
