// What most encoders' tables share, in Hugging Face's names: counts, flags, refusals and heads.
#pragma once

#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/encoder.h"

namespace retort::counts {

inline constexpr CountRow kPositions{{"max_position_embeddings", "context_length"}, &ModelConfig::positions, true};
inline constexpr CountRow kTokenTypes{{"type_vocab_size", "token_type_count"}, &ModelConfig::token_types, false, true};
inline constexpr CountRow kEmbeddingWidth{{"embedding_size", ""}, &ModelConfig::embedding_width, false};

}  // namespace retort::counts

namespace retort::encoders {

inline constexpr std::array kFlags = {flags::kTiedUnlessSaid};
// Cross attention and causal masks compute something else.
inline constexpr std::array kRefused = {ConfigKey{"is_decoder", ""}, ConfigKey{"add_cross_attention", ""}};

}  // namespace retort::encoders

namespace retort::heads {

using What = HeadStep::What;
inline constexpr std::array kClassifier = {HeadStep{What::kDense, "classifier", "cls.output", Dim::kLabels}};
// RoBERTa's, which MPNet took over.
inline constexpr std::array kRobertaMasked = {
    HeadStep{What::kDense, "lm_head.dense", "mlm.dense", Dim::kHidden},
    HeadStep{.what = What::kActivation, .activation = kernels::Activation::kGelu},
    HeadStep{What::kNorm, "lm_head.layer_norm", "mlm.norm", Dim::kHidden},
    HeadStep{.what = What::kVocabulary, .name = "lm_head.decoder", .canonical = "output", .columns = Dim::kHidden, .bias = "lm_head.bias"},
};
inline constexpr std::array kRobertaSequence = {
    HeadStep{What::kDense, "classifier.dense", "cls"},
    HeadStep{.what = What::kActivation, .activation = kernels::Activation::kTanh},
    HeadStep{What::kDense, "classifier.out_proj", "cls.output", Dim::kLabels},
};

}  // namespace retort::heads
