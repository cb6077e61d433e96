#include "http/request_head.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "http/characters.h"
#include "http/head_lines.h"

namespace callgate {
namespace {

constexpr std::string_view kHttpScheme = "http://";

// host [":" port], where host is a name, an IPv4 address or an IPv6 address in brackets. User information has no '@'
// to stand before, since that is no host byte.
bool is_host(std::string_view text) {
    if (!std::all_of(text.begin(), text.end(), is_host_byte)) return false;
    std::string_view after_host = text;
    if (!text.empty() && text.front() == '[') {
        const size_t close = text.find(']');
        if (close == std::string_view::npos || close == 1) return false;
        after_host = text.substr(close + 1);
        if (!after_host.empty() && after_host.front() != ':') return false;
    }
    const size_t colon = after_host.find(':');
    if (after_host.find_first_of("[]") != std::string_view::npos) return false;
    if (colon == std::string_view::npos) return true;
    const std::string_view port = after_host.substr(colon + 1);
    return port.size() <= 5 && std::all_of(port.begin(), port.end(), is_digit);
}

// "a:80" and "a" are one place.
std::string_view without_default_port(std::string_view host) {
    for (const std::string_view port : {":80", ":"}) {
        if (host.ends_with(port)) return host.substr(0, host.size() - port.size());
    }
    return host;
}

void split_query(std::string_view text, RequestHead& head) {
    const size_t mark = text.find('?');
    head.path = text.substr(0, mark);
    head.query = mark == std::string_view::npos ? std::string_view() : text.substr(mark + 1);
}

// RFC 9112 §3.2. `authority`: that of the absolute form, to be compared with Host.
HttpProblem read_target(const LineCursor& lines, RequestHead& head, std::string_view& authority) {
    const std::string_view target = head.target;
    if (target.size() > kHttpTargetBytesMax) return refused(HttpRefusal::target_too_long, lines, target);
    for (const char& byte : target) {
        if (!is_target_byte(byte)) return refused(HttpRefusal::bad_target, lines, {&byte, 1});
    }
    head.path = head.query = authority = {};
    if (head.method == "CONNECT") {
        head.form = RequestHead::TargetForm::authority;
        const bool has_port = target.find(':') != std::string_view::npos && target.back() != ':';
        return has_port && is_host(target) ? HttpProblem{} : refused(HttpRefusal::bad_target, lines, target);
    }
    if (target == "*" && head.method == "OPTIONS") {
        head.form = RequestHead::TargetForm::asterisk;
        return {};
    }
    if (target.front() == '/') {
        head.form = RequestHead::TargetForm::origin;
        split_query(target, head);
        return {};
    }
    if (!equal_ignoring_case(target.substr(0, kHttpScheme.size()), kHttpScheme))
        return refused(HttpRefusal::bad_target, lines, target);
    head.form = RequestHead::TargetForm::absolute;
    const std::string_view rest = target.substr(kHttpScheme.size());
    const size_t end = std::min(rest.find_first_of("/?"), rest.size());
    authority = rest.substr(0, end);
    if (authority.empty() || !is_host(authority)) return refused(HttpRefusal::bad_target, lines, target);
    split_query(rest.substr(end), head);
    if (head.path.empty()) head.path = "/";
    return {};
}

HttpProblem read_request_line(LineCursor& lines, RequestHead& head, std::string_view& authority) {
    std::string_view line;
    if (!lines.next(line)) return lines.problem();
    const size_t first = line.find(' '), last = line.rfind(' ');
    head.method = line.substr(0, first);
    if (!is_token(head.method)) return refused(HttpRefusal::bad_method, lines, line);
    if (head.method.size() > kHttpMethodBytesMax) return refused(HttpRefusal::method_too_long, lines, line);
    if (first == last) return refused(HttpRefusal::bad_request_line, lines, line);
    head.target = line.substr(first + 1, last - first - 1);
    if (head.target.empty() || head.target.find_first_of(" \t") != std::string_view::npos)
        return refused(HttpRefusal::bad_request_line, lines, line);
    const HttpProblem problem = read_version(line.substr(last + 1), lines, head.minor_version);
    return problem.ok() ? read_target(lines, head, authority) : problem;
}

HttpProblem read_host(const LineCursor& lines, RequestHead& head, std::string_view authority) {
    const FieldLookup host = head.fields.find(KnownField::host);
    head.host = host.value;
    if (host.many()) {
        bool first = true;
        for (const Field& field : head.fields.all()) {
            if (field.known == KnownField::host && !std::exchange(first, false))
                return refused(HttpRefusal::repeated_host, lines, field.name);
        }
    }
    if (host.none()) {
        if (head.minor_version == 0) return {};
        return {HttpRefusal::no_host, lines.offset()};
    }
    if (!is_host(host.value)) return refused(HttpRefusal::bad_host, lines, host.value);
    const std::string_view named = head.form == RequestHead::TargetForm::authority ? head.target : authority;
    if (!named.empty() && !equal_ignoring_case(without_default_port(named), without_default_port(host.value)))
        return refused(HttpRefusal::host_mismatch, lines, host.value);
    return {};
}

HttpProblem read_expect(const LineCursor& lines, RequestHead& head) {
    head.expect_continue = false;
    for (const Field& field : head.fields.all()) {
        if (field.known != KnownField::expect) continue;
        if (!equal_ignoring_case(field.value, "100-continue"))
            return refused(HttpRefusal::unknown_expectation, lines, field.value);
        head.expect_continue = head.minor_version > 0;
    }
    return {};
}

HttpProblem refuse_lookalikes(const LineCursor& lines, const Fields& fields) {
    for (const Field& field : fields.all()) {
        if (field.known == KnownField::other && is_lookalike(field.name))
            return refused(HttpRefusal::lookalike_field, lines, field.name);
    }
    return {};
}

}  // namespace

HttpProblem RequestHead::parse(std::string_view head) {
    fields.clear();
    if (head.size() > kHttpHeadBytesMax) return {HttpRefusal::head_too_long, kHttpHeadBytesMax};
    LineCursor lines(head);
    std::string_view authority;
    ConnectionOptions options;
    HttpProblem problem = read_request_line(lines, *this, authority);
    if (problem.ok()) problem = read_fields(lines, fields);
    if (problem.ok()) problem = read_framing(fields, lines, minor_version, framing);
    if (problem.ok()) problem = read_host(lines, *this, authority);
    if (problem.ok()) problem = refuse_lookalikes(lines, fields);
    if (problem.ok()) problem = read_connection(fields, lines, options);
    if (problem.ok()) problem = read_expect(lines, *this);
    keep_alive = minor_version > 0 ? !options.close : options.keep_alive && !options.close;
    wants_upgrade = options.upgrade;
    return problem;
}

std::string_view RequestHead::upgrade() const {
    if (!wants_upgrade) return {};
    for (const Field& field : fields.all()) {
        if (field.known == KnownField::upgrade) return trimmed(field.value.substr(0, field.value.find(',')));
    }
    return {};
}

bool RequestHead::has_mcp_field() const {
    for (const KnownField field :
         {KnownField::mcp_session_id, KnownField::mcp_protocol_version, KnownField::mcp_method, KnownField::mcp_name}) {
        if (fields.has(field)) return true;
    }
    return false;
}

}  // namespace callgate
