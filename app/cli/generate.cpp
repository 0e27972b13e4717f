// `retort generate MODEL --prompt T`: tokens as they come, then time to first token and rate.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "core/formats/json_text.h"
#include "core/model/generate.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct GenerateArguments {
  CommonOptions common;
  std::string model, prompt;
  std::int64_t context = 0;
  bool chat = false, greedy = false;
  GenerateOptions generate;
};

// The prompt's ids: as it stands, or as the one user message of a chat.
Result<std::vector<TokenId>> prompt_ids(const Model& model, const GenerateArguments& options) {
  const Tokenizer& tokenizer = *model.tokenizer;
  if (!options.chat) return tokenizer.encode(options.prompt, true);
  if (model.chat_template.empty())
    return Error{.code = ErrorCode::kMissingPart, .file = options.model, .place = "chat template",
                 .next_step = "leave out --chat"};
  const ChatMessage message{"user", options.prompt};
  const auto piece = [&](std::optional<TokenId> id) { return id ? tokenizer.piece(*id) : std::string{}; };
  RETORT_TRY(const std::string text,
             render_chat(model.chat_template, {&message, 1}, true, piece(tokenizer.bos), piece(tokenizer.eos)));
  return tokenizer.encode(text, false);   // templates write their own special tokens
}

void print_json(const GenerateResult& result, const std::vector<TokenId>& prompt, const std::string& device) {
  nlohmann::json tokens = nlohmann::json::array();
  std::string text;
  for (const GeneratedToken& token : result.tokens) {
    tokens.push_back({{"id", token.id}, {"text", token.text}, {"probability", token.probability},
                      {"seconds", token.seconds}});
    text += token.text;
  }
  const nlohmann::json out = {{"text", text}, {"prompt_ids", prompt}, {"tokens", tokens}, {"ended", result.ended},
                              {"time_to_first_token_seconds", result.time_to_first_token},
                              {"prefill_tokens_per_second", result.prefill_tokens_per_second},
                              {"decode_tokens_per_second", result.decode_tokens_per_second}, {"device", device}};
  fmt::print("{}\n", formats::json_text(out, 2));
}

Result<void> run(GenerateArguments options, Context& context) {
  RETORT_TRY(Model opened, open_model_or_candidate(options.model));
  const auto model = std::make_shared<const Model>(std::move(opened));
  if (!model->tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = options.model, .place = "tokenizer",
                 .next_step = "put tokenizer.json beside the weights"};
  RETORT_TRY(const std::vector<TokenId> prompt, prompt_ids(*model, options));
  RETORT_TRY(const auto backend, make_backend(options.common.backend, options.common.threads));
  RunOptions wanted;
  wanted.activations = options.common.activations == "f32" ? kernels::Activations::kF32 : kernels::Activations::kQ8;
  const std::int64_t needed = static_cast<std::int64_t>(prompt.size()) + options.generate.max_tokens;
  wanted.context = options.context > 0 ? options.context : needed;
  if (needed > wanted.context)
    return Error{.code = ErrorCode::kBadArgument, .place = "--context", .expected = fmt::format("at least {}", needed),
                 .found = std::to_string(wanted.context)};
  RETORT_TRY(const auto session, backend->compile(model, wanted));
  if (options.greedy) options.generate.temperature = 0;
  const bool json = options.common.json;
  const auto show = [json](const GeneratedToken& token) {
    if (json) return true;
    std::fwrite(token.text.data(), 1, token.text.size(), stdout);
    std::fflush(stdout);
    return true;
  };
  RETORT_TRY(const GenerateResult result,
             generate(*session, *model->tokenizer, prompt, options.generate, context.job, show));
  if (json) {
    print_json(result, prompt, backend->device());
    return {};
  }
  fmt::print("\n");
  std::fflush(stdout);
  fmt::print(stderr, "{} prompt tokens, first token after {:.3f} s; {} tokens at {:.1f} tokens/s{} ({})\n", prompt.size(),
             result.time_to_first_token, result.tokens.size(), result.decode_tokens_per_second,
             result.ended ? ", ended by itself" : "", backend->device());
  return {};
}

}  // namespace

void add_generate(CLI::App& app, Context& context) {
  auto options = std::make_shared<GenerateArguments>();
  CLI::App* command = app.add_subcommand("generate", "Go on from a prompt, one token after another");
  command->add_option("model", options->model, "GGUF file, Hugging Face folder or candidate")->required();
  command->add_option("--prompt", options->prompt, "The text to go on from")->required();
  command->add_option("--tokens", options->generate.max_tokens, "Most tokens to generate")->check(CLI::Range(1, 1 << 24));
  auto* greedy = command->add_flag("--greedy", options->greedy, "Always the likeliest token (the default)");
  command->add_option("--temperature", options->generate.temperature, "Sample at this temperature")
      ->check(CLI::Range(0.0, 100.0))->excludes(greedy);
  command->add_option("--top-p", options->generate.top_p, "Sample from the likeliest tokens with this probability together")
      ->check(CLI::Range(1e-6, 1.0));
  command->add_option("--seed", options->generate.seed, "Seed of sampling");
  command->add_flag("--chat", options->chat, "Put the prompt into the model's chat template");
  command->add_option("--context", options->context, "Positions of the cache; default: what is needed")
      ->check(CLI::Range(1, 1 << 24));
  add_compute(*command, options->common);
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
