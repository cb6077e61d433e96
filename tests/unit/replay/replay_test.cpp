#include "replay/replay.h"

#include <gtest/gtest.h>

#include "audit_lines.h"

namespace callgate {
namespace {

std::shared_ptr<const Policy> policy(const std::string& members, const std::string& server = R"({"package":"pay"})") {
    std::vector<PolicyProblem> problems;
    auto loaded = Policy::load(R"({"version":"1","server":)" + server + "," + members + "}", "/x/new.json", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    return loaded;
}

ReplayReport replayed(const std::shared_ptr<const Policy>& policy, const std::vector<std::string>& lines,
                      ReplayScope scope = {}) {
    Replay replay(policy, scope);
    for (const std::string& line : lines) {
        std::optional<AuditRecord> record = parse_audit_record(line);
        EXPECT_TRUE(record) << line;
        if (record) replay.take(std::move(*record));
    }
    return replay.finish();
}

std::string id_of(const std::string& line) { return parse_audit_record(line)->id; }

std::string answer_line(int second, const std::string& to, const std::string& outcome) {
    return R"({"time":"2026-11-03T08:15:)" + std::to_string(second) +
           R"(Z","id":"a","type":"message","session":"s1","direction":"s2c","kind":"response","decision":"pass","answers":")" +
           to + R"(","outcome":")" + outcome + R"("})";
}

std::string shown(const ReplayReport& report) {
    std::string out;
    for (const Difference& row : report.table) {
        out += row.subject + " " + std::string(name(row.was)) + ">" + row.now + " " + row.rule + " x" +
               std::to_string(row.count) + "\n";
    }
    return out;
}

const std::string kHashed = R"(,"argument_keys":["amount"],"arguments_hash":"00")";

std::string with_amount(const std::string& amount) { return kHashed + R"(,"arguments":{"amount":)" + amount + "}"; }

TEST(Replay, NothingIsDifferent) {
    const std::string denied = R"x(,"rule":"(default deny)","code":-31403)x";
    const ReplayReport report =
        replayed(policy(R"("default":"deny","tools":{"a":{}})"), {call_line(1, "a"), call_line(2, "b", denied, R"("deny")")});
    EXPECT_EQ(report.judged, 2u);
    EXPECT_EQ(shown(report), "");
}

TEST(Replay, DifferencesOfAKindStandTogether) {
    const std::string first = call_line(1, "b");
    const ReplayReport report = replayed(policy(R"("default":"deny","hide":["c"],"tools":{"a":{}})"),
                                         {call_line(0, "a"), first, call_line(2, "b"), call_line(3, "c"),
                                          call_line(4, "a", R"(,"rule":"/old","code":-31403)", R"("deny")")},
                                         {false, true});
    EXPECT_EQ(shown(report), "b allow>deny (default deny) x2\nc allow>deny (hidden) x1\na deny>allow /old x1\n");
    EXPECT_EQ(report.different, 4u);
    EXPECT_EQ(report.each.size(), 4u);
    EXPECT_EQ(report.table[0].id, id_of(first));
    EXPECT_EQ(report.table[0].time, "2026-11-03T08:15:01.000000000Z");
}

TEST(Replay, LimitsCountInTheTimeOfTheRecords) {
    const auto limited = policy(R"("default":"allow","tools":{"a":{"limits":[{"counter":"c","window":10,"max":2}]}})");
    std::vector<std::string> lines;
    for (int second : {0, 1, 2, 9, 10, 11}) lines.push_back(call_line(second, "a"));
    EXPECT_EQ(shown(replayed(limited, lines)), "a allow>limit /tools/a/limits/c x2\n");
}

TEST(Replay, ACallThatFailedIsGivenBack) {
    const auto limited = policy(R"("default":"allow","tools":{"a":{"limits":[{"counter":"c","window":"hour","max":1}]}})");
    for (const auto& [outcome, differences] : {std::pair{"error", 0u}, std::pair{"tool_error", 0u}, std::pair{"ok", 1u}}) {
        const std::string failed = call_line(1, "a");
        EXPECT_EQ(replayed(limited, {failed, answer_line(12, id_of(failed), outcome), call_line(13, "a")}).different, differences)
            << outcome;
    }
}

TEST(Replay, CallsAreInFlightUntilTheyAreAnswered) {
    const auto limited = policy(R"("default":"allow","tools":{"a":{"limits":[{"counter":"c","max_in_flight":1}]}})");
    const std::string first = call_line(1, "a");
    EXPECT_EQ(replayed(limited, {first, call_line(2, "a")}).different, 1u);
    EXPECT_EQ(replayed(limited, {first, answer_line(12, id_of(first), "ok"), call_line(13, "a")}).different, 0u);
    EXPECT_EQ(replayed(limited, {first, R"({"time":"2026-11-03T08:15:12Z","id":"e","type":"session_end","session":"s1"})",
                                 call_line(13, "a")})
                  .different,
              0u);
}

TEST(Replay, ACallWaitsForRoom) {
    const std::string members =
        R"("default":"allow","tools":{"a":{"limits":[{"counter":"c","window":10,"max":1,"on_exceed":"delay","max_delay_ms":)";
    EXPECT_EQ(replayed(policy(members + "15000}]}}"), {call_line(1, "a"), call_line(2, "a")}).different, 0u);
    EXPECT_EQ(replayed(policy(members + "5000}]}}"), {call_line(1, "a"), call_line(2, "a")}).different, 1u);
    EXPECT_EQ(replayed(policy(members + "15000}]}}"), {call_line(1, "a"), call_line(2, "a"), call_line(3, "a")}).different, 1u)
        << "its turn is too late";
}

TEST(Replay, ArgumentsThatWereRecordedAreJudged) {
    const auto judged = policy(
        R"("default":"allow","tools":{"pay":{"deny_if":[{"conditions":[{"path":"args.amount","op":"gt","value":9007199254740992}]}]}})");
    EXPECT_EQ(shown(replayed(judged, {call_line(1, "pay", with_amount("9007199254740993")),
                                      call_line(2, "pay", with_amount("9007199254740992"))})),
              "pay allow>deny /tools/pay/deny_if/args.amount-gt x1\n");
}

TEST(Replay, WhatWasNotRecordedIsUnknown) {
    const auto judged =
        policy(R"("default":"allow","tools":{"pay":{"deny_if":[{"conditions":[{"path":"args.amount","op":"gt","value":1}]}]}})");
    const ReplayReport report = replayed(judged, {call_line(1, "pay", kHashed), call_line(2, "pay", kHashed), call_line(3, "pay"),
                                                  call_line(4, "pay", R"(,"argument_keys":["to"],"arguments_hash":"00")")});
    EXPECT_EQ(shown(report), "pay allow>unknown arguments not recorded x2\n");
    EXPECT_EQ(report.unknown, 2u);
    EXPECT_EQ(report.different, 0u);
    EXPECT_EQ(report.judged, 4u);
}

TEST(Replay, AHumanHadDecided) {
    const auto asks = policy(R"("default":"deny","tools":{"a":{"require_approval":[{"conditions":[]}]}})");
    const std::string approval = R"(,"approval":"k3f9x0wq2m")";
    const ReplayReport report =
        replayed(asks, {call_line(1, "a", approval), call_line(2, "a", approval + R"(,"rule":"/x","code":-31403)", R"("deny")"),
                        call_line(3, "a")});
    EXPECT_EQ(report.judged, 3u);
    EXPECT_EQ(report.different, 1u);  // the one that nobody was asked about
}

TEST(Replay, OtherServersAreLeftOut) {
    const std::string members = R"("default":"deny")";
    EXPECT_EQ(replayed(policy(members, R"({"package":"other"})"), {call_line(1, "a")}).other_servers, 1u);
    EXPECT_EQ(replayed(policy(members, R"({"package":"other"})"), {call_line(1, "a")}, {true, false}).different, 1u);
    EXPECT_EQ(replayed(policy(members, R"({"package":"pay","user":"ana"})"), {call_line(1, "a")}).different, 1u);
    EXPECT_EQ(replayed(policy(members, R"({"command":"node *.js"})"), {call_line(1, "a")}).different, 1u);
    EXPECT_EQ(replayed(policy(members, R"({"listen":":3000"})"), {call_line(1, "a")}).other_servers, 1u);
    std::vector<PolicyProblem> problems;
    const auto same_name =
        Policy::load(R"({"version":"1","server":{"package":"renamed"},"default":"deny"})", "dir/pay.json", problems);
    EXPECT_EQ(replayed(same_name, {call_line(1, "a")}).different, 1u) << "a new version of the policy that governed it";
}

TEST(Replay, WhoTheClientIsIsKnownFromItsFirstMessage) {
    const auto judged = policy(
        R"("default":"allow","tools":{"a":{"require":[{"conditions":[{"path":"client.name","op":"eq","value":"good"}]}]}})");
    const std::string begin = R"({"time":"2026-11-03T08:15:00Z","id":"b","type":"session_start","session":"s1"})";
    const auto initialize = [](const std::string& client) {
        std::string line = call_line(0, "x", client);
        const std::string from = R"("tools/call","tool":"x")";
        return line.replace(line.find(from), from.size(), R"("initialize")");
    };
    EXPECT_EQ(shown(replayed(judged, {begin, initialize(R"(,"client_name":"good")"), call_line(1, "a")})), "");
    EXPECT_EQ(shown(replayed(judged, {begin, initialize(R"(,"client_name":"bad")"), call_line(1, "a")})),
              "a allow>deny /tools/a/require/client.name-eq x1\n");
    EXPECT_EQ(shown(replayed(judged, {begin, call_line(1, "a")})), "a allow>deny /tools/a/require/client.name-eq x1\n")
        << "it never said";
    EXPECT_EQ(shown(replayed(judged, {call_line(1, "a")})), "a allow>unknown clientInfo not recorded x1\n");
    EXPECT_EQ(shown(replayed(judged, {begin, initialize(""), call_line(1, "a")})),
              "a allow>unknown clientInfo not recorded x1\n");
}

TEST(Replay, MessagesOfOneArrayStandOrFallTogether) {
    const auto http = [](int second, const std::string& tool) {
        std::string line = call_line(second, tool);
        return line.replace(line.find("stdio"), 5, "http");
    };
    const auto judged = policy(R"("default":"deny","tools":{"a":{"limits":[{"counter":"c","window":"hour","max":2}]}})");
    EXPECT_EQ(shown(replayed(judged, {http(1, "a"), http(1, "b"), http(2, "a"), http(3, "a")})),
              "a allow>deny (batch) x1\nb allow>deny (default deny) x1\n");
}

TEST(Replay, WhatIsNotJudgedIsCounted) {
    const ReplayReport report =
        replayed(policy(R"("default":"deny")"),
                 {call_line(1, "a", "", R"("refuse")"), R"({"time":"2026-11-03T08:15:30Z","id":"g","type":"gap","lost":4})"});
    EXPECT_EQ(report.refused, 1u);
    EXPECT_EQ(report.lost, 4);
    EXPECT_EQ(report.judged, 0u);
}

}  // namespace
}  // namespace callgate
