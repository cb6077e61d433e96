#include "jsonrpc/refusal.h"

namespace callgate {
namespace {
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
}  // namespace

std::string_view name(Refusal refusal) {
    switch (refusal) {
        case Refusal::none: return "none";
        case Refusal::empty: return "empty";
        case Refusal::not_json: return "not_json";
        case Refusal::trailing_bytes: return "trailing_bytes";
        case Refusal::invalid_utf8: return "invalid_utf8";
        case Refusal::byte_order_mark: return "byte_order_mark";
        case Refusal::nul_byte: return "nul_byte";
        case Refusal::carriage_return: return "carriage_return";
        case Refusal::lone_surrogate: return "lone_surrogate";
        case Refusal::duplicate_key: return "duplicate_key";
        case Refusal::protocol_key_case: return "protocol_key_case";
        case Refusal::too_deep: return "too_deep";
        case Refusal::too_many_members: return "too_many_members";
        case Refusal::too_long: return "too_long";
        case Refusal::batch: return "batch";
        case Refusal::not_object: return "not_object";
        case Refusal::invalid_id: return "invalid_id";
        case Refusal::invalid_member: return "invalid_member";
        case Refusal::no_method: return "no_method";
        case Refusal::incomplete: return "incomplete";
    }
    return "unknown";
}

std::string_view explanation(Refusal refusal) {
    switch (refusal) {
        case Refusal::none: return "nothing is wrong with it";
        case Refusal::empty: return "the line is empty";
        case Refusal::not_json: return "this is not JSON (RFC 8259)";
        case Refusal::trailing_bytes: return "something follows the message on its line; each message needs a line of its own";
        case Refusal::invalid_utf8: return "the bytes are not UTF-8";
        case Refusal::byte_order_mark: return "there is a byte order mark before the message";
        case Refusal::nul_byte: return "there is a NUL character, where some parsers stop reading";
        case Refusal::carriage_return: return "there is a carriage return inside the message, where some servers end the line";
        case Refusal::lone_surrogate: return "a \\u escape is half of a surrogate pair and stands for no character";
        case Refusal::duplicate_key: return "an object has the same key twice, and parsers differ in which of the two they take";
        case Refusal::protocol_key_case:
            return "a member of the protocol is spelled in another case (such as \"Method\" for \"method\"), which some "
                   "parsers take for the same";
        case Refusal::too_deep: return "the message is nested too deeply";
        case Refusal::too_many_members: return "an object has too many members";
        case Refusal::too_long: return "the message is longer than this host allows";
        case Refusal::batch: return "an array of messages is not accepted here; send one message a line";
        case Refusal::not_object: return "a message is a JSON object, and this is another value";
        case Refusal::invalid_id:
            return "the id is neither a string of reasonable length nor an integer that every parser can hold (at most 2^53-1)";
        case Refusal::invalid_member:
            return "a member has the wrong type: method, name and uri are strings, params and arguments are objects";
        case Refusal::no_method: return "the message has neither a method nor a result nor an error";
        case Refusal::incomplete: return "the input ended in the middle of the message";
    }
    return "the message cannot be read safely";
}

int json_rpc_code(Refusal refusal) {
    switch (refusal) {
        case Refusal::none:
        case Refusal::empty:
        case Refusal::not_json:
        case Refusal::trailing_bytes:
        case Refusal::invalid_utf8:
        case Refusal::byte_order_mark:
        case Refusal::nul_byte:
        case Refusal::carriage_return:
        case Refusal::lone_surrogate:
        case Refusal::incomplete: return kParseError;
        case Refusal::duplicate_key:
        case Refusal::protocol_key_case:
        case Refusal::too_deep:
        case Refusal::too_many_members:
        case Refusal::too_long:
        case Refusal::batch:
        case Refusal::not_object:
        case Refusal::invalid_id:
        case Refusal::invalid_member:
        case Refusal::no_method: return kInvalidRequest;
    }
    return kInvalidRequest;
}

}  // namespace callgate
