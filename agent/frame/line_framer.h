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
#include <span>
#include <string_view>

#include "base/bytes.h"

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
    // Inside a long line: memory to read its next bytes into, so that they need not be copied; else empty. What was
    // read is then fed from there. The memory stays until that, whatever else is called meanwhile; another loan ends it.
    std::span<char> lend_room();
    void resume(Handler& handler) { feed({}, handler); }
    // The unterminated last line (empty where there is none), for end of file and hand-back; after a stop, all that
    // has not been delivered.
    std::string_view rest() const;
    void clear();
    // Bytes so far of a line that was too long and has not ended; 0: not inside one. skip_on() goes on inside such a line, in a
    // framer that holds nothing.
    size_t skipped_bytes() const { return skipped_bytes_; }
    void skip_on(size_t skipped_bytes) { skipped_bytes_ = skipped_bytes; }
    size_t buffered_bytes() const;
    // Inside Handler::line(): if `line` is the whole buffer, gives it away instead of having it copied; else copies.
    // `line` stays valid until the handler returns or what is returned goes.
    Bytes take(std::string_view line);
    size_t reserved_bytes() const { return buffer_.capacity(); }

  private:
    size_t deliver(std::string_view bytes, Handler& handler);
    bool deliver_pending(Handler& handler);
    void complete_partial(std::string_view& chunk, Handler& handler);
    void feed_lent(std::string_view fresh, Handler& handler);
    void deliver_or_keep(std::string_view chunk, Handler& handler);
    void part_from_loan();
    void end_line(Handler& handler);
    void release();

    size_t frame_bytes_max_;
    Bytes buffer_;              // the partial line, and after a stop also the lines not yet delivered
    std::span<char> lent_;      // the room behind buffer_, or behind parted_ where that holds anything
    Bytes parted_;              // memory that is still lent while the line has gone on elsewhere
    size_t delivered_ = 0;      // of buffer_
    size_t last_long_ = 0;      // size of the last long line: the next may be as long
    size_t skipped_bytes_ = 0;  // > 0: inside an oversize line
    bool stopped_ = false;      // buffer_ may hold whole lines
};

}  // namespace callgate
