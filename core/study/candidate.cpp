#include "core/study/candidate.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "core/distill/student.h"
#include "core/export/folder_export.h"
#include "core/formats/shape.h"

namespace retort {
namespace {

std::string name_of(TensorType type) { return std::string(kernels::traits(type).name); }

// Everything that the bytes of one derived tensor depend on.
Digest tensor_key(const Model& source, const Digest& source_digest, const DerivedTensor& tensor, const Digest& importance) {
  const auto id = static_cast<std::size_t>(tensor.weight);
  const Quantizer* quantizer = find_quantizer(tensor.type);
  DigestBuilder key;
  key.text("tensor 1").digest(source_digest).text(source.graph.weights[id].source_name);
  // Of a stacked tensor, which part.
  if (source.graph.weights[id].stored == Stored::kStacked) key.text("part").number(static_cast<std::uint64_t>(source.graph.weights[id].part));
  key.text(name_of(source.weights[id].type)).text(name_of(tensor.type)).number(quantizer ? quantizer->version() : 0);
  if (tensor.takes_importance) key.text("importance").digest(importance).text(tensor.name);
  return key.finish();
}

std::pair<std::int64_t, std::int64_t> rows_and_columns(const WeightHandle& weight) {
  const std::int64_t columns = weight.shape.empty() ? 1 : weight.shape.back();
  return {columns > 0 ? shape_elements(weight.shape) / columns : 0, columns};
}

CandidatePlan plan_as_stored(const Model& source) {
  CandidatePlan plan;
  for (const WeightHandle& weight : source.weights) plan.types.push_back(weight.type);
  for (const auto& file : source.checkpoint->files) plan.bytes += file->bytes().size();
  // A GGUF file has its tokenizer in it; a folder's is counted as well.
  if (source.checkpoint->format != CheckpointFormat::kGguf) plan.bytes += distill::folder_text_bytes(source, source.checkpoint->config_json);
  if (source.parameters() > 0)
    plan.bits_per_weight = 8.0 * static_cast<double>(source.weight_bytes()) / static_cast<double>(source.parameters());
  return plan;
}

// Where the importance of a tensor matters: quantized types that are not dense, 8 bits of one scale or row scales.
bool weighs_errors(TensorType type) {
  return kernels::traits(type).packed() && type != TensorType::kQ8_0;
}

const std::vector<float>* columns_of(const ImportanceMatrix* importance, const std::string& name) {
  if (!importance) return nullptr;
  const auto found = importance->columns.find(name);
  return found == importance->columns.end() ? nullptr : &found->second;
}

}  // namespace

bool uses_importance(const Recipe& recipe) noexcept {
  return std::any_of(recipe.stages.begin(), recipe.stages.end(), [](const Stage& stage) { return stage.importance; });
}

Result<CandidatePlan> plan_candidate(const Model& source, const Digest& source_digest, const Recipe& recipe,
                                     const Digest& importance) {
  if (recipe.stages.empty()) return plan_as_stored(source);
  const Stage& stage = recipe.stages.front();
  if (recipe.stages.size() > 1 || stage.kind != "quantize")
    return Error{.code = ErrorCode::kBadRecipe, .place = recipe.name, .expected = "one quantize stage"};
  RETORT_TRY(const LevelPlan level, plan_level(source, stage.level, stage.importance, stage.overrides));
  CandidatePlan plan = plan_as_stored(source);
  plan.bytes = level.file_bytes;
  plan.bits_per_weight = level.bits_per_weight;
  for (const TensorPlan& entry : level.tensors) {
    const auto id = static_cast<std::size_t>(entry.weight);
    plan.types[id] = entry.type;
    if (entry.wanted)
      plan.fallbacks.emplace_back(entry.name, fmt::format("{} wanted, {} used", name_of(*entry.wanted), name_of(entry.type)));
    if (entry.type == source.weights[id].type) continue;
    DerivedTensor tensor{.weight = entry.weight, .name = entry.name, .type = entry.type,
                         .takes_importance = stage.importance && weighs_errors(entry.type), .key = {}};
    tensor.key = tensor_key(source, source_digest, tensor, importance);
    plan.tensors.push_back(std::move(tensor));
  }
  return plan;
}

// A tensor that calibration never reached (the embedding, an unused expert) is weighed evenly.
static std::span<const float> importance_of(const DerivedTensor& tensor, const ImportanceMatrix* importance, std::int64_t columns) {
  const auto* squares = tensor.takes_importance ? columns_of(importance, tensor.name) : nullptr;
  return squares && static_cast<std::int64_t>(squares->size()) == columns ? std::span<const float>(*squares) : std::span<const float>();
}

Result<QuantizedTensor> derive_tensor(const Model& source, const DerivedTensor& tensor, const ImportanceMatrix* importance,
                                      kernels::ThreadPool& pool, const JobContext& job) {
  const WeightHandle& weight = source.weights[static_cast<std::size_t>(tensor.weight)];
  const auto [rows, columns] = rows_and_columns(weight);
  RETORT_TRY(const WeightData whole, in_one_piece(weight));
  const QuantizeRequest request{.source_type = whole.type, .source = whole.data, .rows = rows, .columns = columns,
                                .importance = importance_of(tensor, importance, columns), .target_type = tensor.type};
  return quantize_tensor(request, tensor.name, pool, job);
}

Result<void> derive_rows(const Model& source, const DerivedTensor& tensor, const ImportanceMatrix* importance, std::int64_t first,
                         std::span<std::byte> out, kernels::ThreadPool& pool, const JobContext& job) {
  const WeightHandle& weight = source.weights[static_cast<std::size_t>(tensor.weight)];
  const auto [all_rows, columns] = rows_and_columns(weight);
  const auto rows = static_cast<std::int64_t>(out.size() / kernels::row_bytes(tensor.type, static_cast<std::size_t>(columns)));
  if (tensor.type == TensorType::kI8 || first < 0 || rows > all_rows - first)
    return Error{.code = ErrorCode::kBadArgument, .place = tensor.name, .expected = "rows of the tensor, not of INT8"};
  std::vector<float> decoded;
  QuantizeRequest request{.source_type = weight.type, .source = {}, .rows = rows, .columns = columns,
                          .importance = importance_of(tensor, importance, columns), .target_type = tensor.type,
                          .into = out, .measured = false, .first_row = first};
  if (weight.coded) {
    if (first == 0) RETORT_CHECK(weight.coded->check());
    decoded.resize(static_cast<std::size_t>(rows * columns));
    weight.coded->decode(first, rows, 0, columns, decoded.data());
    request.source_type = TensorType::kF32;
    request.source = std::as_bytes(std::span(decoded));
  } else {
    const std::size_t row = kernels::row_bytes(weight.type, static_cast<std::size_t>(columns));
    request.source = weight.data.subspan(static_cast<std::size_t>(first) * row, static_cast<std::size_t>(rows) * row);
  }
  RETORT_TRY(const QuantizedTensor made, quantize_tensor(request, tensor.name, pool, job));
  return {};
}

Result<void> make_tensors(const Model& source, const CandidatePlan& plan, const ImportanceMatrix* importance,
                          TensorStore& store, kernels::ThreadPool& pool, const JobContext& job,
                          const TensorProgress& progress) {
  std::size_t done = 0, reused = 0;
  for (const DerivedTensor& tensor : plan.tensors) {
    RETORT_CHECK(job.check(tensor.name));
    if (progress) progress(done, plan.tensors.size(), reused, tensor.name);
    if (store.contains(tensor.key)) {
      ++reused;
    } else {
      RETORT_TRY(const QuantizedTensor made, derive_tensor(source, tensor, importance, pool, job));
      RETORT_TRY(const StoredTensor kept, store.put(tensor.key, tensor.name, tensor.type, made));
    }
    ++done;
  }
  if (progress) progress(done, plan.tensors.size(), reused, "");
  return {};
}

Result<std::shared_ptr<const Model>> assemble_model(const Model& source, const CandidatePlan& plan, TensorStore& store) {
  auto model = std::make_shared<Model>(source);
  for (const DerivedTensor& tensor : plan.tensors) {
    auto stored = store.find(tensor.key);
    if (!stored)
      return Error{.code = ErrorCode::kNotFound, .place = tensor.name, .found = "not in the tensor store",
                   .next_step = "run the study; only what is missing is made"};
    WeightHandle& weight = model->weights[static_cast<std::size_t>(tensor.weight)];
    const auto [rows, columns] = rows_and_columns(weight);
    const std::uint64_t bytes = static_cast<std::uint64_t>(rows) * kernels::row_bytes(tensor.type, static_cast<std::size_t>(columns));
    const std::size_t scales = tensor.type == TensorType::kI8 ? static_cast<std::size_t>(rows) : 0;
    if (stored->type != tensor.type || stored->data.size() != bytes || stored->row_scales.size() != scales)
      return Error{.code = ErrorCode::kCorrupt, .place = tensor.name, .expected = fmt::format("{} bytes of {}", bytes, name_of(tensor.type)),
                   .found = fmt::format("{} of {}", stored->data.size(), name_of(stored->type))};
    weight.type = tensor.type;
    weight.data = stored->data;
    weight.row_scales = stored->row_scales;
    weight.keep_alive = weight.file = stored->keep_alive;
    weight.coded = nullptr;
    std::memcpy(&weight.version, tensor.key.bytes.data(), sizeof weight.version);
  }
  return std::shared_ptr<const Model>(std::move(model));
}

Model outline_model(const Model& source, const CandidatePlan& plan) {
  Model model = source;
  for (const DerivedTensor& tensor : plan.tensors) {
    WeightHandle& weight = model.weights[static_cast<std::size_t>(tensor.weight)];
    const auto [rows, columns] = rows_and_columns(weight);
    // Only sizes are asked of an outline; the address is never looked at.
    const std::size_t bytes = static_cast<std::size_t>(rows) * kernels::row_bytes(tensor.type, static_cast<std::size_t>(columns));
    weight.data = {weight.data.data(), bytes};
    weight.row_scales = {};
    weight.type = tensor.type;
    weight.coded = nullptr;
  }
  return model;
}

Result<Digest> checkpoint_digest(const Checkpoint& checkpoint, const FileDigest& file_digest, const JobContext& job) {
  DigestBuilder builder;
  builder.text("checkpoint 1").number(checkpoint.files.size());
  for (const auto& file : checkpoint.files) {
    RETORT_TRY(const Digest digest, file_digest(file->path(), job));
    builder.digest(digest);
  }
  builder.text(checkpoint.config_json).text(checkpoint.tokenizer_json).text(checkpoint.tokenizer_config_json);
  builder.text(checkpoint.chat_template);
  return builder.finish();
}

}  // namespace retort
