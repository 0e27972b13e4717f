// Conversations as training examples: written with the student's chat template, the loss on the answers' tokens only. Where a
// teacher has another tokenizer it reads the same conversation in its own template.
#pragma once

#include "core/distill/training_data.h"
#include "core/distill/training_file.h"

namespace retort::distill {

// A conversation in one model's tokens, and which of them are answers.
struct WrittenChat {
  std::vector<TokenId> ids;
  std::vector<std::pair<std::size_t, std::size_t>> answers;   // first token and number of tokens, ascending
  std::size_t prompt = 0;                                      // tokens before the first answer
};

// All answers in one text; nothing when the template writes earlier turns otherwise once there are later ones (it then takes
// one text for each answer). Errors: kMissingPart (messages, and no template), those of render_chat.
Result<std::optional<WrittenChat>> write_chat(const TrainingLine& line, const TextSide& side);
// The text that ends with answer number `answer`.
Result<WrittenChat> write_chat_until(const TrainingLine& line, std::size_t answer, const TextSide& side);

// The examples of a conversation: one, or one for each answer. A prompt without an answer gives one that is all prompt.
class ChatReader {
 public:
  // `probabilities`: stored ones are taken as soft targets. The readers must outlive it.
  ChatReader(const Readers& readers, std::int64_t classes, bool probabilities);
  Result<std::vector<TrainingExample>> read(const TrainingLine& line) const;

 private:
  Result<std::vector<std::vector<WrittenChat>>> write(const TrainingLine& line) const;
  void take_scores(const TrainingLine& line, std::size_t answer, std::size_t first, std::size_t count, TrainingExample& to) const;

  const Readers& readers_;
  std::int64_t classes_;
  std::optional<PieceIndex> pieces_;   // where stored probabilities are wanted
};

}  // namespace retort::distill
