// tools/list without the tools that a policy hides: in JSON and in events, with every other byte as the server sent it.
#include "http_exchange_table.h"

namespace callgate {
namespace {

const std::string kJsonChunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
const char* const kHidesNothing = R"({"version":"1","default":"allow"})";

// The one request of these rows, and what the server's answer becomes.
Case row(const char* name, std::string from_server, std::string to_client) {
    return {.name = name,
            .steps = {client(post(kList1)), server(std::move(from_server))},
            .to_server = canonical(kList1),
            .to_client = std::move(to_client),
            .forwarded = 1,
            .audit = {kListIn, kListDone}};
}
Case closing(Case made) {
    made.closes = true;
    return made;
}
Case ended(Case made) {
    made.steps.push_back(server_end());
    return closing(std::move(made));
}
Case unmatched(Case made) {
    made.audit = {kListIn};
    return made;
}
Case with_policy(Case made, const char* policy) {
    made.policy = policy;
    return made;
}
Case with_limit(Case made, size_t bytes) {
    made.frame_bytes_max = bytes;
    return made;
}

std::vector<Case> in_json() {
    const std::string pretty =
        "\n{\r\n \"jsonrpc\": \"2.0\",\n\t\"id\": 1 ,\"result\": {\"nextCursor\":\"\\u0041\", \"tools\": [ {\"name\": \"a\\/b\"} ,\n"
        "{\"inputSchema\":{\"type\":\"object\"},\"name\":\"s\\u0065cret\"},{\"name\":\"ok\" } ], \"ttlMs\":1, \"cacheScope\":\"public\"}}\r\n\r\n";
    const std::string pretty_out =
        "\n{\r\n \"jsonrpc\": \"2.0\",\n\t\"id\": 1 ,\"result\": {\"nextCursor\":\"\\u0041\", \"tools\": [ {\"name\": \"a\\/b\"}"
        ",{\"name\":\"ok\" } ], \"ttlMs\":1, \"cacheScope\":\"private\"}}\r\n\r\n";
    const std::string gzipped =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b";
    const std::string only_hidden = R"({"jsonrpc":"2.0","id":1,"result":{"tools":[ {"name":"secret"} ]}})";
    const std::string only_hidden_out = R"({"jsonrpc":"2.0","id":1,"result":{"tools":[  ]}})";
    return {
        row("Filtered", response(kUnfiltered1, "ETag: \"x\"\r\nX-More: 1\r\n"), response(kFiltered1, "X-More: 1\r\n")),
        row("NothingHidden", response(kFiltered1, "ETag: \"x\"\r\n"), response(kFiltered1, "ETag: \"x\"\r\n")),
        row("OnlyHidden", response(only_hidden), response(only_hidden_out)),
        row("Pretty", response(pretty), response(pretty_out)),
        row("Chunked", kJsonChunked + chunk(kUnfiltered1.substr(0, 50)) + chunk(kUnfiltered1.substr(50)) + kLastChunk,
            response(kFiltered1)),
        row("ChunkedAsItCame",
            kJsonChunked + "5;x=1\r\n" + kFiltered1.substr(0, 5) + "\r\n" + chunk(kFiltered1.substr(5)) + "0\r\nX: 1\r\n\r\n",
            kJsonChunked + "5;x=1\r\n" + kFiltered1.substr(0, 5) + "\r\n" + chunk(kFiltered1.substr(5)) + "0\r\nX: 1\r\n\r\n"),
        ended(row("UntilClose", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + kUnfiltered1,
                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(kFiltered1.size()) +
                      "\r\nConnection: close\r\n\r\n" + kFiltered1)),
        closing(row("ServerCloses", response(kUnfiltered1, "Connection: close\r\n"),
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(kFiltered1.size()) +
                        "\r\nConnection: close\r\n\r\n" + kFiltered1)),
        row("UnderAnotherType", response(kUnfiltered1, "", "200 OK", "text/plain"),
            response(kFiltered1, "", "200 OK", "text/plain")),
        row("WithoutAType",
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kUnfiltered1.size()) + "\r\n\r\n" + kUnfiltered1,
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kFiltered1.size()) + "\r\n\r\n" + kFiltered1),
        // The id is not the request's: it may answer one from before we were there.
        {.name = "OfAnotherRequest",
         .steps = {client(post(kList1)), server(response(R"({"jsonrpc":"2.0","id":9,"result":{"tools":[{"name":"secret"}]}})"))},
         .to_server = canonical(kList1),
         .to_client = response(R"({"jsonrpc":"2.0","id":9,"result":{"tools":[]}})"),
         .forwarded = 1,
         .audit = {kListIn, "s2c response pass ok"}},
        row("InAnArray", response("[ " + kUnfiltered1 + " ,{}]"), response("[ " + kFiltered1 + " ,{}]")),
        closing(unmatched(row("Compressed", gzipped, bad_gateway("it is compressed")))),
        with_policy(unmatched(row("CompressedWithoutNeed", gzipped, gzipped)), kHidesNothing),
        closing(with_limit(unmatched(row("TooLong", response(kUnfiltered1 + std::string(1000, ' ')),
                                         bad_gateway("it is longer than a message may be"))),
                           500)),
        with_limit(with_policy(unmatched(row("TooLongWithoutNeed", response(kUnfiltered1 + std::string(1000, ' ')),
                                             response(kUnfiltered1 + std::string(1000, ' ')))),
                               kHidesNothing),
                   500),
        // Which of two that share an id an answer is for is not known.
        {.name = "OfAnIdThatIsUsedTwice",
         .steps = {client(post("[" + kOk1 + "," + kList1 + "]")),
                   server(response("[" + kUnfiltered1 + "," + result_json("1") + "]"))},
         .to_server = canonical("[" + kOk1 + "," + kList1 + "]"),
         .to_client = response("[" + kFiltered1 + "," + result_json("1") + "]"),
         .forwarded = 2,
         .audit = {kOkIn, kListIn, kOkDone, kListDone}},
        // What is hidden is only hidden in lists.
        {.name = "ResultOfACall",
         .steps = {client(post(kOk1)), server(response(kUnfiltered1))},
         .to_server = canonical(kOk1),
         .to_client = response(kUnfiltered1),
         .forwarded = 1,
         .audit = {kOkIn, kOkDone}},
        with_policy(row("InShadow", response(kUnfiltered1), response(kUnfiltered1)),
                    R"({"version":"1","mode":"shadow","default":"deny","hide":["secret"]})"),
    };
}
INSTANTIATE_TEST_SUITE_P(ListsInJson, HttpExchanges, ::testing::ValuesIn(in_json()), name_of_case);

std::vector<Case> in_events() {
    const std::string to_close = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    const std::string lengthy = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: ";
    const std::string priming = "id: 1\ndata: \n\n",
                      progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    const std::string list = "event: message\nid: 2\n: x\ndata: " + kUnfiltered1 + "\nretry: 5\n\n";
    const std::string list_out = "event: message\nid: 2\n: x\ndata: " + kFiltered1 + "\nretry: 5\n\n";
    const std::string many_lines =
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\r\ndata: \"result\":{\"tools\":[{\"name\":\"secret\"},\rdata:{\"name\":\"ok\"}]}}\r\n\r\n";
    const std::string many_lines_out =
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{\"tools\":[{\"name\":\"ok\"}]}}\n\r\n";
    const std::string kProgress = "s2c notification notifications/progress pass";
    Case with_progress =
        row("OthersStay", kEventsHead + chunk(priming + progress + ": ping\n\n" + list) + kLastChunk,
            kEventsHead + chunk(priming) + chunk(progress) + chunk(": ping\n") + chunk("\n") + chunk(list_out) + kLastChunk);
    with_progress.audit = {kListIn, kProgress, kListDone};
    return {
        row("InOneEvent", kEventsHead + chunk(list) + kLastChunk, kEventsHead + chunk(list_out) + kLastChunk),
        with_progress,
        row("InManyChunks",
            kEventsHead + chunk(list.substr(0, 9)) + chunk(list.substr(9, 40)) + chunk(list.substr(49)) + kLastChunk,
            kEventsHead + chunk(list_out) + kLastChunk),
        row("InManyLines", kEventsHead + chunk(many_lines.substr(0, many_lines.size() - 1)) + kLastChunk,
            kEventsHead + chunk(many_lines_out.substr(0, many_lines_out.size() - 1)) + kLastChunk),
        ended(row("UntilCloseOfEvents", to_close + list + progress.substr(0, 9), to_close + list_out + progress.substr(0, 9))),
        row("WithALength", lengthy + std::to_string(list.size()) + "\r\n\r\n" + list, kEventsHead + chunk(list_out) + kLastChunk),
        row("CutShort", kEventsHead + chunk(list.substr(0, list.size() - 1)) + kLastChunk,
            kEventsHead + chunk("event: message\nid: 2\n: x\ndata: " + kFiltered1 + "\nretry: 5\n\n") + kLastChunk),
        closing(unmatched(row("CompressedEvents",
                              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: br\r\n\r\nxx",
                              bad_gateway("it is compressed")))),
        // Nobody can say what is in it: the stream ends.
        closing(with_limit(unmatched(row("EventTooLong", kEventsHead + chunk(priming) + chunk("data: " + std::string(600, 'x')),
                                         kEventsHead + chunk(priming))),
                           500)),
        closing(with_limit(
            unmatched(row("LastEventTooLong", kEventsHead + chunk(priming) + chunk("data: " + std::string(493, 'x')) + kLastChunk,
                          kEventsHead + chunk(priming))),
            500)),
    };
}
INSTANTIATE_TEST_SUITE_P(ListsInEvents, HttpExchanges, ::testing::ValuesIn(in_events()), name_of_case);

// --- events go out in the pieces that they come in: compared without the chunks ---------------------------------------
std::string payload_of(std::string_view chunks) {
    std::string out;
    while (!chunks.empty()) {
        const size_t line = chunks.find("\r\n");
        const size_t size = std::stoul(std::string(chunks.substr(0, line)), nullptr, 16);
        out.append(chunks.substr(line + 2, size));
        chunks.remove_prefix(line + 2 + size + 2);
    }
    return out;
}

TEST(HttpLists, LongEventWithoutHiddenToolsPassesAsItComes) {
    const std::string event = "data: " + std::string(600, 'x') + "\n\n", next = sse(result_json("1"));
    for (const size_t piece : {size_t{0}, size_t{1}, size_t{3}, size_t{7}}) {
        HttpWorld world(kHidesNothing);
        HttpWire wire(world, local_facts(), 500);
        wire.play(client(post(kOk1)), piece);
        wire.play(server(kEventsHead + chunk(event + next) + kLastChunk), piece);
        ASSERT_TRUE(wire.to_client.starts_with(kEventsHead));
        ASSERT_TRUE(wire.to_client.ends_with(kLastChunk));
        EXPECT_EQ(payload_of(std::string_view(wire.to_client).substr(kEventsHead.size())), event + next);
        EXPECT_EQ(wire.gate->counts().server_in, 1u);
        wire.gate.reset();
        EXPECT_THAT(world.audit(), ::testing::Contains(kOkDone));
    }
}

// What may not reach the client is answered in the server's place, in JSON and in an event.
struct Denied {
    const char* name;
    std::string request, from_server, policy, answer;
};

TEST(HttpResponses, ThatAreDeniedAreAnsweredInTheServersPlace) {
    const std::string unreadable = R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret","n":NaN},{"name":"ok"}]}})";
    const std::string asking =
        R"({"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"sampling/createMessage","params":{}}}}})";
    const std::vector<Denied> rows{{"list", kList1, unreadable, R"({"version":"1","default":"allow","hide":["secret"]})",
                                    R"({"jsonrpc":"2.0","id":1,"error":{"code":-31403,)"},
                                   {"input request", kOk1, asking,
                                    R"({"version":"1","default":"allow","methods":{"sampling/createMessage":{"action":"deny"}}})",
                                    R"({"jsonrpc":"2.0","id":1,"result":{"content":[)"}};
    for (const Denied& row : rows) {
        for (const bool in_event : {false, true}) {
            HttpWorld world(row.policy.c_str());
            HttpWire wire(world);
            wire.play(client(post(row.request)));
            wire.play(server(in_event ? kEventsHead + chunk(sse(row.from_server)) + kLastChunk : response(row.from_server)));
            EXPECT_THAT(wire.to_client, ::testing::HasSubstr((in_event ? "data: " : "\r\n\r\n") + row.answer)) << row.name;
            EXPECT_THAT(wire.to_client, ::testing::Not(::testing::HasSubstr("secret"))) << row.name;
            EXPECT_THAT(wire.to_client, ::testing::Not(::testing::HasSubstr("sampling/createMessage\""))) << row.name;
            EXPECT_EQ(wire.gate->counts().server_denied, 1u) << row.name;
            EXPECT_TRUE(wire.gate->counts().conserved()) << row.name;
        }
    }
}

}  // namespace
}  // namespace callgate
