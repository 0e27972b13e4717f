// Distillation in the window: the parameters agree with the recipe's reader, the designer's blocks with the design, the
// editor's two sides with each other; curves and staircases say what was measured; a study of a classifier shows nothing
// that it cannot have.
#include <QAbstractItemModelTester>
#include <QJsonDocument>
#include <QJsonObject>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QSettings>
#include <QSignalSpy>
#include <QTabWidget>
#include <QRegularExpression>
#include <QTemporaryDir>
#include <QtTest>

#include "own_settings.h"
#include "synthetic_study.h"
#include "ui/actions.h"
#include "ui/main_window.h"
#include "ui/models/distill_parameters.h"
#include "ui/models/parameter_model.h"
#include "ui/models/stage_steps.h"
#include "ui/models/student_shape.h"
#include "ui/models/training_curve.h"
#include "ui/pages/compare/compare_page.h"
#include "ui/pages/recipes/distill_card.h"
#include "ui/pages/recipes/proposal_bar.h"
#include "ui/pages/recipes/recipe_editor.h"
#include "ui/pages/recipes/recipes_page.h"
#include "ui/pages/recipes/stage_list.h"
#include "ui/pages/run/run_page.h"
#include "ui/plots/curve_chart.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/block_strips.h"
#include "ui/widgets/figure_tiles.h"
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

// What a test of a page needs around it.
struct Around {
  std::shared_ptr<test::SyntheticStudy> data = std::make_shared<test::SyntheticStudy>(test::classifierSnapshot());
  CoreApi api = test::syntheticApi(data);
  StudyService study{api};
  ModelService model{api};
  QWidget window;
  Selection selection;
  ActionRegistry actions{&window};
  Services services{study, model, selection, actions};
  Around() { study.openStudy(QStringLiteral("/tmp/classifier.retort")); }
};

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

class StudentsTest : public QObject {
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

  void theEditorsSidesFollowEachOther() {
    Around around;
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
    Around around;
    QTRY_VERIFY(around.study.snapshot());
    RecipesPage page(around.services, nullptr);
    page.resize(900, 700);
    page.show();
    page.setSnapshot(around.study.snapshot());
    QStringList headings;
    for (const TableView* table : page.findChildren<TableView*>())
      for (int row = 0; row < table->model()->rowCount(); ++row) {
        const QModelIndex index = table->model()->index(row, 0);
        if (index.flags() == Qt::ItemIsEnabled) headings << index.data().toString();
      }
    QCOMPARE(headings, (QStringList{QStringLiteral("Quantize"), QStringLiteral("Distill"), QStringLiteral("Combine")}));
    QVERIFY(!page.grab().isNull());
  }

  void aResumedCurveIsWhole() {
    RunRow row;
    row.total = 100;
    auto points = std::make_shared<std::vector<distill::CurvePoint>>(*test::lossCurve(60, 20));
    const auto again = test::lossCurve(80, 20);
    for (const distill::CurvePoint& point : *again)
      if (point.step > 40) points->push_back(point);   // went on from the state saved at step 40
    row.curve = points;
    row.state = JobState::kDone;
    const TrainingCurve curve = trainingCurve(row);
    QCOMPARE(curve.resumed, std::vector<std::int64_t>{41});
    QVERIFY(std::is_sorted(curve.samples.begin(), curve.samples.end(), [](const auto& a, const auto& b) { return a.step < b.step; }));
    QCOMPARE(curve.samples.size(), std::size_t(84));
    QVERIFY(curve.hasAccuracy && curve.hasDivergence);
    const QString said = curveSentence(curve, row);
    QVERIFY2(said.contains(QStringLiteral("stopped early")) && said.contains(QStringLiteral("resumed at step 41")), qPrintable(said));
    QCOMPARE(curve.best()->step, std::int64_t(80));
  }

  void theRunShowsItsCurve() {
    Around around;
    QTRY_VERIFY(around.study.snapshot());
    RunPage page(around.services, nullptr);
    page.resize(900, 700);
    page.show();
    page.setSnapshot(around.study.snapshot());
    auto* chart = page.findChild<CurveChart*>();
    QVERIFY(chart);
    QTRY_VERIFY(chart->isVisible());
    QCOMPARE(chart->order().size(), std::size_t(6));
    QTest::keyClick(chart, Qt::Key_Right);
    QVERIFY(chart->selected().has_value());
    QVERIFY(chart->table().rows.size() == 246);
    QVERIFY(!page.grab().isNull());
  }

  // Without a run in this session, curves are those that the study keeps of its stages.
  void aStudyOpenedLaterHasItsCurves() {
    Around around;
    QTRY_VERIFY(around.study.snapshot());
    StudySnapshot later = *around.study.snapshot();
    later.run.clear();
    later.running = false;
    later.candidates[3].stages[1].curve = test::lossCurve(120, 40);
    RunPage page(around.services, nullptr);
    page.resize(900, 700);
    page.show();
    page.setSnapshot(std::make_shared<const StudySnapshot>(later));
    auto* chart = page.findChild<CurveChart*>();
    QVERIFY(chart && chart->isVisible());
    QCOMPARE(chart->order().size(), std::size_t(3));
    QCOMPARE(chart->table().rows.size(), std::size_t(123));
  }

  void tenThousandStepsAreDrawnAtOnce() {
    RunRow row;
    row.total = 10000;
    row.curve = test::lossCurve(10000, 100);
    CurveChart chart;
    chart.resize(900, 300);
    chart.setCurve(trainingCurve(row));
    QImage image(900, 300, QImage::Format_RGB32);
    chart.render(&image);
    QElapsedTimer timer;
    timer.start();
    for (int i = 0; i < 10; ++i) chart.render(&image);
    qInfo("%.1f ms a picture", static_cast<double>(timer.elapsed()) / 10);   // printed, not judged
    QVERIFY(!image.isNull());
  }

  void stairsTellWhatEachStageKept() {
    const StudySnapshot study = test::classifierSnapshot();
    const StageSteps steps = stageSteps(study.candidates[3]);
    QCOMPARE(steps.treads.size(), std::size_t(4));
    QCOMPARE(steps.measure.scale, 100.0);
    QVERIFY(!steps.measure.logarithmic);
    QVERIFY(steps.treads[2].warns && !steps.treads[1].warns);
    QCOMPARE(steps.warnings.size(), 1);
    QVERIFY(steps.facts.contains(QStringLiteral("latency")));
    QVERIFY(stageSteps(study.candidates[0]).treads.empty());
  }

  void aClassifierShowsWhatItHas() {
    Around around;
    QTRY_VERIFY(around.study.snapshot());
    ComparePage page(around.services, nullptr);
    page.resize(1000, 760);
    page.show();
    page.setSnapshot(around.study.snapshot());
    QTRY_VERIFY(page.isSettled());
    auto* table = page.findChild<QTableView*>(QStringLiteral("candidates"));
    QStringList titles;
    for (int column = 0; column < table->model()->columnCount(); ++column) titles << table->model()->headerData(column, Qt::Horizontal).toString().section(QLatin1Char('\n'), 0, 0);
    QVERIFY2(titles.contains(QStringLiteral("Right")) && titles.contains(QStringLiteral("Macro F1")) && titles.contains(QStringLiteral("p50")), qPrintable(titles.join(QLatin1Char(' '))));
    QVERIFY2(!titles.contains(QStringLiteral("Perplexity")) && !titles.contains(QStringLiteral("Decode")) && !titles.contains(QStringLiteral("First")), qPrintable(titles.join(QLatin1Char(' '))));
    auto* tabs = page.findChild<QTabWidget*>(QStringLiteral("lossTabs"));
    around.selection.setCandidate(4);
    for (const char* part : {"stairs", "stages", "layers", "difficulty", "slices", "flips", "table"}) {
      page.showPart(QString::fromLatin1(part));
      QVERIFY2(!page.grab().isNull(), part);
    }
    page.showPart(QStringLiteral("stages"));
    QCOMPARE(tabs->tabText(tabs->currentIndex()), QStringLiteral("Stages"));
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

  // The whole window on a study of a real classifier; with RETORT_PICTURES its pages are saved there, to be looked at.
  void theWindowShowsAStudent() {
    const QString shared = qEnvironmentVariable("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED is not set");
    StudySnapshot snapshot = test::classifierSnapshot();
    snapshot.source->path = (shared + QStringLiteral("/models/minilm-sst2")).toStdString();
    snapshot.candidates[3].recipe.student = R"({"student": {"layers": 3, "trim_vocabulary": true, "most_pieces": 8000}, "data": {"max_tokens": 64},
      "loss": {"cross_entropy": 0.2, "forward_kl": 0.8, "temperature": 2}, "training": {"steps": 2000, "batch": 32, "rate": 1.5e-4},
      "stages": [{"kind": "distill"}, {"kind": "quantize", "level": "INT8"}, {"kind": "repair", "steps": 200}]})";
    auto data = std::make_shared<test::SyntheticStudy>(snapshot);
    CoreApi api = test::syntheticApi(data);
    const CoreApi real = coreApi();
    api.openModel = real.openModel;
    api.planLevel = real.planLevel;
    api.predictStudent = real.predictStudent;
    api.proposeStudents = real.proposeStudents;
    StudyService study(api);
    ModelService model(api);
    MainWindow window(study, model);
    window.resize(1280, 800);
    window.show();
    study.openStudy(QStringLiteral("/tmp/classifier.retort"));
    QTRY_VERIFY_WITH_TIMEOUT(model.loaded(), 20000);
    window.showPage(QStringLiteral("recipes"));
    window.selection().setCandidate(4);
    auto* blocks = window.findChild<BlockStrips*>();
    QVERIFY(blocks);
    QTRY_COMPARE(blocks->rows().size(), std::size_t(4));
    auto* figures = window.findChild<FigureTiles*>();
    QTRY_COMPARE_WITH_TIMEOUT(figures->tiles().size(), std::size_t(4), 5000);
    auto* bar = window.findChild<ProposalBar*>();
    bar->findChild<QLineEdit*>()->setText(QStringLiteral("8"));
    bar->findChild<QPushButton*>()->click();
    QTRY_VERIFY_WITH_TIMEOUT(bar->findChildren<QPushButton*>().size() > 2, 20000);
    bar->findChildren<QPushButton*>()[1]->click();
    QTRY_VERIFY_WITH_TIMEOUT(figures->tiles().size() == 4 && figures->tiles()[1].figure.unit == QStringLiteral("MB") && figures->tiles()[1].figure.value.toDouble() <= 8, 5000);
    const QString folder = qEnvironmentVariable("RETORT_PICTURES");
    const std::pair<const char*, std::vector<const char*>> shots[] = {{"recipes", {"", "teachers", "loss", "training", "data", "stages", "json"}}, {"run", {""}}, {"compare", {"table", "stages", "stairs", "slices", "flips", "difficulty"}}, {"try", {""}}, {"export", {""}}, {"data", {""}}};
    for (const auto mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
      Theme::instance().setMode(mode);
      for (const auto& [id, parts] : shots)
        for (const char* part : parts) {
          window.showPage(QLatin1String(id));
          window.page(QLatin1String(id))->showPart(QLatin1String(part));
          QTest::qWait(folder.isEmpty() ? 20 : 400);
          const QPixmap picture = window.grab();
          QVERIFY(!picture.isNull());
          // Between the cards stands the ground, in the theme's colour at once.
          QCOMPARE(picture.toImage().pixelColor(145, 120).name(), color(Role::Surface).name());
          if (!folder.isEmpty()) picture.save(QStringLiteral("%1/%2-%3%4.png").arg(folder, QLatin1String(id), QLatin1String(*part ? part : "page"), mode == Theme::Mode::Dark ? QStringLiteral("-dark") : QString()));
        }
    }
    Theme::instance().setMode(Theme::Mode::System);
  }
};

QTEST_MAIN(StudentsTest)
#include "students_test.moc"
