// The inputs that fuzzing left behind (tests/data/fuzz/TARGET: one for each path through a reader, and what once was a
// finding), and seeded changes of them. Each must be read to an answer; the sanitizers see the rest. RETORT_FUZZ_CHANGES=N
// makes N changes of each input instead of a few; RETORT_FUZZ_SEED starts them elsewhere.
#include <QTest>
#include <algorithm>
#include <filesystem>
#include <random>

#include "format_files.h"
#include "fuzz/fuzz_target.h"

namespace retort::fuzz {
using Target = int(const std::uint8_t*, std::size_t);
Target chat_template, config, folder, gguf, older_tokenizers, onnx, pickle, pytorch, quantized, safetensors, sentencepiece, tokenizer;
}  // namespace retort::fuzz

using namespace retort;

namespace {

struct Named {
  const char* name;
  fuzz::Target* run;
};
constexpr Named kTargets[] = {
    {"chat_template", fuzz::chat_template},
    {"config", fuzz::config},
    {"folder", fuzz::folder},
    {"gguf", fuzz::gguf},
    {"older_tokenizers", fuzz::older_tokenizers},
    {"onnx", fuzz::onnx},
    {"pickle", fuzz::pickle},
    {"pytorch", fuzz::pytorch},
    {"quantized", fuzz::quantized},
    {"safetensors", fuzz::safetensors},
    {"sentencepiece", fuzz::sentencepiece},
    {"tokenizer", fuzz::tokenizer},
};
constexpr int kChangesPerInput = 40;

int number_of(const char* variable, int otherwise) { return qEnvironmentVariableIsSet(variable) ? qEnvironmentVariableIntValue(variable) : otherwise; }

// A few bytes set, taken out, doubled or taken from elsewhere in the input.
std::string changed(std::string bytes, std::mt19937& random) {
  const auto below = [&random](std::size_t limit) { return limit == 0 ? 0 : random() % limit; };
  for (std::size_t edits = 1 + below(4); edits > 0 && !bytes.empty(); --edits) {
    const std::size_t at = below(bytes.size()), length = std::min<std::size_t>(1 + below(12), bytes.size() - at);
    switch (below(5)) {
      case 0: bytes[at] = static_cast<char>(random()); break;
      case 1: bytes.erase(at, length); break;
      case 2: bytes.insert(at, bytes.substr(at, length)); break;
      case 3: bytes.replace(at, length, bytes.substr(below(bytes.size()), length)); break;
      default: std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length, below(2) == 0 ? '\0' : '\xff');
    }
  }
  return bytes;
}

void run(fuzz::Target* target, const std::string& bytes) {
  target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

class FuzzCorpusTest : public QObject {
  Q_OBJECT

 private slots:
  void kept_inputs_data() {
    QTest::addColumn<int>("target");
    for (int i = 0; i < static_cast<int>(std::size(kTargets)); ++i) QTest::newRow(kTargets[i].name) << i;
  }
  void kept_inputs() {
    QFETCH(int, target);
    const Named& named = kTargets[target];
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(RETORT_TEST_DATA "/fuzz/") + named.name))
      files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    QVERIFY(!files.empty());
    const int changes = number_of("RETORT_FUZZ_CHANGES", kChangesPerInput);
    std::mt19937 random(static_cast<unsigned>(number_of("RETORT_FUZZ_SEED", 7)));
    for (const auto& file : files) {
      const std::string bytes = test::get_file(file);
      run(named.run, bytes);
      for (int i = 0; i < changes; ++i) run(named.run, changed(bytes, random));
    }
    run(named.run, "");
    qInfo("%zu inputs, %zu executions", files.size(), 1 + files.size() * (1 + static_cast<std::size_t>(changes)));
  }
};

QTEST_APPLESS_MAIN(FuzzCorpusTest)
#include "fuzz_corpus_test.moc"
