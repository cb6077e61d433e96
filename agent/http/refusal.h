// Why a message is not HTTP/1.x in the one reading that callgate accepts. Whatever two parsers could read differently
// is refused, never repaired: a request that a server frames in another way than callgate did hides a second one.
//
//   name(HttpRefusal::length_and_coding)  ->  "length_and_coding"      status_of(…)  ->  400
//
// Sources: RFC 9110, RFC 9112 (sections beside the values).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace callgate {

enum class HttpRefusal : uint8_t {
    none,
    // lines (9112 §2.2, §5)
    bare_line_feed,        // LF without a CR before it: some parsers end a line there
    bare_carriage_return,  // CR without a LF after it: others do there
    nul_byte,
    folded_line,      // a field line that begins with a space or tab (obs-fold)
    head_too_long,    // kHttpHeadBytesMax
    too_many_fields,  // kHttpFieldsMax
    // request line, status line (9112 §3, §4)
    leading_blank_lines,  // more empty lines before the request than kHttpBlankLinesMax
    leading_whitespace,   // space, tab or a control character that some readers skip, before the first line
    bad_method,           // not a token
    method_too_long,      // kHttpMethodBytesMax
    bad_target,           // not one of the four forms, or a byte that does not belong there, or a fragment
    target_too_long,      // kHttpTargetBytesMax
    bad_request_line,     // not exactly method SP target SP version; HTTP/0.9
    bad_version,          // not HTTP/DIGIT.DIGIT
    unsupported_version,  // neither 1.0 nor 1.1
    bad_status_line,
    // field lines (9112 §5.1, 9110 §5.5)
    no_colon,
    bad_field_name,  // empty, or not a token
    space_before_colon,
    control_in_value,     // a control character other than tab, DEL included
    lookalike_field,      // "Content_Length": a known field with '_' for '-'; CGI and WSGI take it for that field
    bad_connection,       // Connection names a field that is end-to-end or frames the message, to have it dropped
    unknown_expectation,  // Expect other than 100-continue
    // framing (9112 §6)
    length_and_coding,   // Content-Length and Transfer-Encoding
    repeated_length,     // several Content-Length, or a list, even of equal values
    bad_length,          // not 1*DIGIT; leading zeros too
    length_too_large,    // over kHttpBodyLengthMax
    repeated_coding,     // several Transfer-Encoding, or a list that ends in chunked twice
    unknown_coding,      // anything but "chunked" alone
    coding_in_http_1_0,  // Transfer-Encoding in HTTP/1.0
    // host (9112 §3.2)
    no_host,  // HTTP/1.1 without Host
    repeated_host,
    bad_host,       // no host[:port]; a list; user information
    host_mismatch,  // absolute-form target with another authority than Host's
    // chunks (9112 §7.1)
    bad_chunk_size,       // no hexadecimal digit, "0x", sign, space
    chunk_too_large,      // over kHttpBodyLengthMax
    chunk_extension,      // where the reader refuses them
    chunk_line_too_long,  // kHttpChunkLineBytesMax
    bad_chunk_end,        // chunk data not followed by CRLF
    bad_trailer,          // a trailer line that is no field line
    trailer_too_long,     // kHttpTrailerBytesMax
    // ends
    incomplete,  // the connection ended inside the message
};

std::string_view name(HttpRefusal refusal);

// The status of the answer to a refused request: 400, or 413, 414, 417, 431, 501, 505 where one says it better. For a
// refused response the client gets 502 whatever the reason.
int status_of(HttpRefusal refusal);

// A refusal and where: the offset of the first byte that is wrong, from the start of what was read (head or body).
struct HttpProblem {
    HttpRefusal refusal = HttpRefusal::none;
    size_t offset = 0;

    bool ok() const { return refusal == HttpRefusal::none; }
    bool operator==(const HttpProblem&) const = default;
};

}  // namespace callgate
