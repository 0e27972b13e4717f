// BERT (Devlin et al. 2019), MiniLM and other BertModels.
#include "core/model/architectures/encoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace bert {

using What = HeadStep::What;

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden, counts::kLayers, counts::kHeads, counts::kFeedForward,
    counts::kPositions,
    counts::kTokenTypes,
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "bert.embeddings.word_embeddings", Dim::kVocabulary, Dim::kHidden},
    PartRow{Part::kPositions, "position_embd", "bert.embeddings.position_embeddings", Dim::kPositions, Dim::kHidden},
    PartRow{Part::kTypes, "token_types", "bert.embeddings.token_type_embeddings", Dim::kTypes, Dim::kHidden},
    PartRow{Part::kEmbeddingNorm, "token_embd_norm", "bert.embeddings.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kQuery, "blk.{}.attn_q", "bert.encoder.layer.{}.attention.self.query", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kKey, "blk.{}.attn_k", "bert.encoder.layer.{}.attention.self.key", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kValue, "blk.{}.attn_v", "bert.encoder.layer.{}.attention.self.value", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "bert.encoder.layer.{}.attention.output.dense", Dim::kHidden, Dim::kHidden}.with_bias(),
    PartRow{Part::kPostAttentionNorm, "blk.{}.attn_output_norm", "bert.encoder.layer.{}.attention.output.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "bert.encoder.layer.{}.intermediate.dense", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "bert.encoder.layer.{}.output.dense", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.layer_output_norm", "bert.encoder.layer.{}.output.LayerNorm", Dim::kHidden, Dim::kNone}.with_bias(),
};

constexpr std::array kMasked = {
    HeadStep{What::kDense, "cls.predictions.transform.dense", "mlm.dense", Dim::kHidden},
    HeadStep{.what = What::kActivation},
    HeadStep{What::kNorm, "cls.predictions.transform.LayerNorm", "mlm.norm", Dim::kHidden},
    HeadStep{.what = What::kVocabulary, .name = "cls.predictions.decoder", .canonical = "output", .columns = Dim::kHidden, .bias = "cls.predictions.bias"},
};
constexpr std::array kSequence = {
    HeadStep{What::kDense, "bert.pooler.dense", "cls"},
    HeadStep{.what = What::kActivation, .activation = kernels::Activation::kTanh},
    HeadStep{What::kDense, "classifier", "cls.output", Dim::kLabels},
};
constexpr std::array kHeads = {
    HeadRow{"BertForMaskedLM", HeadKind::kMaskedToken, false, kMasked},
    HeadRow{"BertForSequenceClassification", HeadKind::kSequenceLabels, true, kSequence},
    HeadRow{"BertForTokenClassification", HeadKind::kTokenLabels, false, heads::kClassifier},
    HeadRow{"BertModel", HeadKind::kNone},
    HeadRow{"bert", HeadKind::kNone},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  RETORT_CHECK(check_absolute_positions(source));
  config.context = config.positions;
  return {};
}

constexpr EncoderTraits kTraits = {
    .base = {.id = "bert", .counts = kCounts, .parts = kParts, .flags = encoders::kFlags, .refused = encoders::kRefused,
             .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"}, .epsilon_otherwise = 1e-12,
             .activation_otherwise = "gelu", .layer_norm = true, .rotary = false, .folder_prefix = "bert.", .adjust = adjust},
    .heads = kHeads};

Result<ModelConfig> configure(const Checkpoint& checkpoint) { return configure_encoder(kTraits, checkpoint); }
Result<Graph> build(const ModelConfig& config, const Checkpoint& checkpoint) {
  return build_encoder(kTraits, config, checkpoint);
}

}  // namespace bert

Architecture bert_architecture() {
  return {"bert", {"bert"}, class_names(bert::kTraits), bert::configure, bert::build};
}

}  // namespace retort
