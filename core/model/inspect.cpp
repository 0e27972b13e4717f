#include "core/model/inspect.h"

#include <algorithm>
#include <cmath>

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

namespace {

// Calls `each` with decoded pieces of the tensor, in order.
template <class Each>
Result<void> decode_pieces(const TensorEntry& tensor, const JobContext& job, const Each& each) {
  constexpr std::size_t kPiece = 1u << 16;   // a multiple of every block size
  const auto& type = kernels::traits(tensor.type);
  const auto elements = static_cast<std::size_t>(tensor.elements());
  std::vector<float> values(std::min(kPiece, elements));
  if (tensor.coded) {
    const std::int64_t columns = tensor.columns(), step = std::max<std::int64_t>(1, static_cast<std::int64_t>(kPiece) / columns);
    values.resize(static_cast<std::size_t>(std::min(step, tensor.rows()) * columns));
    for (std::int64_t row = 0; row < tensor.rows(); row += step) {
      RETORT_CHECK(job.check(tensor.name));
      const std::int64_t rows = std::min(step, tensor.rows() - row);
      tensor.decode_rows(row, rows, values.data());
      each(std::span<const float>(values.data(), static_cast<std::size_t>(rows * columns)));
    }
    return {};
  }
  for (std::size_t at = 0; at < elements; at += kPiece) {
    RETORT_CHECK(job.check(tensor.name));
    const std::size_t count = std::min(kPiece, elements - at);
    type.decode(tensor.data.data() + at / type.block_size * type.block_bytes, values.data(), count);
    each(std::span<const float>(values.data(), count));
  }
  return {};
}

}  // namespace

Result<TensorStatistics> tensor_statistics(const TensorEntry& tensor, const JobContext& job) {
  TensorStatistics out;
  out.name = tensor.name;
  out.elements = tensor.elements();
  double sum = 0, minimum = INFINITY, maximum = -INFINITY;
  RETORT_CHECK(decode_pieces(tensor, job, [&](std::span<const float> values) {
    for (const float value : values) {
      if (!std::isfinite(value)) {
        ++out.non_finite;
        continue;
      }
      const double x = static_cast<double>(value);
      sum += x;
      minimum = std::min(minimum, x);
      maximum = std::max(maximum, x);
    }
  }));
  const std::int64_t finite = out.elements - out.non_finite;
  if (finite == 0) return out;
  out.minimum = minimum;
  out.maximum = maximum;
  out.mean = sum / static_cast<double>(finite);

  // The second pass has the mean, so that the squares don't cancel.
  double squares = 0;
  const double width = maximum - minimum, scale = width > 0 ? static_cast<double>(out.kBins) / width : 0;
  RETORT_CHECK(decode_pieces(tensor, job, [&](std::span<const float> values) {
    for (const float value : values) {
      if (!std::isfinite(value)) continue;
      const double x = static_cast<double>(value);
      squares += (x - out.mean) * (x - out.mean);
      ++out.histogram[std::min(out.kBins - 1, static_cast<std::size_t>((x - minimum) * scale))];
    }
  }));
  out.deviation = std::sqrt(squares / static_cast<double>(finite));
  if (maximum - out.mean <= 6 * out.deviation && out.mean - minimum <= 6 * out.deviation) return out;

  std::int64_t beyond = 0;
  RETORT_CHECK(decode_pieces(tensor, job, [&](std::span<const float> values) {
    for (const float value : values)
      if (std::isfinite(value) && std::abs(static_cast<double>(value) - out.mean) > 6 * out.deviation) ++beyond;
  }));
  out.outliers = static_cast<double>(beyond) / static_cast<double>(finite);
  return out;
}

}  // namespace retort
