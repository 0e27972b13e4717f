// The steps of a tokenizer.json, from their JSON descriptions. `place` is the path of the description.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/text/decoders.h"
#include "core/text/json_value.h"
#include "core/text/normalizers.h"
#include "core/text/post_processors.h"
#include "core/text/pre_tokenizers.h"

namespace retort::text {

// Errors of all: kCorrupt (a member of another form), kUnsupported (an unknown type); both name the member.
Result<NormalizerPtr> normalizer_from_json(const JsonValue& json, const std::string& place);
// `raw_bytes`: the model takes bytes, so a ByteLevel that ends the chain leaves them as they are.
Result<PreTokenizerPtr> pre_tokenizer_from_json(const JsonValue& json, const std::string& place, bool raw_bytes);
// Does the chain end in ByteLevel?
bool ends_in_byte_level(const JsonValue& json);
Result<DecoderPtr> decoder_from_json(const JsonValue& json, const std::string& place);
Result<PostProcessor> post_processor_from_json(const JsonValue& json, const std::string& place);

}  // namespace retort::text
