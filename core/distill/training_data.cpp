#include "core/distill/training_data.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <unordered_set>

#include <fmt/format.h>

#include "core/distill/conversations.h"
#include "core/distill/training_file.h"

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

void digest_rows(DigestBuilder& builder, const TrainingExample& example) {
  builder.raw(std::as_bytes(std::span(example.learned))).number(static_cast<std::uint64_t>(example.prompt));
  for (const auto& [row, given] : example.given) {
    builder.number(static_cast<std::uint64_t>(row)).raw(std::as_bytes(std::span(given.classes)));
    builder.raw(std::as_bytes(std::span(given.probabilities)));
  }
}

Digest digest_of_data(const TrainingData& data) {
  DigestBuilder builder;
  for (const auto* side : {&data.train, &data.validation}) {
    builder.number(side->size());
    for (const TrainingExample& example : *side) {
      builder.number(static_cast<std::uint64_t>(example.label)).number(example.ids.size());
      builder.raw(std::as_bytes(std::span(example.ids)));
      if (example.weight != 1) builder.text("weight").raw(std::as_bytes(std::span(&example.weight, 1)));
      if (!example.learned.empty() || example.prompt > 0) digest_rows(builder, example);
      for (const TeacherText& text : example.teachers) builder.number(text.ids.size()).raw(std::as_bytes(std::span(text.ids)));
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

Error wrong_line(const std::filesystem::path& path, const TrainingLine& line, std::string expected, std::string found) {
  Error error = bad_data(path, std::move(expected), std::move(found));
  error.place = "line " + std::to_string(line.line);
  return error;
}

// Reads labelled texts one after the other, each text once.
class LabelledReader {
 public:
  LabelledReader(const DataPlan& plan, std::uint64_t seed, const Readers& readers, std::int64_t classes)
      : plan_(plan), seed_(seed), readers_(readers), classes_(classes) {}

  Result<void> add(const std::filesystem::path& path, bool labelled, bool validation_only, const JobContext& job) {
    RETORT_TRY(const TrainingFile file, read_training_file(path));
    std::vector<std::size_t> order(file.lines.size());
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
      const TrainingLine& line = file.lines[order[i]];
      if (line.kind == LineKind::kConversation) return wrong_line(path, line, "text for a classifier", "a conversation");
      if (labelled && line.kind != LineKind::kLabelled) return wrong_line(path, line, "lines with text and label", "a text without label");
      if (labelled && line.label >= classes_) return wrong_line(path, line, fmt::format("labels from 0 to {}", classes_ - 1), fmt::format("label {}", line.label));
      const std::string text = normalized_text(line.text);
      if (!seen_.insert(text).second) {
        ++data_.duplicates;
        continue;
      }
      const bool aside = validation_only || (labelled && plan_.validation.empty() && in_validation(text, seed_, plan_.validation_share));
      (aside ? data_.validation : data_.train).push_back(tokens_of(line, labelled));
      taken += aside ? 0 : 1;
    }
    return {};
  }
  TrainingData finish() && { return std::move(data_); }

 private:
  TrainingExample tokens_of(const TrainingLine& line, bool labelled) {
    TrainingExample out{.ids = cut(readers_.student, line.text, true), .label = labelled ? line.label : -1, .weight = static_cast<float>(line.weight)};
    for (const TextSide& side : readers_.teachers) {
      out.teachers.emplace_back();
      if (side.tokenizer) out.teachers.back().ids = cut(side, line.text, false);
    }
    return out;
  }

  std::vector<TokenId> cut(const TextSide& side, const std::string& text, bool counted) {
    std::vector<TokenId> ids = side.tokenizer->encode(text, true);
    const auto most = static_cast<std::size_t>(plan_.max_tokens);
    if (ids.size() > most) {
      // The last token closes the sequence ([SEP]) where the tokenizer adds one.
      const TokenId last = ids.back();
      ids.resize(most);
      if (side.tokenizer->is_special(last)) ids.back() = last;
      data_.truncated += counted ? 1 : 0;
    }
    return ids;
  }

  const DataPlan& plan_;
  std::uint64_t seed_;
  const Readers& readers_;
  std::int64_t classes_;
  std::unordered_set<std::string> seen_;
  TrainingData data_;
};

// How many tokens a tokenizer puts before a text.
std::size_t tokens_before(const std::vector<TokenId>& with, const std::vector<TokenId>& without) {
  for (std::size_t lead = 0; lead + without.size() <= with.size(); ++lead)
    if (std::equal(without.begin(), without.end(), with.begin() + static_cast<std::ptrdiff_t>(lead))) return lead;
  return 0;
}

// Running text for a decoder, in chunks; documents of the same weight go together.
class TextChunks {
 public:
  TextChunks(const Readers& readers, std::int64_t context, std::vector<TrainingExample>& to) : readers_(readers), context_(context), to_(to) {}

  void add(const std::string& text, double weight) {
    if (!text_.empty() && weight != weight_) flush();
    weight_ = weight;
    text_ += (text_.empty() ? "" : "\n\n") + text;
  }
  bool empty() const noexcept { return text_.empty(); }
  void flush() {
    if (text_.empty()) return;
    const Tokenizer& tokenizer = *readers_.student.tokenizer;
    const std::vector<TokenId> ids = tokenizer.encode(text_, true);
    const std::size_t lead = tokenizer.adds_bos && !ids.empty() && tokenizer.bos && ids.front() == *tokenizer.bos ? 1 : 0;
    const auto size = static_cast<std::size_t>(context_);
    for (std::size_t at = 0; at + 1 < ids.size(); at += size) {
      TrainingExample chunk{.ids = {ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, ids.size()))},
                            .weight = static_cast<float>(weight_)};
      if (chunk.ids.size() < 2) continue;
      for (const TextSide& side : readers_.teachers) chunk.teachers.push_back(teacher_text(chunk.ids, at == 0 ? lead : 0, side));
      to_.push_back(std::move(chunk));
    }
    text_.clear();
  }

 private:
  TeacherText teacher_text(const std::vector<TokenId>& ids, std::size_t lead, const TextSide& side) const {
    TeacherText out;
    if (!side.tokenizer) return out;
    std::string text;
    for (std::size_t t = lead; t < ids.size(); ++t) text += readers_.student.tokenizer->piece_bytes(ids[t]);
    out.ids = side.tokenizer->encode(text, true);
    const std::vector<TokenId> plain = side.tokenizer->encode(text, false);
    const std::size_t theirs = tokens_before(out.ids, plain);
    out.spans.push_back({static_cast<std::int32_t>(lead), static_cast<std::int32_t>(ids.size() - lead), static_cast<std::int32_t>(theirs),
                         static_cast<std::int32_t>(std::min(plain.size(), out.ids.size() - theirs))});
    return out;
  }

  const Readers& readers_;
  std::int64_t context_;
  std::vector<TrainingExample>& to_;
  std::string text_;
  double weight_ = 1;
};

// What a conversation is told apart by: all that stands before its last answer.
std::string prompt_of(const TrainingLine& line) {
  std::string out;
  for (std::size_t i = 0; i < line.messages.size(); ++i)
    if (!(line.messages[i].learned && i + 1 == line.messages.size())) out += line.messages[i].role + ": " + line.messages[i].content + "\n";
  return normalized_text(out);
}

// Text and conversations of a decoder.
class TextReader {
 public:
  TextReader(const DataPlan& plan, std::uint64_t seed, const Readers& readers, std::int64_t classes)
      : plan_(plan), seed_(seed), chats_(readers, classes, readers.probabilities), train_(readers, plan.context, data_.train), validation_(readers, plan.context, data_.validation) {}

  Result<void> add(const std::filesystem::path& path, bool validation_only, const JobContext& job) {
    RETORT_TRY(const TrainingFile file, read_training_file(path));
    data_.report.failed += file.failed;
    const auto documents = std::count_if(file.lines.begin(), file.lines.end(), [](const TrainingLine& line) { return line.kind == LineKind::kText; });
    for (const TrainingLine& line : file.lines) {
      RETORT_CHECK(job.check("reading"));
      if (line.kind == LineKind::kLabelled) return wrong_line(path, line, "text or conversations, for a language model", "a labelled text");
      const bool chat = line.kind == LineKind::kConversation;
      const std::string key = chat ? prompt_of(line) : normalized_text(line.text);
      if (!seen_.insert(chat && line.answered() ? key + normalized_text(line.messages.back().content) : key).second) {
        ++data_.duplicates;
        continue;
      }
      const bool whole = !chat && documents < 20;   // too few documents to split them
      const bool aside = validation_only || (plan_.validation.empty() && !whole && in_validation(key, seed_, plan_.validation_share));
      if (chat) RETORT_CHECK(add_chat(path, line, aside));
      else (aside ? validation_ : train_).add(line.text, line.weight);
    }
    return {};
  }

  Result<TrainingData> finish() && {
    const bool text_set_aside = !validation_.empty();
    const std::size_t chats = data_.train.size();
    train_.flush();
    validation_.flush();
    const std::size_t chunks = data_.train.size() - chats;
    // A text that is too short to be split by documents gives its end.
    if (plan_.validation.empty() && !text_set_aside && plan_.validation_share > 0 && chunks > 1) {
      const auto count = std::clamp<std::size_t>(static_cast<std::size_t>(static_cast<double>(chunks) * plan_.validation_share), 1, chunks - 1);
      const auto from = data_.train.end() - static_cast<std::ptrdiff_t>(count);
      data_.validation.insert(data_.validation.end(), std::make_move_iterator(from), std::make_move_iterator(data_.train.end()));
      data_.train.erase(from, data_.train.end());
    }
    return std::move(data_);
  }

 private:
  Result<void> add_chat(const std::filesystem::path& path, const TrainingLine& line, bool aside) {
    auto read = chats_.read(line);
    if (!read.ok()) {
      Error error = read.error();
      error.file = path.string();
      return error;
    }
    data_.report.rejected += line.rejected ? 1 : 0;
    for (TrainingExample& example : *read) {
      const auto most = static_cast<std::size_t>(plan_.context);
      if (example.ids.size() > most && !shorten(example, most)) {
        ++data_.truncated;
        continue;
      }
      if (example.prompt_only() && aside) continue;   // nothing to validate on
      (example.prompt_only() ? data_.report.prompts : data_.report.answers) += 1;
      (aside ? data_.validation : data_.train).push_back(std::move(example));
    }
    return {};
  }

  // Whether something to learn is left. What a teacher with another tokenizer reads stays whole; it is aligned as far as both go.
  bool shorten(TrainingExample& example, std::size_t most) {
    if (static_cast<std::size_t>(example.prompt) + 1 > most) return false;
    ++data_.truncated;
    example.ids.resize(most);
    example.learned.resize(most);
    for (TeacherText& text : example.teachers) std::erase_if(text.spans, [&](const TextSpan& span) { return static_cast<std::size_t>(span.mine) >= most; });
    std::erase_if(example.given, [&](const auto& given) { return static_cast<std::size_t>(given.first) + 1 >= most; });
    for (TeacherText& text : example.teachers)
      for (TextSpan& span : text.spans) span.my_count = std::clamp(static_cast<std::int32_t>(most) - span.mine, 0, span.my_count);
    return std::find(example.learned.begin(), example.learned.end(), std::uint8_t{1}) != example.learned.end();
  }

  const DataPlan& plan_;
  std::uint64_t seed_;
  ChatReader chats_;
  TrainingData data_;
  TextChunks train_, validation_;
  std::unordered_set<std::string> seen_;
};

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

TextSide text_side(const Model& model) { return {.tokenizer = model.tokenizer, .chat_template = model.chat_template}; }

Result<TrainingData> read_labelled(const DataPlan& plan, std::uint64_t seed, const Readers& readers, std::int64_t classes,
                                   const JobContext& job) {
  LabelledReader reader(plan, seed, readers, classes);
  // Validation first: a text that stands there too is then left out of the training.
  if (!plan.validation.empty()) RETORT_CHECK(reader.add(plan.validation, true, true, job));
  if (!plan.train.empty()) RETORT_CHECK(reader.add(plan.train, true, false, job));
  if (!plan.unlabelled.empty()) RETORT_CHECK(reader.add(plan.unlabelled, false, false, job));
  TrainingData data = std::move(reader).finish();
  RETORT_CHECK(check_split(data, plan));
  describe_data(data, classes);
  return data;
}

Result<TrainingData> read_text(const DataPlan& plan, std::uint64_t seed, const Readers& readers, std::int64_t classes, const JobContext& job) {
  if (plan.most_examples > 0)
    return Error{.code = ErrorCode::kBadRecipe, .place = "data.most_examples", .expected = "0: a language model's text has no examples to count",
                 .found = std::to_string(plan.most_examples), .next_step = "give less text, or fewer steps"};
  TextReader reader(plan, seed, readers, classes);
  if (!plan.validation.empty()) RETORT_CHECK(reader.add(plan.validation, true, job));
  for (const auto& path : {plan.train, plan.unlabelled})
    if (!path.empty()) RETORT_CHECK(reader.add(path, false, job));
  job.report({0, 0, "", "tokenizing"});
  RETORT_TRY(TrainingData data, std::move(reader).finish());
  RETORT_CHECK(check_split(data, plan));
  describe_data(data, 0);
  return data;
}

namespace {

void count_classes(const std::vector<TrainingExample>& examples, std::int64_t classes, std::vector<std::int64_t>& to) {
  to.assign(static_cast<std::size_t>(classes), 0);
  for (const TrainingExample& example : examples)
    if (example.label >= 0 && example.label < classes) ++to[static_cast<std::size_t>(example.label)];
}

}  // namespace

void describe_data(TrainingData& data, std::int64_t classes) {
  DataReport& report = data.report;
  count_classes(data.train, classes, report.class_counts);
  count_classes(data.validation, classes, report.validation_class_counts);
  std::vector<std::int64_t> lengths;
  std::unordered_set<TokenId> pieces;
  std::unordered_set<std::uint64_t> pairs;
  std::int64_t neighbours = 0;
  for (const TrainingExample& example : data.train) {
    lengths.push_back(static_cast<std::int64_t>(example.ids.size()));
    report.tokens += lengths.back();
    for (std::size_t t = 0; t < example.ids.size(); ++t) {
      pieces.insert(example.ids[t]);
      report.learned_tokens += t > 0 && example.learns(t);
      if (t == 0) continue;
      ++neighbours;
      pairs.insert(static_cast<std::uint64_t>(static_cast<std::uint32_t>(example.ids[t - 1])) << 32 | static_cast<std::uint32_t>(example.ids[t]));
    }
    report.given += static_cast<std::int64_t>(example.given.size());
    const double weight = static_cast<double>(example.weight);
    report.weight += weight;
    report.least_weight = lengths.size() == 1 ? weight : std::min(report.least_weight, weight);
    report.greatest_weight = lengths.size() == 1 ? weight : std::max(report.greatest_weight, weight);
  }
  report.pieces = static_cast<std::int64_t>(pieces.size());
  report.new_pairs = neighbours > 0 ? static_cast<double>(pairs.size()) / static_cast<double>(neighbours) : 0;
  std::int64_t seen = 0, total = 0;
  for (const TrainingExample& example : data.validation)
    for (const TokenId id : example.ids) {
      ++total;
      seen += pieces.contains(id);
    }
  report.covered = total > 0 ? static_cast<double>(seen) / static_cast<double>(total) : 0;
  std::sort(lengths.begin(), lengths.end());
  if (!lengths.empty()) {
    report.shortest = lengths.front();
    report.median = lengths[lengths.size() / 2];
    report.p95 = lengths[std::min(lengths.size() - 1, lengths.size() * 95 / 100)];
    report.longest = lengths.back();
    report.mean = static_cast<double>(report.tokens) / static_cast<double>(lengths.size());
  }
  data.digest = digest_of_data(data);
}

std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, seed * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(epoch) + 1);
  return order;
}

}  // namespace retort::distill
