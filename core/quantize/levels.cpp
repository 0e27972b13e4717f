#include "core/quantize/levels.h"

#include <array>
#include <charconv>
#include <regex>

#include "core/distill/student.h"
#include "core/export/folder_export.h"
#include "core/export/gguf_export.h"
#include "core/formats/shape.h"
#include "core/quantize/level_policy.h"
#include "core/quantize/quantizer.h"

namespace retort {
namespace {

using kernels::row_bytes;
using kernels::traits;

constexpr std::array kLevels = {
    Level{"F16", "16-bit", "Half-precision floats: the usual original, nothing lost that shows.", 16, 1, false},
    Level{"Q8_0", "8-bit", "Eight bits with a scale for every 32 weights: next to no loss.", 8.5, 7, false},
    Level{"Q6_K", "6-bit", "Six bits in super-blocks of 256: hardly a loss.", 6.5625, 18, true},
    Level{"Q5_K_M", "5-bit, mixed", "Five bits, six where it matters most.", 5.5, 17, true},
    Level{"Q4_K_M", "4-bit, mixed", "Four bits, six where it matters most: the common choice.", 4.5, 15, true},
    Level{"Q4_0", "4-bit, simple", "Four bits with a scale for every 32 weights: fast, less exact.", 4.5, 2, true},
    Level{"Q3_K_M", "3-bit, mixed", "Three bits, four or five where it matters most.", 3.4375, 12, true},
    Level{"Q2_K", "2-bit, mixed", "Two bits, three or four where it matters most: a visible loss.", 2.625, 10, true},
    Level{"INT8", "8-bit integers", "Eight-bit integers with a scale per output, for processors that multiply them fast.",
          8, kNoGgufFileType, false},
};

// The layer that a canonical name belongs to ("blk.12.attn_q.weight" → 12), or -1.
std::int64_t layer_of(std::string_view name) noexcept {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return -1;
  std::int64_t layer = -1;
  const auto [end, failed] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return failed == std::errc{} && end != name.data() + name.size() && *end == '.' ? layer : -1;
}

// Matrices are quantized; norms, biases and other vectors are not.
bool takes_level(const WeightSpec& weight) noexcept {
  const std::string_view name = weight.name;
  // Small tables that every token reads, and routers, whose choice is all or nothing: llama.cpp keeps them too.
  for (const std::string_view kept : {"position_embd.", "token_types.", "attn_rel_b.", ".ffn_gate_inp.", ".ffn_gate_inp_shexp."})
    if (name.find(kept) != std::string_view::npos) return false;
  return weight.shape.size() >= 2 && name.ends_with("weight") && !name.ends_with("_norm.weight");
}

struct Override {
  std::regex pattern;
  TensorType type;
};

Result<std::vector<Override>> compile_overrides(std::span<const TypeOverride> overrides) {
  std::vector<Override> compiled;
  for (const TypeOverride& given : overrides) {
    if (find_quantizer(given.type) == nullptr) {
      return Error{.code = ErrorCode::kBadArgument, .place = given.pattern, .expected = "a type that can be quantized to",
                   .found = std::string(traits(given.type).name)};
    }
    try {
      compiled.push_back({std::regex(given.pattern, std::regex::ECMAScript | std::regex::optimize), given.type});
    } catch (const std::regex_error& error) {
      return Error{.code = ErrorCode::kBadArgument, .place = given.pattern, .expected = "a regular expression (ECMAScript)",
                   .found = error.what()};
    }
  }
  return compiled;
}

struct Choice {
  TensorType wanted, type;
};

class Planner {
 public:
  Planner(const Model& model, const Level& level, bool has_importance, std::vector<Override> overrides)
      : model_(model), level_(level), has_importance_(has_importance), overrides_(std::move(overrides)) {
    for (const WeightSpec& weight : model.graph.weights) tied_ = tied_ && weight.name != "output.weight";
  }

  Choice choose(std::size_t index) const {
    const WeightSpec& spec = model_.graph.weights[index];
    if (!takes_level(spec)) {
      const bool folder = model_.checkpoint != nullptr && model_.checkpoint->format != CheckpointFormat::kGguf;
      const TensorType kept = folder || index >= model_.weights.size() ? TensorType::kF32 : model_.weights[index].type;
      return {kept, kept};
    }
    const std::int64_t columns = spec.shape.back();
    for (const Override& given : overrides_) {
      if (std::regex_search(spec.name, given.pattern)) return {given.type, type_that_fits(given.type, columns)};
    }
    const PlacedTensor placed{role_of(spec.name, tied_), layer_of(spec.name), columns};
    const TensorType wanted = wanted_type(level_.id, placed, model_.config, has_importance_);
    return {wanted, type_that_fits(wanted, columns)};
  }

 private:
  const Model& model_;
  const Level& level_;
  bool has_importance_;
  std::vector<Override> overrides_;
  bool tied_ = true;
};

std::uint64_t bytes_of(const std::vector<std::int64_t>& shape, TensorType type) {
  const auto columns = shape.empty() ? 1 : static_cast<std::size_t>(shape.back());
  const std::uint64_t rows = columns == 0 ? 0 : static_cast<std::uint64_t>(shape_elements(shape)) / columns;
  return rows * (row_bytes(type, columns) + (type == TensorType::kI8 ? sizeof(float) : 0));
}

// Encoders are written as folders, whose INT8 packs linears; every other matrix is F16 there.
bool packs_as_folder(const Model& model, const Level& level, std::span<const TypeOverride> overrides) {
  return level.id == "INT8" && !model.graph.causal && model.checkpoint->format != CheckpointFormat::kGguf && overrides.empty();
}

std::uint64_t folder_bytes_of(const Model& model, const LevelPlan& plan, const Level& level, bool packs) {
  if (model.checkpoint->format == CheckpointFormat::kGguf) return plan.bytes;
  if (packs)
    if (const auto bytes = distill::predict_packed_bytes(model, {.kind = distill::StageKind::kQuantize, .level = std::string(level.id)})) return *bytes;
  return plan.bytes + distill::folder_text_bytes(model, model.checkpoint->config_json);
}

// The file's size as the exporter will write it, given the tensors' types.
std::uint64_t file_bytes_of(const Model& model, const LevelPlan& plan, const Level& level, bool packs, const ExportImportance* note) {
  const bool gguf = level.gguf_file_type != kNoGgufFileType;
  ExportRequest request;
  request.file_type = gguf ? level.gguf_file_type : 0;
  if (note != nullptr) request.importance = *note;
  std::uint64_t counted = 0;   // tensor bytes in the prediction
  for (const TensorPlan& tensor : plan.tensors) {
    // I8 has no place in GGUF: predict the file with floats, then exchange the tensors' bytes.
    const TensorType type = tensor.type == TensorType::kI8 ? TensorType::kF32 : tensor.type;
    request.weights[tensor.name] = {type, {}};
    counted += bytes_of(model.graph.weights[static_cast<std::size_t>(tensor.weight)].shape, type);
  }
  const auto predicted = predict_gguf_bytes(model, request);
  return predicted.ok() ? *predicted - counted + plan.bytes : folder_bytes_of(model, plan, level, packs);
}

}  // namespace

std::span<const Level> levels() noexcept { return kLevels; }

const Level* find_level(std::string_view id) noexcept {
  for (const Level& level : kLevels) {
    if (level.id == id) return &level;
  }
  return nullptr;
}

Result<LevelPlan> plan_level(const Model& model, std::string_view level_id, bool has_importance,
                             std::span<const TypeOverride> overrides, const ExportImportance* note) {
  const Level* level = find_level(level_id);
  if (level == nullptr) {
    std::string known;
    for (const Level& each : kLevels) known += (known.empty() ? "" : ", ") + std::string(each.id);
    return Error{.code = ErrorCode::kBadArgument, .place = "level", .expected = known, .found = std::string(level_id)};
  }
  RETORT_TRY(auto compiled, compile_overrides(overrides));
  const Planner planner(model, *level, has_importance, std::move(compiled));
  const bool packs = packs_as_folder(model, *level, overrides);
  LevelPlan plan;
  std::uint64_t elements = 0;
  for (std::size_t i = 0; i < model.graph.weights.size(); ++i) {
    const WeightSpec& spec = model.graph.weights[i];
    Choice choice = planner.choose(i);
    if (packs && spec.shape.size() == 2 && !folder_packs_int8(model.graph, static_cast<WeightId>(i))) choice.type = choice.wanted = TensorType::kF16;
    TensorPlan tensor{static_cast<WeightId>(i), spec.name, choice.type, std::nullopt, bytes_of(spec.shape, choice.type)};
    if (choice.type != choice.wanted) tensor.wanted = choice.wanted;
    plan.bytes += tensor.bytes;
    elements += static_cast<std::uint64_t>(shape_elements(spec.shape));
    plan.tensors.push_back(std::move(tensor));
  }
  plan.bits_per_weight = elements == 0 ? 0 : 8.0 * static_cast<double>(plan.bytes) / static_cast<double>(elements);

  static const ExportImportance kUsual{.file = "importance.gguf", .dataset = "calibration.txt"};
  plan.file_bytes = file_bytes_of(model, plan, *level, packs, has_importance ? (note != nullptr ? note : &kUsual) : nullptr);
  return plan;
}

}  // namespace retort
