// One recommendation: the smallest candidate within the goals whose loss is acceptable, with its reasons. "Better" is
// said only with a paired test behind it.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/study/compare.h"
#include "core/study/study.h"

namespace retort {

bool answers_decide(const StudySnapshot& snapshot) { return snapshot.source && snapshot.source->kind != SourceKind::kLanguageModel; }

namespace {

// Nats per token. Without a goal of the user's: about one in ten next words changes, answers as a rule do not.
constexpr double kUsualLoss = 0.05;
constexpr double kLeastLimit = 1e-4;   // nats: losses below read as none
// Share of right answers that may be lost where answers decide, without a goal of the user's.
constexpr double kUsualPoints = 0.02;
// Prompts that it takes before answers say more about a language model's student than its next words do.
constexpr std::size_t kEnoughAnswers = 100;
// Sizes closer than this are the same size to a person.
constexpr double kSameSize = 0.02;

std::string megabytes(double bytes) {
  return bytes >= 1e9 ? fmt::format("{:.2f} GB", bytes / 1e9) : fmt::format("{:.1f} MB", bytes / 1e6);
}
std::string loss_text(double kld) {
  if (kld > 0 && kld < 0.0001) return fmt::format("{:.1e}", kld);   // not a row of zeros
  return kld < 0.001 ? fmt::format("{:.5f}", kld) : fmt::format("{:.4f}", kld);
}

double size_of(const CandidateInfo& candidate) { return static_cast<double>(candidate.bytes); }
double loss_of(const CandidateInfo& candidate) {
  const auto kld = candidate.figure("kld_mean");
  return kld ? kld->value : 0;
}

Comparison compare_loss(const CandidateInfo& a, const CandidateInfo& b) { return compare_loss(a.evaluations, b.evaluations); }
Comparison compare_answers(const CandidateInfo& a, const CandidateInfo& b) { return compare_answers(a.evaluations, b.evaluations); }

// A student has fewer layers: its next words differ more than any rounding makes them, so its answers tell what it is worth.
bool judged_by_answers(const CandidateInfo& candidate, const StudySnapshot& snapshot) {
  if (answers_decide(snapshot)) return true;
  std::size_t answers = 0;
  for (const auto& [set, evaluation] : candidate.evaluations)
    if (is_answers_task(evaluation.task)) answers += evaluation.rows.size();
  return !candidate.recipe.student.empty() && answers >= kEnoughAnswers;
}

struct Failing {
  std::string goal;      // "size 145 MB is above 110 MB"
  double excess = 0;     // relative
};

std::vector<Failing> failing_goals(const CandidateInfo& candidate, const StudySnapshot& snapshot, const CandidateInfo* original) {
  const Goals& goals = snapshot.goals;
  const bool by_answers = judged_by_answers(candidate, snapshot);
  std::vector<Failing> failing;
  const auto limit = [&](const std::optional<double>& goal, const char* figure, bool at_most, const char* name, auto text) {
    if (!goal) return;
    const auto value = candidate.figure(figure);
    if (!value) return failing.push_back({fmt::format("{} is not measured", name), 1});
    if (at_most ? value->value <= *goal : value->value >= *goal) return;
    const double excess = *goal > 0 ? std::abs(value->value - *goal) / *goal : 1;
    failing.push_back({fmt::format("{} {} is {} {}", name, text(value->value), at_most ? "above" : "below", text(*goal)), excess});
  };
  const auto seconds = [](double value) { return fmt::format("{:.0f} ms", 1000 * value); };
  const auto rate = [](double value) { return fmt::format("{:.0f} tokens/s", value); };
  const auto percent = [](double value) { return fmt::format("{:.1f} %", 100 * value); };
  limit(goals.max_bytes, "size", true, "size", megabytes);
  limit(goals.max_kld || by_answers ? goals.max_kld : std::optional(kUsualLoss), "kld_mean", true, "loss", loss_text);
  limit(goals.max_time_to_first_token, "time_to_first_token", true, "first word", seconds);
  limit(goals.min_decode, "decode", false, "decode", rate);
  const auto base = original ? original->figure("accuracy") : std::nullopt;
  const auto least = goals.min_accuracy || !by_answers || !base ? goals.min_accuracy : std::optional(base->value - kUsualPoints);
  limit(least, "accuracy", false, "accuracy", percent);
  return failing;
}

bool provably_worse_answers(const CandidateInfo& candidate, const CandidateInfo* original) {
  return original && &candidate != original && compare_answers(candidate, *original).verdict == Verdict::kWorse;
}

// Measured candidates, smallest first.
std::vector<const CandidateInfo*> measured(const StudySnapshot& snapshot) {
  std::vector<const CandidateInfo*> list;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (candidate.figure(answers_decide(snapshot) ? "accuracy" : "kld_mean") && candidate.bytes > 0) list.push_back(&candidate);
  std::stable_sort(list.begin(), list.end(), [](const auto* a, const auto* b) { return a->bytes < b->bytes; });
  return list;
}

// The smallest, unless one of practically the same size is provably closer to the original.
const CandidateInfo* pick(const std::vector<const CandidateInfo*>& within) {
  const CandidateInfo* best = within.front();
  for (const CandidateInfo* other : within) {
    if (size_of(*other) > size_of(*within.front()) * (1 + kSameSize)) break;
    if (other != best && compare_loss(*other, *best).verdict == Verdict::kBetter) best = other;
  }
  return best;
}

std::string answers_sentence(const CandidateInfo& chosen, const CandidateInfo* original, const char* what) {
  const auto accuracy = chosen.figure("accuracy");
  const auto base = original ? original->figure("accuracy") : std::nullopt;
  if (!accuracy || !base || &chosen == original) return {};
  const Comparison comparison = compare_answers(chosen, *original);
  const char* verdict = comparison.verdict == Verdict::kBetter  ? "better"
                        : comparison.verdict == Verdict::kWorse ? "worse"
                                                                : "can't be told apart";
  return fmt::format("{:.1f} % of the {} right against {:.1f} % for the original ({}{})", 100 * accuracy->value, what,
                     100 * base->value, verdict, comparison.p ? fmt::format(", p = {:.2g}", *comparison.p) : "");
}

std::string why_by_answers(const CandidateInfo& chosen, const CandidateInfo* original, const StudySnapshot& snapshot) {
  const Goals& goals = snapshot.goals;
  const bool any = goals.max_bytes || goals.max_kld || goals.max_time_to_first_token || goals.min_decode || goals.min_accuracy;
  std::string why = fmt::format("Because it is the smallest within {}", any ? "your goals" : "");
  if (!goals.min_accuracy) why += fmt::format("{}{:.0f} points of the original's accuracy, the usual limit", any ? " and " : "", 100 * kUsualPoints);
  if (const auto accuracy = chosen.figure("accuracy"); accuracy && &chosen == original) why += fmt::format(": {:.1f} % right", 100 * accuracy->value);
  if (const std::string answers = answers_sentence(chosen, original, answers_decide(snapshot) ? "texts" : "prompts"); !answers.empty()) why += ": " + answers;
  if (const auto same = chosen.figure("top1_agreement"); same && &chosen != original) why += fmt::format("; {:.1f} % of the answers unchanged", 100 * same->value);
  return why + ".";
}

std::string why_sentence(const CandidateInfo& chosen, const CandidateInfo* original, const StudySnapshot& snapshot) {
  const auto kld = chosen.figure("kld_mean");
  const Goals& goals = snapshot.goals;
  if (judged_by_answers(chosen, snapshot)) return why_by_answers(chosen, original, snapshot);
  const bool any = goals.max_bytes || goals.max_time_to_first_token || goals.min_decode || goals.min_accuracy;
  const std::string limits = goals.max_kld ? "your goals" : fmt::format("{}a loss of {} nats, the usual limit", any ? "your goals and " : "", kUsualLoss);
  std::string why = fmt::format("Because it is the smallest within {}: KL divergence {} ({} to {}) nats per token", limits,
                                loss_text(kld->value), loss_text(kld->low), loss_text(kld->high));
  if (const auto same = chosen.figure("top1_agreement")) why += fmt::format(", {:.1f} % of next words unchanged", 100 * same->value);
  if (const std::string answers = answers_sentence(chosen, original, "prompts"); !answers.empty()) why += "; " + answers;
  why += ".";
  if (!chosen.is_original && chosen.recipe.stages.empty() && snapshot.source && snapshot.source->quantized)
    why += fmt::format(" The source was already quantized ({}): its file holds exactly what the original was expanded from, so "
                       "quantizing it again can only lose.", *snapshot.source->quantized);
  return why;
}

std::string against(const CandidateInfo& other, const CandidateInfo& chosen) {
  const double bytes = size_of(other) - size_of(chosen);
  const double relative = std::abs(bytes) / size_of(chosen);
  std::string text = relative < 0.001 ? "the same size"
                                      : fmt::format("{} {}", megabytes(std::abs(bytes)), bytes > 0 ? "larger" : "smaller");
  const Comparison loss = compare_loss(other, chosen);
  const std::string interval = fmt::format("{} nats ({} to {})", loss_text(std::abs(loss.difference)),
                                           loss_text(std::min(std::abs(loss.low), std::abs(loss.high))),
                                           loss_text(std::max(std::abs(loss.low), std::abs(loss.high))));
  if (loss.verdict == Verdict::kBetter) text += ", closer to the original by " + interval;
  else if (loss.verdict == Verdict::kWorse) text += ", further from the original by " + interval;
  else text += ", its loss can't be told apart";
  const auto rate = other.figure("decode"), own = chosen.figure("decode");
  if (rate && own && own->value > 0) text += fmt::format(", {:+.0f} % decode rate", 100 * (rate->value / own->value - 1));
  const auto right = other.figure("accuracy"), mine = chosen.figure("accuracy");
  if (!rate && right && mine) text += fmt::format(", {:+.1f} points of accuracy", 100 * (right->value - mine->value));
  const auto wait = other.figure("p50"), now = chosen.figure("p50");
  if (!rate && wait && now && now->value > 0) text += fmt::format(", {:+.0f} % time per text", 100 * (wait->value / now->value - 1));
  return text;
}

// What is lost where answers decide: the share that is wrong.
double wrong_of(const CandidateInfo& candidate) {
  const auto accuracy = candidate.figure("accuracy");
  return accuracy ? 1 - accuracy->value : 1;
}

std::string answers_would_change(const CandidateInfo& chosen, const std::vector<const CandidateInfo*>& all) {
  const CandidateInfo *smaller = nullptr, *better = nullptr;
  for (const CandidateInfo* other : all) {
    if (other == &chosen) continue;
    if (other->bytes < chosen.bytes && (!smaller || wrong_of(*other) < wrong_of(*smaller))) smaller = other;
    if (wrong_of(*other) < wrong_of(chosen) && (!better || other->bytes < better->bytes)) better = other;
  }
  std::string text;
  if (smaller)
    text = fmt::format("A size limit below {} would make it {}, at {:.1f} % right", megabytes(size_of(chosen)), smaller->name, 100 * (1 - wrong_of(*smaller)));
  if (better)
    text += fmt::format("{} accuracy goal above {:.1f} % would make it {}, at {}", text.empty() ? "An" : "; an", 100 * (1 - wrong_of(chosen)), better->name,
                        megabytes(size_of(*better)));
  return text.empty() ? "Nothing measured so far: no other candidate is smaller or answers better." : text + ".";
}

std::string would_change(const CandidateInfo& chosen, const std::vector<const CandidateInfo*>& all) {
  const CandidateInfo *smaller = nullptr, *closer = nullptr;
  for (const CandidateInfo* other : all) {
    if (other == &chosen) continue;
    if (other->bytes < chosen.bytes && (!smaller || loss_of(*other) < loss_of(*smaller))) smaller = other;
    if (loss_of(*other) < loss_of(chosen) && (!closer || other->bytes < closer->bytes)) closer = other;
  }
  std::string text;
  if (smaller)
    text = fmt::format("A size limit below {} would make it {}, at a loss of {}", megabytes(size_of(chosen)), smaller->name, loss_text(loss_of(*smaller)));
  // A limit that nobody would set says nothing.
  if (closer && loss_of(chosen) >= kLeastLimit)
    text += fmt::format("{} loss limit below {} would make it {}, at {}", text.empty() ? "A" : "; a", loss_text(loss_of(chosen)),
                        closer->name, megabytes(size_of(*closer)));
  return text.empty() ? "Nothing measured so far: no other candidate is smaller or closer." : text + ".";
}

Recommendation none_within(const std::vector<const CandidateInfo*>& all, const StudySnapshot& snapshot, const CandidateInfo* original) {
  Recommendation result;
  const CandidateInfo* nearest = nullptr;
  std::vector<Failing> least;
  const auto weight = [](const std::vector<Failing>& failing) {
    double sum = 0;
    for (const Failing& one : failing) sum += 1 + one.excess;
    return sum;
  };
  for (const CandidateInfo* candidate : all) {
    auto failing = failing_goals(*candidate, snapshot, original);
    if (provably_worse_answers(*candidate, original)) failing.push_back({"its answers are worse than the original's", 1});
    if (!nearest || weight(failing) < weight(least)) nearest = candidate, least = failing;
  }
  result.what = "No measured candidate meets all goals.";
  std::string reasons;
  for (const Failing& one : least) reasons += (reasons.empty() ? "" : ", ") + one.goal;
  result.missing = fmt::format("Nearest is {}: {}.", nearest->name, reasons);
  result.would_change = "Loosen that goal, or add a candidate between the ones that are here.";
  return result;
}

}  // namespace

Recommendation recommend(const StudySnapshot& snapshot) {
  Recommendation result;
  const std::vector<const CandidateInfo*> all = measured(snapshot);
  const auto original_at = std::find_if(snapshot.candidates.begin(), snapshot.candidates.end(), [](const auto& candidate) { return candidate.is_original; });
  const CandidateInfo* original = original_at == snapshot.candidates.end() ? nullptr : &*original_at;
  const bool only_original = std::all_of(all.begin(), all.end(), [](const auto* candidate) { return candidate->is_original; });
  if (all.empty() || only_original) {
    result.missing = all.empty() ? "Nothing is measured yet. Run the study: the original comes first."
                                 : "Only the original is measured so far; there is nothing to compare it with yet.";
    return result;
  }
  std::vector<const CandidateInfo*> within;
  for (const CandidateInfo* candidate : all)
    if (failing_goals(*candidate, snapshot, original).empty() && !provably_worse_answers(*candidate, original)) within.push_back(candidate);
  if (within.empty()) return none_within(all, snapshot, original);

  const CandidateInfo* chosen = pick(within);
  result.candidate = chosen->id;
  result.what = fmt::format("Take {}: {}, {:.2f} bits per weight.", chosen->name, megabytes(size_of(*chosen)), chosen->bits_per_weight);
  result.why = why_sentence(*chosen, original, snapshot);
  const CandidateInfo* second = nullptr;
  for (const CandidateInfo* other : within)
    if (other != chosen && (!second || other->bytes < second->bytes)) second = other;
  if (!second)   // nothing else is within: the closest to the original of the rest
    for (const CandidateInfo* other : all)
      if (other != chosen && (!second || loss_of(*other) < loss_of(*second))) second = other;
  if (second) result.runner_up = fmt::format("{}: {}.", second->name, against(*second, *chosen));
  result.would_change = judged_by_answers(*chosen, snapshot) ? answers_would_change(*chosen, all) : would_change(*chosen, all);
  return result;
}

std::vector<std::int64_t> pareto_front(const std::vector<std::pair<std::int64_t, std::pair<double, double>>>& points) {
  auto sorted = points;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<std::int64_t> front;
  double best = std::numeric_limits<double>::infinity();
  double at = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [id, place] : sorted) {
    const auto [x, y] = place;
    if (std::isnan(x) || std::isnan(y)) continue;
    // Equal points are beaten by neither; of one x only the lowest y stays.
    if (y < best || (x == at && y == best)) {
      front.push_back(id);
      best = y;
      at = x;
    }
  }
  return front;
}

}  // namespace retort
