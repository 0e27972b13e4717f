// JSON out of untrusted files: never throws, limited in depth and size, says where it broke. For .cpp files of formats
// and of whoever reads config.json or tokenizer.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/base/result.h"

namespace retort::formats {

inline constexpr int kJsonMaxDepth = 64;

// `place` names the part for messages ("header", "config.json"). Errors: kCorrupt with the byte where parsing stopped
// (counted from `base`), or a depth above kJsonMaxDepth, or a key that comes twice in the outermost object.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& file, std::string_view place,
                                  std::uint64_t base = 0);

// Never throws: bytes that are no UTF-8 are written as U+FFFD.
template <class Json>
std::string json_text(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace retort::formats
