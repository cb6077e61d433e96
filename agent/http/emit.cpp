#include "http/emit.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "http/characters.h"

namespace callgate {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

void append_field(std::string& out, std::string_view field_name, std::string_view value) {
    out.append(field_name).append(": ").append(value).append(kLineEnd);
}

void append_number(std::string& out, uint64_t number, int base) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, number, base).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}

// Belongs to one connection or to the framing, so it is written anew or not at all.
bool is_rewritten(KnownField field) {
    switch (field) {
        case KnownField::connection:
        case KnownField::content_length:
        case KnownField::expect:
        case KnownField::http2_settings:
        case KnownField::keep_alive:
        case KnownField::proxy_connection:
        case KnownField::te:
        case KnownField::trailer:
        case KnownField::transfer_encoding:
        case KnownField::upgrade: return true;
        case KnownField::accept:
        case KnownField::accept_encoding:
        case KnownField::authorization:
        case KnownField::content_digest:
        case KnownField::content_encoding:
        case KnownField::content_md5:
        case KnownField::content_type:
        case KnownField::digest:
        case KnownField::etag:
        case KnownField::host:
        case KnownField::last_event_id:
        case KnownField::mcp_method:
        case KnownField::mcp_name:
        case KnownField::mcp_protocol_version:
        case KnownField::mcp_session_id:
        case KnownField::origin:
        case KnownField::repr_digest:
        case KnownField::other: return false;
    }
    return false;
}

// True of the body's bytes as they were sent, and of no other.
bool describes_bytes(KnownField field) {
    return field == KnownField::content_digest || field == KnownField::content_md5 || field == KnownField::digest ||
           field == KnownField::etag || field == KnownField::repr_digest;
}

bool is_before(std::string_view a, std::string_view b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                        [](char x, char y) { return lower(x) < lower(y); });
}

// What Connection names. Asked for each field, of a list that may be as long as a head.
class ConnectionNames {
  public:
    explicit ConnectionNames(const Fields& fields) {
        if (!fields.has(KnownField::connection)) return;
        for (const Field& field : fields.all()) {
            if (field.known != KnownField::connection) continue;
            std::string_view list = field.value;
            for (std::string_view option; next_element(list, option);) {
                if (!option.empty()) names_.push_back(option);
            }
        }
        std::sort(names_.begin(), names_.end(), is_before);
    }
    bool has(std::string_view field_name) const {
        return std::binary_search(names_.begin(), names_.end(), field_name, is_before);
    }

  private:
    std::vector<std::string_view> names_;  // sorted
};

// Every field in its order that is end-to-end and that `drops` does not want gone.
template <typename Drops>
void append_end_to_end(std::string& out, const Fields& fields, const Drops& drops) {
    const ConnectionNames named(fields);
    for (const Field& field : fields.all()) {
        if (is_rewritten(field.known) || drops(field.known) || named.has(field.name)) continue;
        append_field(out, field.name, field.value);
    }
}

void append_version(std::string& out, int minor_version) { out.append(minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1"); }

bool ends_itself(const BodyFraming& framing) { return framing.kind != BodyFraming::Kind::until_close; }

void append_framing(std::string& out, const BodyFraming& framing) {
    switch (framing.kind) {
        case BodyFraming::Kind::length:
            out.append("Content-Length: ");
            append_number(out, framing.length, 10);
            out.append(kLineEnd);
            break;
        case BodyFraming::Kind::chunked: append_field(out, "Transfer-Encoding", "chunked"); break;
        case BodyFraming::Kind::none:
        case BodyFraming::Kind::until_close:
        case BodyFraming::Kind::tunnel: break;
    }
}

// Only what differs from the version's own rule.
void append_connection(std::string& out, bool keep_alive, int minor_version) {
    if (keep_alive == (minor_version > 0)) return;
    append_field(out, "Connection", keep_alive ? "keep-alive" : "close");
}

void append_status_line(std::string& out, int minor_version, int status, std::string_view reason) {
    append_version(out, minor_version);
    out.append(" ");
    append_number(out, static_cast<uint64_t>(status), 10);
    out.append(" ").append(reason).append(kLineEnd);
}

}  // namespace

void append_request_head(std::string& out, const RequestHead& head, const RequestRewrite& rewrite) {
    out.append(head.method).append(" ");
    if (head.form == RequestHead::TargetForm::absolute) {
        // The query stands right after the path, unless the path is the "/" that an empty one means.
        out.append(head.path);
        if (head.query.data() != nullptr) out.append("?").append(head.query);
    } else {
        out.append(head.target);
    }
    out.append(" ");
    append_version(out, head.minor_version);
    out.append(kLineEnd);
    append_end_to_end(out, head.fields, [&](KnownField field) {
        if (field == KnownField::accept_encoding) return true;
        return rewrite.body_decoded && (field == KnownField::content_encoding || describes_bytes(field));
    });
    if (rewrite.content_length) append_framing(out, {BodyFraming::Kind::length, *rewrite.content_length});
    append_field(out, name(KnownField::accept_encoding), "identity");
    append_connection(out, head.keep_alive, head.minor_version);
    out.append(kLineEnd);
}

void append_response_head(std::string& out, const ResponseHead& head, const ResponseRewrite& rewrite) {
    const int minor_version = rewrite.framing.kind == BodyFraming::Kind::chunked ? 1 : head.minor_version;
    append_status_line(out, minor_version, head.status, head.reason);
    append_end_to_end(out, head.fields, [&](KnownField field) { return rewrite.body_changed && describes_bytes(field); });
    append_framing(out, rewrite.framing);
    append_connection(out, rewrite.keep_alive && ends_itself(rewrite.framing), minor_version);
    out.append(kLineEnd);
}

void append_answer_head(std::string& out, const Answer& answer) {
    append_status_line(out, answer.minor_version, answer.status, reason_phrase(answer.status));
    if (!answer.content_type.empty()) append_field(out, "Content-Type", answer.content_type);
    if (!answer.session_id.empty()) append_field(out, "Mcp-Session-Id", answer.session_id);
    if (answer.event_stream) append_field(out, "Cache-Control", "no-cache");
    append_framing(out, answer.framing);
    append_connection(out, answer.keep_alive && ends_itself(answer.framing), answer.minor_version);
    out.append(kLineEnd);
}

void append_answer(std::string& out, Answer answer, std::string_view body) {
    answer.framing = {BodyFraming::Kind::length, body.size()};
    append_answer_head(out, answer);
    out.append(body);
}

void append_continue(std::string& out) { out.append("HTTP/1.1 100 Continue\r\n\r\n"); }

std::string_view reason_phrase(int status) {
    switch (status) {
        case 200: return "OK";
        case 202: return "Accepted";
        case 204: return "No Content";
        case 400: return "Bad Request";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 415: return "Unsupported Media Type";
        case 417: return "Expectation Failed";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        case 505: return "HTTP Version Not Supported";
        default: return {};
    }
}

void append_chunk(std::string& out, std::string_view payload) {
    if (payload.empty()) return;
    append_number(out, payload.size(), 16);
    out.append(kLineEnd).append(payload).append(kLineEnd);
}

void append_last_chunk(std::string& out) { out.append("0\r\n\r\n"); }

}  // namespace callgate
