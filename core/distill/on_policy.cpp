#include "core/distill/on_policy.h"

#include <algorithm>

#include "core/distill/student.h"
#include "core/model/sampling.h"

namespace retort::distill {
namespace {

// A number from pass and place that has nothing to do with its neighbours' (SplitMix64's finisher).
std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::size_t prompt_length(const TrainingExample& example) {
  const auto half = std::max<std::size_t>(1, example.ids.size() / 2);
  return example.prompt > 0 ? static_cast<std::size_t>(example.prompt) : half;
}

}  // namespace

bool PolicySampler::takes(std::uint64_t pass) const noexcept {
  return static_cast<double>(mixed(seed_, pass) >> 11) * 0x1p-53 < plan_.share;
}

// Compiled anew for every pass: the weights have changed since.
Result<std::unique_ptr<Session>> PolicySampler::open(std::int64_t context) {
  if (!backend_) {
    RETORT_TRY(backend_, make_backend("cpu", threads_));
  }
  const auto model = std::make_shared<const Model>(model_of(student_, parameters_, packed_));
  return backend_->compile(model, {.activations = kernels::Activations::kF32, .context = context, .cache_f16 = false});
}

Result<std::vector<TrainingExample>> PolicySampler::sample(std::span<const TrainingExample*> examples, std::uint64_t pass, const JobContext& job) {
  std::vector<TrainingExample> made;
  std::vector<std::size_t> places;
  const bool all = takes(pass);
  std::int64_t longest = 0;
  for (std::size_t i = 0; i < examples.size(); ++i)
    if (all || examples[i]->prompt_only()) {
      places.push_back(i);
      longest = std::max(longest, static_cast<std::int64_t>(prompt_length(*examples[i])));
    }
  if (places.empty()) return made;
  RETORT_TRY(const auto session, open(longest + plan_.tokens));
  for (const std::size_t i : places) {
    RETORT_TRY(TrainingExample one, go_on(*session, *examples[i], mixed(mixed(seed_, pass), i), job));
    made.push_back(std::move(one));
  }
  for (std::size_t k = 0; k < places.size(); ++k) examples[places[k]] = &made[k];
  return made;
}

Result<TrainingExample> PolicySampler::go_on(Session& session, const TrainingExample& from, std::uint64_t seed, const JobContext& job) const {
  const auto& ends = student_.tokenizer->end_of_generation;
  const std::size_t prompt = prompt_length(from);
  TrainingExample out{.ids = {from.ids.begin(), from.ids.begin() + static_cast<std::ptrdiff_t>(prompt)}, .weight = from.weight,
                      .prompt = static_cast<std::int64_t>(prompt), .sampled = true};
  Sampler sampler(seed);
  session.rewind(0);
  RETORT_CHECK(session.run(out.ids, job));
  std::int64_t row = static_cast<std::int64_t>(prompt) - 1;
  for (std::int64_t n = 0; n < plan_.tokens; ++n) {
    RETORT_TRY(const std::span<const float> logits, session.logits(row, 1));
    const TokenId token = sampler.sample(logits, plan_.temperature, 1);
    if (token < 0) return Error{.code = ErrorCode::kNonFinite, .place = "the student's logits", .expected = "numbers", .found = "none"};
    out.ids.push_back(token);
    if (n + 1 == plan_.tokens || std::find(ends.begin(), ends.end(), token) != ends.end()) break;
    RETORT_CHECK(session.run({&token, 1}, job));
    row = 0;
  }
  out.learned.assign(out.ids.size(), 0);
  std::fill(out.learned.begin() + static_cast<std::ptrdiff_t>(prompt), out.learned.end(), std::uint8_t{1});
  write_for_teacher(from, out);
  return out;
}

// A teacher with another tokenizer reads its own prompt and the same words after it.
void PolicySampler::write_for_teacher(const TrainingExample& from, TrainingExample& made) const {
  if (!teacher_.tokenizer) return;
  const Tokenizer& mine = *student_.tokenizer;
  const bool chat = from.prompt > 0 && !from.teachers.empty();
  const std::size_t begin = chat ? static_cast<std::size_t>(made.prompt) : 0;
  TeacherText text;
  if (chat) text.ids.assign(from.teachers.front().ids.begin(), from.teachers.front().ids.begin() + from.teachers.front().prompt);
  else if (teacher_.tokenizer->adds_bos && teacher_.tokenizer->bos) text.ids.push_back(*teacher_.tokenizer->bos);
  const auto& ends = mine.end_of_generation;
  const bool ended = std::find(ends.begin(), ends.end(), made.ids.back()) != ends.end();
  std::string bytes;
  std::size_t first = begin;
  if (!chat && mine.bos && made.ids.front() == *mine.bos) ++first;
  for (std::size_t t = first; t < made.ids.size() - (ended ? 1 : 0); ++t) bytes += mine.piece_bytes(made.ids[t]);
  const std::size_t theirs = text.ids.size();
  const std::vector<TokenId> words = teacher_.tokenizer->encode(bytes, false);
  text.ids.insert(text.ids.end(), words.begin(), words.end());
  if (ended && teacher_.tokenizer->eos) text.ids.push_back(*teacher_.tokenizer->eos);
  text.spans.push_back({static_cast<std::int32_t>(first), static_cast<std::int32_t>(made.ids.size() - first), static_cast<std::int32_t>(theirs),
                        static_cast<std::int32_t>(text.ids.size() - theirs)});
  made.teachers.push_back(std::move(text));
}

}  // namespace retort::distill
