#include "http/sse_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace callgate {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool is_line_end(char byte) { return byte == '\n' || byte == '\r'; }

// The line at the start of `text`, without what ends it; takes both off `text`.
std::string_view take_line(std::string_view& text, std::string_view& line_end) {
    const size_t length = std::min(text.find_first_of("\r\n"), text.size());
    const std::string_view line = text.substr(0, length);
    const size_t end_bytes = text.substr(length, 2) == "\r\n" ? 2 : std::min<size_t>(1, text.size() - length);
    line_end = text.substr(length, end_bytes);
    text.remove_prefix(length + end_bytes);
    return line;
}

struct SseField {
    std::string_view name, value;
};

// A comment has an empty name.
SseField read_field(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {line, {}};
    std::string_view value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    return {line.substr(0, colon), value};
}

void append_data_lines(std::string& out, std::string_view data) {
    do {
        std::string_view line_end;
        out.append("data: ").append(take_line(data, line_end)).append("\n");
        // A line end at the end of the data begins one more line, which is empty.
        if (data.empty() && !line_end.empty()) out.append("data: \n");
    } while (!data.empty());
}

}  // namespace

void SseReader::feed(std::string_view chunk, Handler& handler) {
    while (!chunk.empty()) {
        const size_t length = item_length(chunk);
        if (length == 0) return keep(chunk, handler);
        complete(chunk.substr(0, length), handler);
        chunk.remove_prefix(length);
    }
}

// Bytes up to and including the one that ends the item; 0 where it does not end in `bytes`.
size_t SseReader::item_length(std::string_view bytes) {
    size_t next_lf = 0;  // a LF before it has been passed; searched for once, however many CRs there are
    for (size_t at = 0; at < bytes.size();) {
        if (!line_empty_ && !after_cr_ && !at_start_) {
            if (next_lf <= at) next_lf = std::min(bytes.find('\n', at), bytes.size());
            const void* cr = memchr(bytes.data() + at, '\r', next_lf - at);
            at = cr == nullptr ? next_lf : static_cast<size_t>(static_cast<const char*>(cr) - bytes.data());
            if (at == bytes.size()) return 0;
        }
        if (ends_item(bytes[at++])) return at;
    }
    return 0;
}

bool SseReader::ends_item(char byte) {
    if (at_start_ && ends_byte_order_mark(byte)) return true;
    if (at_start_) return false;
    const bool after_cr = std::exchange(after_cr_, false);
    const bool item_empty = std::exchange(item_empty_, false);
    if (after_cr && byte == '\n') {
        item_empty_ = item_empty;
        return item_empty;
    }
    if (!is_line_end(byte)) {
        comment_ |= line_empty_ && first_line_ && byte == ':';
        line_empty_ = false;
        return false;
    }
    const bool ends = line_empty_ || comment_;
    after_cr_ = byte == '\r';
    line_empty_ = true;
    first_line_ = item_empty_ = ends;
    comment_ = false;
    return ends;
}

// At the start of the stream; at_start_ is over when the byte is of no mark.
bool SseReader::ends_byte_order_mark(char byte) {
    if (byte == kByteOrderMark[mark_bytes_]) {
        item_empty_ = ++mark_bytes_ == kByteOrderMark.size();
        at_start_ = !item_empty_;
        return item_empty_;
    }
    at_start_ = false;
    line_empty_ = mark_bytes_ == 0;
    return false;
}

void SseReader::keep(std::string_view bytes, Handler& handler) {
    if (!oversize_ && bytes.size() <= event_bytes_max_ - buffer_.size()) {
        buffer_.append(bytes);
        return;
    }
    if (!std::exchange(oversize_, true) && !buffer_.empty()) {
        handler.oversize(buffer_);
        buffer_ = {};
    }
    handler.oversize(bytes);
}

void SseReader::complete(std::string_view bytes, Handler& handler) {
    if (oversize_ || bytes.size() > event_bytes_max_ - buffer_.size()) {
        keep(bytes, handler);
        oversize_ = false;
        handler.oversize_end();
    } else if (buffer_.empty()) {
        deliver(bytes, handler);
    } else {
        buffer_.append(bytes);
        deliver(buffer_, handler);
        buffer_ = {};
    }
}

void SseReader::deliver(std::string_view raw, Handler& handler) {
    SseEvent event{raw, {}, "message", {}};
    size_t data_lines = 0;
    data_.clear();
    std::string_view rest = raw, line_end;
    while (!rest.empty()) {
        const SseField field = read_field(take_line(rest, line_end));
        if (field.name == "data") {
            if (++data_lines == 1) {
                event.data = field.value;
            } else {
                if (data_lines == 2) data_.assign(event.data);
                data_.append("\n").append(field.value);
            }
        } else if (field.name == "event") {
            event.name = field.value.empty() ? std::string_view("message") : field.value;
        } else if (field.name == "id" && field.value.find('\0') == std::string_view::npos) {
            event.id = field.value;
        }
    }
    if (data_lines == 0) return handler.other(raw);
    if (data_lines > 1) event.data = data_;
    handler.event(event);
    if (data_lines > 1) data_ = {};
}

SseReader::Saved SseReader::save() const {
    return {buffer_, mark_bytes_, at_start_, item_empty_, first_line_, line_empty_, comment_, after_cr_, oversize_};
}

bool SseReader::restore(Saved saved) {
    if (saved.mark_bytes > kByteOrderMark.size() || saved.rest.size() > event_bytes_max_) return false;
    if (saved.at_start && saved.mark_bytes == kByteOrderMark.size()) return false;
    buffer_ = std::move(saved.rest);
    mark_bytes_ = saved.mark_bytes;
    at_start_ = saved.at_start;
    item_empty_ = saved.item_empty;
    first_line_ = saved.first_line;
    line_empty_ = saved.line_empty;
    comment_ = saved.comment;
    after_cr_ = saved.after_cr;
    oversize_ = saved.oversize;
    return true;
}

void append_sse_message(std::string& out, std::string_view data) {
    out.append("event: message\n");
    append_data_lines(out, data);
    out.append("\n");
}

void append_sse_with_data(std::string& out, const SseEvent& event, std::string_view data) {
    bool replaced = false;
    std::string_view rest = event.raw, line_end;
    while (!rest.empty()) {
        const std::string_view line = take_line(rest, line_end);
        if (read_field(line).name != "data") {
            // Where a data line was left out, a CR before it and the LF of a blank line after it would become one end.
            if (out.ends_with('\r') && line.empty() && line_end == "\n") out.append("\n");
            out.append(line).append(line_end);
        } else if (!std::exchange(replaced, true)) {
            append_data_lines(out, data);
        }
    }
}

}  // namespace callgate
