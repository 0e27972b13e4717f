#include "core/distill/student_sizes.h"

#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace retort::distill {
namespace {

using nlohmann::ordered_json;

Error bad(const char* key, std::string expected, std::int64_t found) {
  return Error{.code = ErrorCode::kBadRecipe, .place = std::string("student.") + key, .expected = std::move(expected), .found = std::to_string(found)};
}

Error unsupported(const std::string& key, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kUnsupported, .place = "student." + key, .expected = std::move(expected), .found = std::move(found)};
}

// What the student's configuration is to say.
struct Sizes {
  std::int64_t hidden, heads, kv_heads, feed_forward, head_dim;
};

Result<Sizes> sizes_of(const ModelConfig& teacher, const StudentDesign& design) {
  Sizes out{teacher.hidden, teacher.heads, teacher.kv_heads, teacher.feed_forward, teacher.head_dim};
  if (design.hidden > teacher.hidden) return bad("hidden", fmt::format("at most the teacher's {}", teacher.hidden), design.hidden);
  if (design.heads > teacher.heads) return bad("heads", fmt::format("at most the teacher's {}", teacher.heads), design.heads);
  if (design.feed_forward > teacher.feed_forward)
    return bad("feed_forward", fmt::format("at most the teacher's {}", teacher.feed_forward), design.feed_forward);
  if (design.hidden > 0) out.hidden = design.hidden;
  if (design.feed_forward > 0) out.feed_forward = design.feed_forward;
  if (design.heads > 0) {
    const std::int64_t group = teacher.heads / teacher.kv_heads;
    if (design.heads % group != 0) return bad("heads", fmt::format("a multiple of {}: so many share a key/value head", group), design.heads);
    out.heads = design.heads;
    out.kv_heads = design.heads / group;
  }
  return out;
}

// One size and the names that configurations give it, JSON's first.
struct SizeKey {
  const char* design;
  std::int64_t Sizes::*size;
  std::array<std::string_view, 4> json;
  std::string_view gguf;
};
constexpr std::array kKeys = {
    SizeKey{"hidden", &Sizes::hidden, {"hidden_size", "dim", "n_embd", "d_model"}, "embedding_length"},
    SizeKey{"heads", &Sizes::heads, {"num_attention_heads", "n_heads", "n_head", ""}, "attention.head_count"},
    SizeKey{"heads", &Sizes::kv_heads, {"num_key_value_heads", "", "", ""}, "attention.head_count_kv"},
    SizeKey{"feed_forward", &Sizes::feed_forward, {"intermediate_size", "hidden_dim", "n_inner", ""}, "feed_forward_length"},
};

Result<void> set_json(const ModelConfig& teacher, const Sizes& sizes, const Sizes& before, std::string& text) {
  ordered_json config = ordered_json::parse(text, nullptr, false);
  if (!config.is_object()) return unsupported("hidden", "config.json", "none");
  for (const SizeKey& key : kKeys) {
    bool found = sizes.*key.size == before.*key.size || key.size == &Sizes::kv_heads;   // stated only where they differ from the heads
    for (const std::string_view name : key.json) {
      if (name.empty() || !config.contains(name)) continue;
      config[std::string(name)] = sizes.*key.size;
      found = true;
    }
    if (!found) return unsupported(key.design, "a size under a known name in config.json", "none");
  }
  const bool stated = config.contains("head_dim");
  if (sizes.heads * sizes.head_dim != sizes.hidden || stated) {
    // Encoders and GPT-2's like state no size of a head: it is hidden / heads.
    if (teacher.rope.rotary == 0 && !stated)
      return unsupported("hidden", fmt::format("{} for {} heads: heads of {} stay as they are", sizes.heads * sizes.head_dim, sizes.heads, sizes.head_dim),
                         std::to_string(sizes.hidden));
    config["head_dim"] = sizes.head_dim;
  }
  text = config.dump(2) + "\n";
  return {};
}

Result<void> set_metadata(const Sizes& sizes, const Sizes& before, Metadata& metadata) {
  const std::string base = metadata.string_at("general.architecture").value_or("") + ".";
  for (const SizeKey& key : kKeys) {
    if (sizes.*key.size == before.*key.size) continue;
    const std::string name = base + std::string(key.gguf);
    if (!metadata.find(name)) return unsupported(key.design, name, "none");
    if (!metadata.unsigned_at(name)) return unsupported(key.design, name + " as one number for all layers", "a list");
    metadata.set(name, static_cast<std::uint32_t>(sizes.*key.size));
  }
  for (const char* name : {"attention.key_length", "attention.value_length"}) metadata.set(base + name, static_cast<std::uint32_t>(sizes.head_dim));
  return {};
}

}  // namespace

Result<void> set_sizes(const Model& teacher, const StudentDesign& design, Checkpoint& checkpoint) {
  if (!design.narrower()) return {};
  if (teacher.config.experts > 0 || teacher.config.layer_groups > 0)
    return unsupported("heads, feed_forward, hidden", "layers with weights of their own and one feed-forward", teacher.config.experts > 0 ? "experts" : "shared layers");
  RETORT_TRY(const Sizes sizes, sizes_of(teacher.config, design));
  const Sizes before{teacher.config.hidden, teacher.config.heads, teacher.config.kv_heads, teacher.config.feed_forward, teacher.config.head_dim};
  if (checkpoint.format == CheckpointFormat::kGguf) return set_metadata(sizes, before, checkpoint.metadata);
  return set_json(teacher.config, sizes, before, checkpoint.config_json);
}

}  // namespace retort::distill
