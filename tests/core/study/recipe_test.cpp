// Recipes: there and back, and errors that name the place.
#include <QtTest>

#include "core/base/error_text.h"
#include "core/study/recipe.h"

using namespace retort;

class RecipeTest : public QObject {
  Q_OBJECT
 private slots:
  void goes_there_and_back();
  void students_go_there_and_back();
  void names_what_is_wrong_data();
  void names_what_is_wrong();
  void presets_are_valid();
  void digest_ignores_the_name();
};

void RecipeTest::goes_there_and_back() {
  Recipe recipe;
  recipe.name = "mine \"q\"";
  recipe.activations = "f32";
  recipe.stages.push_back({"quantize", "Q4_K_M", true, {{"ffn_down", kernels::TensorType::kQ6_K}}});
  const std::string json = recipe_to_json(recipe);
  const auto back = recipe_from_json(json);
  QVERIFY2(back.ok(), back.ok() ? "" : error_text(back.error()).c_str());
  QCOMPARE(recipe_to_json(*back), json);
  QCOMPARE(back->stages[0].overrides[0].type, kernels::TensorType::kQ6_K);
  QVERIFY(recipe_from_json("{\"stages\": []}").ok());
  QCOMPARE(recipe_from_json("{\"stages\": []}")->name, std::string("as stored"));
}

void RecipeTest::students_go_there_and_back() {
  const char* const text = R"({"student": {"student": {"layers": 3}, "training": {"steps": 20},
    "stages": [{"kind": "distill"}, {"kind": "quantize", "level": "INT8"}, {"kind": "repair", "steps": 5}]}})";
  const auto recipe = recipe_from_json(text);
  QVERIFY2(recipe.ok(), recipe.ok() ? "" : error_text(recipe.error()).c_str());
  QVERIFY(recipe->stages.empty());
  QCOMPARE(recipe->name, std::string("student, 3 layers → quantize INT8 → repair"));
  const std::vector<std::string> stages = {"distill", "quantize INT8", "repair"};
  QCOMPARE(student_stages(*recipe), stages);
  const std::string json = recipe_to_json(*recipe);
  const auto back = recipe_from_json(json);
  QVERIFY(back.ok());
  QCOMPARE(recipe_to_json(*back), json);
  QCOMPARE(back->student, recipe->student);
  QCOMPARE(recipe_digest(*back), recipe_digest(*recipe));
  Recipe other = *recipe;
  other.student = R"({"student": {"layers": 2}})";
  QVERIFY(recipe_digest(other) != recipe_digest(*recipe));
  // What is no recipe cannot pass by going there and back.
  other.student = "{";
  QCOMPARE(recipe_from_json(recipe_to_json(other)).error().place, std::string("student"));
  QVERIFY(student_stages(Recipe()).empty());
}

void RecipeTest::names_what_is_wrong_data() {
  QTest::addColumn<QString>("json");
  QTest::addColumn<QString>("place");
  const auto row = [](const char* json, const char* place) { QTest::newRow(json) << json << place; };
  row("{", "the document");
  row("[]", "the document");
  row("{}", "stages");
  row(R"({"stages": 3})", "stages");
  row(R"({"stages": [], "extra": 1})", "extra");
  row(R"({"stages": [], "activations": "f16"})", "activations");
  row(R"({"stages": [5]})", "stages[0]");
  row(R"({"stages": [{"kind": "bake"}]})", "stages[0].kind");
  row(R"({"stages": [{"level": "Q9"}]})", "stages[0].level");
  row(R"({"stages": [{"level": 4}]})", "stages[0].level");
  row(R"({"stages": [{"level": "Q4_0", "importance": 1}]})", "stages[0].importance");
  row(R"({"stages": [{"level": "Q4_0", "overrides": {}}]})", "stages[0].overrides");
  row(R"({"stages": [{"level": "Q4_0", "overrides": [{"pattern": "(", "type": "Q8_0"}]}]})", "stages[0].overrides[0].pattern");
  row(R"({"stages": [{"level": "Q4_0", "overrides": [{"pattern": "a", "type": "I32"}]}]})", "stages[0].overrides[0].type");
  row(R"({"stages": [{"level": "Q4_0"}, {"level": "Q4_0"}]})", "stages[1]");
  row(R"({"student": []})", "student");
  row(R"({"student": {"pupil": 1}})", "student.pupil");
  row(R"({"student": {"student": {"layers": -1}}})", "student.student.layers");
  row(R"({"student": {"stages": [{"kind": "repair"}]}})", "student.stages[0].kind");
  row(R"({"student": {}, "stages": [{"level": "Q4_0"}]})", "stages");
}

void RecipeTest::names_what_is_wrong() {
  QFETCH(QString, json);
  QFETCH(QString, place);
  const auto recipe = recipe_from_json(json.toStdString());
  QVERIFY(!recipe.ok());
  QCOMPARE(recipe.error().code, ErrorCode::kBadRecipe);
  QCOMPARE(QString::fromStdString(recipe.error().place), place);
  QVERIFY(!recipe.error().expected.empty());
}

void RecipeTest::presets_are_valid() {
  const auto presets = preset_recipes();
  QCOMPARE(presets.size(), std::size_t(8));
  for (const Recipe& preset : presets) {
    const auto back = recipe_from_json(recipe_to_json(preset));
    QVERIFY(back.ok());
    QCOMPARE(recipe_digest(*back), recipe_digest(preset));
  }
  QVERIFY(recipe_digest(presets[0]) != recipe_digest(presets[1]));
}

void RecipeTest::digest_ignores_the_name() {
  Recipe one = preset_recipes().front(), other = one;
  other.name = "another";
  QCOMPARE(recipe_digest(one), recipe_digest(other));
  other.activations = "f32";
  QVERIFY(recipe_digest(one) != recipe_digest(other));
}

QTEST_APPLESS_MAIN(RecipeTest)
#include "recipe_test.moc"
