#include "app/cli/onnx.h"

#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error_text.h"
#include "core/formats/json_text.h"
#include "core/formats/writers.h"
#include "core/onnx/session.h"
#include "core/onnx/summary.h"
#include "core/onnx/value_files.h"

namespace retort::cli {
namespace {

using namespace retort::onnx;
using nlohmann::json;

json value_json(const ValueInfo& value) {
  json shape = json::array();
  for (std::size_t i = 0; i < value.shape.size(); ++i) {
    if (value.shape[i] >= 0) shape.push_back(value.shape[i]);
    else if (value.symbols[i].empty()) shape.push_back(nullptr);
    else shape.push_back(value.symbols[i]);
  }
  return {{"name", value.name}, {"type", traits(value.type).plain}, {"shape", value.has_shape ? shape : json()}};
}

json to_json(const OnnxFile& file, const Summary& found) {
  json out = {{"path", file.path.string()}, {"format", "ONNX"}, {"architecture", "onnx"}, {"ir_version", file.ir_version}, {"producer", file.producer},
              {"parameters", found.parameters}, {"bytes", found.bytes},
              {"bits_per_weight", found.parameters == 0 ? 0.0 : 8.0 * static_cast<double>(found.bytes) / static_cast<double>(found.parameters)},
              {"source_quantized", nullptr}, {"tokenizer", nullptr}, {"runs", found.problems.empty()}, {"operator_sets", json::array()},
              {"inputs", json::array()}, {"outputs", json::array()}, {"operators", json::array()}, {"problems", json::array()},
              {"tensors", json::array()}, {"levels", json::array()}};
  if (found.quantized) out["source_quantized"] = "INT8";
  for (const OperatorSet& set : file.operator_sets) out["operator_sets"].push_back({{"domain", set.domain}, {"version", set.version}});
  for (const ValueInfo* input : found.inputs) out["inputs"].push_back(value_json(*input));
  for (const ValueInfo& output : file.graph.outputs) out["outputs"].push_back(value_json(output));
  for (const OperatorCount& op : found.operators)
    out["operators"].push_back({{"domain", op.domain}, {"name", op.name}, {"count", op.count}, {"supported", op.supported}});
  for (const Problem& problem : found.problems) out["problems"].push_back({{"operator", problem.op}, {"text", error_text(problem.error)}});
  for (const auto& [tensor, op, node] : found.weights)
    out["tensors"].push_back({{"name", tensor.name}, {"shape", tensor.shape}, {"type", traits(tensor.type).plain}, {"bytes", tensor.data.size()}, {"operator", op}});
  return out;
}

void print_table(const OnnxFile& file, const Summary& found, bool tensors) {
  fmt::print("Graph         {}\nFormat        ONNX, IR version {}{}\n", file.path.string(), file.ir_version, file.producer.empty() ? "" : ", by " + file.producer);
  for (const OperatorSet& set : file.operator_sets) fmt::print("Operator set  {} {}\n", set.domain.empty() ? "ai.onnx" : set.domain, set.version);
  for (const ValueInfo* input : found.inputs) fmt::print("Input         {}: {} {}\n", input->name, traits(input->type).plain, dimensions(*input));
  for (const ValueInfo& output : file.graph.outputs) fmt::print("Output        {}: {} {}\n", output.name, traits(output.type).plain, dimensions(output));
  fmt::print("Parameters    {:.2f} M in {} tensors, {}\n", static_cast<double>(found.parameters) / 1e6, found.weights.size(), human_bytes(found.bytes));
  fmt::print("Nodes         {}:", file.graph.nodes.size());
  for (std::size_t i = 0; i < found.operators.size(); ++i)
    fmt::print("{} {} × {}{}", i > 0 ? "," : "", found.operators[i].count, found.operators[i].name, found.operators[i].supported ? "" : " (not supported)");
  fmt::print("\nRuns          {}\n", found.problems.empty() ? "yes" : "no:");
  for (const Problem& problem : found.problems) fmt::print("  {}\n", error_text(problem.error));
  if (!tensors) return;
  fmt::print("\n{:<44} {:>18} {:>5} {:>10}\n", "tensor", "shape", "type", "bytes");
  for (const auto& [tensor, op, node] : found.weights)
    fmt::print("{:<44} {:>18} {:>5} {:>10}\n", tensor.name, shape_text(tensor.shape), traits(tensor.type).plain, human_bytes(tensor.data.size()));
}

}  // namespace

bool is_onnx(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  if (std::filesystem::path(path).extension() == ".onnx") return true;
  const auto file = MappedFile::open(path);
  return file.ok() && looks_like_onnx((*file)->bytes());
}

Result<void> inspect_onnx(const std::string& path, bool as_json, bool tensors) {
  RETORT_TRY(const auto file, open_onnx(path));
  const Summary found = summarise(*file);
  if (as_json) fmt::print("{}\n", formats::json_text(to_json(*file, found), 2));
  else print_table(*file, found, tensors);
  return {};
}

Result<void> forward_onnx(const std::string& path, const std::string& input, const std::string& output, int repeat, const CommonOptions& options,
                          Context& context) {
  RETORT_TRY(const auto file, open_onnx(path));
  RETORT_TRY(const auto session, onnx::Session::make(file, {.backend = options.backend, .threads = options.threads}));
  RETORT_TRY(const std::shared_ptr<const Checkpoint> given, open_safetensors(input));
  RETORT_TRY(const onnx::Session::Values inputs, read_values(*session, *given));
  onnx::Session::Values outputs;
  std::vector<double> seconds;
  for (int i = 0; i < repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    RETORT_TRY(outputs, session->run(inputs, context.job));
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, value] : outputs)
    tensors.push_back({name, value.shape(), stored_type(value.type()),
                       [&value] { return Result<std::span<const std::byte>>(value.bytes()); }});
  RETORT_CHECK(write_safetensors(output, tensors, context.job));
  if (options.json)
    fmt::print("{}\n", json{{"output", output}, {"seconds", seconds}, {"kernel", session->kernel()}, {"value_bytes", session->peak_bytes()},
                            {"peak_memory_bytes", peak_memory_bytes()}}.dump(2));
  return {};
}

}  // namespace retort::cli
