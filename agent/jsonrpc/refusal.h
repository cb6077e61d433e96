// Why a frame is refused. name() gives the audit spelling, json_rpc_code() -32700 (not JSON) or -32600 (not a request).
//
//   name(Refusal::duplicate_key)           ->  "duplicate_key"
//   json_rpc_code(Refusal::duplicate_key)  ->  -32600
//   explanation(Refusal::duplicate_key)    ->  "an object has the same key twice, and …"
#pragma once
#include <cstdint>
#include <string_view>

namespace callgate {

enum class Refusal : uint8_t {
    none,
    empty,           // blank line: dropped and counted, not answered
    not_json,        // syntax; a number beyond every double
    trailing_bytes,  // more than one value on the line
    invalid_utf8,
    byte_order_mark,
    nul_byte,         // raw NUL anywhere, or an escaped one inside a key
    carriage_return,  // raw CR anywhere but just before the LF
    lone_surrogate,
    duplicate_key,      // at any depth, escapes decoded
    protocol_key_case,  // "Method", "param\u017f": a protocol member in another case or a Unicode fold of it
    too_deep,
    too_many_members,
    too_long,        // frame limit (set by the framer's caller)
    batch,           // an array on stdio
    not_object,      // a scalar
    invalid_id,      // not a string and not an integer within ±(2^53−1), or a string over kIdBytesMax
    invalid_member,  // jsonrpc/method/name/uri not a string, params/arguments not an object, name too long
    no_method,       // neither method nor result nor error
    incomplete,      // unterminated last line that does not parse
};
std::string_view name(Refusal refusal);
// The same for whoever wrote the client: one clause, without a capital and a full stop.
std::string_view explanation(Refusal refusal);
int json_rpc_code(Refusal refusal);

}  // namespace callgate
