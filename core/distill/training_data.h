// What is trained on: texts as tokens, with labels where there are any, split into training and validation so that no text
// stands on both sides.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/job.h"
#include "core/distill/distill_recipe.h"
#include "core/model/model.h"

namespace retort::distill {

struct TrainingExample {
  std::vector<TokenId> ids;
  std::vector<TokenId> teacher_ids{};   // where the teacher has another tokenizer; empty: the same
  std::int64_t label = -1;        // -1: none
  float weight = 1;
};

struct TrainingData {
  std::vector<TrainingExample> train, validation;
  std::int64_t duplicates = 0;    // texts left out because they stand there already
  std::int64_t truncated = 0;     // examples cut to max_tokens
  Digest digest;                  // of all tokens and labels, in order
};

// Lower-cased (ASCII) with runs of white space as one: texts that are equal so are the same text for the split.
std::string normalized_text(std::string_view text);
// Which side of the split a text is on: by its own digest and the seed, so that it never depends on the other texts.
bool in_validation(std::string_view normalized, std::uint64_t seed, double share);

// Labelled (and unlabelled) texts for a classifier with `classes` classes. Duplicates are left out.
// Errors: kBadData (a label outside the classes, an empty split, a file of another kind), those of read_data.
Result<TrainingData> read_labelled(const DataPlan& plan, std::uint64_t seed, const Tokenizer& tokenizer, std::int64_t classes,
                                   const JobContext& job);
// Text in chunks of `context` tokens. Documents are split where there are several, else the text's last part is taken.
Result<TrainingData> read_text(const DataPlan& plan, std::uint64_t seed, const Tokenizer& tokenizer, const JobContext& job);

// The order of `count` examples in epoch `epoch`: the same for the same seed everywhere.
std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch);

}  // namespace retort::distill
