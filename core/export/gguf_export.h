// Writes a model as a GGUF file that llama.cpp loads: a GGUF source keeps its metadata, a Hugging Face folder of a
// decoder gets the metadata, row order and tokenizer that GGUF wants.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/formats/checkpoint.h"
#include "core/model/model.h"

namespace retort {

// Where an importance matrix came from: what llama-quantize notes in the file.
struct ExportImportance {
  std::string file, dataset;
  std::int64_t entries = 0, chunks = 0;
};

// What becomes of one weight. Its type is known at once, its data is made when its turn to be written comes, so that a
// model larger than memory can be written.
struct ExportWeight {
  TensorType type = TensorType::kF32;
  std::function<Result<WeightHandle>()> make;   // rows in the order of the source; the handle owns its data
  // The same piece by piece, where the file keeps order and type: fills `out` with whole rows from `first` on; asked in order.
  std::function<Result<void>(std::int64_t first, std::span<std::byte> out)> make_rows = nullptr;
};

struct ExportRequest {
  std::map<std::string, ExportWeight> weights;   // by canonical name; others are written as the model holds them
  std::optional<std::uint32_t> file_type;        // general.file_type: Level::gguf_file_type; else told by the types
  std::optional<ExportImportance> importance;
};

// Handles that exist already, by canonical name.
ExportRequest export_handles(const std::map<std::string, WeightHandle>& handles);

struct ExportReport {
  std::filesystem::path output;
  std::uint64_t bytes = 0;          // of the file
  std::uint64_t tensor_bytes = 0;
  double bits_per_weight = 0;       // of the tensors
  double seconds = 0;
  std::vector<std::string> notes;   // what the format cannot say, in plain words
};

// Errors: kUnsupported (a type, tokenizer or scaling that GGUF or llama.cpp does not have: names it, says what to do),
// kBadArgument (a name that the model has not), those of write_gguf and of `make`.
Result<ExportReport> export_gguf(const Model& model, const ExportRequest& request, const std::filesystem::path& path,
                                 const JobContext& job);

// The size that export_gguf would write; `make` is not called.
Result<std::uint64_t> predict_gguf_bytes(const Model& model, const ExportRequest& request);

}  // namespace retort
