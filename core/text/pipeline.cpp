#include "core/text/pipeline.h"

#include <algorithm>

namespace retort::text {

Pipeline::Pipeline(PipelineParts parts) : parts_(std::move(parts)) {
  parts_.added.build(parts_.normalizer.get());
  size_ = parts_.model->vocabulary().id_count();
  for (const AddedToken& token : parts_.added.tokens()) size_ = std::max(size_, static_cast<std::size_t>(token.id) + 1);
}

std::vector<TokenId> Pipeline::encode(std::string_view text, bool add_special) const {
  std::vector<TokenId> ids = encode_text(text);
  return add_special ? parts_.post_processor.single(std::move(ids)) : ids;
}

TokenPair Pipeline::encode_pair(std::string_view first, std::string_view second, bool add_special) const {
  const PostProcessor plain;
  return (add_special ? parts_.post_processor : plain).pair(encode_text(first), encode_text(second));
}

std::vector<TokenId> Pipeline::encode_text(std::string_view text) const {
  std::string mended;
  if (!is_valid_utf8(text)) {
    mended = to_valid_utf8(text);
    text = mended;
  }
  std::vector<TokenId> ids;
  std::vector<Stretch> stretches;
  parts_.added.split(text, false, stretches);
  for (const Stretch& s : stretches) {
    if (s.id >= 0) {
      ids.push_back(s.id);
      continue;
    }
    const std::size_t origin = s.begin == 0 ? code_point_at(text, 0).length : 0;
    encode_stretch({std::string(text.substr(s.begin, s.end - s.begin)), origin}, ids);
  }
  return ids;
}

void Pipeline::encode_stretch(NormalText text, std::vector<TokenId>& out) const {
  if (parts_.normalizer) parts_.normalizer->apply(text);
  std::vector<Stretch> stretches;
  parts_.added.split(text.text, true, stretches);
  if (stretches.size() == 1 && stretches[0].id < 0) return encode_words(std::move(text), out);
  for (const Stretch& s : stretches) {
    if (s.id >= 0) {
      out.push_back(s.id);
      continue;
    }
    const std::size_t origin = text.origin > s.begin ? text.origin - s.begin : 0;
    encode_words({text.text.substr(s.begin, s.end - s.begin), origin}, out);
  }
}

void Pipeline::encode_words(NormalText text, std::vector<TokenId>& out) const {
  if (text.text.empty()) return;
  if (!parts_.pre_tokenizer) return parts_.model->encode_word(text.text, out);
  Pieces pieces;
  pieces.text = std::move(text.text);
  pieces.spans.push_back({0, pieces.text.size(), text.origin});
  parts_.pre_tokenizer->apply(pieces);
  out.reserve(out.size() + pieces.spans.size());
  for (const Span& span : pieces.spans)
    parts_.model->encode_word(std::string_view(pieces.text).substr(span.begin, span.end - span.begin), out);
}

std::string Pipeline::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (const TokenId id : ids) {
    const AddedToken* added = parts_.added.find(id);
    if (added != nullptr) {
      if (!(skip_special && added->special)) pieces.push_back(added->written);
    } else if (parts_.model->vocabulary().has(id)) {
      pieces.emplace_back(parts_.model->vocabulary().piece(id));
    }
  }
  std::string text;
  if (parts_.decoder) {
    parts_.decoder->apply(pieces);
    for (const std::string& piece : pieces) text += piece;
  } else {
    for (std::size_t i = 0; i < pieces.size(); ++i) text += (i > 0 ? " " : "") + pieces[i];
  }
  return is_valid_utf8(text) ? text : to_valid_utf8(text);
}

std::string Pipeline::piece(TokenId id) const {
  if (const AddedToken* added = parts_.added.find(id)) return added->content;
  return std::string(parts_.model->vocabulary().piece(id));
}

std::string Pipeline::piece_bytes(TokenId id) const {
  if (const AddedToken* added = parts_.added.find(id)) return added->content;
  std::string bytes(parts_.model->vocabulary().piece(id));
  if (!bytes.empty() && parts_.decoder) parts_.decoder->apply_bytes(bytes);
  return bytes;
}

std::optional<TokenId> Pipeline::find(std::string_view piece) const {
  if (const AddedToken* added = parts_.added.find(piece)) return added->id;
  return parts_.model->vocabulary().find(piece);
}

void complete_end_of_generation(Tokenizer& tokenizer, const AddedTokens& added) {
  static constexpr std::string_view kNames[] = {
      "</s>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>",
      "<|eot|>", "<|end_of_turn|>", "<|endofturn|>", "<EOT>", "<|return|>", "<|END_OF_TURN_TOKEN|>",
      "<\xEF\xBD\x9C" "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>", "<end_of_utterance>", "[EOT]", "<eos>"};
  std::vector<TokenId>& ids = tokenizer.end_of_generation;
  if (tokenizer.eos) ids.push_back(*tokenizer.eos);
  for (const std::string_view name : kNames)
    if (const AddedToken* token = added.find(name); token != nullptr && token->special) ids.push_back(token->id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace retort::text
