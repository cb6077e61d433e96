#include "enforce/opening.h"

#include <strings.h>

#include <charconv>

namespace callgate {
namespace {

constexpr std::string_view kHeader = "content-";
constexpr size_t kLinePassedMax = 4096;
constexpr size_t kHeaderBytesMax = 8192;
// A program that is perhaps no MCP server at all (a filter, say) need not wait longer for the end of a line.
constexpr size_t kHeldUncertainMax = size_t{1} << 20;

bool begins_with_header(std::string_view text) {
    return text.size() >= kHeader.size() && !strncasecmp(text.data(), kHeader.data(), kHeader.size());
}

// The value of Content-Length among header lines (LSP base protocol), or npos.
size_t content_length(std::string_view headers) {
    constexpr std::string_view kName = "content-length:";
    for (size_t at = 0; at < headers.size();) {
        size_t end = headers.find('\n', at);
        if (end == std::string_view::npos) end = headers.size();
        std::string_view line = headers.substr(at, end - at);
        at = end + 1;
        if (line.size() < kName.size() || strncasecmp(line.data(), kName.data(), kName.size())) continue;
        line.remove_prefix(kName.size());
        while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
        size_t value = 0;
        if (std::from_chars(line.data(), line.data() + line.size(), value).ec == std::errc()) return value;
    }
    return std::string_view::npos;
}

}  // namespace

Opening::Opening(Start start, bool certain, size_t frame_bytes_max)
    : state_(start == Start::decided ? State::decided : start == Start::midway ? State::tail : State::sniff),
      certain_(certain),
      frame_bytes_max_(frame_bytes_max) {}

void Opening::feed(std::string_view bytes, std::string& pass, std::string& judge) {
    if (state_ == State::tail) {
        size_t first = bytes.find_first_not_of(" \t\r\n");
        bool at_boundary = first == std::string_view::npos || bytes[first] == '{' || bytes[first] == '[';
        size_t end = bytes.find('\n');
        if (!at_boundary && end == std::string_view::npos) {
            pass.append(bytes);
            return;
        }
        if (!at_boundary) {
            pass.append(bytes.substr(0, end + 1));
            bytes.remove_prefix(end + 1);
        }
        state_ = State::decided;
    }
    held_.append(bytes);
    if (state_ != State::decided) step(pass);
    if (state_ == State::decided) {
        judge.append(held_);
        std::string().swap(held_);
    }
}

void Opening::finish(std::string& pass, std::string& judge) {
    if (state_ == State::sniff && held_.find('{') != std::string::npos) state_ = State::decided;
    (state_ == State::decided ? judge : pass).append(held_);
    std::string().swap(held_);
}

void Opening::step(std::string& pass) {
    while (!held_.empty() && state_ != State::decided) {
        size_t taken = state_ == State::foreign_headers ? take_headed_message(pass) : take_line(pass);
        if (taken == 0) return;
    }
}

// Lets the first line of held_ pass, or decides. Returns how many bytes were dealt with.
size_t Opening::take_line(std::string& pass) {
    size_t end = held_.find('\n');
    bool has_brace = held_.find_first_of("{[") < end;
    if (end == std::string::npos) {
        if (has_brace || !line_passed_.empty()) {
            if (held_.size() > frame_bytes_max_) state_ = State::decided;
            if (has_brace && (certain_ || held_.size() < kHeldUncertainMax)) return 0;
        }
        // Text without a brace cannot be a message: it need not wait for the end of its line.
        if (line_passed_.size() < kLinePassedMax) line_passed_.append(held_);
        pass.append(held_);
        held_.clear();
        return 0;
    }
    std::string line = line_passed_ + held_.substr(0, end + 1);
    line_passed_.clear();
    Protocol protocol = classify_bytes(line, parser_);
    if (protocol == Protocol::mcp || (protocol == Protocol::json_like && certain_ && state_ == State::sniff)) {
        state_ = State::decided;
        return 0;
    }
    if (state_ == State::sniff && begins_with_header(line)) {
        state_ = State::foreign_headers;
        // What has passed of the header already cannot be held back; the rest is read as one.
        size_t before = line.size() - (end + 1);
        if (before == 0) return end + 1;
        held_.insert(0, line.substr(0, before));
        line_passed_ = line.substr(0, before);
        return end + 1;
    }
    if (protocol == Protocol::foreign || protocol == Protocol::json_like) state_ = State::foreign_lines;
    if (protocol == Protocol::foreign && parser_.parse(line).method != "initialize") foreign_call_ = true;
    pass.append(held_, 0, end + 1);
    held_.erase(0, end + 1);
    return end + 1;
}

// One message of the LSP base protocol: headers, blank line, exactly Content-Length bytes.
size_t Opening::take_headed_message(std::string& pass) {
    if (!begins_with_header(held_) && held_.size() >= kHeader.size()) {
        state_ = State::sniff;  // no header where one must be: look at it as lines again
        return 1;
    }
    size_t head = held_.find("\r\n\r\n");
    size_t gap = 4;
    if (head == std::string::npos) {
        head = held_.find("\n\n");
        gap = 2;
    }
    if (head == std::string::npos) {
        if (held_.size() > kHeaderBytesMax) state_ = State::decided;
        return 0;
    }
    size_t length = content_length(std::string_view(held_).substr(0, head));
    if (length == std::string::npos || length > frame_bytes_max_) {
        state_ = State::decided;
        return 0;
    }
    size_t whole = head + gap + length;
    if (held_.size() < whole) return 0;
    if (classify_bytes(std::string_view(held_).substr(head + gap, length), parser_) == Protocol::mcp) {
        state_ = State::decided;
        return 0;
    }
    pass.append(held_, line_passed_.size(), whole - line_passed_.size());
    line_passed_.clear();
    held_.erase(0, whole);
    return whole;
}

bool Opening::server_confirms(std::string_view line) {
    if (state_ == State::foreign_headers) return begins_with_header(line);
    if (state_ != State::foreign_lines) return false;
    const Message& message = parser_.parse(line);
    if (message.kind != MessageKind::response) return false;
    if (!message.has_jsonrpc_2) return true;  // an MCP server always says so
    if (!message.is_error && foreign_call_) return true;  // it knows a method that MCP does not have
    constexpr std::string_view kVersion = "\"protocolVersion\":";
    size_t at = message.result.find(kVersion);
    if (at == std::string_view::npos) return false;
    at = message.result.find_first_not_of(" \t", at + kVersion.size());
    return at != std::string_view::npos && message.result[at] >= '0' && message.result[at] <= '9';
}

}  // namespace callgate
