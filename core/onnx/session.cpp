#include "core/onnx/session.h"

#include <unistd.h>

#include <cmath>

#include "core/formats/byte_reader.h"
#include "core/onnx/convolution.h"
#include "core/onnx/fuse.h"
#include "core/onnx/layout.h"
#include "core/onnx/ops/loops.h"
#include "kernels/dispatch/ops.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::onnx {
namespace {

std::uint64_t machine_memory() noexcept {
  const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size) : std::uint64_t{1} << 32;
}

}  // namespace

Session::~Session() = default;

const char* Session::kernel() const noexcept { return device_.reference() ? "reference" : device_.matmul->name; }

Result<std::unique_ptr<Session>> Session::make(std::shared_ptr<const OnnxFile> file, const SessionOptions& options) {
  if (options.backend != "cpu" && options.backend != "reference")
    return Error{.code = ErrorCode::kBadArgument, .place = "--backend", .expected = "cpu or reference", .found = options.backend};
  std::unique_ptr<Session> session(new Session(options.memory > 0 ? options.memory : machine_memory() / 4 * 3));
  RETORT_TRY(session->plan_, make_plan(std::move(file), session->memory_));
  session->pool_ = std::make_unique<kernels::ThreadPool>(options.threads);
  session->device_.pool = session->pool_.get();
  session->fast_ = session->plan_;
  if (options.backend == "reference" || kernels::forced_by_environment() == "reference") return session;
  session->device_.matmul = kernels::matmul_kernel();
  if (session->device_.matmul == nullptr)
    return Error{.code = ErrorCode::kBadArgument, .place = "RETORT_KERNEL", .expected = "a kernel of this machine", .found = std::string(kernels::forced_by_environment())};
  session->scratch_.resize(static_cast<std::size_t>(kernels::kMatmulScratch * session->pool_->threads()));
  session->device_.matmul_scratch = session->scratch_.data();
  RETORT_TRY(session->fast_, fused_plan(*session->plan_, session->memory_, session->device_));
  return session;
}

Result<void> Session::take_inputs(const Values& inputs, std::vector<Tensor>& values) const {
  for (std::size_t i = 0; i < plan_->inputs.size(); ++i) {
    const ValueInfo& info = *plan_->input_infos[i];
    const auto given = inputs.find(info.name);
    const std::string place = "input " + formats::printable(info.name);
    if (given == inputs.end())
      return Error{.code = ErrorCode::kMissingPart, .place = place, .expected = std::string(traits(info.type).name) + (info.has_shape ? " " + shape_text(info.shape) : ""),
                   .found = "no tensor of this name", .next_step = "add it to the input file; `retort inspect` lists the inputs"};
    const Tensor& tensor = given->second;
    bool fits = tensor.type() == held_type(info.type) && (!info.has_shape || info.shape.size() == tensor.rank());
    for (std::size_t d = 0; fits && info.has_shape && d < tensor.rank(); ++d) fits = info.shape[d] < 0 || info.shape[d] == tensor.size(d);
    if (!fits)
      return Error{.code = ErrorCode::kBadShape, .place = place, .expected = std::string(traits(info.type).name) + (info.has_shape ? " " + shape_text(info.shape) : ""),
                   .found = std::string(traits(tensor.type()).name) + " " + shape_text(tensor.shape()), .next_step = "give inputs as `retort inspect` lists them"};
    values[static_cast<std::size_t>(plan_->inputs[i])] = tensor;
  }
  return {};
}

Result<std::vector<const Tensor*>> Session::inputs_of(const Plan& plan, const Step& step, std::vector<Tensor>& values, std::vector<Tensor>& held, bool& lying) {
  std::vector<const Tensor*> inputs;
  bool last = false;
  for (const int input : step.inputs) {
    const Plan::Value* value = input < 0 ? nullptr : &plan.values[static_cast<std::size_t>(input)];
    inputs.push_back(value == nullptr ? nullptr : value->is_constant ? &value->constant : &values[static_cast<std::size_t>(input)]);
    last = last || (inputs.back() && inputs.back()->is_channels_last());
  }
  if (!last) return inputs;
  LayoutUse use = step.convolution ? LayoutUse::kAware : layout_use(*step.node);
  // With one scale for all, rounding and its inverse work value by value.
  if (step.node->domain.empty() && (step.node->op == "QuantizeLinear" || step.node->op == "DequantizeLinear") && inputs[1]->elements() == 1) use = LayoutUse::kPointwise;
  if (use == LayoutUse::kAware) return inputs;
  if (use == LayoutUse::kPointwise) {
    if (auto seen = lying_inputs(inputs)) {
      held = std::move(*seen);
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i]) inputs[i] = &held[i];
      lying = true;
      return inputs;
    }
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i] || !inputs[i]->is_channels_last()) continue;
    Tensor& value = values[static_cast<std::size_t>(step.inputs[i])];   // in ONNX's order from here on, for all who read it
    RETORT_TRY(value, to_plain(memory_, device_, value));
  }
  return inputs;
}

// What QuantizeLinear and DequantizeLinear make of x.
Result<Tensor> Session::round_values(const Tensor& x, const Step::Rounding& grid) {
  const Tensor plain = x.as_lying();
  RETORT_TRY(Tensor out, Tensor::make(memory_, ElementType::kFloat, plain.shape()));
  const auto zero = static_cast<float>(grid.zero);
  for_tiles(device_, plain.elements(), [&](std::int64_t first, std::int64_t n) {
    for (std::int64_t i = first; i < first + n; ++i)
      out.write<float>()[i] = (std::clamp(std::nearbyint(plain.data<float>()[i] / grid.scale) + zero, 0.0f, 255.0f) - zero) * grid.scale;
  });
  return x.is_channels_last() ? Tensor::channels_last(out) : out;
}

Result<void> Session::run_step(const Plan& plan, const Step& step, std::vector<Tensor>& values, const JobContext& job, const Tap& tap) {
  std::vector<Tensor> held;
  bool lying = false;
  RETORT_TRY(std::vector<const Tensor*> inputs, inputs_of(plan, step, values, held, lying));
  Tensor rounded;
  if (step.rounded_input) {
    RETORT_TRY(rounded, round_values(*inputs[0], *step.rounded_input));
    inputs[0] = &rounded;
  }
  std::vector<Tensor> outputs(std::max(step.outputs.size(), step.row->outputs.size()));
  const auto wanted = std::make_unique<bool[]>(outputs.size());
  for (std::size_t i = 0; i < step.outputs.size(); ++i) wanted[i] = step.outputs[i] >= 0;
  const Call call{.node = *step.node, .attributes = Attributes(*step.node), .opset = plan.opset, .inputs = inputs, .outputs = outputs,
                  .memory = memory_, .device = device_, .job = job, .wanted = {wanted.get(), outputs.size()}};
  if (auto done = step.convolution ? step.convolution->run(call) : step.row->run(call); !done) {
    Error error = std::move(done).error();
    error.place = step.node->label() + (error.place.empty() ? "" : ", " + error.place);
    error.file = plan.file->path.string();
    return error;
  }
  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    if (step.outputs[i] < 0) continue;
    if (lying) outputs[i] = Tensor::channels_last(outputs[i]);
    if (tap) tap(plan.values[static_cast<std::size_t>(step.outputs[i])].name, outputs[i]);
    values[static_cast<std::size_t>(step.outputs[i])] = std::move(outputs[i]);
  }
  for (const int value : step.last_used) values[static_cast<std::size_t>(value)] = Tensor();
  return {};
}

Result<std::shared_ptr<const Plan>> Session::prepare(const Plan& variant) {
  if (device_.reference()) return std::make_shared<const Plan>(variant);
  return fused_plan(variant, memory_, device_);
}

Result<Session::Values> Session::run(const Values& inputs, const JobContext& job, const Tap& tap) { return run(tap ? *plan_ : *fast_, inputs, job, tap); }

Result<Session::Values> Session::run(const Plan& plan, const Values& inputs, const JobContext& job, const Tap& tap) {
  std::vector<Tensor> values(plan.values.size());
  RETORT_CHECK(take_inputs(inputs, values));
  const auto total = static_cast<double>(plan.steps.size());
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    RETORT_CHECK(job.check());
    job.report({static_cast<double>(i), total, "nodes", plan.steps[i].node->label()});
    RETORT_CHECK(run_step(plan, plan.steps[i], values, job, tap));
  }
  Values out;
  for (const int output : plan.outputs) {
    const Plan::Value& value = plan.values[static_cast<std::size_t>(output)];
    if (value.is_constant) {
      out.emplace(value.name, value.constant);
      continue;
    }
    RETORT_TRY(Tensor plain, to_plain(memory_, device_, values[static_cast<std::size_t>(output)]));
    out.emplace(value.name, std::move(plain));
  }
  return out;
}

}  // namespace retort::onnx
