// A field value as MCP revision 2026-07-28 writes it in Mcp-Name and Mcp-Param-* ("Streamable HTTP / value encoding"):
// plain, or =?base64?…?= around its UTF-8. The markers have a case, the alphabet is the standard one, padded.
//
//   "echo"                     ->  "echo"
//   "=?base64?ZWNobw==?="      ->  "echo"
//   "=?base64?ZWNobw?="        ->  nothing: readers differ about base64 that is not canonical
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace callgate {

// Nothing for base64 that is not canonical, and where what comes out is longer than kNameBytesMax. Whether it is UTF-8
// is not looked at: it is compared with the body, which is.
std::optional<std::string> decode_mcp_value(std::string_view value);

}  // namespace callgate
