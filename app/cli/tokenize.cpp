// `retort tokenize`: text to ids and back, with the model's own tokenizer.
#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "core/base/files.h"
#include "core/formats/checkpoint.h"
#include "core/text/tokenizer.h"

namespace retort::cli {
namespace {

using Json = nlohmann::ordered_json;

struct TokenizeArguments {
  CommonOptions common;
  std::string model, text;
  bool has_text = false, decode = false, no_special = false, keep_special = false;
};

// MODEL may be a folder that has only a tokenizer.json, or that file itself.
Result<std::shared_ptr<const Tokenizer>> open_tokenizer(const std::filesystem::path& model) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(model, ignored);
  const std::filesystem::path json = folder ? model / "tokenizer.json" : model;
  if (json.filename() != "tokenizer.json" || (folder && std::filesystem::exists(model / "config.json", ignored))) {
    RETORT_TRY(const auto checkpoint, open_checkpoint(model));
    return load_tokenizer(*checkpoint);
  }
  RETORT_TRY(const std::string text, read_text_file(json));
  std::string config;
  const std::filesystem::path beside = json.parent_path() / "tokenizer_config.json";
  if (std::filesystem::exists(beside, ignored)) {
    RETORT_TRY(config, read_text_file(beside));
  }
  auto tokenizer = tokenizer_from_json(text, config);
  if (!tokenizer.ok()) {
    Error error = std::move(tokenizer).error();
    error.file = json.string();
    return error;
  }
  return tokenizer;
}

Error bad_input(std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadData, .place = std::move(place), .expected = std::move(expected),
               .found = std::move(found)};
}

// "1 2 3", "[1, 2, 3]": whole numbers between whatever separates them.
Result<std::vector<TokenId>> parse_ids(const std::string& text) {
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < text.size();) {
    if (std::string_view(" \t\r\n,[]").find(text[i]) != std::string_view::npos) {
      ++i;
      continue;
    }
    TokenId id = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), id);
    if (error != std::errc() || id < 0) return bad_input("ids", "whole numbers", text.substr(i, 20));
    ids.push_back(id);
    i = static_cast<std::size_t>(end - text.data());
  }
  return ids;
}

// Pieces and texts may hold bytes that are no UTF-8; JSON shows those as U+FFFD. Only ASCII is written: many readers of lines
// also end one at U+2028 or U+0085, which texts contain.
std::string to_text(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

Json described(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, const TokenizeArguments& options) {
  Json pieces = Json::array();
  for (const TokenId id : ids) pieces.push_back(tokenizer.piece(id));
  return {{"ids", ids}, {"decoded", tokenizer.decode(ids, !options.keep_special)}, {"pieces", std::move(pieces)}};
}

void print_table(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, const TokenizeArguments& options) {
  fmt::print("{:>8}  {}\n", "id", "piece");
  for (const TokenId id : ids)
    fmt::print("{:>8}  {}{}\n", id, tokenizer.piece(id), tokenizer.is_special(id) ? "   (special)" : "");
  fmt::print("\n{} tokens ({}, {} in all): {}\n", ids.size(), tokenizer.kind(), tokenizer.size(),
             tokenizer.decode(ids, !options.keep_special));
}

// One JSON value a line in, one object a line out: a string to encode, or a list of ids to decode.
Result<void> run_lines(const Tokenizer& tokenizer, const TokenizeArguments& options, const JobContext& job) {
  std::string line;
  for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
    RETORT_CHECK(job.check());
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json value = Json::parse(line, nullptr, false);
    const std::string place = "line " + std::to_string(number);
    std::vector<TokenId> ids;
    if (value.is_string() && !options.decode) {
      ids = tokenizer.encode(value.get<std::string>(), !options.no_special);
    } else if (value.is_array()) {
      for (const Json& id : value) {
        if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > INT32_MAX)
          return bad_input(place, "a list of ids", line.substr(0, 80));
        ids.push_back(id.get<TokenId>());
      }
    } else {
      return bad_input(place, options.decode ? "a JSON list of ids" : "a JSON string", line.substr(0, 80));
    }
    fmt::print("{}\n", to_text(described(tokenizer, ids, options)));
    std::fflush(stdout);
  }
  return {};
}

Result<void> tokenize(const TokenizeArguments& options, const JobContext& job) {
  RETORT_TRY(const auto tokenizer, open_tokenizer(options.model));
  if (!options.has_text && options.common.json) return run_lines(*tokenizer, options, job);
  std::string text = options.text;
  if (!options.has_text) text.assign(std::istreambuf_iterator<char>(std::cin), {});
  std::vector<TokenId> ids;
  if (options.decode) {
    RETORT_TRY(ids, parse_ids(text));
  } else {
    ids = tokenizer->encode(text, !options.no_special);
  }
  if (options.common.json) fmt::print("{}\n", to_text(described(*tokenizer, ids, options)));
  else if (options.decode) fmt::print("{}\n", tokenizer->decode(ids, !options.keep_special));
  else print_table(*tokenizer, ids, options);
  return {};
}

}  // namespace

void add_tokenize(CLI::App& app, Context& context) {
  auto options = std::make_shared<TokenizeArguments>();
  CLI::App* command = app.add_subcommand("tokenize", "Ids and pieces of a text, or the text of ids");
  command->add_option("MODEL", options->model, "A GGUF file, a model folder, or a folder with only a tokenizer.json")->required();
  CLI::Option* text = command->add_option("TEXT", options->text, "The text, or ids with --decode; without it, standard input");
  command->add_flag("--decode", options->decode, "Read ids, print their text");
  command->add_flag("--no-special", options->no_special, "Leave out the special tokens that the model puts around a text");
  command->add_flag("--keep-special", options->keep_special, "Keep special tokens in decoded text");
  add_json(*command, options->common);
  command->callback([options, text, &context] {
    options->has_text = text->count() > 0;
    finish(context, tokenize(*options, context.job));
  });
}

}  // namespace retort::cli
