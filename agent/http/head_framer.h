// HeadFramer: finds where a head ends in a stream, and says at the first byte that decides it that there is none.
//
//   scan("GET / HT")                           ->  more
//   scan("GET / HTTP/1.1\r\nHost: a\r\n\r\nX")  ->  complete: begin() 0, end() 27
//   scan("\r\nGET / HTTP/1.1\r\n\r\n")          ->  complete: begin() 2, end() 20    (RFC 9112 §2.2)
//   scan("{\"jsonrpc\"")                        ->  not_http
//   scan("\x16\x03")                            ->  tls
//   scan("GET / HTTP/1.1\nHo")                  ->  refused: bare_line_feed at 14
//
// Keeps no bytes: each call gets everything since the end of the message before, and looks only at what is new.
// Invariant: the final answer and its offsets do not depend on how the stream was split.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/refusal.h"

namespace callgate {

class HeadFramer {
  public:
    enum class Side : uint8_t { request, response };
    enum class Found : uint8_t {
        more,      // no decision yet
        complete,  // a head from begin() to end(): for RequestHead or ResponseHead to read
        refused,   // see problem(); no head can come of this
        not_http,  // request side: the first byte begins no method, and no reader would skip it. Another protocol, if
                   // it is the first message of its connection
        tls,       // request side: a TLS handshake record
        http2,     // request side: the HTTP/2 connection preface
    };

    explicit HeadFramer(Side side) : side_(side) {}

    // `bytes`: all bytes of the stream since the last reset(), the ones of earlier calls too. After anything but `more`
    // it gives the same answer until reset().
    Found scan(std::string_view bytes);

    size_t begin() const { return begin_; }  // past the blank lines that may come before a request
    size_t end() const { return at_; }       // past the blank line that ends the head
    // The head is bytes.substr(begin(), end() - begin()); the offset counts from the start of `bytes`.
    const HttpProblem& problem() const { return problem_; }
    // Not one byte of the message has come, blank lines aside: an end of stream here loses nothing.
    bool is_empty() const { return place_ == Place::blank && !after_cr_; }

    void reset();

  private:
    enum class Place : uint8_t { blank, tls, first_word, line, line_start };
    Found step(unsigned char byte, std::string_view bytes);
    Found first_byte(unsigned char byte);
    Found refuse(HttpRefusal refusal, size_t offset);

    Side side_;
    Place place_ = Place::blank;
    bool after_cr_ = false;
    Found found_ = Found::more;
    HttpProblem problem_;
    size_t begin_ = 0, at_ = 0, blank_lines_ = 0;
};

}  // namespace callgate
