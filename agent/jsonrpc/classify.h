// Is this stream MCP? The kernel only suspects; this decides, on bytes that were read but not yet delivered.
//
// The look-alikes (LSP, DAP, ACP, Codex app-server, stream-json) are told apart by what their first frame must hold.
#pragma once
#include <functional>
#include <string_view>

#include "jsonrpc/message.h"

namespace callgate {

enum class Protocol : unsigned char {
    mcp,        // an initialize with a string protocolVersion, a _meta protocolVersion, or an MCP method
    foreign,    // positively something else: LSP header, ACP (integer protocolVersion), no jsonrpc and no MCP method …
    json_like,  // begins like JSON but is incomplete or refused: cannot be ruled out
    undecided,  // nothing that looks like JSON: blank, a prompt, text
};

// One complete message that parse() accepted.
Protocol classify(const Message& message);

// True for a method name that belongs to any MCP revision, or begins with tools/ resources/ prompts/ completion/
// tasks/ sampling/ elicitation/ roots/ logging/ subscriptions/ server/ (exactly the MCP families).
bool is_mcp_method(std::string_view method);

// A line that no two servers need read alike may still be a call for one of them: it holds "method", in any case, or an
// escape that may spell it; in UTF-16 and UTF-32 too, which .NET's standard input takes after a byte order mark.
bool may_hide_a_call(std::string_view line);

// Methods that count as MCP's, whatever their names: a policy speaks of them.
using IsGoverned = std::function<bool(std::string_view method)>;

// Any bytes read from a stream, whole lines or not: the strongest verdict of its lines (mcp over json_like over
// foreign over undecided). `parser` is scratch. An initialize of another protocol behind a Content-Length header is that
// protocol's, also where the method is governed: who reads lines does not get it as one.
Protocol classify_bytes(std::string_view bytes, MessageParser& parser, const IsGoverned& is_governed = {});

}  // namespace callgate
