// BlindTally: who was preferred when names were hidden, pair by pair, and what that proves.
#pragma once

#include <QString>
#include <QVariantMap>
#include <cstdint>
#include <map>
#include <vector>

namespace retort::ui {

class BlindTally {
 public:
  struct Pair {
    int first = 0, second = 0, same = 0;   // preferred the first, the second, neither
    int trials() const { return first + second + same; }
    // Exact two-sided test of "as often the one as the other"; those that were called the same say nothing. 1 without any.
    double p() const;
  };

  // One trial: `shown` candidates, of which `best` was preferred (0: none could be told from the others).
  void vote(const std::vector<std::int64_t>& shown, std::int64_t best);
  // Seen from `a`.
  Pair between(std::int64_t a, std::int64_t b) const;
  bool isEmpty() const { return m_pairs.empty(); }
  void clear() { m_pairs.clear(); }

  // For the settings: "3:7" → "5 2 1".
  QVariantMap toMap() const;
  static BlindTally fromMap(const QVariantMap& map);

 private:
  std::map<std::pair<std::int64_t, std::int64_t>, Pair> m_pairs;   // the smaller id first
};

// "You prefer the original: 14 to 3 of 20, p = 0.013", "You can't tell Q8_0 from the original: 25 trials, 11 to 9" or how
// many more it takes.
QString tallySentence(const BlindTally::Pair& pair, const QString& first, const QString& second);

}  // namespace retort::ui
