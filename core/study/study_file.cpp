#include "core/study/study_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/study/sqlite_error.h"

namespace retort {
namespace {

// "RTRT": tells a study from any other SQLite file.
constexpr int kApplicationId = 0x52545254;
constexpr int kUndoEntries = 200;

constexpr const char* kTables =
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "CREATE TABLE data_sets (position INTEGER PRIMARY KEY, body TEXT NOT NULL);"
    "CREATE TABLE candidates (id INTEGER PRIMARY KEY, position INTEGER NOT NULL, body TEXT NOT NULL);"
    "CREATE TABLE measurements (key TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL,"
    "  made TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);"
    "CREATE TABLE undo (id INTEGER PRIMARY KEY AUTOINCREMENT, before TEXT NOT NULL);"
    "CREATE TABLE file_digests (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, changed INTEGER NOT NULL, digest TEXT NOT NULL);";

int pragma(SQLite::Database& database, const char* sql) {
  SQLite::Statement query(database, sql);
  return query.executeStep() ? query.getColumn(0).getInt() : 0;
}

void set(SQLite::Database& database, const char* key, const std::string& value) {
  SQLite::Statement row(database, "INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)");
  row.bind(1, key);
  row.bind(2, value);
  row.exec();
}

std::optional<std::string> get(SQLite::Database& database, const char* key) {
  SQLite::Statement query(database, "SELECT value FROM settings WHERE key = ?");
  query.bind(1, key);
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getString();
}

std::int64_t number_or(const std::optional<std::string>& text, std::int64_t otherwise) {
  return text ? std::strtoll(text->c_str(), nullptr, 10) : otherwise;
}

}  // namespace

StudyFile::StudyFile(FileLock lock, const std::filesystem::path& path)
    : path_(path), lock_(std::move(lock)), database_(path.string(), SQLite::OPEN_READWRITE, 5000) {
  database_.exec("PRAGMA journal_mode = DELETE");
  database_.exec("PRAGMA synchronous = FULL");
  database_.exec("PRAGMA foreign_keys = ON");
}

Result<std::unique_ptr<StudyFile>> StudyFile::create(const std::filesystem::path& path) {
  const std::filesystem::path place = std::filesystem::absolute(path).lexically_normal();
  const int descriptor = ::open(place.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    if (errno == EEXIST)
      return Error{.code = ErrorCode::kConflict, .file = place.string(), .found = "a file of this name exists",
                   .next_step = "open it, or choose another name"};
    return system_error(errno, place, ErrorCode::kWrite);
  }
  ::close(descriptor);
  RETORT_TRY(auto lock, FileLock::try_existing(place));
  return with_sqlite(place, [&]() -> Result<std::unique_ptr<StudyFile>> {
    std::unique_ptr<StudyFile> file(new StudyFile(std::move(lock), place));
    SQLite::Transaction transaction(file->database_);
    file->database_.exec(kTables);
    file->database_.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    file->database_.exec("PRAGMA user_version = " + std::to_string(kStudySchema));
    file->write(StudyDocument{});
    transaction.commit();
    return file;
  });
}

Result<std::unique_ptr<StudyFile>> StudyFile::open(const std::filesystem::path& path) {
  const std::filesystem::path place = std::filesystem::absolute(path).lexically_normal();
  std::error_code ignored;
  if (std::filesystem::is_directory(place, ignored))
    return Error{.code = ErrorCode::kForeign, .file = place.string(), .expected = "a study file", .found = "a folder"};
  RETORT_TRY(auto lock, FileLock::try_existing(place));
  return with_sqlite(place, [&]() -> Result<std::unique_ptr<StudyFile>> {
    std::unique_ptr<StudyFile> file(new StudyFile(std::move(lock), place));
    RETORT_CHECK(file->prepare());
    return file;
  });
}

// Checks that this is a study, and brings an older one up to date. A migration to schema n + 1 is added as a further `if`
// in order, with a stored file of schema n in tests/data/studies.
Result<void> StudyFile::prepare() {
  const int application = pragma(database_, "PRAGMA application_id");
  if (application != kApplicationId) {
    // A file whose creation was cut off before its first transaction holds nothing at all.
    return Error{.code = ErrorCode::kForeign, .file = path_.string(), .expected = "a study file of Retort",
                 .found = "another database", .next_step = "open a file that ends in .retort"};
  }
  SQLite::Statement check(database_, "PRAGMA quick_check(1)");
  if (!check.executeStep() || check.getColumn(0).getString() != "ok")
    return Error{.code = ErrorCode::kCorrupt, .file = path_.string(), .found = "a damaged database",
                 .next_step = "take a copy from a backup"};
  const int version = pragma(database_, "PRAGMA user_version");
  if (version > kStudySchema || version < 1)
    return Error{.code = ErrorCode::kUnsupported, .file = path_.string(), .place = "schema version",
                 .expected = "at most " + std::to_string(kStudySchema), .found = std::to_string(version),
                 .next_step = "open it with the newer Retort that made it"};
  return {};
}

Result<StudyDocument> StudyFile::load() {
  return with_sqlite(path_, [&]() -> Result<StudyDocument> {
    StudyDocument document;
    const auto folder = path_.parent_path();
    if (const auto source = get(database_, "source")) {
      RETORT_TRY(document.source, source_from_json(*source, folder));
    }
    if (const auto goals = get(database_, "goals")) {
      RETORT_TRY(document.goals, goals_from_json(*goals));
    }
    document.context = number_or(get(database_, "context"), 512);
    document.threads = static_cast<int>(number_or(get(database_, "threads"), 0));
    document.device = get(database_, "device").value_or("");
    document.next_id = number_or(get(database_, "next_id"), 1);
    SQLite::Statement sets(database_, "SELECT body FROM data_sets ORDER BY position");
    while (sets.executeStep()) {
      RETORT_TRY(auto data, data_from_json(sets.getColumn(0).getString(), folder));
      document.data.push_back(std::move(data));
    }
    SQLite::Statement candidates(database_, "SELECT body FROM candidates ORDER BY position");
    while (candidates.executeStep()) {
      RETORT_TRY(auto candidate, candidate_from_json(candidates.getColumn(0).getString()));
      document.candidates.push_back(std::move(candidate));
    }
    return document;
  });
}

// Inside a transaction. Tens of rows: written anew each time.
void StudyFile::write(const StudyDocument& document) {
  const auto folder = path_.parent_path();
  if (document.source) set(database_, "source", source_to_json(*document.source, folder));
  set(database_, "goals", goals_to_json(document.goals));
  set(database_, "context", std::to_string(document.context));
  set(database_, "threads", std::to_string(document.threads));
  set(database_, "device", document.device);
  set(database_, "next_id", std::to_string(document.next_id));
  database_.exec("DELETE FROM data_sets; DELETE FROM candidates");
  SQLite::Statement data(database_, "INSERT INTO data_sets (position, body) VALUES (?, ?)");
  for (std::size_t i = 0; i < document.data.size(); ++i) {
    data.reset();
    data.bind(1, static_cast<std::int64_t>(i));
    data.bind(2, data_to_json(document.data[i], folder));
    data.exec();
  }
  SQLite::Statement candidate(database_, "INSERT INTO candidates (id, position, body) VALUES (?, ?, ?)");
  for (std::size_t i = 0; i < document.candidates.size(); ++i) {
    candidate.reset();
    candidate.bind(1, document.candidates[i].id);
    candidate.bind(2, static_cast<std::int64_t>(i));
    candidate.bind(3, candidate_to_json(document.candidates[i]));
    candidate.exec();
  }
}

Result<void> StudyFile::save(const StudyDocument& document, const std::optional<std::string>& undo) {
  return with_sqlite(path_, [&]() -> Result<void> {
    SQLite::Transaction transaction(database_);
    write(document);
    if (undo) {
      SQLite::Statement row(database_, "INSERT INTO undo (before) VALUES (?)");
      row.bind(1, *undo);
      row.exec();
      database_.exec("DELETE FROM undo WHERE id <= (SELECT max(id) FROM undo) - " + std::to_string(kUndoEntries));
    }
    transaction.commit();
    return {};
  });
}

std::optional<std::string> StudyFile::last_undo() {
  const auto entry = with_sqlite(path_, [&]() -> Result<std::optional<std::string>> {
    SQLite::Statement query(database_, "SELECT before FROM undo ORDER BY id DESC LIMIT 1");
    if (!query.executeStep()) return std::optional<std::string>();
    return std::optional(query.getColumn(0).getString());
  });
  return entry ? *entry : std::nullopt;
}

Result<void> StudyFile::save_undone(const StudyDocument& document) {
  return with_sqlite(path_, [&]() -> Result<void> {
    SQLite::Transaction transaction(database_);
    write(document);
    database_.exec("DELETE FROM undo WHERE id = (SELECT max(id) FROM undo)");
    transaction.commit();
    return {};
  });
}

Result<void> StudyFile::clear_undo() {
  return with_sqlite(path_, [&]() -> Result<void> {
    database_.exec("DELETE FROM undo");
    return {};
  });
}

Result<std::vector<StoredMeasurement>> StudyFile::measurements() {
  return with_sqlite(path_, [&]() -> Result<std::vector<StoredMeasurement>> {
    std::vector<StoredMeasurement> result;
    SQLite::Statement query(database_, "SELECT key, kind, body FROM measurements");
    while (query.executeStep()) {
      RETORT_TRY(const Digest key, Digest::from_hex(query.getColumn(0).getString()));
      result.push_back({key, query.getColumn(1).getString(), query.getColumn(2).getString()});
    }
    return result;
  });
}

Result<void> StudyFile::add_measurement(const StoredMeasurement& measurement) {
  return with_sqlite(path_, [&]() -> Result<void> {
    SQLite::Statement row(database_, "INSERT OR REPLACE INTO measurements (key, kind, body) VALUES (?, ?, ?)");
    row.bind(1, measurement.key.hex());
    row.bind(2, measurement.kind);
    row.bind(3, measurement.body);
    row.exec();
    return {};
  });
}

std::optional<Digest> StudyFile::known_digest(const FileStamp& stamp) {
  const auto found = with_sqlite(path_, [&]() -> Result<std::optional<Digest>> {
    SQLite::Statement query(database_, "SELECT digest FROM file_digests WHERE path = ? AND bytes = ? AND changed = ?");
    query.bind(1, stamp.path);
    query.bind(2, static_cast<std::int64_t>(stamp.bytes));
    query.bind(3, stamp.changed);
    if (!query.executeStep()) return std::optional<Digest>();
    RETORT_TRY(const Digest digest, Digest::from_hex(query.getColumn(0).getString()));
    return std::optional(digest);
  });
  return found ? *found : std::nullopt;
}

// Not remembering costs time only, so a failure here is no error.
void StudyFile::remember_digest(const FileStamp& stamp, const Digest& digest) {
  (void)with_sqlite(path_, [&]() -> Result<void> {
    SQLite::Statement row(database_, "INSERT OR REPLACE INTO file_digests (path, bytes, changed, digest) VALUES (?, ?, ?, ?)");
    row.bind(1, stamp.path);
    row.bind(2, static_cast<std::int64_t>(stamp.bytes));
    row.bind(3, stamp.changed);
    row.bind(4, digest.hex());
    row.exec();
    return {};
  });
}

}  // namespace retort
