#include "enforce/opening.h"

#include <strings.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace callgate {
namespace {

// One per thread: a session needs it for its first lines only, and there are thousands.
thread_local MessageParser parser;

constexpr std::string_view kHeader = "content-";
constexpr std::string_view kBlank = " \t\r\n";
constexpr size_t kLinePassedMax = 4096;
constexpr size_t kHeaderBytesMax = 8192;
// A program that is perhaps no MCP server at all (a filter, say) need not wait longer for the end of a line.
constexpr size_t kHeldUncertainMax = size_t{1} << 20;

bool begins_with_header(std::string_view text) {
    return text.size() >= kHeader.size() && !strncasecmp(text.data(), kHeader.data(), kHeader.size());
}

bool begins_json(std::string_view line) {
    const size_t first = line.find_first_not_of(" \t");
    return first != line.npos && (line[first] == '{' || line[first] == '[');
}

// The header lines of the LSP base protocol at the front of `text`, their blank line included. Every one of them must be
// such a line: a server that reads lines would take anything else between them for a message.
struct Headers {
    enum class State { incomplete, complete, malformed } state = State::incomplete;
    size_t bytes = 0;
    size_t content_length = std::string_view::npos;
};

Headers read_headers(std::string_view text) {
    constexpr std::string_view kLength = "content-length:";
    Headers found;
    for (;;) {
        size_t end = text.find('\n', found.bytes);
        if (end == std::string_view::npos) return found;
        std::string_view line = text.substr(found.bytes, end - found.bytes);
        found.bytes = end + 1;
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (line.empty()) break;
        if (!begins_with_header(line) || line.find_first_of("{[\r") != std::string_view::npos) {
            found.state = Headers::State::malformed;
            return found;
        }
        if (line.size() < kLength.size() || strncasecmp(line.data(), kLength.data(), kLength.size())) continue;
        line.remove_prefix(kLength.size());
        while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
        size_t value = 0;
        if (std::from_chars(line.data(), line.data() + line.size(), value).ec == std::errc()) found.content_length = value;
    }
    bool has_length = found.content_length != std::string_view::npos;
    found.state = has_length ? Headers::State::complete : Headers::State::malformed;
    return found;
}

// How much of `bytes` is the rest of a line that began before us, of which `held` has come already. For some servers a carriage
// return ends a line, too. `may_be_over`: nothing but blanks has come, so that a message may begin here.
struct Tail {
    size_t bytes;
    bool is_over;
};
Tail tail_in(std::string_view bytes, std::string_view held, bool may_be_over) {
    if (held.ends_with('\r')) return {bytes.front() == '\n' ? size_t{1} : size_t{0}, true};
    const size_t first = bytes.find_first_not_of(kBlank);
    const bool is_message = may_be_over && first != bytes.npos && (bytes[first] == '{' || bytes[first] == '[');
    const size_t end = is_message ? bytes.substr(0, first).find('\n') : bytes.find_first_of("\r\n");
    if (end == bytes.npos) return is_message ? Tail{0, true} : Tail{bytes.size(), false};
    if (bytes[end] == '\n') return {end + 1, true};
    if (end + 1 == bytes.size()) return {bytes.size(), false};  // is a line feed the other half of it?
    return {bytes[end + 1] == '\n' ? end + 2 : end + 1, true};
}

// Of the rest of a line that began before us, how much may pass. It cannot end with a whole message: the object that it is the
// rest of has to be closed, too. Some servers overlook what stands before a message (Rust: a byte order mark, Kotlin: anything).
size_t bytes_before_message(std::string_view tail) {
    const size_t brace = tail.find('{');
    if (brace == tail.npos) return tail.size();
    const std::string_view rest = tail.substr(brace);
    const Message& message = parser.parse(rest);
    const bool is_whole = message.kind != MessageKind::invalid;
    const bool may_be_one = message.refusal != Refusal::trailing_bytes && may_hide_a_call(rest);
    return is_whole || may_be_one ? brace : tail.size();
}

}  // namespace

Opening::Opening(Start start, bool certain, size_t frame_bytes_max, std::shared_ptr<const Policy> policy)
    : state_(start == Start::decided  ? State::decided
             : start == Start::midway ? State::tail
                                      : State::sniff),
      certain_(certain),
      frame_bytes_max_(frame_bytes_max),
      policy_(std::move(policy)) {}

void Opening::feed(std::string_view bytes, std::string& pass, std::string& judge) {
    if (state_ == State::tail) {
        bytes.remove_prefix(pass_tail(bytes, pass));
        if (state_ == State::tail) return;
    }
    held_.append(bytes);
    if (state_ != State::decided) step(pass);
    if (state_ == State::decided) {
        judge.append(held_);
        std::string().swap(held_);
    }
}

// The rest of a line that began before us goes on when it is whole, with what ends it; what follows is judged. Returns how many
// bytes were dealt with.
size_t Opening::pass_tail(std::string_view bytes, std::string& pass) {
    if (bytes.empty()) return 0;
    const Tail tail = tail_in(bytes, held_, !tail_open_);
    held_.append(bytes.substr(0, tail.bytes));
    tail_open_ = tail_open_ || bytes.substr(0, tail.bytes).find_first_not_of(kBlank) != bytes.npos;
    if (!tail.is_over && held_.size() <= frame_bytes_max_) return tail.bytes;
    state_ = State::decided;
    const size_t passing = bytes_before_message(held_);
    pass.append(held_, 0, passing);
    held_.erase(0, passing);
    return tail.bytes;
}

void Opening::finish(std::string& pass, std::string& judge) {
    if (state_ == State::tail) {
        const size_t passing = bytes_before_message(held_);
        pass.append(held_, 0, passing);
        judge.append(held_, passing);
        if (passing < held_.size()) state_ = State::decided;
        return std::string().swap(held_);
    }
    bool judged = state_ == State::sniff && held_.find('{') != std::string::npos;
    // What a server that reads lines would take for a call at the end of file.
    judged |= !held_.empty() && (classify(held_) == Protocol::mcp || hides_a_call(held_));
    if (state_ == State::foreign_headers) drop_passed_header();
    if (judged) state_ = State::decided;
    (state_ == State::decided ? judge : pass).append(held_);
    std::string().swap(held_);
}

// The part of a header that passed before it was known to be one is held as well, to be read as a whole.
void Opening::drop_passed_header() {
    held_.erase(taken_, line_passed_.size());
    line_passed_.clear();
}

// What it lets pass leaves held_ at the end, all at once: there may be a line in every byte.
void Opening::step(std::string& pass) {
    bool goes_on = true;
    while (goes_on && taken_ < held_.size() && state_ != State::decided)
        goes_on = state_ == State::foreign_headers ? take_headed_message(pass) : take_line(pass);
    held_.erase(0, std::exchange(taken_, 0));
}

std::string_view Opening::left() const { return std::string_view(held_).substr(taken_); }

// JSON from the first byte of the line on; or from a carriage return on, which ends a line for some servers.
bool Opening::may_begin_call(std::string_view left) {
    if (line_passed_.find_first_not_of(" \t") == std::string::npos && begins_json(left)) return true;
    if (line_passed_.find('\r') != std::string::npos) return true;
    no_return_before_ = std::min(left.find('\r', no_return_before_), left.size());
    return no_return_before_ < left.size();
}

// Lets the first line of what is left pass, or decides. False where more has to come first.
bool Opening::take_line(std::string& pass) {
    const std::string_view left = this->left();
    size_t end = left.find('\n', searched_);
    bool has_brace = left.substr(0, end).find_first_of("{[") != left.npos;
    searched_ = end == std::string::npos ? left.size() : 0;
    if (searched_ == 0) no_return_before_ = 0;
    if (end == std::string::npos) {
        if (has_brace || !line_passed_.empty()) {
            if (left.size() > frame_bytes_max_) state_ = State::decided;
            if (has_brace && (certain_ || left.size() < kHeldUncertainMax || may_begin_call(left))) return false;
        }
        // Text without a brace cannot be a message: it need not wait for the end of its line.
        const bool is_first_return = left.find('\r') != left.npos && line_passed_.find('\r') == std::string::npos;
        if (line_passed_.size() < kLinePassedMax || is_first_return) line_passed_.append(left);
        pass.append(left);
        taken_ = held_.size();
        searched_ = no_return_before_ = 0;
        return false;
    }
    std::string line = line_passed_ + std::string(left.substr(0, end + 1));
    line_passed_.clear();
    Protocol protocol = classify(line);
    bool judged_as_first = protocol == Protocol::json_like && certain_ && state_ == State::sniff;
    if (protocol == Protocol::mcp || judged_as_first || (protocol == Protocol::json_like && hides_a_call(line))) {
        state_ = State::decided;
        return false;
    }
    if (state_ == State::sniff && begins_with_header(line)) {
        state_ = State::foreign_headers;
        // What has passed of the header already cannot be held back; the rest is read as one.
        size_t before = line.size() - (end + 1);
        if (before == 0) return true;
        line_passed_ = line.substr(0, before);
        held_.insert(taken_, line_passed_);
        return true;
    }
    if (protocol == Protocol::foreign || protocol == Protocol::json_like) state_ = State::foreign_lines;
    if (protocol == Protocol::foreign) remember_foreign_call(line);
    pass.append(left.substr(0, end + 1));
    taken_ += end + 1;
    return true;
}

// Only what the server says of that call tells that it knows a method that MCP does not have.
void Opening::remember_foreign_call(std::string_view line) {
    const Message& message = parser.parse(line);
    if (!message.id_key.empty() && message.method != "initialize") foreign_id_ = message.id_key;
}

// One message of the LSP base protocol: headers, blank line, exactly Content-Length bytes.
bool Opening::take_headed_message(std::string& pass) {
    const std::string_view left = this->left();
    if (!begins_with_header(left) && left.size() >= kHeader.size()) {
        state_ = State::sniff;  // no header where one must be: look at it as lines again
        return true;
    }
    Headers headers = read_headers(left);
    if (headers.state == Headers::State::incomplete) {
        if (left.size() <= kHeaderBytesMax) return false;
        drop_passed_header();
        state_ = State::decided;
        return false;
    }
    if (headers.state == Headers::State::malformed || headers.content_length > frame_bytes_max_) {
        drop_passed_header();
        state_ = State::decided;
        return false;
    }
    size_t whole = headers.bytes + headers.content_length;
    if (left.size() < whole) return false;
    // The body must be one whole message: what follows it on its line then cannot be the rest of another. A server that reads
    // lines does not wait for its end.
    std::string_view body = left.substr(headers.bytes, headers.content_length);
    const Message& message = parser.parse(body);
    bool is_whole = message.kind != MessageKind::invalid || message.refusal == Refusal::no_method;
    // Where identity does not say so it need not be a server of MCP: LSP's initialize is its own.
    const bool may_be_others = !certain_ && message.method == "initialize";
    const bool is_call = may_be_others ? classify_bytes(body, parser) == Protocol::mcp : classify(body) == Protocol::mcp;
    if (!is_whole || is_call || has_a_call_for_lines(body)) {
        drop_passed_header();
        state_ = State::decided;
        return false;
    }
    pass.append(left.substr(line_passed_.size(), whole - line_passed_.size()));
    line_passed_.clear();
    taken_ += whole;
    return true;
}

OpeningState Opening::save() const {
    return {static_cast<uint32_t>(state_), certain_, tail_open_, foreign_id_, held_, line_passed_};
}

bool Opening::restore(OpeningState state) {
    if (state.phase > static_cast<uint32_t>(State::decided)) return false;
    state_ = static_cast<State>(state.phase);
    certain_ = state.certain;
    tail_open_ = state.tail_open;
    foreign_id_ = std::move(state.foreign_id);
    held_ = std::move(state.held);
    line_passed_ = std::move(state.line_passed);
    searched_ = no_return_before_ = 0;
    return true;
}

Protocol Opening::classify(std::string_view bytes) const {
    return classify_bytes(bytes, parser,
                          [this](std::string_view method) { return policy_->says_anything_of_clients_method(method); });
}

// Refused by the strict parser, so that a server may read something else in it than we do.
bool Opening::hides_a_call(std::string_view line) {
    const Message& message = parser.parse(line);
    if (message.kind != MessageKind::invalid || message.refusal == Refusal::empty) return false;
    return line.find_first_of("{[") != std::string_view::npos && (certain_ || may_hide_a_call(line));
}

// Would a server that reads this as lines (a carriage return ends one for some) find a call in it?
bool Opening::has_a_call_for_lines(std::string_view body) {
    constexpr std::string_view kEnds = "\r\n";
    if (body.find_first_of(kEnds) == body.npos) return false;
    while (!body.empty()) {
        const size_t end = std::min(body.find_first_of(kEnds), body.size() - 1);
        const std::string_view line = body.substr(0, end + 1);
        if (classify(line) == Protocol::mcp || hides_a_call(line)) return true;
        body.remove_prefix(line.size());
    }
    return false;
}

bool Opening::server_confirms(std::string_view line) {
    if (state_ == State::foreign_headers) return begins_with_header(line);
    if (state_ != State::foreign_lines) return false;
    const Message& message = parser.parse(line);
    if (message.kind != MessageKind::response) return false;
    if (!message.has_jsonrpc_2) return true;  // an MCP server always says so
    // Where the policy names such methods, that it knows one tells nothing.
    const bool answers_other = !message.is_error && !foreign_id_.empty() && message.id_key == foreign_id_;
    if (answers_other && !policy_->names_other_methods()) return true;
    constexpr std::string_view kVersion = "\"protocolVersion\":";
    size_t at = message.result.find(kVersion);
    if (at == std::string_view::npos) return false;
    at = message.result.find_first_not_of(" \t", at + kVersion.size());
    return at != std::string_view::npos && message.result[at] >= '0' && message.result[at] <= '9';
}

}  // namespace callgate
