#include <QtTest>

#include <QTemporaryDir>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "core/base/checked.h"
#include "core/base/digest.h"
#include "core/base/error_text.h"
#include "core/base/files.h"
#include "core/base/job.h"

using namespace retort;

class BaseTest : public QObject {
  Q_OBJECT
  QTemporaryDir folder_;
  std::filesystem::path path(const std::string& name) { return std::filesystem::path(folder_.path().toStdString()) / name; }

 private slots:
  void everyErrorHasASentenceAndANextStep() {
    for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
      const Error error{.code = static_cast<ErrorCode>(code), .file = "model.gguf", .place = "blk.0", .offset = 17, .expected = "x", .found = "y"};
      const std::string text = error_text(error);
      for (const char* part : {"model.gguf", "blk.0", "byte 17", "expected x, found y", "Next: "})
        QVERIFY2(text.find(part) != std::string::npos, text.c_str());
      QVERIFY(exit_code(error.code) >= 1 && exit_code(error.code) <= 5);
    }
    QCOMPARE(exit_code(ErrorCode::kDiskFull), 4);
    QCOMPARE(exit_code(ErrorCode::kCanceled), 5);
    QCOMPARE(exit_code(ErrorCode::kCheckFailed), 1);
  }

  void atomicFilesAppearWholeOrNotAtAll() {
    {
      auto file = AtomicFile::create(path("dropped"));
      QVERIFY(file.ok());
      QVERIFY(file->write("half").ok());
    }
    QVERIFY(!std::filesystem::exists(path("dropped")));
    QVERIFY(write_text_file(path("whole"), "first").ok());
    QVERIFY(write_text_file(path("whole"), "second").ok());
    QCOMPARE(*read_text_file(path("whole")), std::string("second"));
    QCOMPARE(std::distance(std::filesystem::directory_iterator(path(".")), {}), 1);
  }

  // A killed writer leaves its part; the next writer of that file takes it away, another's that still runs it leaves.
  void leftPartsGoAway() {
    const pid_t dead = ::fork();
    if (dead == 0) {
      auto file = AtomicFile::create(path("left"));
      (void)file->write("half");
      ::raise(SIGKILL);
    }
    int status = 0;
    ::waitpid(dead, &status, 0);
    QVERIFY(std::filesystem::exists(path("left.part-" + std::to_string(dead))));
    QVERIFY(write_text_file(path("left.part-" + std::to_string(::getppid())), "runs").ok());
    QVERIFY(write_text_file(path("left.part-12x"), "another's name").ok());
    QVERIFY(write_text_file(path("left"), "whole").ok());
    QVERIFY(!std::filesystem::exists(path("left.part-" + std::to_string(dead))));
    QVERIFY(std::filesystem::exists(path("left.part-" + std::to_string(::getppid()))));
    QVERIFY(std::filesystem::exists(path("left.part-12x")));
    for (const char* name : {"left", "left.part-12x"}) std::filesystem::remove(path(name));
    std::filesystem::remove(path("left.part-" + std::to_string(::getppid())));
  }

  void aFullDiskIsNamed() {
    // A limit on file sizes gives the same failure as a full disk, without needing one.
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{4096, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto result = write_text_file(path("big"), std::string(100000, 'x'));
    ::setrlimit(RLIMIT_FSIZE, &before);
    QVERIFY(!result.ok());
    QVERIFY(result.error().code == ErrorCode::kDiskFull);
    QVERIFY(!std::filesystem::exists(path("big")));
  }

  void missingAndForbiddenPlaces() {
    QVERIFY(MappedFile::open(path("missing")).error().code == ErrorCode::kNotFound);
    QVERIFY(!MappedFile::open(path(".")).ok());
    QVERIFY(!write_text_file("/proc/retort/file", "x").ok());
  }

  void digestsAreSha256() {
    // FIPS 180-4's example: SHA-256("abc").
    DigestBuilder builder;
    builder.raw(std::as_bytes(std::span("abc", 3)));
    QCOMPARE(builder.finish().hex(), std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    QVERIFY(DigestBuilder().text("ab").text("c").finish() != DigestBuilder().text("a").text("bc").finish());
    const Digest digest = digest_of("x");
    QVERIFY(*Digest::from_hex(digest.hex()) == digest);
    QVERIFY(!Digest::from_hex("zz").ok());
    QVERIFY(!Digest::from_hex(std::string(64, 'g')).ok());
    QVERIFY(write_text_file(path("abc"), "abc").ok());
    QCOMPARE(digest_of_file(path("abc"), {})->hex(), std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
  }

  void checkedArithmeticSaysNo() {
    QVERIFY(!checked_add(~0ull, 1));
    QVERIFY(!checked_mul(1ull << 40, 1ull << 40));
    QCOMPARE(*checked_mul(3, 5), 15ull);
  }

  void jobsStopAndPause() {
    JobContext job;
    QVERIFY(!job.stopped());
    job.pause(true);
    std::atomic<bool> passed = false;
    std::thread worker([job, &passed] { (void)job.stopped(); passed = true; });
    QTest::qWait(60);
    QVERIFY(!passed);
    job.pause(false);
    worker.join();
    job.stop();
    QVERIFY(job.check("here").error().code == ErrorCode::kCanceled);
  }
};

QTEST_GUILESS_MAIN(BaseTest)
#include "base_test.moc"
