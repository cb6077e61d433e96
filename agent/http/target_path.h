// Paths as the most generous server would understand them, to be compared with a policy's `path`. A policy that is
// restricted to one path must compare so, else `/%6dcp` goes past it and reaches the same handler.
//
//   may_reach("/%6dcp", "/mcp")  true     may_reach("/mcp/other", "/mcp")  false
#pragma once
#include <string>
#include <string_view>

namespace callgate {

// Percent-encoding decoded (twice), '\' taken for '/', ";parameters" of a segment dropped, empty and dot segments
// resolved, ASCII letters in lower case, no slash at the end.
//   "/mcp" "/MCP/" "//mcp" "/%6dcp" "/x/../mcp" "/mcp;a=b"  ->  "/mcp"         "" "/" "//"  ->  "/"
std::string loosest_path(std::string_view path);

// Whether some server takes `path` for `wanted`. Two slashes at the start have two readings: an empty segment, and (to
// readers of URL references, such as WHATWG's) a host name that comes before the path.
bool may_reach(std::string_view path, std::string_view wanted);

}  // namespace callgate
