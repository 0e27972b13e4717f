#include "core/base/digest.h"

#include <openssl/evp.h>

#include "core/base/files.h"

namespace retort {

std::string Digest::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(64);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<Digest> Digest::from_hex(std::string_view hex) {
  Digest digest;
  const auto value = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  bool good = hex.size() == 64;
  for (std::size_t i = 0; good && i < 32; ++i) {
    const int high = value(hex[2 * i]), low = value(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    digest.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  if (good) return digest;
  Error error;
  error.code = ErrorCode::kCorrupt;
  error.expected = "64 hexadecimal digits";
  error.found = std::string(hex.substr(0, 80));
  return error;
}

struct DigestBuilder::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { EVP_DigestInit_ex(context, EVP_sha256(), nullptr); }
  ~State() { EVP_MD_CTX_free(context); }
};

DigestBuilder::DigestBuilder() : state_(std::make_unique<State>()) {}
DigestBuilder::~DigestBuilder() = default;
DigestBuilder::DigestBuilder(DigestBuilder&&) noexcept = default;

DigestBuilder& DigestBuilder::raw(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
  return *this;
}
DigestBuilder& DigestBuilder::text(std::string_view part) {
  number(part.size());
  return raw(std::as_bytes(std::span(part)));
}
DigestBuilder& DigestBuilder::number(std::uint64_t part) {
  std::array<std::byte, 8> bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(part >> (8 * i));
  return raw(bytes);
}
DigestBuilder& DigestBuilder::digest(const Digest& part) { return raw(std::as_bytes(std::span(part.bytes))); }

Digest DigestBuilder::finish() {
  Digest digest;
  EVP_DigestFinal_ex(state_->context, digest.bytes.data(), nullptr);
  return digest;
}

Digest digest_of(std::string_view text) { return std::move(DigestBuilder().text(text)).finish(); }

Result<Digest> digest_of_file(const std::filesystem::path& path, const JobContext& job) {
  RETORT_TRY(auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  DigestBuilder builder;
  constexpr std::size_t kStep = 16u << 20;
  for (std::size_t offset = 0; offset < bytes.size(); offset += kStep) {
    RETORT_CHECK(job.check(path.string()));
    builder.raw(bytes.subspan(offset, std::min(kStep, bytes.size() - offset)));
    job.report({static_cast<double>(offset), static_cast<double>(bytes.size()), "bytes", "digest of " + path.filename().string()});
  }
  return builder.finish();
}

}  // namespace retort
