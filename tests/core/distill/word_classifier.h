// A tiny ELECTRA classifier of the repository with a WordPiece tokenizer of 96 pieces: special ones, letters, 39 words.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "vectors.h"

namespace retort::vectors {

inline std::string word(int i) { return std::string("w") + static_cast<char>('a' + i / 26) + static_cast<char>('a' + i % 26) + "ord"; }

inline void write_word_classifier(const std::filesystem::path& folder) {
  const std::filesystem::path from = std::filesystem::path(RETORT_TEST_DATA) / "models/electra";
  std::filesystem::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"}) std::filesystem::copy_file(from / name, folder / name);
  nlohmann::ordered_json vocabulary;
  for (const char* piece : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) vocabulary[piece] = vocabulary.size();
  for (const char* prefix : {"", "##"})
    for (char c = 'a'; c <= 'z'; ++c) vocabulary[prefix + std::string(1, c)] = vocabulary.size();
  for (int i = 0; i < 39; ++i) vocabulary[word(i)] = vocabulary.size();
  const auto special = [](int id, const char* name) { return nlohmann::ordered_json{{"id", id}, {"content", name}, {"special", true}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}}; };
  const nlohmann::ordered_json tokenizer = {
      {"version", "1.0"}, {"added_tokens", {special(0, "[PAD]"), special(1, "[UNK]"), special(2, "[CLS]"), special(3, "[SEP]"), special(4, "[MASK]")}},
      {"normalizer", {{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", true}, {"strip_accents", nullptr}, {"lowercase", true}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}}, {"post_processor", {{"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}}},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}}, {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"continuing_subword_prefix", "##"}, {"max_input_chars_per_word", 100}, {"vocab", vocabulary}}}};
  must(write_text_file(folder / "tokenizer.json", tokenizer.dump()));
}

// `count` texts of words from `first` on, each with one of two labels.
inline void write_labelled_words(const std::filesystem::path& file, int first, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i)   // the first words most often
    lines += nlohmann::json{{"text", word(first + i % 3) + " " + word(first + i % 10) + " " + std::string(1, static_cast<char>('a' + i % 26)) + " " + std::string(1, static_cast<char>('a' + i / 26))}, {"label", i % 2}}.dump() + "\n";
  must(write_text_file(file, lines));
}

}  // namespace retort::vectors
