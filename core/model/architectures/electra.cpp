// ELECTRA (Clark et al. 2020): BERT whose embeddings may be narrower than its layers.
#include "core/model/architectures/encoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace electra {

using What = HeadStep::What;

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden, counts::kLayers, counts::kHeads, counts::kFeedForward,
    counts::kPositions,
    counts::kTokenTypes,
    counts::kEmbeddingWidth,
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "electra.embeddings.word_embeddings", Dim::kVocabulary, Dim::kEmbeddingWidth},
    PartRow{Part::kPositions, "position_embd", "electra.embeddings.position_embeddings", Dim::kPositions, Dim::kEmbeddingWidth},
    PartRow{Part::kTypes, "token_types", "electra.embeddings.token_type_embeddings", Dim::kTypes, Dim::kEmbeddingWidth},
    PartRow{Part::kEmbeddingNorm, "token_embd_norm", "electra.embeddings.LayerNorm", Dim::kEmbeddingWidth, Dim::kNone}.with_bias(),
    PartRow{Part::kEmbeddingProjection, "token_embd_project", "electra.embeddings_project", Dim::kHidden, Dim::kEmbeddingWidth}.with_bias(),
    PartRow{Part::kQuery, "blk.{}.attn_q", "electra.encoder.layer.{}.attention.self.query", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kKey, "blk.{}.attn_k", "electra.encoder.layer.{}.attention.self.key", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kValue, "blk.{}.attn_v", "electra.encoder.layer.{}.attention.self.value", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "electra.encoder.layer.{}.attention.output.dense", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kPostAttentionNorm, "blk.{}.attn_output_norm", "electra.encoder.layer.{}.attention.output.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "electra.encoder.layer.{}.intermediate.dense", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "electra.encoder.layer.{}.output.dense", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.layer_output_norm", "electra.encoder.layer.{}.output.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
};

constexpr std::array kMasked = {
    HeadStep{What::kDense, "generator_predictions.dense", "mlm.dense", Dim::kEmbeddingWidth},
    HeadStep{.what = What::kActivation, .activation = kernels::Activation::kGelu},
    HeadStep{What::kNorm, "generator_predictions.LayerNorm", "mlm.norm", Dim::kEmbeddingWidth},
    HeadStep{.what = What::kVocabulary, .name = "generator_lm_head", .canonical = "output", .columns = Dim::kEmbeddingWidth, .bias = "generator_lm_head.bias"},
};
constexpr std::array kSequence = {
    HeadStep{What::kDense, "classifier.dense", "cls"},
    HeadStep{.what = What::kActivation, .activation = kernels::Activation::kGelu},
    HeadStep{What::kDense, "classifier.out_proj", "cls.output", Dim::kLabels},
};
constexpr std::array kDiscriminator = {
    HeadStep{What::kDense, "discriminator_predictions.dense", "cls"},
    HeadStep{.what = What::kActivation},
    HeadStep{What::kDense, "discriminator_predictions.dense_prediction", "cls.output", Dim::kLabels},
};
constexpr std::array kHeads = {
    HeadRow{"ElectraForMaskedLM", HeadKind::kMaskedToken, false, kMasked},
    HeadRow{"ElectraForSequenceClassification", HeadKind::kSequenceLabels, true, kSequence},
    HeadRow{"ElectraForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"ElectraModel", HeadKind::kNone},
    HeadRow{"ElectraForPreTraining", HeadKind::kTokenLabels, false, kDiscriminator},
    HeadRow{"electra", HeadKind::kNone},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  RETORT_CHECK(check_absolute_positions(source));
  if (config.embedding_width == 0) config.embedding_width = 128;   // the class's own default
  if (config.embedding_width == config.hidden) config.embedding_width = 0;   // no projection then
  config.context = config.positions;
  return {};
}

constexpr EncoderTraits kTraits = {
    .base = {.id = "electra", .counts = kCounts, .parts = kParts, .flags = encoders::kFlags, .refused = encoders::kRefused,
             .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"}, .epsilon_otherwise = 1e-12,
             .activation_otherwise = "gelu", .layer_norm = true, .rotary = false, .folder_prefix = "electra.", .adjust = adjust},
    .heads = kHeads};

Result<ModelConfig> configure(const Checkpoint& checkpoint) { return configure_encoder(kTraits, checkpoint); }
Result<Graph> build(const ModelConfig& config, const Checkpoint& checkpoint) {
  return build_encoder(kTraits, config, checkpoint);
}

}  // namespace electra

Architecture electra_architecture() {
  return {"electra", {}, class_names(electra::kTraits), electra::configure, electra::build};
}

}  // namespace retort
