// Generation: one token after another, greedy or sampled, streamed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/model/backend.h"

namespace retort {

struct GenerateOptions {
  std::int64_t max_tokens = 128;
  double temperature = 0;         // 0: greedy, the lowest id wins ties
  double top_p = 1;
  std::uint64_t seed = 0;
  bool stop_at_end = true;        // end-of-generation tokens end it
};

struct GeneratedToken {
  TokenId id;
  std::string text;               // UTF-8 completed so far by this token; may be empty inside a character
  double probability;             // of this token under the model (temperature 1)
  double seconds;                 // since the start of generation
};

struct GenerateResult {
  std::vector<GeneratedToken> tokens;
  double time_to_first_token = 0;   // seconds, prompt included
  double prefill_tokens_per_second = 0, decode_tokens_per_second = 0;
  bool ended = false;               // by an end token
};

// on_token returns false to stop. Errors: those of Session::run.
Result<GenerateResult> generate(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                                const GenerateOptions& options, const JobContext& job,
                                const std::function<bool(const GeneratedToken&)>& on_token);

}  // namespace retort
