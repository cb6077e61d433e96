#include "http/response_head.h"

#include <algorithm>

#include "base/limits.h"
#include "http/characters.h"
#include "http/head_lines.h"

namespace callgate {
namespace {

// HTTP-version SP 3DIGIT SP [reason-phrase]. The second space is left out by servers without a reason.
HttpProblem read_status_line(LineCursor& lines, ResponseHead& head) {
    std::string_view line;
    if (!lines.next(line)) return lines.problem();
    constexpr size_t kVersionBytes = 8, kStatusEnd = 12;
    const auto problem = refused(HttpRefusal::bad_status_line, lines, line);
    if (line.size() < kStatusEnd || line[kVersionBytes] != ' ') return problem;
    const HttpProblem version = read_version(line.substr(0, kVersionBytes), lines, head.minor_version);
    if (!version.ok()) return version;
    const std::string_view digits = line.substr(kVersionBytes + 1, 3);
    if (!std::all_of(digits.begin(), digits.end(), is_digit) || digits.front() == '0') return problem;
    head.status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    head.reason = {};
    if (line.size() == kStatusEnd) return {};
    if (line[kStatusEnd] != ' ') return problem;
    head.reason = line.substr(kStatusEnd + 1);
    return std::all_of(head.reason.begin(), head.reason.end(), is_value_byte) ? HttpProblem{} : problem;
}

// What the status and the request's method say before any field does (RFC 9112 §6.3, items 1, 2 and 8).
BodyFraming body_of(int status, std::string_view request_method, const BodyFraming& stated) {
    using Kind = BodyFraming::Kind;
    if (status == 101 || (request_method == "CONNECT" && status / 100 == 2)) return {Kind::tunnel, 0};
    if (request_method == "HEAD" || status < 200 || status == 204 || status == 304) return {Kind::none, 0};
    return stated.kind == Kind::none ? BodyFraming{Kind::until_close, 0} : stated;
}

}  // namespace

HttpProblem ResponseHead::parse(std::string_view head, std::string_view request_method) {
    fields.clear();
    if (head.size() > kHttpHeadBytesMax) return {HttpRefusal::head_too_long, kHttpHeadBytesMax};
    LineCursor lines(head);
    BodyFraming stated;
    ConnectionOptions options;
    HttpProblem problem = read_status_line(lines, *this);
    if (problem.ok()) problem = read_fields(lines, fields);
    if (problem.ok()) problem = read_framing(fields, lines, minor_version, stated);
    if (problem.ok()) problem = read_connection(fields, lines, options);
    if (!problem.ok()) return problem;
    framing = body_of(status, request_method, stated);
    keep_alive = minor_version > 0 ? !options.close : options.keep_alive && !options.close;
    if (framing.kind == BodyFraming::Kind::until_close) keep_alive = false;
    return {};
}

}  // namespace callgate
