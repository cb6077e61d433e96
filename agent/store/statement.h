// Statement: one prepared SQL statement. Values are bound by position, and never become part of the SQL.
//
//   Statement find = TRY(database.prepare("SELECT tool, hash FROM pins WHERE server = ?1"));
//   TRY_VOID(find.each([](const Row& row) { use(row.text(0), row.blob(1)); }, "session-forge"));
//   Statement remove = TRY(database.prepare("DELETE FROM pins WHERE tool = ?1"));
//   TRY_VOID(remove.run(tool));   remove.changed()  ->  rows that went
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace callgate {

// Bytes that are no text.
struct Blob {
    std::string_view bytes;
};

// One row of a result; its views last until the next row.
class Row {
  public:
    explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
    int64_t integer(int column) const;
    std::string_view text(int column) const;  // "" for NULL
    std::string_view blob(int column) const;

  private:
    sqlite3_stmt* statement_;
};

class Statement {
  public:
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&& other) noexcept;
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement();

    // With these values for ?1, ?2, …: every one of them, each time.
    template <typename... Values>
    Status run(const Values&... values) {
        return each(nullptr, values...);
    }
    template <typename... Values>
    Status each(const std::function<void(const Row&)>& use, const Values&... values) {
        int position = 0;
        Status bound;
        ((bound = bound ? bind(++position, values) : std::move(bound)), ...);
        return finish(std::move(bound), position, use);
    }
    // Rows that the last run() inserted, updated or deleted.
    int64_t changed() const { return changed_; }

  private:
    friend class Database;
    Statement(sqlite3* connection, sqlite3_stmt* statement, std::string path)
        : connection_(connection), statement_(statement), path_(std::move(path)) {}
    Status bind(int position, int64_t value);
    Status bind(int position, int value) { return bind(position, int64_t{value}); }
    Status bind(int position, std::string_view text);
    Status bind(int position, const std::string& text) { return bind(position, std::string_view(text)); }
    Status bind(int position, const char* text) { return bind(position, std::string_view(text)); }
    Status bind(int position, Blob blob);
    Status finish(Status bound, int count, const std::function<void(const Row&)>& use);

    sqlite3* connection_;
    sqlite3_stmt* statement_;
    std::string path_;
    int64_t changed_ = 0;
};

// What went wrong last, as an Error that says what to do; `connection` may be null.
Error database_error(const std::string& path, sqlite3* connection, int code);

}  // namespace callgate
