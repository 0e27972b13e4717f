// `retort inspect`: what a model is, how large it would be at every level, and whether that fits this machine.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "app/cli/onnx.h"
#include "core/base/error_text.h"
#include "core/formats/json_text.h"
#include "core/model/inspect.h"

namespace retort::cli {
namespace {

using nlohmann::json;

struct InspectArguments {
  CommonOptions common;
  std::string model;
  std::int64_t context = 512;
  bool statistics = false, tensors = false;
};

std::string type_name(TensorType type) { return std::string(kernels::traits(type).name); }

json level_json(const LevelSize& level) {
  json fallbacks = json::array();
  for (const auto& fallback : level.fallbacks)
    fallbacks.push_back({{"tensor", fallback.tensor}, {"type", type_name(fallback.type)}, {"wanted", type_name(fallback.wanted)}});
  return {{"type", level.id}, {"plain", level.plain}, {"bytes", level.bytes}, {"bits_per_weight", level.bits_per_weight},
          {"fallbacks", fallbacks}, {"memory_bytes", level.memory}, {"fits", level.fits}};
}

json config_json(const ModelConfig& config) {
  return {{"vocabulary", config.vocabulary}, {"hidden", config.hidden}, {"layers", config.layers}, {"heads", config.heads},
          {"kv_heads", config.kv_heads}, {"head_dim", config.head_dim}, {"feed_forward", config.feed_forward},
          {"context", config.context}, {"tied_head", config.tied_head}};
}

json to_json(const Inspection& found, const Checkpoint& checkpoint, const std::vector<TensorStatistics>& statistics) {
  json out = {{"path", found.path.string()}, {"format", found.format}, {"architecture", found.architecture},
              {"parameters", found.parameters}, {"bytes", found.bytes}, {"bits_per_weight", found.bits_per_weight},
              {"source_quantized", nullptr}, {"source_stored", found.quantization && found.quantization->stored},
              {"tokenizer", nullptr}, {"chat_template", checkpoint.chat_template}, {"context", found.context},
              {"machine_memory_bytes", found.machine_memory}, {"runs", !found.cannot_run.has_value()},
              {"tensors", json::array()}, {"levels", json::array()}};
  if (found.quantization) out["source_quantized"] = found.quantization->name();
  if (!found.tokenizer_kind.empty()) out["tokenizer"] = {{"kind", found.tokenizer_kind}, {"size", found.tokenizer_size}};
  if (found.config) out["configuration"] = config_json(*found.config);
  if (found.cannot_run) out["problem"] = error_text(*found.cannot_run);
  for (const LevelSize& level : found.levels) out["levels"].push_back(level_json(level));
  for (std::size_t i = 0; i < checkpoint.tensors.size(); ++i) {
    const TensorEntry& tensor = checkpoint.tensors[i];
    json row = {{"name", tensor.name}, {"shape", tensor.shape}, {"type", type_name(tensor.type)}, {"bytes", tensor.stored_bytes()}};
    if (tensor.coded) row["stored_as"] = tensor.coded->scheme();
    if (i < statistics.size()) {
      const TensorStatistics& s = statistics[i];
      row["statistics"] = {{"minimum", s.minimum}, {"maximum", s.maximum}, {"mean", s.mean}, {"deviation", s.deviation},
                           {"outliers", s.outliers}, {"non_finite", s.non_finite}, {"histogram", s.histogram}};
    }
    out["tensors"].push_back(std::move(row));
  }
  return out;
}

std::string quantization_line(const Inspection& found) {
  if (!found.quantization) return "no";
  const std::string type = found.quantization->name();
  return found.quantization->stored ? fmt::format("yes, stored as {}", type)
                                    : fmt::format("yes: its values lie on the grid of {} (an expansion)", type);
}

// Tensors per type, largest share first: "F16 211 tensors 99.9 %".
void print_types(const Checkpoint& checkpoint) {
  std::map<std::string, std::pair<int, std::uint64_t>> types;
  for (const TensorEntry& tensor : checkpoint.tensors) {
    auto& [count, bytes] = types[tensor.coded ? tensor.coded->scheme() : type_name(tensor.type)];
    ++count;
    bytes += tensor.stored_bytes();
  }
  std::vector<std::pair<std::string, std::pair<int, std::uint64_t>>> rows(types.begin(), types.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.second > b.second.second; });
  fmt::print("Tensors       {}", checkpoint.tensors.size());
  for (const auto& [type, row] : rows) fmt::print("{} {} × {} ({})", type == rows.front().first ? ":" : ",", row.first, type, human_bytes(row.second));
  fmt::print("\n");
}

void print_summary(const Inspection& found, const Checkpoint& checkpoint) {
  fmt::print("Model         {}\n", found.path.string());
  if (found.config && !found.config->name.empty()) fmt::print("Name          {}\n", found.config->name);
  if (found.config && !found.config->licence.empty()) fmt::print("Licence       {}\n", found.config->licence);
  fmt::print("Architecture  {} ({})\n", found.architecture.empty() ? "not stated" : found.architecture, found.format);
  if (const auto& c = found.config)
    fmt::print("Shape         {} layers, hidden {}, {} heads ({} for keys), feed-forward {}, vocabulary {}, context {}{}\n",
               c->layers, c->hidden, c->heads, c->kv_heads, c->feed_forward, c->vocabulary, c->context,
               c->tied_head ? ", head tied to the embedding" : "");
  fmt::print("Parameters    {:.1f} M\nSize          {}, {:.2f} bits per weight\n", static_cast<double>(found.parameters) / 1e6,
             human_bytes(found.bytes), found.bits_per_weight);
  fmt::print("Quantized     {}\n", quantization_line(found));
  if (found.tokenizer_kind.empty()) fmt::print("Tokenizer     none ({})\n", found.tokenizer_problem);
  else fmt::print("Tokenizer     {}, {} tokens{}\n", found.tokenizer_kind, found.tokenizer_size,
                  found.has_chat_template ? ", with a chat template" : "");
  print_types(checkpoint);
  if (found.cannot_run) fmt::print("Runs          no: {}\n", error_text(*found.cannot_run));
}

void print_levels(const Inspection& found) {
  if (found.levels.empty()) return;
  fmt::print("\n{:<8} {:<18} {:>10} {:>6} {:>10} {:>10}  fits {} with {} tokens of context\n", "level", "", "file", "bits",
             "fallbacks", "memory", human_bytes(found.machine_memory), found.context);
  for (const LevelSize& level : found.levels)
    fmt::print("{:<8} {:<18} {:>10} {:>6.2f} {:>10} {:>10}  {}\n", level.id, level.plain, human_bytes(level.bytes),
               level.bits_per_weight, level.fallbacks.size(), human_bytes(level.memory), level.fits ? "yes" : "no");
  const bool any = std::any_of(found.levels.begin(), found.levels.end(), [](const LevelSize& l) { return !l.fallbacks.empty(); });
  if (any) fmt::print("Fallbacks: tensors whose rows don't fill the level's blocks get another type; --json names them.\n");
}

std::string entry_shape(const TensorEntry& tensor) {
  std::string text;
  for (const std::int64_t size : tensor.shape) text += (text.empty() ? "" : " × ") + std::to_string(size);
  return text.empty() ? "scalar" : text;
}

void print_tensors(const Checkpoint& checkpoint, const std::vector<TensorStatistics>& statistics) {
  fmt::print("\n{:<44} {:>16} {:>5} {:>10}", "tensor", "shape", "type", "bytes");
  if (!statistics.empty()) fmt::print(" {:>10} {:>10} {:>10} {:>10} {:>9}", "min", "max", "mean", "std", "outliers");
  fmt::print("\n");
  for (std::size_t i = 0; i < checkpoint.tensors.size(); ++i) {
    const TensorEntry& tensor = checkpoint.tensors[i];
    fmt::print("{:<44} {:>16} {:>5} {:>10}", tensor.name, entry_shape(tensor), type_name(tensor.type), human_bytes(tensor.stored_bytes()));
    if (i < statistics.size()) {
      const TensorStatistics& s = statistics[i];
      fmt::print(" {:>10.4g} {:>10.4g} {:>10.3g} {:>10.4g} {:>8.4f}%", s.minimum, s.maximum, s.mean, s.deviation, 100 * s.outliers);
      if (s.non_finite > 0) fmt::print("  {} not finite", s.non_finite);
    }
    fmt::print("\n");
  }
}

Result<void> run(const InspectArguments& options, Context& context) {
  if (is_onnx(options.model)) return inspect_onnx(options.model, options.common.json, options.tensors);
  RETORT_TRY(const auto checkpoint, open_checkpoint(options.model));
  RETORT_TRY(const Inspection found, inspect_checkpoint(checkpoint, {.context = options.context, .threads = options.common.threads}));
  std::vector<TensorStatistics> statistics;
  if (options.statistics) {
    show_progress(context);
    double done = 0;
    for (const TensorEntry& tensor : checkpoint->tensors) {
      context.job.report({done, static_cast<double>(checkpoint->tensor_bytes()), "bytes", "reading " + tensor.name});
      RETORT_TRY(auto row, tensor_statistics(tensor, context.job.with_progress({})));
      statistics.push_back(std::move(row));
      done += static_cast<double>(tensor.stored_bytes());
    }
    end_progress();
  }
  if (options.common.json) {
    fmt::print("{}\n", formats::json_text(to_json(found, *checkpoint, statistics), 2));
    return {};
  }
  print_summary(found, *checkpoint);
  print_levels(found);
  if (options.tensors || options.statistics) print_tensors(*checkpoint, statistics);
  return {};
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto options = std::make_shared<InspectArguments>();
  CLI::App* command = app.add_subcommand("inspect", "Architecture, tensors, tokenizer, size at every level, fit on this machine");
  command->add_option("MODEL", options->model, "A GGUF or ONNX file, or a folder with config.json and safetensors")->required();
  command->add_flag("--statistics", options->statistics, "Read every tensor: range, mean, deviation, outliers, histogram");
  command->add_flag("--tensors", options->tensors, "List every tensor");
  command->add_option("--context", options->context, "Tokens of context that must fit")->check(CLI::Range(1, 1 << 24));
  command->add_option("--threads", options->common.threads, "Threads that work space is counted for; 0 takes all cores")->check(CLI::Range(0, 1024));
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
