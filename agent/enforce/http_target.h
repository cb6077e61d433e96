// Request targets: which one an HTTP+SSE server's `endpoint` event means.
#pragma once
#include <string>
#include <string_view>

#include "http/request_head.h"

namespace callgate {

// Path and query, without scheme and authority.
std::string origin_target(const RequestHead& head);

// What a client that read `reference` in a response to `base` (an origin target) will ask for (RFC 3986 §5.2, as far as
// servers use it).
//   ("/sse", "/message?sessionId=1f")               ->  "/message?sessionId=1f"
//   ("/a/sse?x", "message?id=1")                    ->  "/a/message?id=1"
//   ("/sse", "http://127.0.0.1:3000/m?id=1#top")    ->  "/m?id=1"
std::string resolve_target(std::string_view base, std::string_view reference);

}  // namespace callgate
