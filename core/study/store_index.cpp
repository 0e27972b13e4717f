#include "core/study/store_index.h"

#include <algorithm>
#include <cstring>

namespace retort {
namespace {

constexpr int kBusyMilliseconds = 20000;

Digest digest_of_column(const SQLite::Column& column) {
  Digest digest;
  if (column.getBytes() == static_cast<int>(digest.bytes.size()))
    std::memcpy(digest.bytes.data(), column.getBlob(), digest.bytes.size());
  return digest;
}

void bind_digest(SQLite::Statement& statement, int index, const Digest& digest) {
  statement.bind(index, digest.bytes.data(), static_cast<int>(digest.bytes.size()));
}

std::int64_t as_signed(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }
std::uint64_t as_unsigned(const SQLite::Column& column) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, column.getInt64()));
}

}  // namespace

StoreIndex::StoreIndex(const std::filesystem::path& path)
    : database_(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyMilliseconds) {
  database_.exec("PRAGMA journal_mode = WAL");
  // A power cut may lose the newest rows but never their order: the data of a row is on the disk before the row is.
  database_.exec("PRAGMA synchronous = NORMAL");
  database_.exec(
      "CREATE TABLE IF NOT EXISTS packs (id INTEGER PRIMARY KEY AUTOINCREMENT, bytes INTEGER NOT NULL);"
      "CREATE TABLE IF NOT EXISTS tensors (key BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL,"
      "  bytes INTEGER NOT NULL, name TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;"
      "CREATE INDEX IF NOT EXISTS tensors_by_pack ON tensors (pack);"
      "CREATE TABLE IF NOT EXISTS pins (owner TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (owner, key)) WITHOUT ROWID;"
      "CREATE INDEX IF NOT EXISTS pins_by_key ON pins (key);");
}

SQLite::Statement& StoreIndex::prepared(const char* sql) {
  auto& statement = statements_[sql];
  if (!statement) statement = std::make_unique<SQLite::Statement>(database_, sql);
  statement->reset();
  statement->clearBindings();
  return *statement;
}

std::optional<StorePlace> StoreIndex::find(const Digest& key) {
  auto& query = prepared("SELECT pack, offset, bytes FROM tensors WHERE key = ?");
  bind_digest(query, 1, key);
  std::optional<StorePlace> place;
  if (query.executeStep()) place = {query.getColumn(0).getInt64(), as_unsigned(query.getColumn(1)), as_unsigned(query.getColumn(2))};
  query.reset();   // an open read would keep the log from being folded back
  return place;
}

StorePlace StoreIndex::next_place(std::uint64_t bytes, std::uint64_t pack_limit) {
  auto& query = prepared("SELECT id, bytes FROM packs ORDER BY id DESC LIMIT 1");
  std::optional<StorePlace> last;
  if (query.executeStep()) last = {query.getColumn(0).getInt64(), as_unsigned(query.getColumn(1)), bytes};
  query.reset();
  if (last && (last->offset == 0 || last->offset + bytes <= pack_limit)) return *last;
  StorePlace place = new_pack();
  place.bytes = bytes;
  return place;
}

StorePlace StoreIndex::new_pack() {
  database_.exec("INSERT INTO packs (bytes) VALUES (0)");
  return {database_.getLastInsertRowid(), 0, 0};
}

void StoreIndex::insert(const Digest& key, const StorePlace& place, std::string_view name, std::int64_t now) {
  auto& pack = prepared("UPDATE packs SET bytes = max(bytes, ?) WHERE id = ?");
  pack.bind(1, as_signed(place.offset + place.bytes));
  pack.bind(2, place.pack);
  pack.exec();
  auto& row = prepared("INSERT OR REPLACE INTO tensors (key, pack, offset, bytes, name, used) VALUES (?, ?, ?, ?, ?, ?)");
  bind_digest(row, 1, key);
  row.bind(2, place.pack);
  row.bind(3, as_signed(place.offset));
  row.bind(4, as_signed(place.bytes));
  row.bind(5, std::string(name));
  row.bind(6, now);
  row.exec();
}

void StoreIndex::remove(const Digest& key, const StorePlace& place) {
  auto& row = prepared("DELETE FROM tensors WHERE key = ? AND pack = ? AND offset = ?");
  bind_digest(row, 1, key);
  row.bind(2, place.pack);
  row.bind(3, as_signed(place.offset));
  row.exec();
}

std::int64_t StoreIndex::last_used(const Digest& key) {
  auto& query = prepared("SELECT used FROM tensors WHERE key = ?");
  bind_digest(query, 1, key);
  const std::int64_t used = query.executeStep() ? query.getColumn(0).getInt64() : 0;
  query.reset();
  return used;
}

void StoreIndex::touch(const std::map<Digest, std::int64_t>& used) {
  if (used.empty()) return;
  SQLite::Transaction transaction(database_);
  for (const auto& [key, time] : used) {
    auto& row = prepared("UPDATE tensors SET used = max(used, ?) WHERE key = ?");
    row.bind(1, time);
    bind_digest(row, 2, key);
    row.exec();
  }
  transaction.commit();
}

void StoreIndex::set_pins(std::string_view owner, std::span<const Digest> keys) {
  SQLite::Transaction transaction(database_);
  auto& old = prepared("DELETE FROM pins WHERE owner = ?");
  old.bind(1, std::string(owner));
  old.exec();
  for (const Digest& key : keys) {
    auto& row = prepared("INSERT OR IGNORE INTO pins (owner, key) VALUES (?, ?)");
    row.bind(1, std::string(owner));
    bind_digest(row, 2, key);
    row.exec();
  }
  transaction.commit();
}

std::vector<std::string> StoreIndex::pin_owners() {
  std::vector<std::string> owners;
  auto& query = prepared("SELECT DISTINCT owner FROM pins");
  while (query.executeStep()) owners.push_back(query.getColumn(0).getString());
  query.reset();
  return owners;
}

std::vector<std::pair<Digest, StorePlace>> StoreIndex::rows(SQLite::Statement& query) {
  std::vector<std::pair<Digest, StorePlace>> result;
  while (query.executeStep())
    result.emplace_back(digest_of_column(query.getColumn(0)),
                        StorePlace{query.getColumn(1).getInt64(), as_unsigned(query.getColumn(2)), as_unsigned(query.getColumn(3))});
  query.reset();
  return result;
}

std::vector<std::pair<Digest, StorePlace>> StoreIndex::unpinned() {
  return rows(prepared("SELECT key, pack, offset, bytes FROM tensors WHERE key NOT IN (SELECT key FROM pins) ORDER BY used, pack, offset"));
}

std::vector<StoreIndex::Pack> StoreIndex::packs() {
  std::vector<Pack> result;
  auto& query = prepared(
      "SELECT id, packs.bytes, coalesce(sum(tensors.bytes), 0) FROM packs LEFT JOIN tensors ON tensors.pack = packs.id "
      "GROUP BY id ORDER BY id");
  while (query.executeStep())
    result.push_back({query.getColumn(0).getInt64(), as_unsigned(query.getColumn(1)), as_unsigned(query.getColumn(2))});
  query.reset();
  return result;
}

std::vector<std::pair<Digest, StorePlace>> StoreIndex::records_of(std::int64_t pack) {
  auto& query = prepared("SELECT key, pack, offset, bytes FROM tensors WHERE pack = ? ORDER BY offset");
  query.bind(1, pack);
  return rows(query);
}

std::vector<std::pair<Digest, StorePlace>> StoreIndex::all() {
  return rows(prepared("SELECT key, pack, offset, bytes FROM tensors ORDER BY pack, offset"));
}

void StoreIndex::remove_pack(std::int64_t pack) {
  auto& rows_gone = prepared("DELETE FROM tensors WHERE pack = ?");
  rows_gone.bind(1, pack);
  rows_gone.exec();
  auto& row = prepared("DELETE FROM packs WHERE id = ?");
  row.bind(1, pack);
  row.exec();
}

void StoreIndex::add_pack(std::int64_t pack, std::uint64_t end) {
  auto& row = prepared("INSERT OR REPLACE INTO packs (id, bytes) VALUES (?, ?)");
  row.bind(1, pack);
  row.bind(2, as_signed(end));
  row.exec();
}

StoreIndex::Totals StoreIndex::totals() {
  Totals totals{};
  auto& all_rows = prepared("SELECT coalesce(sum(bytes), 0), count(*) FROM tensors");
  if (all_rows.executeStep()) totals = {as_unsigned(all_rows.getColumn(0)), as_unsigned(all_rows.getColumn(1)), 0};
  all_rows.reset();
  auto& pinned = prepared("SELECT coalesce(sum(bytes), 0) FROM tensors WHERE key IN (SELECT key FROM pins)");
  if (pinned.executeStep()) totals.pinned_bytes = as_unsigned(pinned.getColumn(0));
  pinned.reset();
  return totals;
}

}  // namespace retort
