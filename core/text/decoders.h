// Decoders: the steps that turn pieces back into text. Const after construction, thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/text/regex.h"

namespace retort::text {

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Rewrites the whole list; at the end the pieces are joined.
  virtual void apply(std::vector<std::string>& pieces) const = 0;
  // What one piece adds to a text that already has something in it, as bytes that need not be whole characters.
  virtual void apply_bytes(std::string& piece) const = 0;
};
using DecoderPtr = std::unique_ptr<const Decoder>;

DecoderPtr make_byte_level_decoder();
DecoderPtr make_byte_fallback_decoder();
DecoderPtr make_fuse_decoder();
DecoderPtr make_metaspace_decoder(std::string replacement, bool strip_first);
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup);
DecoderPtr make_replace_decoder(Regex pattern, std::string content);
// Removes up to `start` leading and `stop` trailing characters `content` from each piece.
DecoderPtr make_strip_decoder(char32_t content, std::size_t start, std::size_t stop);
DecoderPtr make_bpe_decoder(std::string suffix);
DecoderPtr make_ctc_decoder(std::string pad, std::string delimiter, bool cleanup);
DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> steps);

}  // namespace retort::text
