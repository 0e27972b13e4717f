// The study file on disk: an SQLite database, held by one process at a time. Not thread-safe. Every save is one
// transaction. docs/study-file.md describes the tables.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/study/file_lock.h"
#include "core/study/study_document.h"

namespace retort {

inline constexpr int kStudySchema = 1;

struct StoredMeasurement {
  Digest key;          // of everything that it depends on
  std::string kind;    // "evaluation", "bench"
  std::string body;    // JSON
};

class StudyFile {
 public:
  // Errors: kConflict (in use, or exists already), kPermission, kDiskFull.
  static Result<std::unique_ptr<StudyFile>> create(const std::filesystem::path& path);
  // Brings older schemas up to this one. Errors: kNotFound, kConflict, kForeign (no study), kCorrupt, kUnsupported (made by
  // a newer Retort).
  static Result<std::unique_ptr<StudyFile>> open(const std::filesystem::path& path);

  Result<StudyDocument> load();
  // With `undo` the JSON of the edits before is appended to the journal.
  Result<void> save(const StudyDocument& document, const std::optional<std::string>& undo);
  // The newest entry of the journal, and the same taken away.
  std::optional<std::string> last_undo();
  Result<void> save_undone(const StudyDocument& document);
  Result<void> clear_undo();

  Result<std::vector<StoredMeasurement>> measurements();
  Result<void> add_measurement(const StoredMeasurement& measurement);

  // Digests of large files, remembered by path, size and time of change.
  struct FileStamp {
    std::string path;
    std::uint64_t bytes = 0;
    std::int64_t changed = 0;   // nanoseconds
  };
  std::optional<Digest> known_digest(const FileStamp& stamp);
  void remember_digest(const FileStamp& stamp, const Digest& digest);

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  StudyFile(FileLock lock, const std::filesystem::path& path);
  Result<void> prepare();
  void write(const StudyDocument& document);

  std::filesystem::path path_;
  FileLock lock_;               // declared before the database: closing its descriptor would drop SQLite's own locks
  SQLite::Database database_;
};

}  // namespace retort
