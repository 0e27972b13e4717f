#include "core/study/tensor_store.h"

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "core/study/file_lock.h"
#include "core/study/pack_file.h"
#include "core/study/sqlite_error.h"
#include "core/study/store_index.h"

namespace retort {
namespace {

// Small enough that making a pack anew during collection is quick, large enough that a model needs only a few.
constexpr std::uint64_t kPackBytes = 256ull << 20;
constexpr std::uint64_t kDefaultLimit = 20ull << 30;

std::int64_t now_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint64_t default_limit() {
  const char* text = std::getenv("RETORT_STORE_LIMIT");
  const std::uint64_t bytes = text ? std::strtoull(text, nullptr, 10) : 0;
  return bytes > 0 ? bytes : kDefaultLimit;
}

class PackStore final : public TensorStore {
 public:
  PackStore(std::filesystem::path folder, std::uint64_t limit) : folder_(std::move(folder)), limit_(limit) {}
  ~PackStore() override {
    const std::lock_guard guard(mutex_);
    // Times of use are a hint: losing them costs nothing.
    (void)with_sqlite(index_path(), [&]() -> Result<void> { flush_used(); return {}; });
  }

  Result<void> start();

  std::optional<StoredTensor> find(const Digest& key) override {
    const std::lock_guard guard(mutex_);
    return locate(key, true);
  }
  bool contains(const Digest& key) override {
    const std::lock_guard guard(mutex_);
    return locate(key, false).has_value();
  }
  Result<StoredTensor> put(const Digest& key, std::string_view name, kernels::TensorType type,
                           const QuantizedTensor& tensor) override;
  Result<void> pin(std::string_view owner, std::span<const Digest> keys) override {
    return writing<void>([&]() -> Result<void> {
      index_->set_pins(owner, keys);
      return {};
    });
  }
  Result<std::uint64_t> collect(std::uint64_t bytes) override {
    return writing<std::uint64_t>([&]() { return collect_now(bytes); });
  }
  Result<std::uint64_t> verify() override {
    return writing<std::uint64_t>([&]() { return verify_now(); });
  }
  StoreUsage usage() override;

 private:
  std::filesystem::path index_path() const { return folder_ / "index.sqlite"; }
  std::filesystem::path pack_path(std::int64_t pack) const { return folder_ / fmt::format("{:08}.pack", pack); }

  // Everything that changes the store: one process and one thread at a time, on the index that lies there now.
  template <class T, class Body>
  Result<T> writing(Body&& body) {
    const std::lock_guard guard(mutex_);
    RETORT_TRY(const auto lock, FileLock::take(folder_ / "lock"));
    return with_sqlite(index_path(), [&]() -> Result<T> {
      reopen_if_replaced();
      const Holding holding(holds_lock_);
      return body();
    });
  }

  struct Holding {
    explicit Holding(bool& flag) : flag_(flag) { flag_ = true; }
    ~Holding() { flag_ = false; }
    bool& flag_;
  };

  void open_index();
  void reopen_if_replaced();
  Result<void> rebuild();
  void remove_strays();
  void flush_used();
  Result<std::shared_ptr<const MappedFile>> mapped(std::int64_t pack, std::uint64_t end);
  Result<Record> record_at(const Digest& key, const StorePlace& place, std::shared_ptr<const MappedFile>& keep_alive);
  std::optional<StoredTensor> locate(const Digest& key, bool use);
  void drop(const Digest& key, const StorePlace& place);
  Result<std::uint64_t> collect_now(std::uint64_t bytes);
  Result<void> compact(const StoreIndex::Pack& pack);
  Result<std::uint64_t> verify_now();

  const std::filesystem::path folder_;
  const std::uint64_t limit_;
  std::mutex mutex_;
  bool holds_lock_ = false;                 // this thread is inside writing()
  std::unique_ptr<StoreIndex> index_;
  ino_t index_inode_ = 0;
  std::map<std::int64_t, std::shared_ptr<const MappedFile>> maps_;
  std::map<Digest, std::int64_t> used_;     // since the last write to the index
};

ino_t inode_of(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

void PackStore::open_index() {
  index_.reset();
  index_ = std::make_unique<StoreIndex>(index_path());
  index_inode_ = inode_of(index_path());
}

// Another process may have found the index damaged and made it anew: appending by the old one would overwrite its data.
void PackStore::reopen_if_replaced() {
  if (inode_of(index_path()) == index_inode_) return;
  maps_.clear();
  open_index();
}

Result<void> PackStore::start() {
  std::error_code failed;
  std::filesystem::create_directories(folder_, failed);
  if (failed) return system_error(failed.value(), folder_, ErrorCode::kWrite);
  RETORT_TRY(const auto lock, FileLock::take(folder_ / "lock"));
  const Result<void> opened = with_sqlite(index_path(), [&]() -> Result<void> {
    open_index();
    SQLite::Statement check(index_->database(), "PRAGMA quick_check(1)");
    if (!check.executeStep() || check.getColumn(0).getString() != "ok")
      return Error{.code = ErrorCode::kCorrupt, .file = index_path().string()};
    check.reset();
    remove_strays();
    return {};
  });
  if (opened) return {};
  const ErrorCode code = opened.error().code;
  if (code != ErrorCode::kCorrupt && code != ErrorCode::kForeign) return opened.error();
  return with_sqlite(index_path(), [&]() { return rebuild(); });
}

// The index is only a view of the packs: reads them all and writes it again.
Result<void> PackStore::rebuild() {
  index_.reset();
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(index_path().string() + suffix, ignored);
  open_index();
  SQLite::Transaction transaction(index_->database());
  const std::int64_t now = now_milliseconds();
  for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
    if (entry.path().extension() != ".pack") continue;
    const std::int64_t pack = std::strtoll(entry.path().stem().c_str(), nullptr, 10);
    const auto file = MappedFile::open(entry.path());
    if (pack <= 0 || !file) continue;
    // Later records lie behind whatever is damaged; nothing is appended to a pack that was found this way.
    index_->add_pack(pack, (*file)->bytes().size());
    scan_pack(**file, [&](std::uint64_t offset, const Record& record) {
      index_->insert(record.key, {pack, offset, record.bytes}, record.header->name.data(), now);
    });
  }
  index_->new_pack();
  transaction.commit();
  return {};
}

// Files of packs that a killed collection had already taken out of the index.
void PackStore::remove_strays() {
  std::map<std::int64_t, bool> known;
  for (const auto& pack : index_->packs()) known[pack.id] = true;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
    if (entry.path().extension() != ".pack") continue;
    if (!known.contains(std::strtoll(entry.path().stem().c_str(), nullptr, 10)))
      std::filesystem::remove(entry.path(), ignored);
  }
}

void PackStore::flush_used() {
  if (!index_) return;
  index_->touch(used_);
  used_.clear();
}

// The whole pack, mapped at least up to `end`; packs grow, so an older map may be too short.
Result<std::shared_ptr<const MappedFile>> PackStore::mapped(std::int64_t pack, std::uint64_t end) {
  auto& map = maps_[pack];
  if (!map || map->bytes().size() < end) {
    auto file = MappedFile::open(pack_path(pack));
    if (!file) {
      maps_.erase(pack);
      return file.error();
    }
    map = *file;
  }
  return map;
}

Result<Record> PackStore::record_at(const Digest& key, const StorePlace& place,
                                    std::shared_ptr<const MappedFile>& keep_alive) {
  RETORT_TRY(keep_alive, mapped(place.pack, place.offset + place.bytes));
  RETORT_TRY(const Record record, read_record(*keep_alive, place.offset));
  if (record.key != key || record.bytes != place.bytes)
    return Error{.code = ErrorCode::kCorrupt, .file = pack_path(place.pack).string(), .offset = place.offset,
                 .found = "another tensor"};
  return record;
}

std::optional<StoredTensor> PackStore::locate(const Digest& key, bool use) {
  const auto found = with_sqlite(index_path(), [&]() -> Result<std::optional<StoredTensor>> {
    // Twice, because a collection in another process may move the tensor between the two looks.
    for (int look = 0; look < 2; ++look) {
      const auto place = index_->find(key);
      if (!place) return std::optional<StoredTensor>();
      std::shared_ptr<const MappedFile> keep_alive;
      const auto record = record_at(key, *place, keep_alive);
      if (record) {
        if (use) used_[key] = now_milliseconds();
        return std::optional(StoredTensor{record->type, record->data, record->scales, record->stats(), keep_alive});
      }
      maps_.erase(place->pack);
      if (look == 1) drop(key, *place);
    }
    return std::optional<StoredTensor>();
  });
  return found ? *found : std::nullopt;
}

// A damaged tensor is forgotten; whoever wants it makes it again.
void PackStore::drop(const Digest& key, const StorePlace& place) {
  if (holds_lock_) return index_->remove(key, place);
  const auto lock = FileLock::take(folder_ / "lock");
  if (lock) index_->remove(key, place);
}

Result<StoredTensor> PackStore::put(const Digest& key, std::string_view name, kernels::TensorType type,
                                    const QuantizedTensor& tensor) {
  const RecordHeader header = make_header(key, name, type, tensor.data, tensor.row_scales, tensor.stats);
  return writing<StoredTensor>([&]() -> Result<StoredTensor> {
    if (auto present = locate(key, true)) return *std::move(present);
    const std::uint64_t bytes = record_bytes(header.data_bytes, header.scale_bytes);
    const StorePlace place = index_->next_place(bytes, kPackBytes);
    RETORT_CHECK(write_record(pack_path(place.pack), place.offset, header, tensor.data, tensor.row_scales));
    SQLite::Transaction transaction(index_->database());
    index_->insert(key, place, name, now_milliseconds());
    transaction.commit();
    auto stored = locate(key, true);
    if (!stored)
      return Error{.code = ErrorCode::kWrite, .file = pack_path(place.pack).string(), .place = std::string(name),
                   .found = "the tensor did not read back"};
    // The tensor just made stays whole even when it is collected: its map holds the file.
    if (limit_ > 0 && index_->totals().bytes > limit_) RETORT_CHECK(collect_now(limit_ / 10 * 9));
    return *std::move(stored);
  });
}

Result<std::uint64_t> PackStore::collect_now(std::uint64_t bytes) {
  flush_used();
  // A study that was deleted holds nothing any more.
  std::error_code ignored;
  for (const std::string& owner : index_->pin_owners())
    if (owner.starts_with('/') && !std::filesystem::exists(owner, ignored)) index_->set_pins(owner, {});

  std::uint64_t remaining = index_->totals().bytes, freed = 0;
  SQLite::Transaction transaction(index_->database());
  for (const auto& [key, place] : index_->unpinned()) {
    if (remaining <= bytes) break;
    index_->remove(key, place);
    remaining -= place.bytes;
    freed += place.bytes;
  }
  transaction.commit();
  for (const StoreIndex::Pack& pack : index_->packs())
    if (pack.end > 0 && pack.live < pack.end / 4 * 3) RETORT_CHECK(compact(pack));
  return freed;
}

// Copies what is still wanted of a pack into a new one, then removes it. Killed at any point: either the old pack is in
// the index and the new file is a stray, or the other way round.
Result<void> PackStore::compact(const StoreIndex::Pack& pack) {
  SQLite::Transaction transaction(index_->database());
  const auto records = index_->records_of(pack.id);
  std::optional<StorePlace> target;
  for (const auto& [key, place] : records) {
    std::shared_ptr<const MappedFile> keep_alive;
    const auto record = record_at(key, place, keep_alive);
    if (!record || !content_matches(*record)) continue;   // damaged: dropped with the pack
    if (!target) target = index_->new_pack();
    const Result<void> copied =
        write_record(pack_path(target->pack), target->offset, *record->header, record->data, record->scales);
    if (!copied) {
      // No room for the copy: the pack stays as it is, with holes.
      std::error_code ignored;
      std::filesystem::remove(pack_path(target->pack), ignored);
      return copied.error().code == ErrorCode::kDiskFull ? Result<void>() : copied;
    }
    const std::int64_t used = index_->last_used(key);
    index_->insert(key, {target->pack, target->offset, place.bytes}, record->header->name.data(), used);
    target->offset += place.bytes;
  }
  index_->remove_pack(pack.id);
  transaction.commit();
  maps_.erase(pack.id);
  std::error_code ignored;
  std::filesystem::remove(pack_path(pack.id), ignored);
  return {};
}

Result<std::uint64_t> PackStore::verify_now() {
  std::uint64_t dropped = 0;
  for (const auto& [key, place] : index_->all()) {
    std::shared_ptr<const MappedFile> keep_alive;
    const auto record = record_at(key, place, keep_alive);
    if (record && content_matches(*record)) continue;
    maps_.erase(place.pack);
    index_->remove(key, place);
    ++dropped;
  }
  return dropped;
}

StoreUsage PackStore::usage() {
  const std::lock_guard guard(mutex_);
  StoreUsage usage;
  usage.folder = folder_;
  usage.limit = limit_;
  (void)with_sqlite(index_path(), [&]() -> Result<void> {
    const auto totals = index_->totals();
    usage.bytes = totals.bytes;
    usage.tensors = totals.tensors;
    usage.pinned_bytes = totals.pinned_bytes;
    return {};
  });
  return usage;
}

}  // namespace

Result<std::shared_ptr<TensorStore>> TensorStore::open(const std::filesystem::path& folder, std::uint64_t limit) {
  std::filesystem::path place = folder;
  if (place.empty()) {
    const char* variable = std::getenv("RETORT_STORE");
    place = variable && *variable ? std::filesystem::path(variable) : user_cache_folder() / "tensors";
  }
  auto store = std::make_shared<PackStore>(std::filesystem::absolute(place), limit > 0 ? limit : default_limit());
  RETORT_CHECK(store->start());
  return std::shared_ptr<TensorStore>(std::move(store));
}

}  // namespace retort
