// The designer of students: its parameters agree with the recipe's reader, its blocks with the design, its two sides with each
// other; it proposes students for a limit.
#include <QAbstractItemModelTester>
#include <QFileDialog>
#include <QJsonDocument>
#include <QJsonObject>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QRegularExpression>
#include <QSignalSpy>
#include <QTimer>
#include <QToolButton>
#include <QtTest>

#include "around_page.h"
#include "own_settings.h"
#include "ui/models/distill_parameters.h"
#include "ui/models/parameter_model.h"
#include "ui/models/student_shape.h"
#include "ui/pages/recipes/distill_card.h"
#include "ui/pages/recipes/parameter_table.h"
#include "ui/pages/recipes/proposal_bar.h"
#include "ui/pages/recipes/recipe_editor.h"
#include "ui/pages/recipes/recipes_page.h"
#include "ui/pages/recipes/stage_list.h"
#include "ui/widgets/block_strips.h"
#include "ui/widgets/table.h"

using namespace retort;
using namespace retort::ui;

namespace {

TeacherShape teacher() {
  TeacherShape shape;
  shape.layers = 6;
  shape.heads = 12;
  shape.hidden = 384;
  shape.headSize = 32;
  shape.feedForward = 1536;
  shape.vocabulary = 30522;
  shape.kind = SourceKind::kClassifier;
  shape.tied = true;
  return shape;
}

using Group = DistillParameter::Group;
constexpr Group kGroups[] = {Group::Student, Group::Teachers, Group::Loss, Group::Training, Group::Data, Group::Stages};

// A recipe with something in every list.
distill::DistillRecipe fullRecipe() {
  distill::DistillRecipe recipe;
  recipe.teachers = {{"a", 2}, {"b", 0.5}};
  recipe.stages.clear();
  for (const auto kind : {distill::StageKind::kProbe, distill::StageKind::kDistill, distill::StageKind::kQat, distill::StageKind::kQuantize, distill::StageKind::kRepair}) {
    distill::TrainStage stage;
    stage.kind = kind;
    if (kind == distill::StageKind::kQat || kind == distill::StageKind::kQuantize) stage.level = "INT4";
    recipe.stages.push_back(stage);
  }
  return recipe;
}

// The keys that the reader knows in an object of a recipe, as its own refusal of another one lists them.
QStringList knownKeys(const std::string& json) {
  const auto refused = distill::distill_recipe_from_json(json);
  if (refused.ok()) return {};
  QString names = QString::fromStdString(refused.error().expected);
  return names.startsWith(QStringLiteral("one of ")) ? names.mid(7).split(QStringLiteral(", ")) : QStringList();
}

const DistillParameter* rowOf(const std::vector<DistillParameter>& rows, const char* place) {
  for (const DistillParameter& p : rows)
    if (p.place == QLatin1String(place)) return &p;
  return nullptr;
}

}  // namespace

class DesignerTest : public QObject {
  Q_OBJECT
  test::OwnSettings m_settings;

 private slots:
  // Every parameter that the editor shows is one of the recipe, and its whole range is one that the reader takes.
  void rangesAreThoseOfTheReader() {
    std::vector<DistillParameter> all;
    for (const Group group : kGroups)
      for (DistillParameter& p : distillParameters(group, fullRecipe())) all.push_back(std::move(p));
    for (const DistillParameter& p : all) {
      if (p.kind == DistillParameter::Kind::Path || p.kind == DistillParameter::Kind::Heading) continue;
      std::vector<QVariant> values{p.standard()};
      if (p.kind == DistillParameter::Kind::Choice)
        for (const QString& one : p.choices) values.push_back(one);
      else if (p.kind == DistillParameter::Kind::Flag) values.insert(values.end(), {true, false});
      else values.insert(values.end(), {p.low, p.high > 0 ? p.high : 1000});
      for (const QVariant& value : values) {
        distill::DistillRecipe recipe = fullRecipe();
        p.set(recipe, value);
        QCOMPARE(p.get(recipe), value);
        QCOMPARE(p.parse(p.text(value)).value_or(QVariant()), value);
        const auto read = distill::distill_recipe_from_json(distill::distill_recipe_to_json(recipe));
        QVERIFY2(read.ok(), qPrintable(p.place + QLatin1Char(' ') + value.toString()));
        QCOMPARE(p.get(*read), value);
      }
      QVERIFY2(!p.title.isEmpty() && !p.explanation.isEmpty() && !p.range().isEmpty(), qPrintable(p.place));
    }
  }

  // What the recipe's reader knows has a row in the editor, or is edited beside the rows.
  void everyKeyOfTheRecipeHasARow() {
    const QStringList elsewhere{QStringLiteral("name"),            // the recipe's own, in the editor's head
                                QStringLiteral("student.kept"),    // the designer's blocks
                                QStringLiteral("teachers"), QStringLiteral("stages"),   // lists: their entries have rows
                                QStringLiteral("stages[].kind"), QStringLiteral("stages[].level")};   // the cards of the stages
    static const QRegularExpression number(QStringLiteral("\\[\\d+\\]"));
    QStringList rows;
    for (const Group group : kGroups)
      for (const DistillParameter& p : distillParameters(group, fullRecipe()))
        if (p.kind != DistillParameter::Kind::Heading) rows << QString(p.place).replace(number, QStringLiteral("[]"));
    QStringList known = knownKeys(R"({"?": 1})");
    const auto add = [&](const QString& before, const QStringList& keys) {
      QVERIFY2(!keys.isEmpty(), qPrintable(before));
      for (const QString& key : keys) known << before + key;
    };
    const QJsonObject json = QJsonDocument::fromJson(QByteArray::fromStdString(distill::distill_recipe_to_json(fullRecipe()))).object();
    for (const QString& name : json.keys())
      if (json[name].isObject()) add(name + QLatin1Char('.'), knownKeys(QStringLiteral("{\"%1\": {\"?\": 1}}").arg(name).toStdString()));
    add(QStringLiteral("stages[]."), knownKeys(R"({"stages": [{"kind": "distill", "?": 1}]})"));
    add(QStringLiteral("teachers[]."), knownKeys(R"({"teachers": [{"model": "a", "?": 1}]})"));
    QVERIFY(known.contains(QStringLiteral("loss.top")) && known.contains(QStringLiteral("stages[].new_codes")) && known.contains(QStringLiteral("teachers[].weight")) && known.contains(QStringLiteral("on_policy.share")));
    for (const QString& key : known) QVERIFY2(rows.contains(key) != elsewhere.contains(key), qPrintable(key));
    for (const QString& row : rows) QVERIFY2(known.contains(row), qPrintable(row));   // and no row that is none of the recipe's
  }

  void rowsThatCanDoNothingSayWhy() {
    TeacherShape classifier = teacher(), language = teacher();
    language.kind = SourceKind::kLanguageModel;
    const auto reason = [](Group group, const char* place, const distill::DistillRecipe& recipe, const TeacherShape* shape) {
      const auto rows = distillParameters(group, recipe);
      const DistillParameter* const p = rowOf(rows, place);
      return p ? p->idle ? p->idle(recipe, shape) : QString() : QStringLiteral("no row");
    };
    distill::DistillRecipe recipe;
    QVERIFY(reason(Group::Teachers, "data.contradicted_weight", recipe, &classifier).isEmpty());
    QVERIFY(!reason(Group::Teachers, "data.contradicted_weight", recipe, &language).isEmpty());
    QVERIFY(!reason(Group::Teachers, "loss.top", recipe, &classifier).isEmpty() && reason(Group::Teachers, "loss.top", recipe, &language).isEmpty());
    QVERIFY(!reason(Group::Teachers, "on_policy.share", recipe, &classifier).isEmpty() && reason(Group::Teachers, "on_policy.share", recipe, &language).isEmpty());
    QVERIFY(!reason(Group::Teachers, "on_policy.tokens", recipe, &language).isEmpty());
    recipe.on_policy.share = 0.5;
    QVERIFY(reason(Group::Teachers, "on_policy.tokens", recipe, &language).isEmpty());
    QVERIFY(!reason(Group::Teachers, "mixing", recipe, nullptr).isEmpty());
    QVERIFY(reason(Group::Teachers, "mixing", fullRecipe(), nullptr).isEmpty());
    QVERIFY(reason(Group::Stages, "stages[2].group", fullRecipe(), &classifier).isEmpty());
    recipe = fullRecipe();
    recipe.stages[2].level = "Q4_K_M";
    QVERIFY(!reason(Group::Stages, "stages[2].group", recipe, &classifier).isEmpty());
    QVERIFY(!reason(Group::Stages, "stages[2].importance", recipe, &classifier).isEmpty() && reason(Group::Stages, "stages[2].importance", recipe, &language).isEmpty());
    // Where nothing is known of the model, nothing is held against a row.
    QVERIFY(reason(Group::Teachers, "loss.top", {}, nullptr).isEmpty());
    // Such a row takes nothing new, but gives its default back.
    ParameterModel model(Group::Teachers);
    recipe = {};
    recipe.loss.top = 32;
    model.setRecipe(recipe, classifier);
    const QModelIndex top = model.index(model.rowOf(QStringLiteral("loss.top")), ParameterModel::Value);
    QSignalSpy refused(&model, &ParameterModel::refused);
    QVERIFY(!model.setData(top, QStringLiteral("64"), Qt::EditRole));
    QCOMPARE(refused.count(), 1);
    QVERIFY(model.setData(top, QStringLiteral("0"), Qt::EditRole));
    QCOMPARE(model.recipe().loss.top, std::int64_t(0));
    QVERIFY(!model.flags(top).testFlag(Qt::ItemIsEditable));
  }

  void teachersComeAndGo() {
    ParameterModel model(Group::Teachers);
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    distill::DistillRecipe recipe;
    recipe.teachers = {{"/m/one", 1}, {"/m/two", 3}};
    recipe.loss.by_agreement = true;
    model.setRecipe(recipe);
    const int rows = model.rowCount();
    const auto at = [&](const char* place) { return model.index(model.rowOf(QLatin1String(place)), ParameterModel::Value); };
    QVERIFY(model.setData(at("teachers[0].weight"), QStringLiteral("0.25"), Qt::EditRole));
    QVERIFY(!model.setData(at("teachers[0].weight"), QStringLiteral("0"), Qt::EditRole));
    QVERIFY(model.setData(at("teachers[0].model"), QString(), Qt::EditRole));   // emptied, it goes
    QCOMPARE(model.rowCount(), rows - 2);
    QCOMPARE(model.recipe().teachers.size(), std::size_t(1));
    QCOMPARE(model.recipe().teachers[0].weight, 3.0);
    QVERIFY(model.recipe().loss.by_agreement);
    QVERIFY(model.setData(at("teachers[0].model"), QString(), Qt::EditRole));
    QVERIFY(model.recipe().teachers.empty() && !model.recipe().loss.by_agreement);
  }

  void whatIsTypedIsChecked() {
    ParameterModel model(DistillParameter::Group::Loss);
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    int row = 0;
    while (model.parameter(row).place != QStringLiteral("loss.temperature")) ++row;
    const QModelIndex value = model.index(row, ParameterModel::Value);
    QSignalSpy refused(&model, &ParameterModel::refused), edited(&model, &ParameterModel::edited);
    QVERIFY(!model.setData(value, QStringLiteral("21"), Qt::EditRole));
    QVERIFY(!model.setData(value, QStringLiteral("warm"), Qt::EditRole));
    QCOMPARE(refused.count(), 2);
    QVERIFY(refused[0][0].toString().contains(QStringLiteral("1 to 20")));
    QVERIFY(model.setData(value, QStringLiteral("4,5"), Qt::EditRole));
    QCOMPARE(model.recipe().loss.logits.temperature, 4.5);
    QVERIFY(model.isChanged(row));
    QCOMPARE(edited.count(), 1);
    ParameterModel training(DistillParameter::Group::Training);
    QVERIFY(!training.setData(training.index(1, ParameterModel::Value), QStringLiteral("2.5"), Qt::EditRole));   // steps are whole
    QVERIFY(training.setData(training.index(4, ParameterModel::Value), QStringLiteral("1.5e-4"), Qt::EditRole));
    QCOMPARE(training.recipe().training.rate, 1.5e-4);
  }

  void blocksFollowTheDesign() {
    distill::StudentDesign design;
    design.layers = 3;
    QCOMPARE(keptLayers(teacher(), design).size(), std::size_t(3));
    design = withLayerToggled(teacher(), design, keptLayers(teacher(), design).front());
    QCOMPARE(design.kept.size(), std::size_t(2));
    QCOMPARE(design.layers, std::int64_t(0));
    for (const std::int64_t layer : std::vector<std::int64_t>(design.kept)) design = withLayerToggled(teacher(), design, layer);
    QCOMPARE(design.kept.size(), std::size_t(1));   // the last one stays
    const std::int64_t last = design.kept.front();
    for (std::int64_t i = 0; i < 6; ++i)
      if (i != last) design = withLayerToggled(teacher(), design, i);
    QVERIFY(design.kept.empty() && design.layers == 0);   // all of them: as the teacher
    design = withCount(teacher(), {}, ShapeRow::Heads, 6);
    QCOMPARE(design.heads, std::int64_t(6));
    QCOMPARE(design.hidden, std::int64_t(192));   // an encoder's width goes with its heads
    design = withCount(teacher(), design, ShapeRow::Heads, 12);
    QVERIFY(design.heads == 0 && design.hidden == 0);
    design = withCount(teacher(), design, ShapeRow::Vocabulary, 4);
    QVERIFY(design.trim_vocabulary && design.most_pieces == 30522 / 4);
    std::vector<ShapeRow> which;
    const auto rows = blockRows(teacher(), design, which);
    QCOMPARE(rows.size(), which.size());
    QCOMPARE(std::count(rows.back().kept.begin(), rows.back().kept.end(), true), std::ptrdiff_t(4));
    TeacherShape decoder = teacher();
    decoder.vocabularyProblem = QStringLiteral("no");
    QVERIFY(!blockRows(decoder, {}, which).back().problem.isEmpty());
  }

  void blocksAreWorkedByKeysAndClicks() {
    BlockStrips strips(QStringLiteral("designer"));
    std::vector<ShapeRow> which;
    strips.setRows(blockRows(teacher(), {}, which));
    strips.resize(500, strips.sizeHint().height());
    strips.show();
    QSignalSpy toggled(&strips, &BlockStrips::toggled), counted(&strips, &BlockStrips::countWanted);
    strips.setFocus();
    QTest::keyClick(&strips, Qt::Key_Right);
    QTest::keyClick(&strips, Qt::Key_Space);
    QCOMPARE(toggled.count(), 1);
    QCOMPARE(toggled[0][1].toInt(), 1);
    QTest::keyClick(&strips, Qt::Key_Minus);
    QCOMPARE(counted[0][1].toInt(), 5);
    QTest::keyClick(&strips, Qt::Key_Down);
    QTest::keyClick(&strips, Qt::Key_End);
    QTest::keyClick(&strips, Qt::Key_Space);   // the last block that stays: taken away
    QCOMPARE(counted[1][0].toInt(), 1);
    QCOMPARE(counted[1][1].toInt(), 11);
    QTest::mouseClick(&strips, Qt::LeftButton, {}, QPoint(100, 14));
    QCOMPARE(toggled.count(), 2);
    QVERIFY(strips.accessibleDescription().contains(QStringLiteral("Layers")));
  }

  void stagesKeepTheirOrder() {
    StageList list({{QStringLiteral("8-bit · INT8"), QStringLiteral("INT8")}, {QStringLiteral("4-bit · Q4_K_M"), QStringLiteral("Q4_K_M")}});
    distill::TrainStage distillation, packed, repair;
    packed.kind = distill::StageKind::kQuantize;
    packed.level = "INT8";
    repair.kind = distill::StageKind::kRepair;
    QSignalSpy edited(&list, &StageList::edited);
    list.setStages({distillation, packed, repair});
    QCOMPARE(edited.count(), 0);
    list.resize(500, 200);
    list.show();
    for (QLineEdit* line : list.findChildren<QLineEdit*>())
      if (line->accessibleName().contains(QStringLiteral("Steps of stage 3"))) {
        line->setText(QStringLiteral("40"));
        emit line->editingFinished();
      }
    QCOMPARE(list.stages()[2].steps, std::int64_t(40));
    for (QToolButton* button : list.findChildren<QToolButton*>())
      if (button->accessibleName() == QStringLiteral("Remove stage 2")) button->click();
    QCOMPARE(list.stages().size(), std::size_t(1));   // nothing is packed any more, so there is nothing to repair
  }

  void aFileIsLookedForByKey() {
    ParameterTable table(QStringLiteral("Data"), Group::Data);
    table.parameters().setRecipe({});
    const auto rows = distillParameters(Group::Data, {});
    const auto path = std::find_if(rows.begin(), rows.end(), [](const DistillParameter& p) { return p.kind == DistillParameter::Kind::Path; });
    QVERIFY(path != rows.end());
    table.show();
    table.showPlace(path->place);
    bool asked = false;
    QTimer answer;
    connect(&answer, &QTimer::timeout, &answer, [&] {
      auto* const files = qobject_cast<QFileDialog*>(QApplication::activeModalWidget());
      if (!files) return;
      asked = true;
      files->reject();
    });
    answer.start(10);
    QTest::keyClick(&table, Qt::Key_F4);
    QVERIFY(asked);
    QVERIFY(path->get(table.parameters().recipe()).toString().isEmpty());
  }

  void theEditorsSidesFollowEachOther() {
    test::Around around;
    QTRY_VERIFY(around.study.snapshot());
    RecipeEditor editor(around.study, around.model);
    editor.resize(520, 700);
    editor.show();
    const CandidateInfo& candidate = around.study.snapshot()->candidates[3];
    editor.edit(candidate.id, candidate.recipe, {});
    auto* card = editor.findChild<DistillCard*>();
    QVERIFY(card);
    QCOMPARE(card->recipe().student.layers, std::int64_t(3));
    for (const char* tab : {"teachers", "loss", "training", "data", "stages", "student"}) card->showTab(QString::fromLatin1(tab));
    auto* json = editor.findChild<QPlainTextEdit*>();
    QString text = json->toPlainText();
    QVERIFY(text.contains(QStringLiteral("\"layers\": 3")));
    json->setPlainText(text.replace(QStringLiteral("\"layers\": 3"), QStringLiteral("\"layers\": 2")));
    QCOMPARE(card->recipe().student.layers, std::int64_t(2));
    QVERIFY(editor.isEdited());
    distill::DistillRecipe other = card->recipe();
    other.loss.logits.temperature = 3;
    emit card->edited(other);
    QVERIFY2(json->toPlainText().contains(QStringLiteral("\"temperature\": 3")), qPrintable(json->toPlainText()));
    editor.undo();
    QVERIFY(!json->toPlainText().contains(QStringLiteral("\"temperature\": 3")));
    editor.undo();
    QCOMPARE(card->recipe().student.layers, std::int64_t(3));
    QVERIFY(!editor.canUndo());
    // A recipe of a level takes the other card.
    Recipe plain;
    plain.name = "Q8_0";
    plain.stages.push_back({.kind = "quantize", .level = "Q8_0", .importance = false, .overrides = {}});
    editor.edit({}, plain, {});
    QVERIFY(!card->isVisible());
  }

  void presetsStandInTheirGroups() {
    test::Around around;
    QTRY_VERIFY(around.study.snapshot());
    const auto shown = around.shown<RecipesPage>(900, 700);
    RecipesPage& page = *shown;
    QStringList headings;
    for (const TableView* table : page.findChildren<TableView*>())
      for (int row = 0; row < table->model()->rowCount(); ++row) {
        const QModelIndex index = table->model()->index(row, 0);
        if (index.flags() == Qt::ItemIsEnabled) headings << index.data().toString();
      }
    QCOMPARE(headings, (QStringList{QStringLiteral("Quantize"), QStringLiteral("Distill"), QStringLiteral("Combine")}));
    QVERIFY(!page.grab().isNull());
  }

  // A limit is asked of core as it stands in the line; what is proposed stands below, and a click hands it on.
  void studentsAreProposedForALimit() {
    CoreApi api = test::syntheticApi(std::make_shared<test::SyntheticStudy>(test::classifierSnapshot()));
    distill::StudentTarget asked;
    api.proposeStudents = [&asked](const Model&, const distill::DistillRecipe&, const distill::StudentTarget& target, int, std::size_t) -> Result<std::vector<distill::StudentProposal>> {
      asked = target;
      if (target.bytes < 1'000'000) return std::vector<distill::StudentProposal>{};
      distill::StudentProposal proposal{.student = {.layers = 3}, .stages = {{.kind = distill::StageKind::kQuantize, .level = "INT8"}}, .type = "source", .prediction = {}};
      proposal.prediction.bytes = 7'000'000;
      return std::vector{proposal};
    };
    StudyService study(api);
    ProposalBar bar(study);
    auto* line = bar.findChild<QLineEdit*>();
    auto* button = bar.findChild<QPushButton*>();
    const auto says = [&](const QString& text) {
      for (const QLabel* label : bar.findChildren<QLabel*>())
        if (label->text().contains(text)) return true;
      return false;
    };
    line->setText(QStringLiteral("20"));
    button->click();
    QVERIFY(says(QStringLiteral("isn't read yet")));
    auto loaded = std::make_shared<LoadedModel>();
    loaded->model = std::make_shared<Model>();
    bar.setSource(loaded, {});
    for (const char* wrong : {"", "-3", "many"}) {
      line->setText(QLatin1String(wrong));
      button->click();
      QVERIFY(says(QStringLiteral("above 0")));
    }
    line->setText(QStringLiteral("7,5"));
    button->click();
    QTRY_COMPARE(bar.findChildren<QPushButton*>().size(), 2);
    QCOMPARE(asked.bytes, std::uint64_t{7'500'000});
    QSignalSpy chosen(&bar, &ProposalBar::chosen);
    QPushButton* row = bar.findChildren<QPushButton*>().back();
    QVERIFY2(row->text().startsWith(QStringLiteral("3 layers, INT8")), qPrintable(row->text()));
    row->click();
    QCOMPARE(chosen.count(), 1);
    line->setText(QStringLiteral("0.5"));
    button->click();
    QTRY_VERIFY(says(QStringLiteral("Nothing fits")));
  }
};

QTEST_MAIN(DesignerTest)
#include "designer_test.moc"
