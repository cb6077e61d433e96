// The heads and frames that callgate writes itself. Every function appends to `out`.
//
//   append_request_head(out, head, {.content_length = 2})
//     POST /mcp HTTP/1.1          same method, target, version and end-to-end fields in their order and spelling
//     Host: a
//     Content-Type: application/json
//     Content-Length: 2           instead of Content-Length, Transfer-Encoding, Expect
//     Accept-Encoding: identity   instead of the client's
//     (blank line)
//
// Fields that belong to one connection are left out (RFC 9110 §7.6.1: Connection, what it names, Keep-Alive,
// Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade, HTTP2-Settings).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/request_head.h"
#include "http/response_head.h"

namespace callgate {

struct RequestRewrite {
    // Absent: the request has no body and had none.
    std::optional<uint64_t> content_length = {};
    // The body was decoded: Content-Encoding goes, and what it says of the encoded bytes.
    bool body_decoded = false;
};
// An absolute-form target becomes the origin form (RFC 9112 §3.2.1): it agreed with Host, which stays.
// What is written parses to the same method, path, query and end-to-end fields again.
void append_request_head(std::string& out, const RequestHead& head, const RequestRewrite& rewrite);

struct ResponseRewrite {
    BodyFraming framing = {};   // length, chunked, until_close or none
    bool body_changed = false;  // ETag and the digest fields go
    bool keep_alive = true;
};
// A server's response head with another framing; its status, reason, version (chunked: 1.1) and end-to-end fields stay.
void append_response_head(std::string& out, const ResponseHead& head, const ResponseRewrite& rewrite);

// A response of our own. Date and Server are not sent: nobody needs them.
struct Answer {
    int status = 200;
    std::string_view content_type = {};  // empty: no Content-Type
    // `chunked`: for a stream of events; then append_chunk() and append_last_chunk(). `until_close` for HTTP/1.0.
    BodyFraming framing = {};
    std::string_view session_id = {};  // Mcp-Session-Id echoed; empty: none
    bool keep_alive = true;            // false: Connection: close
    int minor_version = 1;             // of the request: HTTP/1.0 needs Connection: keep-alive to stay
    bool event_stream = false;         // Cache-Control: no-cache
};
void append_answer_head(std::string& out, const Answer& answer);
// The head with Content-Length, and the body. Not for 204, which has neither.
void append_answer(std::string& out, Answer answer, std::string_view body);
// HTTP/1.1 100 Continue.
void append_continue(std::string& out);
std::string_view reason_phrase(int status);

// One chunk; nothing for an empty payload, which would end the body.
void append_chunk(std::string& out, std::string_view payload);
void append_last_chunk(std::string& out);

}  // namespace callgate
