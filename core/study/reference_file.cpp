// The original's final hidden states on one text, as a file in the cache:
//   0  ReferenceHeader (96 bytes), then header.floats f32, little-endian, then SHA-256 of all before (32 bytes).
#include <cstring>

#include "core/base/checked.h"
#include "core/study/runner.h"

namespace retort {
namespace {

struct ReferenceHeader {
  char magic[8];                       // "RTREF001"
  std::array<std::uint8_t, 32> text;   // digest of the tokens
  std::int64_t context, chunks, scored_per_chunk;
  std::uint64_t floats;
  std::uint64_t reserved[3];
};
static_assert(sizeof(ReferenceHeader) == 96);
constexpr char kReferenceMagic[8] = {'R', 'T', 'R', 'E', 'F', '0', '0', '1'};

Digest check_of(std::span<const std::byte> header, std::span<const std::byte> states) {
  return std::move(DigestBuilder().raw(header).raw(states)).finish();
}

}  // namespace

Result<void> write_reference(const std::filesystem::path& path, const Reference& reference) {
  ReferenceHeader header{};
  std::memcpy(header.magic, kReferenceMagic, sizeof kReferenceMagic);
  header.text = reference.text.bytes;
  header.context = reference.context;
  header.chunks = reference.chunks;
  header.scored_per_chunk = reference.scored_per_chunk;
  header.floats = reference.hidden.size();
  const auto head = std::as_bytes(std::span(&header, 1));
  const auto states = std::as_bytes(std::span(reference.hidden));
  const Digest check = check_of(head, states);
  RETORT_TRY(auto file, AtomicFile::create(path));
  RETORT_CHECK(file.reserve(head.size() + states.size() + check.bytes.size()));
  RETORT_CHECK(file.write(head));
  RETORT_CHECK(file.write(states));
  RETORT_CHECK(file.write(std::as_bytes(std::span(check.bytes))));
  return file.commit();
}

Result<Reference> read_reference(const std::filesystem::path& path) {
  RETORT_TRY(const auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  const Error damaged{.code = ErrorCode::kCorrupt, .file = path.string(), .next_step = "it is made again by the next run"};
  ReferenceHeader header;
  if (bytes.size() < sizeof header + 32) return damaged;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto states = bytes.subspan(sizeof header, bytes.size() - sizeof header - 32);
  const auto expected = checked_mul(header.floats, sizeof(float));
  if (std::memcmp(header.magic, kReferenceMagic, sizeof kReferenceMagic) != 0 || !expected || *expected != states.size()) return damaged;
  const Digest check = check_of(bytes.first(sizeof header), states);
  if (std::memcmp(check.bytes.data(), bytes.data() + bytes.size() - 32, 32) != 0) return damaged;
  Reference reference;
  reference.text.bytes = header.text;
  reference.context = header.context;
  reference.chunks = header.chunks;
  reference.scored_per_chunk = header.scored_per_chunk;
  reference.hidden.resize(header.floats);
  std::memcpy(reference.hidden.data(), states.data(), states.size());
  return reference;
}

}  // namespace retort
