// Database: STATE_DIRECTORY/state.db, the SQLite file of what must outlive the agent and is no counter. One
// file, shared: each owner has tables of its own, and makes them itself.
//
//   auto database = TRY(Database::open("/var/lib/callgate/state.db"));
//   TRY_VOID(database->use_schema("pins", 1, "CREATE TABLE pins (server TEXT, tool TEXT, hash BLOB, PRIMARY
//   KEY (server, tool)) STRICT")); Statement insert = TRY(database->prepare("INSERT INTO pins VALUES (?1, ?2,
//   ?3)")); TRY_VOID(insert.run("session-forge", "list", Blob{hash})); TRY_VOID(database->write([&]() ->
//   Status { … several statements, all or nothing … }));
//
// What a statement or a write() has done when it returns is on the disk: it survives a kill and a power cut.
// That costs one fsync(2) each, so that it is for what happens seldom.
//
// The file is 0600; one agent at a time has it. One that is damaged, cannot be written or is of a newer
// version is an error that says what to do, and the agent does not start with it: what was approved or pinned
// must not be forgotten silently. Nothing throws. One thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/statement.h"

struct sqlite3;

namespace callgate {

class Database {
  public:
    // Creates the file where there is none.
    static Result<std::unique_ptr<Database>> open(const std::string& path);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // The tables of one owner: `sql`, one statement or several, makes them where the file has none yet. Those
    // of a newer version are an error. Where the file's are older, `upgrade(from)` makes them those of
    // `version`.
    Status use_schema(std::string_view owner, int version, const char* sql,
                      const std::function<Status(int from)>& upgrade = nullptr);
    // Statements belong to the database, and go before it.
    Result<Statement> prepare(std::string_view sql);
    Status execute(const char* sql);  // several statements; their rows are dropped
    // Everything that `work` does happens, or nothing does: it is undone where it returns an error. Not
    // nested.
    Status write(const std::function<Status()>& work);

    const std::string& path() const { return path_; }

  private:
    Database(std::string path, sqlite3* connection) : path_(std::move(path)), connection_(connection) {}
    Status prepare_file();
    Result<int> user_version();

    std::string path_;
    sqlite3* connection_;
};

// Where the database of a state directory is.
std::string database_path(const std::string& state_directory);

}  // namespace callgate
