// Inspection: everything that can be told of a model before running it: architecture, tensors, tokenizer, its size at
// every level with the fallbacks, and whether each fits this machine. `retort inspect` and the Model page show it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/model/source_grid.h"
#include "core/model/tensor_statistics.h"

namespace retort {

struct InspectOptions {
  std::int64_t context = 512;          // for the KV cache and work space
  std::uint64_t machine_memory = 0;    // bytes; 0: this machine's
  int threads = 0;                     // work space depends on them
};

struct LevelSize {
  struct Fallback {
    std::string tensor;
    TensorType type, wanted;
  };
  std::string id, plain;
  std::uint64_t bytes = 0;             // of the file
  double bits_per_weight = 0;
  std::vector<Fallback> fallbacks{};   // tensors whose rows don't fill a block
  std::uint64_t memory = 0;            // weights, KV cache and work space while it runs
  bool fits = false;                   // in 90 % of the machine's memory
};

struct Inspection {
  std::filesystem::path path;
  std::string format;                  // "GGUF" or "safetensors"
  std::string architecture;            // as the file says
  std::optional<ModelConfig> config;   // absent when Retort cannot run it
  std::optional<Error> cannot_run;     // why, then
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;             // of the files
  double bits_per_weight = 0;          // of the tensors
  std::optional<SourceQuantization> quantization;
  std::string tokenizer_kind;          // empty: none
  std::size_t tokenizer_size = 0;
  std::string tokenizer_problem;       // why there is none
  bool has_chat_template = false;
  std::int64_t context = 0;            // that memory was predicted for
  std::uint64_t machine_memory = 0;
  std::vector<LevelSize> levels;       // empty when it cannot run
};

// Opens and describes. A checkpoint of an architecture that doesn't run is described without levels.
// Errors: those of open_checkpoint; kBadShape, kMissingPart and kCorrupt of open_model.
Result<Inspection> inspect(const std::filesystem::path& path, const InspectOptions& options);
Result<Inspection> inspect_checkpoint(std::shared_ptr<const Checkpoint> checkpoint, const InspectOptions& options);

}  // namespace retort
