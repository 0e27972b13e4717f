// The text of a tokenizer.json, with the large tables read straight into their own vectors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/text/json_value.h"
#include "core/text/token_model.h"

namespace retort::text {

struct TokenizerFile {
  JsonValue root;  // everything but model.vocab and model.merges
  bool has_vocab = false;
  bool scored = false;                                       // model.vocab was a list of [piece, score]
  std::vector<std::pair<std::string, std::uint64_t>> vocab;  // piece → id; of a scored one the id is the place
  std::vector<double> scores;                                // one per entry of `vocab` when scored
  std::vector<Merge> merges;
};

// Errors: kCorrupt (no JSON, or a table entry of another form: names key and index).
Result<TokenizerFile> read_tokenizer_file(std::string_view json);

// Typed access to the members of an object; errors name the member by its whole path.
class Fields {
 public:
  Fields(const JsonValue& object, std::string place) : object_(object), place_(std::move(place)) {}
  const std::string& place() const noexcept { return place_; }
  std::string path(std::string_view key) const { return place_ + "." + std::string(key); }
  // Null when absent or JSON null.
  const JsonValue* find(std::string_view key) const noexcept;
  Result<bool> boolean(std::string_view key, bool otherwise) const;
  Result<std::string> string(std::string_view key) const;
  Result<std::string> string(std::string_view key, std::string_view otherwise) const;
  Result<std::uint64_t> number(std::string_view key) const;
  Result<std::uint64_t> number(std::string_view key, std::uint64_t otherwise) const;
  Result<const JsonValue::Array*> array(std::string_view key) const;
  Result<char32_t> character(std::string_view key) const;
  Error wrong(std::string_view key, std::string expected) const;
  Error unsupported(std::string_view key, std::string found) const;

 private:
  const JsonValue& object_;
  std::string place_;
};

}  // namespace retort::text
