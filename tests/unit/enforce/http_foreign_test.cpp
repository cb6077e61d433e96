// Connections that are no HTTP, or do not stay it: they pass untouched, unless a request could be hidden in them.
#include "http_exchange_table.h"

namespace callgate {
namespace {

const std::string kSwitching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

const std::string kConnect = "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n";

Case not_a_request(const char* name, std::string bytes, std::string_view reason, std::string_view status = "400 Bad Request") {
    return {.name = name,
            .steps = {client(std::move(bytes))},
            .to_client = refusal(status, reason),
            .refused = 1,
            .audit = {"c2s invalid refuse (http)"},
            .closes = true};
}

std::string upgrade_request(std::string_view protocol) {
    return "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + std::string(protocol) + "\r\n\r\n";
}

std::vector<Case> tunnels() {
    const std::string binary = std::string("\x01\x02 binary\n\0\xff", 12);
    return {
        {.name = "NotHttp",
         .steps = {client(binary), server("\x03hi"), client("more"), server("there")},
         .to_server = binary + "more",
         .to_client = "\x03hithere",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        {.name = "TextProtocol",
         .steps = {client("PING\r\n"), server("+PONG\r\n")},
         .to_server = "PING\r\n",
         .to_client = "+PONG\r\n",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        {.name = "RedisArray",
         .steps = {client("*1\r\n$4\r\nPING\r\n"), server("+PONG\r\n")},
         .to_server = "*1\r\n$4\r\nPING\r\n",
         .to_client = "+PONG\r\n",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        {.name = "WordThenBinary",
         .steps = {client("AB\x80\x01"), server("\x80ok"), client("it's HTTP/1.1 now")},
         .to_server = "AB\x80\x01it's HTTP/1.1 now",
         .to_client = "\x80ok",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        {.name = "LongFirstWord",
         .steps = {client(std::string(600, 'A')), server("ok\n")},
         .to_server = std::string(600, 'A'),
         .to_client = "ok\n",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        {.name = "EndsWithinTheFirstWord",
         .steps = {client("AB"), client_end(), server("ok\n")},
         .to_server = "AB",
         .to_client = "ok\n",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        {.name = "FieldFirst",
         .steps = {client("Content-Length: 2\r\n\r\n{}"), server("Content-Length: 2\r\n\r\n[]")},
         .to_server = "Content-Length: 2\r\n\r\n{}",
         .to_client = "Content-Length: 2\r\n\r\n[]",
         .events = {"http_tunnel: not MCP"},
         .tunnel = "not MCP"},
        {.name = "WordAndLineFeed",
         .steps = {client("CONNECT\naccept-version:1.2\n\n"), server("CONNECTED\n")},
         .to_server = "CONNECT\naccept-version:1.2\n\n",
         .to_client = "CONNECTED\n",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        {.name = "JsonLines",
         .steps = {client("{\"a\":1}\n"), server("{\"b\":2}\n")},
         .to_server = "{\"a\":1}\n",
         .to_client = "{\"b\":2}\n"},
        {.name = "ServerSpeaksFirst",
         .steps = {server("220 ready\r\n"), client("EHLO b\r\n")},
         .to_server = "EHLO b\r\n",
         .to_client = "220 ready\r\n",
         .events = {"http_tunnel: the server speaks first"},
         .tunnel = "the server speaks first"},
        {.name = "WebSocket",
         .steps = {client(upgrade_request("websocket")),
                   server(kSwitching + "\x81\x01"
                                       "a"),
                   client(post(kBad1))},
         .to_server = upgrade_request("websocket") + post(kBad1),
         .to_client = kSwitching + "\x81\x01"
                                   "a",
         .events = {"http_tunnel: WebSocket"},
         .tunnel = "WebSocket"},
        {.name = "WebSocketRefused",
         .steps = {client(upgrade_request("websocket") + post(kBad1)), server(answer("no", "", "426 Upgrade Required"))},
         .to_server = upgrade_request("websocket"),
         .to_client = answer("no", "", "426 Upgrade Required") + answer(kDenied1),
         .denied = 1,
         .audit = {kBadIn}},
        // --- a request behind what is none: some server skips the first line
        {.name = "RequestBehindAWord",
         .steps = {client("PING\r\n" + post(kBad1))},
         .to_server = "PING\r\nPOST ",
         .closes = true,
         .events = {"http_tunnel: not HTTP", "http_cut: the client sent a request of HTTP behind what is none"},
         .tunnel = "not HTTP"},
        {.name = "RequestBehindAProxyHeader",
         .steps = {client("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + post(kBad1))},
         .to_server = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nPOST ",
         .closes = true,
         .events = {"http_tunnel: not HTTP", "http_cut: the client sent a request of HTTP behind what is none"},
         .tunnel = "not HTTP"},
        {.name = "RequestBehindBinary",
         .steps = {client(std::string("\0HTTPHTTP/2", 11) + post(kBad1))},
         .to_server = std::string("\0HTTPHTTP/2", 11) + "POST /mcp HTTP",
         .closes = true,
         .events = {"http_tunnel: not HTTP", "http_cut: the client sent a request of HTTP behind what is none"},
         .tunnel = "not HTTP"},
        {.name = "ServerTookItForHttp",
         .steps = {client("PING\r\n"), server("HTTP/1.1 400 Bad Request\r\n\r\n")},
         .to_server = "PING\r\n",
         .closes = true,
         .events = {"http_tunnel: not HTTP", "http_cut: the server took for HTTP what is none"},
         .tunnel = "not HTTP"},
        {.name = "RequestOfAnotherVersion",
         .steps = {client("PING\r\n\x7f POST\t/mcp\thttp/0.9\r\n")},
         .to_server = "PING\r\n\x7f POST\t/mcp\thttp",
         .closes = true,
         .events = {"http_tunnel: not HTTP", "http_cut: the client sent a request of HTTP behind what is none"},
         .tunnel = "not HTTP"},
        {.name = "RequestWithoutAVersion",
         .steps = {client("PING\r\nPOST /mcp\r\n")},
         .to_server = "PING\r\nPOST ",
         .closes = true,
         .events = {"http_tunnel: not HTTP", "http_cut: the client sent a request of HTTP behind what is none"},
         .tunnel = "not HTTP"},
        {.name = "VersionWithinAWord",
         .steps = {client("PING\r\nXHTTP/1.1 \x08http/1.1\r\n")},
         .to_server = "PING\r\nXHTTP/1.1 \x08http/1.1\r\n",
         .events = {"http_tunnel: not HTTP"},
         .tunnel = "not HTTP"},
        // --- what was meant to be a request
        not_a_request("NoToken", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "bad_method at byte 1"),
        not_a_request("Latin1", "G\xc9T / HTTP/1.1\r\nHost: a\r\n\r\n", "bad_method at byte 1"),
        not_a_request("Tab", "POST\t/mcp HTTP/1.1\r\nHost: a\r\n\r\n", "bad_method at byte 4"),
        not_a_request("CarriageReturns", "POST\r/mcp\rHTTP/1.1\r\nHost: a\r\n\r\n", "bad_request_line at byte 4"),
        not_a_request("MethodAlone", "GET\r\n\r\n", "bad_request_line at byte 3"),
        not_a_request("MethodTooLong", std::string(40, 'A') + " /mcp HTTP/1.1\r\nHost: a\r\n\r\n", "method_too_long at byte 32",
                      "501 Not Implemented"),
        not_a_request("NoVersion", "POST /mcp\r\nHost: a\r\n\r\n", "bad_request_line at byte 0"),
        not_a_request("BehindABlankLine", "\r\n{} / HTTP/1.1\r\n", "bad_method at byte 2"),
        // --- a proxy's business, but some servers answer 200 to any method and read on
        {.name = "Connect",
         .steps = {client(kConnect + "\x16\x03\x08http/1.1"), server("HTTP/1.1 200 OK\r\n\r\n"), server("\x16\x03ok"),
                   client(post(kBad1))},
         .to_server = kConnect + "\x16\x03\x08http/1.1" + post(kBad1),
         .to_client = "HTTP/1.1 200 OK\r\n\r\n\x16\x03ok",
         .events = {"http_tunnel: CONNECT"},
         .tunnel = "CONNECT"},
        {.name = "ConnectRefused",
         .steps = {client(kConnect + post(kBad1)), server(answer("no", "", "405 Method Not Allowed"))},
         .to_server = kConnect,
         .to_client = answer("no", "", "405 Method Not Allowed") + answer(kDenied1),
         .denied = 1,
         .audit = {kBadIn}},
        {.name = "ConnectTakenForARequest",
         .steps = {client(kConnect + post(kBad1)), server(response("hello"))},
         .to_server = kConnect,
         .to_client = bad_gateway("it took CONNECT for a request like any other"),
         .closes = true},
        {.name = "RequestBehindConnect",
         .steps = {client(kConnect + post(kBad1)), server("HTTP/1.1 200 OK\r\n\r\n")},
         .to_server = kConnect + "POST ",
         .to_client = "HTTP/1.1 200 OK\r\n\r\n",
         .closes = true,
         .events = {"http_tunnel: CONNECT", "http_cut: the client sent a request of HTTP behind what is none"},
         .tunnel = "CONNECT"},
        {.name = "ConnectWithABody",
         .steps = {client("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\nContent-Length: 300\r\n\r\n" + post(kBad1))},
         .to_client = refusal("400 Bad Request", "CONNECT with a body"),
         .refused = 1,
         .audit = {"c2s invalid refuse (http)"},
         .closes = true},
        {.name = "ConnectInShadow",
         .steps = {client(kConnect), server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), client(post(kBad1))},
         .to_server = kConnect + post(kBad1),
         .to_client = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
         .policy = R"({"version":"1","mode":"shadow","default":"deny"})",
         .events = {"http_tunnel: CONNECT"},
         .tunnel = "CONNECT"},
        // --- what cannot be read: the owner decides
        {.name = "Tls", .steps = {client("\x16\x03\x01\x02")}, .events = {"session_blind: TLS"}, .blind = "TLS"},
        {.name = "Http2",
         .steps = {client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
         .events = {"session_blind: HTTP/2"},
         .blind = "HTTP/2"},
        {.name = "Http2Later",
         .steps = {client(kHealth), server(response("up")), client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
         .to_server = kHealth,
         .to_client = response("up") + refusal("400 Bad Request", "bad_method at byte 0"),
         .refused = 1,
         .audit = {"c2s invalid refuse (http)"},
         .closes = true},
        {.name = "TlsLater",
         .steps = {client(kHealth), server(response("up")), client("\x16\x03\x01")},
         .to_server = kHealth,
         .to_client = response("up") + refusal("400 Bad Request", "bad_method at byte 0"),
         .refused = 1,
         .audit = {"c2s invalid refuse (http)"},
         .closes = true},
        {.name = "BinaryLater",
         .steps = {client(kHealth), server(response("up")), client("\x01")},
         .to_server = kHealth,
         .to_client = response("up") + refusal("400 Bad Request", "bad_method at byte 0"),
         .refused = 1,
         .audit = {"c2s invalid refuse (http)"},
         .closes = true},
    };
}
INSTANTIATE_TEST_SUITE_P(Tunnels, HttpExchanges, ::testing::ValuesIn(tunnels()), name_of_case);

TEST(HttpForeign, BlindIsPassedOnlyWhenTheOwnerSaysSo) {
    HttpWorld world;
    HttpWire wire(world);
    wire.play(client("\x16\x03\x01"));
    EXPECT_FALSE(wire.gate->wants_client());
    EXPECT_FALSE(wire.gate->wants_server());
    EXPECT_FALSE(wire.gate->close_client());
    wire.play(server("\x15"));
    EXPECT_EQ(wire.to_client, "");
    wire.gate->pass_blind();
    EXPECT_EQ(wire.to_server, "\x16\x03\x01");
    EXPECT_EQ(wire.to_client, "\x15");
    EXPECT_EQ(wire.gate->tunnel_reason(), "TLS");
    wire.play(client(post(kBad1)));
    EXPECT_EQ(wire.to_server, "\x16\x03\x01" + post(kBad1));
    EXPECT_TRUE(wire.gate->wants_client());
}

// A server of HTTP/1 might skip what it cannot read.
TEST(HttpForeign, BlindIsNoWayForARequest) {
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", hello = "\x16\x03\x01\x02\x08http/1.1";
    for (const std::string& start : {preface, hello}) {
        HttpWorld world;
        HttpWire wire(world);
        wire.play(client(start));
        wire.gate->pass_blind();
        EXPECT_EQ(wire.to_server, start);
        wire.play(client("\r\n" + post(kBad1)));
        EXPECT_EQ(wire.to_server, start + "\r\nPOST ");
        EXPECT_TRUE(wire.gate->close_client());
    }
    HttpWorld world;
    HttpWire wire(world);
    wire.play(client(preface + "\r\n" + post(kBad1)));
    wire.gate->pass_blind();
    EXPECT_EQ(wire.to_server, preface + "\r\nPOST ");
    EXPECT_TRUE(wire.gate->close_client());
}

TEST(HttpForeign, ServerThatHasAnsweredBlindlyIsBelieved) {
    HttpWorld world;
    HttpWire wire(world);
    wire.play(client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    wire.gate->pass_blind();
    const std::string settings("\0\0\0\4\0", 5);
    wire.play(server(settings));
    EXPECT_EQ(wire.to_client, settings);
    wire.play(client(" HTTP/1.1"));
    EXPECT_TRUE(wire.to_server.ends_with(" HTTP/1.1"));
    EXPECT_FALSE(wire.gate->close_client());
}

TEST(HttpForeign, TunnelIsWatchedBehindTheServersEnd) {
    HttpWorld world;
    HttpWire wire(world);
    wire.play(client("PING\r\n"));
    wire.play(server_end());
    EXPECT_FALSE(wire.gate->close_client());
    wire.play(client("PING\r\n" + post(kBad1)));
    EXPECT_EQ(wire.to_server, "PING\r\nPING\r\nPOST ");
    EXPECT_TRUE(wire.gate->close_client());
}

}  // namespace
}  // namespace callgate
