// Content-Type and Accept (RFC 9110 §8.3, §12.5.1).
//
//   parse_content_type("Application/JSON; charset=\"UTF-8\"")  ->  is("application/json"), is_json(), charset "UTF-8"
//   parse_content_type("json")                                ->  nothing
//   accepts("text/event-stream, */*;q=0", "application/json")  ->  false
//
// Views point into the given value.
#pragma once
#include <optional>
#include <string_view>

#include "http/fields.h"

namespace callgate {

struct ContentType {
    std::string_view type, subtype;  // as written
    std::string_view charset;        // without quotes; empty: none

    bool is(std::string_view wanted) const;  // "type/subtype" in any case
    bool is_json() const;                    // application/json, or any subtype that ends in "+json"
    bool is_event_stream() const { return is("text/event-stream"); }
    // No charset, utf-8 or utf8. Not us-ascii: readers of that replace what is above 0x7f.
    bool is_utf8() const;
};
// Nothing where it is no media type, a parameter is malformed, or charset stands there twice.
std::optional<ContentType> parse_content_type(std::string_view value);

// Whether an Accept value lets `type` ("application/json") through: the most specific range that matches decides, q=0
// means no. An empty value accepts nothing; malformed ranges are passed over.
bool accepts(std::string_view accept_value, std::string_view type);
// All Accept fields of a head together; without any, everything is accepted.
bool accepts(const Fields& fields, std::string_view type);

// The codings of all Content-Encoding fields.
enum class ContentCoding : uint8_t { identity, gzip, deflate, other };
// other: one that is not known here, or more than one.
ContentCoding content_coding(const Fields& fields);

}  // namespace callgate
