// The lines of a head whose end is known, each checked: for RequestHead and ResponseHead.
//
//   LineCursor lines("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//   lines.next() -> "GET / HTTP/1.1"; then read_fields() reads "Host: a" and the blank line
#pragma once
#include <string_view>

#include "http/fields.h"
#include "http/framing.h"
#include "http/refusal.h"

namespace callgate {

class LineCursor {
  public:
    explicit LineCursor(std::string_view head) : head_(head) {}

    // The next line without its CRLF, which ends it and nothing else does. Nothing after the last one or at a problem.
    bool next(std::string_view& line);
    bool at_end() const { return at_ == head_.size(); }
    size_t offset() const { return at_; }
    size_t offset_of(std::string_view part) const { return static_cast<size_t>(part.data() - head_.data()); }
    const HttpProblem& problem() const { return problem_; }

  private:
    std::string_view head_;
    size_t at_ = 0;
    HttpProblem problem_;
};

// Where a part of the head is refused.
HttpProblem refused(HttpRefusal refusal, const LineCursor& lines, std::string_view part);

// "HTTP/1.1" -> 1, "HTTP/1.0" -> 0.
HttpProblem read_version(std::string_view version, const LineCursor& lines, int& minor_version);

// All field lines up to the blank line, which must be the end of the head.
HttpProblem read_fields(LineCursor& lines, Fields& fields);

// What Connection says (RFC 9110 §7.6.1). Proxy-Connection, which some readers take for it, says nothing here, but must
// be as well-formed.
struct ConnectionOptions {
    bool close = false, keep_alive = false, upgrade = false;
};
HttpProblem read_connection(const Fields& fields, const LineCursor& lines, ConnectionOptions& options);

// Content-Length or Transfer-Encoding; {none} where there is neither (RFC 9112 §6.3, stricter).
HttpProblem read_framing(const Fields& fields, const LineCursor& lines, int minor_version, BodyFraming& framing);

// A name that becomes a known field's, or an Mcp-… one, to whoever takes '_' for '-' (CGI, WSGI, PHP).
bool is_lookalike(std::string_view name);

}  // namespace callgate
