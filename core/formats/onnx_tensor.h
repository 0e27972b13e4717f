// TensorProto: one stored tensor of an ONNX file, its numbers raw, typed or in a file beside it.
#pragma once

#include <string_view>
#include <unordered_map>

#include "core/formats/onnx.h"

namespace retort::onnx {

// What the parts of one file share while it is read.
struct ReadState {
  explicit ReadState(OnnxFile& into) : file(into) {}
  // Counts one node, tensor, attribute or name, so that a small file can't make a large structure. Errors: kCorrupt.
  Result<void> count(std::size_t parts = 1);

  OnnxFile& file;
  std::size_t parts = 0;
  std::unordered_map<std::string, std::shared_ptr<const MappedFile>> external;   // by location
};

// Errors: kTruncated, kCorrupt, kUnsupported, kMissingPart, kPermission.
Result<StoredTensor> read_tensor(std::string_view bytes, ReadState& state);
// A name out of the file. Errors: kCorrupt (not UTF-8, too long).
Result<std::string> read_name(std::string_view bytes, std::string_view what);

}  // namespace retort::onnx
