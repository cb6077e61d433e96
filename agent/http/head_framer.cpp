#include "http/head_framer.h"

#include <algorithm>

#include "base/limits.h"
#include "http/characters.h"

namespace callgate {
namespace {

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n";
// The first two bytes of a TLS connection: record type and major version (RFC 8446 §5.1).
constexpr unsigned char kTlsHandshake = 0x16, kTlsMajorVersion = 0x03;

// What a reader that strips its first line (Python's http.server does, with str.split) takes for white space: a method
// may follow, so this is no other protocol.
bool is_skipped_by_some(unsigned char byte) {
    return (byte >= 0x09 && byte <= 0x0d) || (byte >= 0x1c && byte <= 0x20) || byte == 0x85 || byte == 0xa0;
}

}  // namespace

void HeadFramer::reset() { *this = HeadFramer(side_); }

HeadFramer::Found HeadFramer::refuse(HttpRefusal refusal, size_t offset) {
    problem_ = {refusal, offset};
    return Found::refused;
}

HeadFramer::Found HeadFramer::scan(std::string_view bytes) {
    while (found_ == Found::more && at_ < bytes.size()) {
        // The inside of a line needs no look at each byte.
        if (place_ == Place::line && !after_cr_) {
            const auto is_special = [](char byte) { return byte == '\r' || byte == '\n' || byte == '\0'; };
            const std::string_view rest = bytes.substr(at_, begin_ + kHttpHeadBytesMax - at_);
            at_ += static_cast<size_t>(std::find_if(rest.begin(), rest.end(), is_special) - rest.begin());
            if (at_ == bytes.size()) break;
        }
        if (at_ - begin_ >= kHttpHeadBytesMax) {
            found_ = refuse(HttpRefusal::head_too_long, at_);
            break;
        }
        found_ = step(static_cast<unsigned char>(bytes[at_]), bytes);
        if (found_ == Found::more || found_ == Found::complete) ++at_;
    }
    return found_;
}

HeadFramer::Found HeadFramer::step(unsigned char byte, std::string_view bytes) {
    if (after_cr_) {
        if (byte != '\n') return refuse(HttpRefusal::bare_carriage_return, at_ - 1);
        after_cr_ = false;
        if (place_ == Place::line_start) return Found::complete;
        if (place_ == Place::blank) {
            begin_ = at_ + 1;
            return ++blank_lines_ > kHttpBlankLinesMax ? refuse(HttpRefusal::leading_blank_lines, at_ - 1) : Found::more;
        }
        if (side_ == Side::request && bytes.substr(begin_, kHttp2Preface.size()) == kHttp2Preface) return Found::http2;
        place_ = Place::line_start;
        return Found::more;
    }
    if (byte == '\r') {
        // Blank lines come before requests only; a method alone is no request line.
        if (place_ == Place::blank && side_ == Side::response) return refuse(HttpRefusal::bad_status_line, at_);
        if (place_ == Place::first_word) return refuse(HttpRefusal::bad_request_line, at_);
        after_cr_ = place_ != Place::tls;
        return after_cr_ ? Found::more : Found::not_http;
    }
    if (place_ == Place::blank) return first_byte(byte);
    if (place_ == Place::tls) return byte == kTlsMajorVersion ? Found::tls : Found::not_http;
    if (byte == '\n') return refuse(HttpRefusal::bare_line_feed, at_);
    if (byte == '\0') return refuse(HttpRefusal::nul_byte, at_);
    if (place_ == Place::line_start && is_blank(static_cast<char>(byte))) return refuse(HttpRefusal::folded_line, at_);
    if (place_ == Place::first_word) {
        if (byte == ' ') {
            place_ = Place::line;
        } else if (!is_token_byte(static_cast<char>(byte))) {
            return refuse(HttpRefusal::bad_method, at_);
        } else if (at_ - begin_ >= kHttpMethodBytesMax) {
            return refuse(HttpRefusal::method_too_long, at_);
        }
        return Found::more;
    }
    place_ = Place::line;
    return Found::more;
}

HeadFramer::Found HeadFramer::first_byte(unsigned char byte) {
    if (side_ == Side::response) {
        if (byte != 'H') return refuse(HttpRefusal::bad_status_line, at_);
        place_ = Place::line;
        return Found::more;
    }
    if (byte == '\n') return refuse(HttpRefusal::bare_line_feed, at_);
    if (is_skipped_by_some(byte)) return refuse(HttpRefusal::leading_whitespace, at_);
    if (is_token_byte(static_cast<char>(byte))) {
        place_ = Place::first_word;
        return Found::more;
    }
    // Blank lines were skipped as before a request: too late to be another protocol.
    if (begin_ != 0) return refuse(HttpRefusal::bad_method, at_);
    if (byte != kTlsHandshake) return Found::not_http;
    place_ = Place::tls;
    return Found::more;
}

}  // namespace callgate
