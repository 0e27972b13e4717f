// The tensor store: what is put is found again, by other openings too; damage is dropped; a full disk and a kill leave it
// sound; collection removes what nobody pins.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QTemporaryDir>
#include <QtTest>
#include <csignal>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "core/study/tensor_store.h"

using namespace retort;
using kernels::TensorType;

namespace {

Digest key_of(int i) { return digest_of("tensor " + std::to_string(i)); }

// Content that follows from the number, so that every process can check it.
QuantizedTensor tensor_of(int i, std::size_t bytes = 0) {
  QuantizedTensor tensor;
  std::mt19937 random(static_cast<unsigned>(i));
  tensor.data.resize(bytes ? bytes : 1000 + static_cast<std::size_t>(random() % 30000));
  for (auto& byte : tensor.data) byte = static_cast<std::byte>(random());
  if (i % 3 == 0)
    for (int row = 0; row < 7; ++row) tensor.row_scales.push_back(static_cast<float>(i + row));
  tensor.stats = {i * 0.5, i * 0.25};
  return tensor;
}

bool equal(const StoredTensor& stored, const QuantizedTensor& tensor) {
  return stored.data.size() == tensor.data.size() &&
         std::memcmp(stored.data.data(), tensor.data.data(), tensor.data.size()) == 0 &&
         std::equal(stored.row_scales.begin(), stored.row_scales.end(), tensor.row_scales.begin(), tensor.row_scales.end()) &&
         stored.stats.mean_squared_error == tensor.stats.mean_squared_error &&
         stored.stats.relative_error == tensor.stats.relative_error;
}

std::shared_ptr<TensorStore> open_store(const std::filesystem::path& folder, std::uint64_t limit = 0) {
  auto store = TensorStore::open(folder, limit);
  return store ? *store : nullptr;
}

std::vector<std::filesystem::path> packs_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> packs;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".pack") packs.push_back(entry.path());
  return packs;
}

void put_some(TensorStore& store, int first, int last) {
  for (int i = first; i < last; ++i) QVERIFY(store.put(key_of(i), "t", TensorType::kQ8_0, tensor_of(i)).ok());
}

}  // namespace

class TensorStoreTest : public QObject {
  Q_OBJECT
 private slots:
  void init() { folder_ = std::make_unique<QTemporaryDir>(); }
  void finds_what_was_put();
  void two_openings_see_each_other();
  void collects_least_recently_used();
  void pins_hold_and_dead_owners_do_not();
  void drops_damage();
  void rebuilds_the_index();
  void survives_a_full_disk();
  void survives_kill();

 private:
  std::filesystem::path path() const { return folder_->path().toStdString() + "/store"; }
  std::unique_ptr<QTemporaryDir> folder_;
};

void TensorStoreTest::finds_what_was_put() {
  auto store = open_store(path());
  QVERIFY(store);
  QVERIFY(!store->find(key_of(1)));
  put_some(*store, 0, 20);
  const auto early = store->find(key_of(3));
  put_some(*store, 20, 40);   // the pack grows: the map is renewed, the old view stays
  for (int i = 0; i < 40; ++i) {
    const auto stored = store->find(key_of(i));
    QVERIFY(stored);
    QVERIFY(equal(*stored, tensor_of(i)));
    QCOMPARE(stored->type, TensorType::kQ8_0);
  }
  QVERIFY(equal(*early, tensor_of(3)));
  QCOMPARE(store->usage().tensors, std::uint64_t(40));
  // A second put of a key keeps the first and writes nothing.
  const auto bytes = store->usage().bytes;
  QVERIFY(store->put(key_of(5), "t", TensorType::kQ8_0, tensor_of(5)).ok());
  QCOMPARE(store->usage().bytes, bytes);
  store.reset();
  store = open_store(path());
  QVERIFY(equal(*store->find(key_of(39)), tensor_of(39)));
  QCOMPARE(*store->verify(), std::uint64_t(0));
}

void TensorStoreTest::two_openings_see_each_other() {
  auto first = open_store(path()), second = open_store(path());
  std::thread other([&] { put_some(*second, 100, 150); });
  put_some(*first, 0, 50);
  other.join();
  for (int i : {0, 49, 100, 149}) {
    QVERIFY(equal(*first->find(key_of(i)), tensor_of(i)));
    QVERIFY(equal(*second->find(key_of(i)), tensor_of(i)));
  }
  QCOMPARE(*first->verify(), std::uint64_t(0));
}

void TensorStoreTest::collects_least_recently_used() {
  auto store = open_store(path());
  for (int i = 0; i < 10; ++i) {
    QVERIFY(store->put(key_of(i), "t", TensorType::kQ8_0, tensor_of(i, 10000)).ok());
    QTest::qSleep(2);
  }
  QVERIFY(store->find(key_of(0)));
  const auto view = store->find(key_of(1));
  auto other = open_store(path());
  const auto freed = store->collect(50000);
  QVERIFY(freed.ok());
  QVERIFY(*freed >= 50000);
  QVERIFY(store->usage().bytes <= 50000);
  QVERIFY(store->find(key_of(0)));    // used just now
  QVERIFY(!store->find(key_of(2)));
  QVERIFY(store->find(key_of(9)));
  QVERIFY(equal(*view, tensor_of(1, 10000)));   // a view outlives the removal of its tensor
  QVERIFY(equal(*other->find(key_of(9)), tensor_of(9, 10000)));   // and others see the tensors where they lie now
  std::uint64_t on_disk = 0;
  for (const auto& pack : packs_in(path())) on_disk += std::filesystem::file_size(pack);
  QVERIFY(on_disk <= 50000);
  // A limit is kept without being asked.
  auto small = open_store(path(), 60000);
  for (int i = 20; i < 40; ++i) QVERIFY(small->put(key_of(i), "t", TensorType::kQ8_0, tensor_of(i, 10000)).ok());
  QVERIFY(small->usage().bytes <= 60000);
  QCOMPARE(*small->verify(), std::uint64_t(0));
}

void TensorStoreTest::pins_hold_and_dead_owners_do_not() {
  auto store = open_store(path());
  put_some(*store, 0, 6);
  const std::string study = folder_->path().toStdString() + "/a.retort";
  std::ofstream(study) << "x";
  const std::vector<Digest> keys = {key_of(0), key_of(1)};
  QVERIFY(store->pin(study, keys).ok());
  QVERIFY(store->usage().pinned_bytes > 0);
  QVERIFY(store->collect(0).ok());
  QVERIFY(store->find(key_of(0)) && store->find(key_of(1)));
  QCOMPARE(store->usage().tensors, std::uint64_t(2));
  std::filesystem::remove(study);
  QVERIFY(store->collect(0).ok());
  QCOMPARE(store->usage().tensors, std::uint64_t(0));
  QVERIFY(packs_in(path()).empty());
}

void TensorStoreTest::drops_damage() {
  auto store = open_store(path());
  put_some(*store, 0, 10);
  const auto pack = packs_in(path()).front();
  const auto size = std::filesystem::file_size(pack);
  store.reset();
  std::filesystem::resize_file(pack, size / 2);
  store = open_store(path());
  int present = 0;
  for (int i = 0; i < 10; ++i)
    if (const auto stored = store->find(key_of(i))) {
      ++present;
      QVERIFY(equal(*stored, tensor_of(i)));
    }
  QVERIFY(present > 0 && present < 10);
  QCOMPARE(store->usage().tensors, std::uint64_t(present));   // the others are forgotten
  put_some(*store, 0, 10);
  for (int i = 0; i < 10; ++i) QVERIFY(equal(*store->find(key_of(i)), tensor_of(i)));
  // A flipped bit inside a tensor is what verify() finds.
  store.reset();
  {
    std::fstream file(pack, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(400);
    file.put('\x5a');
    file.put('\x5a');
  }
  store = open_store(path());
  QCOMPARE(*store->verify(), std::uint64_t(1));
  QVERIFY(!store->find(key_of(0)));
  // A header that was overwritten is found at once.
  { std::fstream(pack, std::ios::in | std::ios::out | std::ios::binary).write("garbage", 7); }
  put_some(*store, 0, 1);
  QVERIFY(equal(*store->find(key_of(0)), tensor_of(0)));
}

void TensorStoreTest::rebuilds_the_index() {
  auto store = open_store(path());
  put_some(*store, 0, 10);
  store.reset();
  for (const char* junk : {"not a database at all, and long enough to be looked at as one", ""}) {
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path() / (std::string("index.sqlite") + suffix));
    std::ofstream(path() / "index.sqlite", std::ios::trunc) << junk;
    store = open_store(path());
    QVERIFY(store);
    if (*junk) {
      for (int i = 0; i < 10; ++i) QVERIFY(equal(*store->find(key_of(i)), tensor_of(i)));
    }
    put_some(*store, 0, 15);
    for (int i = 0; i < 15; ++i) QVERIFY(equal(*store->find(key_of(i)), tensor_of(i)));
    store.reset();
  }
}

void TensorStoreTest::survives_a_full_disk() {
  auto store = open_store(path());
  put_some(*store, 0, 5);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit tight = old;
  tight.rlim_cur = 1 << 20;
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const auto refused = store->put(key_of(50), "big", TensorType::kQ8_0, tensor_of(50, 2 << 20));
  ::setrlimit(RLIMIT_FSIZE, &old);
  QVERIFY(!refused.ok());
  QCOMPARE(refused.error().code, ErrorCode::kDiskFull);
  QVERIFY(!store->find(key_of(50)));
  QCOMPARE(store->usage().tensors, std::uint64_t(5));
  put_some(*store, 5, 8);   // goes where the half-written one lies
  for (int i = 0; i < 8; ++i) QVERIFY(equal(*store->find(key_of(i)), tensor_of(i)));
  QCOMPARE(*store->verify(), std::uint64_t(0));
}

// A child puts and collects for ever; killed at random moments, the store is whole each time.
void TensorStoreTest::survives_kill() {
  std::mt19937 random(7);
  int total = 0;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = open_store(path());
      if (!store) ::_exit(1);
      for (int i = round * 1000;; ++i) {
        (void)store->put(key_of(i), "t", TensorType::kQ8_0, tensor_of(i));
        if (i % 20 == 19) (void)store->collect(400000);
      }
    }
    ::usleep(10000 + random() % 60000);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    QVERIFY(WIFSIGNALED(status));
    auto store = open_store(path());
    QVERIFY(store);
    QCOMPARE(*store->verify(), std::uint64_t(0));
    for (int i = 0; i <= round; ++i)
      for (int j = i * 1000; j < i * 1000 + 400; ++j)
        if (const auto stored = store->find(key_of(j))) {
          QVERIFY(equal(*stored, tensor_of(j)));
          ++total;
        }
  }
  QVERIFY(total > 25);
}

QTEST_APPLESS_MAIN(TensorStoreTest)
#include "tensor_store_test.moc"
