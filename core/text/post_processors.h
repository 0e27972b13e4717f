// Post-processors: which special tokens go around the ids of a text. Const after construction, thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "core/text/tokenizer.h"

namespace retort::text {

// A part of a template: special ids, or the ids of the first (0) or second (1) text.
struct TemplatePart {
  bool is_text = false;
  int which = 0;
  std::int32_t type_id = 0;
  std::vector<TokenId> ids;  // of a special token
};

class PostProcessor {
 public:
  // Empty templates leave the texts as they are. Several processors act one on the result of the other.
  struct Templates {
    std::vector<TemplatePart> single, pair;
  };
  PostProcessor() = default;
  explicit PostProcessor(std::vector<Templates> steps) : steps_(std::move(steps)) {}

  std::vector<TokenId> single(std::vector<TokenId> ids) const;
  TokenPair pair(std::vector<TokenId> first, std::vector<TokenId> second) const;
  // Special ids that the single template puts before and after the text.
  std::vector<TokenId> before() const;
  std::vector<TokenId> after() const;

 private:
  std::vector<Templates> steps_;
};

// [CLS] A [SEP] B [SEP], as BERT; type 1 for B and its end.
PostProcessor::Templates bert_templates(TokenId cls, TokenId sep);
// <s> A </s> </s> B </s>, as RoBERTa; all of type 0.
PostProcessor::Templates roberta_templates(TokenId cls, TokenId sep);

}  // namespace retort::text
