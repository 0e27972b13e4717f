// WordCache: ids of words seen before, for all threads. Bounded; locks are striped, so threads seldom meet.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/hash.h"
#include "core/text/tokenizer.h"

namespace retort::text {

class WordCache {
 public:
  static constexpr std::size_t kLongestWord = 128;  // bytes; longer words are rare and cost memory

  WordCache() : stripes_(std::make_unique<std::array<Stripe, kStripes>>()) {}

  // Appends the ids and says true, or leaves `out` alone.
  bool find(std::string_view word, std::uint64_t hash, std::vector<TokenId>& out) const {
    Stripe& stripe = stripe_of(hash);
    const std::lock_guard lock(stripe.mutex);
    for (const Entry& entry : set_of(stripe, hash))
      if (entry.hash == hash && entry.word == word) {
        out.insert(out.end(), entry.ids.begin(), entry.ids.end());
        return true;
      }
    return false;
  }

  void insert(std::string_view word, std::uint64_t hash, const TokenId* ids, std::size_t count) const {
    Stripe& stripe = stripe_of(hash);
    const std::lock_guard lock(stripe.mutex);
    Set& set = set_of(stripe, hash);
    Entry& entry = set[stripe.next++ % kWays];
    entry.hash = hash;
    entry.word.assign(word);
    entry.ids.assign(ids, ids + count);
  }

 private:
  static constexpr std::size_t kStripes = 64, kSets = 256, kWays = 4;  // 65,536 words

  struct Entry {
    std::uint64_t hash = 0;
    std::string word;
    std::vector<TokenId> ids;
  };
  using Set = std::array<Entry, kWays>;
  struct Stripe {
    std::mutex mutex;
    std::size_t next = 0;
    std::vector<Set> sets;  // made at the first use, so that an idle tokenizer costs nothing
  };

  Stripe& stripe_of(std::uint64_t hash) const noexcept { return (*stripes_)[hash % kStripes]; }
  static Set& set_of(Stripe& stripe, std::uint64_t hash) {
    if (stripe.sets.empty()) stripe.sets.resize(kSets);
    return stripe.sets[(hash / kStripes) % kSets];
  }

  std::unique_ptr<std::array<Stripe, kStripes>> stripes_;
};

}  // namespace retort::text
