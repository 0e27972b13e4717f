// MPNet (Song et al. 2020): BERT without token types, with a bias on scores by relative position, the same in all layers.
#include "core/model/architectures/encoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace mpnet {

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden, counts::kLayers, counts::kHeads, counts::kFeedForward,
    counts::kPositions,
    CountRow{{"relative_attention_num_buckets", ""}, &ModelConfig::relative_buckets, false},
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "mpnet.embeddings.word_embeddings", Dim::kVocabulary, Dim::kHidden},
    PartRow{Part::kPositions, "position_embd", "mpnet.embeddings.position_embeddings", Dim::kPositions, Dim::kHidden},
    PartRow{Part::kEmbeddingNorm, "token_embd_norm", "mpnet.embeddings.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kRelativeBias, "attn_rel_b", "mpnet.encoder.relative_attention_bias", Dim::kBuckets, Dim::kHeads},
    PartRow{Part::kQuery, "blk.{}.attn_q", "mpnet.encoder.layer.{}.attention.attn.q", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kKey, "blk.{}.attn_k", "mpnet.encoder.layer.{}.attention.attn.k", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kValue, "blk.{}.attn_v", "mpnet.encoder.layer.{}.attention.attn.v", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "mpnet.encoder.layer.{}.attention.attn.o", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kPostAttentionNorm, "blk.{}.attn_output_norm", "mpnet.encoder.layer.{}.attention.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "mpnet.encoder.layer.{}.intermediate.dense", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "mpnet.encoder.layer.{}.output.dense", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.layer_output_norm", "mpnet.encoder.layer.{}.output.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
};

constexpr std::array kHeads = {
    HeadRow{"MPNetForMaskedLM", HeadKind::kMaskedToken, false, heads::kRobertaMasked},
    HeadRow{"MPNetForSequenceClassification", HeadKind::kSequenceLabels, true, heads::kRobertaSequence},
    HeadRow{"MPNetForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"MPNetModel", HeadKind::kNone},
    HeadRow{"mpnet", HeadKind::kNone},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  RETORT_CHECK(check_absolute_positions(source));
  if (config.relative_buckets == 0) config.relative_buckets = 32;   // the class's own default
  // transformers computes with 32 whatever the configuration says.
  if (config.relative_buckets != 32) {
    Error error = source.error({"relative_attention_num_buckets", ""}, "32", std::to_string(config.relative_buckets));
    error.code = ErrorCode::kUnsupported;
    return error;
  }
  // Positions count from the one after the padding's, and padding doesn't count.
  RETORT_CHECK(read_padded_positions(source, config));
  config.context = config.positions;
  return {};
}

constexpr EncoderTraits kTraits = {
    .base = {.id = "mpnet", .counts = kCounts, .parts = kParts, .flags = encoders::kFlags, .refused = encoders::kRefused,
             .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"}, .epsilon_otherwise = 1e-12,
             .activation_otherwise = "gelu", .layer_norm = true, .rotary = false, .folder_prefix = "mpnet.", .adjust = adjust},
    .heads = kHeads};

Result<ModelConfig> configure(const Checkpoint& checkpoint) { return configure_encoder(kTraits, checkpoint); }
Result<Graph> build(const ModelConfig& config, const Checkpoint& checkpoint) {
  return build_encoder(kTraits, config, checkpoint);
}

}  // namespace mpnet

Architecture mpnet_architecture() {
  return {"mpnet", {}, class_names(mpnet::kTraits), mpnet::configure, mpnet::build};
}

}  // namespace retort
