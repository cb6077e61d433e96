// BodyReader: walks a body in a stream and says which bytes of it are payload (RFC 9112 §6, §7.1).
//
//   BodyReader reader({BodyFraming::Kind::chunked}, BodyReader::Extensions::refuse);
//   next("5\r\nhel")            ->  framing, 3 bytes
//   next("hel")                 ->  payload "hel", 3 bytes;  next("")  ->  more
//   next("lo\r\n0\r\n\r\nGET")    ->  payload "lo", 2 bytes
//   next("\r\n0\r\n\r\nGET")      ->  end, 7 bytes: GET is the next message
//
// The caller takes `raw_bytes` off its input after every call and goes on until more, end or refused. It passes the raw
// bytes on as they are, or collects the payload; what it does not collect costs no memory here.
//
// Invariant: the payload, where the body ends, and the refusal with its offset do not depend on how the stream was
// split. Holds no bytes. Trailer fields are checked as field lines, bounded, and no part of the payload.
//
// Chunk extensions: no client of ours sends any, and readers disagree about where a quoted one ends, so `refuse` is for
// requests. A response's are skipped (`skip`): a recipient must ignore them (§7.1.1). Refused are a control character
// in one and a quote that the line does not close.
#pragma once
#include <cstdint>
#include <string_view>

#include "http/framing.h"
#include "http/refusal.h"

namespace callgate {

class BodyReader {
  public:
    enum class Extensions : uint8_t { refuse, skip };
    enum class Step : uint8_t {
        more,     // the input is used up
        payload,  // `payload` is content; it is the raw_bytes themselves
        framing,  // raw_bytes of chunk lines, chunk ends or trailers
        end,      // raw_bytes (perhaps 0) of framing, and the body is over; the next message begins after them
        refused,  // see problem()
    };
    struct Piece {
        Step step = Step::more;
        size_t raw_bytes = 0;
        std::string_view payload;  // into the input
    };

    BodyReader() = default;  // no body: the first next() is the end
    BodyReader(BodyFraming framing, Extensions extensions);

    // After end or refused, the same again with 0 bytes. A tunnel is payload for ever.
    Piece next(std::string_view bytes);
    // The stream ended. True where that ends the body (until_close, tunnel, or already at its end); else the body is
    // incomplete, and problem() says so.
    bool finish();

    // Where it is, for a reader in another process. restore(): false where that cannot be.
    struct Saved {
        BodyFraming framing;
        uint8_t extensions = 0, place = 0, digits = 0;
        bool extension_began = false, in_quotes = false, escaped = false;
        uint64_t left = 0, payload_bytes = 0, raw_bytes = 0;
        uint32_t line_bytes = 0;
        bool operator==(const Saved&) const = default;
    };
    Saved save() const;
    bool restore(const Saved& saved);

    bool done() const { return place_ == Place::done; }
    uint64_t payload_bytes() const { return payload_bytes_; }
    uint64_t raw_bytes() const { return raw_bytes_; }
    // Offset from the start of the body.
    const HttpProblem& problem() const { return problem_; }

  private:
    enum class Place : uint8_t {
        content,    // left_ more bytes of it
        endless,    // until the stream ends
        size,       // hexadecimal digits of a chunk size
        extension,  // after them, up to CR
        size_lf,    // the LF of the size line
        chunk_cr,   // the CR LF after a chunk's data
        chunk_lf,
        trailer,  // at the start of a trailer line
        trailer_name,
        trailer_value,
        trailer_lf,
        last_lf,  // the LF of the blank line that ends it all
        done,
        refused,
    };
    Piece content(std::string_view bytes);
    Piece framing_bytes(std::string_view bytes);
    HttpRefusal step(char byte);
    HttpRefusal size_byte(char byte);
    HttpRefusal extension_byte(char byte);
    HttpRefusal trailer_byte(char byte);

    BodyFraming framing_;
    Extensions extensions_ = Extensions::refuse;
    Place place_ = Place::done;
    bool extension_began_ = false;  // its ';' has come
    bool in_quotes_ = false;        // in one of its quoted strings
    bool escaped_ = false;          // right after a backslash there
    uint8_t digits_ = 0;            // of the chunk size so far
    uint64_t left_ = 0;             // of the chunk or the body
    uint32_t line_bytes_ = 0;       // of the chunk's size line, or of all trailers
    uint64_t payload_bytes_ = 0, raw_bytes_ = 0;
    HttpProblem problem_;
};

}  // namespace callgate
