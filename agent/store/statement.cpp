#include "store/statement.h"

#include <sqlite3.h>

#include <utility>

namespace callgate {

Error database_error(const std::string& path, sqlite3* connection, int code) {
    const std::string said = connection ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
    switch (code & 0xff) {
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
            return Error::refused(
                path, "is damaged (" + said + "); restore it from a backup, or move it away: approvals and pins begin anew then");
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return Error::refused(path, "in use by another process; each agent needs a state_directory of its own");
        case SQLITE_FULL: return Error::refused(path, "cannot be written: no space left on the disk; make room");
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_CANTOPEN:
        case SQLITE_IOERR:
            return Error::refused(path,
                                  "cannot be opened or written (" + said + "); check its owner, its mode and the file system");
        default: return Error::refused(path, said);
    }
}

int64_t Row::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Row::text(int column) const { return blob(column); }

std::string_view Row::blob(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return bytes ? std::string_view(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))) : std::string_view();
}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      path_(std::move(other.path_)),
      changed_(other.changed_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
    if (this != &other) {
        sqlite3_finalize(statement_);
        connection_ = other.connection_;
        statement_ = std::exchange(other.statement_, nullptr);
        path_ = std::move(other.path_);
        changed_ = other.changed_;
    }
    return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Status Statement::bind(int position, int64_t value) {
    const int code = sqlite3_bind_int64(statement_, position, value);
    if (code != SQLITE_OK) return database_error(path_, connection_, code);
    return {};
}

// What is bound lives until finish() has run the statement. An empty view is an empty text and not NULL.
Status Statement::bind(int position, std::string_view text) {
    const char* bytes = text.empty() ? "" : text.data();
    const int code = sqlite3_bind_text64(statement_, position, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) return database_error(path_, connection_, code);
    return {};
}

Status Statement::bind(int position, Blob blob) {
    const char* bytes = blob.bytes.empty() ? "" : blob.bytes.data();
    const int code = sqlite3_bind_blob64(statement_, position, bytes, blob.bytes.size(), SQLITE_STATIC);
    if (code != SQLITE_OK) return database_error(path_, connection_, code);
    return {};
}

Status Statement::finish(Status bound, int count, const std::function<void(const Row&)>& use) {
    if (bound && count != sqlite3_bind_parameter_count(statement_)) {
        bound = Error::invalid(path_, std::string("wrong number of values for ") + sqlite3_sql(statement_));
    }
    int code = SQLITE_DONE;
    if (bound) {
        while ((code = sqlite3_step(statement_)) == SQLITE_ROW) {
            if (use) use(Row(statement_));
        }
        if (code != SQLITE_DONE) bound = database_error(path_, connection_, code);
        changed_ = code == SQLITE_DONE ? sqlite3_changes64(connection_) : 0;
    }
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    return bound;
}

}  // namespace callgate
