#include "core/distill/parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "core/formats/shape.h"
#include "kernels/dispatch/ops.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {
namespace {

constexpr std::size_t kTile = std::size_t{1} << 16;   // elements of one tile of the optimizer
constexpr std::size_t kPackedRows = 64;

Result<void> decode_master(const WeightHandle& weight, Parameter& parameter, kernels::ThreadPool& pool) {
  RETORT_TRY(parameter.master, AlignedBuffer::allocate(parameter.elements * sizeof(float), "weights in f32"));
  const auto columns = static_cast<std::size_t>(weight.shape.empty() ? 1 : weight.shape.back());
  const std::size_t rows = columns == 0 ? 0 : parameter.elements / columns, bytes = kernels::row_bytes(weight.type, columns);
  float* const out = parameter.value();
  if (weight.coded) RETORT_CHECK(weight.coded->check());
  pool.parallel_for((rows + kPackedRows - 1) / kPackedRows, [&](std::size_t tile, int) {
    for (std::size_t row = tile * kPackedRows; row < std::min(rows, (tile + 1) * kPackedRows); ++row) {
      float* const to = out + row * columns;
      if (weight.coded) weight.coded->decode(static_cast<std::int64_t>(row), 1, 0, static_cast<std::int64_t>(columns), to);
      else kernels::decode(weight.type, weight.data.data() + row * bytes, to, columns);
      if (!weight.row_scales.empty())
        for (std::size_t i = 0; i < columns; ++i) to[i] *= weight.row_scales[row];
    }
  });
  parameter.data = out;
  return {};
}

}  // namespace

float* Parameter::added_gradient() noexcept {
  if (fresh) std::memset(gradient.as<float>(), 0, elements * sizeof(float));
  fresh = false;
  return gradient.as<float>();
}

Result<Parameters> Parameters::from_model(const Model& model, bool frozen, kernels::ThreadPool& pool) {
  Parameters out;
  for (std::size_t id = 0; id < model.weights.size(); ++id) {
    const WeightHandle& weight = model.weights[id];
    Parameter parameter{.name = model.graph.weights[id].name, .source_name = model.graph.weights[id].source_name,
                        .shape = weight.shape, .elements = static_cast<std::size_t>(shape_elements(weight.shape))};
    parameter.trainable = !frozen;
    parameter.decay = weight.shape.size() >= 2;
    const bool mapped = frozen && !weight.coded && weight.type == TensorType::kF32 &&
                        reinterpret_cast<std::uintptr_t>(weight.data.data()) % alignof(float) == 0;
    if (mapped) parameter.data = reinterpret_cast<const float*>(weight.data.data());
    else RETORT_CHECK(decode_master(weight, parameter, pool));
    out.list_.push_back(std::move(parameter));
  }
  return out;
}

Result<std::size_t> Parameters::add(std::string name, std::vector<std::int64_t> shape) {
  Parameter parameter{.name = name, .source_name = std::move(name), .shape = std::move(shape)};
  parameter.elements = static_cast<std::size_t>(shape_elements(parameter.shape));
  RETORT_TRY(parameter.master, AlignedBuffer::allocate(parameter.elements * sizeof(float), parameter.name));
  std::memset(parameter.value(), 0, parameter.elements * sizeof(float));
  parameter.data = parameter.value();
  parameter.trainable = true;
  parameter.decay = parameter.shape.size() >= 2;
  list_.push_back(std::move(parameter));
  return list_.size() - 1;
}

Result<void> Parameters::make_gradients() {
  for (Parameter& parameter : list_) {
    if (!parameter.trainable || parameter.gradient.size() != 0) continue;
    RETORT_TRY(parameter.gradient, AlignedBuffer::allocate(parameter.elements * sizeof(float), "gradients"));
    parameter.fresh = true;
  }
  return {};
}

void Parameters::forget_gradients() noexcept {
  for (Parameter& parameter : list_) parameter.fresh = true;
}

std::int64_t Parameters::elements() const noexcept {
  std::size_t sum = 0;
  for (const Parameter& parameter : list_) sum += parameter.elements;
  return static_cast<std::int64_t>(sum);
}

std::int32_t padding_token(const Checkpoint& checkpoint) {
  const auto config = nlohmann::json::parse(checkpoint.config_json, nullptr, false);
  if (!config.is_object()) return -1;
  const auto padding = config.find("pad_token_id");
  if (padding == config.end() || !padding->is_number_integer()) return -1;
  const auto id = padding->get<std::int64_t>();
  return id < 0 || id > INT32_MAX ? -1 : static_cast<std::int32_t>(id);
}

Result<Optimizer> Optimizer::make(const Parameters& parameters, const AdamWOptions& options) {
  Optimizer out;
  out.options_ = options;
  for (const Parameter& parameter : parameters) {
    Moment first, second;
    if (parameter.stepped()) {
      for (Moment* moment : {&first, &second}) {
        moment->elements = parameter.elements;
        RETORT_TRY(moment->buffer, AlignedBuffer::allocate(parameter.elements * sizeof(float), "moments of AdamW"));
        std::memset(moment->buffer.as<float>(), 0, parameter.elements * sizeof(float));
      }
    }
    out.first_.push_back(std::move(first));
    out.second_.push_back(std::move(second));
  }
  return out;
}

double Optimizer::gradient_norm(Parameters& parameters, double scale, kernels::ThreadPool& pool) {
  const auto& ops = *kernels::train_ops();
  double sum = 0;
  std::vector<double> parts;
  for (Parameter& parameter : parameters) {
    if (!parameter.stepped() || parameter.fresh) continue;
    const float* const g = parameter.gradient.as<float>();
    parts.assign((parameter.elements + kTile - 1) / kTile, 0);
    pool.parallel_for(parts.size(), [&](std::size_t tile, int) {
      parts[tile] = ops.sum_squares(g + tile * kTile, std::min(kTile, parameter.elements - tile * kTile));
    });
    for (const double part : parts) sum += part;
  }
  return std::sqrt(sum) * scale;
}

void Optimizer::step(Parameters& parameters, double rate, double scale, double norm, kernels::ThreadPool& pool) {
  const auto& ops = *kernels::train_ops();
  ++steps_;
  kernels::AdamWStep step{.rate = rate, .beta1 = options_.beta1, .beta2 = options_.beta2, .epsilon = options_.epsilon};
  step.correction1 = 1 - std::pow(options_.beta1, static_cast<double>(steps_));
  step.correction2 = 1 - std::pow(options_.beta2, static_cast<double>(steps_));
  // torch.nn.utils.clip_grad_norm_: never scales up.
  step.gradient_scale = options_.clip > 0 ? scale * std::min(1.0, options_.clip / (norm + 1e-6)) : scale;
  for (std::size_t id = 0; id < parameters.size(); ++id) {
    Parameter& parameter = parameters[id];
    if (!parameter.stepped() || parameter.fresh) continue;   // torch too leaves alone what got no gradient
    step.decay = parameter.decay ? options_.decay : 0;
    const float* const g = parameter.gradient.as<float>();
    float *const w = parameter.value(), *const m = first_[id].buffer.as<float>(), *const v = second_[id].buffer.as<float>();
    pool.parallel_for((parameter.elements + kTile - 1) / kTile, [&](std::size_t tile, int) {
      const std::size_t at = tile * kTile;
      ops.adamw(step, g + at, w + at, m + at, v + at, std::min(kTile, parameter.elements - at));
    });
  }
}

}  // namespace retort::distill
