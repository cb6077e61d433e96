// What outlives the agent: all or nothing, owners beside each other, and every way in which the file can be
// unusable.
#include "store/database.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr char kThings[] = "CREATE TABLE things (name TEXT PRIMARY KEY, number INTEGER NOT NULL, bytes BLOB) STRICT";

class DatabaseTest : public ::testing::Test {
  protected:
    std::unique_ptr<Database> open() {
        auto opened = Database::open(path);
        if (opened) return std::move(*opened);
        error = opened.error().text();
        return nullptr;
    }
    std::unique_ptr<Database> with_things() {
        auto database = open();
        if (!database) return nullptr;
        EXPECT_TRUE(database->use_schema("things", 1, kThings).ok());
        return database;
    }
    static std::string names(Database& database) {
        std::string out;
        Statement all = std::move(database.prepare("SELECT name, number FROM things ORDER BY name")).value();
        EXPECT_TRUE(
            all.each([&](const Row& row) { out += std::string(row.text(0)) + "=" + std::to_string(row.integer(1)) + " "; }).ok());
        return out;
    }
    static Status add(Database& database, std::string_view name, int64_t number) {
        Statement insert = TRY(database.prepare("INSERT INTO things VALUES (?1, ?2, ?3)"));
        return insert.run(name, number, Blob{std::string_view("\0x", 2)});
    }

    TempTree tree;
    std::string path = tree.path("/state.db"), error;
};

TEST_F(DatabaseTest, KeepsValuesAsTheyWere) {
    {
        auto database = with_things();
        ASSERT_TRUE(add(*database, std::string_view("a\0'b", 4), INT64_MIN).ok());
        ASSERT_TRUE(add(*database, "", 0).ok());
    }
    auto database = with_things();
    ASSERT_TRUE(database) << error;
    Statement find = std::move(database->prepare("SELECT number, bytes FROM things WHERE name = ?1")).value();
    int64_t number = 0;
    std::string bytes;
    ASSERT_TRUE(
        find.each([&](const Row& row) { number = row.integer(0), bytes = row.blob(1); }, std::string_view("a\0'b", 4)).ok());
    EXPECT_EQ(number, INT64_MIN);
    EXPECT_EQ(bytes, std::string("\0x", 2));
}

TEST_F(DatabaseTest, IsForItsOwnerOnly) {
    auto database = with_things();
    ASSERT_TRUE(database && add(*database, "a", 1).ok());
    for (const char* suffix : {"", "-wal"}) {
        struct stat status;
        ASSERT_EQ(::stat((path + suffix).c_str(), &status), 0) << suffix;
        EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
    }
}

TEST_F(DatabaseTest, AWriteIsAllOrNothing) {
    auto database = with_things();
    const Status failed = database->write([&]() -> Status {
        TRY_VOID(add(*database, "a", 1));
        return add(*database, "a", 2);
    });
    EXPECT_FALSE(failed.ok());
    EXPECT_EQ(names(*database), "");
    EXPECT_TRUE(database->write([&]() -> Status { return add(*database, "a", 3); }).ok());
    EXPECT_EQ(names(*database), "a=3 ");
}

TEST_F(DatabaseTest, StatementsAreUsedAgainAndSayWhatChanged) {
    auto database = with_things();
    ASSERT_TRUE(add(*database, "a", 1).ok() && add(*database, "b", 1).ok());
    Statement update = std::move(database->prepare("UPDATE things SET number = number + 1 WHERE name = ?1")).value();
    EXPECT_TRUE(update.run("a").ok());
    EXPECT_EQ(update.changed(), 1);
    EXPECT_TRUE(update.run("nobody").ok());
    EXPECT_EQ(update.changed(), 0);
    EXPECT_EQ(names(*database), "a=2 b=1 ");
    EXPECT_FALSE(update.run().ok());  // a value is missing: NULL would be something else
    EXPECT_FALSE(database->prepare("SELECT nothing FROM nowhere").ok());
}

// kill -9 after each return, in the middle of nothing: what was done is there.
TEST_F(DatabaseTest, WhatWasDoneSurvivesAKill) {
    const pid_t child = fork();
    if (child == 0) {
        auto database = Database::open(path);
        if (!database || !(*database)->use_schema("things", 1, kThings).ok()) _exit(1);
        if (!add(**database, "done", 1).ok() || !(*database)->execute("BEGIN IMMEDIATE").ok()) _exit(1);
        if (!add(**database, "undone", 1).ok()) _exit(1);
        raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    auto database = with_things();
    ASSERT_TRUE(database) << error;
    EXPECT_EQ(names(*database), "done=1 ");
}

TEST_F(DatabaseTest, OwnersAreVersionedApart) {
    auto database = with_things();
    ASSERT_TRUE(add(*database, "a", 1).ok());
    EXPECT_TRUE(
        database->use_schema("others", 7, "CREATE TABLE others (x INTEGER) STRICT; CREATE INDEX by_x ON others (x)").ok());
    EXPECT_TRUE(database->use_schema("things", 1, kThings).ok());
    int from = 0;
    const auto upgrade = [&](int found) -> Status {
        from = found;
        return database->execute("UPDATE things SET number = 9");
    };
    EXPECT_TRUE(database->use_schema("things", 2, kThings, upgrade).ok());
    EXPECT_EQ(from, 1);
    EXPECT_EQ(names(*database), "a=9 ");
    EXPECT_THAT(database->use_schema("things", 1, kThings).error().text(), HasSubstr("newer version of callgate"));
    EXPECT_THAT(database->use_schema("things", 3, kThings).error().text(), HasSubstr("older version"));
    EXPECT_FALSE(database->use_schema("bad", 1, "CREATE TABLE").ok());
}

TEST_F(DatabaseTest, ANewerFileIsRefused) {
    ASSERT_TRUE(with_things()->execute("PRAGMA user_version = 2").ok());
    EXPECT_FALSE(open());
    EXPECT_THAT(error, HasSubstr(path));
    EXPECT_THAT(error, HasSubstr("newer version of callgate; start that, or move the file away"));
}

TEST_F(DatabaseTest, ADamagedFileIsRefusedAndLeft) {
    tree.file("/state.db", std::string(8192, 'x'));
    chmod(path.c_str(), 0600);
    EXPECT_FALSE(open());
    EXPECT_THAT(error, HasSubstr("is damaged"));
    struct stat status;
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_size, 8192);
}

TEST_F(DatabaseTest, ADamagedPageIsFoundAtTheStart) {
    {
        auto database = with_things();
        const Status filled = database->write([&]() -> Status {
            for (int i = 0; i < 2000; ++i) TRY_VOID(add(*database, "name " + std::to_string(i), i));
            return {};
        });
        ASSERT_TRUE(filled.ok());
    }
    const int fd = ::open(path.c_str(), O_RDWR);
    ASSERT_GT(lseek(fd, 0, SEEK_END), 3 * 4096);
    const std::string rubbish(4096, '\x5a');
    ASSERT_EQ(pwrite(fd, rubbish.data(), rubbish.size(), 3 * 4096), 4096);
    ::close(fd);
    EXPECT_FALSE(open());
    EXPECT_THAT(error, HasSubstr("is damaged"));
}

TEST_F(DatabaseTest, ASecondAgentIsRefused) {
    auto first = with_things();
    EXPECT_FALSE(open());
    EXPECT_THAT(error, HasSubstr("in use by another process"));
    first.reset();
    EXPECT_TRUE(open()) << error;
}

TEST_F(DatabaseTest, OthersMustNotReadIt) {
    { auto database = with_things(); }
    chmod(path.c_str(), 0640);
    EXPECT_FALSE(open());
    EXPECT_THAT(error, HasSubstr("chmod 0600"));
}

TEST_F(DatabaseTest, ALinkADirectoryAndNoDirectoryAreRefused) {
    tree.link("/state.db", "/nowhere");
    EXPECT_FALSE(open());
    EXPECT_THAT(error, HasSubstr("symbolic link"));
    path = tree.path("/sub");
    tree.directory("/sub");
    EXPECT_FALSE(open());
    path = tree.path("/absent/state.db");
    EXPECT_FALSE(open());
    EXPECT_THAT(error, HasSubstr("No such file"));
}

TEST(DatabasePath, IsInTheStateDirectory) {
    EXPECT_EQ(database_path("/var/lib/callgate"), "/var/lib/callgate/state.db");
    EXPECT_EQ(database_path("/var/lib/callgate/"), "/var/lib/callgate/state.db");
}

}  // namespace
}  // namespace callgate
