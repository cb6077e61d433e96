// LineFramer: cuts a byte stream into LF-terminated lines (MCP stdio framing: modelcontextprotocol.io,
// "Transports / stdio": messages are delimited by newlines and must not contain embedded newlines).
//
// Invariant: chunk-invariant. The sequence of events does not depend on how the stream was split into feeds.
// Holds no memory while no partial line is pending.
//
//   feed("{\"a\":1}\n{\"b\"", on)   ->  on.line("{\"a\":1}\n")
//   feed(":2}\n", on)               ->  on.line("{\"b\":2}\n")
//
// A view handed to a handler is valid until the handler returns.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace callgate {

class LineFramer {
  public:
    struct Handler {
        virtual ~Handler() = default;
        // One whole line with its LF. May return false to stop: the rest of the chunk is then kept, and delivered
        // before anything else by the next feed() or resume().
        virtual bool line(std::string_view bytes) = 0;
        // A line longer than the limit, its LF included; called once, when the limit is passed, with what has come so
        // far: always the first frame_bytes_max bytes. The rest of that line is skipped up to and including its LF,
        // then skipped(total bytes of the line) is called.
        virtual void oversize(std::string_view head) = 0;
        virtual void skipped(size_t bytes) = 0;
    };

    explicit LineFramer(size_t frame_bytes_max);

    void feed(std::string_view chunk, Handler& handler);
    void resume(Handler& handler) { feed({}, handler); }
    // The unterminated last line (empty where there is none), for end of file and hand-back; after a stop, all that
    // has not been delivered.
    std::string_view rest() const;
    void clear();
    size_t buffered_bytes() const;
    // Inside Handler::line(): if `line` is the whole buffer, gives it away instead of having it copied; else copies.
    // `line` is not valid after it.
    std::string take(std::string_view line);
    size_t reserved_bytes() const { return buffer_.capacity(); }

  private:
    size_t deliver(std::string_view bytes, Handler& handler);
    bool deliver_pending(Handler& handler);
    void complete_partial(std::string_view& chunk, Handler& handler);
    void release();

    size_t frame_bytes_max_;
    std::string buffer_;        // the partial line, and after a stop also the lines not yet delivered
    size_t delivered_ = 0;      // of buffer_
    size_t last_long_ = 0;      // size of the last line that came in pieces and was long: the next may be as long
    size_t skipped_bytes_ = 0;  // > 0: inside an oversize line
    bool stopped_ = false;      // buffer_ may hold whole lines
};

}  // namespace callgate
