#include "core/text/added_tokens.h"

#include <algorithm>
#include <deque>

#include "core/text/unicode.h"

namespace retort::text {
namespace {

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return is_word(code_point_at(text, at).value);
}

bool starts_with_word(std::string_view text) { return !text.empty() && is_word(code_point_at(text, 0).value); }

// Where the whitespace at the end of `text` begins, not going below `floor`.
std::size_t trailing_space(std::string_view text, std::size_t floor) {
  std::size_t end = text.size();
  while (end > floor) {
    std::size_t at = end - 1;
    while (at > floor && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    if (!is_whitespace(code_point_at(text, at).value)) break;
    end = at;
  }
  return end;
}

std::size_t leading_space(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const CodePoint c = code_point_at(text, at);
    if (!is_whitespace(c.value)) break;
    at += c.length;
  }
  return at;
}

}  // namespace

std::uint32_t TokenMatcher::child(std::uint32_t node, unsigned char byte) const noexcept {
  const auto& children = nodes_[node].children;
  const auto it = std::lower_bound(children.begin(), children.end(), byte,
                                   [](const auto& c, unsigned char b) { return c.first < b; });
  return it != children.end() && it->first == byte ? it->second : 0;
}

void TokenMatcher::add(std::string_view pattern, std::size_t index) {
  if (pattern.empty()) return;
  std::uint32_t node = 0;
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
      nodes_[next].depth = nodes_[node].depth + 1;
      auto& children = nodes_[node].children;
      children.insert(std::lower_bound(children.begin(), children.end(), byte,
                                       [](const auto& a, unsigned char b) { return a.first < b; }),
                      {byte, next});
    }
    node = next;
  }
  nodes_[node].pattern = static_cast<std::int64_t>(index);
  starts_[static_cast<unsigned char>(pattern[0])] = true;
  ++patterns_;
}

void TokenMatcher::build() {
  std::deque<std::uint32_t> queue;
  for (const auto& [byte, node] : nodes_[0].children) queue.push_back(node);
  while (!queue.empty()) {
    const std::uint32_t node = queue.front();
    queue.pop_front();
    for (const auto& [byte, next] : nodes_[node].children) {
      std::uint32_t fail = nodes_[node].fail;
      while (fail != 0 && child(fail, byte) == 0) fail = nodes_[fail].fail;
      const std::uint32_t target = child(fail, byte);
      nodes_[next].fail = target;
      nodes_[next].suffix = nodes_[target].pattern >= 0 ? target : nodes_[target].suffix;
      queue.push_back(next);
    }
  }
}

void TokenMatcher::find_all(std::string_view text, std::vector<Hit>& out) const {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::uint32_t node = 0;
  Hit best{kNone, 0, 0};
  for (std::size_t i = 0; i <= text.size();) {
    // A found pattern is final once nothing that still may match begins at its place or before.
    const std::size_t begin_of_state = i - nodes_[node].depth;
    if (best.begin != kNone && (i == text.size() || begin_of_state > best.begin || node == 0)) {
      out.push_back(best);
      i = best.end;
      best.begin = kNone;
      node = 0;
      continue;
    }
    if (i == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[i]);
    if (node == 0 && !starts_[byte]) {
      ++i;
      continue;
    }
    const std::uint32_t next = child(node, byte);
    if (next == 0) {
      if (node == 0) ++i;
      else node = nodes_[node].fail;
      continue;
    }
    node = next;
    ++i;
    for (std::uint32_t hit = nodes_[node].pattern >= 0 ? node : nodes_[node].suffix; hit != 0; hit = nodes_[hit].suffix) {
      const std::size_t begin = i - nodes_[hit].depth;
      if (best.begin == kNone || begin < best.begin || (begin == best.begin && i > best.end))
        best = {begin, i, static_cast<std::size_t>(nodes_[hit].pattern)};
      break;  // shorter suffixes begin later
    }
  }
}

void AddedTokens::add(AddedToken token) {
  if (token.content.empty()) return;
  const auto [it, added] = by_content_.emplace(token.content, tokens_.size());
  if (added) {
    by_id_[token.id] = tokens_.size();
    tokens_.push_back(std::move(token));
  } else {
    by_id_[token.id] = it->second;
    tokens_[it->second] = std::move(token);
  }
}

void AddedTokens::build(const Normalizer* normalizer) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens_[i];
    token.written = token.content;
    if (!token.normalized) {
      raw_.add(token.content, i);
      continue;
    }
    NormalText normal{to_valid_utf8(token.content), 0};
    if (normalizer && !token.as_is) normalizer->apply(normal);
    normalized_.add(normal.text, i);
    token.written = std::move(normal.text);
  }
  raw_.build();
  normalized_.build();
}

void AddedTokens::split(std::string_view text, bool normalized, std::vector<Stretch>& out) const {
  const TokenMatcher& matcher = normalized ? normalized_ : raw_;
  std::size_t from = 0;
  if (!matcher.empty()) {
    std::vector<TokenMatcher::Hit> hits;
    matcher.find_all(text, hits);
    for (const TokenMatcher::Hit& hit : hits) {
      const AddedToken& token = tokens_[hit.index];
      std::size_t begin = hit.begin, end = hit.end;
      if (token.single_word && (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) continue;
      // The token before may have swallowed whitespace up to here.
      if (token.lstrip) begin = std::max(from, trailing_space(text.substr(0, begin), std::min(from, begin)));
      if (token.rstrip) end += leading_space(text.substr(end));
      if (from < begin) out.push_back({from, begin, -1});
      out.push_back({begin, end, token.id});
      from = end;
    }
  }
  if (from < text.size()) out.push_back({from, text.size(), -1});
}

const AddedToken* AddedTokens::find(TokenId id) const noexcept {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const noexcept {
  const auto it = by_content_.find(std::string(content));
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

bool AddedTokens::is_special(TokenId id) const noexcept {
  const AddedToken* token = find(id);
  return token != nullptr && token->special;
}

}  // namespace retort::text
