// The cases of cuda_*_cases.h as rows of a Qt test: the same list for the simulated device and for a real one.
#pragma once

#include <QtTest>

#include <functional>

#include "cuda_attention_cases.h"
#include "cuda_choice_cases.h"
#include "cuda_linear_cases.h"
#include "cuda_row_cases.h"

namespace retort::cuda::test {

struct NamedCase {
  std::string name;
  std::function<std::string(Stream&)> run;   // "" or what is wrong
};

// What a row may look like, at every temperature and cut.
inline void add_sample_cases(bool large, std::vector<NamedCase>& cases) {
  const auto add = [&](const std::string& name, const std::vector<float>& x, double temperature, double top_p) {
    cases.push_back({"drawn, " + name + " at " + std::to_string(temperature) + ", " + std::to_string(top_p),
                     [=](Stream& s) { return sample_case(s, x, temperature, top_p); }});
  };
  const auto numbers = [](std::size_t n, float spread) {
    std::vector<float> x = kernels::test::random_floats(n, 9);
    for (float& v : x) v *= spread;
    return x;
  };
  for (const double temperature : {1e-9, 0.3, 1.0, 100.0})
    for (const double top_p : {1e-6, 0.5, 0.95, 1.0}) add(large ? "128256" : "3001", numbers(large ? 128256 : 3001, 8), temperature, top_p);
  for (const std::size_t n : {1u, 31u, 1024u, 17000u}) add(std::to_string(n), numbers(n, 4), 0.7, 0.9);
  // Equal numbers are told apart by their index only; so are those whose shares are.
  std::vector<float> equal(2000, -1.5f), pairs = numbers(900, 3);
  pairs.insert(pairs.end(), pairs.begin(), pairs.end());
  add("equals", equal, 1, 1);
  add("equals", equal, 1e-9, 0.5);
  add("pairs of equals", pairs, 1, 0.8);
  add("numbers with equal shares", {0.0f, 1e-30f, -0.0f, -1e-30f, 5e-31f}, 1, 0.7);
  // What lies far below the greatest, and what is no number.
  add("minus infinities", {-INFINITY, 2, -INFINITY, 1, -3}, 1, 1);
  add("steep", {-3e38f, 3e38f, 1e30f, 3e38f}, 1, 1);
  add("shares about the least", {0, -27.6f, -27.7f, -27.63f, -40, -100}, 1, 1);
  add("a NaN", {1, 2, NAN, 3}, 1, 1);
  add("a greatest that is infinite", {1, INFINITY, 3}, 1, 1);
  add("minus infinities only", {-INFINITY, -INFINITY}, 1, 1);
}

// `large`: shapes that would take the simulated device minutes.
inline std::vector<NamedCase> all_cases(bool large) {
  std::vector<NamedCase> cases;
  for (const TypePair& type : kTypePairs) {
    const std::int64_t block = kernels::traits(type.stored).block_size;
    std::vector<std::int64_t> columns = block == 256 ? std::vector<std::int64_t>{256, 768} : block == 32 ? std::vector<std::int64_t>{32, 96, 544} : std::vector<std::int64_t>{7, 96, 579};
    if (large) columns.push_back(4096);
    const auto add_linear = [&](const LinearShape& shape) {
      cases.push_back({shape_text(type, shape), [=](Stream& s) { return linear_case(s, type, shape); }});
    };
    for (const std::int64_t n : columns)
      for (const std::int64_t tokens : {1, 3, 4, 5, 33}) add_linear({large ? 515 : tokens == 33 ? 65 : 37, n, tokens});
    // Enough columns for several tiles of activations (more than a token), and for warps that share a row.
    const std::int64_t wide = large ? 14336 : 3072;
    add_linear({5, wide, 4});
    add_linear({5, large ? 14336 : 12800, 1});
    // F32 weights know no terms.
    const std::int64_t two = type.type == Type::kF32 ? 0 : columns.back();
    for (const std::int64_t tokens : {5, 65})
      if (two) add_linear({large ? 515 : 37, two, tokens, true});
    std::vector<LinearShape> exact = {{40, 256, 2}, {40, 256, 20}, {130, 256, 140}};
    if (two) exact.insert(exact.end(), {{40, 256, 20, true}, {130, 256, 70, true}});
    for (const LinearShape& shape : exact)
      cases.push_back({"exact " + shape_text(type, shape), [=](Stream& s) { return exact_linear_case(s, type, shape); }});
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
      {"tiles", {4, 2, 64, 30, 70, 110}},
      {"tiles of 128", {2, 1, 128, 50, 33, 90}},
      {"tiles of a prompt", {.heads = 2, .kv_heads = 2, .head_dim = 128, .past = 0, .rows = 65, .context = 65}},
      {"tiles with columns to spare", {.heads = 3, .kv_heads = 1, .head_dim = 80, .past = 7, .rows = 18, .context = 25}},
      {"tiles of heads of 16", {.heads = 2, .kv_heads = 1, .head_dim = 16, .past = 90, .rows = 5, .context = 128}},
      {"tiles with a window", {.heads = 2, .kv_heads = 1, .head_dim = 64, .past = 100, .rows = 80, .context = 180, .window = 9}},
      {"tiles with a window wider than a tile", {.heads = 1, .kv_heads = 1, .head_dim = 128, .past = 60, .rows = 40, .context = 100, .window = 50}},
      {"tiles with a soft cap", {.heads = 2, .kv_heads = 1, .head_dim = 96, .past = 3, .rows = 40, .context = 64, .soft_cap = 0.5f}},
      {"stretches that see nothing", {.heads = 2, .kv_heads = 1, .head_dim = 64, .past = 290, .rows = 1, .context = 600, .window = 60, .split = true}}};
  for (const auto& [name, c] : attention) cases.push_back({std::string("attention, ") + name, [c = c](Stream& s) { return attention_case(s, c); }});
  for (const bool biased : {false, true})
    for (const std::int32_t n : {12, 64})
      cases.push_back({std::string("attention of an encoder") + (biased ? ", biased " : " ") + std::to_string(n), [=](Stream& s) { return encoder_attention_case(s, biased, n, {4, 5}); }});
  // Tiles of rows in which sequences end and begin, and sequences of several tiles.
  for (const std::int32_t n : {32, 128})
    cases.push_back({"attention of an encoder's long and short sequences " + std::to_string(n), [=](Stream& s) { return encoder_attention_case(s, false, n, {1, 70, 2, 40, 17, 1}); }});
  const std::int32_t n = large ? 128256 : 3001;
  const auto numbers = [=] { return kernels::test::random_floats(static_cast<std::size_t>(n), 9); };
  for (const std::int32_t count : {1, 2, 40, 1000}) cases.push_back({"greatest " + std::to_string(count), [=](Stream& s) { return top_case(s, numbers(), count); }});
  cases.push_back({"greatest of equals", [](Stream& s) { return top_case(s, std::vector<float>(2000, -1.5f), 700); }});
  cases.push_back({"greatest with both zeros", [](Stream& s) { return top_case(s, {-0.0f, 0.0f, -1, 0.0f, -0.0f}, 4); }});
  cases.push_back({"greatest of all", [](Stream& s) { return top_case(s, {3, -INFINITY, 7}, 3); }});
  for (const std::int32_t count : {1, 2}) {
    cases.push_back({"greatest above minus infinities", [=](Stream& s) { return top_case(s, {-INFINITY, 2, -INFINITY, 7, 7, 3}, count); }});
    cases.push_back({"greatest of falling numbers", [=](Stream& s) { return top_case(s, {7, 7, 5, -1}, count); }});
  }
  cases.push_back({"greatest with a NaN", [](Stream& s) { return top_case(s, {3, NAN, 7}, 1); }});
  add_sample_cases(large, cases);
  return cases;
}

}  // namespace retort::cuda::test
