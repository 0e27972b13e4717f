#include "core/text/post_processors.h"

#include <algorithm>

namespace retort::text {
namespace {

TokenPair fill(const std::vector<TemplatePart>& parts, const TokenPair& first, const TokenPair& second) {
  TokenPair out;
  for (const TemplatePart& part : parts) {
    const std::vector<TokenId>& ids = !part.is_text ? part.ids : part.which == 0 ? first.ids : second.ids;
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.type_ids.insert(out.type_ids.end(), ids.size(), part.type_id);
  }
  return out;
}

TemplatePart special(TokenId id, std::int32_t type) { return {.type_id = type, .ids = {id}}; }
TemplatePart text_part(int which, std::int32_t type) { return {.is_text = true, .which = which, .type_id = type, .ids = {}}; }

}  // namespace

std::vector<TokenId> PostProcessor::single(std::vector<TokenId> ids) const {
  for (const Templates& step : steps_) {
    if (step.single.empty()) continue;
    TokenPair text;
    text.ids = std::move(ids);
    ids = fill(step.single, text, {}).ids;
  }
  return ids;
}

TokenPair PostProcessor::pair(std::vector<TokenId> first, std::vector<TokenId> second) const {
  TokenPair a, b;
  a.type_ids.assign(first.size(), 0);
  b.type_ids.assign(second.size(), 1);
  a.ids = std::move(first);
  b.ids = std::move(second);
  // Once two texts are one there is no pair left for a later step.
  for (const Templates& step : steps_)
    if (!step.pair.empty()) return fill(step.pair, a, b);
  a.ids.insert(a.ids.end(), b.ids.begin(), b.ids.end());
  a.type_ids.insert(a.type_ids.end(), b.type_ids.begin(), b.type_ids.end());
  return a;
}

std::vector<TokenId> PostProcessor::before() const {
  constexpr TokenId kMarker = -1;
  std::vector<TokenId> all = single({kMarker});
  all.erase(std::find(all.begin(), all.end(), kMarker), all.end());
  return all;
}

std::vector<TokenId> PostProcessor::after() const {
  constexpr TokenId kMarker = -1;
  const std::vector<TokenId> all = single({kMarker});
  const auto last = std::find(all.rbegin(), all.rend(), kMarker);
  return {last.base(), all.end()};
}

PostProcessor::Templates bert_templates(TokenId cls, TokenId sep) {
  return {.single = {special(cls, 0), text_part(0, 0), special(sep, 0)},
          .pair = {special(cls, 0), text_part(0, 0), special(sep, 0), text_part(1, 1), special(sep, 1)}};
}

PostProcessor::Templates roberta_templates(TokenId cls, TokenId sep) {
  return {.single = {special(cls, 0), text_part(0, 0), special(sep, 0)},
          .pair = {special(cls, 0), text_part(0, 0), special(sep, 0), special(sep, 0), text_part(1, 0), special(sep, 0)}};
}

}  // namespace retort::text
