// Pinned definitions: in the table, on the disk, and in one session.
#include "policy/pins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "../session/temp_tree.h"
#include "base/limits.h"
#include "policy/session_pins.h"
#include "session/identity.h"
#include "store/database.h"

namespace callgate {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kNow = 1'700'000'000'000'000'000;

PinTable::Seen seen(std::string tool, std::string_view definition) { return {std::move(tool), definition_of(definition)}; }

class Pins : public ::testing::Test {
  protected:
    // Names of what is new ("+x") or has changed ("!x").
    std::vector<std::string> observe(const std::string& tool, std::string_view definition, int64_t now_ns = kNow) {
        std::vector<PinTable::News> news;
        const PinTable::Seen list[] = {seen(tool, definition)};
        table_.observe("p", "s", list, now_ns, news);
        std::vector<std::string> names;
        for (const PinTable::News& each : news) names.push_back((each.what == PinTable::What::added ? "+" : "!") + each.key.tool);
        return names;
    }
    bool is_changed(const std::string& tool, const PinTable& table) {
        const Pin* pin = table.find({"p", "s", tool});
        return pin != nullptr && pin->changed.has_value();
    }
    PinTable table_;
};

TEST_F(Pins, FirstSightPinsAndChangesAreNoticedOnce) {
    EXPECT_THAT(observe("x", R"({"a":1})"), ElementsAre("+x"));
    EXPECT_THAT(observe("x", R"({ "a" : 1.0 })"), ElementsAre());  // says the same
    EXPECT_THAT(observe("x", R"({"a":2})"), ElementsAre("!x"));
    EXPECT_THAT(observe("x", R"({"a":2})"), ElementsAre());
    EXPECT_TRUE(is_changed("x", table_));
    EXPECT_THAT(observe("x", R"({"a":3})"), ElementsAre("!x"));
    EXPECT_THAT(observe("x", R"({"a":1})"), ElementsAre());
    EXPECT_FALSE(is_changed("x", table_));
    EXPECT_EQ(table_.changed(), 0u);
}

// What puts it in order costs memory.
TEST_F(Pins, AVeryLongDefinitionIsComparedAsItIsWritten) {
    const auto definition = [](size_t bytes, std::string_view a, std::string_view b) {
        return "{" + std::string(a) + "," + std::string(b) + R"(,"c":")" + std::string(bytes, 'x') + "\"}";
    };
    for (const size_t bytes : {kPinOrderedBytesMax - 100, kPinOrderedBytesMax}) {
        const Definition one = definition_of(definition(bytes, R"("a":1)", R"("b":2)"));
        const Definition other = definition_of(definition(bytes, R"("b":2)", R"("a":1)"));
        EXPECT_EQ(one.hash == other.hash, bytes < kPinOrderedBytesMax);
        EXPECT_EQ(one.bytes, other.bytes);
    }
}

TEST_F(Pins, OnlyWhatWasShownIsAccepted) {
    observe("x", "{}");
    observe("x", R"({"a":1})");
    const DefinitionHash shown = table_.find({"p", "s", "x"})->changed->hash;
    observe("x", R"({"a":2})");
    EXPECT_FALSE(table_.accept({"p", "s", "x"}, shown, kNow));
    EXPECT_TRUE(table_.accept({"p", "s", "x"}, table_.find({"p", "s", "x"})->changed->hash, kNow));
    EXPECT_FALSE(is_changed("x", table_));
    EXPECT_FALSE(table_.accept({"p", "s", "x"}, shown, kNow));
    EXPECT_THAT(observe("x", "{}"), ElementsAre("!x"));
}

TEST_F(Pins, LongDefinitionsAreHashedWholeAndKeptInPart) {
    const std::string begin = "{\"a\":\"" + std::string(kPinTextBytesMax, 'x');
    observe("x", begin + "1\"}");
    EXPECT_EQ(table_.find({"p", "s", "x"})->accepted.text.size(), kPinTextBytesMax);
    EXPECT_EQ(table_.find({"p", "s", "x"})->accepted.bytes, kPinTextBytesMax + 9);
    EXPECT_THAT(observe("x", begin + "2\"}"), ElementsAre("!x"));
}

// A definition that fills as much as is kept of one.
std::string long_definition(size_t number) {
    return "{\"n\":\"" + std::to_string(number) + std::string(kPinTextBytesMax, 'x') + "\"}";
}

TEST_F(Pins, OneServerLeavesRoomForOthers) {
    const size_t fit = kPinBytesPerServerMax / (kPinTextBytesMax + kPinOverheadBytes);
    for (size_t i = 0; i < fit + 3; ++i) observe("t" + std::to_string(i), long_definition(i));
    EXPECT_LE(table_.bytes(), kPinBytesPerServerMax);
    EXPECT_EQ(table_.pins().size(), fit);
    EXPECT_EQ(table_.no_room(), "p, s: of one server are as many bytes pinned as may be");
    std::vector<PinTable::News> news;
    const PinTable::Seen other[] = {seen("t", long_definition(0))};
    table_.observe("p", "another", other, kNow, news);
    EXPECT_EQ(news.size(), 1u);
    // That a tool has changed is known all the same; nothing is left to show.
    EXPECT_THAT(observe("t0", long_definition(9)), ElementsAre("!t0"));
    EXPECT_EQ(table_.find({"p", "s", "t0"})->changed->text, "");
    EXPECT_GT(table_.find({"p", "s", "t0"})->changed->bytes, kPinTextBytesMax);
    EXPECT_TRUE(table_.reset({"p", "s", "t1"}, kNow));
    EXPECT_EQ(table_.no_room(), "");
    EXPECT_THAT(observe("again", long_definition(1)), ElementsAre("+again"));
}

TEST_F(Pins, AllServersTogetherAreBounded) {
    for (size_t server = 0; table_.no_room().empty(); ++server) {
        ASSERT_LT(server, 2 * kPinBytesMax / kPinBytesPerServerMax);
        for (size_t i = 0; i < 100; ++i) {
            std::vector<PinTable::News> news;
            const PinTable::Seen list[] = {seen("t" + std::to_string(i), long_definition(i))};
            table_.observe("p", "s" + std::to_string(server), list, kNow, news);
        }
    }
    EXPECT_THAT(table_.no_room(), ::testing::EndsWith(": in all are as many bytes pinned as may be"));
    EXPECT_LE(table_.bytes(), kPinBytesMax);
    const PinTable::Pins all = table_.pins();
    for (const auto& [key, pin] : all) table_.reset(key, kNow);
    EXPECT_EQ(table_.bytes(), 0u);
}

TEST_F(Pins, BytesAreCountedThroughEveryChange) {
    const auto counted = [&] {
        size_t bytes = 0;
        for (const auto& [key, pin] : table_.pins()) {
            bytes += kPinOverheadBytes + key.policy.size() + key.server.size() + key.tool.size() + pin.accepted.text.size() +
                     (pin.changed ? pin.changed->text.size() : 0);
        }
        return bytes;
    };
    for (int step = 0; step < 60; ++step) {
        const std::string tool(1, static_cast<char>('a' + step % 4));
        observe(tool, "{\"a\":\"" + std::string(static_cast<size_t>(step * 7 % 5) * 10, 'x') + "\"}");
        const Pin* pin = table_.find({"p", "s", tool});
        if (step % 7 == 0 && pin->changed) table_.accept({"p", "s", tool}, pin->changed->hash, kNow);
        if (step % 11 == 0) table_.reset({"p", "s", tool}, kNow);
        ASSERT_EQ(table_.bytes(), counted()) << step;
    }
}

class KeptPins : public Pins {
  protected:
    KeptPins() { open(); }
    // As a killed agent leaves it: the database is opened anew, and nothing is written at the end.
    void open() {
        database_.reset();
        auto opened = Database::open(tree_.path("/state.db"));
        ASSERT_TRUE(opened.ok()) << opened.error().text();
        database_ = std::move(opened).value();
    }
    void keep(PinTable& table) {
        const Status kept = table.keep_in(*database_);
        ASSERT_TRUE(kept.ok()) << kept.error().text();
    }
    TempTree tree_;
    std::unique_ptr<Database> database_;
};

TEST_F(KeptPins, AreThereAgain) {
    {
        PinTable table;
        keep(table);
        std::vector<PinTable::News> news;
        const PinTable::Seen list[] = {seen("x", "{}"), seen("y", "{}"), seen("z\n\"", "{}")};
        table.observe("p", "s", list, kNow, news);
        const PinTable::Seen next[] = {seen("x", R"({"a":1})")};
        table.observe("p", "s", next, kNow + 1, news);
        EXPECT_TRUE(table.reset({"p", "s", "y"}, kNow));
        EXPECT_EQ(table.problem(), "");
    }
    PinTable again;
    keep(again);
    ASSERT_EQ(again.pins().size(), 2u);
    EXPECT_TRUE(is_changed("x", again));
    EXPECT_EQ(again.find({"p", "s", "x"})->changed->text, R"({"a":1})");
    EXPECT_EQ(again.find({"p", "s", "x"})->accepted.text, "{}");
    EXPECT_FALSE(is_changed("z\n\"", again));
    EXPECT_EQ(again.find({"p", "s", "x"})->changed->bytes, 7u);
    EXPECT_EQ(again.bytes(), 2 * (kPinOverheadBytes + 2) + 1 + 3 + 2 + 7 + 2);
}

TEST_F(KeptPins, AnOlderTableIsTakenOver) {
    ASSERT_TRUE(
        database_
            ->execute(
                "CREATE TABLE pins (policy TEXT, server TEXT, tool TEXT, hash BLOB NOT NULL, text TEXT NOT NULL, since INTEGER NOT"
                " NULL, changed_hash BLOB NOT NULL, changed_text TEXT NOT NULL, changed_since INTEGER NOT NULL,"
                " PRIMARY KEY (policy, server, tool)) STRICT, WITHOUT ROWID;"
                "INSERT INTO pins VALUES ('p', 's', 'x', zeroblob(32), '{\"a\":\"ä\"}', 5, x'', '', 0);"
                "INSERT INTO owners VALUES ('pins', 1)")
            .ok());
    PinTable table;
    keep(table);
    const Pin* pin = table.find({"p", "s", "x"});
    ASSERT_NE(pin, nullptr);
    EXPECT_EQ(pin->accepted.bytes, 10u);
    EXPECT_EQ(pin->accepted.since_ns, 5);
    EXPECT_FALSE(pin->changed);
    EXPECT_EQ(table.bytes(), kPinOverheadBytes + 3 + 10);
}

TEST_F(KeptPins, AreOnTheDiskBeforeAnybodyCanForgetThem) {
    auto table = std::make_unique<PinTable>();
    keep(*table);
    std::vector<PinTable::News> news;
    const PinTable::Seen good[] = {seen("x", "{}")}, bad[] = {seen("x", R"({"a":1})")}, worse[] = {seen("x", R"({"a":2})")};
    const auto on_disk = [&] {
        auto prepared = database_->prepare("SELECT changed_text FROM pins");
        Statement ask = std::move(prepared).value();
        std::string text = "none";
        EXPECT_TRUE(ask.each([&](const Row& row) { text = row.text(0); }).ok());
        return text;
    };
    table->observe("p", "s", good, kNow, news);
    EXPECT_EQ(on_disk(), "");
    table->observe("p", "s", bad, kNow + 1, news);
    EXPECT_EQ(on_disk(), R"({"a":1})");
    // A server that changes with every list does not keep the disk busy, and what is on it stays on the safe side.
    table->observe("p", "s", worse, kNow + 2, news);
    EXPECT_EQ(on_disk(), R"({"a":1})");
    table->observe("p", "s", good, kNow + 3, news);
    EXPECT_EQ(on_disk(), R"({"a":1})");
    table->observe("p", "s", worse, kNow + 2 + kPinWriteNanoseconds, news);
    EXPECT_EQ(on_disk(), R"({"a":2})");
    table->observe("p", "s", good, kNow + 3 + kPinWriteNanoseconds, news);
    table.reset();  // the rest is written at the end
    EXPECT_EQ(on_disk(), "");
}

// No file of this process grows as long as it lives: as on a full disk.
class FullDisk {
  public:
    FullDisk() {
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit none{0, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &none);
    }
    ~FullDisk() {
        setrlimit(RLIMIT_FSIZE, &before_);
        signal(SIGXFSZ, SIG_DFL);
    }

  private:
    rlimit before_;
};

// What an agent would find that came after a kill.
class UnwrittenPins : public KeptPins {
  protected:
    UnwrittenPins() { keep(kept_); }
    ~UnwrittenPins() override { EXPECT_EQ(kept_.problem(), ""); }
    // "x={…}", or of one that has changed "x={…}!{…}".
    std::vector<std::string> on_disk() {
        auto prepared = database_->prepare("SELECT tool, text, changed_text FROM pins ORDER BY tool");
        Statement ask = std::move(prepared).value();
        std::vector<std::string> all;
        const Status done = ask.each([&](const Row& row) {
            const std::string changed(row.text(2));
            all.push_back(std::string(row.text(0)) + "=" + std::string(row.text(1)) + (changed.empty() ? "" : "!" + changed));
        });
        EXPECT_TRUE(done.ok());
        return all;
    }
    void observe_on_full_disk(const std::string& tool, std::string_view definition, int64_t now_ns = kNow) {
        const FullDisk full;
        observe(tool, definition, now_ns);
    }
    void observe(const std::string& tool, std::string_view definition, int64_t now_ns = kNow) {
        std::vector<PinTable::News> news;
        const PinTable::Seen list[] = {seen(tool, definition)};
        kept_.observe("p", "s", list, now_ns, news);
    }
    void execute(const char* sql) { ASSERT_TRUE(database_->execute(sql).ok()); }
    static constexpr int64_t kLater = kNow + kPinWriteNanoseconds;
    PinTable kept_;
};

TEST_F(UnwrittenPins, AFirstSightIsWrittenOnceThereIsRoom) {
    observe_on_full_disk("x", "{}");
    EXPECT_NE(kept_.problem(), "");
    EXPECT_THAT(on_disk(), ElementsAre());
    observe("x", "{}", kLater);
    EXPECT_THAT(on_disk(), ElementsAre("x={}"));
}

TEST_F(UnwrittenPins, AChangeIsWrittenOnceThereIsRoom) {
    observe("x", "{}");
    observe_on_full_disk("x", R"({"a":1})", kNow + 1);
    EXPECT_NE(kept_.problem(), "");
    observe("x", R"({"a":1})", kLater + 1);
    EXPECT_THAT(on_disk(), ElementsAre(R"(x={}!{"a":1})"));
}

TEST_F(UnwrittenPins, WhatIsWrittenFirstTakesTheRestWithIt) {
    observe_on_full_disk("x", "{}");
    observe_on_full_disk("y", "{}");
    observe("z", "{}", kLater);
    EXPECT_THAT(on_disk(), ElementsAre("x={}", "y={}", "z={}"));
}

TEST_F(UnwrittenPins, AStatementThatFailsIsAsBadAsADiskThatIsFull) {
    execute("CREATE TEMP TRIGGER full BEFORE INSERT ON pins WHEN new.tool = 'x' BEGIN SELECT RAISE(ABORT, 'no'); END");
    observe("x", "{}");
    EXPECT_NE(kept_.problem(), "");
    observe("y", "{}", kLater);  // all or nothing, so that what is said of it is said of all
    EXPECT_NE(kept_.problem(), "");
    EXPECT_THAT(on_disk(), ElementsAre());
    execute("DROP TRIGGER full");
    observe("y", "{}", kLater + kPinWriteNanoseconds);
    EXPECT_THAT(on_disk(), ElementsAre("x={}", "y={}"));
}

TEST_F(UnwrittenPins, WhatAHumanHasSaidIsWrittenTooOnceThereIsRoom) {
    observe("x", "{}");
    observe("y", "{}");
    observe("x", R"({"a":1})", kNow + 1);
    {
        const FullDisk full;
        EXPECT_TRUE(kept_.accept({"p", "s", "x"}, kept_.find({"p", "s", "x"})->changed->hash, kNow + 2));
        EXPECT_TRUE(kept_.reset({"p", "s", "y"}, kNow + 3));
    }
    EXPECT_THAT(on_disk(), ElementsAre(R"(x={}!{"a":1})", "y={}"));
    observe("z", "{}", kLater + 3);
    EXPECT_THAT(on_disk(), ElementsAre(R"(x={"a":1})", "z={}"));
}

TEST(PinServerKey, ByPackageElseByProgram) {
    ServerIdentity server;
    server.process.exe = "/opt/notes";
    EXPECT_EQ(pin_server_key(server), "exe:/opt/notes");
    server.package = {"npm", "@acme/notes", "1.0.0", ""};
    EXPECT_EQ(pin_server_key(server), "npm:@acme/notes");
}

class OneSession : public ::testing::Test {
  protected:
    static std::string list(const std::string& tools) { return R"({"jsonrpc":"2.0","id":1,"result":{"tools":[)" + tools + "]}}"; }
    static std::string x(const std::string& description) { return R"({"name":"x","description":")" + description + "\"}"; }
    bool show(SessionPins& session, const std::string& tools) {
        return session.observe(
            "p", list(tools), [](std::string_view tool) { return tool != "free"; }, news_);
    }
    bool is_changed(const SessionPins& session, std::string_view tool = "x") { return session.is_changed("p", tool); }
    PinTable table_;
    SessionPins one_{table_, "s"}, two_{table_, "s"};
    std::vector<PinTable::News> news_;
};

TEST_F(OneSession, BeforeAListIsJudgedByTheLastOfAnySession) {
    EXPECT_FALSE(is_changed(one_));
    show(one_, x("a"));
    EXPECT_FALSE(is_changed(two_));
    show(one_, x("b"));
    EXPECT_TRUE(is_changed(one_));
    EXPECT_TRUE(is_changed(two_));
    show(two_, x("a"));
    EXPECT_FALSE(is_changed(two_));
    EXPECT_TRUE(is_changed(one_));  // it was shown the change
    show(one_, x("a"));
    EXPECT_TRUE(is_changed(one_));
}

TEST_F(OneSession, AcceptedIsWhatTheSessionWasShown) {
    show(one_, x("a"));
    show(one_, x("b"));
    ASSERT_TRUE(table_.accept({"p", "s", "x"}, table_.find({"p", "s", "x"})->changed->hash, kNow));
    EXPECT_FALSE(is_changed(one_));
    show(one_, x("a"));
    EXPECT_TRUE(is_changed(one_));
}

TEST_F(OneSession, ResetMakesTheNextListTheFirst) {
    show(one_, x("a"));
    show(one_, x("b"));
    table_.reset({"p", "s", "x"}, kNow);
    EXPECT_FALSE(is_changed(one_));
    show(one_, x("b"));
    EXPECT_FALSE(is_changed(one_));
    show(one_, x("a"));
    EXPECT_TRUE(is_changed(one_));
}

TEST_F(OneSession, WhatDoesNotFitIsToldOnceAndCountsAsChanged) {
    std::string tools;
    for (size_t i = 0; i < 140; ++i) {
        if (!tools.empty()) tools += ",";
        tools += R"({"name":"t)" + std::to_string(i) + R"(","d":")" + std::string(kPinTextBytesMax, 'x') + "\"}";
    }
    show(one_, tools);
    const auto refused = std::count_if(news_.begin(), news_.end(),
                                       [](const PinTable::News& each) { return each.what == PinTable::What::no_room; });
    EXPECT_GT(refused, 0);
    EXPECT_EQ(static_cast<size_t>(refused) + table_.pins().size(), 140u);
    EXPECT_FALSE(is_changed(one_, "t0"));
    EXPECT_TRUE(is_changed(one_, "t139"));
    news_.clear();
    show(one_, tools);
    EXPECT_TRUE(news_.empty());
}

// A server may think of a new name for each list: what does not fit is no reason to remember more, nor to allow it.
TEST_F(OneSession, WhatItRemembersIsBounded) {
    show(one_, x("a"));
    for (size_t list = 0; list < 10; ++list) {
        std::string tools;
        for (size_t i = 0; i < 2000; ++i) {
            if (!tools.empty()) tools += ",";
            const std::string number = std::to_string(list * 2000 + i);
            tools += R"({"name":")" + std::string(kNameBytesMax - number.size(), 'n') + number + "\"}";
        }
        show(one_, tools);
    }
    size_t bytes = 0;
    for (const auto& [tool, hash] : one_.save().seen) bytes += tool.size() + kPinOverheadBytes;
    EXPECT_LE(bytes, kPinBytesPerServerMax);
    EXPECT_FALSE(is_changed(one_));
    EXPECT_TRUE(is_changed(one_, std::string(kNameBytesMax - 5, 'n') + "19999"));
    SessionPins again(table_, "s");
    again.restore(one_.save());
    EXPECT_FALSE(is_changed(again));
    EXPECT_TRUE(is_changed(again, std::string(kNameBytesMax - 5, 'n') + "19999"));
}

TEST_F(OneSession, ANameTwiceIsNeitherOfTheTwo) {
    show(one_, x("a"));
    show(one_, x("a") + "," + x("b"));
    EXPECT_TRUE(is_changed(one_));
    show(two_, x("b") + "," + x("a"));
    EXPECT_TRUE(is_changed(two_));
    SessionPins three(table_, "s");
    show(three, x("a") + "," + x("a"));
    EXPECT_FALSE(is_changed(three));
}

TEST_F(OneSession, WhatIsNotPinnedIsNotLookedAt) {
    show(one_, R"({"name":"free","a":1})");
    show(one_, R"({"name":"free","a":2})");
    EXPECT_TRUE(table_.pins().empty());
}

TEST_F(OneSession, WhatIsNoListSaysSo) {
    EXPECT_TRUE(show(one_, ""));
    EXPECT_FALSE(show(one_, "7"));
    const auto pins = [](std::string_view) { return true; };
    EXPECT_FALSE(one_.observe("p", R"({"jsonrpc":"2.0","id":1,"result":{}})", pins, news_));
    EXPECT_TRUE(one_.note_unreadable());
    EXPECT_FALSE(one_.note_unreadable());
    EXPECT_TRUE(is_changed(one_, "anything"));
    EXPECT_FALSE(is_changed(two_, "anything"));
}

TEST_F(OneSession, OfNothing) {
    SessionPins none;
    EXPECT_TRUE(none.observe(
        "p", list(x("a")), [](std::string_view) { return true; }, news_));
    EXPECT_FALSE(none.is_changed("p", "x"));
    EXPECT_FALSE(none.note_unreadable());
}

}  // namespace
}  // namespace callgate
