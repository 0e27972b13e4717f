// DistilBERT (Sanh et al. 2019): BERT without token types and pooler.
#include "core/model/architectures/encoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace distilbert {

using What = HeadStep::What;

constexpr std::array kCounts = {
    counts::kVocabulary,
    CountRow{{"dim", ""}, &ModelConfig::hidden, true},
    CountRow{{"n_layers", ""}, &ModelConfig::layers, true},
    CountRow{{"n_heads", ""}, &ModelConfig::heads, true},
    CountRow{{"hidden_dim", ""}, &ModelConfig::feed_forward, true},
    CountRow{{"max_position_embeddings", ""}, &ModelConfig::positions, true},
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "distilbert.embeddings.word_embeddings", Dim::kVocabulary, Dim::kHidden},
    PartRow{Part::kPositions, "position_embd", "distilbert.embeddings.position_embeddings", Dim::kPositions, Dim::kHidden},
    PartRow{Part::kEmbeddingNorm, "token_embd_norm", "distilbert.embeddings.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kQuery, "blk.{}.attn_q", "distilbert.transformer.layer.{}.attention.q_lin", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kKey, "blk.{}.attn_k", "distilbert.transformer.layer.{}.attention.k_lin", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kValue, "blk.{}.attn_v", "distilbert.transformer.layer.{}.attention.v_lin", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "distilbert.transformer.layer.{}.attention.out_lin", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kPostAttentionNorm, "blk.{}.attn_output_norm", "distilbert.transformer.layer.{}.sa_layer_norm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "distilbert.transformer.layer.{}.ffn.lin1", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "distilbert.transformer.layer.{}.ffn.lin2", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.layer_output_norm", "distilbert.transformer.layer.{}.output_layer_norm", Dim::kHidden, Dim::kNone}.with_bias(),
};

constexpr std::array kMasked = {
    HeadStep{What::kDense, "vocab_transform", "mlm.dense", Dim::kHidden},
    HeadStep{.what = What::kActivation},
    HeadStep{What::kNorm, "vocab_layer_norm", "mlm.norm", Dim::kHidden},
    HeadStep{.what = What::kVocabulary, .name = "vocab_projector", .canonical = "output", .columns = Dim::kHidden, .bias = "vocab_projector.bias"},
};
constexpr std::array kSequence = {
    HeadStep{What::kDense, "pre_classifier", "cls"},
    HeadStep{.what = What::kActivation, .activation = kernels::Activation::kRelu},
    HeadStep{What::kDense, "classifier", "cls.output", Dim::kLabels},
};
constexpr std::array kHeads = {
    HeadRow{"DistilBertForMaskedLM", HeadKind::kMaskedToken, false, kMasked},
    HeadRow{"DistilBertForSequenceClassification", HeadKind::kSequenceLabels, true, kSequence},
    HeadRow{"DistilBertForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"DistilBertModel", HeadKind::kNone},
    HeadRow{"distilbert", HeadKind::kNone},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  RETORT_CHECK(check_absolute_positions(source));
  config.context = config.positions;
  return {};
}

constexpr EncoderTraits kTraits = {
    .base = {.id = "distilbert", .counts = kCounts, .parts = kParts, .flags = encoders::kFlags, .refused = encoders::kRefused,
             .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"}, .epsilon_otherwise = 1e-12,
             .activation = {"activation", ""},
             .activation_otherwise = "gelu", .layer_norm = true, .rotary = false, .folder_prefix = "distilbert.", .adjust = adjust},
    .heads = kHeads};

Result<ModelConfig> configure(const Checkpoint& checkpoint) { return configure_encoder(kTraits, checkpoint); }
Result<Graph> build(const ModelConfig& config, const Checkpoint& checkpoint) {
  return build_encoder(kTraits, config, checkpoint);
}

}  // namespace distilbert

Architecture distilbert_architecture() {
  return {"distilbert", {}, class_names(distilbert::kTraits), distilbert::configure, distilbert::build};
}

}  // namespace retort
