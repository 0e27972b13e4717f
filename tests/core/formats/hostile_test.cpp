// Thousands of seeded mutations and truncations of small files: every one must end in a checkpoint whose views lie
// inside its files, or in an error with a text; never in a crash, a hang or a huge allocation. Run under ASan + UBSan
// in CI; the libFuzzer targets in tests/fuzz go further.
#include <sys/resource.h>

#include <QElapsedTimer>
#include <QTest>
#include <random>

#include "core/model/model.h"
#include "format_files.h"

using namespace retort;
using namespace retort::test;

namespace {

// xorshift-like: the same sequence with every library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : generator_(seed) {}
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(generator_() % limit); }

 private:
  std::mt19937_64 generator_;
};

constexpr std::uint64_t kNastyNumbers[] = {0, 1, 31, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                           0x8000000000000000, 0xffffffffffffffe0, 0xffffffffffffffff};
constexpr std::string_view kNastyTexts[] = {"[[[[[[[[", "{\"a\":{", "-1", "1e999", "99999999999999999999", "\"\"", "null",
                                            "\\ud800", "../", "\xff\xfe"};

// Most edits go into the first `header` bytes.
std::string mutate(const std::string& original, std::size_t header, Dice& dice) {
  std::string bytes = original;
  const std::size_t edits = 1 + dice.below(4);
  for (std::size_t i = 0; i < edits && !bytes.empty(); ++i) {
    const std::size_t at = dice.below(dice.below(8) == 0 ? bytes.size() : std::min(bytes.size(), header));
    switch (dice.below(7)) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice.below(8))); break;
      case 1: bytes[at] = static_cast<char>(dice.below(256)); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.erase(at, 1 + dice.below(16)); break;
      case 4: bytes.insert(at, std::string(1 + dice.below(16), static_cast<char>(dice.below(256)))); break;
      case 5: {
        const std::uint64_t number = kNastyNumbers[dice.below(std::size(kNastyNumbers))];
        const std::size_t width = dice.below(2) == 0 ? 4 : 8;
        if (bytes.size() - at >= width) std::memcpy(bytes.data() + at, &number, width);
        break;
      }
      default: {
        const std::string_view text = kNastyTexts[dice.below(std::size(kNastyTexts))];
        bytes.replace(at, std::min(text.size(), bytes.size() - at), text);
      }
    }
  }
  return bytes;
}

// Touches everything that an opened checkpoint promises. Returns what is wrong with it, or nothing.
std::string broken_promise(const Checkpoint& checkpoint) {
  unsigned sum = 0;
  for (const TensorEntry& tensor : checkpoint.tensors) {
    if (tensor.file >= checkpoint.files.size()) return "file index";
    const auto file = checkpoint.files[tensor.file]->bytes();
    const auto& type = kernels::traits(tensor.type);
    const auto expected = static_cast<std::uint64_t>(tensor.elements()) / type.block_size * type.block_bytes;
    if (tensor.data.size() != expected) return "data size of " + tensor.name;
    if (tensor.offset > file.size() || file.size() - tensor.offset < tensor.data.size()) return "offset of " + tensor.name;
    for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
  }
  return sum == 0xffffffffu ? "cannot be" : "";
}

std::uint64_t peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

struct Outcome {
  int opened = 0, refused = 0, bound = 0;
  std::string failure;
};

struct Target {
  std::filesystem::path file, open_at;   // what is mutated, and what is opened: the file itself, or its folder
  std::size_t header = 600;
  bool bind = false;                     // also bind what opens: architecture, weights, tokenizer
};

std::string wrong_with(const Error& error) {
  if (error.code == ErrorCode::kInternal) return "kInternal";
  return error.file.empty() || error_text(error).empty() ? "an error without words" : "";
}

// What opens is bound, and a tokenizer that comes of it is used.
std::string wrong_when_bound(const std::shared_ptr<const Checkpoint>& checkpoint, Outcome& outcome) {
  const auto model = bind_model(checkpoint);
  if (!model) return wrong_with(model.error());
  ++outcome.bound;
  if (!model->tokenizer) return {};
  const auto ids = model->tokenizer->encode("The 3 caf\xc3\xa9s <|endoftext|> closed.\n", true);
  static_cast<void>(model->tokenizer->decode(ids, false));
  return {};
}

Outcome attack(const Target& target, int rounds, std::uint64_t seed) {
  const std::filesystem::path& file = target.file;
  Outcome outcome;
  Dice dice(seed);
  const std::string original = get_file(file);
  for (int round = 0; round < rounds && outcome.failure.empty(); ++round) {
    // A third of the rounds are plain truncations.
    const std::string bytes = round % 3 == 0 ? original.substr(0, dice.below(original.size())) : mutate(original, target.header, dice);
    // A new inode, as a mapped file must not change under its reader.
    std::filesystem::remove(file);
    put_file(file, bytes);
    const auto opened = open_checkpoint(target.open_at);
    std::string wrong;
    if (opened) {
      ++outcome.opened;
      wrong = broken_promise(**opened);
      if (wrong.empty() && target.bind) wrong = wrong_when_bound(*opened, outcome);
    } else {
      ++outcome.refused;
      wrong = wrong_with(opened.error());
    }
    if (!wrong.empty()) outcome.failure = "round " + std::to_string(round) + ": " + wrong;
  }
  put_file(file, original);
  return outcome;
}

void put_gguf(const std::filesystem::path& path) {
  Metadata metadata;
  metadata.set("general.architecture", std::string("llama"));
  metadata.set("general.alignment", std::uint32_t{32});
  metadata.set("llama.block_count", std::uint32_t{1});
  metadata.set("llama.rope.freq_base", 10000.0f);
  metadata.set("tokenizer.ggml.tokens", array_of(std::vector<std::string>{"<s>", "</s>", "a", "b", "ab"}));
  metadata.set("tokenizer.ggml.token_type", array_of(std::vector<std::int32_t>{3, 3, 1, 1, 1}));
  metadata.set("tokenizer.ggml.add_bos_token", true);
  metadata.set("flags", array_of(std::vector<bool>{true, false}));
  const std::vector tensors = {patterned_tensor("token_embd.weight", {5, 32}, TensorType::kQ4_0),
                               patterned_tensor("blk.0.attn_q.weight", {2, 256}, TensorType::kQ4_K),
                               patterned_tensor("output_norm.weight", {32}, TensorType::kF32)};
  QVERIFY(write_gguf(path, metadata, tensors, JobContext()).ok());
}

}  // namespace

class HostileTest : public QObject {
  Q_OBJECT

  void run(const Target& target, int rounds, std::uint64_t seed) {
    QElapsedTimer timer;
    timer.start();
    const std::uint64_t before = peak_memory();
    const Outcome outcome = attack(target, rounds, seed);
    QVERIFY2(outcome.failure.empty(), (target.file.filename().string() + ", " + outcome.failure).c_str());
    QVERIFY(target.bind || outcome.refused > rounds / 4);
    // A file of a few kilobytes justifies no large allocation (ASan's own quarantine is the bulk of this).
    QVERIFY2(peak_memory() - before < (512u << 20), std::to_string(peak_memory() - before).c_str());
    qInfo("%s: %d opened, %d bound, %d refused in %lld ms", target.file.filename().c_str(), outcome.opened, outcome.bound, outcome.refused, timer.elapsed());
  }

 private slots:
  void gguf() {
    const Scratch scratch;
    put_gguf(scratch / "m.gguf");
    run({scratch / "m.gguf", scratch / "m.gguf"}, 6000, 1);
  }

  void safetensors() {
    const Scratch scratch;
    const std::vector tensors = {patterned_tensor("a", {4, 8}, TensorType::kF16), patterned_tensor("b", {3}, TensorType::kF32),
                                 patterned_tensor("c", {}, TensorType::kI64)};
    QVERIFY(write_safetensors(scratch / "t.safetensors", tensors, JobContext()).ok());
    run({scratch / "t.safetensors", scratch / "t.safetensors"}, 6000, 2);
  }

  void folder() {
    const Scratch scratch;
    QVERIFY(write_safetensors(scratch / "model-1.safetensors", std::vector{patterned_tensor("a", {4, 8}, TensorType::kF16)},
                              JobContext()).ok());
    QVERIFY(write_safetensors(scratch / "model-2.safetensors", std::vector{patterned_tensor("b", {4, 8}, TensorType::kF16)},
                              JobContext()).ok());
    put_file(scratch / "model.safetensors.index.json",
             "{\"metadata\":{\"total_size\":128},\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-2.safetensors\"}}");
    put_file(scratch / "config.json", "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,\"rope_scaling\":{\"factor\":2.0}}");
    put_file(scratch / "tokenizer_config.json", "{\"chat_template\":[{\"name\":\"default\",\"template\":\"{{x}}\"}]}");
    std::uint64_t seed = 10;
    for (const char* name : {"model.safetensors.index.json", "model-2.safetensors", "config.json", "tokenizer_config.json"})
      run({scratch / name, scratch.root()}, 1500, ++seed);
  }

  // A whole small model: what the reader lets through meets the architecture, the weights' check and the tokenizer.
  void modelAsGguf() {
    const Scratch scratch;
    put_file(scratch / "m.gguf", get_file(std::filesystem::path(RETORT_TEST_DATA) / "micro-llama.gguf"));
    run({scratch / "m.gguf", scratch / "m.gguf", 9000, true}, 1200, 20);
  }

  void modelAsFolder() {
    const Scratch scratch;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(RETORT_TEST_DATA) / "micro-llama-hf"))
      put_file(scratch / entry.path().filename().string(), get_file(entry.path()));
    std::uint64_t seed = 30;
    for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json"})
      run({scratch / name, scratch.root(), 14000, true}, 400, ++seed);
  }
};

QTEST_APPLESS_MAIN(HostileTest)
#include "hostile_test.moc"
