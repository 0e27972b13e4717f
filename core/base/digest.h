// SHA-256 of inputs: the keys of the tensor store and the provenance of exports. Never of computed floats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/job.h"
#include "core/base/result.h"

namespace retort {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  std::string hex() const;
  static Result<Digest> from_hex(std::string_view hex);
  auto operator<=>(const Digest&) const = default;
};

// Feed parts, then finish(). text() and number() frame their argument, so that "ab","c" differs from "a","bc".
class DigestBuilder {
 public:
  DigestBuilder();
  ~DigestBuilder();
  DigestBuilder(DigestBuilder&&) noexcept;
  DigestBuilder& raw(std::span<const std::byte> bytes);
  DigestBuilder& text(std::string_view part);
  DigestBuilder& number(std::uint64_t part);
  DigestBuilder& digest(const Digest& part);
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest digest_of(std::string_view text);
// Reads the whole file; stops with kCanceled.
Result<Digest> digest_of_file(const std::filesystem::path& path, const JobContext& job);

}  // namespace retort
