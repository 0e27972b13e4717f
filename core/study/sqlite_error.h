// Errors of SQLite as ours, and the options that every database of the project opens with. For .cpp files of core/study.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <filesystem>

#include "core/base/result.h"

namespace retort {

// Bytes: what SQLite takes at a time for its files.
inline constexpr std::uintmax_t kTooLittleRoom = 64 << 10;

inline Error sqlite_error(const SQLite::Exception& exception, const std::filesystem::path& path) {
  Error error;
  error.file = path.string();
  error.found = exception.what();
  switch (exception.getErrorCode() & 0xff) {   // without the extended part
    case SQLITE_FULL: error.code = ErrorCode::kDiskFull; break;
    case SQLITE_NOTADB: error.code = ErrorCode::kForeign; break;
    case SQLITE_CORRUPT: error.code = ErrorCode::kCorrupt; break;
    case SQLITE_PERM: case SQLITE_READONLY: case SQLITE_CANTOPEN: case SQLITE_AUTH:
      error.code = ErrorCode::kPermission;
      break;
    case SQLITE_BUSY: case SQLITE_LOCKED: error.code = ErrorCode::kConflict; break;
    case SQLITE_NOMEM: error.code = ErrorCode::kOutOfMemory; break;
    case SQLITE_IOERR: {
      // The shared-memory file of its log can't grow on a full disk either, and that comes as an I/O error.
      std::error_code unknown;
      const auto space = std::filesystem::space(path.parent_path(), unknown);
      error.code = !unknown && space.available < kTooLittleRoom ? ErrorCode::kDiskFull : ErrorCode::kWrite;
      break;
    }
    default: error.code = ErrorCode::kWrite; break;
  }
  return error;
}

// Runs `body` (which returns a Result) and turns what SQLite throws into an Error.
template <class Body>
auto with_sqlite(const std::filesystem::path& path, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const SQLite::Exception& exception) {
    return sqlite_error(exception, path);
  }
}

}  // namespace retort
