#include <QTest>

#include "core/formats/checkpoint.h"
#include "format_files.h"

using namespace retort;
using namespace retort::test;

namespace {

std::string safetensors(std::string_view header, std::string_view data) {
  RawBytes out;
  out.u64(header.size()).raw(header).raw(data);
  return out.bytes;
}

struct Case {
  const char* name;
  std::string bytes;
  ErrorCode code;
  const char* mentions;
};

std::vector<Case> hostile_safetensors() {
  const std::string data(64, 'x');
  const auto entry = [](std::string_view body) { return "{\"w\":{" + std::string(body) + "}}"; };
  const auto offsets = [&](std::string_view text) {
    return entry("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":" + std::string(text));
  };
  const auto shape = [&](std::string_view text) {
    return entry("\"dtype\":\"F32\",\"shape\":" + std::string(text) + ",\"data_offsets\":[0,16]");
  };
  RawBytes huge;
  huge.u64(99'000'000).raw("{}        ");
  return {
      {"header longer than the file", huge.bytes, ErrorCode::kTruncated, "header"},
      {"not JSON", safetensors("{\"w\":", data), ErrorCode::kCorrupt, "valid JSON"},
      {"deep JSON", safetensors("{\"w\":" + std::string(5000, '[') + std::string(5000, ']') + "}", data), ErrorCode::kCorrupt, "deep"},
      {"not UTF-8", safetensors("{\"w\xff\":1}", data), ErrorCode::kCorrupt, "JSON"},
      {"name twice", safetensors("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", data),
       ErrorCode::kCorrupt, "twice"},
      {"entry is a number", safetensors("{\"w\":3}", data), ErrorCode::kCorrupt, "tensor w"},
      {"no shape", safetensors(entry("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), data), ErrorCode::kCorrupt, "tensor w"},
      {"unknown dtype", safetensors(entry("\"dtype\":\"F4_E2M1\",\"shape\":[4],\"data_offsets\":[0,4]"), data),
       ErrorCode::kUnsupported, "F4_E2M1"},
      {"negative size", safetensors(shape("[-4]"), data), ErrorCode::kCorrupt, "whole numbers"},
      {"fractional size", safetensors(shape("[4.0]"), data), ErrorCode::kCorrupt, "whole numbers"},
      {"overflowing shape", safetensors(shape("[4294967296,4294967296]"), data), ErrorCode::kCorrupt, "tensor w"},
      {"size above 2^64", safetensors(shape("[99999999999999999999999]"), data), ErrorCode::kCorrupt, "tensor w"},
      {"offsets backward", safetensors(offsets("[16,0]"), data), ErrorCode::kCorrupt, "offsets"},
      {"offsets of another size", safetensors(offsets("[0,12]"), data), ErrorCode::kCorrupt, "16 bytes"},
      {"one offset", safetensors(offsets("[0]"), data), ErrorCode::kCorrupt, "data_offsets"},
      {"offset as text", safetensors(offsets("[0,\"16\"]"), data), ErrorCode::kCorrupt, "data_offsets"},
      {"data beyond the end", safetensors(offsets("[56,72]"), data), ErrorCode::kTruncated, "tensor w"},
      {"overlap", safetensors("{\"v\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},\"w\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[4,12]}}", data),
       ErrorCode::kCorrupt, "overlaps"},
  };
}

void put_model(const std::filesystem::path& folder) {
  const std::vector tensors = {patterned_tensor("model.embed_tokens.weight", {4, 8}, TensorType::kF16)};
  QVERIFY(write_safetensors(folder / "model.safetensors", tensors, JobContext()).ok());
}

// The error of opening `path`, or "opened".
std::string refusal(const std::filesystem::path& path) {
  const auto opened = open_checkpoint(path);
  return opened ? "opened" : std::string(error_name(opened.error().code)) + ": " + error_text(opened.error());
}

#define REFUSES(path, name, words)                                              \
  do {                                                                          \
    const std::string said = refusal(path);                                     \
    QVERIFY2(said.starts_with(name) && said.find(words) != std::string::npos, said.c_str()); \
  } while (false)

}  // namespace

class FolderTest : public QObject {
  Q_OBJECT
 private slots:
  void roundTripsSafetensors() {
    const Scratch scratch;
    std::vector<TensorToWrite> tensors;
    for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kF64, TensorType::kI8,
                                  TensorType::kI16, TensorType::kI32, TensorType::kI64, TensorType::kU8})
      tensors.push_back(patterned_tensor("t." + std::string(kernels::traits(type).name), {2, 3, 5}, type));
    tensors.push_back(patterned_tensor("scalar", {}, TensorType::kF32));
    tensors.push_back(patterned_tensor("empty", {0, 4}, TensorType::kF32));
    const auto written = write_safetensors(scratch / "t.safetensors", tensors, JobContext());
    QVERIFY2(written.ok(), written ? "" : error_text(written.error()).c_str());
    for (const auto& opened : {open_safetensors(scratch / "t.safetensors"), open_checkpoint(scratch / "t.safetensors")}) {
      QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
      QCOMPARE((*opened)->tensors.size(), tensors.size());
      for (const TensorToWrite& tensor : tensors) {
        const TensorEntry* entry = (*opened)->find(tensor.name);
        QVERIFY2(entry, tensor.name.c_str());
        QCOMPARE(entry->type, tensor.type);
        QCOMPARE(entry->shape, tensor.shape);
        QVERIFY(std::ranges::equal(entry->data, *tensor.data()));
      }
    }
    const auto packed = write_safetensors(scratch / "p.safetensors",
                                          std::vector{patterned_tensor("w", {1, 32}, TensorType::kQ8_0)}, JobContext());
    QVERIFY(!packed.ok());
    QCOMPARE(packed.error().code, ErrorCode::kUnsupported);
  }

  void refusesHostileSafetensors() {
    const Scratch scratch;
    for (const Case& hostile : hostile_safetensors()) {
      put_file(scratch / "h.safetensors", hostile.bytes);
      const auto opened = open_safetensors(scratch / "h.safetensors");
      QVERIFY2(!opened.ok(), hostile.name);
      const std::string text = error_text(opened.error());
      QVERIFY2(opened.error().code == hostile.code && text.find(hostile.mentions) != std::string::npos,
               (std::string(hostile.name) + ": " + text).c_str());
    }
  }

  void opensAFolderWithItsTexts() {
    const Scratch scratch;
    put_model(scratch.root());
    put_file(scratch / "config.json", "{\"model_type\":\"llama\"}");
    put_file(scratch / "tokenizer.json", "{}");
    put_file(scratch / "tokenizer_config.json", "{\"chat_template\":\"from config\"}");
    put_file(scratch / "generation_config.json", "{\"eos_token_id\":2}");
    for (const auto& path : {scratch.root(), scratch / "config.json", scratch / "model.safetensors"}) {
      const auto opened = open_checkpoint(path);
      QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
      QCOMPARE((*opened)->config_json, std::string("{\"model_type\":\"llama\"}"));
      QCOMPARE((*opened)->chat_template, std::string("from config"));
      QCOMPARE((*opened)->generation_config_json, std::string("{\"eos_token_id\":2}"));
      QCOMPARE((*opened)->tensors.size(), std::size_t{1});
    }
    put_file(scratch / "tokenizer_config.json",
             "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"tools\"},{\"name\":\"default\",\"template\":\"plain\"}]}");
    QCOMPARE((*open_checkpoint(scratch.root()))->chat_template, std::string("plain"));
    put_file(scratch / "chat_template.jinja", "from file");
    QCOMPARE((*open_checkpoint(scratch.root()))->chat_template, std::string("from file"));
    put_file(scratch / "config.json", "{\"model_type\":");
    REFUSES(scratch.root(), "corrupt", "config.json");
    put_file(scratch / "config.json", "[]");
    REFUSES(scratch.root(), "corrupt", "JSON object");
  }

  void opensShards() {
    const Scratch scratch;
    put_file(scratch / "config.json", "{}");
    QVERIFY(write_safetensors(scratch / "model-00001-of-00002.safetensors",
                              std::vector{patterned_tensor("a", {4}, TensorType::kF32)}, JobContext()).ok());
    const std::string index =
        "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002.safetensors\"}}";
    put_file(scratch / "model.safetensors.index.json", index);
    REFUSES(scratch.root(), "missing-part", "model-00002-of-00002.safetensors");
    QVERIFY(write_safetensors(scratch / "model-00002-of-00002.safetensors",
                              std::vector{patterned_tensor("b", {8}, TensorType::kBF16)}, JobContext()).ok());
    for (const char* name : {"", "model.safetensors.index.json", "model-00002-of-00002.safetensors"}) {
      const auto opened = open_checkpoint(scratch / name);
      QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
      QCOMPARE((*opened)->tensors.size(), std::size_t{2});
      QCOMPARE((*opened)->files.size(), std::size_t{2});
      QCOMPARE((*opened)->find("b")->file, std::size_t{1});
    }
    put_file(scratch / "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../../etc/passwd\"}}");
    REFUSES(scratch.root(), "corrupt", "same folder");
    put_file(scratch / "model.safetensors.index.json", "{\"weight_map\":{\"c\":\"model-00002-of-00002.safetensors\"}}");
    REFUSES(scratch.root(), "corrupt", "no such tensor");
    put_file(scratch / "model.safetensors.index.json", index);
    QVERIFY(write_safetensors(scratch / "model-00002-of-00002.safetensors",
                              std::vector{patterned_tensor("a", {8}, TensorType::kBF16)}, JobContext()).ok());
    REFUSES(scratch.root(), "corrupt", "same name in model-00001");
  }

  void refusesForeignFilesWithAdvice() {
    const Scratch scratch;
    const auto refuses = [&](std::string_view bytes, const char* words) {
      put_file(scratch / "f.bin", bytes);
      REFUSES(scratch / "f.bin", "foreign", words);
    };
    refuses("", "an empty file");
    refuses("\x80\x02pickle", "pickle");
    refuses("Dear reader, this is text.\n", "a text file");
    refuses("version https://git-lfs.github.com/spec/v1\noid", "git lfs pull");
    refuses("<!DOCTYPE html>", "a web page");
    refuses("{\"a\":1}", "a JSON file");
    refuses(std::string_view("\x01\x02\x03\x04\xff\xfe", 6), "unknown format");
    refuses("GGU", "text");
    REFUSES(scratch / "nothing", "not-found", "nothing");
    REFUSES("/dev/null", "read", "/dev/null");
  }

  void refusesFoldersThatLackAPart() {
    const Scratch scratch;
    REFUSES(scratch.root(), "missing-part", "config.json");
    put_file(scratch / "config.json", "{}");
    REFUSES(scratch.root(), "missing-part", "model.safetensors");
    put_file(scratch / "tf_model.h5", "HDF");
    REFUSES(scratch.root(), "missing-part", "save_pretrained");
    std::filesystem::remove(scratch / "config.json");
    put_model(scratch.root());
    REFUSES(scratch.root(), "missing-part", "download the model's config.json");
    std::filesystem::remove(scratch / "model.safetensors");
    put_file(scratch / "adapter_config.json", "{}");
    REFUSES(scratch.root(), "unsupported", "adapter");

    QVERIFY(write_gguf(scratch / "one.gguf", {}, {}, JobContext()).ok());
    QCOMPARE(refusal(scratch.root()), std::string("opened"));
    QVERIFY(write_gguf(scratch / "two.gguf", {}, {}, JobContext()).ok());
    REFUSES(scratch.root(), "foreign", "one.gguf");
  }

  void opensTheSharedFolders() {
    const QByteArray shared = qgetenv("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED names no folder of shared references");
    const auto models = std::filesystem::path(shared.toStdString()) / "models";
    int folders = 0;
    for (const auto& folder : std::filesystem::directory_iterator(models)) {
      if (!folder.is_directory()) continue;
      const auto opened = open_checkpoint(folder.path());
      QVERIFY2(opened.ok(), opened ? "" : error_text(opened.error()).c_str());
      QVERIFY(!(*opened)->tensors.empty());
      QVERIFY(!(*opened)->config_json.empty());
      ++folders;
    }
    QVERIFY(folders >= 17);
    QCOMPARE((*open_checkpoint(models / "llama-sharded"))->files.size(), std::size_t{3});
  }
};

QTEST_APPLESS_MAIN(FolderTest)
#include "folder_test.moc"
