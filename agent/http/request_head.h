// RequestHead: one strict reading of a request's head (RFC 9112 §3, §5, §6).
//
//   "POST /mcp?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n"
//     ->  method "POST", target "/mcp?x=1", path "/mcp", query "x=1", minor_version 1, framing {length, 2},
//         keep_alive, fields.find(KnownField::content_type) one "application/json"
//   "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n"
//     ->  repeated_length at the second Content-Length
//
// Written by hand rather than on Boost.Beast: Beast (1.81) accepts folded lines, repeated and listed equal lengths,
// several Hosts, Transfer-Encoding in HTTP/1.0 and lists of codings ("chunked, gzip" as a request without a body), so
// nearly every rule here would still be needed before it; it gives copies where offsets are needed (canonical output,
// audit). The fuzz tests use it as the second reader: what is accepted here must mean the same there.
//
// Views point into the bytes that were parsed: the caller keeps them where they are for as long as it uses the head.
#pragma once
#include <string_view>

#include "http/fields.h"
#include "http/framing.h"
#include "http/mcp_value.h"
#include "http/refusal.h"
#include "http/target_path.h"

namespace callgate {

struct RequestHead {
    enum class TargetForm : uint8_t { origin, absolute, authority, asterisk };

    std::string_view method;
    std::string_view target;  // as written
    TargetForm form = TargetForm::origin;
    std::string_view path;   // of the target, undecoded, no query; "/" for http://a; empty for authority, asterisk
    std::string_view query;  // without the '?'
    int minor_version = 1;   // HTTP/1.x
    Fields fields;
    BodyFraming framing;
    bool keep_alive = true;        // the client lets the connection stay
    bool expect_continue = false;  // it waits for 100 before it sends the body (never in HTTP/1.0)
    bool wants_upgrade = false;    // Connection: upgrade
    std::string_view host;         // Host's value, empty where HTTP/1.0 has none

    // `head`: from the first byte of the request line to the blank line, both included (HeadFramer cuts it so).
    // Where a problem is returned, nothing else of the object may be used. May be called again for the next head.
    HttpProblem parse(std::string_view head);

    // The protocol that the client would change to: Upgrade, where Connection says that it is meant. Several fields or
    // values: the first. Note "h2c": after it the server may speak HTTP/2 on this connection.
    std::string_view upgrade() const;
    bool is(std::string_view wanted_method) const { return method == wanted_method; }  // methods have a case
    // Any of Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name.
    bool has_mcp_field() const;
};

}  // namespace callgate
