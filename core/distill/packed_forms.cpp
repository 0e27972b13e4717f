#include "core/distill/packed_forms.h"

#include <fmt/format.h>

#include "core/quantize/levels.h"

namespace retort::distill {
namespace {

constexpr std::int64_t kSmallTable = 16;   // rows of a table or head that isn't worth packing

// How the graph uses a matrix.
struct Use {
  bool linear = false, looked_up = false, answers = false;
};

Use use_of(const Graph& graph, WeightId id) {
  Use use;
  for (const Node& node : graph.nodes) {
    if (node.weight != id) continue;
    use.linear = use.linear || node.op == Op::kLinear;
    use.looked_up = use.looked_up || node.op != Op::kLinear;
    use.answers = use.answers || (node.op == Op::kLinear && node.output == graph.logits);
  }
  return use;
}

Result<WeightForm> folder_form(const Model& student, WeightId id, const TrainStage& stage) {
  const WeightSpec& spec = student.graph.weights[static_cast<std::size_t>(id)];
  const Use use = use_of(student.graph, id);
  WeightForm form{.id = id, .type = TensorType::kF16};
  const bool rows8 = keeps_row_scales(stage);
  if (use.linear && !use.looked_up && rows8) {
    form.type = TensorType::kI8;
    return form;
  }
  const bool table = use.looked_up || use.answers;
  if (spec.shape[0] < kSmallTable || (table && stage.embedding_bits == 0) || !(use.linear || use.looked_up)) return form;
  const Grid* const own = find_grid(stage.level);
  form.grid = table ? integer_grid(static_cast<int>(stage.embedding_bits)) : own;
  form.group = stage.group >= 0 ? stage.group : form.grid->group;
  form.per_tensor = stage.per_tensor;
  if (form.group == 0 || form.per_tensor) form.group = spec.shape[1];
  if (spec.shape[1] % form.group == 0) return form;
  return Error{.code = ErrorCode::kUnsupported, .place = fmt::format("stages: {} of {}", stage.level, spec.source_name),
               .expected = fmt::format("groups that divide its {} inputs", spec.shape[1]), .found = fmt::format("groups of {}", form.group),
               .next_step = form.grid->any_group ? "say a group that does, or 0 for a scale per row" : "take another level"};
}

}  // namespace

bool folder_level(std::string_view level) noexcept { return find_grid(level) != nullptr; }

bool keeps_row_scales(const TrainStage& stage) noexcept { return stage.level == "INT8" && stage.group <= 0 && !stage.per_tensor; }

Result<std::vector<WeightForm>> weight_forms(const Model& student, const TrainStage& stage, bool has_importance) {
  std::vector<WeightForm> forms;
  if (folder_level(stage.level)) {
    for (std::size_t id = 0; id < student.graph.weights.size(); ++id) {
      if (student.graph.weights[id].shape.size() != 2) continue;
      RETORT_TRY(forms.emplace_back(), folder_form(student, static_cast<WeightId>(id), stage));
    }
    return forms;
  }
  RETORT_TRY(const LevelPlan plan, plan_level(student, stage.level, has_importance));
  for (const TensorPlan& tensor : plan.tensors)
    if (student.graph.weights[static_cast<std::size_t>(tensor.weight)].shape.size() == 2) forms.push_back({.id = tensor.weight, .type = tensor.type});
  return forms;
}

std::string nf4_state(std::int64_t rows, std::int64_t columns) {
  return fmt::format(R"({{"quant_type": "nf4", "blocksize": {}, "dtype": "float16", "shape": [{}, {}]}})", find_grid("NF4")->group, rows, columns);
}

Result<std::vector<TensorToWrite>> grid_tensors(const std::string& name, std::int64_t rows, std::int64_t columns, const Grid& grid, std::int64_t group) {
  constexpr std::string_view kEnding = ".weight";
  if (!name.ends_with(kEnding))
    return Error{.code = ErrorCode::kUnsupported, .place = name, .expected = "a name that ends in .weight, for a quantized folder", .found = "another"};
  const std::string base = name.substr(0, name.size() - kEnding.size());
  const std::int64_t groups = columns / group;
  switch (grid.scale) {
    case GridScale::kHalf:
      return std::vector<TensorToWrite>{{base + ".weight_packed", {rows, (columns * grid.bits + 31) / 32}, TensorType::kI32, {}},
                                        {base + ".weight_scale", {rows, groups}, TensorType::kF16, {}},
                                        {base + ".weight_shape", {2}, TensorType::kI64, {}}};
    case GridScale::kExponent:
      return std::vector<TensorToWrite>{{base + ".weight_packed", {rows, columns / 2}, TensorType::kU8, {}},
                                        {base + ".weight_scale", {rows, groups}, TensorType::kU8, {}}};
    case GridScale::kFloat: break;
  }
  return std::vector<TensorToWrite>{{name, {rows * columns / 2, 1}, TensorType::kU8, {}},
                                    {name + ".absmax", {rows * groups}, TensorType::kF32, {}},
                                    {name + ".quant_map", {16}, TensorType::kF32, {}},
                                    {name + ".quant_state.bitsandbytes__nf4", {static_cast<std::int64_t>(nf4_state(rows, columns).size())}, TensorType::kU8, {}}};
}

std::uint64_t grid_bytes(std::int64_t rows, std::int64_t columns, const Grid& grid, std::int64_t group) noexcept {
  const std::int64_t codes = grid.scale == GridScale::kHalf ? rows * ((columns * grid.bits + 31) / 32) * 4 : rows * columns / 2;
  const std::int64_t one = grid.scale == GridScale::kHalf ? 2 : grid.scale == GridScale::kExponent ? 1 : 4;
  return static_cast<std::uint64_t>(codes + rows * (columns / group) * one);
}

}  // namespace retort::distill
