// What is trained on: texts as tokens, with labels where there are any, split into training and validation so that no text
// stands on both sides.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/job.h"
#include "core/distill/distill_recipe.h"
#include "core/distill/text_alignment.h"
#include "core/model/model.h"

namespace retort::distill {

// How one model reads: its tokenizer, and the template that makes a conversation a text.
struct TextSide {
  std::shared_ptr<const Tokenizer> tokenizer{};   // null: as the student does
  std::string chat_template{};                    // empty: none
};
TextSide text_side(const Model& model);

// What a teacher with another tokenizer reads instead of an example's ids.
struct TeacherText {
  std::vector<TokenId> ids{};
  std::vector<TextSpan> spans{};      // decoders: stretches of the same text
  std::int64_t prompt = 0;            // as TrainingExample::prompt
};

struct TrainingExample {
  std::vector<TokenId> ids{};
  std::vector<TeacherText> teachers{};  // by teacher; none, or one without ids: it reads `ids`
  std::int64_t label = -1;              // -1: none
  float weight = 1;
  // Decoders:
  std::vector<std::uint8_t> learned{};  // by token: 1 where the loss is taken; empty: everywhere
  std::int64_t prompt = 0;              // so many tokens at the beginning are a prompt; 0: running text
  std::vector<std::pair<std::int32_t, KeptRow>> given{};   // answers of a teacher that stand in the data, by row
  bool sampled = false;                 // made up by the student: its tokens are no labels

  bool learns(std::size_t token) const noexcept { return learned.empty() || learned[token] != 0; }
  bool prompt_only() const noexcept { return prompt > 0 && static_cast<std::size_t>(prompt) == ids.size(); }
};

// What the data is like, for the report.
struct DataReport {
  std::vector<std::int64_t> class_counts{}, validation_class_counts{};   // classifiers
  std::int64_t shortest = 0, median = 0, p95 = 0, longest = 0;           // tokens of the training examples
  double mean = 0;
  std::int64_t tokens = 0, learned_tokens = 0;    // of the training examples; where the loss is taken
  std::int64_t pieces = 0;                        // different pieces in them
  double new_pairs = 0;                           // different pairs of neighbours over all of them: 1 where none repeats
  double covered = 0;                             // of the validation's tokens: those whose piece occurs in the training
  double weight = 0, least_weight = 1, greatest_weight = 1;   // sum and bounds of the examples' weights
  std::int64_t answers = 0, prompts = 0;          // conversations with an answer; prompts without one
  std::int64_t failed = 0;                        // stored responses without an answer (an error, an empty text)
  std::int64_t rejected = 0;                      // second answers of preference pairs, which are not learned
  std::int64_t given = 0;                         // tokens with a teacher's stored probabilities
  std::int64_t aligned = 0;                       // tokens that a teacher with another tokenizer has too
};

struct TrainingData {
  std::vector<TrainingExample> train{}, validation{};
  std::int64_t duplicates = 0;    // texts left out because they stand there already
  std::int64_t truncated = 0;     // examples cut to max_tokens
  DataReport report{};
  Digest digest{};                // of all tokens, labels and weights, in order
};

// Lower-cased (ASCII) with runs of white space as one: texts that are equal so are the same text for the split.
std::string normalized_text(std::string_view text);
// Which side of the split a text is on: by its own digest and the seed, so that it never depends on the other texts.
bool in_validation(std::string_view normalized, std::uint64_t seed, double share);

// Who reads: the student, and the teachers that have other tokenizers.
struct Readers {
  TextSide student{};
  std::vector<TextSide> teachers{};
  bool probabilities = false;       // those that stand in the data are taken as soft targets
};

// Labelled (and unlabelled) texts for a classifier with `classes` classes. Duplicates are left out.
// Errors: kBadData (a label outside the classes, an empty split, a file of another kind), those of read_training_file.
Result<TrainingData> read_labelled(const DataPlan& plan, std::uint64_t seed, const Readers& readers, std::int64_t classes,
                                   const JobContext& job);
// For a decoder: text in chunks of `context` tokens, and conversations (prompts with answers), one example each. Documents
// are split where there are several, else the text's last part is taken; conversations by their prompts.
// Errors: kBadData, kMissingPart (a conversation, and no chat template), those of read_training_file and render_chat.
Result<TrainingData> read_text(const DataPlan& plan, std::uint64_t seed, const Readers& readers, std::int64_t classes, const JobContext& job);

// Fills in report and digest.
void describe_data(TrainingData& data, std::int64_t classes);

// The order of `count` examples in epoch `epoch`: the same for the same seed everywhere.
std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch);

}  // namespace retort::distill
