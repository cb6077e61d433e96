#include "audit/log.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "../../slowness.h"
#include "../session/temp_tree.h"

namespace callgate {
namespace {

using Json = nlohmann::json;

SessionFacts facts(const std::string& id = "s-1") {
    SessionFacts facts;
    facts.session_id = id;
    facts.transport = "stdio";
    facts.server.process.pid = 10;
    facts.server.process.exe = "/usr/bin/node";
    facts.server.command = "node server.js";
    facts.server.package = Package{"npm", "session-forge", "1.2.0", "/x"};
    facts.peer.process.pid = 9;
    facts.peer.process.user = "ana";
    facts.peer.process.exe = "/usr/bin/claude";
    facts.peer.parents = {Ancestor{8, "bash", "/bin/bash"}, Ancestor{1, "systemd", "/sbin/init"}};
    facts.grant = "uid:1000 exe:/usr/bin/claude";
    facts.policy = "forge";
    facts.policy_revision = "0123456789abcdef";
    facts.mode = "enforce";
    return facts;
}

// A log in a directory of its own; lines() ends it and reads what it wrote.
class LogTest : public ::testing::Test {
  protected:
    void SetUp() override { start(path()); }
    void start(const std::string& path, AuditArguments arguments = AuditArguments::hash) {
        Result<std::unique_ptr<AuditLog>> log = AuditLog::open(path, tree_.path("/secret"), arguments);
        ASSERT_TRUE(log.ok()) << log.error().text();
        log_ = std::move(log).value();
    }
    std::string path() const { return tree_.path("/audit.jsonl"); }
    std::vector<Json> lines() {
        log_.reset();
        return read(path());
    }
    static std::vector<Json> read(const std::string& path) {
        std::vector<Json> lines;
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) {
            lines.push_back(Json::parse(line, nullptr, false));
            EXPECT_FALSE(lines.back().is_discarded()) << line;
        }
        return lines;
    }
    void wait_until_written(uint64_t records) const {
        for (int i = 0; i < 5000 && log_->written() + log_->lost() < records; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    TempTree tree_;
    std::unique_ptr<AuditLog> log_;
};

Message call() {
    Message message;
    message.kind = MessageKind::request;
    message.id_token = "7";
    message.method = "tools/call";
    message.name = "echo";
    message.arguments = R"({"text":"secret value","n":1})";
    message.argument_keys = {"text", "n"};
    message.argument_keys_total = 2;
    return message;
}

MessageRecord record_of(const Message& message) {
    MessageRecord record;
    record.message = &message;
    record.bytes = 90;
    record.read_ns = 1'762'157'730'123'456'789;
    record.queue_ns = 1500;
    record.judge_ns = 700;
    return record;
}

TEST_F(LogTest, AnAllowedCall) {
    const Message message = call();
    Verdict verdict;
    verdict.charged.push_back(CounterUse{0, 1'762'157'700, 1, 3, 30, "echo_rate"});
    MessageRecord record = record_of(message);
    record.verdict = &verdict;
    const RecordId id = log_->message(log_->describe(facts()), record);
    const std::vector<Json> all = lines();
    ASSERT_EQ(all.size(), 1u);
    const Json& line = all[0];
    EXPECT_EQ(line["time"], "2025-11-03T08:15:30.123456789Z");
    EXPECT_EQ(line["id"], std::string(id.view()));
    EXPECT_EQ(line["type"], "message");
    EXPECT_EQ(line["session"], "s-1");
    EXPECT_EQ(line["direction"], "c2s");
    EXPECT_EQ(line["kind"], "request");
    EXPECT_EQ(line["method"], "tools/call");
    EXPECT_EQ(line["tool"], "echo");
    EXPECT_EQ(line["rpc_id"], 7);
    EXPECT_EQ(line["decision"], "allow");
    EXPECT_EQ(line["argument_keys"], (Json{"text", "n"}));
    EXPECT_EQ(line["arguments_hash"].get<std::string>().size(), 32u);
    EXPECT_EQ(line["counters"], Json::parse(R"([{"name":"echo_rate","count":3,"max":30,"window_start":1762157700}])"));
    EXPECT_EQ(line["bytes"], 90);
    EXPECT_EQ(line["server"]["package"], "session-forge");
    EXPECT_EQ(line["peer"]["parents"], (Json{"bash(8)", "systemd(1)"}));
    EXPECT_EQ(line["policy_revision"], "0123456789abcdef");
    EXPECT_FALSE(line.contains("rule") || line.contains("reason") || line.contains("latency_ns"));
    EXPECT_EQ(line.dump().find("secret value"), std::string::npos);
}

TEST_F(LogTest, ValuesOfArgumentsWhereTheyAreAskedFor) {
    log_.reset();
    start(path(), AuditArguments::full);
    const auto session = log_->describe(facts());
    Message message = call();
    // A DEL, a right-to-left override and line ends between tokens; numbers that no double holds.
    message.arguments = "{\"n\": 9007199254740993,\r\n\"x\":1.10e3, \"t\":\"a\x7f\xe2\x80\xae\\\"\\u001b\"}";
    log_->message(session, record_of(message));
    message.arguments = {};
    log_->message(session, record_of(message));
    const std::string longest = R"({"t":")" + std::string(kAuditValuesBytesMax - 8, 'x') + R"("})", longer = longest + " ";
    message.arguments = longest;
    log_->message(session, record_of(message));
    message.arguments = longer;
    log_->message(session, record_of(message));
    message.method = "resources/read";
    message.params = R"({"uri":"file:///x"})";
    log_->message(session, record_of(message));
    message.kind = MessageKind::invalid;
    log_->message(session, record_of(message));
    lines();
    std::ifstream file(path());
    std::vector<std::string> raw;
    for (std::string line; std::getline(file, line);) raw.push_back(line);
    ASSERT_EQ(raw.size(), 6u);
    EXPECT_NE(raw[0].find(R"("arguments":{"n": 9007199254740993,  "x":1.10e3, "t":"a\u007f\u202e\"\u001b"})"), std::string::npos)
        << raw[0];
    EXPECT_NE(raw[0].find(R"("arguments_hash":")"), std::string::npos);
    EXPECT_EQ(raw[1].find("\"arguments\""), std::string::npos);
    EXPECT_NE(raw[2].find("\"arguments\":" + longest), std::string::npos);
    EXPECT_NE(raw[3].find("\"values_too_long\":" + std::to_string(longer.size())), std::string::npos);
    EXPECT_EQ(raw[3].find("\"arguments\":"), std::string::npos);
    EXPECT_NE(raw[4].find(R"("params":{"uri":"file:///x"})"), std::string::npos) << raw[4];
    EXPECT_EQ(raw[4].find("\"arguments\":"), std::string::npos);
    EXPECT_EQ(raw[5].find("\"params\":"), std::string::npos) << "what was refused may be no JSON";
}

TEST_F(LogTest, WhoTheClientIsWhereAMessageSaysIt) {
    const auto session = log_->describe(facts());
    Message message = call();
    log_->message(session, record_of(message));
    message.has_client_info = true;
    message.client_name = "claude \x1b[2J";
    message.client_version = "2.1";
    log_->message(session, record_of(message));
    const std::vector<Json> all = lines();
    EXPECT_FALSE(all[0].contains("client_name"));
    EXPECT_EQ(all[1]["client_name"], "claude \x1b[2J");
    EXPECT_EQ(all[1]["client_version"], "2.1");
}

TEST_F(LogTest, BothEndsOfAConnection) {
    SessionFacts http = facts();
    http.transport = "http";
    http.listen = "127.0.0.1:3000";
    http.peer_address = "127.0.0.1:40112";
    log_->event("here", log_->describe(http), {});
    http.peer = {};
    http.peer_address = "192.0.2.7:5";
    log_->event("elsewhere", log_->describe(http), {});
    const std::vector<Json> all = lines();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0]["transport"], "http");
    EXPECT_EQ(all[0]["server"]["listen"], "127.0.0.1:3000");
    EXPECT_EQ(all[0]["peer"]["address"], "127.0.0.1:40112");
    EXPECT_EQ(all[0]["peer"]["pid"], 9);
    EXPECT_EQ(all[1]["peer"], (Json{{"address", "192.0.2.7:5"}}));
}

TEST_F(LogTest, DeniedRefusedAndAnswered) {
    const auto session = log_->describe(facts());
    const Message message = call();
    Verdict verdict;
    verdict.action = Action::deny;
    verdict.code = -31429;
    verdict.rule = "/tools/echo/limits/echo_rate";
    verdict.reason = "at most 30 a minute";
    verdict.retry_after_ms = 12000;
    verdict.approval.text = {'k', '3', 'f', '9', 'x', '0', 'w', 'q', '2', 'm'};
    MessageRecord denied = record_of(message);
    denied.decision = Decision::denied;
    denied.verdict = &verdict;
    const RecordId id = log_->message(session, denied);

    Message broken;
    broken.refusal = Refusal::duplicate_key;
    broken.refusal_offset = 17;
    MessageRecord refused = record_of(broken);
    refused.decision = Decision::refused;
    log_->message(session, refused);

    Message answer;
    answer.kind = MessageKind::response;
    answer.id_token = "\"a\u202e\"";
    answer.is_error = true;
    answer.error_code = -32602;
    MessageRecord answered = record_of(answer);
    answered.direction = Direction::server_to_client;
    answered.decision = Decision::passed;
    answered.request_record_id = id.view();
    answered.request_method = "tools/call";
    answered.request_tool = "echo";
    answered.latency_ns = 5000;
    log_->message(session, answered);

    const std::vector<Json> all = lines();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0]["decision"], "deny");
    EXPECT_EQ(all[0]["rule"], "/tools/echo/limits/echo_rate");
    EXPECT_EQ(all[0]["code"], -31429);
    EXPECT_EQ(all[0]["retry_after_ms"], 12000);
    EXPECT_EQ(all[0]["approval"], "k3f9x0wq2m");
    EXPECT_EQ(all[1]["decision"], "refuse");
    EXPECT_EQ(all[1]["kind"], "invalid");
    EXPECT_EQ(all[1]["refusal"], std::string(name(Refusal::duplicate_key)));
    EXPECT_EQ(all[1]["refusal_offset"], 17);
    EXPECT_EQ(all[1]["code"], json_rpc_code(Refusal::duplicate_key));
    EXPECT_EQ(all[2]["direction"], "s2c");
    EXPECT_EQ(all[2]["answers"], all[0]["id"]);
    EXPECT_EQ(all[2]["method"], "tools/call");
    EXPECT_EQ(all[2]["tool"], "echo");
    EXPECT_EQ(all[2]["outcome"], "error");
    EXPECT_EQ(all[2]["error_code"], -32602);
    EXPECT_EQ(all[2]["latency_ns"], 5000);
    EXPECT_EQ(all[2]["rpc_id"], "a\u202e");
}

TEST_F(LogTest, HostileStringsStayOneSafeLine) {
    SessionFacts hostile = facts("\x1b]0;owned\x07\n\u202e");
    hostile.server.command = std::string(100000, '\xff');
    hostile.peer.parents = {Ancestor{2, "a\"),\n\"(", ""}};
    Message message = call();
    const std::string name = "tool\r\n{\"type\":\"message\"}\u2028\x7f";
    message.name = name;
    message.argument_keys.assign(kAuditKeysMax, "k\xff\"\\");
    message.argument_keys_total = 40;
    const std::string uri(100000, '\n');
    message.uri = uri;
    log_->message(log_->describe(hostile), record_of(message));
    log_->event("session_end", log_->describe(hostile), {{"reason\n", "\"raw \u009b\""}});
    log_.reset();

    std::ifstream file(path());
    int count = 0;
    for (std::string line; std::getline(file, line); ++count) {
        EXPECT_TRUE(Json::accept(line)) << line;
        for (char c : line) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
        EXPECT_EQ(line.find("\u202e"), std::string::npos);
        EXPECT_EQ(line.find("\u009b"), std::string::npos);
    }
    EXPECT_EQ(count, 2);
    EXPECT_EQ(read(path())[0]["argument_keys_total"], 40);
    EXPECT_EQ(read(path())[0]["tool"], name);
}

TEST_F(LogTest, EventsKeepTheirPlaceAmongMessages) {
    const auto session = log_->describe(facts());
    const Message message = call();
    log_->event("agent_start", nullptr, {{"version", "\"1\""}, {"pid", "7"}});
    for (int i = 0; i < 100; ++i) {
        log_->message(session, record_of(message));
        log_->event("mark", session, {{"n", std::to_string(i)}});
    }
    const std::vector<Json> all = lines();
    ASSERT_EQ(all.size(), 201u);
    EXPECT_EQ(all[0]["type"], "agent_start");
    EXPECT_EQ(all[0]["pid"], 7);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(all[static_cast<size_t>(1 + 2 * i)]["type"], "message");
        EXPECT_EQ(all[static_cast<size_t>(2 + 2 * i)]["n"], i);
        EXPECT_EQ(all[static_cast<size_t>(2 + 2 * i)]["session"], "s-1");
    }
}

TEST_F(LogTest, OverflowIsCountedAndTold) {
    const auto session = log_->describe(facts());
    Message message = call();
    const std::string key(kAuditKeyBytesMax, 'k');
    message.argument_keys.assign(kAuditKeysMax, key);
    constexpr uint64_t kRecords = 20000;
    auto slowest = std::chrono::steady_clock::duration::zero();
    for (uint64_t i = 0; i < kRecords; ++i) {
        const std::string id = std::to_string(i);
        message.id_token = id;
        const auto begin = std::chrono::steady_clock::now();
        log_->message(session, record_of(message));
        slowest = std::max(slowest, std::chrono::steady_clock::now() - begin);
    }
    EXPECT_LT(slowest, std::chrono::seconds(1 * kSlowness));
    const uint64_t lost_before_end = log_->lost();
    EXPECT_GT(lost_before_end, 0u);
    uint64_t next = 0, messages = 0, missing = 0;
    for (const Json& line : lines()) {
        if (line["type"] == "gap") {
            EXPECT_EQ(line["cause"], "queue full");
            missing += line["lost"].get<uint64_t>();
            next += line["lost"].get<uint64_t>();  // the gap is where the records would have been
            continue;
        }
        ++messages;
        EXPECT_EQ(line["rpc_id"], next++);
    }
    EXPECT_EQ(missing, lost_before_end);
    EXPECT_EQ(messages + missing, kRecords);
}

TEST_F(LogTest, FullDiskIsCountedAndNeverBlocks) {
    log_.reset();
    start("/dev/full");
    const auto session = log_->describe(facts());
    const Message message = call();
    for (int i = 0; i < 1000; ++i) log_->message(session, record_of(message));
    wait_until_written(1000);
    EXPECT_EQ(log_->lost(), 1000u);
    EXPECT_EQ(log_->written(), 0u);
}

TEST_F(LogTest, GoesOnWhenThereIsRoomAgainAndEndsTheTornLine) {
    // A file size limit stands in for the full disk: it cuts a write short in the middle of a line.
    signal(SIGXFSZ, SIG_IGN);
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit small = before;
    small.rlim_cur = 5000;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto session = log_->describe(facts());
    const Message message = call();
    for (int i = 0; i < 100; ++i) log_->message(session, record_of(message));
    wait_until_written(100);
    const uint64_t lost = log_->lost();
    EXPECT_GT(lost, 0u);
    EXPECT_EQ(log_->written() + lost, 100u);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    log_->reopen();  // does not wait for the retry
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    log_->message(session, record_of(message));
    wait_until_written(101);
    log_.reset();

    std::ifstream file(path());
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) all.push_back(line);
    ASSERT_GE(all.size(), 3u);
    int torn = 0;
    for (const std::string& line : all) torn += Json::accept(line) ? 0 : 1;
    EXPECT_LE(torn, 1);
    const Json gap = Json::parse(all[all.size() - 2]);
    EXPECT_EQ(gap["type"], "gap");
    EXPECT_EQ(gap["lost"], lost);
    EXPECT_NE(gap["cause"].get<std::string>().find("File too large"), std::string::npos);
    EXPECT_EQ(Json::parse(all.back())["type"], "message");
}

TEST_F(LogTest, ReopenFollowsRotation) {
    const Message message = call();
    log_->message(nullptr, record_of(message));
    wait_until_written(1);
    std::filesystem::rename(path(), path() + ".1");
    log_->reopen();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2 * kSlowness);
    while (!std::filesystem::exists(path()) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    ASSERT_TRUE(std::filesystem::exists(path()));
    log_->message(nullptr, record_of(message));
    EXPECT_EQ(lines().size(), 1u);
    EXPECT_EQ(read(path() + ".1").size(), 1u);
}

TEST_F(LogTest, FileIsPrivateAndMustBeOurs) {
    struct stat status;
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    tree_.file("/open.jsonl");
    ::chmod(tree_.path("/open.jsonl").c_str(), 0666);
    EXPECT_FALSE(AuditLog::open(tree_.path("/open.jsonl"), tree_.path("/secret")).ok());
    tree_.link("/link.jsonl", path());
    EXPECT_FALSE(AuditLog::open(tree_.path("/link.jsonl"), tree_.path("/secret")).ok());
    EXPECT_FALSE(AuditLog::open(tree_.path("/no/such/x.jsonl"), tree_.path("/secret")).ok());
}

TEST_F(LogTest, TwoThreadsAndShortSessions) {
    constexpr int kRounds = 20000;
    std::thread events([this] {
        for (int i = 0; i < kRounds / 100; ++i) {
            log_->event("mark", log_->describe(facts("e-" + std::to_string(i))), {{"n", std::to_string(i)}});
            std::this_thread::yield();
        }
    });
    const Message message = call();
    for (int i = 0; i < kRounds; ++i) {
        static thread_local std::shared_ptr<const AuditSession> session;
        if (i % 10 == 0) session = log_->describe(facts("m-" + std::to_string(i)));
        log_->message(session, record_of(message));
    }
    events.join();
    uint64_t records = 0;
    for (const Json& line : lines()) records += line["type"] == "gap" ? line["lost"].get<uint64_t>() : 1;
    EXPECT_EQ(records, kRounds + kRounds / 100);
}

TEST_F(LogTest, SessionMayOutliveTheLog) {
    auto session = log_->describe(facts());
    const Message message = call();
    log_->message(session, record_of(message));
    EXPECT_EQ(lines().size(), 1u);
    session.reset();
}

TEST_F(LogTest, CostOnTheDataPath) {
    const auto session = log_->describe(facts());
    const Message message = call();
    Verdict verdict;
    verdict.charged.push_back(CounterUse{0, 1'762'157'700, 1, 3, 30, "echo_rate"});
    MessageRecord record = record_of(message);
    record.verdict = &verdict;
    // In bursts that the queue holds, as a relay makes them.
    constexpr int kBursts = 40, kBurst = 5000;
    std::chrono::duration<double, std::nano> spent{};
    for (int burst = 0; burst < kBursts; ++burst) {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < kBurst; ++i) {
            record.read_ns += 1000;
            log_->message(session, record);
        }
        spent += std::chrono::steady_clock::now() - begin;
        wait_until_written(static_cast<uint64_t>((burst + 1) * kBurst));
    }
    printf("message(): %.0f ns\n", spent.count() / (kBursts * kBurst));
    EXPECT_EQ(log_->lost(), 0u);
}

// The process is killed in the middle of a turn; the next one has its memory.
TEST_F(LogTest, ADeadProcessLeavesItsRecords) {
    log_.reset();
    auto memory = KeptMemory::create();
    ASSERT_TRUE(memory.ok());
    const pid_t child = fork();
    if (child == 0) {
        auto log = AuditLog::open(path(), tree_.path("/secret"), AuditArguments::hash, memory->get());
        (*log)->settle([](std::string_view, uint32_t) { return true; });
        const auto session = (*log)->describe(facts("s-9"));
        const Message message = call();
        MessageRecord record;
        record.message = &message;
        const auto take = [&](uint32_t number, size_t bytes) {
            record.number = number;
            record.bytes = bytes;
            (*log)->message(session, record);
        };
        take(0, 100);  // of a session without a ledger
        take(1, 101);
        const AuditLog::Turn turn(**log);
        take(2, 102);
        take(3, 103);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    auto adopted = KeptMemory::adopt(Fd::adopt(dup((*memory)->fd().get())));
    ASSERT_TRUE(adopted.ok()) << adopted.error().text();
    auto next = AuditLog::open(path(), tree_.path("/secret"), AuditArguments::hash, adopted->get());
    ASSERT_TRUE(next.ok());
    std::vector<std::pair<std::string, uint32_t>> asked;
    (*next)->settle([&](std::string_view session, uint32_t number) {
        asked.emplace_back(session, number);
        return number <= 2;
    });
    EXPECT_EQ(asked, (std::vector<std::pair<std::string, uint32_t>>{{"s-9", 2}, {"s-9", 3}}));
    // Its own sessions lie where those of before were.
    MessageRecord own;
    own.bytes = 104;
    (*next)->message((*next)->describe(facts("s-10")), own);
    next->reset();
    std::map<std::string, std::pair<int64_t, std::string>> by_id;
    for (const Json& line : read(path())) {
        by_id[line["id"]] = {line["bytes"], line["session"]};
        EXPECT_EQ(line["server"]["package"], "session-forge");
        EXPECT_EQ(line["policy"], "forge");
    }
    std::vector<std::pair<int64_t, std::string>> found;
    for (const auto& [id, what] : by_id) found.push_back(what);
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, (std::vector<std::pair<int64_t, std::string>>{{100, "s-9"}, {101, "s-9"}, {102, "s-9"}, {104, "s-10"}}));
}

}  // namespace
}  // namespace callgate
