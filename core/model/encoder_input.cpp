#include "core/model/encoder_input.h"

#include <fmt/format.h>

namespace retort {

Result<void> EncoderInput::add(std::span<const TokenId> ids, std::span<const std::int64_t> mask, std::span<const std::int32_t> types) {
  if ((!mask.empty() && mask.size() != ids.size()) || (!types.empty() && types.size() != ids.size()))
    return Error{.code = ErrorCode::kBadArgument, .place = "sequence", .expected = fmt::format("{} mask and type values", ids.size()),
                 .found = fmt::format("{} and {}", mask.size(), types.size())};
  const std::size_t before = tokens_.size();
  std::int64_t counted = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const bool padding = config_.positions_skip_padding && ids[i] == config_.pad_token;
    std::int64_t position = static_cast<std::int64_t>(i) + config_.position_offset;
    if (config_.positions_skip_padding) position = padding ? config_.pad_token : config_.position_offset + counted;
    if (!padding) ++counted;
    if (!mask.empty() && mask[i] == 0) continue;
    tokens_.push_back(ids[i]);
    types_.push_back(types.empty() ? 0 : types[i]);
    positions_.push_back(static_cast<std::int32_t>(position));
  }
  if (tokens_.size() > before) lengths_.push_back(static_cast<std::int64_t>(tokens_.size() - before));
  return {};
}

void EncoderInput::clear() noexcept {
  tokens_.clear();
  types_.clear();
  positions_.clear();
  lengths_.clear();
}

}  // namespace retort
