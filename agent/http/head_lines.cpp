#include "http/head_lines.h"

#include <algorithm>
#include <string>

#include "base/limits.h"
#include "http/characters.h"

namespace callgate {
namespace {

// Mcp-Param-* too, which have no names that are known beforehand.
bool is_mcp_name(std::string_view name) { return equal_ignoring_case(name.substr(0, 4), "mcp-"); }

HttpProblem read_field(std::string_view line, const LineCursor& lines, Field& field) {
    if (is_blank(line.front())) return refused(HttpRefusal::folded_line, lines, line);
    const auto is_no_token = [](char byte) { return !is_token_byte(byte); };
    const auto name_end = static_cast<size_t>(std::find_if(line.begin(), line.end(), is_no_token) - line.begin());
    const std::string_view rest = line.substr(name_end);
    if (rest.empty() || line.find(':', name_end) == std::string_view::npos) return refused(HttpRefusal::no_colon, lines, line);
    if (rest.front() != ':') {
        const bool blanks = trimmed(rest.substr(0, rest.find(':'))).empty();
        return refused(blanks ? HttpRefusal::space_before_colon : HttpRefusal::bad_field_name, lines, rest);
    }
    if (name_end == 0) return refused(HttpRefusal::bad_field_name, lines, line);
    field.name = line.substr(0, name_end);
    field.value = trimmed(rest.substr(1));
    field.known = known_field(field.name);
    for (const char& byte : field.value) {
        if (!is_value_byte(byte)) return refused(HttpRefusal::control_in_value, lines, {&byte, 1});
    }
    return {};
}

// Fields that belong to one connection; Connection may name those.
bool is_hop_by_hop(KnownField field) {
    switch (field) {
        case KnownField::connection:
        case KnownField::http2_settings:
        case KnownField::keep_alive:
        case KnownField::proxy_connection:
        case KnownField::te:
        case KnownField::trailer:
        case KnownField::upgrade:
        case KnownField::other: return true;
        case KnownField::accept:
        case KnownField::accept_encoding:
        case KnownField::authorization:
        case KnownField::content_digest:
        case KnownField::content_encoding:
        case KnownField::content_length:
        case KnownField::content_md5:
        case KnownField::content_type:
        case KnownField::digest:
        case KnownField::etag:
        case KnownField::expect:
        case KnownField::host:
        case KnownField::last_event_id:
        case KnownField::mcp_method:
        case KnownField::mcp_name:
        case KnownField::mcp_protocol_version:
        case KnownField::mcp_session_id:
        case KnownField::origin:
        case KnownField::repr_digest:
        case KnownField::transfer_encoding: return false;
    }
    return false;
}

HttpProblem read_length(std::string_view value, const LineCursor& lines, uint64_t& length) {
    if (value.find(',') != std::string_view::npos) return refused(HttpRefusal::repeated_length, lines, value);
    const bool digits = !value.empty() && std::all_of(value.begin(), value.end(), is_digit);
    if (!digits || (value.size() > 1 && value.front() == '0')) return refused(HttpRefusal::bad_length, lines, value);
    length = 0;
    for (const char digit : value) {
        length = length * 10 + static_cast<uint64_t>(digit - '0');
        if (length > kHttpBodyLengthMax) return refused(HttpRefusal::length_too_large, lines, value);
    }
    return {};
}

HttpProblem read_coding(std::string_view value, const LineCursor& lines) {
    size_t chunked = 0, all = 0;
    std::string_view list = value;
    for (std::string_view element; next_element(list, element); ++all) {
        if (equal_ignoring_case(element, "chunked")) ++chunked;
    }
    if (chunked > 1) return refused(HttpRefusal::repeated_coding, lines, value);
    if (chunked != 1 || all != 1) return refused(HttpRefusal::unknown_coding, lines, value);
    return {};
}

}  // namespace

HttpProblem refused(HttpRefusal refusal, const LineCursor& lines, std::string_view part) {
    return {refusal, lines.offset_of(part)};
}

bool LineCursor::next(std::string_view& line) {
    const std::string_view rest = head_.substr(at_);
    for (size_t i = 0; i < rest.size(); ++i) {
        const char byte = rest[i];
        if (byte == '\0' || byte == '\n') {
            problem_ = {byte == '\n' ? HttpRefusal::bare_line_feed : HttpRefusal::nul_byte, at_ + i};
            return false;
        }
        if (byte != '\r') continue;
        if (i + 1 == rest.size() || rest[i + 1] != '\n') {
            problem_ = {HttpRefusal::bare_carriage_return, at_ + i};
            return false;
        }
        line = rest.substr(0, i);
        at_ += i + 2;
        return true;
    }
    problem_ = {HttpRefusal::incomplete, head_.size()};
    return false;
}

HttpProblem read_version(std::string_view version, const LineCursor& lines, int& minor_version) {
    if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !is_digit(version[5]) || version[6] != '.' ||
        !is_digit(version[7]))
        return refused(HttpRefusal::bad_version, lines, version);
    if (version[5] != '1' || version[7] > '1') return refused(HttpRefusal::unsupported_version, lines, version);
    minor_version = version[7] - '0';
    return {};
}

HttpProblem read_fields(LineCursor& lines, Fields& fields) {
    for (std::string_view line; lines.next(line);) {
        if (line.empty()) {
            // What follows belongs to the body; who cut the head so has miscounted.
            return lines.at_end() ? HttpProblem{} : HttpProblem{HttpRefusal::incomplete, lines.offset()};
        }
        if (fields.all().size() == kHttpFieldsMax) return refused(HttpRefusal::too_many_fields, lines, line);
        Field field;
        if (const HttpProblem problem = read_field(line, lines, field); !problem.ok()) return problem;
        fields.add(field);
    }
    return lines.problem();
}

HttpProblem read_connection(const Fields& fields, const LineCursor& lines, ConnectionOptions& options) {
    if (!fields.has(KnownField::connection) && !fields.has(KnownField::proxy_connection)) return {};
    for (const Field& field : fields.all()) {
        const bool meant = field.known == KnownField::connection;
        if (!meant && field.known != KnownField::proxy_connection) continue;
        std::string_view list = field.value;
        for (std::string_view option; next_element(list, option);) {
            if (!option.empty() && !is_token(option)) return refused(HttpRefusal::bad_connection, lines, option);
            options.close |= meant && equal_ignoring_case(option, "close");
            options.keep_alive |= meant && equal_ignoring_case(option, "keep-alive");
            options.upgrade |= meant && equal_ignoring_case(option, "upgrade");
            if (!is_hop_by_hop(known_field(option)) || is_mcp_name(option))
                return refused(HttpRefusal::bad_connection, lines, option);
        }
    }
    return {};
}

HttpProblem read_framing(const Fields& fields, const LineCursor& lines, int minor_version, BodyFraming& framing) {
    framing = {};
    bool coded = false, measured = false;
    for (const Field& field : fields.all()) {
        if (field.known == KnownField::transfer_encoding) {
            if (measured) return refused(HttpRefusal::length_and_coding, lines, field.name);
            if (coded) return refused(HttpRefusal::repeated_coding, lines, field.name);
            if (minor_version == 0) return refused(HttpRefusal::coding_in_http_1_0, lines, field.name);
            if (const HttpProblem problem = read_coding(field.value, lines); !problem.ok()) return problem;
            framing = {BodyFraming::Kind::chunked, 0};
            coded = true;
        } else if (field.known == KnownField::content_length) {
            if (coded) return refused(HttpRefusal::length_and_coding, lines, field.name);
            if (measured) return refused(HttpRefusal::repeated_length, lines, field.name);
            framing.kind = BodyFraming::Kind::length;
            if (const HttpProblem problem = read_length(field.value, lines, framing.length); !problem.ok()) return problem;
            measured = true;
        }
    }
    return {};
}

bool is_lookalike(std::string_view name) {
    if (name.find('_') == std::string_view::npos) return false;
    std::string with_hyphens(name);
    std::replace(with_hyphens.begin(), with_hyphens.end(), '_', '-');
    return known_field(with_hyphens) != KnownField::other || is_mcp_name(with_hyphens);
}

}  // namespace callgate
