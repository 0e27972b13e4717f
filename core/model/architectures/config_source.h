// One way of asking a configuration, wherever it stands: GGUF metadata or config.json.
// Values are untrusted: every number is checked for kind and range before anybody uses it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/checkpoint.h"

namespace retort {

// The same fact's key in both worlds; an empty one means that this world doesn't state it. JSON keys may be paths
// ("rope_scaling.factor"). GGUF keys stand without their architecture ("attention.head_count"), unless they begin with
// "general.".
struct ConfigKey {
  std::string_view json;
  std::string_view gguf;
};

class ConfigSource {
 public:
  // Errors: kCorrupt (config.json is no JSON object), kMissingPart (neither metadata nor config.json).
  static Result<ConfigSource> open(const Checkpoint& checkpoint);

  bool gguf() const noexcept { return gguf_; }
  // general.architecture, or the first of `architectures`, or `model_type`; empty when none is stated.
  const std::string& architecture() const noexcept { return architecture_; }

  bool has(const ConfigKey& key) const;
  // Absent and null give nullopt. Errors: kCorrupt, naming the key, for another kind of value.
  Result<std::optional<double>> number(const ConfigKey& key) const;
  Result<std::optional<std::string>> text(const ConfigKey& key) const;
  Result<std::optional<bool>> flag(const ConfigKey& key) const;
  Result<std::optional<std::vector<double>>> numbers(const ConfigKey& key) const;
  Result<std::optional<std::vector<std::string>>> texts(const ConfigKey& key) const;
  // The names of an object {"0": "negative", …} in the order of their numbers, at most `most`. JSON only.
  Result<std::optional<std::vector<std::string>>> numbered_texts(const ConfigKey& key, std::size_t most) const;
  // A whole number in [1, limit]. Errors: kCorrupt.
  Result<std::optional<std::int64_t>> count(const ConfigKey& key, std::int64_t limit) const;
  // "llama.block_count" or "num_hidden_layers": as the file says it.
  std::string spelled(const ConfigKey& key) const;
  Error error(const ConfigKey& key, std::string expected, std::string found) const;

 private:
  struct Document;
  const Checkpoint* checkpoint_ = nullptr;
  std::shared_ptr<const Document> document_;
  std::string architecture_;
  bool gguf_ = false;
};

}  // namespace retort
