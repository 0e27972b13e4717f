// The expressions are those of the models' own tokenizer.json files (Oniguruma syntax); the names are llama.cpp's.
#include "core/text/gguf_pre_tokenizers.h"

#include <algorithm>
#include <array>

namespace retort::text {
namespace {

using Words = std::string_view;

constexpr Words kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr Words kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr Words kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr Words kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr Words kDeepseekV3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr Words kCjkKana = R"([一-龥\u3040-ゟ゠-ヿ]+)";
constexpr Words kCjkHangul = R"([一-龥ࠀ-一가-\uD7FF]+)";
// Cased letters, as the DeepSeek files spell them out.
constexpr Words kCased =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1F7Dᾀ-ᾴᾶ-ᾼ\u1FBEῂ-ῄῆ-ῌῐ-\u1FD3ῖ-\u1FDBῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212A-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";

constexpr std::array<Words, 4> kDefaultSteps = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"};
constexpr std::array<Words, 2> kDefaultNames = {"default", ""};
constexpr std::array<Words, 1> kGpt2Steps = {kGpt2};
constexpr std::array<Words, 20> kGpt2Names = {
    "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert",
    "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "jina-v1-en", "jina-v2-code", "roberta-bpe", "gpt2"};
constexpr std::array<Words, 2> kDigitSteps = {R"(\p{N})", kGpt2};
constexpr std::array<Words, 8> kDigitNames = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone",
                                              "minerva-7b", "mellum2"};
constexpr std::array<Words, 1> kLlama3Steps = {kLlama3};
constexpr std::array<Words, 9> kLlama3Names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral",
                                               "midm-2.0", "lfm2", "jina-v5-nano"};
constexpr std::array<Words, 4> kLlama3LikeNames = {"smaug-bpe", "dbrx", "glm4", "chatglm-bpe"};
constexpr std::array<Words, 1> kQwen2Steps = {kQwen2};
constexpr std::array<Words, 9> kQwen2Names = {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez",
                                              "hunyuan", "solar-open", "grok-2"};
constexpr std::array<Words, 1> kQwen35Steps = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::array<Words, 1> kQwen35Names = {"qwen35"};
constexpr std::array<Words, 1> kGpt4oSteps = {kGpt4o};
constexpr std::array<Words, 5> kGpt4oNames = {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"};
constexpr std::array<Words, 1> kTekkenSteps = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::array<Words, 1> kTekkenNames = {"tekken"};
constexpr std::array<Words, 2> kTinyAyaSteps = {R"(\d{1,3}(?=(?:\d{3})*\b))", kGpt4o};
constexpr std::array<Words, 2> kTinyAyaNames = {"tiny_aya", "cohere2moe"};
constexpr std::array<Words, 6> kDeepseekLlmSteps = {"[\r\n]", kCased, R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", R"(\s+$)", kCjkHangul,
                                                    R"(\p{N}+)"};
constexpr std::array<Words, 1> kDeepseekLlmNames = {"deepseek-llm"};
constexpr std::array<Words, 5> kDeepseekCoderSteps = {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjkHangul, R"(\p{N})"};
constexpr std::array<Words, 1> kDeepseekCoderNames = {"deepseek-coder"};
constexpr std::array<Words, 3> kDeepseekV3Steps = {R"(\p{N}{1,3})", kCjkKana, kDeepseekV3};
constexpr std::array<Words, 4> kDeepseekV3Names = {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"};
constexpr std::array<Words, 3> kFalconSteps = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"};
constexpr std::array<Words, 1> kFalconNames = {"falcon"};
constexpr std::array<Words, 1> kBloomSteps = {R"( ?[^(\s|.,!?…。，、।۔،)]+)"};
constexpr std::array<Words, 3> kBloomNames = {"bloom", "poro-chat", "gpt3-finnish"};
constexpr std::array<Words, 2> kVikingSteps = {R"( ?[^(\s|.,!?…。，、।۔،)]+)", R"(\p{N})"};
constexpr std::array<Words, 1> kVikingNames = {"viking"};
constexpr std::array<Words, 2> kSuperBpeSteps = {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"};
constexpr std::array<Words, 1> kSuperBpeNames = {"superbpe"};
constexpr std::array<Words, 1> kBailingSteps = {
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr std::array<Words, 3> kBailingNames = {"bailingmoe", "bailingmoe2", "llada-moe"};
constexpr std::array<Words, 1> kSeedCoderSteps = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::array<Words, 1> kSeedCoderNames = {"seed-coder"};
constexpr std::array<Words, 1> kExaoneMoeSteps = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr std::array<Words, 1> kExaoneMoeNames = {"exaone-moe"};
constexpr std::array<Words, 2> kMiniCpm5Steps = {
    R"(\p{N}{1,3})",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::array<Words, 1> kMiniCpm5Names = {"minicpm5"};
constexpr std::array<Words, 1> kKimiSteps = {
    R"([\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::array<Words, 1> kKimiNames = {"kimi-k2"};

constexpr GgufPreTokenizer kAll[] = {
    {kDefaultNames, kDefaultSteps},
    {kGpt2Names, kGpt2Steps},
    {kDigitNames, kDigitSteps},
    {kLlama3Names, kLlama3Steps, true, true},
    {kLlama3LikeNames, kLlama3Steps},
    {kQwen2Names, kQwen2Steps},
    {kQwen35Names, kQwen35Steps},
    {kGpt4oNames, kGpt4oSteps},
    {kTekkenNames, kTekkenSteps, true, true},
    {kTinyAyaNames, kTinyAyaSteps},
    {kDeepseekLlmNames, kDeepseekLlmSteps},
    {kDeepseekCoderNames, kDeepseekCoderSteps},
    {kDeepseekV3Names, kDeepseekV3Steps},
    {kFalconNames, kFalconSteps},
    {kBloomNames, kBloomSteps},
    {kVikingNames, kVikingSteps},
    {kSuperBpeNames, kSuperBpeSteps},
    {kBailingNames, kBailingSteps},
    {kSeedCoderNames, kSeedCoderSteps},
    {kExaoneMoeNames, kExaoneMoeSteps},
    {kMiniCpm5Names, kMiniCpm5Steps, true},
    {kKimiNames, kKimiSteps},
};

}  // namespace

const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name) noexcept {
  for (const GgufPreTokenizer& entry : kAll)
    if (std::find(entry.names.begin(), entry.names.end(), name) != entry.names.end()) return &entry;
  return nullptr;
}

const std::string_view kGpt2Words = kGpt2;

std::string_view gguf_pre_tokenizer_name(std::span<const std::string_view> patterns, bool ignore_merges) noexcept {
  for (const GgufPreTokenizer& entry : kAll)
    if (entry.ignore_merges == ignore_merges && std::equal(entry.patterns.begin(), entry.patterns.end(), patterns.begin(), patterns.end()))
      return entry.names.front();
  return {};
}

}  // namespace retort::text
