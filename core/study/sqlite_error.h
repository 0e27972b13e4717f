// Errors of SQLite as ours, and the options that every database of the project opens with. For .cpp files of core/study.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <filesystem>

#include "core/base/result.h"

namespace retort {

inline Error sqlite_error(const SQLite::Exception& exception, const std::filesystem::path& path) {
  Error error;
  error.file = path.string();
  error.found = exception.what();
  switch (exception.getErrorCode()) {
    case SQLITE_FULL: error.code = ErrorCode::kDiskFull; break;
    case SQLITE_NOTADB: error.code = ErrorCode::kForeign; break;
    case SQLITE_CORRUPT: error.code = ErrorCode::kCorrupt; break;
    case SQLITE_PERM: case SQLITE_READONLY: case SQLITE_CANTOPEN: case SQLITE_AUTH:
      error.code = ErrorCode::kPermission;
      break;
    case SQLITE_BUSY: case SQLITE_LOCKED: error.code = ErrorCode::kConflict; break;
    case SQLITE_NOMEM: error.code = ErrorCode::kOutOfMemory; break;
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
