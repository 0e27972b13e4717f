// The configuration of a model as its files state it, key by key: what the Model page lists.
#pragma once

#include <string>
#include <vector>

#include "core/formats/checkpoint.h"

namespace retort {

struct ConfigEntry {
  std::string source;    // "config.json", "GGUF"
  std::string key;       // "rope_scaling.factor", "llama.block_count"
  std::string kind;      // "text", "number", "yes or no", "list of 12", "u32", "array of 49152 string"
  std::string value;     // in one line; long texts and lists are cut
};

// Every key of config.json, generation_config.json and tokenizer_config.json, or of a GGUF's metadata, in the files' order.
// Objects are opened ("rope_scaling.factor"), lists are one entry. A file that is no JSON object is one entry that says so.
std::vector<ConfigEntry> config_entries(const Checkpoint& checkpoint);

}  // namespace retort
