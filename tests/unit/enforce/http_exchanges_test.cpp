// The ordinary exchanges of HttpExchanges, and the test that plays every row of every table.
#include "http_exchange_table.h"
#include "http_handover.h"

namespace callgate {
namespace {

std::vector<Case> cases() {
    const std::string close_post = post(kOk1, "Connection: close\r\n"),
                      close_canonical = "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: " +
                                        std::to_string(kOk1.size()) +
                                        "\r\naccept-encoding: identity\r\nConnection: close\r\n\r\n" + kOk1;
    const std::string upload = "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world";
    const std::string chunked_upload =
        "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("hello") + kLastChunk;
    const std::string other_json = post(R"({"user":"ada","id":4})", "", "/api");
    const std::string pretty = "{\r\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": 1,\n\t\"method\": \"ping\"\r\n}\r\n";
    const std::string two = "[" + call_json("1", "ok") + ", " + call_json("2", "ok") + "]";
    const std::string mixed = "[" + call_json("1", "bad") + "," + call_json("\"x\"", "ok") + "," + kNotification + "]";
    const std::string ten =
        "POST /mcp HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(kBad1.size()) + "\r\n\r\n" +
        kBad1;
    const std::string expecting = post(kOk1, "Expect: 100-continue\r\n");
    return {
        {"AllowedCall",
         {client(post(kOk1)), server(kDone1)},
         canonical(kOk1),
         kDone1,
         1,
         0,
         0,
         {"c2s request tools/call ok allow", "s2c response tools/call ok pass ok"}},
        {"DeniedCall",
         {client(post(kBad1))},
         "",
         answer(kDenied1),
         0,
         1,
         0,
         {"c2s request tools/call bad deny /tools/bad/action"}},
        {"DeniedThenAllowed",
         {client(post(kBad1) + post(kOk1)), server(kDone1)},
         canonical(kOk1),
         answer(kDenied1) + kDone1,
         1,
         1,
         0,
         {"c2s request tools/call bad deny /tools/bad/action", "c2s request tools/call ok allow",
          "s2c response tools/call ok pass ok"}},
        {"PipelinedInOrder",
         {client(post(kOk1) + post(kBad1) + kHealth), server(kDone1), server(response("up"))},
         canonical(kOk1) + kHealth,
         kDone1 + answer(kDenied1) + response("up"),
         1,
         1,
         0,
         {"c2s request tools/call ok allow", "s2c response tools/call ok pass ok",
          "c2s request tools/call bad deny /tools/bad/action"}},
        {"ChunkedRequest",
         {client(chunked("POST /mcp HTTP/1.1", kOk1)), server(kDone1)},
         canonical(kOk1),
         kDone1,
         1,
         0,
         0,
         {"c2s request tools/call ok allow", "s2c response tools/call ok pass ok"}},
        {"PrettyPrinted",
         {client(post(pretty)), server(kDone1)},
         canonical(pretty),
         kDone1,
         1,
         0,
         0,
         {"c2s request ping allow", "s2c response ping pass ok"}},
        {"AllowedNotification",
         {client(post(kNotification)), server("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")},
         canonical(kNotification),
         "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
         1,
         0,
         0,
         {"c2s notification notifications/initialized allow"}},
        {"DeniedNotification",
         {client(post(kBadNotification))},
         "",
         "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
         0,
         1,
         0,
         {"c2s notification tools/call bad deny /tools/bad/action"}},
        {"ClientsResponse",
         {client(post(result_json("5"))), server("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
         canonical(result_json("5")),
         "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         1,
         0,
         0,
         {"c2s response pass ok"}},
        {"SessionHeaderIsEchoed",
         {client(post(kBad1, "Mcp-Session-Id: s1\r\n"))},
         "",
         answer(kDenied1, "Mcp-Session-Id: s1\r\n"),
         0,
         1,
         0,
         {"c2s request tools/call bad deny /tools/bad/action"}},
        {"EventsOnly",
         {client(post(kBad1, "Accept: text/event-stream\r\n"))},
         "",
         response(sse(kDenied1), "Cache-Control: no-cache\r\n", "200 OK", "text/event-stream"),
         0,
         1,
         0,
         {"c2s request tools/call bad deny /tools/bad/action"}},
        {"ClientCloses",
         {client(close_post), server(kDone1)},
         close_canonical,
         kDone1,
         1,
         0,
         0,
         {"c2s request tools/call ok allow", "s2c response tools/call ok pass ok"},
         true},
        {"DeniedHttp10",
         {client(ten)},
         "",
         "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(kDenied1.size()) + "\r\n\r\n" +
             kDenied1,
         0,
         1,
         0,
         {"c2s request tools/call bad deny /tools/bad/action"},
         true},
        {"ContinueIsOurs",
         {client(expecting), server("HTTP/1.1 100 Continue\r\n\r\n" + kDone1)},
         canonical(kOk1),
         "HTTP/1.1 100 Continue\r\n\r\n" + kDone1,
         1,
         0,
         0,
         {"c2s request tools/call ok allow", "s2c response tools/call ok pass ok"}},
        {"EarlyHintsPass",
         {client(post(kOk1)), server("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kDone1)},
         canonical(kOk1),
         "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kDone1,
         1,
         0,
         0,
         {"c2s request tools/call ok allow", "s2c response tools/call ok pass ok"}},
        // --- what is not MCP
        {"Health", {client(kHealth), server(response("up"))}, kHealth, response("up")},
        {"Head",
         {client("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + kHealth), server("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
          server(response("up"))},
         "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + kHealth,
         "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + response("up")},
        {"NotModified",
         {client(kHealth + kHealth), server("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
          server("HTTP/1.1 204 No Content\r\n\r\n")},
         kHealth + kHealth,
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"},
        {"Upload",
         {client(upload + kHealth), server(response("")), server(response("up"))},
         upload + kHealth,
         response("") + response("up")},
        {"ChunkedUpload", {client(chunked_upload), server(response(""))}, chunked_upload, response("")},
        {"OtherJson", {client(other_json), server(response("{}"))}, other_json, response("{}")},
        {"ChunkedOtherJson",
         {client(chunked("POST /api HTTP/1.1", R"([{"user":"ada"}])")), server(response("{}"))},
         chunked("POST /api HTTP/1.1", R"([{"user":"ada"}])"),
         response("{}")},
        {"UntilClose",
         {client(kHealth), server("HTTP/1.1 200 OK\r\n\r\nsome"), server("more"), server_end()},
         kHealth,
         "HTTP/1.1 200 OK\r\n\r\nsomemore",
         0,
         0,
         0,
         {},
         true},
        {"ServerCloses",
         {client(kHealth), server("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nup")},
         kHealth,
         "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nup",
         0,
         0,
         0,
         {},
         true},
        {"EarlyAnswerToAnUpload",
         {client(upload.substr(0, upload.size() - 5)), server(response("ok")), client(upload.substr(upload.size() - 5) + kHealth),
          server(response("up"))},
         upload + kHealth,
         response("ok") + response("up")},
        {"EarlyRefusalOfAnUpload",
         {client(upload.substr(0, upload.size() - 5)),
          server("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")},
         upload.substr(0, upload.size() - 5),
         "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         0,
         0,
         0,
         {},
         true},
        {"HalfClosed", {client(kHealth), client_end(), server(response("up"))}, kHealth, response("up"), 0, 0, 0, {}, true},
        // --- arrays
        {"ArrayWhole",
         {client(post(two)), server(response("[" + result_json("2") + "," + error_json("1") + "]"))},
         canonical(two),
         response("[" + result_json("2") + "," + error_json("1") + "]"),
         2,
         0,
         0,
         {"c2s request tools/call ok allow", "c2s request tools/call ok allow", "s2c response tools/call ok pass ok",
          "s2c response tools/call ok pass error"}},
        {"ArrayWithOneDenied",
         {client(post(mixed))},
         "",
         answer(
             "[" + kDenied1 +
             R"~(,{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"[POLICY DENIED] Another message of this batch was denied."}],"isError":true,"_meta":{"io.callgate/decision":{"code":-31403,"rule":"(batch)","tool":"ok"}}}}])~"),
         0,
         3,
         0,
         {"c2s request tools/call bad deny /tools/bad/action", "c2s request tools/call ok deny (batch)",
          "c2s notification notifications/initialized deny (batch)"}},
        {"ArrayOfDeniedNotifications",
         {client(post("[" + kBadNotification + "]"))},
         "",
         "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
         0,
         1,
         0,
         {"c2s notification tools/call bad deny /tools/bad/action"}},
        // --- the server fails
        {"CannotConnect",
         {client(post(kOk1)), server_failed()},
         canonical(kOk1),
         text_answer("502 Bad Gateway", "callgate has no answer of the server to pass on: the server cannot be reached\n"),
         1,
         0,
         0,
         {"c2s request tools/call ok allow"},
         true},
        {"ClosesWithoutAnAnswer",
         {client(post(kOk1)), server_end()},
         canonical(kOk1),
         text_answer("502 Bad Gateway", "callgate has no answer of the server to pass on: it closed the connection\n"),
         1,
         0,
         0,
         {"c2s request tools/call ok allow"},
         true},
        {"ClosesWithinTheHead",
         {client(post(kOk1)), server("HTTP/1.1 200 OK\r\nContent-Le"), server_end()},
         canonical(kOk1),
         text_answer("502 Bad Gateway", "callgate has no answer of the server to pass on: it closed the connection\n"),
         1,
         0,
         0,
         {"c2s request tools/call ok allow"},
         true},
        {"ClosesWithinTheBody",
         {client(post(kOk1)), server(kDone1.substr(0, kDone1.size() - 3)), server_end()},
         canonical(kOk1),
         text_answer("502 Bad Gateway",
                     "callgate has no answer of the server to pass on: it closed the connection before the end\n"),
         1,
         0,
         0,
         {"c2s request tools/call ok allow"},
         true},
        {"ClosesBetween", {client(kHealth), server(response("up")), server_end()}, kHealth, response("up"), 0, 0, 0, {}, true},
        {"ErrorOfTheServerInHttp",
         {client(post(kOk1)), server(response("gone", "", "404 Not Found", "text/plain"))},
         canonical(kOk1),
         response("gone", "", "404 Not Found", "text/plain"),
         1,
         0,
         0,
         {"c2s request tools/call ok allow", "s2c response tools/call ok pass error"}},
        // --- other modes
        {"Shadow",
         {client(post(kBad1)), server(kDone1)},
         canonical(kBad1),
         kDone1,
         1,
         0,
         0,
         {"c2s request tools/call bad would_deny (default deny)", "s2c response tools/call bad pass ok"},
         false,
         R"({"version":"1","mode":"shadow","default":"deny"})"},
        {"Observe",
         {client(post(kBad1)), server(kDone1)},
         canonical(kBad1),
         kDone1,
         1,
         0,
         0,
         {"c2s request tools/call bad allow", "s2c response tools/call bad pass ok"},
         false,
         R"({"version":"1","mode":"observe","default":"deny"})"},
        {"DeniedAsError",
         {client(post(kBad1))},
         "",
         answer(
             R"~({"jsonrpc":"2.0","id":1,"error":{"code":-31403,"message":"[POLICY DENIED] Tool \"bad\" is not allowed by the policy.","data":{"rule":"(default deny)","tool":"bad"}}})~"),
         0,
         1,
         0,
         {"c2s request tools/call bad deny (default deny)"},
         false,
         R"({"version":"1","deny_as":"error","default":"deny"})"},
    };
}

// What the row says, of one wire that has been played.
void expect_row(const Case& wanted, HttpWorld& world, HttpWire& wire) {
    EXPECT_EQ(wire.to_server, wanted.to_server);
    EXPECT_EQ(wire.to_client, wanted.to_client);
    EXPECT_EQ(wire.gate->close_client(), wanted.closes);
    EXPECT_EQ(wire.gate->tunnel_reason(), wanted.tunnel);
    EXPECT_EQ(wire.gate->blind_reason(), wanted.blind);
    EXPECT_EQ(wire.gate->wants_server(), !wanted.to_server.empty() || !wanted.tunnel.empty());
    const FrameCounts counts = wire.gate->counts();
    EXPECT_EQ(counts.forwarded, wanted.forwarded);
    EXPECT_EQ(counts.denied, wanted.denied);
    EXPECT_EQ(counts.refused, wanted.refused);
    expect_conserved(counts);
    wire.gate.reset();
    std::vector<std::string> messages, events;
    for (const std::string& record : world.audit()) {
        if (record.starts_with("c2s") || record.starts_with("s2c"))
            messages.push_back(record);
        else if (!record.starts_with("session_") || record.starts_with("session_blind"))
            events.push_back(record);
    }
    EXPECT_EQ(messages, wanted.audit);
    EXPECT_EQ(events, wanted.events);
    EXPECT_TRUE(world.sessions_conserved());
}

TEST_P(HttpExchanges, InPiecesOfAnySize) {
    const Case& wanted = GetParam();
    for (const size_t piece : {size_t{0}, size_t{1}, size_t{3}, size_t{7}}) {
        SCOPED_TRACE("pieces of " + std::to_string(piece));
        HttpWorld world(wanted.policy);
        HttpWire wire(world, local_facts(), wanted.frame_bytes_max);
        for (const Step& step : wanted.steps) wire.play(step, piece);
        expect_row(wanted, world, wire);
        if (HasFailure()) return;
    }
}

// Another agent after each piece.
TEST_P(HttpExchanges, HandedOverAtAnyByte) {
    const Case& wanted = GetParam();
    size_t bytes = 0;
    for (const Step& step : wanted.steps) bytes += step.bytes.size();
    for (const size_t pieces : {size_t{1}, size_t{40}}) {
        const size_t piece = pieces == 1 ? bytes + 1 : std::max<size_t>(bytes / pieces, 1);
        SCOPED_TRACE("pieces of " + std::to_string(piece));
        HttpWorld world(wanted.policy);
        HttpWire wire(world, local_facts(), wanted.frame_bytes_max);
        hand_over(world, {&wire});
        for (const Step& step : wanted.steps) {
            size_t at = 0;
            do {
                wire.play({step.kind, step.bytes.substr(at, piece)});
                hand_over(world, {&wire});
                at += piece;
            } while (at < step.bytes.size() && !HasFailure());
        }
        expect_row(wanted, world, wire);
        if (HasFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(Ordinary, HttpExchanges, ::testing::ValuesIn(cases()), name_of_case);

}  // namespace
}  // namespace callgate
