// The fields of revision 2026-07-28 that repeat what the body says (Mcp-Method, Mcp-Name), so that a proxy need not read
// it. The body is the truth; a request whose fields tell another story is refused with -32020, as a server would.
//
//   Mcp-Method: tools/call, Mcp-Name: =?base64?ZWNobw==?=, body calls "echo"   ->  no disagreement
//   Mcp-Method: tools/list, body {"method":"tools/call",…}                     ->  "Mcp-Method is not the body's method"
#pragma once
#include <string_view>

#include "http/request_head.h"
#include "jsonrpc/message.h"

namespace callgate {

constexpr int kCodeHeaderMismatch = -32020;

// Empty where they agree, or where the fields are not there; else one sentence.
std::string_view field_disagreement(const Fields& fields, const Message& message);
// An array of messages has no one method.
std::string_view field_disagreement_of_array(const Fields& fields);
// A field that MCP reads occurs twice: two readers may take different ones.
bool has_repeated_mcp_field(const Fields& fields);

// {"jsonrpc":"2.0","id":…,"error":{"code":-32020,…}}, one line; without the id where that is unknown.
void append_field_disagreement(std::string& out, std::string_view id_token, std::string_view disagreement);

}  // namespace callgate
