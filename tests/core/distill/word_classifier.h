// A tiny ELECTRA classifier of the repository with a WordPiece tokenizer of 96 pieces: special ones, letters, 39 words.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/formats/writers.h"
#include "vectors.h"

namespace retort::vectors {

inline std::string word(int i) { return std::string("w") + static_cast<char>('a' + i / 26) + static_cast<char>('a' + i % 26) + "ord"; }

// `noise` is added to every weight, so that several teachers differ.
inline void write_word_classifier(const std::filesystem::path& folder, float noise = 0) {
  const std::filesystem::path from = std::filesystem::path(RETORT_TEST_DATA) / "models/electra";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(from / "config.json", folder / "config.json");
  const auto source = must(open_safetensors(from / "model.safetensors"));
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& tensor : source->tensors) {
    std::vector<float> own(static_cast<std::size_t>(tensor.elements()));
    tensor.decode_rows(0, tensor.rows(), own.data());
    const auto random = random_floats(own.size(), static_cast<std::uint32_t>(tensors.size()), std::max(noise, 1e-9f));
    for (std::size_t i = 0; i < own.size(); ++i) own[i] += noise > 0 ? random[i] : 0.0f;
    values.push_back(std::move(own));
    tensors.push_back({tensor.name, tensor.shape, TensorType::kF32, [&values, at = values.size() - 1] { return Result<std::span<const std::byte>>(std::as_bytes(std::span(values[at]))); }});
  }
  must(write_safetensors(folder / "model.safetensors", tensors, {}));
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
