// The cases of cuda_cases.h as rows of a Qt test: the same list for the simulated device and for a real one.
#pragma once

#include <QtTest>

#include "cuda_cases.h"

namespace retort::cuda::test {

struct NamedCase {
  std::string name;
  std::function<std::string(Stream&)> run;   // "" or what is wrong
};

// `large`: shapes that would take the simulated device minutes.
inline std::vector<NamedCase> all_cases(bool large) {
  std::vector<NamedCase> cases;
  for (const TypePair& type : kTypePairs) {
    const std::int64_t block = kernels::traits(type.stored).block_size;
    std::vector<std::int64_t> columns = block == 256 ? std::vector<std::int64_t>{256, 768} : block == 32 ? std::vector<std::int64_t>{32, 96, 544} : std::vector<std::int64_t>{7, 96, 579};
    if (large) columns.push_back(4096);
    for (const std::int64_t n : columns)
      for (const std::int64_t tokens : {1, 3, 4, 5, 33}) {
        const std::int64_t rows = large ? 515 : tokens == 33 ? 65 : 37;
        cases.push_back({shape_text(type.name, rows, n, tokens), [=](Stream& s) { return linear_case(s, type, rows, n, tokens); }});
      }
    // Enough columns for several tiles of activations (more than a token), and for warps that share a row.
    const std::int64_t wide = large ? 14336 : 3072;
    cases.push_back({shape_text(type.name, 5, wide, 4), [=](Stream& s) { return linear_case(s, type, 5, wide, 4); }});
    cases.push_back({shape_text(type.name, 5, large ? 14336 : 12800, 1), [=](Stream& s) { return linear_case(s, type, 5, large ? 14336 : 12800, 1); }});
    for (const std::int64_t tokens : {2, 20, 140})
      cases.push_back({std::string("exact ") + type.name + " tokens " + std::to_string(tokens),
                       [=](Stream& s) { return exact_linear_case(s, type, tokens == 140 ? 130 : 40, 256, tokens); }});
    cases.push_back({std::string("rows of a table ") + type.name, [=](Stream& s) { return embed_case(s, type); }});
  }
  for (const bool mean : {false, true})
    for (const bool add : {false, true}) {
      const std::string name = std::string(mean ? "layer" : "RMS") + " norm" + (add ? " of a sum" : "");
      for (const std::int32_t width : {1, 33, 576, 1031}) cases.push_back({name + " " + std::to_string(width), [=](Stream& s) { return norm_case(s, mean, add, 1, false, width, 3); }});
      cases.push_back({name + " in groups", [=](Stream& s) { return norm_case(s, mean, add, 4, false, 256, 3); }});
      cases.push_back({name + " in groups with weights of their own", [=](Stream& s) { return norm_case(s, mean, add, 4, true, 256, 3); }});
    }
  cases.push_back({"element-wise", [](Stream& s) { return element_case(s, 131, 5); }});
  cases.push_back({"slice", slice_case});
  cases.push_back({"normalize", [](Stream& s) { return normalize_case(s, 300); }});
  cases.push_back({"pool", pool_case});
  const std::pair<const char*, AttentionCase> attention[] = {
      {"one token", {4, 2, 64, 37, 1, 64}},
      {"first token", {2, 2, 64, 0, 1, 300}},
      {"halves, all of the cache", {6, 2, 96, 0, 9, 9}},
      {"interleaved, f32 cache", {.heads = 4, .kv_heads = 1, .head_dim = 128, .past = 20, .rows = 3, .context = 40, .cache_f16 = false, .interleaved = true}},
      {"part of a head turns", {.heads = 2, .kv_heads = 1, .head_dim = 80, .past = 5, .rows = 2, .context = 30, .half = 16}},
      {"nothing turns", {.heads = 2, .kv_heads = 1, .head_dim = 32, .past = 5, .rows = 2, .context = 30, .half = 0}},
      {"heads of 20", {.heads = 2, .kv_heads = 1, .head_dim = 20, .past = 5, .rows = 2, .context = 30}},
      {"heads of 256", {.heads = 2, .kv_heads = 1, .head_dim = 256, .past = 18, .rows = 2, .context = 30}},
      {"window", {.heads = 2, .kv_heads = 2, .head_dim = 64, .past = 30, .rows = 4, .context = 40, .window = 7}},
      {"soft cap", {.heads = 2, .kv_heads = 2, .head_dim = 64, .past = 3, .rows = 4, .context = 40, .soft_cap = 0.5f}},
      {"stretches", {.heads = 2, .kv_heads = 1, .head_dim = 64, .past = 290, .rows = 2, .context = 600, .split = true}},
      {"stretches that see nothing", {.heads = 2, .kv_heads = 1, .head_dim = 64, .past = 290, .rows = 1, .context = 600, .window = 60, .split = true}}};
  for (const auto& [name, c] : attention) cases.push_back({std::string("attention, ") + name, [c = c](Stream& s) { return attention_case(s, c); }});
  for (const bool biased : {false, true})
    for (const std::int32_t n : {12, 64}) cases.push_back({std::string("attention of an encoder") + (biased ? ", biased " : " ") + std::to_string(n), [=](Stream& s) { return encoder_attention_case(s, biased, n); }});
  const std::int32_t n = large ? 128256 : 3001;
  const auto numbers = [=] { return kernels::test::random_floats(static_cast<std::size_t>(n), 9); };
  for (const std::int32_t count : {1, 2, 40, 1000}) cases.push_back({"greatest " + std::to_string(count), [=](Stream& s) { return top_case(s, numbers(), count); }});
  cases.push_back({"greatest of equals", [](Stream& s) { return top_case(s, std::vector<float>(2000, -1.5f), 700); }});
  cases.push_back({"greatest with both zeros", [](Stream& s) { return top_case(s, {-0.0f, 0.0f, -1, 0.0f, -0.0f}, 4); }});
  cases.push_back({"greatest of all", [](Stream& s) { return top_case(s, {3, -INFINITY, 7}, 3); }});
  cases.push_back({"greatest with a NaN", [](Stream& s) { return top_case(s, {3, NAN, 7}, 1); }});
  return cases;
}

}  // namespace retort::cuda::test
