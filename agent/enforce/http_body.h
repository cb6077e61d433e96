// What the body of a request is: the messages of an MCP client, or somebody else's business.
//
// A Content-Type proves nothing (servers read a body whatever it says), so what the bytes are decides. In doubt it is
// MCP: a body that no two readers need read alike, but in which a call could hide, is judged, and refused then.
//
//   {"jsonrpc":"2.0","id":1,"method":"tools/call",…}     ->  mcp, one message
//   [{…"tools/list"…},{"jsonrpc":"2.0","id":3,…}]        ->  mcp, two messages, is_array
//   {"user":"ada"}   [1,2]   {"id":1,"method":"move"}     ->  foreign
//   {"id":1,"method":"x","Method":"tools/call"}          ->  mcp, one message, which the parser refuses
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

#include "jsonrpc/batch.h"
#include "jsonrpc/message.h"
#include "policy/policy.h"

namespace callgate {

enum class Guess : unsigned char { no, yes, more };  // more: it depends on what follows
// Whether a body that begins so may be JSON text, in UTF-8 or, as some servers find out by themselves, UTF-16 or -32.
Guess guess_json(std::string_view start);
// Whether a body that begins so is a request, to a server whose handler left the body unread and which goes on there
// (Python's http.server does, and splits the line at whatever is white space).
//   "POST /mcp HTTP/1.1\r\n…"  ->  yes     "POST /mc"  ->  more     "post /mcp HTTP/1.1", "{\"a\"", "\nPOST /mcp HTTP/1.1"  -> no
Guess guess_request(std::string_view start);

struct HttpBody {
    bool is_mcp = false;
    bool is_array = false;
    std::vector<std::string_view> messages;  // views into the body; empty where the array could not be split
    BatchProblem problem;                    // why not
    const Message* only = nullptr;           // the message, parsed, where there is no array; until the parser's next
};
// `claims_mcp`: the request's fields say that it is MCP; so is a message of a method that the policy speaks of. `parser` is
// scratch.
void read_http_body(std::string_view text, bool claims_mcp, const Policy& policy, MessageParser& parser, HttpBody& body);

}  // namespace callgate
