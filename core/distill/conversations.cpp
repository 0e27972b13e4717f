#include "core/distill/conversations.h"

#include <algorithm>
#include <cmath>

namespace retort::distill {
namespace {

bool ends_generation(const Tokenizer& tokenizer, TokenId id) {
  return std::find(tokenizer.end_of_generation.begin(), tokenizer.end_of_generation.end(), id) != tokenizer.end_of_generation.end();
}

// The messages up to and including answer number `answer`.
std::size_t end_of_answer(const TrainingLine& line, std::size_t answer) {
  for (std::size_t i = 0; i < line.messages.size(); ++i)
    if (line.messages[i].learned && answer-- == 0) return i + 1;
  return line.messages.size();
}

std::size_t number_of_answers(const TrainingLine& line) {
  return static_cast<std::size_t>(std::count_if(line.messages.begin(), line.messages.end(), [](const StoredMessage& m) { return m.learned; }));
}

Result<std::string> render(const TrainingLine& line, std::size_t count, bool prompt, const TextSide& side) {
  std::vector<ChatMessage> messages;
  for (std::size_t i = 0; i < count; ++i) messages.push_back({line.messages[i].role, line.messages[i].content});
  const auto piece = [&](std::optional<TokenId> id) { return id ? side.tokenizer->piece(*id) : std::string{}; };
  auto text = render_chat(side.chat_template, messages, prompt, piece(side.tokenizer->bos), piece(side.tokenizer->eos));
  if (text.ok()) return text;
  Error error = text.error();
  error.place = "line " + std::to_string(line.line) + (error.place.empty() ? "" : ", " + error.place);
  return error;
}

bool begins(const std::vector<TokenId>& whole, const std::vector<TokenId>& part) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

// How much of the answer is learned: up to its end token, and without that where it was cut.
std::size_t answer_length(const std::vector<TokenId>& ids, std::size_t first, bool cut, const Tokenizer& tokenizer) {
  for (std::size_t t = first; t < ids.size(); ++t)
    if (ends_generation(tokenizer, ids[t])) return t + (cut ? 0 : 1) - first;
  return ids.size() - first;
}

// Without a template a prompt and its answer are simply one text.
WrittenChat write_plain(const TrainingLine& line, const TextSide& side) {
  WrittenChat out;
  out.ids = side.tokenizer->encode(line.messages.front().content, true);
  out.prompt = out.ids.size();
  if (!line.answered()) return out;
  const std::vector<TokenId> answer = side.tokenizer->encode(line.messages.back().content, false);
  out.ids.insert(out.ids.end(), answer.begin(), answer.end());
  if (side.tokenizer->eos && !line.cut) out.ids.push_back(*side.tokenizer->eos);
  out.answers.emplace_back(out.prompt, out.ids.size() - out.prompt);
  return out;
}

Result<void> check_side(const TrainingLine& line, const TextSide& side) {
  if (!side.chat_template.empty() || line.plain) return {};
  return Error{.code = ErrorCode::kMissingPart, .place = "line " + std::to_string(line.line), .expected = "a model with a chat template, for a conversation", .found = "none",
               .next_step = "write the lines as prompt and answer, or take a model with a chat template"};
}

// The texts as the student has them, cut to what both have, and the answers' places in each.
TrainingExample example_of(const TrainingLine& line, const std::vector<const WrittenChat*>& sides) {
  const WrittenChat& mine = *sides.front();
  TrainingExample out{.ids = mine.ids, .weight = static_cast<float>(line.weight), .prompt = static_cast<std::int64_t>(mine.prompt)};
  if (!mine.answers.empty()) {
    out.learned.assign(mine.ids.size(), 0);
    for (const auto& [first, count] : mine.answers) std::fill_n(out.learned.begin() + static_cast<std::ptrdiff_t>(first), count, std::uint8_t{1});
  }
  for (std::size_t k = 1; k < sides.size(); ++k) {
    TeacherText text;
    if (sides[k]) {
      text.ids = sides[k]->ids;
      text.prompt = static_cast<std::int64_t>(sides[k]->prompt);
      for (std::size_t a = 0; a < mine.answers.size(); ++a)
        text.spans.push_back({static_cast<std::int32_t>(mine.answers[a].first), static_cast<std::int32_t>(mine.answers[a].second),
                              static_cast<std::int32_t>(sides[k]->answers[a].first), static_cast<std::int32_t>(sides[k]->answers[a].second)});
    }
    out.teachers.push_back(std::move(text));
  }
  return out;
}

}  // namespace

Result<std::optional<WrittenChat>> write_chat(const TrainingLine& line, const TextSide& side) {
  RETORT_CHECK(check_side(line, side));
  if (side.chat_template.empty()) return std::optional(write_plain(line, side));
  const Tokenizer& tokenizer = *side.tokenizer;
  WrittenChat out;
  const std::size_t answers = number_of_answers(line);
  if (answers == 0) {
    RETORT_TRY(const std::string text, render(line, line.messages.size(), true, side));
    out.ids = tokenizer.encode(text, false);   // templates write their own special tokens
    out.prompt = out.ids.size();
    return std::optional(std::move(out));
  }
  // Every shorter text must be the beginning of the longest, in tokens too.
  RETORT_TRY(const std::string whole, render(line, end_of_answer(line, answers - 1), false, side));
  out.ids = tokenizer.encode(whole, false);
  for (std::size_t a = 0; a < answers; ++a) {
    const std::size_t end = end_of_answer(line, a);
    RETORT_TRY(const std::string before, render(line, end - 1, true, side));
    RETORT_TRY(const std::string after, render(line, end, false, side));
    const std::vector<TokenId> prompt = tokenizer.encode(before, false), text = tokenizer.encode(after, false);
    if (!begins(out.ids, text) || !begins(text, prompt)) return std::optional<WrittenChat>();
    out.answers.emplace_back(prompt.size(), answer_length(text, prompt.size(), line.cut && a + 1 == answers, tokenizer));
    if (a == 0) out.prompt = prompt.size();
  }
  // What the template writes after the last answer belongs to nobody.
  out.ids.resize(out.answers.back().first + out.answers.back().second);
  return std::optional(std::move(out));
}

Result<WrittenChat> write_chat_until(const TrainingLine& line, std::size_t answer, const TextSide& side) {
  const Tokenizer& tokenizer = *side.tokenizer;
  const std::size_t end = end_of_answer(line, answer);
  RETORT_TRY(const std::string before, render(line, end - 1, true, side));
  RETORT_TRY(const std::string after, render(line, end, false, side));
  WrittenChat out;
  out.ids = tokenizer.encode(before, false);
  out.prompt = out.ids.size();
  const bool cut = line.cut && answer + 1 == number_of_answers(line);
  // Where not even the prompt begins the whole, the answer stands there as it would have been generated.
  const bool grows = after.starts_with(before);
  const std::vector<TokenId> text = tokenizer.encode(grows ? after.substr(before.size()) : line.messages[end - 1].content, false);
  out.ids.insert(out.ids.end(), text.begin(), text.end());
  if (!grows && !cut && tokenizer.eos) out.ids.push_back(*tokenizer.eos);
  out.answers.emplace_back(out.prompt, answer_length(out.ids, out.prompt, cut, tokenizer));
  out.ids.resize(out.prompt + out.answers.back().second);
  return out;
}

ChatReader::ChatReader(const Readers& readers, std::int64_t classes, bool probabilities) : readers_(readers), classes_(classes) {
  if (probabilities) pieces_.emplace(*readers.student.tokenizer);
}

// By side, the same number of texts for each; none for a teacher that reads as the student does.
Result<std::vector<std::vector<WrittenChat>>> ChatReader::write(const TrainingLine& line) const {
  std::vector<const TextSide*> sides{&readers_.student};
  for (const TextSide& side : readers_.teachers) sides.push_back(&side);
  std::vector<std::vector<WrittenChat>> out(sides.size());
  bool whole = true;
  for (std::size_t k = 0; k < sides.size() && whole; ++k) {
    if (!sides[k]->tokenizer) continue;
    RETORT_TRY(auto one, write_chat(line, *sides[k]));
    whole = one.has_value();
    if (whole) out[k].push_back(std::move(*one));
  }
  if (whole) return out;
  for (std::size_t k = 0; k < sides.size(); ++k) {
    out[k].clear();
    for (std::size_t a = 0; sides[k]->tokenizer && a < number_of_answers(line); ++a) {
      RETORT_TRY(WrittenChat one, write_chat_until(line, a, *sides[k]));
      out[k].push_back(std::move(one));
    }
  }
  return out;
}

// Rows of the student whose next token is the stored one, with the stored alternatives that the student has a piece for.
void ChatReader::take_scores(const TrainingLine& line, std::size_t answer, std::size_t first, std::size_t count, TrainingExample& to) const {
  const StoredMessage& message = line.messages[end_of_answer(line, answer) - 1];
  if (!pieces_ || message.scores.empty()) return;
  std::vector<std::string_view> stored;
  for (const ScoredToken& token : message.scores) stored.push_back(token.bytes);
  std::vector<std::string_view> mine = pieces_->bytes(std::span(to.ids).subspan(first, count));
  if (!mine.empty() && ends_generation(*readers_.student.tokenizer, to.ids[first + count - 1])) mine.pop_back();
  for (const AlignedToken& token : align(mine, stored)) {
    std::vector<float> probabilities;
    KeptRow row;
    double held = 0;
    for (const auto& [bytes, logarithm] : message.scores[static_cast<std::size_t>(token.theirs)].top) {
      const TokenId id = pieces_->find(bytes);
      if (id < 0 || id >= classes_ || std::find(row.classes.begin(), row.classes.end(), id) != row.classes.end()) continue;
      row.classes.push_back(id);
      row.probabilities.push_back(static_cast<float>(std::exp(logarithm)));
      held += static_cast<double>(row.probabilities.back());
    }
    if (held > 1)
      for (float& p : row.probabilities) p = static_cast<float>(static_cast<double>(p) / held);
    const auto at = static_cast<std::int32_t>(first) + token.mine - 1;
    if (!row.classes.empty() && at >= 0) to.given.emplace_back(at, std::move(row));
  }
}

Result<std::vector<TrainingExample>> ChatReader::read(const TrainingLine& line) const {
  RETORT_TRY(const auto written, write(line));
  std::vector<TrainingExample> out;
  for (std::size_t i = 0; i < written.front().size(); ++i) {
    std::vector<const WrittenChat*> sides;
    for (const auto& side : written) sides.push_back(side.empty() ? nullptr : &side[i]);
    TrainingExample example = example_of(line, sides);
    const bool one_by_one = written.front().size() > 1;
    for (std::size_t a = 0; a < sides.front()->answers.size(); ++a)
      take_scores(line, one_by_one ? i : a, sides.front()->answers[a].first, sides.front()->answers[a].second, example);
    out.push_back(std::move(example));
  }
  return out;
}

}  // namespace retort::distill
