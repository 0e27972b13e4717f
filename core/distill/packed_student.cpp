// Files of students whose weights a level packs.
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/distill/student.h"
#include "core/export/gguf_export.h"
#include "core/formats/writers.h"
#include "kernels/api/half.h"

namespace retort::distill {
namespace {

using nlohmann::ordered_json;

// One config group of compressed-tensors.
ordered_json config_group(const char* target, const Grid* grid, std::int64_t group) {
  const bool rows = group == 0, float4 = grid->scale == GridScale::kExponent;
  ordered_json weights = {{"num_bits", grid->bits}, {"type", float4 ? "float" : "int"}, {"symmetric", true}, {"strategy", rows ? "channel" : "group"}, {"dynamic", false}};
  if (!rows) weights["group_size"] = group;
  if (float4) weights["scale_dtype"] = "torch.uint8";
  return {{"format", float4 ? "mxfp4-pack-quantized" : "pack-quantized"}, {"targets", {target}}, {"weights", std::move(weights)}, {"input_activations", nullptr}};
}

// What a folder says about its packed weights.
std::string packed_config(const Model& student, const TrainStage& stage, std::span<const WeightForm> forms) {
  ordered_json config = ordered_json::parse(student.checkpoint->config_json, nullptr, false);
  ordered_json& said = config["quantization_config"];
  const Grid* const grid = find_grid(stage.level);
  if (grid->scale == GridScale::kFloat) {
    said = {{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}, {"load_in_8bit", false}, {"bnb_4bit_quant_type", "nf4"}, {"bnb_4bit_use_double_quant", false},
            {"bnb_4bit_compute_dtype", "float16"}, {"bnb_4bit_quant_storage", "uint8"}, {"llm_int8_skip_modules", ordered_json::array()}};
  } else {
    said = {{"quant_method", "compressed-tensors"}, {"format", "pack-quantized"}, {"quantization_status", "compressed"}, {"config_groups", ordered_json::object()}, {"ignore", ordered_json::array()}};
  }
  ordered_json& kept = grid->scale == GridScale::kFloat ? said["llm_int8_skip_modules"] : said["ignore"];
  const auto effective = [&](const Grid* of) { return stage.per_tensor ? 0 : stage.group >= 0 ? stage.group : of->group; };
  const bool rows8 = keeps_row_scales(stage), tables = stage.embedding_bits > 0;
  for (const WeightForm& form : forms) {
    const std::string& name = student.graph.weights[static_cast<std::size_t>(form.id)].source_name;
    const bool dense = !form.grid && form.type != TensorType::kI8;
    if (dense && name.ends_with(".weight")) kept.push_back(name.substr(0, name.size() - 7));
  }
  if (grid->scale == GridScale::kFloat) return config.dump(2) + "\n";
  if (rows8) {
    const ordered_json weights = {{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}, {"dynamic", false}};
    said["config_groups"]["group_0"] = {{"format", "int-quantized"}, {"targets", {"Linear"}}, {"weights", weights}, {"input_activations", nullptr}};
    // Rounded row by row as they come: what Retort's INT8 does in any case, stated for others where training reckoned with it.
    if (stage.activations)
      said["config_groups"]["group_0"]["input_activations"] = {{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "token"}, {"dynamic", true}};
    said["format"] = tables ? "mixed-precision" : "int-quantized";
    if (!tables) said["config_groups"]["group_0"].erase("format");
  } else {
    said["config_groups"]["group_0"] = config_group("Linear", grid, effective(grid));
    said["format"] = said["config_groups"]["group_0"]["format"];
  }
  if (tables) {
    const Grid* const integers = integer_grid(static_cast<int>(stage.embedding_bits));
    said["config_groups"]["group_1"] = config_group("Embedding", integers, effective(integers));
  }
  return config.dump(2) + "\n";
}

// Codes of a row from the lowest bits on, in 32-bit words.
std::vector<std::byte> packed_words(const GridView& view) {
  const int bits = view.grid->bits;
  const auto words = static_cast<std::size_t>((view.columns * bits + 31) / 32), columns = static_cast<std::size_t>(view.columns);
  std::vector<std::uint32_t> out(static_cast<std::size_t>(view.rows) * words, 0);
  for (std::size_t r = 0; r < static_cast<std::size_t>(view.rows); ++r)
    for (std::size_t c = 0; c < columns; ++c) {
      const std::size_t bit = c * static_cast<std::size_t>(bits);
      const std::uint64_t code = static_cast<std::uint64_t>(view.codes[r * columns + c]) << (bit % 32);
      out[r * words + bit / 32] |= static_cast<std::uint32_t>(code);
      if (code >> 32) out[r * words + bit / 32 + 1] |= static_cast<std::uint32_t>(code >> 32);
    }
  const auto bytes = std::as_bytes(std::span(out));
  return {bytes.begin(), bytes.end()};
}

// Two codes a byte. E2M1: sign and magnitude, the even column low. NF4: the first in the high half.
std::vector<std::byte> packed_pairs(const GridView& view) {
  const bool float4 = view.grid->scale == GridScale::kExponent;
  const auto stored = [&](std::uint8_t code) -> unsigned { return !float4 ? code : code >= 7 ? code - 7u : 15u - code; };
  std::vector<std::byte> out(view.codes.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned first = stored(view.codes[2 * i]), second = stored(view.codes[2 * i + 1]);
    out[i] = static_cast<std::byte>(float4 ? first | second << 4 : first << 4 | second);
  }
  return out;
}

std::vector<std::byte> packed_scales(const GridView& view) {
  std::vector<std::byte> out;
  for (const float scale : view.scales) {
    const std::uint16_t half = kernels::f32_to_f16(scale);
    const auto exponent = static_cast<std::uint8_t>(scale > 0 ? std::ilogb(scale) + 127 : 0);
    const std::span<const std::byte> bytes = view.grid->scale == GridScale::kHalf       ? std::as_bytes(std::span(&half, 1))
                                             : view.grid->scale == GridScale::kExponent ? std::as_bytes(std::span(&exponent, 1))
                                                                                        : std::as_bytes(std::span(&scale, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

template <class T>
std::vector<std::byte> bytes_of(std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

// Part `index` of a weight's tensors, as grid_tensors lists them.
std::vector<std::byte> grid_part(const GridView& view, std::size_t index) {
  const bool integers = view.grid->scale == GridScale::kHalf;
  if (index == 0) return integers ? packed_words(view) : packed_pairs(view);
  if (index == 1) return packed_scales(view);
  const std::int64_t shape[2] = {view.rows, view.columns};
  if (integers) return bytes_of(std::span<const std::int64_t>(shape));
  if (index == 2) return bytes_of(view.grid->values);
  return bytes_of(std::span<const char>(nf4_state(view.rows, view.columns)));
}

// The tensors of a packed folder.
class PackedFolder {
 public:
  Result<void> plan(const Model& student, const Parameters* parameters, const PackedWeights* packed, std::span<const WeightForm> forms) {
    std::map<std::string, std::size_t> trained;
    for (std::size_t id = 0; id < student.graph.weights.size(); ++id) trained[student.graph.weights[id].source_name] = id;
    std::map<WeightId, const WeightForm*> by_id;
    for (const WeightForm& form : forms) by_id[form.id] = &form;
    for (const TensorEntry& entry : student.checkpoint->tensors) {
      const auto found = trained.find(entry.name);
      if (found == trained.end()) {
        tensors_.push_back({entry.name, entry.shape, entry.type, [&entry] { return Result<std::span<const std::byte>>(entry.data); }});
        continue;
      }
      const auto id = static_cast<WeightId>(found->second);
      const auto form = by_id.find(id);
      if (form == by_id.end()) add_vector(entry, parameters ? &(*parameters)[found->second] : nullptr);
      else if (form->second->grid) RETORT_CHECK(add_grid(entry, *form->second, packed ? packed->grid_of(id) : GridView{}));
      else add_rows(entry, form->second->type, packed ? packed->handle(id) : nullptr);
    }
    return {};
  }
  std::span<const TensorToWrite> tensors() const noexcept { return tensors_; }

 private:
  Result<void> add_grid(const TensorEntry& entry, const WeightForm& form, GridView view) {
    RETORT_TRY(std::vector<TensorToWrite> parts, grid_tensors(entry.name, entry.shape[0], entry.shape[1], *form.grid, form.group));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      parts[i].data = [this, view, i] {
        room_ = grid_part(view, i);
        return Result<std::span<const std::byte>>(room_);
      };
      tensors_.push_back(std::move(parts[i]));
    }
    return {};
  }
  // I8 with a scale per row, or F16.
  void add_rows(const TensorEntry& entry, TensorType type, const WeightHandle* handle) {
    tensors_.push_back({entry.name, entry.shape, type, [handle] { return Result<std::span<const std::byte>>(handle->data); }});
    if (type != TensorType::kI8) return;
    tensors_.push_back({entry.name + "_scale", {entry.shape[0], 1}, TensorType::kF32,
                        [handle] { return Result<std::span<const std::byte>>(std::as_bytes(handle->row_scales)); }});
  }
  void add_vector(const TensorEntry& entry, const Parameter* parameter) {
    tensors_.push_back({entry.name, entry.shape, TensorType::kF32, [parameter] {
      return Result<std::span<const std::byte>>(std::as_bytes(std::span(parameter->data, parameter->elements)));
    }});
  }

  std::vector<TensorToWrite> tensors_;
  std::vector<std::byte> room_;
};

Result<StudentFile> write_packed_folder(const Model& student, const Parameters& parameters, const PackedWeights& packed, const TrainStage& stage,
                                        const std::filesystem::path& output, const JobContext& job) {
  std::error_code failed;
  std::filesystem::create_directories(output, failed);
  if (failed) return system_error(failed.value(), output, ErrorCode::kWrite);
  RETORT_TRY(const std::vector<WeightForm> forms, weight_forms(student, stage, false));
  PackedFolder folder;
  RETORT_CHECK(folder.plan(student, &parameters, &packed, forms));
  RETORT_CHECK(write_safetensors(output / "model.safetensors", folder.tensors(), job));
  RETORT_CHECK(write_folder_texts(student, packed_config(student, stage, forms), output, !keeps_row_scales(stage)));
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

Result<void> check_packed(const Model& student, const TrainStage& stage) {
  if (folder_level(stage.level)) {
    for (const WeightSpec& spec : student.graph.weights)
      if (spec.stored == Stored::kTransposed)
        return Error{.code = ErrorCode::kUnsupported, .place = spec.source_name, .expected = "weights stored as outputs × inputs, for a packed folder", .found = "transposed ones"};
    if (student.checkpoint->format == CheckpointFormat::kGguf)
      return Error{.code = ErrorCode::kUnsupported, .place = "stages: " + stage.level, .expected = "a teacher in a folder: GGUF has no such form",
                   .found = "a GGUF file", .next_step = stage.level == "INT8" ? "take Q8_0" : "take Q4_K_M"};
    return predict_packed_bytes(student, stage).ok() ? Result<void>() : predict_packed_bytes(student, stage).error();
  }
  const auto bytes = predict_packed_bytes(student, stage);
  if (bytes.ok()) return {};
  Error error = bytes.error();
  error.next_step = "take INT8, which a folder of any architecture can hold";
  return error;
}

Result<std::uint64_t> predict_packed_bytes(const Model& student, const TrainStage& stage) {
  if (!folder_level(stage.level)) {
    RETORT_TRY(const LevelPlan plan, plan_level(student, stage.level, false));
    ExportRequest request;
    for (const TensorPlan& tensor : plan.tensors) request.weights[tensor.name] = {tensor.type, {}};
    return predict_gguf_bytes(student, request);
  }
  RETORT_TRY(const std::vector<WeightForm> forms, weight_forms(student, stage, false));
  PackedFolder folder;
  RETORT_CHECK(folder.plan(student, nullptr, nullptr, forms));
  RETORT_TRY(const std::uint64_t bytes, safetensors_file_bytes(folder.tensors()));
  return bytes + folder_text_bytes(student, packed_config(student, stage, forms), !keeps_row_scales(stage));
}

Result<StudentFile> write_packed(const Model& student, const Parameters& parameters, const PackedWeights& packed, const TrainStage& stage,
                                 const std::filesystem::path& output, const JobContext& job) {
  if (folder_level(stage.level)) return write_packed_folder(student, parameters, packed, stage, output, job);
  const Model model = model_of(student, parameters, &packed);
  RETORT_TRY(const ExportReport report, export_gguf(model, request_for(model, stage.level), output, job));
  return StudentFile{.output = output, .bytes = report.bytes, .parameters = student.parameters()};
}

}  // namespace retort::distill
