// One strict reading of one JSON-RPC message (RFC 8259, JSON-RPC 2.0, MCP 2024-11-05 … 2026-07-28).
//
// The parser accepts only what every MCP SDK reads alike. What two parsers could read differently is not repaired
// but refused, with the reason. It never throws, never recurses, allocates nothing in steady state, and its views
// point into the input (or, for names that were written with escapes, into the parser's scratch memory); all are
// valid until the next parse() and as long as the input lives.
//
//   {"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"a":1}}}
//   -> kind request, id_token `7`, method `tools/call`, name `echo`, arguments `{"a":1}`
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "jsonrpc/refusal.h"
#include "jsonrpc/scanner.h"

namespace callgate {

enum class MessageKind : uint8_t { invalid, request, notification, response };

struct Message {
    MessageKind kind = MessageKind::invalid;
    Refusal refusal = Refusal::none;
    uint32_t refusal_offset = 0;  // byte offset into the line of what was refused

    bool has_jsonrpc_2 = false;  // "jsonrpc":"2.0" present
    bool has_method = false;     // a "method" of whatever type, in an invalid message too
    // The id exactly as the client wrote it, quotes included; empty where absent. In an invalid message it is set
    // only where it is unambiguous (one top-level "id", itself valid), so that the refusal can be answered.
    std::string_view id_token;
    // The same id normalised for matching: "i:7" for 7, "s:text" (escapes decoded) for a string.
    std::string_view id_key;

    std::string_view method;     // decoded
    std::string_view params;     // raw bytes of the value, empty where absent
    std::string_view name;       // params.name decoded (tool or prompt)
    std::string_view uri;        // params.uri decoded
    std::string_view arguments;  // raw bytes of params.arguments, empty where absent
    // Top-level keys of arguments, decoded; at most kAuditKeysMax of them, argument_keys_total says how many there are.
    std::vector<std::string_view> argument_keys;
    uint32_t argument_keys_total = 0;
    // initialize: params.protocolVersion; else params._meta["io.modelcontextprotocol/protocolVersion"]; decoded.
    std::string_view protocol_version;
    bool protocol_version_is_string = false;       // ACP sends an integer there
    bool has_meta_protocol_version = false;        // came from _meta: revision 2026-07-28 or later
    std::string_view client_name, client_version;  // clientInfo.{name,version}, from params or _meta, decoded
    bool has_client_info = false;
    bool has_process_id = false;        // params.processId or rootUri: LSP
    std::string_view cancelled_id_key;  // notifications/cancelled: params.requestId normalised like id_key

    // responses
    bool is_error = false;       // has "error"
    bool is_tool_error = false;  // result.isError is true
    int64_t error_code = 0;
    std::string_view result;  // raw bytes
};

// Reads one line, or one document. `text` may end with LF or CR LF. Bytes of a client: policy = strict.
// For server→client lines use the same parser: an invalid message there means "not ours, pass through".
class MessageParser {
  public:
    const Message& parse(std::string_view text, JsonText kind = JsonText::line);

  private:
    Message message_;
    std::string scratch_;  // decoded names and normalised ids
};

}  // namespace callgate
