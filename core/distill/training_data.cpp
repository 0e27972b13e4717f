#include "core/distill/training_data.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include <fmt/format.h>

#include "core/evaluate/data_set.h"

namespace retort::distill {
namespace {

Error bad_data(const std::filesystem::path& file, std::string expected, std::string found, std::string next = {}) {
  return Error{.code = ErrorCode::kBadData, .file = file.string(), .place = "training data", .expected = std::move(expected),
               .found = std::move(found), .next_step = std::move(next)};
}

// SplitMix64 (Steele et al. 2014): small, and the same everywhere.
std::uint64_t mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void shuffle(std::vector<std::size_t>& order, std::uint64_t seed) {
  std::uint64_t state = seed;
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[mix(state) % i]);
}

Result<DataSet> read_kind(const std::filesystem::path& path, std::initializer_list<DataKind> kinds, const char* wanted) {
  RETORT_TRY(std::vector<DataSet> sets, read_data(path));
  for (const DataKind kind : kinds)
    for (DataSet& set : sets)
      if (set.kind == kind) return std::move(set);
  return bad_data(path, wanted, sets.empty() ? "nothing" : std::string(data_kind_name(sets.front().kind)));
}

Digest digest_of_data(const TrainingData& data) {
  DigestBuilder builder;
  for (const auto* side : {&data.train, &data.validation}) {
    builder.number(side->size());
    for (const TrainingExample& example : *side) {
      builder.number(static_cast<std::uint64_t>(example.label)).number(example.ids.size());
      builder.raw(std::as_bytes(std::span(example.ids)));
    }
  }
  return builder.finish();
}

Result<void> check_split(const TrainingData& data, const DataPlan& plan) {
  const std::filesystem::path& file = plan.train.empty() ? plan.unlabelled : plan.train;
  if (data.train.empty()) return bad_data(file, "at least one example to train on", "an empty training split");
  const bool wanted = !plan.validation.empty() || plan.validation_share > 0;
  if (wanted && data.validation.empty())
    return bad_data(plan.validation.empty() ? file : plan.validation, "at least one example to validate on", "an empty validation split",
                    "give more text, a greater validation_share, or a validation file");
  return {};
}

// Reads labelled texts one after the other, each text once.
class LabelledReader {
 public:
  LabelledReader(const DataPlan& plan, std::uint64_t seed, const Tokenizer& tokenizer, std::int64_t classes)
      : plan_(plan), seed_(seed), tokenizer_(tokenizer), classes_(classes) {}

  Result<void> add(const std::filesystem::path& path, bool labelled, bool validation_only, const JobContext& job) {
    RETORT_TRY(const DataSet set, labelled ? read_kind(path, {DataKind::kLabelled}, "lines with text and label")
                                           : read_kind(path, {DataKind::kText, DataKind::kLabelled}, "text"));
    std::vector<std::size_t> order(set.examples.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const bool some = labelled && !validation_only && plan_.most_examples > 0;
    if (some) shuffle(order, seed_);   // a different sample for every seed
    std::int64_t taken = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i % 256 == 0) {
        RETORT_CHECK(job.check("reading"));
        job.report({static_cast<double>(i), static_cast<double>(order.size()), "examples", "reading " + path.filename().string()});
      }
      if (some && taken >= plan_.most_examples) break;
      const Example& example = set.examples[order[i]];
      if (labelled && (example.answer < 0 || example.answer >= classes_))
        return bad_data(path, fmt::format("labels from 0 to {}", classes_ - 1), fmt::format("label {} in example {}", example.answer, order[i] + 1));
      const std::string text = normalized_text(example.text);
      if (!seen_.insert(text).second) {
        ++data_.duplicates;
        continue;
      }
      const bool aside = validation_only || (labelled && plan_.validation.empty() && in_validation(text, seed_, plan_.validation_share));
      (aside ? data_.validation : data_.train).push_back(tokens_of(example, labelled));
      taken += aside ? 0 : 1;
    }
    return {};
  }
  TrainingData finish() && { return std::move(data_); }

 private:
  TrainingExample tokens_of(const Example& example, bool labelled) {
    TrainingExample out{.ids = tokenizer_.encode(example.text, true), .label = labelled ? example.answer : -1};
    const auto most = static_cast<std::size_t>(plan_.max_tokens);
    if (out.ids.size() > most) {
      // The last token closes the sequence ([SEP]) where the tokenizer adds one.
      const TokenId last = out.ids.back();
      out.ids.resize(most);
      if (tokenizer_.is_special(last)) out.ids.back() = last;
      ++data_.truncated;
    }
    return out;
  }

  const DataPlan& plan_;
  std::uint64_t seed_;
  const Tokenizer& tokenizer_;
  std::int64_t classes_;
  std::unordered_set<std::string> seen_;
  TrainingData data_;
};

void add_chunks(const std::string& text, const Tokenizer& tokenizer, std::int64_t context, std::vector<TrainingExample>& to) {
  const std::vector<TokenId> ids = tokenizer.encode(text, true);
  const auto size = static_cast<std::size_t>(context);
  for (std::size_t at = 0; at + 1 < ids.size(); at += size)
    to.push_back({.ids = {ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, ids.size()))}});
  if (!to.empty() && to.back().ids.size() < 2) to.pop_back();
}

}  // namespace

std::string normalized_text(std::string_view text) {
  std::string out;
  bool space = false;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      space = !out.empty();
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

bool in_validation(std::string_view normalized, std::uint64_t seed, double share) {
  if (share <= 0) return false;
  DigestBuilder builder;
  const Digest digest = builder.number(seed).text(normalized).finish();
  std::uint32_t head = 0;
  for (std::size_t i = 0; i < 4; ++i) head = head << 8 | digest.bytes[i];
  return static_cast<double>(head) < share * 4294967296.0;
}

Result<TrainingData> read_labelled(const DataPlan& plan, std::uint64_t seed, const Tokenizer& tokenizer, std::int64_t classes,
                                   const JobContext& job) {
  LabelledReader reader(plan, seed, tokenizer, classes);
  // Validation first: a text that stands there too is then left out of the training.
  if (!plan.validation.empty()) RETORT_CHECK(reader.add(plan.validation, true, true, job));
  if (!plan.train.empty()) RETORT_CHECK(reader.add(plan.train, true, false, job));
  if (!plan.unlabelled.empty()) RETORT_CHECK(reader.add(plan.unlabelled, false, false, job));
  TrainingData data = std::move(reader).finish();
  RETORT_CHECK(check_split(data, plan));
  data.digest = digest_of_data(data);
  return data;
}

Result<TrainingData> read_text(const DataPlan& plan, std::uint64_t seed, const Tokenizer& tokenizer, const JobContext& job) {
  if (plan.most_examples > 0)
    return Error{.code = ErrorCode::kBadRecipe, .place = "data.most_examples", .expected = "0: running text has no examples to count",
                 .found = std::to_string(plan.most_examples), .next_step = "give less text, or fewer steps"};
  TrainingData data;
  std::string train, validation;
  std::unordered_set<std::string> seen;
  const auto append = [](std::string& to, const std::string& text) { to += (to.empty() ? "" : "\n\n") + text; };
  if (!plan.validation.empty()) {
    RETORT_TRY(const DataSet set, read_kind(plan.validation, {DataKind::kText}, "text"));
    for (const Example& example : set.examples)
      if (seen.insert(normalized_text(example.text)).second) append(validation, example.text);
  }
  for (const auto& path : {plan.train, plan.unlabelled}) {
    if (path.empty()) continue;
    RETORT_TRY(const DataSet set, read_kind(path, {DataKind::kText}, "text"));
    const bool whole = set.examples.size() < 20;   // too few documents to split them
    for (const Example& example : set.examples) {
      RETORT_CHECK(job.check("reading"));
      const std::string text = normalized_text(example.text);
      if (!seen.insert(text).second) {
        ++data.duplicates;
        continue;
      }
      const bool aside = plan.validation.empty() && !whole && in_validation(text, seed, plan.validation_share);
      append(aside ? validation : train, example.text);
    }
  }
  job.report({0, 0, "", "tokenizing"});
  add_chunks(train, tokenizer, plan.context, data.train);
  if (!validation.empty()) {
    add_chunks(validation, tokenizer, plan.context, data.validation);
  } else if (plan.validation_share > 0 && data.train.size() > 1) {
    const auto count = std::clamp<std::size_t>(static_cast<std::size_t>(static_cast<double>(data.train.size()) * plan.validation_share), 1, data.train.size() - 1);
    data.validation.assign(data.train.end() - static_cast<std::ptrdiff_t>(count), data.train.end());
    data.train.resize(data.train.size() - count);
  }
  RETORT_CHECK(check_split(data, plan));
  data.digest = digest_of_data(data);
  return data;
}

std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, seed * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(epoch) + 1);
  return order;
}

}  // namespace retort::distill
