#include <QtTest>

#include <QTemporaryDir>

#include "core/base/error_text.h"
#include "core/base/files.h"
#include "core/evaluate/data_set.h"

using namespace retort;

class DataSetTest : public QObject {
  Q_OBJECT
  QTemporaryDir folder_;

  std::filesystem::path write(const char* name, std::string_view text) {
    const std::filesystem::path path = std::filesystem::path(folder_.path().toStdString()) / name;
    if (!write_text_file(path, text)) qFatal("cannot write");
    return path;
  }

 private slots:
  void readsEveryForm() {
    const auto text = read_data(write("plain.txt", "Two\n\nparagraphs."));
    QVERIFY(text.ok() && text->front().kind == DataKind::kText);
    QCOMPARE(text->front().joined_text(), std::string("Two\n\nparagraphs."));

    const auto lines = read_data(write("texts.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n"));
    QVERIFY(lines.ok());
    QCOMPARE(lines->front().joined_text(), std::string("a\n\nb"));

    const auto choice = read_data(write("choice.jsonl", R"({"context": "q", "choices": ["x", "y"], "answer": 1, "kind": "k"})"));
    QVERIFY(choice.ok() && choice->front().kind == DataKind::kChoice);
    QCOMPARE(choice->front().examples[0].answer, 1);
    QCOMPARE(choice->front().examples[0].group, std::string("k"));

    const auto exact = read_data(write("exact.jsonl", "{\"prompt\": \"1+1=\", \"answer\": 2}\n{\"question\": \"q\", \"answer\": \"a\"}"));
    QVERIFY(exact.ok() && exact->front().kind == DataKind::kExact);
    QCOMPARE(exact->front().examples[0].target, std::string("2"));

    const auto word = read_data(write("word.jsonl", R"({"context": "the last", "target": "word"})"));
    QVERIFY(word.ok() && word->front().kind == DataKind::kLastWord);

    const auto labelled = read_data(write("label.jsonl", R"({"text": "good", "label": 1})"));
    QVERIFY(labelled.ok() && labelled->front().kind == DataKind::kLabelled);
  }

  void mixedFilesBecomeSeveralSets() {
    const auto sets = read_data(write("mixed.jsonl", "{\"prompt\": \"p\", \"answer\": \"a\"}\n{\"context\": \"c\", \"choices\": [\"x\", \"y\"], \"answer\": 0}\n"));
    QVERIFY(sets.ok());
    QCOMPARE(sets->size(), std::size_t{2});
    QVERIFY((*sets)[0].name != (*sets)[1].name);
    QVERIFY((*sets)[0].digest != (*sets)[1].digest);
  }

  void errorsNameLineAndField() {
    const auto check = [&](const char* text, const char* part) {
      const auto sets = read_data(write("bad.jsonl", text));
      QVERIFY2(!sets.ok(), text);
      const std::string message = error_text(sets.error());
      QVERIFY2(message.find(part) != std::string::npos, message.c_str());
    };
    check("{\"text\": \"a\"}\nnot json\n", "line 2");
    check("[1, 2]", "line 1");
    check(R"({"context": "c", "choices": ["x"], "answer": 0})", "choices");
    check(R"({"context": "c", "choices": ["x", "y"], "answer": 2})", "0 to 1");
    check(R"({"prompt": "p"})", "answer");
    check(R"({"other": 1})", "other fields");
    check("", "empty");
    QVERIFY(!read_data(write("binary.txt", std::string_view("a\0b", 3))).ok());
    QVERIFY(!read_data("/nonexistent/file.txt").ok());
  }

  void columnsCanBeNamed() {
    Columns columns;
    columns.text = "frage";
    columns.answer = "antwort";
    const auto sets = read_data(write("named.jsonl", R"({"frage": "p", "antwort": "a"})"), columns);
    QVERIFY(sets.ok() && sets->front().kind == DataKind::kExact);
  }

  void overlapIsFound() {
    std::string words, other;
    for (int i = 0; i < 40; ++i) words += "word" + std::to_string(i) + " ";
    for (int i = 0; i < 60; ++i) other += "other" + std::to_string(i) + " ";
    const auto a = read_data(write("a.txt", words)), b = read_data(write("b.txt", other + words.substr(0, 95) + other));
    QVERIFY(a.ok() && b.ok());
    const Overlap overlap = find_overlap(a->front(), b->front());
    QVERIFY(overlap.share > 0.08 && overlap.share < 0.2);
    QVERIFY(!overlap.examples.empty());
    const auto c = read_data(write("c.txt", other));
    QCOMPARE(find_overlap(a->front(), c->front()).share, 0.0);
  }
};

QTEST_APPLESS_MAIN(DataSetTest)
#include "data_set_test.moc"
