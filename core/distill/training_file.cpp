#include "core/distill/training_file.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/formats/json_text.h"

namespace retort::distill {
namespace {

using nlohmann::json;

constexpr double kMostWeight = 1e6;

// Reads one line. A missing part is null, so that what is optional needs no second look.
class LineReader {
 public:
  LineReader(const std::filesystem::path& path, std::size_t line) : path_(path), line_(line) {}

  // Whether there is something to learn from; false: a stored failure.
  Result<bool> read(const json& object, TrainingLine& out) {
    out.line = line_;
    if (const json& weight = at(object, "weight"); !weight.is_null()) {
      if (!weight.is_number() || !(weight.get<double>() >= 0 && weight.get<double>() <= kMostWeight))
        return bad("\"weight\" from 0 to 1000000", weight);
      out.weight = weight.get<double>();
    }
    const json &request = part(object, {"request", "input"}), &response = part(object, {"response", "output"});
    const json& messages = at(request, "messages");
    if (messages.is_array()) return conversation(messages, response.is_null() ? object : response, out);
    const json& prompt = first(request, {"prompt", "question", "instruction"});
    if (!prompt.is_null()) return pair(object, prompt, response.is_null() ? object : response, out);
    return text_line(object, out);
  }

 private:
  static const json& null() {
    static const json none;
    return none;
  }
  static const json& at(const json& object, std::string_view name) {
    if (!object.is_object()) return null();
    const auto found = object.find(name);
    return found == object.end() ? null() : *found;
  }
  static const json& first(const json& object, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
      if (const json& value = at(object, name); !value.is_null()) return value;
    return null();
  }
  // A request or response, without the envelope of batch files. A request may stand in the line itself.
  static const json& part(const json& object, std::initializer_list<std::string_view> names) {
    const json& found = first(object, names);
    const bool is_request = *names.begin() == "request";
    const json& whole = !found.is_object() && is_request ? object : found;
    const json& body = at(whole, "body");
    return body.is_object() ? body : whole;
  }

  Error bad(std::string expected, const json& found) const { return bad(std::move(expected), found.is_null() ? "none" : formats::json_text(found).substr(0, 80)); }
  Error bad(std::string expected, std::string found) const {
    return Error{.code = ErrorCode::kBadData, .file = path_.string(), .place = "line " + std::to_string(line_), .expected = std::move(expected), .found = std::move(found)};
  }

  // A message's text: one, or a list of parts that are all text. Nothing: no text (a refusal, a tool call).
  Result<std::optional<std::string>> content_of(const json& content) const {
    if (content.is_string()) return std::optional(content.get<std::string>());
    if (content.is_null()) return std::optional<std::string>();
    if (!content.is_array()) return bad("a message's content as text", content);
    std::string out;
    for (const json& part : content) {
      if (at(part, "type") != "text" || !at(part, "text").is_string()) return bad("parts of a message that are text", part);
      out += at(part, "text").get<std::string>();
    }
    return std::optional(out);
  }

  Result<bool> conversation(const json& messages, const json& response, TrainingLine& out) {
    out.kind = LineKind::kConversation;
    for (const json& message : messages) {
      const json &role = at(message, "role"), &weight = at(message, "weight");
      if (!role.is_string()) return bad("messages with a \"role\"", message);
      if (!at(message, "tool_calls").is_null()) return bad("messages of text", std::string("a call of tools"));
      RETORT_TRY(const auto content, content_of(at(message, "content")));
      if (!content) return bad("messages with \"content\"", message);
      const bool answer = role == "assistant";
      if (!weight.is_null() && !(answer && weight.is_number() && (weight == 0 || weight == 1)))
        return bad("a message's weight as 0 or 1, of the assistant's messages only", weight);
      out.messages.push_back({role.get<std::string>(), *content, answer && (weight.is_null() || weight == 1), {}});
    }
    if (out.messages.empty()) return bad("at least one message", std::string("none"));
    if (out.messages.back().role == "assistant") return true;
    return answer_of(response, out);
  }

  Result<bool> pair(const json& object, const json& prompt, const json& response, TrainingLine& out) {
    out.kind = LineKind::kConversation;
    if (prompt.is_array()) return conversation(prompt, response, out);
    if (!prompt.is_string()) return bad("\"prompt\" as text or messages", prompt);
    out.plain = true;
    out.messages.push_back({"user", prompt.get<std::string>(), false, {}});
    if (const json& input = at(object, "input"); !at(object, "instruction").is_null() && input.is_string() && !input.get<std::string>().empty())
      out.messages.back().content += "\n\n" + input.get<std::string>();
    return answer_of(response, out);
  }

  void learn(std::string content, TrainingLine& out) const { out.messages.push_back({"assistant", std::move(content), true, {}}); }

  // The answer that a service or a person stored. None at all: a prompt.
  Result<bool> answer_of(const json& response, TrainingLine& out) {
    if (response.is_string()) {
      learn(response.get<std::string>(), out);
      return !response.get<std::string>().empty();
    }
    if (const json& choices = at(response, "choices"); !choices.is_null()) return choice(choices, out);
    if (!at(response, "error").is_null()) return false;
    const json& answer = first(response, {"answer", "completion", "chosen", "response", "output", "content"});
    out.rejected = !at(response, "rejected").is_null();
    if (answer.is_null()) return true;
    // A preference's answer may be a whole conversation: its last message counts.
    if (answer.is_array() && !answer.empty() && !at(answer.back(), "role").is_null()) {
      RETORT_TRY(const auto last, content_of(at(answer.back(), "content")));
      if (last) learn(*last, out);
      return last.has_value();
    }
    if (answer.is_number()) {
      learn(answer.dump(), out);
      return true;
    }
    RETORT_TRY(const auto content, content_of(answer));
    if (content) learn(*content, out);
    return content && !content->empty();
  }

  Result<bool> choice(const json& choices, TrainingLine& out) {
    if (!choices.is_array()) return bad("\"choices\" as a list", choices);
    if (choices.empty()) return false;
    const json &choice = choices.front(), &message = at(choice, "message");
    if (!at(message, "tool_calls").is_null()) return bad("answers of text", std::string("a call of tools"));
    RETORT_TRY(const auto content, content_of(message.is_null() ? at(choice, "text") : at(message, "content")));
    if (!content || content->empty()) return false;
    learn(*content, out);
    out.cut = at(choice, "finish_reason") == "length" || at(choice, "finish_reason") == "content_filter";
    return scores(at(at(choice, "logprobs"), "content"), out.messages.back().scores);
  }

  // OpenAI's form: each token with its likeliest alternatives; `bytes` where the token alone is no UTF-8.
  Result<bool> scores(const json& tokens, std::vector<ScoredToken>& to) const {
    if (tokens.is_null()) return true;
    if (!tokens.is_array()) return bad("\"logprobs\" with a list of tokens", tokens);
    for (const json& token : tokens) {
      RETORT_TRY(const std::string bytes, bytes_of(token));
      ScoredToken one{bytes, {}};
      const json& top = at(token, "top_logprobs");
      for (const json& other : top.is_array() ? top : json::array()) {
        const json& logarithm = at(other, "logprob");
        if (!logarithm.is_number() || !(logarithm.get<double>() <= 1e-3)) return bad("\"logprob\" as a number of at most 0", other);
        RETORT_TRY(std::string piece, bytes_of(other));
        one.top.emplace_back(std::move(piece), std::min(logarithm.get<double>(), 0.0));
      }
      to.push_back(std::move(one));
    }
    return true;
  }

  Result<std::string> bytes_of(const json& token) const {
    if (const json& bytes = at(token, "bytes"); bytes.is_array()) {
      std::string out;
      for (const json& byte : bytes) {
        if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > 255) return bad("\"bytes\" as numbers from 0 to 255", bytes);
        out += static_cast<char>(byte.get<std::uint8_t>());
      }
      return out;
    }
    if (!at(token, "token").is_string()) return bad("tokens with \"token\" or \"bytes\"", token);
    return at(token, "token").get<std::string>();
  }

  Result<bool> text_line(const json& object, TrainingLine& out) const {
    const json &text = at(object, "text"), &label = at(object, "label");
    if (!text.is_string()) return bad("text; text, label; prompt, answer; messages; or request, response", std::string("other fields"));
    out.text = text.get<std::string>();
    if (label.is_null()) return true;
    if (!label.is_number_unsigned()) return bad("\"text\" and a label that is a whole number from 0", label);
    out.kind = LineKind::kLabelled;
    out.label = static_cast<std::int64_t>(std::min<std::uint64_t>(label.get<std::uint64_t>(), 1u << 30));
    return true;
  }

  const std::filesystem::path& path_;
  std::size_t line_;
};

}  // namespace

bool TrainingLine::answered() const noexcept {
  return std::any_of(messages.begin(), messages.end(), [](const StoredMessage& message) { return message.learned; });
}

Result<TrainingFile> read_training_file(const std::filesystem::path& path) {
  RETORT_TRY(const std::string text, read_text_file(path));
  const auto bad = [&](std::string expected, std::string found) {
    return Error{.code = ErrorCode::kBadData, .file = path.string(), .place = "training data", .expected = std::move(expected), .found = std::move(found)};
  };
  if (text.empty()) return bad("text", "an empty file");
  if (std::string_view(text).substr(0, 4096).find('\0') != std::string_view::npos) return bad("plain text or JSONL", "binary data");
  TrainingFile out;
  if (path.extension() != ".jsonl" && path.extension() != ".json" && path.extension() != ".ndjson") {
    out.lines.push_back({.line = 1, .text = text});
    return out;
  }
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto object = formats::parse_json(line, path.string(), "line " + std::to_string(number));
    if (!object.ok() || !object->is_object())
      return Error{.code = ErrorCode::kBadData, .file = path.string(), .place = "line " + std::to_string(number), .expected = "one JSON object a line", .found = std::string(line.substr(0, 60))};
    TrainingLine one;
    RETORT_TRY(const bool usable, LineReader(path, number).read(*object, one));
    if (usable) out.lines.push_back(std::move(one));
    else ++out.failed;
  }
  if (out.lines.empty()) return bad("at least one example", out.failed > 0 ? std::to_string(out.failed) + " responses without an answer" : "none");
  return out;
}

}  // namespace retort::distill
