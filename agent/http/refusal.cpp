#include "http/refusal.h"

namespace callgate {

std::string_view name(HttpRefusal refusal) {
    switch (refusal) {
#define CALLGATE_NAME(value) \
    case HttpRefusal::value: return #value;
        CALLGATE_NAME(none)
        CALLGATE_NAME(bare_line_feed)
        CALLGATE_NAME(bare_carriage_return)
        CALLGATE_NAME(nul_byte)
        CALLGATE_NAME(folded_line)
        CALLGATE_NAME(head_too_long)
        CALLGATE_NAME(too_many_fields)
        CALLGATE_NAME(leading_blank_lines)
        CALLGATE_NAME(leading_whitespace)
        CALLGATE_NAME(bad_method)
        CALLGATE_NAME(method_too_long)
        CALLGATE_NAME(bad_target)
        CALLGATE_NAME(target_too_long)
        CALLGATE_NAME(bad_request_line)
        CALLGATE_NAME(bad_version)
        CALLGATE_NAME(unsupported_version)
        CALLGATE_NAME(bad_status_line)
        CALLGATE_NAME(no_colon)
        CALLGATE_NAME(bad_field_name)
        CALLGATE_NAME(space_before_colon)
        CALLGATE_NAME(control_in_value)
        CALLGATE_NAME(lookalike_field)
        CALLGATE_NAME(bad_connection)
        CALLGATE_NAME(unknown_expectation)
        CALLGATE_NAME(length_and_coding)
        CALLGATE_NAME(repeated_length)
        CALLGATE_NAME(bad_length)
        CALLGATE_NAME(length_too_large)
        CALLGATE_NAME(repeated_coding)
        CALLGATE_NAME(unknown_coding)
        CALLGATE_NAME(coding_in_http_1_0)
        CALLGATE_NAME(no_host)
        CALLGATE_NAME(repeated_host)
        CALLGATE_NAME(bad_host)
        CALLGATE_NAME(host_mismatch)
        CALLGATE_NAME(bad_chunk_size)
        CALLGATE_NAME(chunk_too_large)
        CALLGATE_NAME(chunk_extension)
        CALLGATE_NAME(chunk_line_too_long)
        CALLGATE_NAME(bad_chunk_end)
        CALLGATE_NAME(bad_trailer)
        CALLGATE_NAME(trailer_too_long)
        CALLGATE_NAME(incomplete)
#undef CALLGATE_NAME
    }
    return "unknown";
}

int status_of(HttpRefusal refusal) {
    switch (refusal) {
        case HttpRefusal::length_too_large:
        case HttpRefusal::chunk_too_large: return 413;
        case HttpRefusal::target_too_long: return 414;
        case HttpRefusal::unknown_expectation: return 417;
        case HttpRefusal::head_too_long:
        case HttpRefusal::too_many_fields:
        case HttpRefusal::trailer_too_long: return 431;
        case HttpRefusal::method_too_long:
        case HttpRefusal::unknown_coding: return 501;
        case HttpRefusal::unsupported_version: return 505;
        case HttpRefusal::none:
        case HttpRefusal::bare_line_feed:
        case HttpRefusal::bare_carriage_return:
        case HttpRefusal::nul_byte:
        case HttpRefusal::folded_line:
        case HttpRefusal::leading_blank_lines:
        case HttpRefusal::leading_whitespace:
        case HttpRefusal::bad_method:
        case HttpRefusal::bad_target:
        case HttpRefusal::bad_request_line:
        case HttpRefusal::bad_version:
        case HttpRefusal::bad_status_line:
        case HttpRefusal::no_colon:
        case HttpRefusal::bad_field_name:
        case HttpRefusal::space_before_colon:
        case HttpRefusal::control_in_value:
        case HttpRefusal::lookalike_field:
        case HttpRefusal::bad_connection:
        case HttpRefusal::length_and_coding:
        case HttpRefusal::repeated_length:
        case HttpRefusal::bad_length:
        case HttpRefusal::repeated_coding:
        case HttpRefusal::coding_in_http_1_0:
        case HttpRefusal::no_host:
        case HttpRefusal::repeated_host:
        case HttpRefusal::bad_host:
        case HttpRefusal::host_mismatch:
        case HttpRefusal::bad_chunk_size:
        case HttpRefusal::chunk_extension:
        case HttpRefusal::chunk_line_too_long:
        case HttpRefusal::bad_chunk_end:
        case HttpRefusal::bad_trailer:
        case HttpRefusal::incomplete: return 400;
    }
    return 400;
}

}  // namespace callgate
