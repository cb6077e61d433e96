// SseReader: cuts an event stream into events (WHATWG HTML §9.2.6) and keeps every byte, so that what is not changed
// is passed on as it came.
//
//   "event: message\nid: 7\ndata: {\"a\":\ndata: 1}\n\n"
//                    ->  event: name "message", id "7", data "{\"a\":\n1}", raw all of it
//   ": ping\n"      ->  other: a comment between events is not kept waiting
//   "id: 1\n\n"     ->  other: no data, so the client dispatches nothing
//
// Lines end with LF, CRLF or CR. An item that ends with a CR ends there; the LF of a CRLF follows as an item of its
// own (other), because whether one comes is not known when the event must go out. It is harmless wherever it lands.
//
// Invariants: all raw views in order are exactly the stream, and items do not depend on the chunks. After every item
// the stream is at a boundary: something of ours may be written there. Holds no memory while no item is pending.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace callgate {

struct SseEvent {
    std::string_view raw;   // with the blank line that ends it, and comments inside
    std::string_view data;  // the data lines joined with LF; may be empty: a priming event has "data:" and nothing else
    std::string_view name;  // of the last event field; "message" where there is none or it is empty
    std::optional<std::string_view> id;  // the last id field that is valid (no NUL in it)
};

class SseReader {
  public:
    // Views are valid until the call returns.
    struct Handler {
        virtual ~Handler() = default;
        virtual void event(const SseEvent& event) = 0;
        // Bytes that dispatch nothing: comments, blank lines, blocks without a data line.
        virtual void other(std::string_view raw) = 0;
        // An item over the limit: all its bytes in pieces as they come, then its end.
        virtual void oversize(std::string_view piece) = 0;
        virtual void oversize_end() = 0;
    };

    explicit SseReader(size_t event_bytes_max) : event_bytes_max_(event_bytes_max) {}

    void feed(std::string_view chunk, Handler& handler);
    // Bytes of an item that is not complete. At the end of the stream a client discards them.
    std::string_view rest() const { return buffer_; }
    // Nothing has begun: something may be written between.
    bool at_boundary() const { return item_empty_; }
    // As if nothing had come.
    void clear() { *this = SseReader(event_bytes_max_); }

    // Where it is, for a reader in another process. restore(): false where that cannot be.
    struct Saved {
        std::string rest;
        uint8_t mark_bytes = 0;
        bool at_start = true, item_empty = true, first_line = true, line_empty = true;
        bool comment = false, after_cr = false, oversize = false;
        bool operator==(const Saved&) const = default;
    };
    Saved save() const;
    bool restore(Saved saved);

  private:
    size_t item_length(std::string_view bytes);
    bool ends_item(char byte);
    bool ends_byte_order_mark(char byte);
    void keep(std::string_view bytes, Handler& handler);
    void complete(std::string_view bytes, Handler& handler);
    void deliver(std::string_view raw, Handler& handler);

    size_t event_bytes_max_;
    std::string buffer_;      // the item that is not complete
    std::string data_;        // of an event with several data lines
    bool at_start_ = true;    // of the stream: a byte order mark may come
    uint8_t mark_bytes_ = 0;  // of the byte order mark so far
    bool item_empty_ = true;  // no byte of the item yet
    bool first_line_ = true;  // of the item
    bool line_empty_ = true;  // no byte on this line yet
    bool comment_ = false;    // the item is one comment line
    bool after_cr_ = false;   // the last byte was a CR: a LF now belongs to it
    bool oversize_ = false;   // inside an event that is too long
};

// "event: message\ndata: …\n\n"; every line of `data` gets its own data field, whatever ends it.
void append_sse_message(std::string& out, std::string_view data);
// `raw` with other data: name, id, retry and comments stay, the data lines are replaced by `data` where the first was.
void append_sse_with_data(std::string& out, const SseEvent& event, std::string_view data);

}  // namespace callgate
