#include "core/text/tokenizer_file.h"

#include <nlohmann/json.hpp>

#include "core/text/unicode.h"

namespace retort::text {
namespace {

class Events : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Events(TokenizerFile& file) : file_(file) {}

  bool null() override { return scalar({}); }
  bool boolean(bool value) override { return scalar({value}); }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value), {std::int64_t{value}}, -1); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<std::uint64_t>(INT64_MAX)) return number(static_cast<double>(value), {static_cast<double>(value)}, -1);
    const auto integer = static_cast<std::int64_t>(value);
    return number(static_cast<double>(value), {integer}, integer);
  }
  bool number_float(number_float_t value, const string_t&) override { return number(value, {value}, -1); }
  bool string(string_t& value) override {
    switch (table_) {
      case Table::kNone: return scalar({std::move(value)});
      case Table::kVocabObject: return wrong("a number");
      case Table::kVocabArray:
        if (depth_ != 4 || entry_ != 0) return wrong("[piece, score]");
        piece_ = std::move(value);
        break;
      case Table::kMerges:
        if (depth_ == 3) return merge_line(value);
        if (entry_ > 1) return wrong("two pieces");
        (entry_ == 0 ? pair_.first : pair_.second) = std::move(value);
        break;
    }
    ++entry_;
    return true;
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool key(string_t& value) override {
    if (table_ == Table::kVocabObject) {
      piece_ = std::move(value);
      return true;
    }
    if (depth_ == 1) top_key_ = value;
    if (depth_ == 2) model_key_ = value;
    builder.key(std::move(value));
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::json::exception& e) override {
    error = Error{.code = ErrorCode::kCorrupt, .place = "tokenizer.json", .offset = at, .expected = "valid JSON", .found = e.what()};
    return false;
  }

  JsonBuilder builder;
  Error error{.code = ErrorCode::kCorrupt, .place = "tokenizer.json", .expected = "valid JSON"};

 private:
  enum class Table { kNone, kVocabObject, kVocabArray, kMerges };

  bool wrong(std::string expected) {
    const std::size_t index = table_ == Table::kMerges ? file_.merges.size() : file_.vocab.size();
    const std::string name = table_ == Table::kMerges ? "model.merges" : "model.vocab";
    error = Error{.code = ErrorCode::kCorrupt, .place = "tokenizer.json: " + name + "[" + std::to_string(index) + "]",
                  .expected = std::move(expected), .found = "another form"};
    return false;
  }

  bool scalar(JsonValue value) {
    if (table_ != Table::kNone) return wrong(table_ == Table::kMerges ? "a pair of pieces" : "a piece and a number");
    return builder.scalar(std::move(value));
  }

  bool number(double as_double, JsonValue value, std::int64_t id) {
    if (table_ == Table::kVocabObject) {
      if (id < 0) return wrong("an id");
      file_.vocab.emplace_back(std::move(piece_), static_cast<std::uint64_t>(id));
      return true;
    }
    if (table_ == Table::kVocabArray && depth_ == 4 && entry_ == 1) {
      score_ = as_double;
      ++entry_;
      return true;
    }
    return scalar(std::move(value));
  }

  bool merge_line(const std::string& line) {
    if (line.starts_with("#version")) return true;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) return wrong("two pieces");
    file_.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    return true;
  }

  bool open(bool object) {
    if (table_ != Table::kNone) {
      if (object || depth_ != 3 || table_ == Table::kVocabObject) return wrong("a piece and a number or a pair of pieces");
      entry_ = 0;
    } else if (depth_ == 2 && top_key_ == "model" && (model_key_ == "vocab" || model_key_ == "merges")) {
      if (model_key_ == "merges") {
        if (object) return wrong("a list");
        table_ = Table::kMerges;
      } else {
        table_ = object ? Table::kVocabObject : Table::kVocabArray;
        file_.has_vocab = true;
        file_.scored = !object;
      }
    } else if (!builder.begin(object)) {
      error.expected = "at most " + std::to_string(JsonBuilder::kMaxDepth) + " levels";
      return false;
    }
    ++depth_;
    return true;
  }

  bool close() {
    if (table_ == Table::kNone) {
      builder.end();
    } else if (depth_ == 3) {
      table_ = Table::kNone;
    } else if (entry_ != 2) {
      return wrong(table_ == Table::kMerges ? "two pieces" : "[piece, score]");
    } else if (table_ == Table::kMerges) {
      file_.merges.push_back(std::move(pair_));
    } else {
      file_.vocab.emplace_back(std::move(piece_), file_.vocab.size());
      file_.scores.push_back(score_);
    }
    --depth_;
    return true;
  }

  TokenizerFile& file_;
  Table table_ = Table::kNone;
  std::size_t depth_ = 0;  // open objects and arrays
  std::string top_key_, model_key_;
  std::string piece_;
  Merge pair_;
  double score_ = 0;
  int entry_ = 0;  // values seen in the inner list
};

}  // namespace

Result<TokenizerFile> read_tokenizer_file(std::string_view json) {
  TokenizerFile file;
  file.vocab.reserve(std::min<std::size_t>(json.size() / 16, 1u << 18));
  file.merges.reserve(std::min<std::size_t>(json.size() / 64, 1u << 18));
  Events events(file);
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &events)) return events.error;
  file.root = events.builder.take();
  if (file.root.object() == nullptr)
    return Error{.code = ErrorCode::kCorrupt, .place = "tokenizer.json", .expected = "an object",
                 .found = std::string(file.root.kind())};
  return file;
}

const JsonValue* Fields::find(std::string_view key) const noexcept {
  const JsonValue* value = object_.find(key);
  return value != nullptr && value->is_null() ? nullptr : value;
}

Error Fields::wrong(std::string_view key, std::string expected) const {
  const JsonValue* value = object_.find(key);
  return Error{.code = ErrorCode::kCorrupt, .place = path(key), .expected = std::move(expected),
               .found = value == nullptr ? "nothing" : std::string(value->kind())};
}

Error Fields::unsupported(std::string_view key, std::string found) const {
  return Error{.code = ErrorCode::kUnsupported, .place = path(key), .found = std::move(found)};
}

Result<bool> Fields::boolean(std::string_view key, bool otherwise) const {
  const JsonValue* value = find(key);
  if (value == nullptr) return otherwise;
  if (value->boolean() == nullptr) return wrong(key, "true or false");
  return *value->boolean();
}

Result<std::string> Fields::string(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr || value->string() == nullptr) return wrong(key, "a string");
  return *value->string();
}

Result<std::string> Fields::string(std::string_view key, std::string_view otherwise) const {
  if (find(key) == nullptr) return std::string(otherwise);
  return string(key);
}

Result<std::uint64_t> Fields::number(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr || value->integer() == nullptr || *value->integer() < 0) return wrong(key, "a whole number");
  return static_cast<std::uint64_t>(*value->integer());
}

Result<std::uint64_t> Fields::number(std::string_view key, std::uint64_t otherwise) const {
  if (find(key) == nullptr) return otherwise;
  return number(key);
}

Result<const JsonValue::Array*> Fields::array(std::string_view key) const {
  const JsonValue* value = find(key);
  if (value == nullptr || value->array() == nullptr) return wrong(key, "a list");
  return value->array();
}

Result<char32_t> Fields::character(std::string_view key) const {
  RETORT_TRY(const std::string text, string(key));
  if (text.empty()) return wrong(key, "one character");
  const CodePoint c = code_point_at(text, 0);
  if (c.length != text.size()) return wrong(key, "one character");
  return c.value;
}

}  // namespace retort::text
