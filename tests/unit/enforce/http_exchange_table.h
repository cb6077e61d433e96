// Exchanges on one connection as rows of a table: what comes in, what must go out, and what is in the books. Each row is
// played in pieces of several sizes, and must come out the same.
//
//   {.name = "DeniedCall", .steps = {client(post(kBad1))}, .to_client = answer(kDenied1), .denied = 1, .audit = {…}}
//     ->  test "Judging/HttpExchanges.InPiecesOfAnySize/DeniedCall"
#pragma once
#include "http_fixture.h"

namespace callgate {

struct Case {
    const char* name;
    std::vector<Step> steps;
    std::string to_server = {}, to_client = {};
    uint64_t forwarded = 0, denied = 0, refused = 0;
    std::vector<std::string> audit = {};  // of messages: HttpWorld::audit()
    bool closes = false;
    std::string policy = kHttpPolicy;
    std::vector<std::string> events = {};  // of the connection: not those of sessions
    std::string tunnel = {}, blind = {};   // why
    size_t frame_bytes_max = kFrameBytesDefault;
};

inline void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }

class HttpExchanges : public ::testing::TestWithParam<Case> {};

// What INSTANTIATE_TEST_SUITE_P names a row by.
inline std::string name_of_case(const ::testing::TestParamInfo<Case>& row) { return row.param.name; }

inline const std::string kDenied1 =
    R"({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"[POLICY DENIED] No."}],"isError":true,)"
    R"("_meta":{"io.callgate/decision":{"code":-31403,"rule":"/tools/bad/action","tool":"bad"}}}})";
inline const std::string kNotification = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";
inline const std::string kBadNotification = R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"bad"}})";
inline const std::string kOk1 = call_json("1", "ok"), kBad1 = call_json("1", "bad");
inline const std::string kDone1 = response(result_json("1"));
inline const std::string kHealth = "GET /health HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
inline const std::string kAccepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
inline const std::string kList1 = R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})";
inline const std::string kUnfiltered1 = R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret"},{"name":"ok"}]}})";
inline const std::string kFiltered1 = R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"ok"}]}})";
// What the audit log says of them.
inline const std::string kOkIn = "c2s request tools/call ok allow", kOkDone = "s2c response tools/call ok pass ok",
                         kBadIn = "c2s request tools/call bad deny /tools/bad/action", kListIn = "c2s request tools/list allow",
                         kListDone = "s2c response tools/list pass ok";

inline std::string answer(std::string_view body, std::string_view more = "", std::string_view status = "200 OK") {
    return response(body, more, status);
}
inline std::string text_answer(std::string_view status, std::string_view body, bool closes = true) {
    return "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
           (closes ? "\r\nConnection: close" : "") + "\r\n\r\n" + std::string(body);
}
// Our refusal of a request, and what the log says of it.
inline std::string refusal(std::string_view status, std::string_view reason, bool closes = true) {
    return text_answer(status, "callgate refused this request: " + std::string(reason) + "\n", closes);
}
inline std::string bad_gateway(std::string_view why) {
    return text_answer("502 Bad Gateway", "callgate has no answer of the server to pass on: " + std::string(why) + "\n");
}
inline std::string chunked(std::string_view start_line, std::string_view body) {
    return std::string(start_line) + "\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
           chunk(body.substr(0, 5)) + chunk(body.substr(5)) + kLastChunk;
}

}  // namespace callgate
