#include <QTest>
#include <nlohmann/json.hpp>

#include "core/export/gguf_export.h"
#include "core/export/gguf_weights.h"
#include "core/export/verify.h"
#include "format_files.h"
#include "kernels/api/half.h"

using namespace retort;
using namespace retort::test;

namespace {

std::filesystem::path data(const char* name) { return std::filesystem::path(RETORT_TEST_DATA) / name; }

std::string shown(const VerifyReport& report) {
  std::string text;
  for (const VerifyCheck& check : report.checks) text += check.name + (check.passed ? " ok: " : " FAIL: ") + check.detail + "\n";
  return text;
}

#define OK(result) QVERIFY2((result).ok(), (result).ok() ? "" : error_text((result).error()).c_str())

// Q8_0 of every matrix, made here in the plainest way: this test is about files, not about quantizers.
WeightHandle rough_q8(const WeightHandle& source) {
  const auto columns = static_cast<std::size_t>(source.shape.back());
  const auto rows = static_cast<std::size_t>(source.shape.front());
  std::vector<float> row(columns);
  auto bytes = std::make_shared<std::vector<std::byte>>(rows * kernels::row_bytes(TensorType::kQ8_0, columns));
  std::byte* out = bytes->data();
  for (std::size_t r = 0; r < rows; ++r) {
    kernels::traits(source.type).decode(source.data.data() + r * kernels::row_bytes(source.type, columns), row.data(), columns);
    for (std::size_t b = 0; b < columns; b += 32) {
      float most = 0;
      for (std::size_t i = 0; i < 32; ++i) most = std::max(most, std::abs(row[b + i]));
      const float d = most / 127;
      const std::uint16_t half = kernels::f32_to_f16(d);
      std::memcpy(out, &half, 2);
      for (std::size_t i = 0; i < 32; ++i) out[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(d > 0 ? std::lround(row[b + i] / d) : 0));
      out += 34;
    }
  }
  return {.type = TensorType::kQ8_0, .shape = source.shape, .data = *bytes, .row_scales = {}, .keep_alive = bytes, .version = 1};
}

std::map<std::string, WeightHandle> rough_candidate(const Model& model) {
  std::map<std::string, WeightHandle> handles;
  for (std::size_t i = 0; i < model.weights.size(); ++i)
    if (model.weights[i].shape.size() == 2 && model.weights[i].shape.back() % 32 == 0 && model.graph.weights[i].name.find("_inp") == std::string::npos)
      handles[model.graph.weights[i].name] = rough_q8(model.weights[i]);
  return handles;
}

// The micro model's folder with another tokenizer.
void put_folder(const std::filesystem::path& folder, const nlohmann::json& tokenizer, const std::string& tokenizer_config) {
  for (const char* name : {"config.json", "model.safetensors"}) put_file(folder / name, get_file(data("micro-llama-hf") / name));
  put_file(folder / "tokenizer.json", tokenizer.dump());
  put_file(folder / "tokenizer_config.json", tokenizer_config);
}

nlohmann::json micro_tokenizer() { return nlohmann::json::parse(get_file(data("micro-llama-hf") / "tokenizer.json")); }

// As Llama 2's: byte fallback, a space before the text, every pair that makes a token a merge, in the order of the ids.
nlohmann::json sentencepiece_tokenizer() {
  nlohmann::json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  char byte[8];
  for (int i = 0; i < 256; ++i) {
    std::snprintf(byte, sizeof(byte), "<0x%02X>", static_cast<unsigned>(i));
    vocabulary[byte] = 3 + i;
  }
  std::vector<std::string> pieces = {"th", "\xe2\x96\x81t", "he", "\xe2\x96\x81th", "\xe2\x96\x81the", "er", "the", "in", "\xe2\x96\x81\xe2\x96\x81",
                                     "\xe2\x96\x81", "t", "h", "e", "r", "i", "n", "a", "o", "1", ".", "\xc3\xa9"};
  int id = 259;
  for (const std::string& piece : pieces) vocabulary[piece] = id++;
  nlohmann::json merges = nlohmann::json::array();
  for (const std::string& piece : pieces)
    for (std::size_t cut = 1; cut < piece.size(); ++cut)
      if (vocabulary.contains(piece.substr(0, cut)) && vocabulary.contains(piece.substr(cut)))
        merges.push_back({piece.substr(0, cut), piece.substr(cut)});
  const auto special = [](int at, const char* text) {
    return nlohmann::json{{"id", at}, {"content", text}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const nlohmann::json bos = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  return {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr},
          {"added_tokens", {special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")}},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}, {"prepend", "\xe2\x96\x81"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\xe2\x96\x81"}}}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", {{"type", "TemplateProcessing"}, {"single", {bos, text}}, {"pair", {bos, text}},
              {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
          {"decoder", {{"type", "Sequence"}, {"decoders", {{{"type", "Replace"}, {"pattern", {{"String", "\xe2\x96\x81"}}}, {"content", " "}},
              {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", "<unk>"}, {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr}, {"fuse_unk", true}, {"byte_fallback", true}, {"vocab", vocabulary}, {"merges", merges}}}};
}

}  // namespace

class GgufExportTest : public QObject {
  Q_OBJECT
 private slots:
  void repeatsAGgufFile() {
    const Scratch scratch;
    const auto model = open_model(data("micro-llama.gguf"));
    OK(model);
    const auto report = export_gguf(*model, {}, scratch / "out.gguf", JobContext());
    OK(report);
    QCOMPARE(report->bytes, std::filesystem::file_size(scratch / "out.gguf"));
    QCOMPARE(*predict_gguf_bytes(*model, {}), report->bytes);
    const auto opened = open_checkpoint(scratch / "out.gguf");
    OK(opened);
    // Everything is kept; llama-quantize's two keys come last.
    const auto& before = model->checkpoint->metadata.entries();
    const auto& after = (*opened)->metadata.entries();
    QCOMPARE(after[after.size() - 2].first, std::string("general.quantization_version"));
    QCOMPARE(after.back().first, std::string("general.file_type"));
    QCOMPARE((*opened)->metadata.unsigned_at("general.file_type").value_or(99), std::uint64_t{1});
    std::size_t at = 0;
    for (const auto& [key, value] : before) {
      if (key == "general.file_type" || key == "general.quantization_version") continue;
      QCOMPARE(after[at++].first, key);
    }
    const auto checked = verify_file(scratch / "out.gguf", *model, {.backend = "cpu", .threads = 1}, JobContext());
    OK(checked);
    QVERIFY2(checked->passed(), shown(*checked).c_str());
    // In llama.cpp's order: what belongs to no layer first.
    QCOMPARE((*opened)->tensors[0].name, std::string("output_norm.weight"));
    QCOMPARE((*opened)->tensors[1].name, std::string("token_embd.weight"));
  }

  void turnsAFolderIntoGguf() {
    const Scratch scratch;
    const auto model = open_model(data("micro-llama-hf"));
    OK(model);
    const auto report = export_gguf(*model, {}, scratch / "out.gguf", JobContext());
    OK(report);
    const auto checked = verify_file(scratch / "out.gguf", *model, {.backend = "cpu", .threads = 1}, JobContext());
    OK(checked);
    QVERIFY2(checked->passed(), shown(*checked).c_str());
    QCOMPARE(checked->checks.size(), std::size_t{5});
    // The same model was also written as GGUF by another program: it agrees with ours in what llama.cpp needs.
    const auto peer = open_checkpoint(data("micro-llama.gguf")), ours = open_checkpoint(scratch / "out.gguf");
    OK(peer);
    OK(ours);
    for (const char* key : {"llama.context_length", "llama.embedding_length", "llama.block_count", "llama.feed_forward_length",
                            "llama.attention.head_count", "llama.attention.head_count_kv", "llama.rope.dimension_count",
                            "llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon", "llama.vocab_size",
                            "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.bos_token_id",
                            "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_bos_token"}) {
      const MetadataValue* wanted = (*peer)->metadata.find(key);
      const MetadataValue* found = (*ours)->metadata.find(key);
      QVERIFY2(wanted && found && *wanted == *found, key);
    }
    for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"}) {
      const MetadataArray* wanted = (*peer)->metadata.array_at(key);
      const MetadataArray* found = (*ours)->metadata.array_at(key);
      QVERIFY2(wanted && found && wanted->values == found->values, key);
    }
    for (const TensorEntry& tensor : (*peer)->tensors) {
      const TensorEntry* found = (*ours)->find(tensor.name);
      QVERIFY2(found && found->type == tensor.type && found->shape == tensor.shape, tensor.name.c_str());
      // The folder holds its norms in F16, the other file in F32.
      if (tensor.shape.size() == 2) QVERIFY2(std::ranges::equal(found->data, tensor.data), tensor.name.c_str());
    }
  }

  void writesCandidates() {
    const Scratch scratch;
    for (const char* name : {"micro-llama.gguf", "micro-llama-hf"}) {
      auto model = open_model(data(name));
      OK(model);
      const auto handles = rough_candidate(*model);
      ExportRequest request = export_handles(handles);
      request.importance = ExportImportance{"im.gguf", "text.txt", 14, 100};
      const auto report = export_gguf(*model, request, scratch / "q8.gguf", JobContext());
      OK(report);
      QVERIFY(report->bits_per_weight > 8.5 && report->bits_per_weight < 8.7);
      Model candidate = *model;
      for (const auto& [weight, handle] : handles) candidate.weights[static_cast<std::size_t>(model->find_weight(weight))] = handle;
      const auto checked = verify_file(scratch / "q8.gguf", candidate, {.backend = "cpu", .threads = 1}, JobContext());
      OK(checked);
      QVERIFY2(checked->passed(), shown(*checked).c_str());
      // Against the unquantized source the weights differ a little, and that is said.
      const auto loose = verify_file(scratch / "q8.gguf", *model, {.backend = "cpu", .threads = 1}, JobContext());
      OK(loose);
      QVERIFY2(loose->passed() && loose->checks[1].detail.find("relative error") != std::string::npos, shown(*loose).c_str());
      const auto opened = open_checkpoint(scratch / "q8.gguf");
      OK(opened);
      QCOMPARE((*opened)->metadata.unsigned_at("general.file_type").value_or(99), std::uint64_t{7});
      QCOMPARE((*opened)->metadata.string_at("quantize.imatrix.file").value_or(""), std::string("im.gguf"));
      QCOMPARE((*opened)->metadata.unsigned_at("quantize.imatrix.entries_count").value_or(0), std::uint64_t{14});
      QCOMPARE((*opened)->find("output_norm.weight")->type, TensorType::kF32);
    }
  }

  void verifyNoticesDamage() {
    const Scratch scratch;
    const auto model = open_model(data("micro-llama.gguf"));
    OK(model);
    OK(export_gguf(*model, {}, scratch / "good.gguf", JobContext()));
    const auto good = open_checkpoint(scratch / "good.gguf");
    OK(good);
    const auto failing = [&](const char* name, const std::string& bytes) {
      put_file(scratch / "bad.gguf", bytes);
      const auto checked = verify_file(scratch / "bad.gguf", *model, {.backend = "cpu", .threads = 1}, JobContext());
      if (!checked.ok()) return error_text(checked.error());
      for (const VerifyCheck& check : checked->checks)
        if (check.name == name) return std::string(check.passed ? "passed" : "failed");
      return std::string("not checked");
    };
    std::string bytes = get_file(scratch / "good.gguf");
    bytes[(*good)->find("blk.1.ffn_up.weight")->offset + 5] ^= 0x04;
    QCOMPARE(failing("weights", bytes), std::string("failed"));
    QCOMPARE(failing("logits", bytes), std::string("failed"));
    bytes = get_file(scratch / "good.gguf");
    const auto merge = bytes.find("\xc4\xa0t he");   // a merge, behind its length
    QVERIFY(merge != std::string::npos);
    bytes[merge] = 'x';
    bytes[merge + 1] = 'y';
    QVERIFY(failing("tokens", bytes) != "passed");
  }

  void refusesWhatGgufCannotHold() {
    const Scratch scratch;
    auto model = open_model(data("micro-llama.gguf"));
    OK(model);
    Model candidate = *model;
    const auto id = static_cast<std::size_t>(model->find_weight("blk.0.ffn_up.weight"));
    candidate.weights[id].type = TensorType::kI8;
    const auto refused = export_gguf(candidate, {}, scratch / "i8.gguf", JobContext());
    QVERIFY(!refused.ok());
    QCOMPARE(refused.error().code, ErrorCode::kUnsupported);
    QVERIFY(error_text(refused.error()).find("Q8_0") != std::string::npos);
    ExportRequest request;
    request.weights["no.such.weight"] = {};
    QCOMPARE(export_gguf(*model, request, scratch / "x.gguf", JobContext()).error().code, ErrorCode::kBadArgument);
    QVERIFY(std::filesystem::is_empty(scratch.root()));
  }

  void knowsTheRowOrder() {
    // Transformers' halves (0 1 2 3 | 4 5 6 7) become neighbours 0 4 1 5 2 6 3 7; what doesn't turn stays.
    const std::vector<std::int64_t> whole = {0, 4, 1, 5, 2, 6, 3, 7}, half = {0, 2, 1, 3, 4, 5, 6, 7};
    ModelConfig config;
    config.head_dim = 8;
    config.heads = 2;
    for (std::int64_t i = 0; i < 8; ++i) {
      config.rope.rotary = 8;
      QCOMPARE(source_row(config, RowOrder::kPairsAdjacent, 16 + i), 16 + whole[static_cast<std::size_t>(i)]);
      config.rope.rotary = 4;
      QCOMPARE(source_row(config, RowOrder::kPairsAdjacent, 16 + i), 16 + half[static_cast<std::size_t>(i)]);
      // GPT-NeoX: q k v of head 0, q k v of head 1 become q of both, k of both, v of both.
      QCOMPARE(source_row(config, RowOrder::kHeadsTogether, i), i);
      QCOMPARE(source_row(config, RowOrder::kHeadsTogether, 8 + i), 24 + i);
      QCOMPARE(source_row(config, RowOrder::kHeadsTogether, 24 + i), 32 + i);
      QCOMPARE(source_row(config, RowOrder::kHeadsTogether, 40 + i), 40 + i);
    }
  }

  // Every decoder of which there is a folder: written, read again, and the same to the logit.
  void writesEveryArchitecture_data() {
    QTest::addColumn<QString>("folder");
    QTest::addColumn<QString>("edit");   // of config.json: to what published models say
    QTest::addColumn<QString>("lost");   // what GGUF can't say; empty: nothing
    for (const char* name : {"cohere", "gemma", "gpt-neox-serial", "granite", "mixtral", "olmo2", "phi2", "qwen3-moe", "stablelm",
                             "stablelm-parallel", "starcoder2"})
      QTest::newRow(name) << QString(name) << QString() << QString();
    QTest::newRow("qwen2-moe") << "qwen2-moe" << "" << "layer 0: experts";
    QTest::newRow("qwen2-window") << "qwen2-window" << "" << "layer 1: sliding window";
    QTest::newRow("smollm3") << "smollm3" << "" << "layer 1: sliding window";
    QTest::newRow("smollm3 without a window") << "smollm3" << R"({"use_sliding_window": false, "no_rope_layers": [1, 1, 1]})" << "";
    QTest::newRow("gemma3") << "gemma3-5layers" << "" << "scale of the scores";
    QTest::newRow("gemma3 as published") << "gemma3-5layers" << R"({"query_pre_attn_scalar": 12, "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention"]})" << "";
    if (const char* shared = std::getenv("RETORT_SHARED"); shared && *shared) {
      const QString models = QString(shared) + "/models/";
      for (const char* name : {"gpt-neox", "gpt2", "llama-bf16", "llama-untied-gqa-rope3", "mistral-swa", "phi3", "phi3-longrope", "qwen2", "qwen3"})
        QTest::newRow(name) << models + name << QString() << QString();
      QTest::newRow("gemma2") << models + "gemma2" << R"({"query_pre_attn_scalar": 24})" << QString();
      QTest::newRow("gemma3-text") << models + "gemma3-text" << R"({"query_pre_attn_scalar": 24})" << QString("layer 2: sliding window");
    }
  }
  void writesEveryArchitecture() {
    QFETCH(QString, folder);
    QFETCH(QString, edit);
    QFETCH(QString, lost);
    const Scratch scratch;
    std::filesystem::path source = data("models") / folder.toStdString();
    if (!edit.isEmpty()) {
      std::filesystem::copy(source, scratch / "edited");
      source = scratch / "edited";
      nlohmann::json config = nlohmann::json::parse(get_file(source / "config.json"));
      config.update(nlohmann::json::parse(edit.toStdString()));
      std::filesystem::permissions(source / "config.json", std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
      put_file(source / "config.json", config.dump());
    }
    const auto model = open_model(source);
    OK(model);
    const auto written = export_gguf(*model, {}, scratch / "out.gguf", JobContext());
    if (!lost.isEmpty()) {
      QVERIFY(!written.ok());
      QCOMPARE(written.error().code, ErrorCode::kUnsupported);
      QCOMPARE(QString::fromStdString(written.error().place), lost);
      QVERIFY(!std::filesystem::exists(scratch / "out.gguf"));
      return;
    }
    OK(written);
    const auto checked = verify_file(scratch / "out.gguf", *model, {.backend = "cpu", .threads = 1}, JobContext());
    OK(checked);
    QVERIFY2(checked->passed(), shown(*checked).c_str());
  }

  // Experts quantized one by one are one tensor in the file; another type for one of them is refused.
  void stacksExperts() {
    const Scratch scratch;
    const auto model = open_model(data("models") / "qwen3-moe");
    OK(model);
    Model candidate = *model;
    ExportRequest request = export_handles(rough_candidate(*model));
    for (const auto& [name, weight] : request.weights) {
      const auto id = static_cast<std::size_t>(model->find_weight(name));
      const auto handle = weight.make();
      OK(handle);
      candidate.weights[id] = *handle;
    }
    OK(export_gguf(*model, request, scratch / "q8.gguf", JobContext()));
    const auto checked = verify_file(scratch / "q8.gguf", candidate, {.backend = "cpu", .threads = 1}, JobContext());
    OK(checked);
    QVERIFY2(checked->passed(), shown(*checked).c_str());
    const auto opened = open_checkpoint(scratch / "q8.gguf");
    OK(opened);
    const TensorEntry* stack = (*opened)->find("blk.0.ffn_gate_exps.weight");
    QVERIFY(stack);
    QCOMPARE(stack->shape.size(), std::size_t{3});
    QCOMPARE(stack->shape.front(), model->config.experts);
    QCOMPARE(stack->type, TensorType::kQ8_0);
    QCOMPARE((*opened)->find("blk.0.ffn_gate_inp.weight")->type, TensorType::kF32);   // the router

    // Written again from GGUF, as it is.
    const auto again = open_model(scratch / "q8.gguf");
    OK(again);
    OK(export_gguf(*again, {}, scratch / "again.gguf", JobContext()));
    const auto same = verify_file(scratch / "again.gguf", *again, {.backend = "cpu", .threads = 1}, JobContext());
    OK(same);
    QVERIFY2(same->passed(), shown(*same).c_str());

    request.weights.erase("blk.0.ffn_gate.1.weight");
    const auto refused = export_gguf(*model, request, scratch / "x.gguf", JobContext());
    QVERIFY(!refused.ok());
    QCOMPARE(refused.error().code, ErrorCode::kBadArgument);
    QCOMPARE(refused.error().place, std::string("blk.0.ffn_gate_exps.weight"));
  }

  void turnsSentencePieceIntoScores() {
    const Scratch scratch;
    nlohmann::json tokenizer = sentencepiece_tokenizer();
    put_folder(scratch / "hf", tokenizer, R"({"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","add_bos_token":true})");
    const auto model = open_model(scratch / "hf");
    OK(model);
    QVERIFY(model->tokenizer);
    OK(export_gguf(*model, {}, scratch / "out.gguf", JobContext()));
    const auto checked = verify_file(scratch / "out.gguf", *model, {.backend = "cpu", .threads = 1}, JobContext());
    OK(checked);
    QVERIFY2(checked->passed(), shown(*checked).c_str());
    const auto opened = open_checkpoint(scratch / "out.gguf");
    OK(opened);
    QCOMPARE((*opened)->metadata.string_at("tokenizer.ggml.model").value_or(""), std::string("llama"));
    QCOMPARE((*opened)->metadata.bool_at("tokenizer.ggml.add_bos_token").value_or(false), true);
    QCOMPARE((*opened)->metadata.bool_at("tokenizer.ggml.add_space_prefix").value_or(false), true);
    const auto& types = std::get<std::vector<std::int32_t>>((*opened)->metadata.array_at("tokenizer.ggml.token_type")->values);
    QCOMPARE(types.size(), std::size_t{384});
    QCOMPARE(types[0], 2);     // unknown
    QCOMPARE(types[1], 3);     // control
    QCOMPARE(types[13], 6);    // byte
    QCOMPARE(types[259], 1);   // normal
    QCOMPARE(types[383], 5);   // unused: the embedding has more rows than the tokenizer has tokens

    // Without one of its merges the ranks say something that scores cannot.
    tokenizer["model"]["merges"].erase(tokenizer["model"]["merges"].size() - 1);
    for (auto& merge : tokenizer["model"]["merges"])
      if (merge == nlohmann::json{"th", "e"}) merge = nlohmann::json{"h", "e"};
    put_folder(scratch / "odd", tokenizer, "{}");
    const auto odd = open_model(scratch / "odd");
    OK(odd);
    const auto refused = export_gguf(*odd, {}, scratch / "odd.gguf", JobContext());
    QVERIFY(!refused.ok());
    QCOMPARE(refused.error().code, ErrorCode::kUnsupported);
    QVERIFY(error_text(refused.error()).find("merges") != std::string::npos);
  }

  void namesPreTokenizers() {
    const Scratch scratch;
    const nlohmann::json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
    nlohmann::json without_regex = byte_level;
    without_regex["use_regex"] = false;
    const std::string words = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    const auto split = [&](const std::string& pattern) {
      return nlohmann::json{{"type", "Sequence"}, {"pretokenizers", {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}}, without_regex}}};
    };
    const auto exported = [&](const nlohmann::json& pre, bool ignore_merges) -> std::string {
      nlohmann::json tokenizer = micro_tokenizer();
      tokenizer["pre_tokenizer"] = pre;
      tokenizer["model"]["ignore_merges"] = ignore_merges;
      put_folder(scratch / "hf", tokenizer, "{}");
      const auto model = open_model(scratch / "hf");
      if (!model) return error_text(model.error());
      const auto report = export_gguf(*model, {}, scratch / "out.gguf", JobContext());
      if (!report) return std::string(error_name(report.error().code));
      const auto checked = verify_file(scratch / "out.gguf", *model, {.backend = "cpu", .threads = 1}, JobContext());
      if (!checked || !checked->passed()) return checked ? shown(*checked) : error_text(checked.error());
      return (*open_checkpoint(scratch / "out.gguf"))->metadata.string_at("tokenizer.ggml.pre").value_or("");
    };
    QCOMPARE(exported(byte_level, false), std::string("gpt-2"));
    QCOMPARE(exported(split(words), true), std::string("llama-bpe"));
    QCOMPARE(exported(split(words), false), std::string("smaug-bpe"));
    QCOMPARE(exported(split("[a-z]+"), false), std::string("unsupported"));
    nlohmann::json prefixed = byte_level;
    prefixed["add_prefix_space"] = true;
    QCOMPARE(exported(prefixed, false), std::string("unsupported"));
  }

  void turnsTheSharedFolders() {
    const QByteArray shared = qgetenv("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED names no folder of shared references");
    const Scratch scratch;
    for (const char* name : {"llama-bf16", "llama-sharded", "llama-tied", "llama-untied-gqa-rope3"}) {
      const auto model = open_model(std::filesystem::path(shared.toStdString()) / "models" / name);
      OK(model);
      const auto report = export_gguf(*model, {}, scratch / "out.gguf", JobContext());
      OK(report);
      const auto checked = verify_file(scratch / "out.gguf", *model, {.backend = "reference", .threads = 1}, JobContext());
      OK(checked);
      QVERIFY2(checked->passed(), (std::string(name) + "\n" + shown(*checked)).c_str());
    }
  }
};

QTEST_GUILESS_MAIN(GgufExportTest)
#include "gguf_export_test.moc"
