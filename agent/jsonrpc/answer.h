// What callgate answers in a server's place (or, for a server's own request, in the client's).
//
// Every function appends exactly one line, LF included, to `out`: a single JSON object with "jsonrpc", "id" (the
// caller's own bytes) and "result" or "error" and no other top-level member: clients hang on those.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jsonrpc/message.h"

namespace callgate {

// Outside -32768..-32000, as the specification asks of implementation codes.
inline constexpr int kCodeDenied = -31403;
inline constexpr int kCodeOverLimit = -31429;
// What the policy language gives for a call that a human must approve.
inline constexpr int kCodeApproval = -32003;

struct Denial {
    int code = kCodeDenied;
    std::string_view reason;  // human text
    std::string_view rule;    // JSON Pointer of the deciding rule, "(default deny)", …
    std::string_view tool;    // may be empty
    std::optional<int64_t> retry_after_ms;
    std::string_view approval;     // id of the request for approval; "" where there is none
    std::string approval_expires;  // "2026-11-21T11:34:16Z"
};

// tools/call: a result with isError true and the text "[POLICY DENIED] <reason>"; the model reads it and adapts.
// `modern`: revision 2026-07-28, adds "resultType":"complete".
void append_denied_result(std::string& out, std::string_view id_token, const Denial& denial, bool modern);
// Every other method: a JSON-RPC error, data {rule, tool?, retryAfterMs?, approval_id?, expires_at?, approve?}. `approve` is
// what a human runs.
void append_denied_error(std::string& out, std::string_view id_token, const Denial& denial);
// In place of what a server asks of its client and may not: a request (without an id, a notification) of a method that no
// client has, so that the client itself tells the server that there is no such thing. No line end.
void append_denied_placeholder(std::string& out, std::string_view id_token);
// A refused frame (malformed): -32700 or -32600 by json_rpc_code(), a sentence for the client's author, and
// data {refused: name, offset: of the byte that was one too many}.
void append_refusal(std::string& out, std::string_view id_token, Refusal refusal, uint32_t offset);
// A JSON string literal with quotes; everything below 0x20, DEL, and U+2028/2029 escaped, invalid UTF-8 replaced.
void append_json_string(std::string& out, std::string_view text);

}  // namespace callgate
