// Importance matrices as files. GGUF, as llama-imatrix writes today: per linear NAME.in_sum2 (Σ x² per input column) and
// NAME.counts (tokens). And the older .dat:
//   i32 entries, then each: i32 length · name · i32 calls · i32 columns · f32 sums of means; then i32 chunks,
//   i32 length · data file name
#include <algorithm>
#include <cmath>

#include "core/formats/byte_reader.h"
#include "core/formats/writers.h"
#include "core/quantize/importance.h"

namespace retort {
namespace {

using formats::ByteReader;

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

Error corrupt(const std::string& file, std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kCorrupt, .file = file, .place = std::move(place), .expected = std::move(expected),
               .found = std::move(found)};
}

Result<void> check_means(const std::string& file, const std::string& name, std::span<const float> means) {
  for (const float mean : means) {
    if (!std::isfinite(mean) || mean < 0) {
      return Error{.code = ErrorCode::kNonFinite, .file = file, .place = name, .expected = "finite values of at least 0",
                   .found = std::to_string(mean)};
    }
  }
  return {};
}

std::span<const float> floats_of(const TensorEntry& tensor, std::vector<float>& copy) {
  // Views into a map may lie at any byte.
  copy.resize(tensor.data.size() / sizeof(float));
  std::memcpy(copy.data(), tensor.data.data(), copy.size() * sizeof(float));
  return copy;
}

Result<std::vector<float>> means_of(const Checkpoint& file, const TensorEntry& sums, const std::string& name) {
  const std::string path = file.path.string();
  const TensorEntry* counts = file.find(name + std::string(kCounts));
  if (counts == nullptr) return corrupt(path, name, "a tensor of counts", "none");
  if (sums.type != TensorType::kF32 || counts->type != TensorType::kF32) {
    return corrupt(path, name, "F32 sums and counts", std::string(kernels::traits(sums.type).name));
  }
  if (counts->elements() != 1 || sums.rows() != 1) {
    return Error{.code = ErrorCode::kUnsupported, .file = path, .place = name, .expected = "one row of sums",
                 .found = std::to_string(sums.rows()) + " (a mixture of experts)"};
  }
  std::vector<float> means, count;
  floats_of(sums, means);
  floats_of(*counts, count);
  if (!(count.front() >= 0) || !std::isfinite(count.front())) {
    return corrupt(path, name, "a count of tokens", std::to_string(count.front()));
  }
  if (count.front() == 0) return std::vector<float>{};   // never met in the text: says nothing
  for (float& mean : means) mean /= count.front();
  RETORT_CHECK(check_means(path, name, means));
  return means;
}

Result<ImportanceMatrix> read_gguf_importance(const std::filesystem::path& path) {
  RETORT_TRY(const auto file, open_checkpoint(path));
  const Metadata& metadata = file->metadata;
  if (file->format != CheckpointFormat::kGguf || metadata.string_at("general.type") != "imatrix") {
    return Error{.code = ErrorCode::kForeign, .file = path.string(), .expected = "an importance matrix (general.type imatrix)",
                 .found = metadata.string_at("general.type").value_or("another kind of file")};
  }
  ImportanceMatrix matrix;
  for (const TensorEntry& tensor : file->tensors) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    RETORT_TRY(auto means, means_of(*file, tensor, name));
    if (!means.empty()) matrix.columns[name] = std::move(means);
  }
  if (matrix.columns.empty()) return corrupt(path.string(), "tensors", "sums of squares (NAME.in_sum2)", "none");
  const std::uint64_t chunks = metadata.unsigned_at("imatrix.chunk_count").value_or(0);
  const std::uint64_t size = metadata.unsigned_at("imatrix.chunk_size").value_or(0);
  constexpr std::uint64_t kMost = 1u << 31;   // more would be no file of ours or llama.cpp's
  if (chunks > kMost || size > kMost) return corrupt(path.string(), "imatrix.chunk_count", "fewer", std::to_string(chunks));
  matrix.chunks = static_cast<std::int64_t>(chunks);
  matrix.tokens = static_cast<std::int64_t>(chunks * size);
  if (const MetadataArray* names = metadata.array_at("imatrix.datasets")) {
    if (const auto* texts = std::get_if<std::vector<std::string>>(&names->values); texts && !texts->empty()) {
      matrix.data_name = texts->front();
    }
  }
  return matrix;
}

Result<std::int64_t> read_count(ByteReader& reader, std::string_view place, std::int32_t most) {
  const std::uint64_t at = reader.position();
  RETORT_TRY(const auto value, reader.number<std::int32_t>(place));
  if (value < 0 || value > most) {
    return reader.error(ErrorCode::kCorrupt, place, at, "0 to " + std::to_string(most), std::to_string(value));
  }
  return std::int64_t{value};
}

Result<void> read_dat_entry(ByteReader& reader, ImportanceMatrix& matrix) {
  RETORT_TRY(const auto length, read_count(reader, "name", 4096));
  RETORT_TRY(const auto name, reader.take(static_cast<std::uint64_t>(length), "name"));
  const std::string place = formats::printable(name);
  RETORT_TRY(const auto calls, read_count(reader, place, 0x7fffffff));
  RETORT_TRY(const auto columns, read_count(reader, place, 0x7fffffff));
  if (!formats::is_clean_utf8(name) || columns == 0) {
    return reader.error(ErrorCode::kCorrupt, place, reader.position(), "a name and at least one column",
                        std::to_string(columns) + " columns");
  }
  RETORT_TRY(const auto raw, reader.take(static_cast<std::uint64_t>(columns) * sizeof(float), place));
  if (calls == 0) return {};
  std::vector<float> means(static_cast<std::size_t>(columns));
  std::memcpy(means.data(), raw.data(), raw.size());
  for (float& mean : means) mean /= static_cast<float>(calls);
  RETORT_CHECK(check_means(reader.file(), place, means));
  matrix.columns[std::string(name)] = std::move(means);
  return {};
}

Result<ImportanceMatrix> read_dat_importance(const MappedFile& file) {
  ByteReader reader(file.bytes(), file.path().string());
  ImportanceMatrix matrix;
  RETORT_TRY(const auto entries, read_count(reader, "entries", 1 << 20));
  RETORT_CHECK(reader.expect_items(static_cast<std::uint64_t>(entries), 12, "entries"));
  for (std::int64_t i = 0; i < entries; ++i) RETORT_CHECK(read_dat_entry(reader, matrix));
  if (matrix.columns.empty()) {
    return Error{.code = ErrorCode::kForeign, .file = reader.file(), .expected = "an importance matrix",
                 .found = "a file without entries"};
  }
  if (reader.remaining() == 0) return matrix;   // the oldest files end here
  RETORT_TRY(matrix.chunks, read_count(reader, "chunks", 0x7fffffff));
  RETORT_TRY(const auto length, read_count(reader, "data file", 65536));
  RETORT_TRY(const auto text, reader.take(static_cast<std::uint64_t>(length), "data file"));
  matrix.data_name = formats::is_clean_utf8(text) ? std::string(text) : formats::printable(text);
  return matrix;
}

// The f32 sum that gives `mean` again when divided by `count`: the plain product or a neighbour of it.
float sum_for(float mean, float count) {
  const float product = mean * count;
  if (product / count == mean) return product;
  float below = product, above = product;
  for (int step = 0; step < 4; ++step) {
    below = std::nextafter(below, 0.0f);
    above = std::nextafter(above, HUGE_VALF);
    if (below / count == mean) return below;
    if (above / count == mean) return above;
  }
  return product;
}

}  // namespace

Result<ImportanceMatrix> read_importance(const std::filesystem::path& path) {
  RETORT_TRY(const auto file, MappedFile::open(path));
  constexpr std::string_view kMagic = "GGUF";
  const bool gguf = file->bytes().size() >= kMagic.size() && std::memcmp(file->bytes().data(), kMagic.data(), 4) == 0;
  return gguf ? read_gguf_importance(path) : read_dat_importance(*file);
}

Result<void> write_importance(const std::filesystem::path& path, const ImportanceMatrix& matrix) {
  const std::int64_t size = matrix.chunks > 0 ? matrix.tokens / matrix.chunks : matrix.tokens;
  Metadata metadata;
  metadata.set("general.type", std::string("imatrix"));
  metadata.set("imatrix.datasets", std::make_shared<const MetadataArray>(
                                       MetadataArray{std::vector<std::string>{matrix.data_name}}));
  metadata.set("imatrix.chunk_count", static_cast<std::uint32_t>(matrix.chunks));
  metadata.set("imatrix.chunk_size", static_cast<std::uint32_t>(size));

  // Matrices from a .dat don't say how many tokens they saw.
  const float count = matrix.tokens > 0 ? static_cast<float>(matrix.tokens) : 1.0f;
  std::vector<float> sums;
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, means] : matrix.columns) {
    const auto columns = static_cast<std::int64_t>(means.size());
    const auto give_sums = [&sums, &values = means, count]() -> Result<std::span<const std::byte>> {
      sums.resize(values.size());
      std::transform(values.begin(), values.end(), sums.begin(), [count](float mean) { return sum_for(mean, count); });
      return std::as_bytes(std::span<const float>(sums));
    };
    const auto give_count = [&count]() -> Result<std::span<const std::byte>> {
      return std::as_bytes(std::span<const float>(&count, 1));
    };
    tensors.push_back({name + std::string(kSums), {columns}, TensorType::kF32, give_sums});
    tensors.push_back({name + std::string(kCounts), {1}, TensorType::kF32, give_count});
  }
  return write_gguf(path, metadata, tensors, JobContext{});
}

}  // namespace retort
