#include "restart/http_state.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "restart/state_blob.h"

namespace callgate {
namespace {

using nlohmann::json;

HttpFacts facts() {
    HttpFacts facts;
    facts.server.process.pid = 42;
    facts.server.listens = {"127.0.0.1:3000"};
    facts.peer.process.uid = 1000;
    facts.peer.parents = {{7, "sh", "/bin/sh"}};
    facts.peer_address = "127.0.0.1:40000";
    facts.grant = "uid:1000";
    facts.listen = "127.0.0.1:3000";
    facts.listener = "1 127.0.0.1:3000";
    return facts;
}

BodyReader::Saved body() { return {{BodyFraming::Kind::chunked, 9}, 1, 3, 4, true, true, true, 5, 6, 7, 8}; }

SavedHttpConnection connection() {
    SavedHttpConnection saved;
    saved.exempt.emplace();
    saved.exempt->server = {4026531840, AF_INET, 3000, {127, 0, 0, 1}};
    saved.exempt->client_port = 40001;
    saved.replacement = {77, 8, 0};
    saved.to_server = std::string("a\0\xff", 3);
    saved.to_client = "b";
    saved.client_spoke = saved.lingers = saved.http_only = true;
    saved.policy = "notes";
    saved.facts = facts();
    SavedHttpGate& gate = saved.gate.emplace();
    gate.counts.in = 3;
    gate.passed = 4;
    gate.closing = gate.client_ended = gate.server_ended = gate.server_wanted = true;
    gate.first_message = false;
    gate.waiting = "GET /";
    gate.response_waiting = "HTTP/1.1 2";
    SavedHttpExchange& exchange = gate.exchange.emplace();
    exchange.number = 12;
    exchange.request = 4;
    exchange.response = 3;
    exchange.head = "POST /mcp HTTP/1.1\r\nHost: a\r\n\r\n";
    exchange.body = body();
    exchange.hidden_request = {1, 2, 3, true};
    exchange.raw = "r";
    exchange.text = "t";
    exchange.governed = exchange.claims_mcp = exchange.continue_sent = exchange.body_decoded = true;
    exchange.refuse_status = 400;
    exchange.refuse_reason = "why";
    exchange.sent = exchange.canonical = exchange.has_messages = exchange.opens_session = true;
    exchange.session_end = "over";
    exchange.session = "h-1";
    exchange.waiting_ids = {"n1", "sx"};
    exchange.is_array = true;
    exchange.answer_head = "HTTP/1.1 200 OK\r\n\r\n";
    exchange.answer_keeps_alive = false;
    exchange.answer_body = body();
    exchange.answer_raw = "ar";
    exchange.answer_text = "at";
    exchange.answer_begun = exchange.chunks_out = exchange.is_resumable = true;
    gate.wait = SavedHttpWait{11, 22};
    gate.streams_session = true;
    gate.sse = {"data: {", 2, false, false, false, false, true, true, true};
    gate.inside_event = true;
    gate.events_waiting = "event";
    gate.passage = 1;
    gate.passage_reason = "WebSocket";
    gate.blind_held = "h";
    gate.tunnel_head = "th";
    gate.tunnel_is_watched = gate.tunnel_line_begins = true;
    gate.tunnel_request = {0, 5, 6, false};
    gate.tunnel_version_bytes = 3;
    SavedHttpLines& lines = gate.lines.emplace();
    lines.session = "h-2";
    lines.counts_before.in = 1;
    lines.gate.client_rest = "{\"js";
    lines.gate.pins.is_unreadable = true;
    return saved;
}

SavedHttpSessions sessions() {
    SavedHttpSessions saved;
    SavedHttpSession& session = saved.sessions.emplace_back();
    session.id = "h-1";
    session.policy = "notes";
    session.key = "1 127.0.0.1:3000\nheader\n\xff";
    session.kind = 1;
    session.facts = facts();
    session.client_name = "cursor";
    session.client_version = "1";
    session.grant = "uid:1000";
    session.path = "/mcp";
    session.annotations = {{"rm", "{\"destructiveHint\":true}"}};
    DefinitionHash hash{};
    hash[31] = 7;
    session.pins.seen = {{"echo", hash}, {"other", std::nullopt}};
    session.pins.is_unreadable = session.pins.is_full = true;
    session.opened_ns = 5;
    session.used_ns = 6;
    session.orphaned = session.ended = true;
    session.counts.in = 9;
    session.pending = {{"n1", "01JABCDEFGHJKMNPQRSTVWXYZ1", "", "echo", 77, true, {}, 12}};
    saved.paths_left = {{"1 127.0.0.1:3000\n/message", 88}};
    saved.opened = 3;
    saved.exchanges = 12;
    return saved;
}

TEST(HttpState, RoundTripOfAConnection) {
    const json state = to_json(connection());
    auto read = http_connection_from(state);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(to_json(read.value()), state);
    const SavedHttpConnection& got = read.value();
    EXPECT_EQ(got.to_server, connection().to_server);
    EXPECT_EQ(got.exempt->server.bytes[0], 127);
    EXPECT_EQ(got.exempt->client_port, 40001);
    EXPECT_EQ(got.replacement.inode, 77u);
    EXPECT_EQ(got.gate->exchange->body, body());
    EXPECT_EQ(got.gate->sse, connection().gate->sse);
    EXPECT_EQ(got.gate->lines->gate.client_rest, "{\"js");
    EXPECT_TRUE(got.gate->lines->gate.pins.is_unreadable);
    EXPECT_FALSE(got.gate->first_message);
}

TEST(HttpState, RoundTripOfSessions) {
    const json state = to_json(sessions());
    auto read = http_sessions_from(state);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(to_json(read.value()), state);
    EXPECT_EQ(read.value().sessions[0].pending[0].exchange, 12u);
    EXPECT_EQ(read.value().sessions[0].pins.seen[0].second->back(), 7);
    EXPECT_FALSE(read.value().sessions[0].pins.seen[1].second.has_value());
    EXPECT_TRUE(read.value().sessions[0].pins.is_unreadable);
    EXPECT_TRUE(read.value().sessions[0].pins.is_full);
}

// Each member is set in the samples, so that none is forgotten in the form.
void expect_all_written(const json& part, const std::string& where) {
    for (const auto& [key, value] : part.items()) {
        if (value.is_structured()) expect_all_written(value, where + "/" + key);
    }
    if (where.ends_with("/exchange")) {
        EXPECT_EQ(part.size(), 30u) << where;
    }
    if (where.ends_with("/gate") && part.contains("passage")) {
        EXPECT_EQ(part.size(), 24u) << where;
    }
}

TEST(HttpState, NothingIsLeftOut) { expect_all_written(to_json(connection()), ""); }

TEST(HttpState, OneThatIsIdleIsShort) {
    SavedHttpConnection saved;
    saved.gate.emplace();
    EXPECT_LT(encode_state(to_json(saved)).size(), 250u);
    auto read = http_connection_from(to_json(saved));
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_TRUE(read.value().gate->first_message);
    EXPECT_TRUE(read.value().gate->sse.at_start);
    EXPECT_FALSE(read.value().gate->exchange.has_value());
}

TEST(HttpState, MembersOfANewerAgentAreIgnoredAndThoseOfALaterOneNotMissed) {
    json state = to_json(connection());
    state["something_new"] = 1;
    state["gate"]["exchange"]["something_new"] = "x";
    state["gate"].erase("passed");
    state.erase("replacement");
    EXPECT_TRUE(http_connection_from(state).ok());
}

template <typename Read>
void spoil(json& whole, json& part, const Read& read, int& errors) {
    for (auto& each : part) {
        const json before = each;
        for (const json& wrong : {json(nullptr), json("text"), json(-1), json::array({1}), json::object()}) {
            each = wrong;
            if (!read(whole).ok()) ++errors;
        }
        each = before;
        if (each.is_structured()) spoil(whole, each, read, errors);
    }
    if (!part.is_object()) return;
    const json before = part;
    for (const auto& [key, value] : before.items()) {
        part.erase(key);
        if (!read(whole).ok()) ++errors;
        part = before;
    }
}

TEST(HttpState, WhatIsOfTheWrongKindIsAnError) {
    int errors = 0;
    json state = to_json(connection());
    spoil(state, state, http_connection_from, errors);
    EXPECT_GT(errors, 200);
    state = to_json(sessions());
    errors = 0;
    spoil(state, state, http_sessions_from, errors);
    EXPECT_GT(errors, 100);
    state["sessions"][0]["kind"] = 9;
    EXPECT_FALSE(http_sessions_from(state).ok());
    EXPECT_FALSE(http_connection_from(json::array()).ok());
}

struct Pair {
    Pair() {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        one = Fd::adopt(ends[0]);
        other = Fd::adopt(ends[1]);
    }
    Fd one, other;
};

TEST(HttpState, ThroughAParcel) {
    Pair client, server, waits;
    SavedHttpConnection whole = connection(), without_server = connection();
    whole.client = std::move(client.one);
    whole.server = std::move(server.one);
    without_server.client = Fd::adopt(dup(whole.client.get()));
    std::vector<Bundle> bundles;
    bundles.push_back(to_bundle(sessions(), 5).value());
    bundles.push_back(to_bundle(whole).value());
    bundles.push_back(to_bundle(without_server).value());
    bundles.push_back(to_bundle(WaitingHttpClient{std::move(waits.one), 99, "un\xffread", true}).value());
    auto parcel = pack(bundles);
    ASSERT_TRUE(parcel.ok());
    bundles.clear();
    LeftHttp left;
    auto got = unpack(parcel.value());
    ASSERT_TRUE(got.ok());
    for (Bundle& each : got.value()) {
        EXPECT_TRUE(is_of_http(each));
        const Status taken = take_bundle(std::move(each), left);
        EXPECT_TRUE(taken.ok()) << taken.error().text();
    }
    EXPECT_EQ(left.cut, 5u);
    EXPECT_EQ(to_json(left.sessions), to_json(sessions()));
    ASSERT_EQ(left.connections.size(), 2u);
    EXPECT_TRUE(left.connections[0].server.valid());
    EXPECT_FALSE(left.connections[1].server.valid());
    ASSERT_EQ(left.waiting.size(), 1u);
    EXPECT_EQ(left.waiting[0].netns, 99u);
    EXPECT_TRUE(left.waiting[0].http_only);
    EXPECT_EQ(left.waiting[0].unread, "un\xffread");
    EXPECT_EQ(write(left.connections[0].client.get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(read(client.other.get(), &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
}

TEST(HttpState, WithoutItsDescriptorsItIsNone) {
    Pair client;
    SavedHttpConnection saved = connection();
    saved.client = std::move(client.one);
    for (const size_t kept : {size_t{0}, size_t{1}}) {
        Bundle bundle = to_bundle(saved).value();
        bundle.fds.resize(kept);
        LeftHttp left;
        EXPECT_FALSE(take_bundle(std::move(bundle), left).ok());
        EXPECT_TRUE(left.connections.empty());
    }
}

// An agent that reads format 1 refuses these, and goes on with sessions on stdio; one that reads format 2 refuses what it would
// forget of pinned tools.
TEST(HttpState, OlderAgentsKnowThatTheyDoNotKnowIt) {
    Pair client;
    SavedHttpConnection saved = connection();
    saved.client = std::move(client.one);
    SavedHttpSessions all = sessions();
    for (const int format : {3, 2}) {
        for (const Bundle& bundle : {to_bundle(saved).value(), to_bundle(all, 0).value()}) {
            char header[12];
            ASSERT_EQ(pread(bundle.fds.front().get(), header, sizeof(header), 0), 12);
            EXPECT_EQ(header[8], format);
        }
        saved.gate->lines->gate.pins = {};
        all.sessions[0].pins.is_full = false;
    }
    EXPECT_EQ(encode_state(json::object())[8], 1);
}

}  // namespace
}  // namespace callgate
