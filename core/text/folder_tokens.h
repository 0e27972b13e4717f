// What the files around an older tokenizer say of its special tokens.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/text/added_tokens.h"
#include "core/text/json_value.h"
#include "core/text/post_processors.h"

namespace retort::text {

// "<s>" or {"content": "<s>", …}.
std::optional<std::string> content_of(const JsonValue* value);
bool flag_of(const JsonValue& config, std::string_view key, bool otherwise);
// added_tokens_decoder of tokenizer_config.json ({"32000": {"content": …}}), then added_tokens.json ({"<pad>": 32000}).
// Errors: kCorrupt.
Result<void> add_folder_tokens(const JsonValue& config, std::string_view added_tokens_json, AddedTokens& added);
// before A after, and before A after before B after.
PostProcessor surround(const std::vector<TokenId>& before, const std::vector<TokenId>& after);

}  // namespace retort::text
