// Requests that are refused: what two readers could read differently, what nobody here can read, what a call could hide in.
#include <zlib.h>

#include "http_exchange_table.h"
#include "jsonrpc/answer.h"

namespace callgate {
namespace {

const std::string kRefusedHttp = "c2s invalid refuse (http)";
const std::string kHead = "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";

// A request whose head is refused, right after one that is not.
Case head_row(const char* name, std::string head, std::string_view reason, std::string_view status = "400 Bad Request") {
    return {.name = name,
            .steps = {client(kHealth + head), server(response("up"))},
            .to_server = kHealth,
            .to_client = response("up") + refusal(status, reason),
            .refused = 1,
            .audit = {kRefusedHttp},
            .closes = true};
}

// A message that nobody gets, and what its sender is told.
Case message_row(const char* name, const std::string& json, std::string_view refusal, std::string_view said,
                 std::string_view id = {}, std::string_view kind_and_more = "c2s invalid refuse") {
    std::string body = R"({"jsonrpc":"2.0",)";
    if (!id.empty()) body.append("\"id\":").append(id).append(",");
    body.append(R"("error":{"code":)").append(said).append("}}");
    return {.name = name,
            .steps = {client(post(json) + post(kBad1))},
            .to_client = answer(body, "", id.empty() ? "400 Bad Request" : "200 OK") + answer(kDenied1),
            .denied = 1,
            .refused = 1,
            .audit = {std::string(kind_and_more) + " " + std::string(refusal), kBadIn}};
}
// What is wrong, as it is said to the client's author.
std::string told(int code, std::string_view kind, std::string_view refusal, size_t offset) {
    Refusal which = Refusal::none;
    while (name(which) != refusal) which = static_cast<Refusal>(static_cast<int>(which) + 1);
    std::string text;
    append_json_string(
        text, std::string(kind) + ": " + std::string(explanation(which)) + ". Refused by callgate before it reached the server.");
    return std::to_string(code) + R"(,"message":)" + text + R"(,"data":{"refused":")" + std::string(refusal) + R"(","offset":)" +
           std::to_string(offset) + "}";
}
std::string invalid(std::string_view refusal, size_t offset) { return told(-32600, "Invalid Request", refusal, offset); }
std::string parse_error(std::string_view refusal, size_t offset) { return told(-32700, "Parse error", refusal, offset); }

std::vector<Case> heads() {
    return {
        head_row("LengthAndCoding", kHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + post(kBad1),
                 "length_and_coding at byte 80"),
        head_row("TwoLengths", kHead + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "repeated_length at byte 80"),
        head_row("BareLineFeed", "POST /mcp HTTP/1.1\nHost: a\n\n", "bare_line_feed at byte 18"),
        head_row("FoldedLine", kHead + "X: 1\r\n Transfer-Encoding: chunked\r\n\r\n", "folded_line at byte 67"),
        head_row("SpaceBeforeColon", kHead + "Transfer-Encoding : chunked\r\n\r\n", "space_before_colon at byte 78"),
        head_row("UnknownCoding", kHead + "Transfer-Encoding: xchunked\r\n\r\n", "unknown_coding at byte 80",
                 "501 Not Implemented"),
        head_row("Lookalike", kHead + "Content_Length: 5\r\n\r\nhello", "lookalike_field at byte 61"),
        head_row("NoHost", "GET / HTTP/1.1\r\n\r\n", "no_host at byte 18"),
        head_row("OtherHost", "GET http://b/mcp HTTP/1.1\r\nHost: a\r\n\r\n", "host_mismatch at byte 33"),
        head_row("Http09", "GET /mcp\r\nHost: a\r\n\r\n", "bad_request_line at byte 0"),
        head_row("Garbage", "\x01\x02", "bad_method at byte 0"),
        {.name = "FirstOfAll",
         .steps = {client(kHead + "Content-Length: +5\r\n\r\nhello")},
         .to_client = refusal("400 Bad Request", "bad_length at byte 77"),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "LineFeedBeforeIt",
         .steps = {client("\n" + post(kBad1))},
         .to_client = refusal("400 Bad Request", "bare_line_feed at byte 0"),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "SpaceBeforeIt",
         .steps = {client(" " + post(kBad1))},
         .to_client = refusal("400 Bad Request", "leading_whitespace at byte 0"),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "EndsWithinTheHead",
         .steps = {client(kHead), client_end()},
         .to_client = refusal("400 Bad Request", "incomplete at byte 61"),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "EndsWithinTheBody",
         .steps = {client(post(kOk1).substr(0, 100)), client_end()},
         .to_client = refusal("400 Bad Request", "incomplete"),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "MalformedInShadow",
         .steps = {client("GET / HTTP/1.1\nHost: a\n\n"), server("HTTP/1.1 200 OK\n\n"), client("x")},
         .to_server = "GET / HTTP/1.1\nHost: a\n\nx",
         .to_client = "HTTP/1.1 200 OK\n\n",
         .forwarded = 1,
         .audit = {"c2s invalid would_deny (http)"},
         .policy = R"({"version":"1","mode":"shadow","default":"deny"})",
         .events = {"http_tunnel: malformed HTTP"},
         .tunnel = "malformed HTTP"},
    };
}
INSTANTIATE_TEST_SUITE_P(Heads, HttpExchanges, ::testing::ValuesIn(heads()), name_of_case);

std::vector<Case> messages() {
    const std::string long_id = "\"" + std::string(300, 'x') + "\"";
    const std::string wide_text = call_json("1", "bad");
    std::string wide;
    for (const char c : wide_text) wide += {c, '\0'};
    return {
        message_row("IdNull", call_json("null", "bad"), "invalid_id", invalid("invalid_id", 22)),
        message_row("IdFraction", call_json("1.5", "bad"), "invalid_id", invalid("invalid_id", 22)),
        message_row("IdExponent", call_json("1e2", "bad"), "invalid_id", invalid("invalid_id", 22)),
        message_row("IdTooLarge", call_json("9007199254740992", "bad"), "invalid_id", invalid("invalid_id", 22)),
        message_row("IdArray", call_json("[1]", "bad"), "invalid_id", invalid("invalid_id", 22)),
        message_row("IdTooLong", call_json(long_id, "bad"), "invalid_id", invalid("invalid_id", 22)),
        message_row("IdTwice", R"({"id":1,"id":2,"method":"tools/call"})", "duplicate_key", invalid("duplicate_key", 8)),
        message_row("MethodTwice", R"({"id":1,"method":"ping","method":"tools/call"})", "duplicate_key",
                    invalid("duplicate_key", 24), "1"),
        message_row("MethodEscapedTwice", R"({"id":1,"method":"ping","m\u0065thod":"tools/call"})", "duplicate_key",
                    invalid("duplicate_key", 24), "1"),
        message_row("NameTwice", R"({"id":"a\"b","method":"tools/call","params":{"name":"ok","name":"bad"}})", "duplicate_key",
                    invalid("duplicate_key", 57), R"("a\"b")"),
        // The first reading is no MCP; the last one, which most parsers take, is.
        message_row("OtherCallFirst",
                    R"({"id":1,"method":"eth_call","params":[1],"method":"tools/call","params":{"name":"bad"}})", "duplicate_key",
                    invalid("duplicate_key", 41), "1"),
        message_row("OtherCase", R"({"id":1,"method":"ping","Method":"tools/call"})", "protocol_key_case",
                    invalid("protocol_key_case", 24), "1"),
        message_row("TwoValues", kOk1 + kBad1, "trailing_bytes", parse_error("trailing_bytes", 69)),
        message_row("NulAtTheEnd", kOk1 + std::string(1, '\0'), "nul_byte", parse_error("nul_byte", 69)),
        message_row("ByteOrderMark", "\xef\xbb\xbf" + kBad1, "byte_order_mark", parse_error("byte_order_mark", 0), "1"),
        message_row("NotUtf8",
                    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ok)"
                    "\xff\"}}",
                    "invalid_utf8", parse_error("invalid_utf8", 66), "1"),
        message_row("Utf16", wide, "nul_byte", parse_error("nul_byte", 1)),
        message_row("Cut", kBad1.substr(0, 60), "incomplete", parse_error("incomplete", 60)),
        message_row("ArrayInAnArray", "[[" + kBad1 + "]]", "batch", invalid("batch", 0)),
        message_row("ArrayCut", "[" + kBad1, "incomplete", parse_error("incomplete", 71)),
        message_row("ArrayAndMore", "[" + kOk1 + "]" + kBad1, "trailing_bytes", parse_error("trailing_bytes", 71)),
    };
}
INSTANTIATE_TEST_SUITE_P(Messages, HttpExchanges, ::testing::ValuesIn(messages()), name_of_case);

// --- bodies -----------------------------------------------------------------------------------------------------------
std::string compressed(std::string_view text, int window) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(text.size() + 100, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(out.size() - stream.avail_out);
    deflateEnd(&stream);
    return out;
}
std::string gzip(std::string_view text) { return compressed(text, 15 + 16); }

std::string request(std::string_view start, std::string_view fields, std::string_view body) {
    return std::string(start) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
std::string request_out(std::string_view start, std::string_view fields, std::string_view body) {
    const std::string sent = request(start, fields, body);
    const size_t end = sent.find("\r\n\r\n") + 2;
    return sent.substr(0, end) + "accept-encoding: identity\r\n" + sent.substr(end);
}

// A request that is refused once it is complete; the connection goes on.
Case body_row(const char* name, std::string sent, std::string_view status, std::string_view reason) {
    return {.name = name,
            .steps = {client(sent + post(kBad1))},
            .to_client = refusal(status, reason, false) + answer(kDenied1),
            .denied = 1,
            .refused = 1,
            .audit = {kRefusedHttp, kBadIn}};
}
// A call that is judged, however it is sent.
Case judged_row(const char* name, std::string sent) {
    return {.name = name, .steps = {client(std::move(sent))}, .to_client = answer(kDenied1), .denied = 1, .audit = {kBadIn}};
}
// One that ends the connection.
Case cut_row(const char* name, std::string sent, std::string_view status, std::string_view reason) {
    return {.name = name,
            .steps = {client(sent + post(kBad1))},
            .to_client = refusal(status, reason),
            .refused = 1,
            .audit = {kRefusedHttp},
            .closes = true};
}

constexpr char kUnsupported[] = "415 Unsupported Media Type", kTooLong[] = "longer than a message may be";
const std::string kHidden = "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
constexpr char kHiddenReason[] = "a body that begins like a request", kHeldReason[] = "a body with a request in it";

std::string until(const std::string& text, std::string_view part) { return text.substr(0, text.find(part)); }

std::vector<Case> bodies() {
    const std::string chunked_head = kHead + "Transfer-Encoding: chunked\r\n\r\n";
    const std::string upload_head = "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    const std::string big = R"({"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":")" + std::string(2000, 'x') + "\"}}";
    std::string many = "[";
    for (size_t i = 0; i <= kBatchMessagesMax; ++i) many += (i ? ",{" : "{") + std::string(R"("jsonrpc":"2.0","method":"ping"})");
    many += "]";
    return {
        // --- however it is sent, it is the same call
        judged_row("TextPlain", request("POST /mcp", "Content-Type: text/plain\r\n", kBad1)),
        judged_row("NoContentType", request("POST /", "", kBad1)),
        judged_row("Form", request("POST /x", "Content-Type: application/x-www-form-urlencoded\r\n", kBad1)),
        judged_row("Latin1ThatIsAscii", request("POST /x", "Content-Type: text/plain\r\n", "\r\n \t" + kBad1)),
        judged_row("Put", request("PUT /mcp", "", kBad1)),
        judged_row("Get", request("GET /mcp", "", kBad1)),
        judged_row("Delete", request("DELETE /mcp", "", kBad1)),
        judged_row("OtherMethod", request("QUERY /mcp", "", kBad1)),
        judged_row("WithoutJsonRpc", post(R"({"id":1,"method":"tools/call","params":{"name":"bad"}})")),
        {.name = "OwnMethodWithoutJsonRpc",
         .steps = {client(post(R"({"id":1,"method":"acme/run","params":{"tool":"bad"}})"))},
         .to_client = answer(
             R"({"jsonrpc":"2.0","id":1,"error":{"code":-31403,"message":"[POLICY DENIED] No.","data":{"rule":"/tools/bad/action"}}})"),
         .denied = 1,
         .audit = {"c2s request acme/run deny /tools/bad/action"},
         .policy = R"({"version":"1","default":"allow","tools":{"bad":{"action":"deny","reason":"No."}},
                       "call_methods":{"acme/run":"params.tool"}})"},
        {.name = "OthersMethodWithoutJsonRpc",
         .steps = {client(post(R"({"id":1,"method":"acme/run","params":{"tool":"bad"}})")), server(response("{}"))},
         .to_server = post(R"({"id":1,"method":"acme/run","params":{"tool":"bad"}})"),
         .to_client = response("{}")},
        judged_row("AbsoluteTarget", request("POST http://a/mcp", "", kBad1)),
        judged_row("Gzip", request("POST /mcp", "Content-Encoding: gzip\r\n", gzip(kBad1))),
        judged_row("ManyBlanks", request("POST /mcp", "", std::string(1500, ' ') + kBad1)),
        {.name = "GzipAllowed",
         .steps = {client(request("POST /mcp", "X: 1\r\nContent-Encoding: gzip\r\nDigest: x\r\n", gzip(kOk1))), server(kDone1)},
         .to_server = request_out("POST /mcp", "X: 1\r\n", kOk1),
         .to_client = kDone1,
         .forwarded = 1,
         .audit = {kOkIn, kOkDone}},
        {.name = "GzipOther",
         .steps = {client(request("PUT /a", "Content-Encoding: gzip\r\n", gzip("hello"))), server(response(""))},
         .to_server = request("PUT /a", "Content-Encoding: gzip\r\n", gzip("hello")),
         .to_client = response("")},
        // --- what cannot be read
        body_row("Brotli", request("POST /mcp", "Content-Encoding: br\r\n", "xx"), kUnsupported,
                 "a Content-Encoding that cannot be read here"),
        body_row("GzipTwice", request("POST /mcp", "Content-Encoding: gzip, gzip\r\n", gzip(gzip(kBad1))), kUnsupported,
                 "a Content-Encoding that cannot be read here"),
        body_row("NotGzip", request("POST /mcp", "Content-Encoding: gzip\r\n", kBad1), kUnsupported,
                 "a compressed body that cannot be read, or is too long"),
        body_row("GzipAndMore", request("POST /mcp", "Content-Encoding: gzip\r\n", gzip(kOk1) + gzip(kBad1)), kUnsupported,
                 "a compressed body that cannot be read, or is too long"),
        body_row("RawDeflate", request("POST /mcp", "Content-Encoding: deflate\r\n", compressed(kBad1, -15)), kUnsupported,
                 "a compressed body that cannot be read, or is too long"),
        body_row("Utf16Said", request("POST /mcp", "Content-Type: application/json; charset=utf-16le\r\n", kBad1), kUnsupported,
                 "a charset other than UTF-8"),
        body_row("Latin1Json", request("POST /mcp", "Content-Type: application/json; charset=iso-8859-1\r\n", kBad1),
                 kUnsupported, "a charset other than UTF-8"),
        body_row("Utf7", request("POST /mcp", "Content-Type: text/plain; charset=utf-7\r\n", "+AHs-"), kUnsupported,
                 "a charset other than UTF-8"),
        body_row("Ebcdic", request("POST /mcp", "Content-Type: text/plain;charset=\"cp037\"\r\n", "\xc0\x7f"), kUnsupported,
                 "a charset other than UTF-8"),
        body_row("CharsetInPieces",
                 request("POST /mcp", "Content-Type: application/json; charset*0=utf-; charset*1=7\r\n", "+AHs-"), kUnsupported,
                 "a charset other than UTF-8"),
        {.name = "Latin1Text",
         .steps = {client(request("PUT /a", "Content-Type: text/plain; charset=ISO-8859-1\r\n", "h\xe9")), server(response(""))},
         .to_server = request("PUT /a", "Content-Type: text/plain; charset=ISO-8859-1\r\n", "h\xe9"),
         .to_client = response("")},
        body_row("TwoContentTypes", request("POST /mcp", "Content-Type: text/plain\r\nContent-Type: application/json\r\n", kBad1),
                 "400 Bad Request", "Content-Type occurs twice"),
        body_row("TwoSessions", post(kOk1, "Mcp-Session-Id: a\r\nMCP-SESSION-ID: b\r\n"), "400 Bad Request",
                 "a field of MCP occurs twice"),
        body_row("TwoMethods", post(kOk1, "Mcp-Method: tools/list\r\nMcp-Method: tools/call\r\n"), "400 Bad Request",
                 "a field of MCP occurs twice"),
        body_row("TwoSessionsWithoutABody", "DELETE /mcp HTTP/1.1\r\nHost: a\r\nMcp-Session-Id: a\r\nMcp-Session-Id: b\r\n\r\n",
                 "400 Bad Request", "a field of MCP occurs twice"),
        cut_row("TwoSessionsAndExpect", post(kOk1, "Mcp-Session-Id: a\r\nMcp-Session-Id: b\r\nExpect: 100-continue\r\n"),
                "400 Bad Request", "a field of MCP occurs twice"),
        // --- chunks
        cut_row("ChunkJunk", chunked_head + "5\r\n{\"a\":zz", "400 Bad Request", "bad_chunk_end"),
        cut_row("ChunkExtension", chunked_head + "5;x=1\r\n{\"a\":", "400 Bad Request", "chunk_extension"),
        cut_row("ChunkSizeWithZeroX", chunked_head + "0x5\r\n{\"a\":", "400 Bad Request", "bad_chunk_size"),
        {.name = "ChunkJunkInAnUpload",
         .steps = {client(upload_head + "5\r\nhello\r\nzz")},
         .to_server = upload_head + "5\r\nhello\r\n",
         .to_client = refusal("400 Bad Request", "bad_chunk_size"),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        // --- too long
        {.name = "Announced",
         .steps = {client(kHead + "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")},
         .to_client = refusal("413 Content Too Large", kTooLong),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true,
         .frame_bytes_max = 1000},
        {.name = "Grown",
         .steps = {client(chunked_head + chunk(big))},
         .to_client = refusal("413 Content Too Large", kTooLong),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true,
         .frame_bytes_max = 1000},
        {.name = "Inflated",
         .steps = {client(request("POST /mcp", "Content-Encoding: gzip\r\n", gzip(big)))},
         .to_client = refusal(kUnsupported, "a compressed body that cannot be read, or is too long", false),
         .refused = 1,
         .audit = {kRefusedHttp},
         .frame_bytes_max = 1000},
        {.name = "UploadMayBe",
         .steps = {client(request("PUT /a", "", std::string(3000, 'x'))), server(response(""))},
         .to_server = request("PUT /a", "", std::string(3000, 'x')),
         .to_client = response(""),
         .frame_bytes_max = 1000},
        message_row("TooManyMessages", many, "too_many_members", invalid("too_many_members", 1 + kBatchMessagesMax * 34)),
        // --- a body that the server may leave unread, to go on reading where it begins
        body_row("RequestInABody", request("GET /health", "", kHidden), "400 Bad Request", kHiddenReason),
        {.name = "RequestInALongBody",
         .steps = {client(request("PUT /a", "", kHidden + std::string(1000, 'x')))},
         .to_client = refusal("400 Bad Request", kHiddenReason),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true,
         .frame_bytes_max = 1000},
        body_row("RequestInAWholeBody", request("GET /health", "Content-Type: application/json\r\n", kHidden), "400 Bad Request",
                 kHiddenReason),
        body_row("RequestBehindBlanks", request("POST /other", "", " \x1c\r\t" + kHidden), "400 Bad Request", kHiddenReason),
        body_row("RequestSplitOtherwise", request("POST /other", "", "POST\xa0\x1f/mcp\vHTTP/1.1\r\n\r\n"), "400 Bad Request",
                 kHiddenReason),
        {.name = "RequestBehindRubbish",
         .steps = {client(request("GET /health", "", "rubbish\r\n\r\n" + kHidden))},
         .to_server = until(request("GET /health", "", "rubbish\r\n\r\n" + kHidden), "/mcp HTTP/1.1"),
         .to_client = refusal("400 Bad Request", kHeldReason),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "RequestInAChunk",
         .steps = {client(upload_head + chunk("\r\n" + kHidden) + kLastChunk)},
         .to_server = upload_head + "36\r\n\r\nPOST /mcp HTTP",
         .to_client = refusal("400 Bad Request", kHeldReason),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "RequestInALaterChunk",
         .steps = {client(upload_head + chunk("hello") + chunk("\r\n" + kHidden) + kLastChunk)},
         .to_server = upload_head + chunk("hello") + "36\r\n\r\nPOST /mcp HTTP",
         .to_client = refusal("400 Bad Request", kHeldReason),
         .refused = 1,
         .audit = {kRefusedHttp},
         .closes = true},
        {.name = "RequestInAFile",
         .steps = {client(request("PUT /a", "", "rubbish\r\n\r\n" + kHidden)), server(response(""))},
         .to_server = request("PUT /a", "", "rubbish\r\n\r\n" + kHidden),
         .to_client = response("")},
        {.name = "RequestInABodyInShadow",
         .steps = {client(request("GET /health", "", kHidden)), server(response("up"))},
         .to_server = request("GET /health", "", kHidden),
         .to_client = response("up"),
         .policy = R"({"version":"1","mode":"shadow","default":"deny"})"},
        {.name = "LooksLikeARequest",
         .steps = {client(request("PUT /a", "", "GET /a of HTTP/1.1 and more")), server(response("")),
                   client(request("PUT /a", "", "GET /a")), server(response(""))},
         .to_server = request("PUT /a", "", "GET /a of HTTP/1.1 and more") + request("PUT /a", "", "GET /a"),
         .to_client = response("") + response("")},
        // --- a protocol that nobody here can read
        {.name = "UpgradeIsNotAskedFor",
         .steps = {client("GET / HTTP/1.1\r\nHost: a\r\n" + h2c + "X: 1\r\n\r\n"), server(response("up"))},
         .to_server = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nconnection: keep-alive\r\n\r\n",
         .to_client = response("up")},
        {.name = "UpgradeWithABody",
         .steps = {client(request("PUT /a", h2c, "hello")), server(response("up"))},
         .to_server = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nconnection: keep-alive\r\n\r\nhello",
         .to_client = response("up")},
        {.name = "UpgradeOfAMessage",
         .steps = {client(post(kOk1, h2c)), server(kDone1)},
         .to_server = canonical(kOk1),
         .to_client = kDone1,
         .forwarded = 1,
         .audit = {kOkIn, kOkDone}},
        // --- without enforcement everything goes on whole
        {.name = "BrotliInShadow",
         .steps = {client(request("POST /mcp", "Content-Encoding: br\r\n", "xx" + kBad1)), server(response(""))},
         .to_server = request("POST /mcp", "Content-Encoding: br\r\n", "xx" + kBad1),
         .to_client = response(""),
         .forwarded = 1,
         .audit = {"c2s invalid would_deny (http)"},
         .policy = R"({"version":"1","mode":"shadow","default":"deny"})"},
        {.name = "TooLongInShadow",
         .steps = {client(chunked_head + chunk(big) + kLastChunk), server(response(""))},
         .to_server = chunked_head + chunk(big) + kLastChunk,
         .to_client = response(""),
         .forwarded = 1,
         .audit = {"c2s invalid would_deny (http)"},
         .policy = R"({"version":"1","mode":"shadow","default":"deny"})",
         .frame_bytes_max = 1000},
        {.name = "ChunkJunkInShadow",
         .steps = {client(chunked_head + "5\r\n{\"a\":zz"), server("HTTP/1.1 400 Bad Request\r\n\r\n")},
         .to_server = chunked_head + "5\r\n{\"a\":zz",
         .to_client = "HTTP/1.1 400 Bad Request\r\n\r\n",
         .forwarded = 1,
         .audit = {"c2s invalid would_deny (http)"},
         .policy = R"({"version":"1","mode":"shadow","default":"deny"})",
         .events = {"http_tunnel: malformed HTTP"},
         .tunnel = "malformed HTTP"},
    };
}
INSTANTIATE_TEST_SUITE_P(Bodies, HttpExchanges, ::testing::ValuesIn(bodies()), name_of_case);

}  // namespace
}  // namespace callgate
