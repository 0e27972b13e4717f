// ALBERT (Lan et al. 2020): BERT with narrow embeddings, whose layers share their weights.
#include "core/model/architectures/encoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace albert {

using What = HeadStep::What;

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden, counts::kLayers, counts::kHeads, counts::kFeedForward,
    counts::kPositions,
    counts::kTokenTypes,
    counts::kEmbeddingWidth,
    CountRow{{"num_hidden_groups", ""}, &ModelConfig::layer_groups, false},
    CountRow{{"inner_group_num", ""}, &ModelConfig::layers_per_group, false},
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "albert.embeddings.word_embeddings", Dim::kVocabulary, Dim::kEmbeddingWidth},
    PartRow{Part::kPositions, "position_embd", "albert.embeddings.position_embeddings", Dim::kPositions, Dim::kEmbeddingWidth},
    PartRow{Part::kTypes, "token_types", "albert.embeddings.token_type_embeddings", Dim::kTypes, Dim::kEmbeddingWidth},
    PartRow{Part::kEmbeddingNorm, "token_embd_norm", "albert.embeddings.LayerNorm", Dim::kEmbeddingWidth, Dim::kNone}.with_bias(),
    PartRow{Part::kEmbeddingProjection, "token_embd_project", "albert.encoder.embedding_hidden_mapping_in", Dim::kHidden,
            Dim::kEmbeddingWidth}.with_bias(),
    PartRow{Part::kQuery, "blk.{}.attn_q", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.attention.query", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kKey, "blk.{}.attn_k", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.attention.key", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kValue, "blk.{}.attn_v", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.attention.value", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.attention.dense", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kPostAttentionNorm, "blk.{}.attn_output_norm", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.attention.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.ffn", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.ffn_output", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.layer_output_norm", "albert.encoder.albert_layer_groups.{}.albert_layers.{}.full_layer_layer_norm", Dim::kHidden, Dim::kNone}.with_bias(),
};

constexpr std::array kMasked = {
    HeadStep{What::kDense, "predictions.dense", "mlm.dense", Dim::kEmbeddingWidth},
    HeadStep{.what = What::kActivation},
    HeadStep{What::kNorm, "predictions.LayerNorm", "mlm.norm", Dim::kEmbeddingWidth},
    HeadStep{.what = What::kVocabulary, .name = "predictions.decoder", .canonical = "output", .columns = Dim::kEmbeddingWidth, .bias = "predictions.bias"},
};
constexpr std::array kSequence = {
    HeadStep{What::kDense, "albert.pooler", "cls"},
    HeadStep{.what = What::kActivation, .activation = kernels::Activation::kTanh},
    HeadStep{What::kDense, "classifier", "cls.output", Dim::kLabels},
};
constexpr std::array kHeads = {
    HeadRow{"AlbertForMaskedLM", HeadKind::kMaskedToken, false, kMasked},
    HeadRow{"AlbertForSequenceClassification", HeadKind::kSequenceLabels, true, kSequence},
    HeadRow{"AlbertForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"AlbertModel", HeadKind::kNone},
    HeadRow{"albert", HeadKind::kNone},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  RETORT_CHECK(check_absolute_positions(source));
  if (config.embedding_width == 0) config.embedding_width = 128;   // the class's own default
  if (config.layer_groups == 0) config.layer_groups = 1;
  config.context = config.positions;
  return {};
}

constexpr EncoderTraits kTraits = {
    .base = {.id = "albert", .counts = kCounts, .parts = kParts, .flags = encoders::kFlags, .refused = encoders::kRefused,
             .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"}, .epsilon_otherwise = 1e-12,
             .activation_otherwise = "gelu_new", .layer_norm = true, .rotary = false, .folder_prefix = "albert.", .adjust = adjust},
    .heads = kHeads};

Result<ModelConfig> configure(const Checkpoint& checkpoint) { return configure_encoder(kTraits, checkpoint); }
Result<Graph> build(const ModelConfig& config, const Checkpoint& checkpoint) {
  return build_encoder(kTraits, config, checkpoint);
}

}  // namespace albert

Architecture albert_architecture() {
  return {"albert", {}, class_names(albert::kTraits), albert::configure, albert::build};
}

}  // namespace retort
