#include "core/study/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <nlohmann/json.hpp>
#include <regex>

#include "core/distill/distill_recipe.h"
#include "core/formats/json_text.h"
#include "core/quantize/quantizer.h"

namespace retort {
namespace {

using Json = nlohmann::ordered_json;

// Patterns are matched against every tensor name with backtracking; longer ones are mistakes or attacks.
constexpr std::size_t kMaxPattern = 256;
constexpr std::size_t kMaxStages = 16, kMaxOverrides = 256;

Error bad(std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadRecipe, .place = std::move(place), .expected = std::move(expected),
               .found = std::move(found)};
}

std::string shown(const Json& value) {
  std::string text = formats::json_text(value);
  return text.size() > 60 ? text.substr(0, 57) + "…" : text;
}

Result<void> only_keys(const Json& object, const std::string& place, std::initializer_list<std::string_view> allowed) {
  if (!object.is_object()) return bad(place.empty() ? "the document" : place, "an object", shown(object));
  for (const auto& [key, value] : object.items())
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
      return bad(place.empty() ? key : place + "." + key, fmt::format("one of {}", fmt::join(allowed, ", ")),
                 "an unknown key");
  return {};
}

Result<std::string> text_at(const Json& object, const char* key, const std::string& place, std::string otherwise) {
  const auto found = object.find(key);
  if (found == object.end()) return otherwise;
  if (!found->is_string()) return bad(place, "a string", shown(*found));
  return found->get<std::string>();
}

bool can_become(kernels::TensorType type) {
  return type == kernels::TensorType::kF32 || type == kernels::TensorType::kF16 || type == kernels::TensorType::kBF16 ||
         find_quantizer(type) != nullptr;
}

std::string type_choices() {
  std::vector<std::string_view> names;
  for (const auto& traits : kernels::tensor_types())
    if (can_become(traits.type)) names.push_back(traits.name);
  return fmt::format("one of {}", fmt::join(names, ", "));
}

Result<TypeOverride> read_override(const Json& json, const std::string& place) {
  RETORT_CHECK(only_keys(json, place, {"pattern", "type"}));
  TypeOverride result;
  RETORT_TRY(result.pattern, text_at(json, "pattern", place + ".pattern", ""));
  if (result.pattern.empty() || result.pattern.size() > kMaxPattern)
    return bad(place + ".pattern", fmt::format("a regular expression of 1 to {} characters", kMaxPattern),
               fmt::format("{} characters", result.pattern.size()));
  try {
    const std::regex compiled(result.pattern, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    return bad(place + ".pattern", "an ECMAScript regular expression", result.pattern + ": " + error.what());
  }
  RETORT_TRY(const std::string type, text_at(json, "type", place + ".type", ""));
  const auto* traits = kernels::find_type(type);
  if (!traits || !can_become(traits->type)) return bad(place + ".type", type_choices(), "\"" + type + "\"");
  result.type = traits->type;
  return result;
}

Result<std::vector<TypeOverride>> read_overrides(const Json& stage, const std::string& place) {
  std::vector<TypeOverride> result;
  const auto overrides = stage.find("overrides");
  if (overrides == stage.end()) return result;
  if (!overrides->is_array() || overrides->size() > kMaxOverrides)
    return bad(place + ".overrides", fmt::format("a list of at most {} entries", kMaxOverrides), shown(*overrides));
  for (std::size_t i = 0; i < overrides->size(); ++i) {
    RETORT_TRY(auto entry, read_override((*overrides)[i], fmt::format("{}.overrides[{}]", place, i)));
    result.push_back(std::move(entry));
  }
  return result;
}

std::string level_choices() {
  std::vector<std::string_view> names;
  for (const Level& level : levels()) names.push_back(level.id);
  return fmt::format("one of {}", fmt::join(names, ", "));
}

Result<Stage> read_stage(const Json& json, const std::string& place) {
  RETORT_CHECK(only_keys(json, place, {"kind", "level", "importance", "overrides"}));
  Stage stage;
  RETORT_TRY(stage.kind, text_at(json, "kind", place + ".kind", "quantize"));
  if (stage.kind != "quantize") return bad(place + ".kind", "\"quantize\"", "\"" + stage.kind + "\"");
  RETORT_TRY(const std::string level, text_at(json, "level", place + ".level", ""));
  const Level* known = find_level(level);
  if (!known) return bad(place + ".level", level_choices(), level.empty() ? "nothing" : "\"" + level + "\"");
  stage.level = std::string(known->id);
  if (const auto importance = json.find("importance"); importance != json.end()) {
    if (!importance->is_boolean()) return bad(place + ".importance", "true or false", shown(*importance));
    stage.importance = importance->get<bool>();
  }
  RETORT_TRY(stage.overrides, read_overrides(json, place));
  return stage;
}

Json stages_to_json(const std::vector<Stage>& stages) {
  Json list = Json::array();
  for (const Stage& stage : stages) {
    Json json = {{"kind", stage.kind}, {"level", stage.level}, {"importance", stage.importance}};
    if (!stage.overrides.empty()) {
      Json overrides = Json::array();
      for (const TypeOverride& entry : stage.overrides)
        overrides.push_back({{"pattern", entry.pattern}, {"type", kernels::traits(entry.type).name}});
      json["overrides"] = std::move(overrides);
    }
    list.push_back(std::move(json));
  }
  return list;
}

// The distillation, with placeholders for what the study gives where the recipe is silent, so that all else can be checked.
Result<distill::DistillRecipe> read_student(const std::string& text) {
  const auto at_student = [](Error error) {
    error.place = "student." + error.place;
    return error;
  };
  auto student = distill::distill_recipe_from_json(text);
  if (!student) return at_student(student.error());
  if (student->teacher.empty()) student->teacher = "the source";
  if (student->data.train.empty() && student->data.unlabelled.empty()) student->data.train = "the study's";
  if (const auto checked = distill::check_recipe(*student); !checked) return at_student(checked.error());
  return student;
}

std::string stage_title(const distill::TrainStage& stage) {
  return std::string(distill::stage_name(stage.kind)) + (stage.level.empty() ? "" : " " + stage.level);
}

std::string student_name(const distill::DistillRecipe& student) {
  const std::size_t kept = student.student.kept.size();
  const std::int64_t layers = kept > 0 ? static_cast<std::int64_t>(kept) : student.student.layers;
  std::string name = layers > 0 ? fmt::format("student, {} layer{}", layers, layers == 1 ? "" : "s") : "student, all layers";
  if (student.student.trim_vocabulary) name += ", fewer pieces";
  for (std::size_t i = 0; i < student.stages.size(); ++i)
    if (student.stages[i].kind != distill::StageKind::kDistill) name += (i == 0 ? " · " : " → ") + stage_title(student.stages[i]);
  return name;
}

Result<Recipe> with_student(const Json& json, Recipe recipe) {
  const Json& student = json.at("student");
  if (!student.is_object()) return bad("student", "an object: a distillation recipe", shown(student));
  if (const auto stages = json.find("stages"); stages != json.end() && !(stages->is_array() && stages->empty()))
    return bad("stages", "none beside a student: its own stages do all", shown(*stages));
  recipe.student = formats::json_text(student);
  RETORT_TRY(const auto read, read_student(recipe.student));
  if (recipe.name.empty()) recipe.name = read.name.empty() ? student_name(read) : read.name;
  return recipe;
}

}  // namespace

std::string recipe_to_json(const Recipe& recipe) {
  Json json = {{"name", recipe.name}};
  if (recipe.student.empty()) {
    json["stages"] = stages_to_json(recipe.stages);
  } else {
    // What is no JSON goes as text, which recipe_from_json refuses by its place.
    Json student = Json::parse(recipe.student, nullptr, false);
    json["student"] = student.is_discarded() ? Json(recipe.student) : std::move(student);
    if (!recipe.stages.empty()) json["stages"] = stages_to_json(recipe.stages);
  }
  json["activations"] = recipe.activations;
  return formats::json_text(json, 2);
}

Result<Recipe> recipe_from_json(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    Error broken = bad("the document", "JSON", error.what());
    broken.offset = error.byte;
    return broken;
  }
  RETORT_CHECK(only_keys(json, "", {"name", "stages", "student", "activations", "$schema"}));
  Recipe recipe;
  RETORT_TRY(recipe.name, text_at(json, "name", "name", ""));
  RETORT_TRY(recipe.activations, text_at(json, "activations", "activations", "q8"));
  if (recipe.activations != "q8" && recipe.activations != "f32")
    return bad("activations", "\"q8\" or \"f32\"", "\"" + recipe.activations + "\"");
  if (json.contains("student")) return with_student(json, std::move(recipe));
  const auto stages = json.find("stages");
  if (stages == json.end() || !stages->is_array() || stages->size() > kMaxStages)
    return bad("stages", fmt::format("a list of at most {} stages", kMaxStages),
               stages == json.end() ? "nothing" : shown(*stages));
  for (std::size_t i = 0; i < stages->size(); ++i) {
    RETORT_TRY(auto stage, read_stage((*stages)[i], fmt::format("stages[{}]", i)));
    recipe.stages.push_back(std::move(stage));
  }
  if (recipe.stages.size() > 1)
    return bad("stages[1]", "one quantize stage: what is quantized is not quantized again", "a second one");
  if (recipe.name.empty())
    recipe.name = recipe.stages.empty() ? "as stored"
                                        : recipe.stages[0].level + (recipe.stages[0].importance ? " + importance matrix" : "");
  return recipe;
}

Digest recipe_digest(const Recipe& recipe) {
  DigestBuilder builder;
  builder.text("recipe 1").text(stages_to_json(recipe.stages).dump()).text(recipe.activations);
  if (!recipe.student.empty()) {
    builder.text("student");
    const auto student = distill::distill_recipe_from_json(recipe.student);
    if (!student) return std::move(builder.text(recipe.student)).finish();
    builder.digest(distill::distill_recipe_digest(*student));
    for (const auto* path : {&student->teacher, &student->data.train, &student->data.unlabelled, &student->data.validation})
      builder.text(path->string());
    // Digests of recipes that name neither stay what they were.
    if (!student->student.model.empty()) builder.text("parts").text(student->student.model.string());
    for (const distill::TeacherChoice& teacher : student->teachers) builder.text("teacher").text(teacher.model.string());
  }
  return builder.finish();
}

std::vector<std::string> student_stages(const Recipe& recipe) {
  std::vector<std::string> names;
  if (recipe.student.empty()) return names;
  const auto student = distill::distill_recipe_from_json(recipe.student);
  if (student)
    for (const distill::TrainStage& stage : student->stages) names.push_back(stage_title(stage));
  return names;
}

std::vector<Recipe> preset_recipes() {
  std::vector<Recipe> presets;
  for (const std::string_view id : {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K", "INT8"}) {
    const Level* level = find_level(id);
    if (!level) continue;
    Recipe recipe;
    recipe.stages.push_back(Stage{.kind = "quantize", .level = std::string(id), .importance = level->takes_importance,
                                  .overrides = {}});
    recipe.name = std::string(id) + (level->takes_importance ? " + importance matrix" : "");
    presets.push_back(std::move(recipe));
  }
  return presets;
}

}  // namespace retort
