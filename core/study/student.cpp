#include "core/study/student.h"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/formats/json_text.h"

namespace retort {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// The paths of a recipe's JSON, by where they stand.
constexpr std::pair<const char*, const char*> kPaths[] = {{"", "teacher"}, {"student", "model"}, {"data", "train"}, {"data", "unlabelled"}, {"data", "validation"}};

void make_absolute(Json& object, const char* key) {
  const auto path = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || path == object.end() || !path->is_string() || path->get<std::string>().empty()) return;
  *path = fs::absolute(path->get<std::string>()).lexically_normal().string();
}

// Row scales beside the mapped codes: in the file they need not be aligned.
struct RowScaled {
  std::shared_ptr<const Checkpoint> file;
  std::vector<float> scales;
};

// The codes of one INT8 linear as compressed-tensors stores them; false when it is stored in another way.
bool bind_codes(const std::shared_ptr<const Checkpoint>& raw, const std::string& name, WeightHandle& weight) {
  const TensorEntry* const codes = raw->find(name);
  const TensorEntry* const scales = raw->find(name + "_scale");
  if (!codes || !scales || raw->find(name + "_zero_point") || codes->type != TensorType::kI8 || scales->type != TensorType::kF32) return false;
  if (codes->shape != weight.shape || codes->shape.size() != 2 || scales->data.size() != static_cast<std::size_t>(codes->shape[0]) * sizeof(float)) return false;
  auto owner = std::make_shared<RowScaled>();
  owner->file = raw;
  owner->scales.resize(static_cast<std::size_t>(codes->shape[0]));
  std::memcpy(owner->scales.data(), scales->data.data(), scales->data.size());
  weight.type = TensorType::kI8;
  weight.data = codes->data;
  weight.row_scales = owner->scales;
  weight.coded = nullptr;
  weight.keep_alive = std::move(owner);
  weight.file = codes->file < raw->files.size() ? raw->files[codes->file] : nullptr;
  return true;
}

distill::CurvePoint point_of(const nlohmann::json& line) {
  distill::CurvePoint point;
  point.step = line.at("step").get<std::int64_t>();
  point.seconds = line.value("seconds", 0.0);
  point.tokens = line.value("tokens", std::int64_t{0});
  point.validation = line.contains("validation_loss");
  const std::string prefix = point.validation ? "validation_" : "";
  point.loss.loss = line.at(prefix + "loss").get<double>();
  point.loss.cross_entropy = line.value(prefix + "cross_entropy", 0.0);
  point.loss.divergence = line.value(prefix + "divergence", 0.0);
  point.loss.features = line.value(prefix + "features", 0.0);
  if (const auto accuracy = line.find(prefix + "accuracy"); accuracy != line.end()) {
    // The file has the share; a million keeps its digits.
    point.loss.labelled = 1000000;
    point.loss.right = static_cast<std::int64_t>(1e6 * accuracy->get<double>() + 0.5);
  }
  point.rate = line.value("rate", 0.0);
  point.norm = line.value("gradient_norm", 0.0);
  return point;
}

}  // namespace

Result<distill::DistillRecipe> student_recipe(const Recipe& recipe) { return distill::distill_recipe_from_json(recipe.student); }

CandidateRecord until_stage(const CandidateRecord& candidate, std::size_t stages) {
  CandidateRecord part = candidate;
  Json json = Json::parse(candidate.recipe.student, nullptr, false);
  if (!json.is_object()) return part;
  const auto list = json.find("stages");
  if (list == json.end() || !list->is_array() || list->size() <= stages) return part;
  list->erase(list->begin() + static_cast<std::ptrdiff_t>(stages), list->end());
  part.recipe.student = formats::json_text(json);
  return part;
}

Recipe with_absolute_paths(const Recipe& recipe) {
  Json json = Json::parse(recipe.student, nullptr, false);
  if (!json.is_object()) return recipe;
  for (const auto& [group, key] : kPaths) {
    if (*group != '\0' && !json.contains(group)) continue;
    make_absolute(*group != '\0' ? json[group] : json, key);
  }
  if (const auto teachers = json.find("teachers"); teachers != json.end() && teachers->is_array())
    for (Json& teacher : *teachers) make_absolute(teacher, "model");
  Recipe out = recipe;
  out.student = formats::json_text(json);
  return out;
}

std::vector<fs::path> named_models(const distill::DistillRecipe& recipe) {
  std::vector<fs::path> models;
  for (const fs::path* path : {&recipe.teacher, &recipe.student.model})
    if (!path->empty()) models.push_back(*path);
  for (const distill::TeacherChoice& teacher : recipe.teachers) models.push_back(teacher.model);
  return models;
}

std::vector<fs::path> named_texts(const distill::DistillRecipe& recipe) {
  std::vector<fs::path> texts;
  for (const fs::path* path : {&recipe.data.train, &recipe.data.unlabelled, &recipe.data.validation})
    if (!path->empty()) texts.push_back(*path);
  return texts;
}

Digest student_digest(const StudyDocument& document, const Recipe& recipe) {
  DigestBuilder builder;
  builder.text("student 1");
  const auto student = student_recipe(recipe);
  if (!student) return std::move(builder.text(recipe.student)).finish();
  builder.digest(distill::distill_recipe_digest(*student));
  const auto add_file = [&](const fs::path& path) {
    const auto known = document.named_files.find(path.string());
    builder.text(path.empty() ? "none" : "file").digest(known == document.named_files.end() ? Digest{} : known->second);
  };
  if (student->teacher.empty()) builder.text("source").digest(document.source ? document.source->digest : Digest{});
  else add_file(student->teacher);
  if (student->data.train.empty() && student->data.unlabelled.empty()) {
    for (const DataRecord* data : training_sets(document)) builder.text("set").digest(data->digest);
  } else {
    add_file(student->data.train);
    add_file(student->data.unlabelled);
  }
  add_file(student->data.validation);
  // Keys of students of one teacher stay what they were.
  if (!student->student.model.empty()) {
    builder.text("parts");
    add_file(student->student.model);
  }
  for (const distill::TeacherChoice& teacher : student->teachers) {
    builder.text("teacher");
    add_file(teacher.model);
  }
  return builder.finish();
}

std::string student_result_to_json(const StudentResult& result) {
  Json json = {{"retort_student", 1}, {"output", result.output.string()}, {"curve", result.curve.string()}, {"bytes", result.bytes},
               {"parameters", result.parameters}, {"steps", result.steps}, {"seconds", result.seconds},
               {"tokens_per_second", result.tokens_per_second}, {"tokens_per_step", result.tokens_per_step}, {"validated", result.validated}};
  if (result.loss) json["loss"] = *result.loss;
  if (result.accuracy) json["accuracy"] = *result.accuracy;
  return formats::json_text(json, 1);
}

Result<StudentResult> student_result_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    StudentResult result;
    if (json.at("retort_student") != 1) return Error{.code = ErrorCode::kCorrupt, .place = "student", .found = "another version"};
    result.output = json.at("output").get<std::string>();
    result.curve = json.at("curve").get<std::string>();
    result.bytes = json.at("bytes").get<std::uint64_t>();
    result.parameters = json.at("parameters").get<std::int64_t>();
    result.steps = json.at("steps").get<std::int64_t>();
    result.seconds = json.at("seconds").get<double>();
    result.tokens_per_second = json.at("tokens_per_second").get<double>();
    result.tokens_per_step = json.at("tokens_per_step").get<double>();
    result.validated = json.at("validated").get<std::int64_t>();
    if (json.contains("loss")) result.loss = json.at("loss").get<double>();
    if (json.contains("accuracy")) result.accuracy = json.at("accuracy").get<double>();
    return result;
  } catch (const nlohmann::json::exception& exception) {
    return Error{.code = ErrorCode::kCorrupt, .place = "student", .found = exception.what()};
  }
}

StudentResult result_of(const distill::DistillReport& report) {
  StudentResult result;
  const distill::StageReport& last = report.stages.back();
  result.output = report.student.output;
  result.bytes = report.student.bytes;
  result.parameters = report.student.parameters;
  if (last.kind != distill::StageKind::kQuantize) result.curve = report.curve;
  result.steps = last.steps;
  result.seconds = last.seconds;
  result.tokens_per_second = last.tokens_per_second;
  if (last.steps > 0) result.tokens_per_step = static_cast<double>(report.outcome.tokens) / static_cast<double>(last.steps);
  if (last.after) {
    result.loss = last.after->loss;
    result.validated = static_cast<std::int64_t>(last.after->count);
    if (last.after->labelled > 0) result.accuracy = static_cast<double>(last.after->right) / static_cast<double>(last.after->labelled);
  }
  return result;
}

std::shared_ptr<const std::vector<distill::CurvePoint>> read_curve(const fs::path& path) {
  if (path.empty()) return nullptr;
  std::vector<distill::CurvePoint> points;
  const auto text = read_text_file(path);
  for (std::size_t at = 0; text.ok() && at < text->size();) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    const auto line = nlohmann::json::parse(std::string_view(*text).substr(at, end - at), nullptr, false);
    at = end + 1;
    if (!line.is_object()) continue;
    try {
      points.push_back(point_of(line));
    } catch (const nlohmann::json::exception&) {
      continue;
    }
  }
  return points.empty() ? nullptr : std::make_shared<const std::vector<distill::CurvePoint>>(std::move(points));
}

Result<Model> open_student(const fs::path& path) {
  RETORT_TRY(Model model, open_model(path));
  const fs::path file = path / "model.safetensors";
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return model;
  const auto raw = open_safetensors(file);
  if (!raw) return model;
  for (std::size_t i = 0; i < model.weights.size(); ++i)
    if (model.weights[i].coded && model.graph.weights[i].stored == Stored::kPlain) bind_codes(*raw, model.graph.weights[i].source_name, model.weights[i]);
  return model;
}

}  // namespace retort
