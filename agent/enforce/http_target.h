// Request targets: which ones a policy's `path` governs, and which one an HTTP+SSE server's `endpoint` event means.
#pragma once
#include <string>
#include <string_view>

#include "http/request_head.h"

namespace callgate {

// `policy_path` as loosest_path() makes it, "" where a policy has none and governs every path.
//   "/mcp" governs "/mcp", "/MCP/", "/%6dcp", "/mcp/x"; not "/mcpx", "/"
bool governs_path(std::string_view policy_path, std::string_view request_path);

// Path and query, without scheme and authority.
std::string origin_target(const RequestHead& head);

// What a client that read `reference` in a response to `base` (an origin target) will ask for (RFC 3986 §5.2, as far as
// servers use it).
//   ("/sse", "/message?sessionId=1f")               ->  "/message?sessionId=1f"
//   ("/a/sse?x", "message?id=1")                    ->  "/a/message?id=1"
//   ("/sse", "http://127.0.0.1:3000/m?id=1#top")    ->  "/m?id=1"
std::string resolve_target(std::string_view base, std::string_view reference);

}  // namespace callgate
