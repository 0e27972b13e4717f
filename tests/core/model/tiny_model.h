// Tiny Llama models built in memory, and what they must compute: a second implementation, in f64, one token after
// another, without cache or blocks. It shares nothing with the product but the tensor decoders.
#pragma once

#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include <fmt/format.h>

#include "core/formats/checkpoint.h"
#include "core/model/model.h"
#include "kernels/api/half.h"

namespace tiny {

using namespace retort;

struct Spec {
  bool gguf = false, tied = false, bias = false;
  std::int64_t vocabulary = 50, hidden = 64, layers = 2, heads = 4, kv_heads = 2, head_dim = 16, feed_forward = 96;
  TensorType type = TensorType::kF32;     // of the matrices
  double theta = 1000;
  std::string rope_json = {};             // folders: the value of rope_scaling
  std::int64_t context = 256;
};

// Owns the bytes that its checkpoint's tensors view.
struct Owner : Checkpoint {
  std::map<std::string, std::vector<std::byte>> bytes;
};

inline std::vector<std::byte> pack(TensorType type, const std::vector<float>& values) {
  std::vector<std::byte> out;
  const auto put = [&out](auto value) {
    const auto* p = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), p, p + sizeof value);
  };
  if (type == TensorType::kQ8_0) {
    for (std::size_t b = 0; b < values.size(); b += 32) {
      float greatest = 0;
      for (std::size_t i = 0; i < 32; ++i) greatest = std::max(greatest, std::abs(values[b + i]));
      const std::uint16_t scale = kernels::f32_to_f16(greatest / 127);
      put(scale);
      for (std::size_t i = 0; i < 32; ++i)
        put(static_cast<std::int8_t>(std::clamp(std::round(values[b + i] / kernels::f16_to_f32(scale)), -127.0f, 127.0f)));
    }
    return out;
  }
  for (const float v : values) {
    if (type == TensorType::kF16) put(kernels::f32_to_f16(v));
    else if (type == TensorType::kBF16) put(kernels::f32_to_bf16(v));
    else put(v);
  }
  return out;
}

inline void add_tensor(Owner& owner, std::mt19937& random, const std::string& name, std::vector<std::int64_t> shape,
                       TensorType type, float centre, float spread) {
  std::int64_t n = 1;
  for (const std::int64_t d : shape) n *= d;
  std::vector<float> values(static_cast<std::size_t>(n));
  // Not std::normal_distribution, whose numbers differ between libraries.
  for (float& v : values) v = centre + spread * (static_cast<float>(random() >> 8) * 0x1p-23f - 1);
  owner.bytes[name] = pack(type, values);
  TensorEntry entry;
  entry.name = name;
  entry.shape = std::move(shape);
  entry.type = type;
  entry.data = owner.bytes[name];
  owner.tensors.push_back(std::move(entry));
}

inline std::string config_json(const Spec& s) {
  return fmt::format(
      R"({{"architectures":["LlamaForCausalLM"],"vocab_size":{},"hidden_size":{},"num_hidden_layers":{},)"
      R"("num_attention_heads":{},"num_key_value_heads":{},"head_dim":{},"intermediate_size":{},"rms_norm_eps":1e-5,)"
      R"("hidden_act":"silu","max_position_embeddings":{},"rope_theta":{},"rope_scaling":{},"attention_bias":{},)"
      R"("mlp_bias":{},"tie_word_embeddings":{}}})",
      s.vocabulary, s.hidden, s.layers, s.heads, s.kv_heads, s.head_dim, s.feed_forward, s.context, s.theta,
      s.rope_json.empty() ? "null" : s.rope_json, s.bias, s.bias, s.tied);
}

inline void set_metadata(const Spec& s, Metadata& m) {
  const auto count = [&m](const char* key, std::int64_t v) { m.set(key, static_cast<std::uint32_t>(v)); };
  m.set("general.architecture", std::string("llama"));
  count("llama.block_count", s.layers);
  count("llama.context_length", s.context);
  count("llama.embedding_length", s.hidden);
  count("llama.feed_forward_length", s.feed_forward);
  count("llama.attention.head_count", s.heads);
  count("llama.attention.head_count_kv", s.kv_heads);
  count("llama.attention.key_length", s.head_dim);
  m.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  m.set("llama.rope.freq_base", static_cast<float>(s.theta));
}

// The two worlds' names of one part.
inline std::string name_of(const Spec& s, const char* gguf, const char* folder, std::int64_t layer = 0) {
  return s.gguf ? fmt::format(fmt::runtime(gguf), layer) : fmt::format(fmt::runtime(folder), layer);
}

inline std::shared_ptr<Owner> make(const Spec& s, unsigned seed = 1) {
  auto owner = std::make_shared<Owner>();
  std::mt19937 random(seed);
  owner->path = s.gguf ? "tiny.gguf" : "tiny";
  owner->format = s.gguf ? CheckpointFormat::kGguf : CheckpointFormat::kSafetensors;
  if (s.gguf) set_metadata(s, owner->metadata);
  else owner->config_json = config_json(s);
  const auto norm = [&](const std::string& base) {
    add_tensor(*owner, random, base + ".weight", {s.hidden}, TensorType::kF32, 1, 0.3f);
  };
  const auto linear = [&](const std::string& base, std::int64_t rows, std::int64_t columns, bool bias) {
    add_tensor(*owner, random, base + ".weight", {rows, columns}, s.type, 0, 0.3f);
    if (bias) add_tensor(*owner, random, base + ".bias", {rows}, TensorType::kF32, 0, 0.3f);
  };
  linear(name_of(s, "token_embd", "model.embed_tokens"), s.vocabulary, s.hidden, false);
  for (std::int64_t l = 0; l < s.layers; ++l) {
    const std::int64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
    norm(name_of(s, "blk.{}.attn_norm", "model.layers.{}.input_layernorm", l));
    linear(name_of(s, "blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", l), q, s.hidden, s.bias);
    linear(name_of(s, "blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", l), kv, s.hidden, s.bias);
    linear(name_of(s, "blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", l), kv, s.hidden, s.bias);
    linear(name_of(s, "blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", l), s.hidden, q, s.bias);
    norm(name_of(s, "blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm", l));
    linear(name_of(s, "blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", l), s.feed_forward, s.hidden, s.bias);
    linear(name_of(s, "blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", l), s.feed_forward, s.hidden, s.bias);
    linear(name_of(s, "blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", l), s.hidden, s.feed_forward, s.bias);
  }
  norm(name_of(s, "output_norm", "model.norm"));
  if (!s.tied) linear(name_of(s, "output", "lm_head"), s.vocabulary, s.hidden, false);
  return owner;
}

using Vector = std::vector<double>;

// The f64 model.
class Expected {
 public:
  Expected(const Spec& spec, const Checkpoint& checkpoint) : s_(spec), checkpoint_(checkpoint) {}

  struct Output {
    std::vector<Vector> hidden, logits;   // one a token
  };
  Output run(const std::vector<TokenId>& tokens) const {
    std::vector<Vector> x;
    const Vector table = tensor(name_of(s_, "token_embd", "model.embed_tokens") + ".weight");
    for (const TokenId t : tokens)
      x.emplace_back(table.begin() + t * s_.hidden, table.begin() + (t + 1) * s_.hidden);
    for (std::int64_t l = 0; l < s_.layers; ++l) layer(x, l);
    Output out;
    const std::string head = s_.tied ? name_of(s_, "token_embd", "model.embed_tokens") : name_of(s_, "output", "lm_head");
    for (const Vector& row : x) {
      out.hidden.push_back(norm(row, name_of(s_, "output_norm", "model.norm")));
      out.logits.push_back(linear(out.hidden.back(), head));
    }
    return out;
  }

 private:
  Vector tensor(const std::string& name) const {
    const TensorEntry* entry = checkpoint_.find(name);
    if (!entry) return {};
    std::vector<float> values(static_cast<std::size_t>(entry->elements()));
    kernels::traits(entry->type).decode(entry->data.data(), values.data(), values.size());
    return Vector(values.begin(), values.end());
  }
  Vector linear(const Vector& x, const std::string& base) const {
    const Vector w = tensor(base + ".weight"), b = tensor(base + ".bias");
    Vector y(w.size() / x.size());
    for (std::size_t r = 0; r < y.size(); ++r) {
      for (std::size_t c = 0; c < x.size(); ++c) y[r] += w[r * x.size() + c] * x[c];
      if (!b.empty()) y[r] += b[r];
    }
    return y;
  }
  Vector norm(const Vector& x, const std::string& base) const {
    const Vector w = tensor(base + ".weight");
    double squares = 0;
    for (const double v : x) squares += v * v;
    Vector y(x);
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] = x[i] / std::sqrt(squares / static_cast<double>(x.size()) + 1e-5) * w[i];
    return y;
  }
  void rotate(Vector& x, std::size_t position) const {
    const std::size_t d = static_cast<std::size_t>(s_.head_dim), half = d / 2;
    for (std::size_t h = 0; h < x.size(); h += d) {
      for (std::size_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(position) *
                             std::pow(s_.theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
        double& a = x[h + (s_.gguf ? 2 * i : i)];
        double& b = x[h + (s_.gguf ? 2 * i + 1 : i + half)];
        const double rotated = a * std::cos(angle) - b * std::sin(angle);
        b = a * std::sin(angle) + b * std::cos(angle);
        a = rotated;
      }
    }
  }
  Vector attention(const Vector& q, const std::vector<Vector>& keys, const std::vector<Vector>& values) const {
    const std::size_t d = static_cast<std::size_t>(s_.head_dim);
    const std::size_t group = static_cast<std::size_t>(s_.heads / s_.kv_heads);
    Vector out(q.size());
    for (std::size_t h = 0; h < static_cast<std::size_t>(s_.heads); ++h) {
      const std::size_t k = h / group * d;
      Vector score(keys.size());
      double greatest = -1e300, sum = 0;
      for (std::size_t p = 0; p < keys.size(); ++p) {
        for (std::size_t i = 0; i < d; ++i) score[p] += q[h * d + i] * keys[p][k + i];
        score[p] /= std::sqrt(static_cast<double>(d));
        greatest = std::max(greatest, score[p]);
      }
      for (double& v : score) sum += v = std::exp(v - greatest);
      for (std::size_t p = 0; p < keys.size(); ++p)
        for (std::size_t i = 0; i < d; ++i) out[h * d + i] += score[p] / sum * values[p][k + i];
    }
    return out;
  }
  void layer(std::vector<Vector>& x, std::int64_t l) const {
    std::vector<Vector> keys, values;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Vector h = norm(x[t], name_of(s_, "blk.{}.attn_norm", "model.layers.{}.input_layernorm", l));
      Vector q = linear(h, name_of(s_, "blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", l));
      keys.push_back(linear(h, name_of(s_, "blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", l)));
      values.push_back(linear(h, name_of(s_, "blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", l)));
      rotate(q, t);
      rotate(keys.back(), t);
      const Vector o = linear(attention(q, keys, values),
                              name_of(s_, "blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", l));
      for (std::size_t i = 0; i < o.size(); ++i) x[t][i] += o[i];
      const Vector f = norm(x[t], name_of(s_, "blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm", l));
      Vector gate = linear(f, name_of(s_, "blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", l));
      const Vector up = linear(f, name_of(s_, "blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", l));
      for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
      const Vector down = linear(gate, name_of(s_, "blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", l));
      for (std::size_t i = 0; i < down.size(); ++i) x[t][i] += down[i];
    }
  }

  const Spec& s_;
  const Checkpoint& checkpoint_;
};

}  // namespace tiny
