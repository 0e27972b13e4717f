// Chat templates against what Jinja renders (tests/data/chat/make_cases.py wrote the cases), and templates that mean harm.
#include <QtTest>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error_text.h"
#include "core/text/tokenizer.h"

using namespace retort;
using Json = nlohmann::json;

namespace {

Result<std::string> render(const std::string& chat_template) {
  const std::vector<ChatMessage> messages = {{"user", "Hello"}};
  return render_chat(chat_template, messages, true, "<s>", "</s>");
}

}  // namespace

class ChatTemplateTest : public QObject {
  Q_OBJECT

 private slots:
  // RETORT_CHAT_CASES names a further file, such as make_cases.py writes for a folder of published templates.
  void renders_as_jinja_data() {
    QTest::addColumn<QString>("path");
    QTest::newRow("our own") << QStringLiteral(RETORT_TEST_DATA "/chat/cases.json");
    if (qEnvironmentVariableIsSet("RETORT_CHAT_CASES")) QTest::newRow("others") << qEnvironmentVariable("RETORT_CHAT_CASES");
  }
  void renders_as_jinja() {
    QFETCH(QString, path);
    std::ifstream in(path.toStdString());
    const Json cases = Json::parse(in);
    QVERIFY(!cases.empty());
    int wrong = 0;
    for (const Json& c : cases) {
      std::vector<ChatMessage> messages;
      for (const Json& m : c.at("messages")) messages.push_back({m.at("role"), m.at("content")});
      const auto result = render_chat(c.at("template").get<std::string>(), messages, c.at("add_generation_prompt").get<bool>(), "<s>", "</s>");
      const bool expects_error = c.contains("error");
      if (result.ok() == !expects_error && (expects_error || *result == c.at("expected").get<std::string>())) continue;
      ++wrong;
      qWarning("%s\n  %s\n  expected %s\n  actual   %s", c.at("name").get<std::string>().c_str(),
               c.at("template").dump().substr(0, 300).c_str(), (expects_error ? c.at("error") : c.at("expected")).dump().c_str(),
               result.ok() ? Json(*result).dump().c_str() : error_text(result.error()).c_str());
    }
    QCOMPARE(wrong, 0);
  }

  void errors_name_line_and_construct() {
    const auto unsupported = render("line one\n{% include 'x' %}");
    QVERIFY(!unsupported.ok());
    QCOMPARE(unsupported.error().code, ErrorCode::kUnsupported);
    QCOMPARE(unsupported.error().place, std::string("chat template, line 2"));
    QVERIFY(unsupported.error().found.find("include") != std::string::npos);
    const auto refused = render("{{ raise_exception('Only one user') }}");
    QVERIFY(!refused.ok());
    QCOMPARE(refused.error().code, ErrorCode::kBadArgument);
    QCOMPARE(refused.error().found, std::string("Only one user"));
    QCOMPARE(render("\n\n{{ 1 + 'a' }}").error().place, std::string("chat template, line 3"));
  }

  // None of these may crash, hang or fill the memory.
  void survives_hostile_templates() {
    const std::string deep(100000, '(');
    std::string chain = "1";
    for (int i = 0; i < 50000; ++i) chain += "+1";
    std::string ifs;
    for (int i = 0; i < 50000; ++i) ifs += "{% if 1 %}";
    const std::string hostile[] = {
        "{{ " + deep, "{{ " + std::string(100000, '[') + " }}", "{{ " + chain + " }}", ifs, "{{ " + std::string(100000, '-') + "1 }}",
        "{{ not " + std::string(400000, ' ') + " 1 }}", "{{ 'a' * 1000000000000 }}", "{{ ['a'] * 1000000000 }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns == namespace(a=ns) }}",
        "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(99999) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{{ -9223372036854775807 - 2 }}", "{{ (-9223372036854775807 - 1) // -1 }}", "{{ 9223372036854775807 * 2 }}", "{{ 99 ** 99999999999 }}", "{{ 99999999999999999999 }}",
        "{{ [1,2,3][9223372036854775807:] }}", "{{ 'abc'[::9223372036854775807] }}", "{{ range(0, 10, 9223372036854775807) }}", "{{ 1 | round(99999999999) }}", "{{ 'a'|indent(99999999999) }}",
        "\xFF\xFE{{ '\xC0' }}", "{{ '\\ud800' }}", "{%", "{{", "{#", "{% raw %}", "{{ \"", "{{ {'a' }}", "{% set %}", "{% for %}", "{% macro %}", "{% call x %}", "{% for a in b recursive %}", std::string("{{ '\0' }}", 10)};
    for (const std::string& t : hostile) {
      const auto result = render(t);
      if (result.ok()) QVERIFY(result->size() < (100u << 20));
      else QVERIFY2(!result.error().place.empty(), t.substr(0, 100).c_str());
    }
  }
};

QTEST_APPLESS_MAIN(ChatTemplateTest)
#include "chat_template_test.moc"
