// `retort forward MODEL --input F.safetensors --output G.safetensors`: the model's plain output, for comparing with others.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <optional>

#include "app/cli/list.h"
#include "app/cli/onnx.h"
#include "core/formats/writers.h"
#include "core/model/backend.h"
#include "core/model/device_backend.h"
#include "core/model/encoder_input.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct ForwardArguments {
  CommonOptions common;
  std::string model, input, output;
  int repeat = 1;
};

// [batch, length] of whole numbers.
struct Numbers {
  std::int64_t batch = 0, length = 0;
  std::vector<std::int64_t> values;
};

Result<Numbers> read_numbers(const Checkpoint& file, const TensorEntry& tensor) {
  const Error bad{.code = ErrorCode::kBadShape, .file = file.path.string(), .place = tensor.name,
                  .expected = "I64 or I32 of shape [batch, length]",
                  .found = fmt::format("{} of shape [{}]", kernels::traits(tensor.type).name, fmt::join(tensor.shape, ", "))};
  if (tensor.shape.size() != 2 || tensor.elements() <= 0) return bad;
  Numbers out{tensor.shape[0], tensor.shape[1], {}};
  const std::size_t n = static_cast<std::size_t>(tensor.elements());
  out.values.resize(n);
  if (tensor.type == TensorType::kI64 && tensor.data.size() == n * 8) {
    std::memcpy(out.values.data(), tensor.data.data(), n * 8);
  } else if (tensor.type == TensorType::kI32 && tensor.data.size() == n * 4) {
    std::vector<std::int32_t> narrow(n);
    std::memcpy(narrow.data(), tensor.data.data(), n * 4);
    std::copy(narrow.begin(), narrow.end(), out.values.begin());
  } else {
    return bad;
  }
  return out;
}

// Numbers beside input_ids, of the same shape; nullopt when the file has none.
Result<std::optional<Numbers>> read_beside(const Checkpoint& file, const char* name, const Numbers& ids) {
  const TensorEntry* tensor = file.find(name);
  if (!tensor) return std::optional<Numbers>{};
  RETORT_TRY(Numbers numbers, read_numbers(file, *tensor));
  if (numbers.batch != ids.batch || numbers.length != ids.length)
    return Error{.code = ErrorCode::kBadShape, .file = file.path.string(), .place = name,
                 .expected = fmt::format("[{}, {}]", ids.batch, ids.length),
                 .found = fmt::format("[{}, {}]", numbers.batch, numbers.length)};
  return std::optional<Numbers>{std::move(numbers)};
}

// The stretch of each row that is text: masks of a decoder may pad at either end, not in between.
Result<std::vector<std::pair<std::int64_t, std::int64_t>>> text_of_rows(const Checkpoint& file, const Numbers& ids,
                                                                        const std::optional<Numbers>& mask) {
  std::vector<std::pair<std::int64_t, std::int64_t>> rows(static_cast<std::size_t>(ids.batch), {0, ids.length});
  if (!mask) return rows;
  for (std::int64_t r = 0; r < ids.batch; ++r) {
    const auto first = mask->values.begin() + r * ids.length, last = first + ids.length;
    const auto begin = std::find_if(first, last, [](std::int64_t m) { return m != 0; });
    const auto end = std::find(begin, last, 0);
    if (std::find_if(end, last, [](std::int64_t m) { return m != 0; }) != last)
      return Error{.code = ErrorCode::kUnsupported, .file = file.path.string(),
                   .place = fmt::format("attention_mask, row {}", r), .expected = "padding at the ends only",
                   .found = "a gap"};
    rows[static_cast<std::size_t>(r)] = {begin - first, end - first};
  }
  return rows;
}

Result<void> refuse_token_types(const Checkpoint& file, const Model& model, const std::optional<Numbers>& types) {
  if (!types || std::all_of(types->values.begin(), types->values.end(), [](std::int64_t t) { return t == 0; })) return {};
  return Error{.code = ErrorCode::kUnsupported, .file = file.path.string(), .place = "token_type_ids",
               .expected = fmt::format("zeros for {}", model.config.architecture), .found = "other types"};
}

struct Outputs {
  std::vector<float> logits, hidden;
};

// Ids outside the vocabulary are an error only where the mask shows them.
Result<TokenId> token_at(const Numbers& ids, std::int64_t row, std::int64_t column, const Model& model) {
  const std::int64_t id = ids.values[static_cast<std::size_t>(row * ids.length + column)];
  if (id >= 0 && id < model.config.vocabulary) return static_cast<TokenId>(id);
  return Error{.code = ErrorCode::kBadArgument, .place = fmt::format("input_ids [{}, {}]", row, column),
               .expected = fmt::format("0 to {}", model.config.vocabulary - 1), .found = std::to_string(id)};
}

// Padded positions stay zero. Positions count from the first token of the text, which for rotary attention is the same.
Result<Outputs> forward(Session& session, const Model& model, const Numbers& ids,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& rows, Context& context) {
  const std::size_t hidden = static_cast<std::size_t>(model.config.hidden);
  const std::size_t outputs = static_cast<std::size_t>(model.graph.outputs());
  const std::size_t positions = ids.values.size();
  Outputs out;
  out.logits.resize(positions * outputs);
  out.hidden.resize(positions * hidden);
  for (std::int64_t r = 0; r < ids.batch; ++r) {
    const auto [first, last] = rows[static_cast<std::size_t>(r)];
    std::vector<TokenId> tokens;
    for (std::int64_t t = first; t < last; ++t) {
      RETORT_TRY(const TokenId id, token_at(ids, r, t, model));
      tokens.push_back(id);
    }
    session.rewind(0);
    if (tokens.empty()) continue;
    RETORT_CHECK(session.run(tokens, context.job));
    const std::size_t at = static_cast<std::size_t>(r * ids.length + first);
    const auto states = session.hidden();
    std::copy(states.begin(), states.end(), out.hidden.begin() + static_cast<std::ptrdiff_t>(at * hidden));
    RETORT_CHECK(session.head(states, std::span(out.logits).subspan(at * outputs, tokens.size() * outputs)));
  }
  return out;
}

// Masked positions, wherever they stand, are seen by nobody and stay zero.
Result<Outputs> encode(Session& session, const Model& model, const Numbers& ids, const std::optional<Numbers>& mask,
                       const std::optional<Numbers>& types, Context& context) {
  const std::size_t hidden = static_cast<std::size_t>(model.config.hidden), width = static_cast<std::size_t>(model.graph.outputs());
  const bool pooled = model.graph.head == HeadKind::kSequenceLabels || model.graph.head == HeadKind::kEmbedding;
  Outputs out;
  out.hidden.resize(ids.values.size() * hidden);
  out.logits.resize((pooled ? static_cast<std::size_t>(ids.batch) : ids.values.size()) * width);
  EncoderInput input(model.config);
  for (std::int64_t r = 0; r < ids.batch; ++r) {
    std::vector<TokenId> tokens(static_cast<std::size_t>(ids.length));
    std::vector<std::int64_t> seen(tokens.size(), 1);
    std::vector<std::int32_t> kinds(tokens.size());
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      const std::size_t at = static_cast<std::size_t>(r * ids.length) + t;
      if (mask) seen[t] = mask->values[at];
      if (seen[t] != 0) {
        RETORT_TRY(tokens[t], token_at(ids, r, static_cast<std::int64_t>(t), model));
      } else {
        tokens[t] = ids.values[at] == model.config.pad_token ? static_cast<TokenId>(model.config.pad_token) : 0;
      }
      if (types) kinds[t] = static_cast<std::int32_t>(std::clamp<std::int64_t>(types->values[at], -1, INT32_MAX));
    }
    input.clear();
    RETORT_CHECK(input.add(tokens, seen, kinds));
    if (input.sequences() == 0) continue;
    RETORT_CHECK(session.encode(input.batch(), context.job));
    const auto states = session.hidden();
    RETORT_TRY(const auto logits, width > 0 ? session.logits(0, pooled ? 1 : input.tokens()) : Result<std::span<const float>>(states.first(0)));
    std::size_t from = 0;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      if (seen[t] == 0) continue;
      const std::size_t at = static_cast<std::size_t>(r * ids.length) + t;
      std::copy_n(states.begin() + static_cast<std::ptrdiff_t>(from * hidden), hidden, out.hidden.begin() + static_cast<std::ptrdiff_t>(at * hidden));
      if (!pooled) std::copy_n(logits.begin() + static_cast<std::ptrdiff_t>(from * width), width, out.logits.begin() + static_cast<std::ptrdiff_t>(at * width));
      ++from;
    }
    if (pooled) std::copy(logits.begin(), logits.end(), out.logits.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(r) * width));
  }
  return out;
}

TensorToWrite f32_tensor(std::string name, std::vector<std::int64_t> shape, const std::vector<float>& values) {
  TensorToWrite tensor;
  tensor.name = std::move(name);
  tensor.shape = std::move(shape);
  tensor.type = TensorType::kF32;
  tensor.data = [&values] { return Result<std::span<const std::byte>>(std::as_bytes(std::span(values))); };
  return tensor;
}

Result<void> run(const ForwardArguments& options, Context& context) {
  if (is_onnx(options.model)) return forward_onnx(options.model, options.input, options.output, options.repeat, options.common, context);
  if (options.repeat != 1 || options.common.json)
    return Error{.code = ErrorCode::kBadArgument, .place = options.model, .expected = "an ONNX graph for --repeat and --json",
                 .found = "a language model", .next_step = "use `retort bench` for its speed"};
  RETORT_TRY(Model opened, open_model_or_candidate(options.model));
  const auto model = std::make_shared<const Model>(std::move(opened));
  RETORT_TRY(const std::shared_ptr<const Checkpoint> input, open_safetensors(options.input));
  const TensorEntry* tensor = input->find("input_ids");
  if (!tensor) return Error{.code = ErrorCode::kMissingPart, .file = options.input, .place = "input_ids"};
  RETORT_TRY(const Numbers ids, read_numbers(*input, *tensor));
  RETORT_TRY(const auto mask, read_beside(*input, "attention_mask", ids));
  RETORT_TRY(const auto types, read_beside(*input, "token_type_ids", ids));
  RETORT_TRY(const auto backend, make_backend(options.common.backend, options.common.threads));
  RunOptions wanted;
  wanted.activations = options.common.activations == "q8" ? kernels::Activations::kQ8 : kernels::Activations::kF32;
  wanted.context = ids.length;
  wanted.cache_f16 = names_device(options.common.backend);   // what devices keep
  RETORT_TRY(const auto session, backend->compile(model, wanted));
  const HeadKind head = model->graph.head;
  const auto computed = [&]() -> Result<Outputs> {
    if (!model->graph.causal) return encode(*session, *model, ids, mask, types, context);
    RETORT_TRY(const auto rows, text_of_rows(*input, ids, mask));
    RETORT_CHECK(refuse_token_types(*input, *model, types));
    return forward(*session, *model, ids, rows, context);
  };
  RETORT_TRY(const Outputs outputs, computed());
  const std::int64_t width = model->graph.outputs();
  const bool pooled = head == HeadKind::kSequenceLabels || head == HeadKind::kEmbedding;
  std::vector<TensorToWrite> tensors = {
      f32_tensor("last_hidden_state", {ids.batch, ids.length, model->config.hidden}, outputs.hidden)};
  if (head != HeadKind::kNone)
    tensors.insert(tensors.begin(), f32_tensor(head == HeadKind::kEmbedding ? "sentence_embedding" : "logits",
                                               pooled ? std::vector{ids.batch, width} : std::vector{ids.batch, ids.length, width},
                                               outputs.logits));
  return write_safetensors(options.output, tensors, context.job);
}

}  // namespace

void add_forward(CLI::App& app, Context& context) {
  auto options = std::make_shared<ForwardArguments>();
  CLI::App* command = app.add_subcommand("forward", "Logits and hidden states of given token ids");
  command->add_option("model", options->model, "GGUF file, Hugging Face folder, candidate or ONNX file")->required();
  command->add_option("--input", options->input, "safetensors with input_ids [batch, length] and perhaps attention_mask and token_type_ids; for ONNX the graph's inputs by name")
      ->required();
  command->add_option("--output", options->output, "safetensors for logits (or sentence_embedding) and last_hidden_state; for ONNX the graph's outputs by name")->required();
  command->add_option("--repeat", options->repeat, "ONNX: run as often")->check(CLI::Range(1, 100000));
  command->add_flag("--json", options->common.json, "ONNX: print the seconds of each run and the memory");
  add_compute(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
