#include "ui/models/blind_tally.h"

#include <QStringList>
#include <algorithm>

#include "core/evaluate/statistics.h"
#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

// After so many trials without a preference, the two may be called the same for this person and these prompts.
constexpr int kEnough = 25;
constexpr double kSure = 0.05;

}  // namespace

double BlindTally::Pair::p() const { return first + second == 0 ? 1 : mcnemar_exact(first, second); }

void BlindTally::vote(const std::vector<std::int64_t>& shown, std::int64_t best) {
  for (std::size_t i = 0; i < shown.size(); ++i)
    for (std::size_t j = i + 1; j < shown.size(); ++j) {
      const auto [low, high] = std::minmax(shown[i], shown[j]);
      if (low == high) continue;
      if (best != 0 && best != low && best != high) continue;   // says nothing of the two that were not chosen
      Pair& pair = m_pairs[{low, high}];
      (best == 0 ? pair.same : best == low ? pair.first : pair.second) += 1;
    }
}

BlindTally::Pair BlindTally::between(std::int64_t a, std::int64_t b) const {
  const auto found = m_pairs.find({std::min(a, b), std::max(a, b)});
  if (found == m_pairs.end()) return {};
  Pair pair = found->second;
  if (a > b) std::swap(pair.first, pair.second);
  return pair;
}

QVariantMap BlindTally::toMap() const {
  QVariantMap map;
  for (const auto& [ids, pair] : m_pairs)
    map[QStringLiteral("%1:%2").arg(ids.first).arg(ids.second)] = QStringLiteral("%1 %2 %3").arg(pair.first).arg(pair.second).arg(pair.same);
  return map;
}

BlindTally BlindTally::fromMap(const QVariantMap& map) {
  BlindTally tally;
  for (auto at = map.begin(); at != map.end(); ++at) {
    const QStringList ids = at.key().split(QLatin1Char(':')), counts = at.value().toString().split(QLatin1Char(' '));
    if (ids.size() != 2 || counts.size() != 3 || ids[0].toLongLong() >= ids[1].toLongLong()) continue;
    tally.m_pairs[{ids[0].toLongLong(), ids[1].toLongLong()}] = {std::max(0, counts[0].toInt()), std::max(0, counts[1].toInt()), std::max(0, counts[2].toInt())};
  }
  return tally;
}

QString tallySentence(const BlindTally::Pair& pair, const QString& first, const QString& second) {
  if (pair.trials() == 0) return tr("%1 and %2: no trial yet").arg(first, second);
  const QString counts = tr("%1 to %2, %3 the same").arg(pair.first).arg(pair.second).arg(pair.same);
  if (pair.p() < kSure) return tr("You prefer %1 to %2: %3 (p = %4)").arg(pair.first > pair.second ? first : second, pair.first > pair.second ? second : first, counts, significant(pair.p(), 2));
  if (pair.trials() >= kEnough) return tr("You can't tell %1 from %2: %3 trials, %4").arg(second, first).arg(pair.trials()).arg(counts);
  return tr("%1 against %2: %3; not sure yet after %4").arg(first, second, counts).arg(pair.trials());
}

}  // namespace retort::ui
