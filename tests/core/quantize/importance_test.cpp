// Importance matrices: what is summed, thread independence, files of both formats, hostile files.
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/formats/writers.h"
#include "core/quantize/importance.h"
#include "sample_weights.h"

using namespace retort;
using namespace retort::test;

namespace {

// A session that shows the collector made-up rows: one layer whose q and k share an input, o has its own, and a head.
class ScriptedSession final : public Session {
 public:
  ScriptedSession(const Model& model, std::vector<std::vector<TokenId>>& chunks) : model_(model), chunks_(chunks) {}
  Result<void> run(std::span<const TokenId> tokens, const JobContext&) override {
    chunks_.emplace_back(tokens.begin(), tokens.end());
    std::vector<float> rows;
    for (const TokenId token : tokens) {
      rows.push_back(static_cast<float>(token));
      rows.push_back(0.5f);
    }
    for (const Node& node : model_.graph.nodes) tap_(node, rows, static_cast<std::int64_t>(tokens.size()));
    return {};
  }
  std::span<const float> hidden() const override { return {}; }
  Result<std::span<const float>> logits(std::int64_t, std::int64_t) override { return std::span<const float>{}; }
  Result<void> head(std::span<const float>, std::span<float>) override { return {}; }
  std::int64_t position() const noexcept override { return 0; }
  void rewind(std::int64_t) override {}
  MemoryByPart memory() const noexcept override { return {}; }
  void set_tap(Tap tap) override { tap_ = std::move(tap); }

 private:
  const Model& model_;
  std::vector<std::vector<TokenId>>& chunks_;
  Tap tap_;
};

class ScriptedBackend final : public Backend {
 public:
  std::string_view name() const noexcept override { return "scripted"; }
  std::string device() const override { return {}; }
  int threads() const noexcept override { return 1; }
  Result<std::unique_ptr<Session>> compile(std::shared_ptr<const Model> model, const RunOptions& given) override {
    options = given;
    return std::unique_ptr<Session>(std::make_unique<ScriptedSession>(*model, chunks));
  }
  MemoryByPart predict_memory(const Model&, const RunOptions&) const override { return {}; }

  RunOptions options;
  std::vector<std::vector<TokenId>> chunks;
};

class BosOnly final : public Tokenizer {
 public:
  BosOnly() {
    bos = 9;
    adds_bos = true;
  }
  std::string_view kind() const noexcept override { return "bpe"; }
  std::size_t size() const noexcept override { return 10; }
  std::vector<TokenId> encode(std::string_view, bool) const override { return {}; }
  TokenPair encode_pair(std::string_view, std::string_view, bool) const override { return {}; }
  std::string decode(std::span<const TokenId>, bool) const override { return {}; }
  std::string piece(TokenId) const override { return {}; }
  std::string piece_bytes(TokenId) const override { return {}; }
  bool is_special(TokenId) const noexcept override { return false; }
  std::optional<TokenId> find(std::string_view) const override { return {}; }
};

std::shared_ptr<Model> scripted_model() {
  auto model = std::make_shared<Model>();
  model->graph.widths = {1, 2, 2, 2, 2, 2};
  const auto linear = [&](const char* name, ValueId input, std::int32_t layer) {
    Node node{.op = Op::kLinear, .name = name, .inputs = {input}, .output = 5};
    node.weight = static_cast<WeightId>(model->graph.weights.size());
    node.layer = layer;
    model->graph.nodes.push_back(node);
    model->graph.weights.push_back({std::string(name) + ".weight", name, {2, 2}});
  };
  linear("blk.0.attn_q", 1, 0);
  linear("blk.0.attn_k", 1, 0);
  linear("blk.0.attn_output", 2, 0);
  linear("output", 3, -1);
  return model;
}

ImportanceMatrix sample_matrix() {
  ImportanceMatrix matrix;
  matrix.columns["blk.0.attn_q.weight"] = sample_importance(64, 5);
  matrix.columns["blk.0.ffn_down.weight"] = sample_importance(96, 6);
  // As collecting makes them: a sum in f32 divided by the count.
  for (auto& [name, means] : matrix.columns) {
    for (float& mean : means) mean = (mean * 1536.0f) / 1536.0f;
  }
  matrix.chunks = 3;
  matrix.tokens = 1536;
  matrix.data_name = "calibration.txt";
  return matrix;
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string dat_file(std::int32_t entries = 1, std::int32_t columns = 3, float value = 8) {
  std::string out;
  put(out, entries);
  const std::string name = "blk.0.attn_q.weight", text = "calibration.txt";
  put(out, static_cast<std::int32_t>(name.size()));
  out += name;
  put(out, std::int32_t{4});
  put(out, columns);
  for (int i = 0; i < 3; ++i) put(out, value * static_cast<float>(i + 1));
  put(out, std::int32_t{7});
  put(out, static_cast<std::int32_t>(text.size()));
  return out + text;
}

}  // namespace

class ImportanceTest : public QObject {
  Q_OBJECT

  QTemporaryDir folder_;
  std::filesystem::path put_file(const std::string& bytes) {
    const std::filesystem::path path = folder_.filePath("file").toStdString();
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return path;
  }

 private slots:
  void squares_are_summed() {
    const auto model = scripted_model();
    ScriptedBackend backend;
    const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 6, 7, 8};
    const auto matrix = collect_importance(model, backend, tokens, 3, 0, JobContext{});
    QVERIFY(matrix.ok());
    QCOMPARE(matrix->chunks, 2);   // the rest is no whole chunk
    QCOMPARE(matrix->tokens, 6);
    QCOMPARE(matrix->columns.size(), std::size_t{3});   // the head is left out
    const std::vector<float> expected = {(1 + 4 + 9 + 16 + 25 + 36) / 6.0f, 0.25f};
    for (const auto& [name, means] : matrix->columns) QVERIFY(means == expected);
    QCOMPARE(backend.options.activations, kernels::Activations::kF32);
    QCOMPARE(backend.options.plan, PlanKind::kTap);
    QCOMPARE(backend.chunks.size(), std::size_t{2});
    QCOMPARE(collect_importance(model, backend, tokens, 3, 1, JobContext{})->tokens, 3);
  }

  void chunks_begin_as_the_model_says() {
    const auto model = scripted_model();
    model->tokenizer = std::make_shared<BosOnly>();
    ScriptedBackend backend;
    const std::vector<TokenId> tokens = {1, 2, 3, 4};
    QVERIFY(collect_importance(model, backend, tokens, 2, 0, JobContext{}).ok());
    QVERIFY((backend.chunks == std::vector<std::vector<TokenId>>{{9, 2}, {9, 4}}));
  }

  void short_texts_and_stops() {
    const auto model = scripted_model();
    ScriptedBackend backend;
    const std::vector<TokenId> tokens = {1, 2, 3, 4};
    QCOMPARE(collect_importance(model, backend, tokens, 5, 0, JobContext{}).error().code, ErrorCode::kBadData);
    JobContext job;
    job.stop();
    QCOMPARE(collect_importance(model, backend, tokens, 2, 0, job).error().code, ErrorCode::kCanceled);
  }

  void threads_do_not_matter() {
    const auto opened = open_model(RETORT_TEST_DATA "/micro-llama.gguf");
    QVERIFY2(opened.ok(), "the micro model opens");
    const auto model = std::make_shared<const Model>(*opened);
    std::vector<TokenId> tokens;
    Sequence sequence(8);
    for (int i = 0; i < 160; ++i) tokens.push_back(static_cast<TokenId>(sequence.next() % model->config.vocabulary));
    std::vector<ImportanceMatrix> matrices;
    for (const int threads : {1, 2, 3}) {
      auto backend = make_backend("cpu", threads);
      QVERIFY(backend.ok());
      auto matrix = collect_importance(model, **backend, tokens, 40, 0, JobContext{});
      QVERIFY(matrix.ok());
      matrices.push_back(std::move(*matrix));
    }
    QCOMPARE(matrices[0].chunks, 4);
    QCOMPARE(matrices[0].columns.size(), static_cast<std::size_t>(7 * model->config.layers));
    QVERIFY(matrices[0].columns == matrices[1].columns);
    QVERIFY(matrices[0].columns == matrices[2].columns);
    QVERIFY(matrices[0].digest() == matrices[2].digest());
    for (const auto& [name, means] : matrices[0].columns) {
      const WeightId weight = model->find_weight(name);
      QVERIFY(weight != kNoWeight);
      QCOMPARE(static_cast<std::int64_t>(means.size()), model->weights[static_cast<std::size_t>(weight)].shape.back());
    }
  }

  void files_give_back_what_was_written() {
    const ImportanceMatrix matrix = sample_matrix();
    const std::filesystem::path path = folder_.filePath("im.gguf").toStdString();
    QVERIFY(write_importance(path, matrix).ok());
    const auto again = read_importance(path);
    QVERIFY(again.ok());
    QVERIFY(again->columns == matrix.columns);
    QCOMPARE(again->chunks, matrix.chunks);
    QCOMPARE(again->tokens, matrix.tokens);
    QCOMPARE(again->data_name, matrix.data_name);
    QVERIFY(again->digest() == matrix.digest());
  }

  void digests_tell_matrices_apart() {
    const ImportanceMatrix matrix = sample_matrix();
    ImportanceMatrix other = matrix;
    other.columns["blk.0.attn_q.weight"][3] *= 2;
    QVERIFY(other.digest() != matrix.digest());
    other = matrix;
    other.data_name = "elsewhere.txt";   // says nothing about the bytes that come of it
    QVERIFY(other.digest() == matrix.digest());
  }

  void old_files_are_read() {
    const auto matrix = read_importance(put_file(dat_file()));
    QVERIFY(matrix.ok());
    QVERIFY((matrix->columns.at("blk.0.attn_q.weight") == std::vector<float>{2, 4, 6}));
    QCOMPARE(matrix->chunks, 7);
    QCOMPARE(matrix->data_name, std::string("calibration.txt"));
  }

  void hostile_files_are_refused() {
    const std::string good = dat_file();
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
      const bool whole_without_trailer = cut == 4 + 4 + 19 + 4 + 4 + 12;
      QCOMPARE(read_importance(put_file(good.substr(0, cut))).ok(), whole_without_trailer);
    }
    for (const std::string& bytes : {dat_file(-1), dat_file(1 << 30), dat_file(1, -5), dat_file(1, 1 << 30), dat_file(1, 0),
                                     dat_file(1, 3, NAN), dat_file(1, 3, -1), std::string(4, '\0')}) {
      QVERIFY(!read_importance(put_file(bytes)).ok());
    }
    QCOMPARE(read_importance(folder_.filePath("missing").toStdString()).error().code, ErrorCode::kNotFound);
  }

  void other_gguf_files_are_refused() {
    QCOMPARE(read_importance(RETORT_TEST_DATA "/micro-llama.gguf").error().code, ErrorCode::kForeign);
    const std::filesystem::path path = folder_.filePath("bad.gguf").toStdString();
    Metadata metadata;
    metadata.set("general.type", std::string("imatrix"));
    const std::vector<float> sums = {1, 2}, counts = {2}, no_number = {NAN}, negative = {-1, 2};
    const auto tensor = [](const char* name, const std::vector<float>& values) {
      return TensorToWrite{name, {static_cast<std::int64_t>(values.size())}, TensorType::kF32,
                           [&values]() -> Result<std::span<const std::byte>> { return std::as_bytes(std::span(values)); }};
    };
    const auto code = [&](std::vector<TensorToWrite> tensors) {
      if (!write_gguf(path, metadata, tensors, JobContext{}).ok()) return ErrorCode::kInternal;
      const auto matrix = read_importance(path);
      return matrix.ok() ? ErrorCode::kInternal : matrix.error().code;
    };
    QCOMPARE(code({tensor("a.weight.in_sum2", sums)}), ErrorCode::kCorrupt);
    QCOMPARE(code({tensor("a.weight.counts", counts)}), ErrorCode::kCorrupt);
    QCOMPARE(code({tensor("a.weight.in_sum2", sums), tensor("a.weight.counts", no_number)}), ErrorCode::kCorrupt);
    QCOMPARE(code({tensor("a.weight.in_sum2", negative), tensor("a.weight.counts", counts)}), ErrorCode::kNonFinite);
    QCOMPARE(code({tensor("a.weight.in_sum2", sums), tensor("a.weight.counts", sums)}), ErrorCode::kUnsupported);
  }
};

QTEST_GUILESS_MAIN(ImportanceTest)
#include "importance_test.moc"
