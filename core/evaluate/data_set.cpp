#include "core/evaluate/data_set.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "core/base/files.h"

namespace retort {
namespace {

using nlohmann::json;

Error bad_line(const std::filesystem::path& path, std::size_t line, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadData, .file = path.string(), .place = "line " + std::to_string(line),
               .expected = std::move(expected), .found = std::move(found)};
}

// The value of the first of `names` that the object has as text (numbers are taken as written).
std::optional<std::string> text_at(const json& object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (name.empty()) continue;
    const auto it = object.find(name);
    if (it == object.end()) continue;
    if (it->is_string()) return it->get<std::string>();
    if (it->is_number()) return it->dump();
  }
  return std::nullopt;
}

// A JSONL object to an example and its kind. The fields decide: choices → choice, target → last word, label → labelled,
// prompt or question with answer → exact, text → text.
Result<std::pair<DataKind, Example>> read_example(const json& object, const Columns& columns,
                                                  const std::filesystem::path& path, std::size_t line) {
  Example example;
  example.group = text_at(object, {"kind"}).value_or("");
  const std::string choices_name = columns.choices.empty() ? "choices" : columns.choices;
  const std::string label_name = columns.label.empty() ? "label" : columns.label;

  if (const auto choices = object.find(choices_name); choices != object.end()) {
    if (!choices->is_array() || choices->size() < 2) return bad_line(path, line, "a list of two or more choices", choices->dump());
    for (const json& choice : *choices) {
      if (!choice.is_string()) return bad_line(path, line, "choices as text", choice.dump());
      example.choices.push_back(choice.get<std::string>());
    }
    const auto context = text_at(object, {columns.text, "context", "question", "prompt", "text"});
    const auto answer = object.find(columns.answer.empty() ? "answer" : columns.answer);
    if (!context) return bad_line(path, line, "a field \"context\"", "none");
    if (answer == object.end() || !answer->is_number_integer()) return bad_line(path, line, "\"answer\" as the index of the right choice", answer == object.end() ? "none" : answer->dump());
    example.text = *context;
    example.answer = answer->get<std::int64_t>();
    if (example.answer < 0 || example.answer >= static_cast<std::int64_t>(example.choices.size()))
      return bad_line(path, line, "an answer from 0 to " + std::to_string(example.choices.size() - 1), std::to_string(example.answer));
    return std::pair{DataKind::kChoice, std::move(example)};
  }
  if (const auto target = text_at(object, {columns.target, "target"})) {
    const auto context = text_at(object, {columns.text, "context", "text"});
    if (!context) return bad_line(path, line, "a field \"context\"", "none");
    example.text = *context;
    example.target = *target;
    return std::pair{DataKind::kLastWord, std::move(example)};
  }
  if (const auto label = object.find(label_name); label != object.end()) {
    const auto text = text_at(object, {columns.text, "text"});
    if (!text || !label->is_number_integer() || label->get<std::int64_t>() < 0)
      return bad_line(path, line, "\"text\" and a label that is a whole number from 0", label->dump());
    example.text = *text;
    example.answer = label->get<std::int64_t>();
    return std::pair{DataKind::kLabelled, std::move(example)};
  }
  if (const auto prompt = text_at(object, {columns.text, "prompt", "question"})) {
    const auto answer = text_at(object, {columns.answer, "answer"});
    if (!answer) return bad_line(path, line, "a field \"answer\"", "none");
    example.text = *prompt;
    example.target = *answer;
    return std::pair{DataKind::kExact, std::move(example)};
  }
  if (const auto text = text_at(object, {columns.text, "text"})) {
    example.text = *text;
    return std::pair{DataKind::kText, std::move(example)};
  }
  return bad_line(path, line, "text; text, label; context, choices, answer; prompt, answer; or context, target", "other fields");
}

bool looks_binary(std::string_view text) { return text.substr(0, 4096).find('\0') != std::string_view::npos; }

std::string lower_ascii(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> words_of(const DataSet& data) {
  std::vector<std::string> words;
  const auto take = [&](std::string_view text) {
    std::size_t begin = 0;
    while (begin < text.size()) {
      while (begin < text.size() && std::isspace(static_cast<unsigned char>(text[begin]))) ++begin;
      std::size_t end = begin;
      while (end < text.size() && !std::isspace(static_cast<unsigned char>(text[end]))) ++end;
      if (end > begin) words.push_back(lower_ascii(text.substr(begin, end - begin)));
      begin = end;
    }
  };
  for (const Example& example : data.examples) {
    take(example.text);
    for (const std::string& choice : example.choices) take(choice);
    take(example.target);
  }
  return words;
}

std::string run_text(const std::vector<std::string>& words, std::size_t begin, std::size_t count) {
  std::string text;
  for (std::size_t i = begin; i < begin + count; ++i) text += (i > begin ? " " : "") + words[i];
  return text;
}

}  // namespace

std::string_view data_kind_name(DataKind kind) noexcept {
  switch (kind) {
    case DataKind::kText: return "text";
    case DataKind::kChoice: return "choice";
    case DataKind::kExact: return "exact";
    case DataKind::kLabelled: return "labelled";
    case DataKind::kLastWord: return "last word";
  }
  return "";
}

std::string_view data_role_name(DataRole role) noexcept {
  switch (role) {
    case DataRole::kCalibration: return "calibration";
    case DataRole::kTraining: return "training";
    case DataRole::kEvaluation: return "evaluation";
  }
  return "";
}

std::string DataSet::joined_text() const {
  std::string text;
  for (const Example& example : examples) {
    if (!text.empty()) text += "\n\n";
    text += example.text;
  }
  return text;
}

Result<std::vector<DataSet>> read_data(const std::filesystem::path& path, const Columns& columns) {
  RETORT_TRY(const std::string text, read_text_file(path));
  const auto base = [&](DataKind kind) {
    DataSet set;
    set.path = path;
    set.name = path.stem().string();
    set.kind = kind;
    set.bytes = text.size();
    set.digest = DigestBuilder().text(text).number(static_cast<std::uint64_t>(kind)).finish();
    return set;
  };
  if (text.empty()) return Error{.code = ErrorCode::kBadData, .file = path.string(), .found = "an empty file"};
  if (looks_binary(text)) return Error{.code = ErrorCode::kBadData, .file = path.string(), .expected = "plain text or JSONL", .found = "binary data"};
  if (path.extension() != ".jsonl" && path.extension() != ".json" && path.extension() != ".ndjson") {
    DataSet set = base(DataKind::kText);
    set.examples.push_back(Example{.text = text, .choices = {}, .answer = -1, .target = {}, .group = {}});
    return std::vector{std::move(set)};
  }

  std::vector<DataSet> sets;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const json object = json::parse(line, nullptr, false);
    if (!object.is_object()) return bad_line(path, line_number, "one JSON object a line", std::string(line.substr(0, 60)));
    RETORT_TRY(auto pair, read_example(object, columns, path, line_number));
    auto set = std::find_if(sets.begin(), sets.end(), [&](const DataSet& s) { return s.kind == pair.first; });
    if (set == sets.end()) set = sets.insert(sets.end(), base(pair.first));
    set->examples.push_back(std::move(pair.second));
  }
  if (sets.empty()) return Error{.code = ErrorCode::kBadData, .file = path.string(), .found = "no example in it"};
  // Several kinds in one file become several sets, told apart by name.
  if (sets.size() > 1)
    for (DataSet& set : sets) set.name += " (" + std::string(data_kind_name(set.kind)) + ")";
  return sets;
}

DataStatistics describe(const DataSet& data, const Tokenizer& tokenizer) {
  DataStatistics statistics;
  statistics.examples = static_cast<std::int64_t>(data.examples.size());
  std::vector<std::int64_t> lengths;
  std::int64_t letters = 0, ascii_letters = 0;
  for (const Example& example : data.examples) {
    std::string whole = example.text + example.target;
    for (const std::string& choice : example.choices) whole += choice;
    lengths.push_back(static_cast<std::int64_t>(tokenizer.encode(whole, false).size()));
    for (const char c : whole) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte & 0xc0) == 0x80) continue;  // continuation bytes belong to the letter before
      if (byte >= 0x80) ++letters;
      if (std::isalpha(byte)) ++letters, ++ascii_letters;
    }
  }
  for (const std::int64_t length : lengths) {
    statistics.tokens += length;
    statistics.max_length = std::max(statistics.max_length, length);
  }
  statistics.length_histogram.assign(16, 0);
  for (const std::int64_t length : lengths)
    ++statistics.length_histogram[static_cast<std::size_t>(std::min<std::int64_t>(15, length * 16 / (statistics.max_length + 1)))];
  statistics.ascii_share = letters ? static_cast<double>(ascii_letters) / static_cast<double>(letters) : 0;
  return statistics;
}

Overlap find_overlap(const DataSet& first, const DataSet& second, int run) {
  const auto count = static_cast<std::size_t>(run);
  const std::vector<std::string> a = words_of(first), b = words_of(second);
  Overlap overlap;
  if (a.size() < count || b.size() < count) return overlap;
  std::unordered_set<std::string> runs;
  for (std::size_t i = 0; i + count <= a.size(); ++i) runs.insert(run_text(a, i, count));
  std::vector<bool> shared(b.size(), false);
  std::size_t last_example = 0;
  for (std::size_t i = 0; i + count <= b.size(); ++i) {
    std::string text = run_text(b, i, count);
    if (!runs.contains(text)) continue;
    std::fill_n(shared.begin() + static_cast<std::ptrdiff_t>(i), count, true);
    if (overlap.examples.empty() || (i >= last_example + count && overlap.examples.size() < 5)) {
      overlap.examples.push_back(std::move(text));
      last_example = i;
    }
  }
  overlap.share = static_cast<double>(std::count(shared.begin(), shared.end(), true)) / static_cast<double>(b.size());
  return overlap;
}

}  // namespace retort
