// `retort forward MODEL --input F.safetensors --output G.safetensors`: the model's plain output, for comparing with others.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/cli/list.h"
#include "core/formats/writers.h"
#include "core/model/backend.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string model, input, output;
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

// The stretch of each row that is text: masks of a decoder may pad at either end, not in between.
Result<std::vector<std::pair<std::int64_t, std::int64_t>>> text_of_rows(const Checkpoint& file, const Numbers& ids) {
  std::vector<std::pair<std::int64_t, std::int64_t>> rows(static_cast<std::size_t>(ids.batch), {0, ids.length});
  const TensorEntry* tensor = file.find("attention_mask");
  if (!tensor) return rows;
  RETORT_TRY(const Numbers mask, read_numbers(file, *tensor));
  if (mask.batch != ids.batch || mask.length != ids.length)
    return Error{.code = ErrorCode::kBadShape, .file = file.path.string(), .place = "attention_mask",
                 .expected = fmt::format("[{}, {}]", ids.batch, ids.length),
                 .found = fmt::format("[{}, {}]", mask.batch, mask.length)};
  for (std::int64_t r = 0; r < ids.batch; ++r) {
    const auto first = mask.values.begin() + r * ids.length, last = first + ids.length;
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

Result<void> refuse_token_types(const Checkpoint& file, const Model& model) {
  const TensorEntry* tensor = file.find("token_type_ids");
  if (!tensor) return {};
  RETORT_TRY(const Numbers types, read_numbers(file, *tensor));
  if (std::all_of(types.values.begin(), types.values.end(), [](std::int64_t t) { return t == 0; })) return {};
  return Error{.code = ErrorCode::kUnsupported, .file = file.path.string(), .place = "token_type_ids",
               .expected = fmt::format("zeros for {}", model.config.architecture), .found = "other types"};
}

struct Outputs {
  std::vector<float> logits, hidden;
};

// Padded positions stay zero. Positions count from the first token of the text, which for rotary attention is the same.
Result<Outputs> forward(Session& session, const Model& model, const Numbers& ids,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& rows, Context& context) {
  const std::size_t hidden = static_cast<std::size_t>(model.config.hidden);
  const std::size_t vocabulary = static_cast<std::size_t>(model.config.vocabulary);
  const std::size_t positions = ids.values.size();
  Outputs out;
  out.logits.resize(positions * vocabulary);
  out.hidden.resize(positions * hidden);
  for (std::int64_t r = 0; r < ids.batch; ++r) {
    const auto [first, last] = rows[static_cast<std::size_t>(r)];
    std::vector<TokenId> tokens;
    for (std::int64_t t = first; t < last; ++t) {
      const std::int64_t id = ids.values[static_cast<std::size_t>(r * ids.length + t)];
      if (id < 0 || id >= model.config.vocabulary)
        return Error{.code = ErrorCode::kBadArgument, .place = fmt::format("input_ids [{}, {}]", r, t),
                     .expected = fmt::format("0 to {}", model.config.vocabulary - 1), .found = std::to_string(id)};
      tokens.push_back(static_cast<TokenId>(id));
    }
    session.rewind(0);
    if (tokens.empty()) continue;
    RETORT_CHECK(session.run(tokens, context.job));
    const std::size_t at = static_cast<std::size_t>(r * ids.length + first);
    const auto states = session.hidden();
    std::copy(states.begin(), states.end(), out.hidden.begin() + static_cast<std::ptrdiff_t>(at * hidden));
    RETORT_CHECK(session.head(states, std::span(out.logits).subspan(at * vocabulary, tokens.size() * vocabulary)));
  }
  return out;
}

TensorToWrite f32_tensor(std::string name, const Numbers& ids, std::int64_t width, const std::vector<float>& values) {
  TensorToWrite tensor;
  tensor.name = std::move(name);
  tensor.shape = {ids.batch, ids.length, width};
  tensor.type = TensorType::kF32;
  tensor.data = [&values] { return Result<std::span<const std::byte>>(std::as_bytes(std::span(values))); };
  return tensor;
}

Result<void> run(const Options& options, Context& context) {
  RETORT_TRY(Model opened, open_model_or_candidate(options.model));
  const auto model = std::make_shared<const Model>(std::move(opened));
  RETORT_TRY(const std::shared_ptr<const Checkpoint> input, open_safetensors(options.input));
  const TensorEntry* tensor = input->find("input_ids");
  if (!tensor) return Error{.code = ErrorCode::kMissingPart, .file = options.input, .place = "input_ids"};
  RETORT_TRY(const Numbers ids, read_numbers(*input, *tensor));
  RETORT_TRY(const auto rows, text_of_rows(*input, ids));
  RETORT_CHECK(refuse_token_types(*input, *model));
  RETORT_TRY(const auto backend, make_backend(options.common.backend, options.common.threads));
  RunOptions wanted;
  wanted.activations = options.common.activations == "q8" ? kernels::Activations::kQ8 : kernels::Activations::kF32;
  wanted.context = ids.length;
  wanted.cache_f16 = false;
  RETORT_TRY(const auto session, backend->compile(model, wanted));
  RETORT_TRY(const Outputs outputs, forward(*session, *model, ids, rows, context));
  const std::vector<TensorToWrite> tensors = {
      f32_tensor("logits", ids, model->config.vocabulary, outputs.logits),
      f32_tensor("last_hidden_state", ids, model->config.hidden, outputs.hidden)};
  return write_safetensors(options.output, tensors, context.job);
}

}  // namespace

void add_forward(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("forward", "Logits and hidden states of given token ids");
  command->add_option("model", options->model, "GGUF file, Hugging Face folder or candidate")->required();
  command->add_option("--input", options->input, "safetensors with input_ids [batch, length] and perhaps attention_mask")
      ->required();
  command->add_option("--output", options->output, "safetensors for logits and last_hidden_state")->required();
  add_compute(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
