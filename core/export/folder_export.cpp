#include "core/export/folder_export.h"

#include <chrono>
#include <map>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/base/folders.h"
#include "core/distill/student.h"
#include "core/formats/safetensors.h"
#include "core/formats/writers.h"

namespace retort {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string config_of(const Model& model, const std::vector<std::string>& left_alone) {
  ordered_json config = ordered_json::parse(model.checkpoint->config_json, nullptr, false);
  if (!config.is_object()) return model.checkpoint->config_json;
  const bool packed = std::any_of(model.weights.begin(), model.weights.end(), [](const WeightHandle& weight) { return weight.type == TensorType::kI8; });
  config.erase("quantization_config");
  if (packed) {
    const ordered_json weights = {{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}, {"dynamic", false}};
    config["quantization_config"] = {
        {"quant_method", "compressed-tensors"}, {"format", "int-quantized"}, {"quantization_status", "compressed"},
        {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", nullptr}}}}},
        {"ignore", left_alone}};
  }
  return config.dump(2) + "\n";
}

// The tensors of the folder: every tensor of the source, those that the graph computes with as the model holds them.
class Folder {
 public:
  Result<void> plan(const Model& model) {
    std::map<std::string, std::size_t> bound;
    for (std::size_t id = 0; id < model.graph.weights.size(); ++id) bound[model.graph.weights[id].source_name] = id;
    for (const TensorEntry& entry : model.checkpoint->tensors) {
      const auto found = bound.find(entry.name);
      if (found == bound.end()) {
        RETORT_CHECK(add(entry.name, entry.shape, entry.type, entry.data, entry.coded != nullptr));
        continue;
      }
      const WeightHandle& weight = model.weights[found->second];
      const bool own = weight.data.data() == entry.data.data() && weight.type == entry.type;
      if (!own && model.graph.weights[found->second].stored != Stored::kPlain)
        return Error{.code = ErrorCode::kUnsupported, .place = entry.name, .expected = "a weight that is stored as outputs × inputs", .found = "another order",
                     .next_step = "export it as GGUF"};
      RETORT_CHECK(add(entry.name, entry.shape, weight.type, weight.data, weight.coded != nullptr));
      if (weight.type == TensorType::kI8) {
        if (weight.row_scales.size() != static_cast<std::size_t>(weight.shape.front()))
          return Error{.code = ErrorCode::kBadShape, .place = entry.name, .expected = "a scale per row"};
        RETORT_CHECK(add(entry.name + "_scale", {weight.shape.front(), 1}, TensorType::kF32, std::as_bytes(weight.row_scales), false));
      } else if (entry.name.ends_with(".weight") && entry.shape.size() == 2) {
        left_alone.push_back(entry.name.substr(0, entry.name.size() - 7));
      }
    }
    return {};
  }

  std::vector<TensorToWrite> tensors;
  std::vector<std::string> left_alone;   // matrices that stay dense
  std::uint64_t bytes = 0;

 private:
  Result<void> add(const std::string& name, const std::vector<std::int64_t>& shape, TensorType type, std::span<const std::byte> data, bool coded) {
    if (coded || formats::safetensors_dtype(type).empty())
      return Error{.code = ErrorCode::kUnsupported, .place = name, .expected = "F32, F16, BF16 or INT8 with a scale per row: what a folder holds",
                   .found = coded ? "codes of another format" : std::string(kernels::traits(type).name), .next_step = "export INT8 or F16, or the original"};
    bytes += data.size();
    tensors.push_back({name, shape, type, [data] { return Result<std::span<const std::byte>>(data); }});
    return {};
  }
};

}  // namespace

bool folder_packs_int8(const Graph& graph, WeightId weight) noexcept {
  bool linear = false;
  for (const Node& node : graph.nodes) {
    if (node.weight != weight) continue;
    if (node.op != Op::kLinear) return false;   // an embedding, even where the head shares it
    linear = true;
  }
  return linear;
}

Result<ExportReport> export_folder(const Model& model, const fs::path& output, const JobContext& job) {
  const auto start = std::chrono::steady_clock::now();
  if (model.checkpoint->format == CheckpointFormat::kGguf)
    return Error{.code = ErrorCode::kUnsupported, .file = output.string(), .expected = "a name that ends in .gguf: the source is a GGUF file", .found = "a folder"};
  std::error_code failed;
  if (fs::exists(output, failed))
    return Error{.code = ErrorCode::kConflict, .file = output.string(), .found = "something of this name exists", .next_step = "give another name"};
  Folder folder;
  RETORT_CHECK(folder.plan(model));
  const fs::path beside = output.string() + ".part";
  fs::remove_all(beside, failed);
  fs::create_directories(beside, failed);
  if (failed) return system_error(failed.value(), beside, ErrorCode::kWrite);
  const auto write = [&]() -> Result<void> {
    RETORT_CHECK(write_safetensors(beside / "model.safetensors", folder.tensors, job));
    return distill::write_folder_texts(model, config_of(model, folder.left_alone), beside);
  };
  Result<void> written = write();
  if (written) {
    fs::rename(beside, output, failed);
    if (failed) written = system_error(failed.value(), output, ErrorCode::kWrite);
  }
  if (!written) {
    fs::remove_all(beside, failed);
    return std::move(written).error();
  }
  ExportReport report{.output = output, .bytes = 0, .tensor_bytes = folder.bytes, .bits_per_weight = 0, .seconds = 0, .notes = {}};
  report.bytes = folder_bytes(output);
  if (model.parameters() > 0) report.bits_per_weight = 8.0 * static_cast<double>(folder.bytes) / static_cast<double>(model.parameters());
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace retort
