#include "core/model/inspect.h"

#include <algorithm>

#include "core/measure/hardware.h"
#include "core/model/architectures/config_source.h"
#include "core/model/backend.h"
#include "core/quantize/levels.h"

namespace retort {
namespace {

constexpr double kUsableMemory = 0.9;   // the rest is the system's

// Memory of a run at this context besides the large weights: norms kept in f32, KV cache, work space.
MemoryByPart running_memory(const Model& model, const InspectOptions& options) {
  RunOptions run;
  run.context = options.context;
  run.batch = std::min<std::int64_t>(run.batch, options.context);
  const auto backend = make_backend("cpu", options.threads);
  return backend.ok() ? (*backend)->predict_memory(model, run) : MemoryByPart{};
}

LevelSize size_at(const Level& level, const LevelPlan& plan, const MemoryByPart& source, std::uint64_t source_weights,
                  std::uint64_t machine_memory) {
  LevelSize size{.id = std::string(level.id), .plain = std::string(level.plain), .bytes = plan.file_bytes,
                 .bits_per_weight = plan.bits_per_weight};
  for (const TensorPlan& tensor : plan.tensors)
    if (tensor.wanted) size.fallbacks.push_back({tensor.name, tensor.type, *tensor.wanted});
  const std::uint64_t beside = source.weights > source_weights ? source.weights - source_weights : 0;
  size.memory = plan.bytes + beside + source.kv_cache + source.work_space;
  size.fits = static_cast<double>(size.memory) <= kUsableMemory * static_cast<double>(machine_memory);
  return size;
}

void add_levels(const Model& model, const InspectOptions& options, Inspection& out) {
  const MemoryByPart memory = running_memory(model, options);
  for (const Level& level : levels()) {
    // A level that a model cannot have (rows that no type fits) is left out; the others still stand.
    const auto plan = plan_level(model, level.id, false);
    if (plan.ok()) out.levels.push_back(size_at(level, *plan, memory, model.weight_bytes(), out.machine_memory));
  }
}

// The model's, where it was bound with one; else whatever there is, or the reason why not.
void add_tokenizer(const Checkpoint& checkpoint, const std::shared_ptr<const Tokenizer>& bound, Inspection& out) {
  const auto tokenizer = bound ? Result<std::shared_ptr<const Tokenizer>>(bound) : load_tokenizer(checkpoint);
  if (tokenizer.ok()) {
    out.tokenizer_kind = (*tokenizer)->kind();
    out.tokenizer_size = (*tokenizer)->size();
  } else {
    const Error& error = tokenizer.error();
    out.tokenizer_problem = error.place + (error.found.empty() ? "" : ": " + error.found);
  }
}

std::string stated_architecture(const Checkpoint& checkpoint) {
  const auto source = ConfigSource::open(checkpoint);
  return source.ok() ? source->architecture() : std::string();
}

}  // namespace

Result<Inspection> inspect_checkpoint(std::shared_ptr<const Checkpoint> checkpoint, const InspectOptions& options) {
  Inspection out;
  out.path = checkpoint->path;
  out.format = checkpoint->format == CheckpointFormat::kGguf ? "GGUF"
               : checkpoint->format == CheckpointFormat::kPyTorch ? "PyTorch" : "safetensors";
  out.architecture = stated_architecture(*checkpoint);
  for (const auto& file : checkpoint->files) out.bytes += file->bytes().size();
  for (const TensorEntry& tensor : checkpoint->tensors) out.parameters += tensor.elements();
  out.quantization = find_source_quantization(*checkpoint);
  out.has_chat_template = !checkpoint->chat_template.empty();
  out.context = options.context;
  out.machine_memory = options.machine_memory != 0 ? options.machine_memory : describe_hardware().memory_bytes;
  std::uint64_t tensor_bytes = checkpoint->tensor_bytes();
  auto model = bind_model(checkpoint);
  add_tokenizer(*checkpoint, model.ok() ? model->tokenizer : nullptr, out);
  if (model.ok()) {
    out.config = model->config;
    out.architecture = model->config.architecture;
    out.parameters = model->parameters();
    tensor_bytes = model->weight_bytes();
    add_levels(*model, options, out);
  } else if (model.error().code == ErrorCode::kUnsupported || checkpoint->config_json.empty()) {
    out.cannot_run = std::move(model).error();
  } else {
    return std::move(model).error();
  }
  if (out.parameters > 0) out.bits_per_weight = 8.0 * static_cast<double>(tensor_bytes) / static_cast<double>(out.parameters);
  return out;
}

Result<Inspection> inspect(const std::filesystem::path& path, const InspectOptions& options) {
  RETORT_TRY(auto checkpoint, open_checkpoint(path));
  return inspect_checkpoint(std::move(checkpoint), options);
}

}  // namespace retort
