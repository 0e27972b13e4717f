// Models cut into several GGUF files: "PREFIX-00001-of-00003.gguf", each with split.no (from 0) and split.count.
#include <unordered_map>

#include <fmt/format.h>

#include "core/formats/byte_reader.h"
#include "core/formats/gguf.h"

namespace retort::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostFiles = 99999;   // five digits in the name

struct SplitName {
  std::string prefix;
  std::uint64_t part = 0, parts = 0;   // part counts from 1
};

std::string name_of_part(const SplitName& name, std::uint64_t part) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.prefix, part, name.parts);
}

// The last 20 characters are "-00001-of-00003.gguf".
std::optional<SplitName> parse_name(std::string_view name) {
  constexpr std::string_view kPattern = "-#####-of-#####.gguf";
  if (name.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kPattern.size());
  std::uint64_t numbers[2] = {};
  for (std::size_t i = 0; i < kPattern.size(); ++i) {
    if (kPattern[i] != '#') {
      if (tail[i] != kPattern[i]) return std::nullopt;
      continue;
    }
    if (tail[i] < '0' || tail[i] > '9') return std::nullopt;
    std::uint64_t& number = numbers[i > 6];
    number = number * 10 + static_cast<std::uint64_t>(tail[i] - '0');
  }
  if (numbers[0] < 1 || numbers[0] > numbers[1]) return std::nullopt;
  return SplitName{std::string(name.substr(0, name.size() - kPattern.size())), numbers[0], numbers[1]};
}

Error wrong_part(const Checkpoint& part, std::string_view key, std::uint64_t expected,
                 std::optional<std::uint64_t> found) {
  return Error{.code = ErrorCode::kCorrupt, .file = part.path.string(), .place = fmt::format("key {}", key),
               .expected = std::to_string(expected), .found = found ? std::to_string(*found) : "nothing",
               .next_step = "put the parts of one model, with their own names, into one folder"};
}

// Appends a part's tensors, which must be new.
Result<void> join(Checkpoint& whole, Checkpoint&& part, std::unordered_map<std::string, std::size_t>& owners) {
  const std::size_t file = whole.files.size();
  for (TensorEntry& tensor : part.tensors) {
    const auto [where, is_new] = owners.emplace(tensor.name, file);
    if (!is_new)
      return Error{.code = ErrorCode::kCorrupt, .file = part.path.string(), .place = "tensor " + printable(tensor.name),
                   .offset = tensor.offset, .expected = "each tensor in one part",
                   .found = "the same name in part " + std::to_string(where->second + 1)};
    tensor.file = file;
    whole.tensors.push_back(std::move(tensor));
  }
  whole.files.push_back(std::move(part.files.front()));
  return {};
}

Result<std::shared_ptr<Checkpoint>> read_part(const fs::path& path, std::uint64_t number, std::uint64_t parts) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored))
    return Error{.code = ErrorCode::kMissingPart, .file = path.string(), .place = fmt::format("part {} of {}", number, parts),
                 .next_step = fmt::format("put {} beside the other parts", printable(path.filename().string()))};
  RETORT_TRY(auto file, MappedFile::open(path));
  RETORT_TRY(auto part, read_gguf(std::move(file)));
  const auto count = part->metadata.unsigned_at("split.count"), index = part->metadata.unsigned_at("split.no");
  if (count != parts) return wrong_part(*part, "split.count", parts, count);
  if (index != number - 1) return wrong_part(*part, "split.no", number - 1, index);
  return part;
}

Result<std::shared_ptr<const Checkpoint>> open_split(std::shared_ptr<Checkpoint> given, std::uint64_t parts) {
  const fs::path path = given->path;
  const auto name = parse_name(path.filename().string());
  if (!name || name->parts != parts || parts > kMostFiles)
    return Error{.code = ErrorCode::kUnsupported, .file = path.string(), .place = "key split.count",
                 .expected = fmt::format("a file named NAME-00001-of-{:05}.gguf", parts),
                 .found = printable(path.filename().string()),
                 .next_step = "give the parts the names that they came with, or merge them with llama-gguf-split --merge"};
  auto whole = std::make_shared<Checkpoint>();
  std::unordered_map<std::string, std::size_t> owners;
  for (std::uint64_t part = 1; part <= parts; ++part) {
    RETORT_TRY(auto next, read_part(path.parent_path() / name_of_part(*name, part), part, parts));
    if (part == 1) {
      whole->path = next->path;
      whole->format = next->format;
      whole->metadata = std::move(next->metadata);
      whole->chat_template = std::move(next->chat_template);
    }
    RETORT_CHECK(join(*whole, std::move(*next), owners));
  }
  const auto total = whole->metadata.unsigned_at("split.tensors.count");
  if (total && *total != whole->tensors.size()) return wrong_part(*whole, "split.tensors.count", whole->tensors.size(), total);
  return std::shared_ptr<const Checkpoint>(std::move(whole));
}

}  // namespace

std::optional<std::string> first_of_split(std::string_view name) {
  const auto split = parse_name(name);
  return split ? std::optional(name_of_part(*split, 1)) : std::nullopt;
}

Result<std::shared_ptr<const Checkpoint>> open_gguf(std::shared_ptr<const MappedFile> file) {
  RETORT_TRY(auto checkpoint, read_gguf(std::move(file)));
  const auto parts = checkpoint->metadata.unsigned_at("split.count");
  if (parts && *parts > 1) return open_split(std::move(checkpoint), *parts);
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

}  // namespace retort::formats
