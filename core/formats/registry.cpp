// Which reader opens what. A new format is one reader and one line here.
#include <array>

#include "core/formats/folder.h"
#include "core/formats/foreign.h"
#include "core/formats/gguf.h"
#include "core/formats/pytorch.h"
#include "core/formats/safetensors.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using CheckpointPtr = std::shared_ptr<const Checkpoint>;

bool looks_like_gguf(std::span<const std::byte> bytes) noexcept {
  constexpr std::array magic = {std::byte{'G'}, std::byte{'G'}, std::byte{'U'}, std::byte{'F'}};
  return bytes.size() >= 4 && std::equal(magic.begin(), magic.end(), bytes.begin());
}

Result<CheckpointPtr> open_one_safetensors(std::shared_ptr<const MappedFile> file) {
  auto out = std::make_shared<Checkpoint>();
  out->path = file->path();
  out->format = CheckpointFormat::kSafetensors;
  RETORT_TRY(out->tensors, formats::read_safetensors(*file, 0));
  out->files.push_back(std::move(file));
  return CheckpointPtr(std::move(out));
}

Result<CheckpointPtr> open_one_pytorch(std::shared_ptr<const MappedFile> file) {
  auto out = std::make_shared<Checkpoint>();
  out->path = file->path();
  out->format = CheckpointFormat::kPyTorch;
  RETORT_TRY(out->tensors, formats::read_pytorch(*file, 0));
  out->files.push_back(std::move(file));
  return CheckpointPtr(std::move(out));
}

struct FileFormat {
  bool (*recognises)(std::span<const std::byte> bytes) noexcept;
  Result<CheckpointPtr> (*open)(std::shared_ptr<const MappedFile> file);
};
constexpr std::array kFormats = {
    FileFormat{&looks_like_gguf, &formats::open_gguf},
    FileFormat{&formats::looks_like_safetensors, &open_one_safetensors},
    FileFormat{&formats::looks_like_pytorch, &open_one_pytorch},
};

// People drop a part of a folder when they mean the folder: its configuration, its index, or its weights.
bool means_its_folder(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name == "config.json" || name == "model.safetensors.index.json" || name == "pytorch_model.bin.index.json") return true;
  std::error_code ignored;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_regular_file(folder / "config.json", ignored)) return false;
  return name == "model.safetensors" || name == "pytorch_model.bin" ||
         (name.starts_with("model-") && name.ends_with(".safetensors") &&
          fs::is_regular_file(folder / "model.safetensors.index.json", ignored)) ||
         (name.starts_with("pytorch_model-") && name.ends_with(".bin") &&
          fs::is_regular_file(folder / "pytorch_model.bin.index.json", ignored));
}

}  // namespace

Result<CheckpointPtr> open_checkpoint(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return formats::open_folder(path);
  RETORT_TRY(auto file, MappedFile::open(path));
  if (means_its_folder(path)) return formats::open_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
  for (const FileFormat& format : kFormats)
    if (format.recognises(file->bytes())) return format.open(std::move(file));
  return formats::foreign_error(file->bytes(), path.string());
}

Result<CheckpointPtr> open_safetensors(const fs::path& path) {
  RETORT_TRY(auto file, MappedFile::open(path));
  if (!formats::looks_like_safetensors(file->bytes())) return formats::foreign_error(file->bytes(), path.string());
  return open_one_safetensors(std::move(file));
}

}  // namespace retort
