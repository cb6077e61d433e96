// Paths as some server would understand them, to be compared with a policy's `path`. Servers differ in what they decode
// and resolve, and in which order; a policy that is restricted to one path must count with all of them, else a request
// for `/%6dcp` or `/mcp/..` goes past it and reaches the same handler.
//
//   may_reach("/%6dcp", "/mcp")  true      may_reach("/mcp/../x", "/mcp")  true (a server that mounts "/mcp", unresolved)
//   may_reach("/mcp/x", "/mcp")  true      may_reach("/mcpx", "/mcp")  false
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace callgate {

// The most generous reading: percent-encoding decoded (twice), '\' taken for '/', ";parameters" of a segment dropped, empty
// and dot segments resolved, ASCII letters in lower case, no slash at the end.
//   "/mcp" "/MCP/" "//mcp" "/%6dcp" "/x/../mcp" "/mcp;a=b"  ->  "/mcp"         "" "/" "//"  ->  "/"
std::string loosest_path(std::string_view path);

// All readings, each in the spelling of loosest_path(): decoded not at all, once or twice; dot segments resolved before or
// after either or never; with blanks and control bytes and without (to Python, "$" in a pattern also stands before a last
// line feed); up to a '?' or '#' that only decoding shows, or with it; and, where it begins with two slashes, what is left of
// it for readers of URL references (such as WHATWG's), to which a host name comes first. No two alike: as a rule one, of two
// hundred at most.
//   "/a/%2e%2e/mcp"  ->  "/a/%2e%2e/mcp", "/a/../mcp", "/mcp"          "//evil/mcp"  ->  "/evil/mcp", "/mcp"
//   "/mcp%0a"  ->  "/mcp%0a", "/mcp\n", "/mcp"
std::vector<std::string> path_readings(std::string_view path);

// Whether some server takes `path` for `wanted` or for something below it.
bool may_reach(std::string_view path, std::string_view wanted);

}  // namespace callgate
