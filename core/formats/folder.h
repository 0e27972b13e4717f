// Hugging Face folders: config.json, safetensors in one or several files, tokenizer and chat template.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "core/formats/checkpoint.h"

namespace retort::formats {

// A folder with config.json and safetensors; or one whose only model is a single .gguf file.
// Errors: kMissingPart, kForeign, and those of the files inside.
Result<std::shared_ptr<const Checkpoint>> open_folder(const std::filesystem::path& folder);

}  // namespace retort::formats
