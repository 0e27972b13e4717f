#include "core/formats/quantized.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/formats/byte_reader.h"
#include "core/formats/quantized_parts.h"

namespace retort::formats {

using nlohmann::json;

PartTable::PartTable(Checkpoint& checkpoint)
    : checkpoint_(checkpoint), file_(checkpoint.path.string()), gone_(checkpoint.tensors.size()) {
  for (std::size_t i = 0; i < checkpoint.tensors.size(); ++i) places_.emplace(checkpoint.tensors[i].name, i);
}

std::vector<std::string> PartTable::bases(std::string_view suffix) const {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < gone_.size(); ++i) {
    const std::string& name = checkpoint_.tensors[i].name;
    if (!gone_[i] && name.size() > suffix.size() && name.ends_with(suffix))
      found.push_back(name.substr(0, name.size() - suffix.size()));
  }
  return found;
}

const TensorEntry* PartTable::find(const std::string& name) const {
  const auto place = places_.find(name);
  return place == places_.end() || gone_[place->second] ? nullptr : &checkpoint_.tensors[place->second];
}

Result<const TensorEntry*> PartTable::need(const std::string& name) const {
  if (const TensorEntry* tensor = find(name)) return tensor;
  return Error{.code = ErrorCode::kMissingPart, .file = file_, .place = "tensor " + printable(name),
               .next_step = "take a complete copy of the model"};
}

void PartTable::replace(const std::string& base, std::initializer_list<std::string_view> suffixes,
                        std::shared_ptr<CodedTensor> coded, std::int64_t rows, std::int64_t columns) {
  std::optional<std::size_t> place;
  for (const std::string_view suffix : suffixes) {
    const auto part = places_.find(base + std::string(suffix));
    if (part == places_.end() || gone_[part->second]) continue;
    coded->bytes_ += checkpoint_.tensors[part->second].data.size();
    gone_[part->second] = true;
    if (!place) place = part->second;
  }
  if (!place) return;
  TensorEntry& tensor = checkpoint_.tensors[*place];
  gone_[*place] = false;
  tensor.name = base + ".weight";
  tensor.shape = {rows, columns};
  tensor.type = TensorType::kF32;
  tensor.data = {};
  tensor.coded = std::move(coded);
}

void PartTable::drop(const std::string& name) {
  if (const auto place = places_.find(name); place != places_.end()) gone_[place->second] = true;
}

void PartTable::finish() {
  std::vector<TensorEntry> kept;
  kept.reserve(checkpoint_.tensors.size());
  for (std::size_t i = 0; i < gone_.size(); ++i)
    if (!gone_[i]) kept.push_back(std::move(checkpoint_.tensors[i]));
  checkpoint_.tensors = std::move(kept);
  places_.clear();
  gone_.clear();
}

Error PartTable::error(ErrorCode code, const std::string& tensor, std::string expected, std::string found) const {
  return Error{.code = code, .file = file_, .place = "tensor " + printable(tensor), .expected = std::move(expected),
               .found = std::move(found)};
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Result<void> expect_shape(const PartTable& table, const TensorEntry& tensor, const std::vector<std::int64_t>& shape) {
  if (tensor.shape == shape) return {};
  return table.error(ErrorCode::kBadShape, tensor.name, shape_text(shape), shape_text(tensor.shape));
}

Result<void> expect_type(const PartTable& table, const TensorEntry& tensor, std::initializer_list<TensorType> types) {
  if (std::find(types.begin(), types.end(), tensor.type) != types.end()) return {};
  std::vector<std::string_view> names;
  for (const TensorType type : types) names.push_back(kernels::traits(type).name);
  return table.error(ErrorCode::kCorrupt, tensor.name, fmt::format("{}", fmt::join(names, " or ")),
                     std::string(kernels::traits(tensor.type).name));
}

void GroupedTensor::zeros(std::int64_t, std::int64_t, std::int64_t rows, float* out) const noexcept {
  std::fill_n(out, rows, 0.0f);
}

void GroupedTensor::decode(std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns,
                           float* out) const noexcept {
  float scale[kRows], zero[kRows], code[kRows];
  for (std::int64_t r = 0; r < rows; r += kRows) {
    const std::int64_t count = std::min(kRows, rows - r);
    std::int64_t group = -1;
    for (std::int64_t c = 0; c < columns; ++c) {
      if (const std::int64_t now = group_of(first_column + c); now != group) {
        group = now;
        scales(group, first_row + r, count, scale);
        zeros(group, first_row + r, count, zero);
      }
      codes(first_column + c, first_row + r, count, code);
      float* const column = out + r * columns + c;
      // The difference of two small integers is exact: one rounding, that of the product.
      for (std::int64_t i = 0; i < count; ++i) column[i * columns] = scale[i] * (code[i] - zero[i]);
    }
  }
}

Result<void> ColumnGroups::check(const std::string& file) const {
  if (!index) return {};
  for (std::int64_t column = 0; column < index->elements(); ++column) {
    const auto group = static_cast<std::int32_t>(word_at(*index, column));
    if (group < 0 || group >= count)
      return Error{.code = ErrorCode::kCorrupt, .file = file, .place = "tensor " + printable(index->name),
                   .expected = fmt::format("groups from 0 to {}", count - 1), .found = std::to_string(group)};
  }
  return {};
}

std::int64_t number_of(const json& config, const char* key, std::int64_t otherwise) {
  const auto found = config.find(key);
  return found != config.end() ? bounded(*found, otherwise) : otherwise;
}

std::int64_t bounded(const json& value, std::int64_t otherwise) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 31;   // beyond any size, and sums of a few stay within 64 bits
  return value.is_number_integer() ? std::clamp(value.get<std::int64_t>(), -kLargest, kLargest) : otherwise;
}

std::string text_of(const json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Error unsupported_scheme(const PartTable& table, std::string method, std::string found, std::string expected) {
  return Error{.code = ErrorCode::kUnsupported, .file = table.file(), .place = "quantization_config, " + std::move(method),
               .expected = std::move(expected), .found = printable(found),
               .next_step = "take the unquantized model, or another quantization of it (GPTQ, AWQ, GGUF)"};
}

namespace {

struct Method {
  std::string_view name;
  Result<void> (*assemble)(const json& config, PartTable& table);
};
// A new method is one function and one line here.
constexpr std::array kMethods = {
    Method{"gptq", &assemble_gptq},
    Method{"awq", &assemble_awq},
    Method{"compressed-tensors", &assemble_compressed_tensors},
    Method{"bitsandbytes", &assemble_bitsandbytes},
    Method{"fp8", &assemble_fp8},
    Method{"fbgemm_fp8", &assemble_fp8},
};

// The object, from wherever the folder states it; null when nowhere.
Result<json> find_config(const Checkpoint& checkpoint, const std::string& quantize_config) {
  RETORT_TRY(json config, parse_json(checkpoint.config_json, checkpoint.path.string(), "config.json"));
  for (const char* key : {"quantization_config", "compression_config"})
    if (config.is_object() && config.contains(key) && config[key].is_object()) return std::move(config[key]);
  if (quantize_config.empty()) return json();
  // AutoGPTQ's file from before transformers knew of it; it names no method.
  RETORT_TRY(json older, parse_json(quantize_config, checkpoint.path.string(), "quantize_config.json"));
  if (!older.is_object()) return json();
  if (!older.contains("quant_method")) older["quant_method"] = "gptq";
  return older;
}

std::string method_of(const json& config) {
  std::string method = text_of(config, "quant_method");
  // AutoRound writes the layouts of others, and says which.
  const std::string packing = text_of(config, "packing_format");
  if (method.find("auto-round") != std::string::npos)
    method = packing.find("gptq") != std::string::npos ? "gptq" : packing.find("awq") != std::string::npos ? "awq" : method;
  if (method.empty() && (config.contains("load_in_4bit") || config.contains("load_in_8bit"))) method = "bitsandbytes";
  if (method.empty() && config.contains("config_groups")) method = "compressed-tensors";
  return method;
}

}  // namespace

std::vector<std::string_view> quantization_methods() {
  std::vector<std::string_view> names;
  for (const Method& method : kMethods) names.push_back(method.name);
  return names;
}

Result<void> assemble_quantized(Checkpoint& checkpoint, const std::string& quantize_config) {
  RETORT_TRY(const json config, find_config(checkpoint, quantize_config));
  if (config.is_null()) return {};
  checkpoint.quantization_method = method_of(config);
  PartTable table(checkpoint);
  const auto method = std::find_if(kMethods.begin(), kMethods.end(),
                                   [&](const Method& m) { return m.name == checkpoint.quantization_method; });
  auto assembled = method != kMethods.end()
                       ? method->assemble(config, table)
                       : Result<void>(unsupported_scheme(table, "quant_method", checkpoint.quantization_method,
                                                         fmt::format("one of {}", fmt::join(quantization_methods(), ", "))));
  if (!assembled.ok() && assembled.error().code != ErrorCode::kUnsupported) return assembled;
  if (!assembled.ok()) checkpoint.quantization_problem = std::make_shared<const Error>(assembled.error());
  table.finish();
  return {};
}

}  // namespace retort::formats
