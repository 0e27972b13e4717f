#include "ui/models/compare_figures.h"

#include <algorithm>
#include <numeric>

#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

constexpr std::uint64_t kSeed = 0;
constexpr int kResamples = 400;
// Fewer chunks or prompts than this in a part say nothing about it.
constexpr std::size_t kLeastPerPart = 4;

bool isText(const Evaluation& evaluation) { return evaluation.task == "kld" || evaluation.task == "perplexity"; }

enum class Of { Divergence, Loss, Answer };

double valueOf(const Evaluation::Row& row, Of of) {
  return of == Of::Divergence ? row.kld : of == Of::Loss ? row.score : row.correct ? 1.0 : 0.0;
}

// Chunks of text have divergence and loss; prompts have answers; the texts of a classifier have answers and divergence.
bool gives(const Evaluation& evaluation, Of of) {
  if (isText(evaluation)) return of != Of::Answer;
  return of == Of::Answer || (of == Of::Divergence && evaluation.task == "classification");
}

// The rows of both, side by side, over all sets that both were measured on. Sets whose rows differ are left out.
std::pair<std::vector<double>, std::vector<double>> paired(const CandidateInfo& a, const CandidateInfo& b, Of of) {
  std::pair<std::vector<double>, std::vector<double>> rows;
  for (const auto& [name, first] : a.evaluations) {
    const auto second = b.evaluations.find(name);
    if (second == b.evaluations.end() || !gives(first, of) || first.rows.size() != second->second.rows.size()) continue;
    for (std::size_t i = 0; i < first.rows.size(); ++i) {
      rows.first.push_back(valueOf(first.rows[i], of));
      rows.second.push_back(valueOf(second->second.rows[i], of));
    }
  }
  return rows;
}

std::optional<Comparison> compared(const CandidateInfo& a, const CandidateInfo& b, Of of) {
  const auto [mine, theirs] = paired(a, b, of);
  if (mine.size() < kLeastPerPart) return std::nullopt;
  return compare_rows(mine, theirs, of != Of::Answer, kSeed);
}

const CandidateInfo* find(const StudySnapshot& study, std::int64_t id) {
  for (const CandidateInfo& candidate : study.candidates)
    if (candidate.id == id) return &candidate;
  return nullptr;
}
const CandidateInfo* originalOf(const StudySnapshot& study) {
  for (const CandidateInfo& candidate : study.candidates)
    if (candidate.is_original) return &candidate;
  return nullptr;
}

void fillAgainst(CompareFigures& figures, const StudySnapshot& study, const std::function<bool()>& stopped) {
  const CandidateInfo* reference = find(study, figures.reference);
  if (!reference) return;
  const std::pair<Of, QString> measures[] = {{Of::Answer, QStringLiteral("accuracy")}, {Of::Loss, QStringLiteral("perplexity")}, {Of::Divergence, QStringLiteral("kld")}};
  for (const CandidateInfo& candidate : study.candidates)
    for (const auto& [of, id] : measures) {
      if (stopped()) return;
      // The original's own divergence is nothing by definition: no test is needed to tell it apart.
      if (&candidate == reference || (of == Of::Divergence && (candidate.is_original || reference->is_original))) continue;
      if (const auto comparison = compared(candidate, *reference, of)) figures.against[{candidate.id, id}] = *comparison;
    }
}

void fillStairs(CompareFigures& figures, const StudySnapshot& study, const std::function<bool()>& stopped) {
  std::vector<const CandidateInfo*> sorted;
  for (const CandidateInfo& candidate : study.candidates)
    if (candidate.bytes > 0 && candidate.figure("kld_mean")) sorted.push_back(&candidate);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->bytes > b->bytes; });
  for (std::size_t i = 0; i < sorted.size() && !stopped(); ++i)
    figures.stairs.push_back({sorted[i]->id, i == 0 ? std::nullopt : compared(*sorted[i], *sorted[i - 1], Of::Divergence)});
}

// Rows of one set by index, and what the part is called.
struct Part {
  Slice slice;
  std::string set;
  std::vector<std::size_t> rows;
};

void fillCells(Part& part, const StudySnapshot& study) {
  const CandidateInfo* original = originalOf(study);
  const Evaluation* base = nullptr;
  if (original)
    if (const auto found = original->evaluations.find(part.set); found != original->evaluations.end()) base = &found->second;
  for (const CandidateInfo& candidate : study.candidates) {
    const auto found = candidate.evaluations.find(part.set);
    if (found == candidate.evaluations.end() || (part.slice.isText && candidate.is_original)) continue;
    const auto& rows = found->second.rows;
    std::vector<double> mine, theirs;
    for (const std::size_t i : part.rows) {
      if (i >= rows.size()) continue;
      mine.push_back(valueOf(rows[i], part.slice.isText ? Of::Divergence : Of::Answer));
      if (base && i < base->rows.size()) theirs.push_back(base->rows[i].correct ? 1.0 : 0.0);
    }
    if (mine.empty()) continue;
    SliceCell cell;
    if (part.slice.isText) {
      cell.figure = bootstrap_mean(mine, kSeed, kResamples);
    } else {
      cell.figure = wilson(static_cast<std::int64_t>(std::count(mine.begin(), mine.end(), 1.0)), static_cast<std::int64_t>(mine.size()));
      if (!candidate.is_original && theirs.size() == mine.size()) cell.paired = compare_rows(mine, theirs, false, kSeed);
    }
    part.slice.cells[candidate.id] = cell;
  }
}

// Cuts the rows into equal parts by the original's own figure, easiest first.
std::vector<Part> byDifficulty(const std::string& set, const Evaluation& base) {
  const bool text = isText(base);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < base.rows.size(); ++i)
    if (text || base.task == "choice" || base.task == "classification") order.push_back(i);
  const std::size_t parts = order.size() >= 25 && text ? 5 : 3;
  if (order.size() < parts * kLeastPerPart) return {};
  // Text is hard where its loss is high, a choice where the best answer is hardly ahead of the second.
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return text ? base.rows[a].score < base.rows[b].score : base.rows[a].margin > base.rows[b].margin;
  });
  std::vector<Part> result;
  for (std::size_t p = 0; p < parts; ++p) {
    Part part;
    part.set = set;
    part.rows.assign(order.begin() + static_cast<std::ptrdiff_t>(p * order.size() / parts), order.begin() + static_cast<std::ptrdiff_t>((p + 1) * order.size() / parts));
    double sum = 0;
    for (const std::size_t i : part.rows) sum += base.rows[i].score;
    const QString place = p == 0 ? tr("easiest") : p + 1 == parts ? tr("hardest") : QStringLiteral("%1 / %2").arg(p + 1).arg(parts);
    part.slice.cut = Slice::Cut::Difficulty;
    part.slice.isText = text;
    part.slice.difficulty = text ? sum / static_cast<double>(part.rows.size()) : 0;
    part.slice.set = toQString(set);
    part.slice.place = place;
    part.slice.name = QStringLiteral("%1: %2").arg(part.slice.set, place);
    part.slice.n = static_cast<std::int64_t>(part.rows.size());
    result.push_back(std::move(part));
  }
  return result;
}

std::vector<Part> partsOf(const std::string& set, const Evaluation& base) {
  std::vector<Part> parts;
  Part whole;
  whole.set = set;
  whole.rows.resize(base.rows.size());
  std::iota(whole.rows.begin(), whole.rows.end(), std::size_t{0});
  whole.slice.cut = Slice::Cut::Set;
  whole.slice.isText = isText(base);
  whole.slice.name = whole.slice.set = toQString(set);
  whole.slice.n = static_cast<std::int64_t>(base.rows.size());
  parts.push_back(whole);
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < base.rows.size(); ++i)
    if (!base.rows[i].group.empty()) groups[base.rows[i].group].push_back(i);
  for (auto& [group, rows] : groups) {
    Part part;
    part.set = set;
    part.slice.cut = Slice::Cut::Group;
    part.slice.isText = whole.slice.isText;
    part.slice.set = toQString(set);
    part.slice.place = toQString(group);
    part.slice.name = QStringLiteral("%1: %2").arg(part.slice.set, part.slice.place);
    part.slice.n = static_cast<std::int64_t>(rows.size());
    part.rows = std::move(rows);
    parts.push_back(std::move(part));
  }
  for (Part& part : byDifficulty(set, base)) parts.push_back(std::move(part));
  return parts;
}

}  // namespace

CompareFigures compareFigures(const StudySnapshot& study, std::int64_t reference, const std::function<bool()>& stopped) {
  CompareFigures figures;
  figures.reference = reference;
  fillAgainst(figures, study, stopped);
  fillStairs(figures, study, stopped);
  const CandidateInfo* original = originalOf(study);
  if (!original) return figures;
  for (const auto& [set, base] : original->evaluations)
    for (Part& part : partsOf(set, base)) {
      if (stopped()) return figures;
      fillCells(part, study);
      figures.slices.push_back(std::move(part.slice));
    }
  return figures;
}

}  // namespace retort::ui
