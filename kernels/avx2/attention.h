// Block sizes of attention that its scratch depends on.
#pragma once

#include <cstdint>

namespace retort::kernels::avx2 {

constexpr std::int64_t kAttentionTokens = 48;   // tokens whose scores are held at once
constexpr std::int64_t kAttentionDepth = 128;   // cache positions whose values are decoded at once

}  // namespace retort::kernels::avx2
