// Second readings of HTTP that share nothing with agent/http: Boost.Beast's parser, and chunks read the plainest way.
//
//   read_with_beast(parser, "GET / HTTP/1.1\r\n\r\nGET")                       ->  no error, used 18
//   without_trailers("…0;a\r\nX: 1\r\n\r\n")                                   ->  "…0;a\r\n\r\n"
//   plain_chunks("2;a=b\r\n{}\r\n0\r\nX: 1\r\n\r\n")                           ->  body "{}", ends_at 21
#pragma once
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdlib>
#include <string>
#include <string_view>

namespace beast = boost::beast;

struct BeastReading {
    beast::error_code error;
    size_t used = 0;
};

template <bool is_request>
BeastReading read_with_beast(beast::http::parser<is_request, beast::http::string_body>& parser, std::string_view raw) {
    parser.eager(true);
    parser.header_limit(1 << 20);
    parser.body_limit(boost::none);
    BeastReading reading;
    while (reading.used < raw.size() && !parser.is_done() && !reading.error) {
        const auto rest = raw.substr(reading.used);
        const size_t took = parser.put(boost::asio::buffer(rest.data(), rest.size()), reading.error);
        reading.used += took;
        if (took == 0) break;
    }
    return reading;
}

// A whole chunked message but its trailers: Beast reads those as fields, and refuses a Content-Length there.
inline std::string without_trailers(std::string_view raw) {
    const std::string_view blank_line = "\r\n";
    const std::string_view lines = raw.substr(0, raw.size() - blank_line.size());
    size_t end = lines.size();
    // Backwards to the last chunk's line, zeros and perhaps an extension; no field line looks so.
    for (;;) {
        const size_t begin = lines.rfind("\r\n", end - 3) + 2;
        const size_t after_zeros = lines.find_first_not_of('0', begin);
        const size_t after_blanks = lines.find_first_not_of(" \t", after_zeros);
        if (after_zeros > begin && (lines[after_blanks] == '\r' || lines[after_blanks] == ';')) break;
        end = begin;
    }
    return std::string(lines.substr(0, end)).append(blank_line);
}

struct PlainChunks {
    std::string body;
    size_t ends_at = 0;  // past the blank line; npos where that does not come
};

inline PlainChunks plain_chunks(std::string_view raw) {
    PlainChunks chunks;
    for (size_t at = 0;;) {
        const size_t line_end = raw.find("\r\n", at);
        const size_t size = std::strtoull(std::string(raw.substr(at, line_end - at)).c_str(), nullptr, 16);
        if (line_end == std::string_view::npos || size > raw.size()) break;
        at = line_end + 2;
        if (size == 0) {
            // The last line's own end may be the first half of the blank line.
            const size_t blank = raw.find("\r\n\r\n", line_end);
            chunks.ends_at = blank == std::string_view::npos ? blank : blank + 4;
            return chunks;
        }
        chunks.body.append(raw.substr(at, size));
        at += size + 2;
        if (at > raw.size()) break;
    }
    chunks.ends_at = std::string_view::npos;
    return chunks;
}
