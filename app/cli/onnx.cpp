#include "app/cli/onnx.h"

#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/cli/onnx_values.h"
#include "core/base/error_text.h"
#include "core/formats/writers.h"
#include "core/onnx/session.h"

namespace retort::cli {
namespace {

using namespace retort::onnx;
using nlohmann::json;

struct OperatorCount {
  std::string domain, name;
  int count = 0;
  bool supported = false;
};

// Operators of a graph and of the graphs in its attributes.
void count_operators(const Graph& graph, std::map<std::pair<std::string, std::string>, int>& counts) {
  for (const Node& node : graph.nodes) {
    ++counts[{node.domain, node.op}];
    for (const Attribute& attribute : node.attributes)
      for (const auto& inner : attribute.graphs) count_operators(*inner, counts);
  }
}

std::vector<OperatorCount> operators_of(const OnnxFile& file) {
  std::map<std::pair<std::string, std::string>, int> counts;
  count_operators(file.graph, counts);
  std::vector<OperatorCount> out;
  for (const auto& [key, count] : counts) out.push_back({key.first, key.second, count, find_operator(key.first, key.second) != nullptr});
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
  return out;
}

// Weights: initializers, and the Constant nodes that other exporters write instead.
std::vector<StoredTensor> weights_of(const OnnxFile& file) {
  std::vector<StoredTensor> out = file.graph.tensors;
  for (const Node& node : file.graph.nodes) {
    const Attribute* value = node.op == "Constant" ? node.find("value") : nullptr;
    if (!value || !value->tensor || node.outputs.empty()) continue;
    out.push_back(*value->tensor);
    out.back().name = node.outputs.front();
  }
  return out;
}

std::string dimensions(const ValueInfo& value) {
  if (!value.has_shape) return "of any shape";
  std::string text;
  for (std::size_t i = 0; i < value.shape.size(); ++i)
    text += (i > 0 ? " × " : "") + (value.shape[i] >= 0 ? std::to_string(value.shape[i]) : value.symbols[i].empty() ? "?" : value.symbols[i]);
  return text.empty() ? "scalar" : text;
}

json value_json(const ValueInfo& value) {
  json shape = json::array();
  for (std::size_t i = 0; i < value.shape.size(); ++i) {
    if (value.shape[i] >= 0) shape.push_back(value.shape[i]);
    else if (value.symbols[i].empty()) shape.push_back(nullptr);
    else shape.push_back(value.symbols[i]);
  }
  return {{"name", value.name}, {"type", traits(value.type).plain}, {"shape", value.has_shape ? shape : json()}};
}

struct Summary {
  std::vector<StoredTensor> weights;
  std::vector<OperatorCount> operators;
  std::vector<Problem> problems;
  std::vector<const ValueInfo*> inputs;      // without those that are weights
  std::uint64_t bytes = 0, parameters = 0;
  bool quantized = false;
};

Summary summarise(const OnnxFile& file) {
  Summary out{weights_of(file), operators_of(file), problems_of(file), {}, 0, 0, false};
  std::set<std::string_view> names;
  for (const StoredTensor& tensor : out.weights) {
    out.bytes += tensor.data.size();
    out.parameters += static_cast<std::uint64_t>(tensor.elements());
    names.insert(tensor.name);
  }
  for (const ValueInfo& input : file.graph.inputs)
    if (!names.contains(input.name)) out.inputs.push_back(&input);
  for (const OperatorCount& op : out.operators)
    out.quantized = out.quantized || op.name == "DequantizeLinear" || op.name.ends_with("Integer") || op.name.starts_with("QLinear");
  return out;
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
  for (const StoredTensor& tensor : found.weights)
    out["tensors"].push_back({{"name", tensor.name}, {"shape", tensor.shape}, {"type", traits(tensor.type).plain}, {"bytes", tensor.data.size()}});
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
  for (const StoredTensor& tensor : found.weights)
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
  if (as_json) fmt::print("{}\n", to_json(*file, found).dump(2, ' ', false, json::error_handler_t::replace));
  else print_table(*file, found, tensors);
  return {};
}

Result<void> forward_onnx(const std::string& path, const std::string& input, const std::string& output, int repeat, const CommonOptions& options,
                          Context& context) {
  RETORT_TRY(const auto file, open_onnx(path));
  RETORT_TRY(const auto session, Session::make(file, {.backend = options.backend, .threads = options.threads}));
  RETORT_TRY(const std::shared_ptr<const Checkpoint> given, open_safetensors(input));
  RETORT_TRY(const Session::Values inputs, read_values(*session, *given));
  Session::Values outputs;
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
