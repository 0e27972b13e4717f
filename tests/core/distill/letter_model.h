// A tiny Llama on disk with random weights and a tokenizer of single letters and digits.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <random>

#include "../model/tiny_model.h"
#include "core/base/files.h"
#include "core/formats/writers.h"
#include "vectors.h"

namespace retort::vectors {

// `edit` may change the weights before they are written.
inline void write_letter_model(const std::filesystem::path& folder, const tiny::Spec& spec, const std::function<void(tiny::Owner&)>& edit = {}) {
  const auto owner = tiny::make(spec);
  if (edit) edit(*owner);
  std::filesystem::create_directories(folder);
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& t : owner->tensors)
    tensors.push_back({t.name, t.shape, t.type, [data = t.data] { return Result<std::span<const std::byte>>(data); }});
  must(write_safetensors(folder / "model.safetensors", tensors, {}));
  must(write_text_file(folder / "config.json", owner->config_json));
  nlohmann::json vocabulary = {{" ", 0}, {"?", 1}};
  for (int i = 0; i < 26; ++i) vocabulary[std::string(1, static_cast<char>('a' + i))] = i + 2;
  for (int i = 0; i < 10; ++i) vocabulary[std::to_string(i)] = i + 28;
  const nlohmann::json tokenizer = {{"version", "1.0"}, {"added_tokens", nlohmann::json::array()}, {"normalizer", nullptr}, {"pre_tokenizer", nullptr},
                                    {"post_processor", nullptr}, {"decoder", nullptr},
                                    {"model", {{"type", "BPE"}, {"unk_token", "?"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}};
  must(write_text_file(folder / "tokenizer.json", tokenizer.dump()));
}

// Words of a small made-up language that those letters spell, a text a line: enough for a tiny model to learn something.
inline std::string made_up_text(std::size_t documents, std::uint32_t seed) {
  std::mt19937 random(seed);
  const std::array<const char*, 6> words = {"abba", "cede", "dad", "fee", "gaga", "hedge"};
  std::string out;
  for (std::size_t d = 0; d < documents; ++d) {
    std::string text;
    for (int i = 0; i < 20; ++i) text += std::string(i == 0 ? "" : " ") + words[random() % words.size()];
    out += nlohmann::json{{"text", text}}.dump() + "\n";
  }
  return out;
}

inline std::string bytes_of(const std::filesystem::path& path) { return must(read_text_file(path)); }

}  // namespace retort::vectors
