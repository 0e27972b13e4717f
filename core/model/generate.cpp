#include "core/model/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "core/model/draws_tokens.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Error bad(std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadArgument, .place = std::move(place), .expected = std::move(expected),
               .found = std::move(found)};
}

Result<void> check_options(std::span<const TokenId> prompt, const GenerateOptions& options) {
  if (prompt.empty()) return bad("prompt", "at least one token", "none");
  if (!(options.temperature >= 0) || options.temperature > 100)
    return bad("temperature", "0 to 100", fmt::format("{}", options.temperature));
  if (!(options.top_p > 0 && options.top_p <= 1)) return bad("top_p", "above 0, at most 1", fmt::format("{}", options.top_p));
  if (options.max_tokens < 0) return bad("tokens", "0 or more", std::to_string(options.max_tokens));
  return {};
}

// Bytes that follow a UTF-8 leading byte; 0 for anything that isn't one.
std::size_t continuation_bytes(unsigned char lead) noexcept {
  if (lead >= 0xc2 && lead < 0xe0) return 1;
  if (lead >= 0xe0 && lead < 0xf0) return 2;
  if (lead >= 0xf0 && lead < 0xf5) return 3;
  return 0;
}

// Takes from the front of `pending` what is complete; a character still being written stays. Bytes that can't be
// UTF-8 come out as U+FFFD.
std::string take_complete(std::string& pending) {
  std::string out;
  std::size_t i = 0;
  while (i < pending.size()) {
    const unsigned char lead = static_cast<unsigned char>(pending[i]);
    const std::size_t more = continuation_bytes(lead);
    std::size_t found = 0;
    while (found < more && i + 1 + found < pending.size() &&
           (static_cast<unsigned char>(pending[i + 1 + found]) & 0xc0) == 0x80)
      ++found;
    if (found < more && i + 1 + found == pending.size()) break;
    if (lead < 0x80 || (more > 0 && found == more))
      out.append(pending, i, 1 + more);
    else
      out += "\xef\xbf\xbd";
    i += 1 + (lead < 0x80 ? 0 : found);
  }
  pending.erase(0, i);
  return out;
}

// The token that follows the row, and how probable it was. `drawing`: the session, where it draws by itself.
Result<Likeliest> choose(Session& session, DrawsTokens* drawing, std::int64_t row, const GenerateOptions& options, Sampler& sampler) {
  if (options.temperature == 0) return session.likeliest(row);
  if (drawing) return drawing->draw(row, {options.temperature, options.top_p, sampler.uniform()});
  RETORT_TRY(const std::span<const float> logits, session.logits(row, 1));
  const TokenId token = sampler.sample(logits, options.temperature, options.top_p);
  if (token < 0) return Likeliest{};
  return Likeliest{token, std::exp(static_cast<double>(logits[static_cast<std::size_t>(token)]) - log_sum_exp(logits))};
}

bool ends(const Tokenizer& tokenizer, TokenId token) {
  return std::find(tokenizer.end_of_generation.begin(), tokenizer.end_of_generation.end(), token) !=
         tokenizer.end_of_generation.end();
}

}  // namespace

Result<GenerateResult> generate(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                                const GenerateOptions& options, const JobContext& job,
                                const std::function<bool(const GeneratedToken&)>& on_token) {
  RETORT_CHECK(check_options(prompt, options));
  auto* const drawing = dynamic_cast<DrawsTokens*>(&session);
  if (drawing && options.temperature > 0) RETORT_CHECK(drawing->can_draw());
  GenerateResult result;
  Sampler sampler(options.seed);
  std::string pending;
  const Clock::time_point start = Clock::now();
  RETORT_CHECK(session.run(prompt, job));
  const double prefill = seconds_since(start);
  std::int64_t row = static_cast<std::int64_t>(prompt.size()) - 1;
  Clock::time_point first = start;
  for (std::int64_t n = 0; n < options.max_tokens; ++n) {
    RETORT_TRY(const Likeliest chosen, choose(session, drawing, row, options, sampler));
    const TokenId token = chosen.token;
    if (token < 0) return Error{.code = ErrorCode::kNonFinite, .place = "logits"};
    if (n == 0) {
      first = Clock::now();
      result.time_to_first_token = seconds_since(start);
    }
    if (options.stop_at_end && ends(tokenizer, token)) {
      result.ended = true;
      break;
    }
    if (!tokenizer.is_special(token)) pending += tokenizer.piece_bytes(token);
    result.tokens.push_back({token, take_complete(pending), chosen.probability, seconds_since(start)});
    if (on_token && !on_token(result.tokens.back())) break;
    if (n + 1 == options.max_tokens) break;
    RETORT_CHECK(session.run({&token, 1}, job));
    row = 0;
  }
  const double decode = std::chrono::duration<double>(Clock::now() - first).count();
  result.prefill_tokens_per_second = prefill > 0 ? static_cast<double>(prompt.size()) / prefill : 0;
  // The first token belongs to the prompt's pass; an end token was computed too, though not given.
  const double decoded = static_cast<double>(result.tokens.size()) - (result.ended ? 0 : 1);
  if (decoded > 0 && decode > 0) result.decode_tokens_per_second = decoded / decode;
  return result;
}

}  // namespace retort
