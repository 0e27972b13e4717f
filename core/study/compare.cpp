#include "core/study/compare.h"

namespace retort {
namespace {

struct Pairs {
  std::vector<double> a, b;
};

// `take` gives a row's value; only tasks that `fits` accepts count.
template <class Fits, class Take>
Pairs pair_rows(const Evaluations& a, const Evaluations& b, Fits&& fits, Take&& take) {
  Pairs pairs;
  for (const auto& [name, first] : a) {
    const auto second = b.find(name);
    if (second == b.end() || !fits(first) || first.rows.size() != second->second.rows.size()) continue;
    for (std::size_t i = 0; i < first.rows.size(); ++i) {
      pairs.a.push_back(take(first.rows[i]));
      pairs.b.push_back(take(second->second.rows[i]));
    }
  }
  return pairs;
}

// The original has no divergences of its own: its rows are zeros, as they are.
bool has_loss(const Evaluation& evaluation) {
  return !is_answers_task(evaluation.task) || evaluation.task == "classification";
}

}  // namespace

bool is_answers_task(const std::string& task) noexcept { return task != "kld" && task != "perplexity"; }

Comparison compare_loss(const Evaluations& a, const Evaluations& b) {
  const Pairs pairs = pair_rows(a, b, has_loss, [](const Evaluation::Row& row) { return row.kld; });
  return compare_rows(pairs.a, pairs.b, true, 0);
}

Comparison compare_answers(const Evaluations& a, const Evaluations& b) {
  const Pairs pairs = pair_rows(a, b, [](const Evaluation& one) { return is_answers_task(one.task); },
                                [](const Evaluation::Row& row) { return row.correct ? 1.0 : 0.0; });
  return compare_rows(pairs.a, pairs.b, false, 0);
}

}  // namespace retort
