#include "restart/session_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "restart/state_blob.h"

namespace callgate {
namespace {

using nlohmann::json;

SessionState sample() {
    SessionState session;
    session.id = "01JABCDEFGHJKMNPQRSTVWXYZ0";
    session.started = "2026-11-28T00:00:00Z";
    session.policy = "notes";
    session.remark = "r";
    session.server.process.pid = 42;
    session.server.process.start_time = 1234567890123;
    session.server.process.argv = {"node", "\xff not text", ""};
    session.server.command = "node x";
    session.server.package = {"npm", "notes", "1.0", "/srv"};
    session.server.exe_sha256 = "ab";
    session.client.process.uid = 1000;
    session.client.process.groups = {1000, 27};
    session.client.parents = {{7, "sh", "/bin/sh"}, {1, "init", "/sbin/init"}};
    session.watched = {session.id, {42, 43}, {1, 2, 0}, {3, 4, 0}, {5, 6, 0}, {7, 8, 0}};
    RelayState& relay = session.relay;
    relay.ends.input_kind = ChannelKind::pipe;
    relay.ends.output_kind = ChannelKind::unix_socket;
    relay.to_server = std::string("{\0\n\xff", 4);
    relay.to_client = std::string(100000, 'x');
    GateState& gate = relay.gate;
    gate.counts.in = 5;
    gate.counts.forwarded = 3;
    gate.counts.denied = gate.counts.held = 1;
    gate.opening = {4, false, true, "i:7", "held", "passed"};
    gate.client_rest = "{\"js";
    gate.server_rest = "{\"re";
    gate.client_skipped = 99;
    gate.server_skipped = 98;
    gate.answers_waiting = "a\n";
    gate.server_head = "h";
    gate.server_line_open = gate.server_spoke = gate.wants_release = gate.modern = true;
    gate.client_name = "cursor";
    gate.client_version = "1";
    gate.annotations = {{"rm", "{\"destructiveHint\":true}"}};
    DefinitionHash hash{};
    hash[31] = 7;
    gate.pins = {{{"echo", hash}, {"other", std::nullopt}}, true, true};
    CounterUse use;
    use.window_start_s = 60;
    use.amount = 2;
    use.count_after = 3;
    use.max = 9;
    use.slice = -5;
    use.scale = 100;
    use.keeps_failed = use.returns_unanswered = use.is_in_flight = true;
    gate.pending = {{"n1", "01JABCDEFGHJKMNPQRSTVWXYZ1", "", "echo", 77, true, {{use, "notes|g|echo|c|60", "c"}}}};
    gate.held = {{"{\"a\":1}\n", 11, 22}};
    return session;
}

TEST(SessionState, RoundTrip) {
    const json state = to_json(sample());
    auto read = session_from(state);
    ASSERT_TRUE(read.ok()) << read.error().text();
    json again = to_json(read.value());
    EXPECT_EQ(again, state);
    EXPECT_EQ(read.value().relay.gate.pending[0].charged[0].use.slice, -5);
    EXPECT_EQ(read.value().relay.to_server, sample().relay.to_server);
    EXPECT_EQ(read.value().watched.new_output.inode, 7u);
    EXPECT_EQ(read.value().client.process.groups, sample().client.process.groups);  // a grant may name one
}

TEST(SessionState, WhatItWasShownOfPinnedToolsIsInItAndInALedger) {
    const auto check = [](const SessionPins::Saved& pins) {
        ASSERT_EQ(pins.seen.size(), 2u);
        EXPECT_EQ(pins.seen, sample().relay.gate.pins.seen);
        EXPECT_TRUE(pins.is_unreadable);
        EXPECT_TRUE(pins.is_full);
    };
    check(session_from(to_json(sample())).value().relay.gate.pins);
    const SessionLedger::Form form = ledger_form();
    check(form.read(form.write(sample().relay.gate)).value().pins);
}

// One that forgets what it does not know would let calls through: it must not go on with them.
TEST(SessionState, AnOlderAgentRefusesThoseThatWereShownPinnedTools) {
    const auto format_of = [](const SessionState& session) {
        const Bundle bundle = std::move(to_bundle(session)).value();
        uint32_t format = 0;
        EXPECT_EQ(pread(bundle.fds.front().get(), &format, sizeof(format), 8), 4);
        return format;
    };
    SessionState session = sample();
    EXPECT_EQ(format_of(session), kPinsStateFormat);
    session.relay.gate.pins = {{}, true, false};
    EXPECT_EQ(format_of(session), kPinsStateFormat);
    session.relay.gate.pins = {};
    EXPECT_EQ(format_of(session), kSessionStateFormat);
}

TEST(SessionState, ThroughTheBlobToo) {
    auto read = decode_state(encode_state(to_json(sample())));
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(read.value(), to_json(sample()));
}

// A thousand of them are read while their clients wait.
TEST(SessionState, WhatIsAsItIsAnywayIsNotWritten) {
    SessionState session;
    session.id = "01JABCDEFGHJKMNPQRSTVWXYZ0";
    session.relay.ends.input_kind = session.relay.ends.output_kind = ChannelKind::pipe;
    const std::string gate = to_json(session)["gate"].dump();
    EXPECT_EQ(gate, R"({"counts":{},"held":[],"opening":{},"pending":[]})");
    EXPECT_LT(encode_state(to_json(session)).size(), 400u);
    auto read = session_from(to_json(session));
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_TRUE(read.value().relay.gate.opening.certain);
}

TEST(SessionState, MembersOfANewerAgentAreIgnoredAndThoseOfALaterOneNotMissed) {
    json state = to_json(sample());
    state["something_new"] = 1;
    state["gate"]["something_new"] = "x";
    state["gate"].erase("modern");
    state.erase("remark");
    auto read = session_from(state);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_FALSE(read.value().relay.gate.modern);
}

// Each member in turn, wherever it is, is something else or gone: an error or a state, and never more than
// that.
void spoil(json& whole, json& part, int& errors) {
    const auto try_it = [&] {
        if (!session_from(whole).ok()) ++errors;
    };
    for (auto& each : part) {
        const json before = each;
        for (const json& wrong : {json(nullptr), json("text"), json(-1), json::array({1}), json::object()}) {
            each = wrong;
            try_it();
        }
        each = before;
        if (each.is_structured()) spoil(whole, each, errors);
    }
    if (!part.is_object()) return;
    const json before = part;
    for (const auto& [key, value] : before.items()) {
        part.erase(key);
        try_it();
        part = before;
    }
}

TEST(SessionState, WhatIsOfTheWrongKindIsAnError) {
    json state = to_json(sample());
    int errors = 0;
    spoil(state, state, errors);
    EXPECT_GT(errors, 200);
    EXPECT_EQ(state, to_json(sample()));
    EXPECT_FALSE(session_from(json::object()).ok());
    state["input_kind"] = 9;
    EXPECT_FALSE(session_from(state).ok());
}

TEST(SessionState, DescriptorsComeBackWhereTheyWere) {
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    SessionState session = sample();
    session.relay.ends.from_client = Fd::adopt(fds[0]);
    session.relay.ends.to_client = Fd::adopt(fds[1]);
    auto bundle = to_bundle(session);
    ASSERT_TRUE(bundle.ok()) << bundle.error().text();
    auto read = session_of(std::move(bundle).value());
    ASSERT_TRUE(read.ok()) << read.error().text();
    TakenEnds& ends = read.value().relay.ends;
    EXPECT_FALSE(ends.to_server.valid() || ends.from_server.valid());
    ASSERT_EQ(write(ends.to_client.get(), "x", 1), 1);
    char got = 0;
    EXPECT_EQ(::read(ends.from_client.get(), &got, 1), 1);
    EXPECT_EQ(got, 'x');
}

TEST(SessionState, AMissingOrSpareDescriptorIsAnError) {
    for (const int change : {-1, 1}) {
        int fds[2];
        ASSERT_EQ(pipe(fds), 0);
        SessionState session = sample();
        session.relay.ends.from_client = Fd::adopt(fds[0]);
        session.relay.ends.to_client = Fd::adopt(fds[1]);
        Bundle bundle = std::move(to_bundle(session)).value();
        if (change < 0) {
            bundle.fds.pop_back();
        } else {
            bundle.fds.push_back(Fd::adopt(dup(0)));
        }
        EXPECT_FALSE(session_of(std::move(bundle)).ok());
    }
}

}  // namespace
}  // namespace callgate
