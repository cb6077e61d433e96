// Servers that answer too early, too much, not at all, or so that two readers could read it differently.
#include "http_exchange_table.h"

namespace callgate {
namespace {

const std::string kUnasked = "http_cut: the server sent what nobody asked for";
const std::string kOk = "HTTP/1.1 200 OK\r\n";

// A call, and an answer of the server that nobody gets.
Case bad_row(const char* name, std::string from_server, std::string_view why) {
    return {.name = name, .steps = {client(post(kOk1)), server(std::move(from_server))}, .to_server = canonical(kOk1), .to_client = bad_gateway(why),
            .forwarded = 1, .audit = {kOkIn}, .closes = true};
}
// What is not judged, and an answer that passes as it is, though nobody knows where it ends: it is the connection's last.
Case untracked_row(const char* name, const std::string& from_server) {
    return {.name = name, .steps = {client(kHealth), server(from_server + "more"), client("G")}, .to_server = kHealth,
            .to_client = from_server + "more", .closes = true};
}

std::vector<Case> rows() {
    const std::string both = kOk + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    const std::string other = answer(kDenied1);
    const std::string early = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n", hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    const std::string kOkFailed = "s2c response tools/call ok pass error";
    return {
        bad_row("LengthAndCoding", both, "length_and_coding"),
        bad_row("TwoLengths", kOk + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}", "repeated_length"),
        bad_row("BareLineFeed", "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", "bare_line_feed"),
        bad_row("NotHttp", "hello", "bad_status_line"),
        bad_row("HeadTooLong", kOk + "X: " + std::string(kHttpHeadBytesMax, 'x'), "head_too_long"),
        bad_row("ChunkJunk", kOk + "Transfer-Encoding: chunked\r\n\r\nzz", "bad_chunk_size"),
        bad_row("SwitchesUnasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "it changes to a protocol that nobody asked for"),
        untracked_row("ForeignLengthAndCoding", both),
        untracked_row("ForeignBareLineFeed", "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
        untracked_row("ForeignNotHttp", "hello"),
        untracked_row("ForeignChunkJunk", kOk + "Transfer-Encoding: chunked\r\n\r\nzz"),
        {.name = "ForeignSwitchesUnasked", .steps = {client(kHealth), server("HTTP/1.1 101 Switching Protocols\r\n\r\nmore"), client("G")},
         .to_server = kHealth, .to_client = "HTTP/1.1 101 Switching Protocols\r\n\r\nmore", .closes = true},
        // --- more than was asked for: it would be taken for the answer to what is asked next
        {.name = "SecondAnswer", .steps = {client(post(kOk1)), server(kDone1 + other), client(kHealth)}, .to_server = canonical(kOk1), .to_client = kDone1,
         .forwarded = 1, .audit = {kOkIn, kOkDone}, .closes = true, .events = {kUnasked}},
        {.name = "LengthTooShort", .steps = {client(post(kOk1)), server(kOk + "Content-Length: 2\r\n\r\n{}}"), client(kHealth)}, .to_server = canonical(kOk1),
         .to_client = kOk + "Content-Length: 2\r\n\r\n{}", .forwarded = 1, .audit = {kOkIn}, .closes = true, .events = {kUnasked}},
        {.name = "LengthTooLong", .steps = {client(post(kOk1)), server(kOk + "Content-Length: 9\r\n\r\n{}"), client(kHealth), server_end()}, .to_server = canonical(kOk1),
         .to_client = bad_gateway("it closed the connection before the end"), .forwarded = 1, .audit = {kOkIn}, .closes = true},
        {.name = "BodyBehindHead", .steps = {client("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), server(kOk + "Content-Length: 2\r\n\r\n"), server("up"), client(kHealth)},
         .to_server = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", .to_client = kOk + "Content-Length: 2\r\n\r\n", .closes = true, .events = {kUnasked}},
        {.name = "BodyBehind304", .steps = {client(kHealth), server("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"), server("up")}, .to_server = kHealth,
         .to_client = "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", .closes = true, .events = {kUnasked}},
        {.name = "AnswerBeforeAnyRequest", .steps = {server(kDone1), client(post(kOk1))}, .closes = true, .events = {kUnasked}},
        {.name = "AnswerWhileTheRequestIsHeld", .steps = {client(post(kOk1).substr(0, 100)), server(early)}, .closes = true, .events = {kUnasked}},
        {.name = "AnswerAfterADenial", .steps = {client(post(kBad1)), server(kDone1)}, .to_client = answer(kDenied1), .denied = 1, .audit = {kBadIn},
         .closes = true, .events = {kUnasked}},
        // --- 1xx
        {.name = "ManyInterim", .steps = {client(post(kOk1)), server(interim + interim + hints + hints + kDone1)}, .to_server = canonical(kOk1),
         .to_client = hints + hints + kDone1, .forwarded = 1, .audit = {kOkIn, kOkDone}},
        {.name = "InterimForHttp10", .steps = {client("GET / HTTP/1.0\r\n\r\n"), server(hints + "HTTP/1.0 200 OK\r\n\r\nup"), server_end()},
         .to_server = "GET / HTTP/1.0\r\n\r\n", .to_client = "HTTP/1.0 200 OK\r\n\r\nup", .closes = true},
        {.name = "ContinueOfTheServer", .steps = {client("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"), client("hi"), server(interim + response(""))},
         .to_server = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi", .to_client = interim + response("")},
        {.name = "OnlyInterim", .steps = {client(post(kOk1)), server(hints), server_end()}, .to_server = canonical(kOk1),
         .to_client = hints + bad_gateway("it closed the connection"), .forwarded = 1, .audit = {kOkIn}, .closes = true},
        // --- no answer to a message in there
        {.name = "NoContent", .steps = {client(post(kNotification) + kHealth), server("HTTP/1.1 204 No Content\r\n\r\n"), server(response("up"))},
         .to_server = canonical(kNotification) + kHealth, .to_client = "HTTP/1.1 204 No Content\r\n\r\n" + response("up"), .forwarded = 1,
         .audit = {"c2s notification notifications/initialized allow"}},
        {.name = "Redirected", .steps = {client(post(kOk1)), server(answer("", "Location: /mcp/\r\n", "307 Temporary Redirect"))}, .to_server = canonical(kOk1),
         .to_client = answer("", "Location: /mcp/\r\n", "307 Temporary Redirect"), .forwarded = 1, .audit = {kOkIn, kOkFailed}},
        {.name = "ErrorWithABody", .steps = {client(post(kOk1)), server(answer(error_json("1", -32600), "", "400 Bad Request"))}, .to_server = canonical(kOk1),
         .to_client = answer(error_json("1", -32600), "", "400 Bad Request"), .forwarded = 1, .audit = {kOkIn, kOkFailed}},
        {.name = "AnotherId", .steps = {client(post(kOk1)), server(answer(result_json("2")))}, .to_server = canonical(kOk1), .to_client = answer(result_json("2")),
         .forwarded = 1, .audit = {kOkIn, "s2c response pass ok"}},
        {.name = "IdAsAString", .steps = {client(post(call_json("\"1\"", "ok"))), server(kDone1)}, .to_server = canonical(call_json("\"1\"", "ok")), .to_client = kDone1,
         .forwarded = 1, .audit = {kOkIn, "s2c response pass ok"}},
        {.name = "NoMessage", .steps = {client(post(kOk1)), server(answer("It works!\n", "", "200 OK"))}, .to_server = canonical(kOk1), .to_client = answer("It works!\n"),
         .forwarded = 1, .audit = {kOkIn}},
        // --- events
        {.name = "EventsToHttp10", .steps = {client("POST /mcp HTTP/1.0\r\nContent-Length: 69\r\n\r\n" + kOk1), server(kEventsHead + chunk(sse(result_json("1"))) + kLastChunk)},
         .to_server = "POST /mcp HTTP/1.0\r\nContent-Length: 69\r\naccept-encoding: identity\r\n\r\n" + kOk1,
         .to_client = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + sse(result_json("1")), .forwarded = 1,
         .audit = {kOkIn, kOkDone}, .closes = true},
        {.name = "EventsBreakOff", .steps = {client(post(kOk1)), server(kEventsHead + chunk(": hi\n")), server_end()}, .to_server = canonical(kOk1),
         .to_client = kEventsHead + chunk(": hi\n"), .forwarded = 1, .audit = {kOkIn}, .closes = true},
        {.name = "ChunkJunkInEvents", .steps = {client(post(kOk1)), server(kEventsHead + chunk(": hi\n") + "zz")}, .to_server = canonical(kOk1),
         .to_client = kEventsHead + chunk(": hi\n"), .forwarded = 1, .audit = {kOkIn}, .closes = true},
    };
}
INSTANTIATE_TEST_SUITE_P(Responses, HttpExchanges, ::testing::ValuesIn(rows()), name_of_case);

}  // namespace
}  // namespace callgate
