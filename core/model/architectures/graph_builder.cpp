#include "core/model/architectures/graph_builder.h"

namespace retort {

std::int64_t size_of(const ModelConfig& c, Dim dim) noexcept {
  switch (dim) {
    case Dim::kNone:
    case Dim::kOne: return 1;
    case Dim::kVocabulary: return c.vocabulary;
    case Dim::kPositions: return c.positions;
    case Dim::kHidden: return c.hidden;
    case Dim::kHeads: return c.heads;
    case Dim::kKeyHeads: return c.kv_heads;
    case Dim::kHeadDim: return c.head_dim;
    case Dim::kQuery: return c.heads * c.head_dim;
    case Dim::kKeyValue: return c.kv_heads * c.head_dim;
    case Dim::kQkv: return (c.heads + 2 * c.kv_heads) * c.head_dim;
    case Dim::kFeedForward: return c.feed_forward;
    case Dim::kGateUp: return 2 * c.feed_forward;
    case Dim::kExperts: return c.experts;
    case Dim::kExpertFeedForward: return c.expert_feed_forward;
    case Dim::kSharedFeedForward: return c.shared_feed_forward;
    case Dim::kTypes: return c.token_types;
    case Dim::kEmbeddingWidth: return c.embedding_width > 0 ? c.embedding_width : c.hidden;
    case Dim::kBuckets: return c.relative_buckets;
    case Dim::kLabels: return c.labels;
  }
  return 0;
}

}  // namespace retort
