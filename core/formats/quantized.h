// Folders that are quantized already: from the stored parts of each linear to one tensor under its plain name.
#pragma once

#include <string_view>
#include <vector>

#include "core/formats/checkpoint.h"

namespace retort::formats {

// Reads `quantization_config` of the checkpoint's config.json (or the text of an older quantize_config.json) and replaces
// the parts of every quantized linear by one coded tensor. Reads headers only. A method that Retort does not know leaves
// everything as it is and sets quantization_problem. Errors: kCorrupt, kMissingPart, kBadShape, naming the tensor.
Result<void> assemble_quantized(Checkpoint& checkpoint, const std::string& quantize_config);

// The values of quant_method that it knows.
std::vector<std::string_view> quantization_methods();

}  // namespace retort::formats
