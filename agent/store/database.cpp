#include "store/database.h"

#include <sqlite3.h>

#include "store/database_file.h"

namespace callgate {
namespace {

// Of the file as a whole; owners number their own tables.
constexpr int kFileVersion = 1;
// Another process, such as a backup, may read the file for a moment. Everybody waits as long for a write of
// ours.
constexpr int kBusyMilliseconds = 500;

}  // namespace

std::string database_path(const std::string& state_directory) {
    return state_directory + (state_directory.ends_with('/') ? "state.db" : "/state.db");
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
    TRY_VOID(make_database_file(path));
    sqlite3* connection = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
    std::unique_ptr<Database> database(new Database(path, connection));
    if (code != SQLITE_OK) return database_error(path, connection, code);
    sqlite3_busy_timeout(connection, kBusyMilliseconds);
    TRY_VOID(database->prepare_file());
    return database;
}

// Both files beside it have its mode. The lock is kept: nobody else reads or writes while an agent has it.
Status Database::prepare_file() {
    TRY_VOID(
        execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON"));
    const int version = TRY(user_version());
    if (version > kFileVersion) {
        return Error::refused(path_, "written by a newer version of callgate; start that, or move the file away to begin anew");
    }
    // Also takes the lock, and finds out whether the file can be written. Nothing is, where there is nothing to write: sessions
    // may wait for this agent, and the disk for others.
    TRY_VOID(write([&]() -> Status {
        if (version == kFileVersion) return {};
        return execute(
            "PRAGMA user_version = 1;"
            "CREATE TABLE IF NOT EXISTS owners (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT");
    }));
    bool is_whole = false;
    Statement check = TRY(prepare("PRAGMA quick_check(1)"));
    TRY_VOID(check.each([&](const Row& row) { is_whole = row.text(0) == "ok"; }));
    if (!is_whole) return database_error(path_, nullptr, SQLITE_CORRUPT);
    return {};
}

Result<int> Database::user_version() {
    int version = 0;
    Statement ask = TRY(prepare("PRAGMA user_version"));
    TRY_VOID(ask.each([&](const Row& row) { version = static_cast<int>(row.integer(0)); }));
    return version;
}

Database::~Database() { sqlite3_close(connection_); }

Status Database::use_schema(std::string_view owner, int version, const char* sql, const std::function<Status(int)>& upgrade) {
    return write([&]() -> Status {
        int found = 0;
        Statement ask = TRY(prepare("SELECT version FROM owners WHERE name = ?1"));
        TRY_VOID(ask.each([&](const Row& row) { found = static_cast<int>(row.integer(0)); }, owner));
        if (found == version) return {};
        if (found > version) {
            return Error::refused(path_,
                                  "its " + std::string(owner) +
                                      " are of a newer version of callgate; start that, or move the file away to begin anew");
        }
        if (found == 0) {
            TRY_VOID(execute(sql));
        } else {
            if (!upgrade)
                return Error::refused(path_, "its " + std::string(owner) +
                                                 " are of an older version, which this one cannot read; move "
                                                 "the file away to begin anew");
            TRY_VOID(upgrade(found));
        }
        Statement note = TRY(prepare("INSERT OR REPLACE INTO owners VALUES (?1, ?2)"));
        return note.run(owner, version);
    });
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const int code =
        sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return database_error(path_, connection_, code);
    return Statement(connection_, statement, path_);
}

Status Database::execute(const char* sql) {
    const int code = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return database_error(path_, connection_, code);
    return {};
}

Status Database::write(const std::function<Status()>& work) {
    TRY_VOID(execute("BEGIN IMMEDIATE"));
    Status done = work();
    if (done) done = execute("COMMIT");
    // Some errors have ended the transaction already.
    if (!done && sqlite3_get_autocommit(connection_) == 0) (void)execute("ROLLBACK");
    return done;
}

}  // namespace callgate
