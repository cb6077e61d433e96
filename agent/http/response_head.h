// ResponseHead: one strict reading of a response's head (RFC 9112 §4, §5, §6).
//
//   parse("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", "POST")
//     ->  status 200, reason "OK", framing {chunked}, keep_alive
//   parse("HTTP/1.1 204 No Content\r\n\r\n", "DELETE")  ->  framing {none}
//   parse("HTTP/1.0 200 OK\r\n\r\n", "GET")             ->  framing {until_close}, not keep_alive
//
// Views point into the bytes that were parsed. A problem means 502 for the client, whatever status_of() says.
#pragma once
#include <string_view>

#include "http/fields.h"
#include "http/framing.h"
#include "http/refusal.h"

namespace callgate {

struct ResponseHead {
    int status = 0;  // 100 to 999
    std::string_view reason;
    int minor_version = 1;
    Fields fields;
    BodyFraming framing;
    bool keep_alive = true;  // the server lets the connection stay after this response

    // `head`: from the status line to the blank line, both included. `request_method` decides on the body (HEAD,
    // CONNECT). May be called again.
    HttpProblem parse(std::string_view head, std::string_view request_method);

    // 1xx but 101: another head for the same request follows.
    bool is_interim() const { return status < 200 && status != 101; }
};

}  // namespace callgate
