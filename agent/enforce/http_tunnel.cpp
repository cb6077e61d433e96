// What is not HTTP, or cannot be read: it passes both ways as it comes, or not at all. The first line of a connection
// decides; where it is no request, an HTTP server behind might still skip it and read the next one.
#include <algorithm>
#include <array>

#include "audit/safe_text.h"
#include "enforce/http_gate_state.h"

namespace callgate {
namespace {

// A response begins with it, and in a request line a blank and this stand before the version.
constexpr std::string_view kVersion = "http/";
// The first line of LSP's base protocol.
constexpr std::string_view kLength = "content-length:";
// What splits a request line for some reader (Python's splits at all of these), and nothing else does.
constexpr std::string_view kBlank = " \t\v\f\x1c\x1d\x1e\x1f\x85\xa0";
// Without CONNECT, which is a word of other protocols too.
constexpr std::array<std::string_view, 8> kMethods = {"get", "head", "post", "put", "delete", "options", "trace", "patch"};
// Longest first line that is waited for while it may be either; more than the name of any host.
constexpr size_t kFirstLineBytes = 512;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = lower(c);
    return out;
}

bool is_blank(char c) { return kBlank.find(c) != kBlank.npos; }

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && !is_blank(c)) || byte == 0x7f;
}

// The beginning of a line that some HTTP server may take for a request, be it malformed. Other protocols begin with a
// word, too. What is true of it stays true of the whole line.
bool may_be_request_line(std::string_view text) {
    if (text.find(kVersion) != text.npos) return true;
    const size_t space = text.find_first_of(kBlank);
    const size_t target = space == text.npos ? text.npos : text.find_first_not_of(kBlank, space);
    if (target == text.npos) return false;
    return text[target] == '/' || text[target] == '*' || text.compare(target, 4, "http") == 0;
}

// LSP's base protocol, or what passes itself off as that before a server of lines that skips it: how stdio begins tells which.
bool announces_message(std::string_view read) { return lower(read.substr(0, kLength.size())) == kLength; }

}  // namespace

// `read`: all that has come of the connection. The same whatever pieces it came in: what is decided stays so.
HttpGate::State::Opening HttpGate::State::opening_of(std::string_view read) {
    read.remove_prefix(std::min(read.find_first_not_of("\r\n"), read.size()));
    const std::string line = lower(read.substr(0, std::min(read.find_first_of(std::string_view("\r\n\0", 3)), kFirstLineBytes)));
    const std::string_view word = std::string_view(line).substr(0, line.find_first_of(kBlank));
    // One alone may still become TLS.
    if (word.size() > 1 && std::any_of(word.begin(), word.end(), is_control)) return Opening::other_protocol;
    if (may_be_request_line(line)) return Opening::request;
    if (line.size() == read.size() && line.size() < kFirstLineBytes) return Opening::undecided;
    return std::find(kMethods.begin(), kMethods.end(), line) != kMethods.end() ? Opening::request : Opening::other_protocol;
}

void HttpGate::State::start_tunnel(std::string_view reason) {
    write_event("http_tunnel", {{"state", "\"observed\""}}, reason);
    open_tunnel(reason);
}

// `read`: all that has come of it.
void HttpGate::State::pass_other_protocol(std::string_view reason, std::string_view read) {
    if (options.http_only && judge.enforcing()) return cut(reason);
    if (begins_message(read) || announces_message(read)) return open_lines();
    start_watched_tunnel(reason);
}

void HttpGate::State::start_watched_tunnel(std::string_view reason) {
    tunnel_is_watched = judge.enforcing();
    start_tunnel(reason);
}

void HttpGate::State::open_tunnel(std::string_view reason) {
    finish_exchange();
    passage = Passage::tunnel;
    passage_reason = reason;
    server_wanted = true;
    take_tunnelled_client(std::exchange(waiting, {}));
}

void HttpGate::State::become_blind(std::string_view reason) {
    const bool kills = options.policy->on_blind() == OnBlind::kill;
    write_event("session_blind", {{"state", "\"blind\""}, {"killed", kills ? "true" : "false"}}, reason);
    passage = Passage::blind;
    passage_reason = reason;
}

// TLS and HTTP/2 may be just a beginning that some server of HTTP/1 skips.
void HttpGate::State::open_watched_blind_tunnel() {
    constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n";
    if (waiting.starts_with(kPreface)) {
        to_server.append(kPreface);
        counts.foreign_bytes += kPreface.size();
        waiting.erase(0, kPreface.size());
    }
    tunnel_is_watched = judge.enforcing();
    open_tunnel(passage_reason);
}

// Until the server has answered in its own protocol, nothing goes to it that could be a request of HTTP: how much may pass.
size_t HttpGate::State::watched_length(std::string_view bytes) {
    size_t end = tunnel_is_watched ? std::min(tunnel_request.scan(bytes), bytes.size()) : bytes.size();
    for (size_t i = 0; tunnel_is_watched && i < end; ++i) {
        if (is_blank(bytes[i]) || bytes[i] == '\r') {
            tunnel_version_bytes = 1;
        } else if (tunnel_version_bytes > 0) {
            tunnel_version_bytes = lower(bytes[i]) == kVersion[tunnel_version_bytes - 1] ? tunnel_version_bytes + 1 : 0;
        }
        if (tunnel_version_bytes > kVersion.size()) end = i;
    }
    return end;
}

// A message that begins a line behind something else, to which the server has said nothing, may be meant for one that reads
// lines and has skipped what came before.
void HttpGate::State::take_tunnelled_client(std::string_view bytes) {
    if (closing) return;
    size_t message = bytes.size();
    for (size_t i = 0; tunnel_is_watched && i < message; ++i) {
        if (tunnel_line_begins && (bytes[i] == '{' || bytes[i] == '[')) message = i;
        if (!is_blank(bytes[i])) tunnel_line_begins = bytes[i] == '\n' || bytes[i] == '\r';
    }
    const std::string_view before = bytes.substr(0, message);
    const size_t end = watched_length(before);
    counts.foreign_bytes += end;
    to_server.append(before.substr(0, end));
    if (end < before.size()) return cut("the client sent a request of HTTP behind what is none");
    if (message == bytes.size()) return;
    open_lines();
    take_client_lines(bytes.substr(message));
}

// An HTTP server that skips what is no HTTP, and answers what comes after it, was not meant by "another protocol".
void HttpGate::State::take_tunnelled_server(std::string_view bytes) {
    if (!tunnel_is_watched) return lines ? take_server_lines(bytes) : void(to_client.append(bytes));
    tunnel_head.append(bytes);
    const std::string start = lower(std::string_view(tunnel_head).substr(0, kVersion.size()));
    if (start == kVersion) return cut("the server took for HTTP what is none");
    if (kVersion.starts_with(start)) return;
    const std::string head = std::exchange(tunnel_head, {});
    if (!lines && begins_message(head)) open_lines();
    tunnel_is_watched = false;
    lines ? take_server_lines(head) : void(to_client.append(head));
}

void HttpGate::State::cut(std::string_view reason) {
    write_event("http_cut", {}, reason);
    close();
}

void HttpGate::State::write_event(std::string_view type, std::vector<std::pair<std::string, std::string>> members,
                                  std::string_view reason) {
    std::string text;
    append_json_text(text, reason);
    members.emplace_back("reason", std::move(text));
    audit.event(type, audit_session_of(exchange.session.get()), members);
}

}  // namespace callgate
