#include "core/evaluate/evaluation_json.h"

#include <nlohmann/json.hpp>

#include "core/formats/json_text.h"

namespace retort {
namespace {

using nlohmann::json;

json to_json(const Evaluation::Row& row) {
  return {{"index", row.index}, {"text", row.text}, {"group", row.group}, {"score", row.score},
          {"kld", row.kld}, {"correct", row.correct}, {"answer", row.answer}, {"margin", row.margin}};
}

}  // namespace

std::string row_to_json(const Evaluation::Row& row) { return formats::json_text(to_json(row), -1); }

std::string evaluation_to_json(const Evaluation& evaluation, bool with_rows) {
  json out = {{"task", evaluation.task}, {"n", evaluation.n}, {"activations", evaluation.activations}, {"seconds", evaluation.seconds}};
  for (const auto& [name, figure] : evaluation.figures)
    out[name] = {{"value", figure.value}, {"low", figure.low}, {"high", figure.high}};
  if (with_rows) {
    out["rows"] = json::array();
    for (const auto& row : evaluation.rows) out["rows"].push_back(to_json(row));
  }
  return formats::json_text(out, with_rows ? -1 : 2);
}

Result<Evaluation> evaluation_from_json(std::string_view text) {
  try {
    const json in = json::parse(text);
    Evaluation evaluation;
    evaluation.task = in.at("task").get<std::string>();
    evaluation.n = in.at("n").get<std::int64_t>();
    evaluation.activations = in.value("activations", "");
    evaluation.seconds = in.value("seconds", 0.0);
    for (const auto& [key, value] : in.items())
      if (value.is_object() && value.contains("value"))
        evaluation.figures[key] = {value.at("value").get<double>(), value.at("low").get<double>(), value.at("high").get<double>()};
    for (const json& row : in.value("rows", json::array()))
      evaluation.rows.push_back({row.at("index").get<std::int64_t>(), row.at("text").get<std::string>(), row.value("group", ""),
                                 row.at("score").get<double>(), row.value("kld", 0.0), row.at("correct").get<bool>(),
                                 row.value("answer", ""), row.value("margin", 0.0)});
    return evaluation;
  } catch (const json::exception& exception) {
    return Error{.code = ErrorCode::kCorrupt, .place = "measurement", .found = exception.what()};
  }
}

}  // namespace retort
