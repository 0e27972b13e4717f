// The index of the tensor store: which record of which pack holds a key, when it was last used, and who pins it. An SQLite
// database in WAL mode, so that several processes read while one writes. Not thread-safe. Throws SQLite::Exception.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/digest.h"

namespace retort {

struct StorePlace {
  std::int64_t pack = 0;
  std::uint64_t offset = 0, bytes = 0;   // of the whole record
  bool operator==(const StorePlace&) const = default;
};

class StoreIndex {
 public:
  explicit StoreIndex(const std::filesystem::path& path);

  std::optional<StorePlace> find(const Digest& key);
  // Where the next record goes: the newest pack and its end, or a new pack when it would grow past `pack_limit`. The end
  // of a pack never moves back, because another process may still look at removed tensors.
  StorePlace next_place(std::uint64_t bytes, std::uint64_t pack_limit);
  StorePlace new_pack();
  void insert(const Digest& key, const StorePlace& place, std::string_view name, std::int64_t now);
  void remove(const Digest& key, const StorePlace& place);
  std::int64_t last_used(const Digest& key);
  void touch(const std::map<Digest, std::int64_t>& used);

  void set_pins(std::string_view owner, std::span<const Digest> keys);
  std::vector<std::string> pin_owners();
  // Unpinned tensors, least recently used first.
  std::vector<std::pair<Digest, StorePlace>> unpinned();

  struct Pack {
    std::int64_t id;
    std::uint64_t end, live;
  };
  std::vector<Pack> packs();
  std::vector<std::pair<Digest, StorePlace>> records_of(std::int64_t pack);
  std::vector<std::pair<Digest, StorePlace>> all();
  void remove_pack(std::int64_t pack);
  // After a rebuild: a pack as it was found on the disk.
  void add_pack(std::int64_t pack, std::uint64_t end);

  struct Totals {
    std::uint64_t bytes, tensors, pinned_bytes;
  };
  Totals totals();

  SQLite::Database& database() noexcept { return database_; }

 private:
  SQLite::Statement& prepared(const char* sql);
  std::vector<std::pair<Digest, StorePlace>> rows(SQLite::Statement& query);
  SQLite::Database database_;
  std::map<const char*, std::unique_ptr<SQLite::Statement>> statements_;
};

}  // namespace retort
