#include "core/formats/foreign.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/formats/onnx.h"

namespace retort::formats {
namespace {

constexpr std::string_view kOpenOther = "open a GGUF file or a folder with config.json and safetensors";
constexpr std::string_view kSaveSafetensors =
    "in transformers, load the model and save it with save_pretrained(folder), then open that folder";

struct Signature {
  std::string_view bytes;
  std::string_view what;
  std::string_view next_step;
};
constexpr std::array kSignatures = {
    Signature{std::string_view("PK\x03\x04", 4), "a zip archive of something else than a PyTorch model", kSaveSafetensors},
    Signature{std::string_view("\x80\x02", 2), "a Python pickle, such as older PyTorch files", kSaveSafetensors},
    Signature{std::string_view("\x80\x04", 2), "a Python pickle", kSaveSafetensors},
    Signature{std::string_view("lmgg", 4), "a ggml file from before GGUF", "convert the original model to GGUF again"},
    Signature{std::string_view("fmgg", 4), "a ggmf file from before GGUF", "convert the original model to GGUF again"},
    Signature{std::string_view("tjgg", 4), "a ggjt file from before GGUF", "convert the original model to GGUF again"},
    Signature{std::string_view("\x89HDF", 4), "an HDF5 file, such as Keras writes", kSaveSafetensors},
    Signature{std::string_view("\x1f\x8b", 2), "a gzip archive", "unpack it and open what is inside"},
    Signature{std::string_view("\x28\xb5\x2f\xfd", 4), "a Zstandard archive", "unpack it and open what is inside"},
    Signature{std::string_view("7z\xbc\xaf\x27\x1c", 6), "a 7-Zip archive", "unpack it and open what is inside"},
    Signature{std::string_view("version https://git-lfs", 23), "a Git LFS pointer, not the file itself",
              "fetch the real file with git lfs pull"},
    Signature{std::string_view("<!DOCTYPE", 9), "a web page", "download the file itself, not the page about it"},
    Signature{std::string_view("<html", 5), "a web page", "download the file itself, not the page about it"},
    Signature{std::string_view("SQLite format 3", 15), "a SQLite database", "open a study with `retort study`"},
    Signature{std::string_view("{", 1), "a JSON file", "open the folder that holds it"},
};

bool looks_like_text(std::string_view head) noexcept {
  return std::all_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 || c == '\n' || c == '\r' || c == '\t' || c == '\f';
  });
}

}  // namespace

Error foreign_error(std::span<const std::byte> bytes, std::string file) {
  Error error{.code = ErrorCode::kForeign, .file = std::move(file), .next_step = std::string(kOpenOther)};
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 512));
  if (head.empty()) {
    error.found = "an empty file";
    error.next_step = "download or copy it again";
    return error;
  }
  if (onnx::looks_like_onnx(bytes)) {
    error.code = ErrorCode::kUnsupported;
    error.expected = "a language model";
    error.found = "an ONNX graph";
    error.next_step = "use `retort inspect` or `retort forward` on it";
    return error;
  }
  for (const Signature& signature : kSignatures) {
    if (!head.starts_with(signature.bytes)) continue;
    error.found = signature.what;
    error.next_step = signature.next_step;
    return error;
  }
  error.found = looks_like_text(head) ? "a text file" : "bytes of an unknown format";
  return error;
}

}  // namespace retort::formats
