// docs/models.md says what opens, runs, can be quantized and exports: its tables are made here from the registries, so that
// the page can't be behind them. RETORT_REWRITE_DOCS=1 writes them into the page; otherwise they must already stand there.
#include <QTest>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <set>

#include "core/export/gguf_export.h"
#include "core/export/gguf_metadata.h"
#include "core/formats/checkpoint.h"
#include "core/formats/quantized.h"
#include "core/formats/safetensors.h"
#include "core/model/model.h"
#include "core/quantize/levels.h"
#include "core/quantize/quantizer.h"
#include "format_files.h"

using namespace retort;

namespace {

const std::string kPage = RETORT_SOURCE_DIR "/docs/models.md";

std::string mark(const std::string& table, const char* which) { return fmt::format("<!-- {} of {}, made by models_page_test -->\n", which, table); }

std::string tensor_types_table() {
  std::string out = "| type | what | bits per weight | in GGUF | in safetensors | Retort packs it |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const kernels::TypeTraits& type : kernels::tensor_types())
    out += fmt::format("| {} | {} | {:.4g} | {} | {} | {} |\n", type.name, type.plain, type.bits_per_weight(),
                       type.ggml_id >= 0 ? "yes" : "", formats::safetensors_dtype(type.type), find_quantizer(type.type) ? "yes" : "");
  return out;
}

std::string levels_table() {
  std::string out = "| level | in words | bits of its main type | takes an importance matrix | GGUF |\n| --- | --- | --- | --- | --- |\n";
  for (const Level& level : levels())
    out += fmt::format("| {} | {} | {:.4g} | {} | {} |\n", level.id, level.plain, level.nominal_bits, level.takes_importance ? "yes" : "",
                       level.gguf_file_type == kNoGgufFileType ? "" : "yes");
  return out;
}

// Asks the exporter itself: a tiny model of each architecture is offered to it.
std::string architectures_table() {
  std::string out = "| id | `architectures` of config.json | `general.architecture` of GGUF | a folder is written as |\n| --- | --- | --- | --- |\n";
  for (const Architecture& architecture : architectures())
    out += fmt::format("| {} | {} | {} | {} |\n", architecture.id, fmt::join(architecture.class_names, ", "),
                       fmt::join(architecture.gguf_names, ", "), gguf_name(architecture));
  return out;
}

std::string quantized_table() {
  std::string out = "| `quant_method` |\n| --- |\n";
  for (const std::string_view method : formats::quantization_methods()) out += fmt::format("| {} |\n", method);
  return out;
}

const std::map<std::string, std::string (*)()> kTables = {{"tensor types", &tensor_types_table}, {"levels", &levels_table},
                                                          {"architectures", &architectures_table},
                                                          {"quantized folders", &quantized_table}};

}  // namespace

class ModelsPageTest : public QObject {
  Q_OBJECT

 private slots:
  void tables_are_those_of_the_registries() {
    std::string page = test::get_file(kPage);
    const bool rewrite = qEnvironmentVariableIsSet("RETORT_REWRITE_DOCS");
    for (const auto& [name, make] : kTables) {
      const std::string begin = mark(name, "begin"), end = mark(name, "end"), table = make();
      const std::size_t from = page.find(begin), to = page.find(end);
      QVERIFY2(from != std::string::npos && to != std::string::npos && from < to, name.c_str());
      const std::size_t start = from + begin.size();
      if (rewrite) page.replace(start, to - start, table);
      else QVERIFY2(page.substr(start, to - start) == table, (name + ": run models_page_test with RETORT_REWRITE_DOCS=1").c_str());
    }
    if (rewrite) test::put_file(kPage, page);
  }
};

QTEST_APPLESS_MAIN(ModelsPageTest)
#include "models_page_test.moc"
