// RoBERTa (Liu et al. 2019), XLM-R (Conneau et al. 2020), CamemBERT: BERT with positions that skip padding.
#include "core/model/architectures/encoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace roberta {

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden, counts::kLayers, counts::kHeads, counts::kFeedForward,
    counts::kPositions,
    counts::kTokenTypes,
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "roberta.embeddings.word_embeddings", Dim::kVocabulary, Dim::kHidden},
    PartRow{Part::kPositions, "position_embd", "roberta.embeddings.position_embeddings", Dim::kPositions, Dim::kHidden},
    PartRow{Part::kTypes, "token_types", "roberta.embeddings.token_type_embeddings", Dim::kTypes, Dim::kHidden},
    PartRow{Part::kEmbeddingNorm, "token_embd_norm", "roberta.embeddings.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kQuery, "blk.{}.attn_q", "roberta.encoder.layer.{}.attention.self.query", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kKey, "blk.{}.attn_k", "roberta.encoder.layer.{}.attention.self.key", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kValue, "blk.{}.attn_v", "roberta.encoder.layer.{}.attention.self.value", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "roberta.encoder.layer.{}.attention.output.dense", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kPostAttentionNorm, "blk.{}.attn_output_norm", "roberta.encoder.layer.{}.attention.output.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "roberta.encoder.layer.{}.intermediate.dense", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "roberta.encoder.layer.{}.output.dense", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.layer_output_norm", "roberta.encoder.layer.{}.output.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
};

constexpr std::array kHeads = {
    HeadRow{"RobertaForMaskedLM", HeadKind::kMaskedToken, false, heads::kRobertaMasked},
    HeadRow{"RobertaForSequenceClassification", HeadKind::kSequenceLabels, true, heads::kRobertaSequence},
    HeadRow{"RobertaForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"RobertaModel", HeadKind::kNone},
    HeadRow{"XLMRobertaForMaskedLM", HeadKind::kMaskedToken, false, heads::kRobertaMasked},
    HeadRow{"XLMRobertaForSequenceClassification", HeadKind::kSequenceLabels, true, heads::kRobertaSequence},
    HeadRow{"XLMRobertaForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"XLMRobertaModel", HeadKind::kNone},
    HeadRow{"CamembertForMaskedLM", HeadKind::kMaskedToken, false, heads::kRobertaMasked},
    HeadRow{"CamembertForSequenceClassification", HeadKind::kSequenceLabels, true, heads::kRobertaSequence},
    HeadRow{"CamembertForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"CamembertModel", HeadKind::kNone},
    HeadRow{"roberta", HeadKind::kNone},
    HeadRow{"xlm-roberta", HeadKind::kNone},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  RETORT_CHECK(check_absolute_positions(source));
  // Positions count from the one after the padding's, and padding doesn't count.
  RETORT_CHECK(read_padded_positions(source, config));
  config.context = config.positions;
  return {};
}

constexpr EncoderTraits kTraits = {
    .base = {.id = "roberta", .counts = kCounts, .parts = kParts, .flags = encoders::kFlags, .refused = encoders::kRefused,
             .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"}, .epsilon_otherwise = 1e-5,
             .activation_otherwise = "gelu", .layer_norm = true, .rotary = false, .folder_prefix = "roberta.", .adjust = adjust},
    .heads = kHeads};

Result<ModelConfig> configure(const Checkpoint& checkpoint) { return configure_encoder(kTraits, checkpoint); }
Result<Graph> build(const ModelConfig& config, const Checkpoint& checkpoint) {
  return build_encoder(kTraits, config, checkpoint);
}

}  // namespace roberta

Architecture roberta_architecture() {
  return {"roberta", {}, class_names(roberta::kTraits), roberta::configure, roberta::build};
}

}  // namespace retort
