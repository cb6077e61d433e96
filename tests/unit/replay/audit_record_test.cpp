#include "replay/audit_record.h"

#include <gtest/gtest.h>

#include "audit_lines.h"

namespace callgate {
namespace {

AuditRecord parsed(const std::string& line) {
    const std::optional<AuditRecord> record = parse_audit_record(line);
    EXPECT_TRUE(record) << line;
    return record.value_or(AuditRecord());
}

TEST(AuditRecord, ACall) {
    const AuditRecord record = parsed(call_line(30, "charge", R"(,"argument_keys":["amount"],"arguments_hash":"00")"));
    EXPECT_EQ(record.type, "message");
    EXPECT_EQ(record.time_ns, 1'793'693'730'000'000'000);
    EXPECT_TRUE(record.is_asked);
    EXPECT_EQ(record.call.name, "charge");
    EXPECT_EQ(record.call.grant, "g1");
    EXPECT_EQ(record.call.session, "s1");
    EXPECT_EQ(record.call.peer.process.exe, "/usr/bin/claude");
    EXPECT_EQ(record.call.server.package.name, "pay");
    EXPECT_EQ(record.call.server.process.user, "ana");
    EXPECT_FALSE(record.facts.has_values);
    EXPECT_TRUE(record.facts.has_keys);
    EXPECT_EQ(record.facts.keys, (std::vector<std::string>{"amount"}));
    EXPECT_EQ(record.call.arguments, R"({"amount":null})");
    EXPECT_EQ(record.was, TrialOutcome::allow);
}

TEST(AuditRecord, ValuesAreTakenAsTheyAreWritten) {
    const std::string values = R"({"n": 9007199254740993, "x": 1e400, "s": "\u001b[2J", "d": 0.10})";
    const AuditRecord record = parsed(call_line(0, "t", R"(,"argument_keys":["n"],"arguments_hash":"00","arguments":)" + values));
    EXPECT_EQ(record.call.arguments, values);
    EXPECT_TRUE(record.facts.has_values);
}

TEST(AuditRecord, WhatIsKnownOfArguments) {
    EXPECT_TRUE(parsed(call_line(0, "t")).facts.has_values) << "there were none";
    EXPECT_FALSE(
        parsed(call_line(0, "t", R"(,"argument_keys":["a"],"argument_keys_total":40,"arguments_hash":"00")")).facts.has_keys);
    EXPECT_FALSE(
        parsed(call_line(0, "t", R"(,"argument_keys":["a"],"arguments_hash":"00","values_too_long":70000)")).facts.has_values);
    const std::string cut(256, 'k');
    EXPECT_FALSE(parsed(call_line(0, "t", R"(,"argument_keys":[")" + cut + R"("],"arguments_hash":"00")")).facts.has_keys);
}

TEST(AuditRecord, Decisions) {
    EXPECT_EQ(parsed(call_line(0, "t", R"x(,"rule":"(hidden)","code":-31403)x", R"("deny")")).was, TrialOutcome::deny);
    EXPECT_EQ(parsed(call_line(0, "t", R"(,"rule":"/x","code":-31429)", R"("deny")")).was, TrialOutcome::limit);
    EXPECT_EQ(parsed(call_line(0, "t", R"(,"rule":"/x","code":-32003)", R"("would_deny")")).was, TrialOutcome::approval);
    EXPECT_TRUE(parsed(call_line(0, "t", R"(,"refusal":"batch")", R"("refuse")")).is_refused);
    EXPECT_TRUE(parsed(call_line(0, "t", "", R"("would_deny")")).is_refused) << "no rule: it was no message";
}

TEST(AuditRecord, OtherMethodsAndEvents) {
    const auto line = [](const std::string& members) { return R"({"time":"2026-11-03T08:15:30Z","id":"a",)" + members + "}"; };
    AuditRecord record = parsed(line(
        R"("type":"message","direction":"c2s","kind":"request","method":"resources/read","uri":"file:///x","decision":"allow")"));
    EXPECT_EQ(record.call.params, R"({"uri":"file:///x"})");
    EXPECT_TRUE(record.facts.has_uri && record.facts.has_name);
    EXPECT_FALSE(record.facts.has_values);
    record = parsed(line(
        R"("type":"message","direction":"s2c","kind":"request","method":"sampling/createMessage","params":{"maxTokens":7},"decision":"pass")"));
    EXPECT_TRUE(record.call.from_server && record.facts.has_values);
    EXPECT_EQ(record.call.params, R"({"maxTokens":7})");
    record = parsed(
        line(R"("type":"message","direction":"s2c","kind":"response","answers":"r1","outcome":"error","decision":"pass")"));
    EXPECT_FALSE(record.is_asked);
    EXPECT_EQ(record.answers + record.outcome, "r1error");
    EXPECT_EQ(parsed(line(R"("type":"gap","lost":17)")).lost, 17);
    EXPECT_EQ(parsed(line(R"("type":"session_end","session":"s1")")).session, "s1");
}

TEST(AuditRecord, WhatIsNone) {
    for (const char* line :
         {"", "x", "[]", "{}", R"({"type":"message"})", R"({"time":"yesterday","type":"gap"})",
          R"({"time":"2026-11-03T08:15:30+02:00","type":"gap"})", R"({"time":"2026-11-03T08:15:30Z","type":7})",
          R"({"time":"2026-11-03T08:15:30Z","type":"gap","type":"gap"})"}) {
        EXPECT_FALSE(parse_audit_record(line)) << line;
    }
}

}  // namespace
}  // namespace callgate
