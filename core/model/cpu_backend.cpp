// The CPU as a backend: chooses kernels, refuses what doesn't fit, compiles sessions.
#include <algorithm>

#include <fmt/format.h>

#include "core/measure/hardware.h"
#include "core/model/cpu_session.h"
#include "core/model/device_backend.h"
#include "core/model/session_rules.h"

namespace retort {
namespace {

// Bytes that compiling allocates for repacked weights.
std::uint64_t predict_repacked(const Model& model, const kernels::LinearChoice& choice) {
  std::vector<bool> seen(model.weights.size());
  std::uint64_t bytes = 0;
  for_each_linear(model.graph, [&](const Node& node) {
    const std::size_t i = static_cast<std::size_t>(node.weight);
    if (seen[i]) return;
    seen[i] = true;
    bytes += kernels::predict_repacked_bytes(linear_weight(model.weights[i]), choice);
  });
  return bytes;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(std::string name, std::shared_ptr<CpuEngine> engine) : name_(std::move(name)), engine_(std::move(engine)) {}

  std::string_view name() const noexcept override { return name_; }
  int threads() const noexcept override { return engine_->pool.threads(); }
  std::string device() const override {
    const Hardware hardware = describe_hardware();
    return fmt::format("{} · {} thread{} · {}", hardware.processor, threads(), threads() == 1 ? "" : "s",
                       name_ == "reference" ? "reference kernels" : kernels::cpu_features());
  }

  Result<std::unique_ptr<Session>> compile(std::shared_ptr<const Model> model, const RunOptions& options) override {
    RETORT_TRY(const Plan plan, make_plan(model->graph));
    RETORT_TRY(const CpuSizes sizes, cpu_sizes(*model, plan, options, threads()));
    // Mapped weights can be read again from disk; what is allocated cannot.
    const std::uint64_t free = describe_hardware().free_memory_bytes;
    const std::uint64_t needed = sizes.cache + sizes.work_space(threads()) + predict_repacked(*model, {options.activations, engine_->forced});
    if (free > 0 && needed > free)
      return Error{.code = ErrorCode::kOutOfMemory, .place = fmt::format("context {}", options.context),
                   .expected = fmt::format("{} bytes for cache, work space and repacked weights", needed),
                   .found = fmt::format("{} bytes free", free)};
    return CpuSession::create(engine_, std::move(model), options);
  }

  MemoryByPart predict_memory(const Model& model, const RunOptions& options) const override;

 private:
  std::string name_;
  std::shared_ptr<CpuEngine> engine_;
};

// As CpuSession::count_weights counts it: a repacked weight takes the stored one's place, unless rows of it are
// looked up as embeddings.
std::uint64_t predict_weight_bytes(const Model& model, const kernels::LinearChoice& choice) {
  const std::size_t count = model.weights.size();
  std::vector<bool> linear(count), vector(count), embedding(count);
  const auto mark = [](std::vector<bool>& set, WeightId id) { if (id != kNoWeight) set[static_cast<std::size_t>(id)] = true; };
  for (const Node& node : model.graph.nodes) {
    mark(node.op == Op::kLinear ? linear : node.op == Op::kEmbedding ? embedding : vector, node.weight);
    mark(vector, node.bias);
  }
  for_each_linear(model.graph, [&](const Node& node) { mark(linear, node.weight); });
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const WeightHandle& weight = model.weights[i];
    const std::size_t repacked = linear[i] ? kernels::predict_repacked_bytes(linear_weight(weight), choice) : 0;
    bytes += repacked;
    if (vector[i]) bytes += sizeof(float) * weight_elements(weight);
    if (repacked == 0 || embedding[i]) bytes += weight.stored_bytes();
  }
  return bytes;
}

MemoryByPart CpuBackend::predict_memory(const Model& model, const RunOptions& options) const {
  MemoryByPart parts;
  parts.weights = predict_weight_bytes(model, {options.activations, engine_->forced});
  const auto plan = make_plan(model.graph);
  if (!plan.ok()) return parts;
  const auto sizes = cpu_sizes(model, *plan, options, threads());
  if (!sizes.ok()) return parts;
  parts.kv_cache = sizes->cache;
  parts.work_space = sizes->work_space(threads());
  return parts;
}

// The level that norms, attention and the like are forced to; oneDNN has linears only.
std::string_view ops_level(std::string_view forced) { return forced == "onednn" ? std::string_view{} : forced; }

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(std::string_view name, int threads) {
  if (names_device(name)) return make_device_backend(name);
  if (name != "cpu" && name != "reference")
    return Error{.code = ErrorCode::kUnsupported, .place = "backend", .expected = "cpu, reference, cuda or cuda:N",
                 .found = std::string(name)};
  if (threads < 0 || threads > 1024)
    return Error{.code = ErrorCode::kBadArgument, .place = "threads", .expected = "0 to 1024",
                 .found = std::to_string(threads)};
  const std::string forced(name == "reference" ? "reference" : kernels::forced_by_environment());
  const kernels::Ops* ops = kernels::ops(ops_level(forced));
  if (!ops)
    return Error{.code = ErrorCode::kUnsupported, .place = "kernels",
                 .expected = "a kernel level that this machine runs", .found = forced,
                 .next_step = "unset RETORT_KERNEL, or see `retort devices`"};
  return std::unique_ptr<Backend>(
      std::make_unique<CpuBackend>(std::string(name), std::make_shared<CpuEngine>(*ops, forced, threads)));
}

}  // namespace retort
