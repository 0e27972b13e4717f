#include "core/distill/classifier_head.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/distill/student.h"
#include "core/formats/shape.h"

namespace retort::distill {
namespace {

using nlohmann::ordered_json;

constexpr float kSpread = 0.02f;                 // as transformers initialises new heads
constexpr std::int64_t kMostClasses = 100000;
constexpr std::string_view kClass = "ForSequenceClassification";

Error unsupported(const Model& encoder, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kUnsupported, .file = encoder.checkpoint->path.string(), .place = "student.classes", .expected = std::move(expected), .found = std::move(found)};
}

// Normal numbers that are the same with every library (Box and Muller).
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : engine_(seed) {}
  float next() {
    const double u = (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53, v = static_cast<double>(engine_() >> 11) * 0x1p-53;
    return kSpread * static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v));
  }

 private:
  std::mt19937_64 engine_;
};

// A checkpoint with tensors of its own beside the encoder's.
struct Extended {
  Checkpoint checkpoint;
  std::vector<std::vector<std::byte>> data;
  std::shared_ptr<const Checkpoint> base;
};

void add_tensor(Extended& out, const std::string& name, const std::vector<std::int64_t>& shape, Normal& normal) {
  std::vector<float> values(static_cast<std::size_t>(shape_elements(shape)));
  const bool norm = shape.size() == 1 && name.ends_with("orm.weight");
  for (float& x : values) x = shape.size() == 2 ? normal.next() : norm ? 1.0f : 0.0f;
  const auto bytes = std::as_bytes(std::span(values));
  out.data.emplace_back(bytes.begin(), bytes.end());
  out.checkpoint.tensors.push_back({.name = name, .shape = shape, .type = TensorType::kF32, .data = out.data.back(), .file = 0, .offset = 0, .coded = nullptr});
}

// "bert." before the tensors of a bare BertModel; nothing where it stands already.
void add_prefix(const std::string& prefix, Checkpoint& checkpoint) {
  const bool there = std::any_of(checkpoint.tensors.begin(), checkpoint.tensors.end(), [&](const TensorEntry& tensor) { return tensor.name.starts_with(prefix); });
  if (there) return;
  for (TensorEntry& tensor : checkpoint.tensors) tensor.name = prefix + tensor.name;
}

Result<std::string> classifier_config(const Model& encoder, const std::string& class_name, std::int64_t classes) {
  ordered_json config = ordered_json::parse(encoder.checkpoint->config_json, nullptr, false);
  if (!config.is_object()) return unsupported(encoder, "config.json", "none");
  config["architectures"] = {class_name};
  ordered_json names = ordered_json::object(), numbers = ordered_json::object();
  for (std::int64_t i = 0; i < classes; ++i) {
    names[std::to_string(i)] = fmt::format("LABEL_{}", i);
    numbers[fmt::format("LABEL_{}", i)] = i;
  }
  config["id2label"] = std::move(names);
  config["label2id"] = std::move(numbers);
  config["problem_type"] = "single_label_classification";
  return config.dump(2) + "\n";
}

}  // namespace

std::vector<bool> head_weights(const Graph& graph) {
  std::vector<bool> head(graph.weights.size(), false);
  bool pooled = false;
  for (const Node& node : graph.nodes) {
    pooled = pooled || node.op == Op::kPool;
    for (const WeightId id : {node.weight, node.bias})
      if (pooled && id != kNoWeight) head[static_cast<std::size_t>(id)] = true;
  }
  return head;
}

Result<Model> with_classifier(const Model& encoder, std::int64_t classes, std::uint64_t seed) {
  if (classes < 2 || classes > kMostClasses)
    return Error{.code = ErrorCode::kBadArgument, .place = "student.classes", .expected = fmt::format("2 to {}", kMostClasses), .found = std::to_string(classes)};
  if (encoder.graph.head == HeadKind::kSequenceLabels) return unsupported(encoder, "an encoder without a classifier", "a classifier");
  const auto& names = encoder.architecture->class_names;
  const auto name = std::find_if(names.begin(), names.end(), [](const std::string& one) { return one.ends_with(kClass); });
  if (encoder.checkpoint->format == CheckpointFormat::kGguf || encoder.graph.causal || name == names.end())
    return unsupported(encoder, "an encoder in a folder whose architecture has a class for it", encoder.config.architecture);

  auto extended = std::make_shared<Extended>();
  extended->checkpoint = *encoder.checkpoint;
  extended->base = encoder.checkpoint;
  Checkpoint& checkpoint = extended->checkpoint;
  RETORT_TRY(checkpoint.config_json, classifier_config(encoder, *name, classes));
  add_prefix(encoder.config.architecture + ".", checkpoint);
  Normal normal(seed);
  auto config = encoder.architecture->configure(checkpoint);
  if (!config.ok() && config.error().code == ErrorCode::kMissingPart) {   // it names the last linear, whose rows are the classes
    add_tensor(*extended, config.error().place, {classes, encoder.config.hidden}, normal);
    config = encoder.architecture->configure(checkpoint);
  }
  if (!config.ok()) return std::move(config).error();
  RETORT_TRY(const Graph graph, encoder.architecture->build(*config, checkpoint));
  const std::vector<bool> head = head_weights(graph);
  std::vector<std::string> wanted;
  for (std::size_t id = 0; id < graph.weights.size(); ++id) {
    wanted.push_back(graph.weights[id].source_name);
    if (head[id] && !checkpoint.find(wanted.back())) add_tensor(*extended, wanted.back(), graph.weights[id].shape, normal);
  }
  std::erase_if(checkpoint.tensors, [&](const TensorEntry& tensor) { return std::find(wanted.begin(), wanted.end(), tensor.name) == wanted.end(); });
  return bind_model(std::shared_ptr<const Checkpoint>(extended, &checkpoint));
}

}  // namespace retort::distill
