#include "jsonrpc/refusal.h"

namespace callgate {
namespace {
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
}  // namespace

std::string_view name(Refusal refusal) {
    switch (refusal) {
        case Refusal::none:
            return "none";
        case Refusal::empty:
            return "empty";
        case Refusal::not_json:
            return "not_json";
        case Refusal::trailing_bytes:
            return "trailing_bytes";
        case Refusal::invalid_utf8:
            return "invalid_utf8";
        case Refusal::byte_order_mark:
            return "byte_order_mark";
        case Refusal::nul_byte:
            return "nul_byte";
        case Refusal::carriage_return:
            return "carriage_return";
        case Refusal::lone_surrogate:
            return "lone_surrogate";
        case Refusal::duplicate_key:
            return "duplicate_key";
        case Refusal::protocol_key_case:
            return "protocol_key_case";
        case Refusal::too_deep:
            return "too_deep";
        case Refusal::too_many_members:
            return "too_many_members";
        case Refusal::too_long:
            return "too_long";
        case Refusal::batch:
            return "batch";
        case Refusal::not_object:
            return "not_object";
        case Refusal::invalid_id:
            return "invalid_id";
        case Refusal::invalid_member:
            return "invalid_member";
        case Refusal::no_method:
            return "no_method";
        case Refusal::incomplete:
            return "incomplete";
    }
    return "unknown";
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
        case Refusal::incomplete:
            return kParseError;
        case Refusal::duplicate_key:
        case Refusal::protocol_key_case:
        case Refusal::too_deep:
        case Refusal::too_many_members:
        case Refusal::too_long:
        case Refusal::batch:
        case Refusal::not_object:
        case Refusal::invalid_id:
        case Refusal::invalid_member:
        case Refusal::no_method:
            return kInvalidRequest;
    }
    return kInvalidRequest;
}

}  // namespace callgate
