// Files of students whose weights a level packs.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/distill/student.h"
#include "core/export/gguf_export.h"
#include "core/formats/writers.h"

namespace retort::distill {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kInt8 = "INT8";

// What compressed-tensors files say about weights of 8 bits with a scale per row.
std::string int8_config(const std::string& text) {
  ordered_json config = ordered_json::parse(text, nullptr, false);
  const ordered_json weights = {{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}, {"dynamic", false}};
  config["quantization_config"] = {
      {"quant_method", "compressed-tensors"}, {"format", "int-quantized"}, {"quantization_status", "compressed"},
      {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", nullptr}}}}},
      {"ignore", ordered_json::array()}};
  return config.dump(2) + "\n";
}

// The tensors of an INT8 folder: views of the packed and the dense weights.
class Int8Folder {
 public:
  Int8Folder(const Model& student, const Parameters& parameters, const PackedWeights& packed) {
    for (std::size_t id = 0; id < student.graph.weights.size(); ++id) trained_[student.graph.weights[id].source_name] = id;
    for (const TensorEntry& entry : student.checkpoint->tensors) {
      const auto found = trained_.find(entry.name);
      if (found == trained_.end()) tensors_.push_back({entry.name, entry.shape, entry.type, [&entry] { return Result<std::span<const std::byte>>(entry.data); }});
      else if (const WeightHandle* handle = packed.handle(static_cast<WeightId>(found->second))) add_packed(entry, *handle);
      else add_dense(entry, parameters[found->second]);
    }
  }
  std::span<const TensorToWrite> tensors() const noexcept { return tensors_; }

 private:
  void add_packed(const TensorEntry& entry, const WeightHandle& handle) {
    tensors_.push_back({entry.name, entry.shape, handle.type, [&handle] { return Result<std::span<const std::byte>>(handle.data); }});
    if (handle.row_scales.empty()) return;
    tensors_.push_back({entry.name + "_scale", {handle.shape[0], 1}, TensorType::kF32,
                        [&handle] { return Result<std::span<const std::byte>>(std::as_bytes(handle.row_scales)); }});
  }
  // Vectors, in F32.
  void add_dense(const TensorEntry& entry, const Parameter& parameter) {
    tensors_.push_back({entry.name, entry.shape, TensorType::kF32, [&parameter] {
      return Result<std::span<const std::byte>>(std::as_bytes(std::span(parameter.data, parameter.elements)));
    }});
  }

  std::map<std::string, std::size_t> trained_;
  std::vector<TensorToWrite> tensors_;
};

Result<StudentFile> write_int8_folder(const Model& student, const Parameters& parameters, const PackedWeights& packed,
                                      const std::filesystem::path& output, const JobContext& job) {
  std::error_code failed;
  std::filesystem::create_directories(output, failed);
  if (failed) return system_error(failed.value(), output, ErrorCode::kWrite);
  const Int8Folder folder(student, parameters, packed);
  RETORT_CHECK(write_safetensors(output / "model.safetensors", folder.tensors(), job));
  RETORT_CHECK(write_folder_texts(student, int8_config(student.checkpoint->config_json), output));
  StudentFile file{.output = output, .parameters = student.parameters()};
  for (const auto& part : std::filesystem::directory_iterator(output, failed))
    if (part.is_regular_file(failed)) file.bytes += part.file_size(failed);
  return file;
}

// Types for the exporter: packed weights as the level says, the rest in F32.
ExportRequest request_for(const Model& model, std::string_view level) {
  ExportRequest request;
  request.file_type = find_level(level)->gguf_file_type;
  for (std::size_t id = 0; id < model.weights.size(); ++id)
    request.weights[model.graph.weights[id].name] = {model.weights[id].type, [handle = model.weights[id]]() -> Result<WeightHandle> { return handle; }};
  return request;
}

}  // namespace

Model model_of(const Model& student, const Parameters& parameters, const PackedWeights* packed) {
  Model model = student;
  for (std::size_t id = 0; id < model.weights.size(); ++id) {
    const Parameter& parameter = parameters[id];
    const WeightHandle* const handle = packed ? packed->handle(static_cast<WeightId>(id)) : nullptr;
    if (handle) model.weights[id] = *handle;
    else model.weights[id] = {.type = TensorType::kF32, .shape = parameter.shape, .data = std::as_bytes(std::span(parameter.data, parameter.elements)),
                              .row_scales = {}, .keep_alive = {}};
  }
  return model;
}

Result<void> check_packed(const Model& student, std::string_view level) {
  const bool gguf = student.checkpoint->format == CheckpointFormat::kGguf;
  if (level == kInt8) {
    for (const WeightSpec& spec : student.graph.weights)
      if (spec.stored == Stored::kTransposed)
        return Error{.code = ErrorCode::kUnsupported, .place = spec.source_name, .expected = "weights stored as outputs × inputs, for an INT8 folder", .found = "transposed ones"};
    if (!gguf) return {};
    return Error{.code = ErrorCode::kUnsupported, .place = "stages: INT8", .expected = "a teacher in a folder: GGUF has no INT8 with a scale per row",
                 .found = "a GGUF file", .next_step = "take Q8_0"};
  }
  RETORT_TRY(const LevelPlan plan, plan_level(student, level, false));
  ExportRequest request;
  for (const TensorPlan& tensor : plan.tensors) request.weights[tensor.name] = {tensor.type, {}};
  const auto bytes = predict_gguf_bytes(student, request);
  if (bytes.ok()) return {};
  Error error = bytes.error();
  error.next_step = "take INT8, which a folder of any architecture can hold";
  return error;
}

Result<StudentFile> write_packed(const Model& student, const Parameters& parameters, const PackedWeights& packed, std::string_view level,
                                 const std::filesystem::path& output, const JobContext& job) {
  if (level == kInt8) return write_int8_folder(student, parameters, packed, output, job);
  const Model model = model_of(student, parameters, &packed);
  RETORT_TRY(const ExportReport report, export_gguf(model, request_for(model, level), output, job));
  return StudentFile{.output = output, .bytes = report.bytes, .parameters = student.parameters()};
}

}  // namespace retort::distill
