#include "core/onnx/quantize_targets.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/formats/byte_reader.h"
#include "core/onnx/quantize.h"

namespace retort::onnx {
namespace {

// Where the output channels of a node's weight (input 1) stand; nullopt: not a node that is quantized.
std::optional<std::size_t> channel_axis(const Node& node, const Shape& weight) {
  if (!node.domain.empty()) return std::nullopt;
  if (node.op == "Conv" && weight.size() >= 3) return 0;
  if (node.op == "Gemm" && weight.size() == 2) return Attributes(node).whole("transB", 0) != 0 ? 0u : 1u;
  if (node.op == "MatMul" && weight.size() == 2) return 1;
  return std::nullopt;
}

}  // namespace

std::vector<Target> targets_of(const Plan& plan) {
  std::vector<Target> out;
  for (const Step& step : plan.steps) {
    if (step.inputs.size() < 2 || step.inputs[0] < 0 || step.inputs[1] < 0) continue;
    const Plan::Value& activation = plan.values[static_cast<std::size_t>(step.inputs[0])];
    const Plan::Value& weight = plan.values[static_cast<std::size_t>(step.inputs[1])];
    if (activation.is_constant || !weight.is_constant || weight.type != ElementType::kFloat || weight.constant.elements() == 0) continue;
    const auto axis = channel_axis(*step.node, weight.constant.shape());
    if (axis) out.push_back({&step, &weight, activation.name, *axis});
  }
  return out;
}

Result<Codes> round_weight(const Target& target) {
  const Tensor& weight = target.weight->constant;
  Codes out{std::vector<std::int8_t>(static_cast<std::size_t>(weight.elements())), std::vector<float>(static_cast<std::size_t>(weight.size(target.axis)))};
  std::int64_t inner = 1;
  for (std::size_t d = target.axis + 1; d < weight.rank(); ++d) inner *= weight.size(d);
  const auto channel = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<std::int64_t>(i) / inner % weight.size(target.axis)); };
  const float* const x = weight.data<float>();
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    if (!std::isfinite(x[i])) return Error{.code = ErrorCode::kNonFinite, .place = "tensor " + formats::printable(target.weight->name)};
    float& scale = out.scales[channel(i)];
    scale = std::max(scale, std::abs(x[i]));
  }
  // A scale below the smallest normal number would lose the codes; such a channel is zero for all that f32 can tell.
  for (float& scale : out.scales) scale = scale / 127 >= std::numeric_limits<float>::min() ? scale / 127 : 1.0f;
  for (std::size_t i = 0; i < out.values.size(); ++i)
    out.values[i] = static_cast<std::int8_t>(std::clamp(std::nearbyint(x[i] / out.scales[channel(i)]), -127.0f, 127.0f));
  return out;
}

Result<Tensor> rounded_weight(Session& session, const Target& target) {
  RETORT_TRY(const Codes codes, round_weight(target));
  const Tensor& weight = target.weight->constant;
  std::vector<float> values(codes.values.size());
  std::int64_t inner = 1;
  for (std::size_t d = target.axis + 1; d < weight.rank(); ++d) inner *= weight.size(d);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(codes.values[i]) * codes.scales[static_cast<std::size_t>(static_cast<std::int64_t>(i) / inner % weight.size(target.axis))];
  StoredTensor stored;
  stored.type = ElementType::kFloat;
  stored.shape = weight.shape();
  stored.data = std::as_bytes(std::span(values));
  return session.copy_in(stored);
}

Grid grid_of(const Range& range) noexcept {
  const float width = (range.high - range.low) / 255, scale = width >= std::numeric_limits<float>::min() ? width : 1.0f;
  return {scale, static_cast<std::uint8_t>(std::clamp(std::nearbyint(-range.low / scale), 0.0f, 255.0f))};
}

std::vector<std::string> quantized_activations(const Plan& plan) {
  std::vector<std::string> out;
  for (const Target& target : targets_of(plan)) out.push_back(target.activation);
  return out;
}

}  // namespace retort::onnx
