#include <QTest>

#include "core/formats/checkpoint.h"
#include "format_files.h"

using namespace retort;
using namespace retort::test;

namespace {

Metadata every_value_type() {
  Metadata metadata;
  metadata.set("general.architecture", std::string("llama"));
  metadata.set("a.u8", std::uint8_t{200});
  metadata.set("a.i8", std::int8_t{-3});
  metadata.set("a.u16", std::uint16_t{60000});
  metadata.set("a.i16", std::int16_t{-30000});
  metadata.set("a.u32", std::uint32_t{4000000000u});
  metadata.set("a.i32", std::int32_t{-5});
  metadata.set("a.u64", std::uint64_t{1} << 60);
  metadata.set("a.i64", std::int64_t{-1} << 60);
  metadata.set("a.f32", 1.5f);
  metadata.set("a.f64", 2.25);
  metadata.set("a.yes", true);
  metadata.set("a.no", false);
  metadata.set("a.text", std::string("caf\xc3\xa9 \xff raw bytes\0inside", 22));
  metadata.set("l.u8", array_of(std::vector<std::uint8_t>{1, 2}));
  metadata.set("l.i8", array_of(std::vector<std::int8_t>{-1, 2}));
  metadata.set("l.u16", array_of(std::vector<std::uint16_t>{1, 65535}));
  metadata.set("l.i16", array_of(std::vector<std::int16_t>{-1, 2}));
  metadata.set("l.u32", array_of(std::vector<std::uint32_t>{1, 2, 3}));
  metadata.set("l.i32", array_of(std::vector<std::int32_t>{-1, 2, 3}));
  metadata.set("l.u64", array_of(std::vector<std::uint64_t>{1}));
  metadata.set("l.i64", array_of(std::vector<std::int64_t>{-1}));
  metadata.set("l.f32", array_of(std::vector<float>{0.5f, -1.0f}));
  metadata.set("l.f64", array_of(std::vector<double>{0.25}));
  metadata.set("l.bool", array_of(std::vector<bool>{true, false, true}));
  metadata.set("l.text", array_of(std::vector<std::string>{"a", "", "b c"}));
  metadata.set("l.none", array_of(std::vector<float>{}));
  metadata.set("tokenizer.chat_template", std::string("{{ messages }}"));
  return metadata;
}

bool same_value(const MetadataValue& a, const MetadataValue& b) {
  using ArrayPtr = std::shared_ptr<const MetadataArray>;
  const auto* left = std::get_if<ArrayPtr>(&a);
  const auto* right = std::get_if<ArrayPtr>(&b);
  if (left && right) return (*left)->values == (*right)->values;
  return a == b;
}

struct Hostile {
  const char* name;
  std::string bytes;
  ErrorCode code;
  const char* mentions;   // in error_text
};

RawBytes one_tensor(std::string_view name, std::uint32_t type, std::uint64_t columns, std::uint64_t offset) {
  return gguf_header(1, 0).text(name).u32(1).u64(columns).u32(type).u64(offset).pad(32);
}

std::vector<Hostile> hostile_headers() {
  std::vector<Hostile> out;
  const auto add = [&](const char* name, const RawBytes& bytes, ErrorCode code, const char* mentions) {
    out.push_back({name, bytes.bytes, code, mentions});
  };
  add("magic only", RawBytes().raw("GGUF"), ErrorCode::kTruncated, "version");
  add("version 1", gguf_header(0, 0, 1), ErrorCode::kUnsupported, "version 1");
  add("version 99", gguf_header(0, 0, 99), ErrorCode::kUnsupported, "version 99");
  add("big-endian", gguf_header(0, 0, 0x03000000), ErrorCode::kUnsupported, "big-endian");
  add("2^63 tensors", gguf_header(std::uint64_t{1} << 63, 0), ErrorCode::kTruncated, "tensor count");
  add("2^64-1 keys", gguf_header(0, ~std::uint64_t{0}), ErrorCode::kTruncated, "key count");
  add("huge key length", gguf_header(0, 1).u64(~std::uint64_t{0}).raw("0123456789"), ErrorCode::kCorrupt, "key 0");
  add("key not UTF-8", gguf_header(0, 1).text("a\xff" "b").u32(0).raw("xxxx"), ErrorCode::kCorrupt, "\\xff");
  add("key twice", gguf_header(0, 2).text("k").u32(0).raw("x").text("k").u32(0).raw("x").pad(64), ErrorCode::kCorrupt, "key k");
  add("value type 13", gguf_header(0, 1).text("k").u32(13).raw("12345678"), ErrorCode::kCorrupt, "13");
  add("bool 2", gguf_header(0, 1).text("k").u32(7).raw("\x02").pad(64), ErrorCode::kCorrupt, "0 or 1");
  add("string beyond the end", gguf_header(0, 1).text("k").u32(8).u64(1000).raw("abc"), ErrorCode::kCorrupt, "1000");
  add("array of arrays", gguf_header(0, 1).text("k").u32(9).u32(9).u64(1).raw("1234567890123456"), ErrorCode::kUnsupported,
      "array of arrays");
  add("array of 2^62 f64", gguf_header(0, 1).text("k").u32(9).u32(12).u64(std::uint64_t{1} << 62).raw("12345678"),
      ErrorCode::kTruncated, "key k");
  add("array of 2^62 strings", gguf_header(0, 1).text("k").u32(9).u32(8).u64(std::uint64_t{1} << 62).raw("12345678"),
      ErrorCode::kTruncated, "key k");
  add("alignment 0", gguf_header(0, 1).text("general.alignment").u32(4).u32(0), ErrorCode::kCorrupt, "power of two");
  add("alignment 48", gguf_header(0, 1).text("general.alignment").u32(4).u32(48), ErrorCode::kCorrupt, "48");
  add("alignment of another type", gguf_header(0, 1).text("general.alignment").u32(10).u64(32), ErrorCode::kCorrupt,
      "another type");
  add("split file", gguf_header(0, 1).text("split.count").u32(2).raw(std::string_view("\x03\x00", 2)), ErrorCode::kUnsupported,
      "llama-gguf-split");   // its name is no part's
  add("tensor beyond the end", one_tensor("w", 0, 8, 0).raw("0123"), ErrorCode::kTruncated, "tensor w");
  add("offset near 2^64", one_tensor("w", 0, 8, ~std::uint64_t{31}).raw("0123"), ErrorCode::kTruncated, "tensor w");
  add("offset not aligned", one_tensor("w", 0, 1, 4).raw("01234567"), ErrorCode::kCorrupt, "multiple of 32");
  add("type 41", one_tensor("blk.0.w", 41, 128, 0).pad(64), ErrorCode::kUnsupported, "ggml type 41 (Q1_0)");
  add("type 2^32-1", one_tensor("w", 0xffffffffu, 32, 0).pad(64), ErrorCode::kUnsupported, "4294967295");
  add("part of a block", one_tensor("w", 8, 33, 0).pad(64), ErrorCode::kCorrupt, "multiple of 32");
  add("size 0", one_tensor("w", 0, 0, 0).pad(64), ErrorCode::kCorrupt, "tensor w");
  add("size 2^63", one_tensor("w", 0, std::uint64_t{1} << 63, 0).pad(64), ErrorCode::kCorrupt, "tensor w");
  add("product overflows",
      gguf_header(1, 0).text("w").u32(4).u64(1u << 31).u64(1u << 31).u64(1u << 31).u64(1u << 31).u32(0).u64(0).pad(64),
      ErrorCode::kCorrupt, "tensor w");
  add("5 dimensions", gguf_header(1, 0).text("w").u32(5).raw(std::string(64, '\1')), ErrorCode::kCorrupt, "1 to 4");
  add("0 dimensions", gguf_header(1, 0).text("w").u32(0).raw(std::string(64, '\1')), ErrorCode::kCorrupt, "1 to 4");
  add("long tensor name", gguf_header(1, 0).text(std::string(64, 'n')).u32(1).u64(1).u32(0).u64(0).pad(64), ErrorCode::kCorrupt,
      "at most 63");
  add("tensor twice",
      gguf_header(2, 0).text("w").u32(1).u64(1).u32(0).u64(0).text("w").u32(1).u64(1).u32(0).u64(32).pad(128).raw(std::string(64, 'x')),
      ErrorCode::kCorrupt, "same name");
  add("overlapping data",
      gguf_header(2, 0).text("v").u32(1).u64(16).u32(0).u64(0).text("w").u32(1).u64(1).u32(0).u64(32).pad(32).raw(std::string(64, 'x')),
      ErrorCode::kCorrupt, "overlaps tensor v");
  return out;
}

}  // namespace

class GgufTest : public QObject {
  Q_OBJECT
 private slots:
  void roundTripsMetadata() {
    const Scratch scratch;
    const Metadata metadata = every_value_type();
    const auto written = write_gguf(scratch / "m.gguf", metadata, {}, JobContext());
    QVERIFY2(written.ok(), written ? "" : error_text(written.error()).c_str());
    const auto opened = open_checkpoint(scratch / "m.gguf");
    QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
    const auto& entries = (*opened)->metadata.entries();
    QCOMPARE(entries.size(), metadata.entries().size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      QCOMPARE(entries[i].first, metadata.entries()[i].first);
      QVERIFY2(same_value(entries[i].second, metadata.entries()[i].second), entries[i].first.c_str());
    }
    QCOMPARE((*opened)->chat_template, std::string("{{ messages }}"));
  }

  void roundTripsTensorsOfEveryType() {
    const Scratch scratch;
    std::vector<TensorToWrite> tensors;
    for (const auto& type : kernels::tensor_types())
      if (type.ggml_id >= 0)
        tensors.push_back(patterned_tensor("t." + std::string(type.name), {3, static_cast<std::int64_t>(type.block_size)}, type.type));
    QVERIFY(tensors.size() >= 17);
    tensors.push_back(patterned_tensor("deep", {2, 3, 4, 5}, TensorType::kF32));
    QVERIFY(write_gguf(scratch / "m.gguf", every_value_type(), tensors, JobContext()).ok());
    const auto opened = open_checkpoint(scratch / "m.gguf");
    QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
    QCOMPARE((*opened)->tensors.size(), tensors.size());
    for (const TensorToWrite& tensor : tensors) {
      const TensorEntry* entry = (*opened)->find(tensor.name);
      QVERIFY2(entry, tensor.name.c_str());
      QCOMPARE(entry->type, tensor.type);
      QCOMPARE(entry->shape, tensor.shape);
      const auto data = tensor.data();
      QVERIFY(std::ranges::equal(entry->data, *data));
      QCOMPARE(entry->offset % 32, std::uint64_t{0});
    }
    QCOMPARE(get_file(scratch / "m.gguf").size() % 32, std::size_t{0});
  }

  void writesTheSameFileAgain() {
    const Scratch scratch;
    const std::vector tensors = {patterned_tensor("a", {4, 32}, TensorType::kQ4_0), patterned_tensor("b", {7}, TensorType::kF32)};
    Metadata metadata = every_value_type();
    metadata.set("general.alignment", std::uint32_t{64});
    QVERIFY(write_gguf(scratch / "a.gguf", metadata, tensors, JobContext()).ok());
    const auto opened = open_checkpoint(scratch / "a.gguf");
    QVERIFY(opened.ok());
    std::vector<TensorToWrite> again;
    for (const TensorEntry& tensor : (*opened)->tensors)
      again.push_back({tensor.name, tensor.shape, tensor.type, [&]() -> Result<std::span<const std::byte>> { return tensor.data; }});
    QVERIFY(write_gguf(scratch / "b.gguf", (*opened)->metadata, again, JobContext()).ok());
    QCOMPARE(get_file(scratch / "a.gguf"), get_file(scratch / "b.gguf"));
  }

  void refusesHostileHeaders() {
    const Scratch scratch;
    for (const Hostile& hostile : hostile_headers()) {
      put_file(scratch / "h.gguf", hostile.bytes);
      const auto opened = open_checkpoint(scratch / "h.gguf");
      QVERIFY2(!opened.ok(), hostile.name);
      const std::string text = error_text(opened.error());
      QVERIFY2(opened.error().code == hostile.code, (std::string(hostile.name) + ": " + text).c_str());
      QVERIFY2(text.find(hostile.mentions) != std::string::npos, (std::string(hostile.name) + ": " + text).c_str());
      QVERIFY2(text.find("h.gguf") != std::string::npos, text.c_str());
    }
  }

  void refusesEveryTruncation() {
    const Scratch scratch;
    const std::vector tensors = {patterned_tensor("a", {4, 32}, TensorType::kQ4_0), patterned_tensor("b", {8}, TensorType::kF32)};
    QVERIFY(write_gguf(scratch / "whole.gguf", every_value_type(), tensors, JobContext()).ok());
    const std::string whole = get_file(scratch / "whole.gguf");
    for (std::size_t length = 4; length < whole.size(); ++length) {
      put_file(scratch / "part.gguf", std::string_view(whole).substr(0, length));
      const auto opened = open_checkpoint(scratch / "part.gguf");
      QVERIFY2(!opened.ok(), std::to_string(length).c_str());
      const ErrorCode code = opened.error().code;
      QVERIFY2(code == ErrorCode::kTruncated || code == ErrorCode::kCorrupt, error_text(opened.error()).c_str());
    }
  }

  void opensSplitModels() {
    const Scratch scratch;
    const auto write_part = [&](int part, int number, std::vector<TensorToWrite> tensors, std::uint16_t count = 3) {
      Metadata metadata;
      if (part == 1) metadata.set("general.architecture", std::string("llama"));
      metadata.set("split.no", static_cast<std::uint16_t>(number));
      metadata.set("split.count", count);
      metadata.set("split.tensors.count", std::int32_t{4});
      const std::string name = "m-0000" + std::to_string(part) + "-of-00003.gguf";
      return write_gguf(scratch / name, metadata, tensors, JobContext()).ok();
    };
    const auto f32 = [](const char* name) { return patterned_tensor(name, {4}, TensorType::kF32); };
    QVERIFY(write_part(1, 0, {}) && write_part(2, 1, {f32("a"), f32("b"), f32("c")}) && write_part(3, 2, {f32("d")}));
    for (const char* given : {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf", ""}) {
      const auto opened = open_checkpoint(*given ? scratch / given : scratch.root());
      QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
      QCOMPARE((*opened)->tensors.size(), std::size_t{4});
      QCOMPARE((*opened)->files.size(), std::size_t{3});
      QCOMPARE((*opened)->find("d")->file, std::size_t{2});
      QCOMPARE((*opened)->metadata.string_at("general.architecture").value_or(""), std::string("llama"));
    }
    const auto refusal = [&] {
      const auto opened = open_checkpoint(scratch / "m-00001-of-00003.gguf");
      return opened.ok() ? std::string("opened") : error_text(opened.error());
    };
    QVERIFY(write_part(3, 2, {f32("a")}));
    QVERIFY2(refusal().find("each tensor in one part") != std::string::npos, refusal().c_str());
    QVERIFY(write_part(3, 1, {f32("d")}));
    QVERIFY2(refusal().find("split.no") != std::string::npos, refusal().c_str());
    QVERIFY(write_part(3, 2, {f32("d")}, 4));
    QVERIFY2(refusal().find("split.count") != std::string::npos, refusal().c_str());
    QVERIFY(write_part(3, 2, {}));
    QVERIFY2(refusal().find("split.tensors.count") != std::string::npos, refusal().c_str());
    std::filesystem::remove(scratch / "m-00003-of-00003.gguf");
    QVERIFY2(refusal().find("put m-00003-of-00003.gguf beside") != std::string::npos, refusal().c_str());
  }

  void refusesToWriteNonsense() {
    const Scratch scratch;
    const auto code = [&](TensorToWrite tensor) {
      const auto written = write_gguf(scratch / "x.gguf", {}, std::span(&tensor, 1), JobContext());
      return written.ok() ? -1 : static_cast<int>(written.error().code);
    };
    QCOMPARE(code(patterned_tensor("w", {1, 33}, TensorType::kQ8_0)), static_cast<int>(ErrorCode::kBadShape));
    QCOMPARE(code(patterned_tensor("w", {0}, TensorType::kF32)), static_cast<int>(ErrorCode::kBadShape));
    QCOMPARE(code(patterned_tensor(std::string(64, 'n'), {1}, TensorType::kF32)), static_cast<int>(ErrorCode::kBadShape));
    TensorToWrite wrong = patterned_tensor("w", {4}, TensorType::kF32);
    wrong.shape = {5};
    QCOMPARE(code(wrong), static_cast<int>(ErrorCode::kBadShape));
    QVERIFY(std::filesystem::is_empty(scratch.root()));   // nothing half-written stays
  }

  // Rows that are made piece by piece, larger than a buffer and with rows larger than one, between tensors held whole: the same file.
  void writesRowsAsTheyAreMade() {
    const Scratch scratch;
    std::vector<TensorToWrite> tensors = {patterned_tensor("a", {3}, TensorType::kF32), patterned_tensor("b", {2000, 1600}, TensorType::kF32),
                                          patterned_tensor("c", {5, 96}, TensorType::kQ4_0), patterned_tensor("d", {2, 1500000}, TensorType::kF32),
                                          patterned_tensor("e", {70, 32}, TensorType::kF16)};
    QVERIFY(write_gguf(scratch / "whole.gguf", every_value_type(), tensors, JobContext()).ok());
    QVERIFY(write_safetensors(scratch / "whole.safetensors", std::span(tensors).first(2), JobContext()).ok());
    std::int64_t asked = 0;
    for (std::size_t i = 1; i < tensors.size(); i += 2) {
      const auto whole = tensors[i].data;
      tensors[i].data = nullptr;
      tensors[i].rows = [&asked, whole, row = static_cast<std::size_t>(tensors[i].shape.back()) * 4](std::int64_t first, std::span<std::byte> out) -> Result<void> {
        RETORT_TRY(const auto all, whole());
        if (out.empty() || out.size() % row != 0) return Error{.code = ErrorCode::kInternal};
        std::memcpy(out.data(), all.data() + static_cast<std::size_t>(first) * row, out.size());
        ++asked;
        return {};
      };
    }
    QVERIFY(write_gguf(scratch / "rows.gguf", every_value_type(), tensors, JobContext()).ok());
    QVERIFY(asked >= 5);
    QVERIFY(get_file(scratch / "rows.gguf") == get_file(scratch / "whole.gguf"));
    QVERIFY(write_safetensors(scratch / "rows.safetensors", std::span(tensors).first(2), JobContext()).ok());
    QVERIFY(get_file(scratch / "rows.safetensors") == get_file(scratch / "whole.safetensors"));
    tensors[3].rows = [](std::int64_t, std::span<std::byte>) -> Result<void> { return Error{.code = ErrorCode::kNonFinite, .place = "d, row 1"}; };
    const auto refused = write_gguf(scratch / "bad.gguf", {}, tensors, JobContext());
    QVERIFY(!refused.ok());
    QCOMPARE(refused.error().code, ErrorCode::kNonFinite);
    QVERIFY(!std::filesystem::exists(scratch / "bad.gguf"));
  }

  void stopsAndCleansUp() {
    const Scratch scratch;
    JobContext job;
    job.stop();
    const std::vector tensors = {patterned_tensor("a", {4, 32}, TensorType::kQ4_0)};
    const auto written = write_gguf(scratch / "m.gguf", {}, tensors, job);
    QVERIFY(!written.ok());
    QCOMPARE(written.error().code, ErrorCode::kCanceled);
    QVERIFY(std::filesystem::is_empty(scratch.root()));
  }

  void saysAFullDiskAndAReadOnlyFolder() {
    const auto missing = write_gguf("/nonexistent-folder/m.gguf", {}, {}, JobContext());
    QVERIFY(!missing.ok());
    QCOMPARE(missing.error().code, ErrorCode::kNotFound);
    if (std::filesystem::exists("/proc/self")) {
      const auto readonly = write_gguf("/proc/self/m.gguf", {}, {}, JobContext());
      QVERIFY(!readonly.ok());
    }
  }

  void opensTheSharedFiles() {
    const QByteArray shared = qgetenv("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED names no folder of shared references");
    for (const char* name : {"tiny-llama-f16.gguf", "tiny-llama-q8_0.gguf", "tiny-llama-mixed-tied.gguf"}) {
      const auto opened = open_checkpoint(std::filesystem::path(shared.toStdString()) / "gguf" / name);
      QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
      QCOMPARE((*opened)->metadata.string_at("general.architecture").value_or(""), std::string("llama"));
      QCOMPARE((*opened)->metadata.unsigned_at("llama.embedding_length").value_or(0), std::uint64_t{64});
      const TensorEntry* embedding = (*opened)->find("token_embd.weight");
      QVERIFY(embedding);
      QCOMPARE(embedding->shape, (std::vector<std::int64_t>{512, 64}));
    }
  }
};

QTEST_APPLESS_MAIN(GgufTest)
#include "gguf_test.moc"
