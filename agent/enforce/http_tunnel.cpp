// What is not HTTP, or cannot be read: it passes both ways as it comes, or not at all. The first line of a connection
// decides; where it is no request, an HTTP server behind might still skip it and read the next one.
#include <algorithm>

#include "audit/safe_text.h"
#include "enforce/http_gate_state.h"

namespace callgate {
namespace {

constexpr std::string_view kHttp = "HTTP/1.";
// What splits a request line for some reader (Python's splits at all of these), and nothing else does.
constexpr std::string_view kBlank = " \t\v\f\x1c\x1d\x1e\x1f\x85\xa0";

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

// A first line that some HTTP server may take for a request, be it malformed. Other protocols begin with a word, too.
bool may_be_request_line(std::string_view line) {
    const std::string text = lower(line.substr(0, kHttpTargetBytesMax));
    if (text.find("http/") != text.npos) return true;
    const size_t space = text.find_first_of(kBlank);
    const size_t target = space == text.npos ? text.npos : text.find_first_not_of(kBlank, space);
    if (target == text.npos) return false;
    return text[target] == '/' || text[target] == '*' || text.compare(target, 4, "http") == 0;
}

std::string_view without_line_ends(std::string_view bytes) {
    bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
    return bytes;
}

}  // namespace

// `read`: what has come of the connection, as far as it was needed to see that it is no good request.
bool HttpGate::State::is_other_protocol(std::string_view read) const {
    const std::string_view text = without_line_ends(read);
    const std::string_view line = text.substr(0, text.find_first_of(std::string_view("\r\n\0", 3)));
    return first_message && !line.empty() && !may_be_request_line(line);
}

bool HttpGate::State::is_whole_line(std::string_view read) {
    return without_line_ends(read).find('\n') != read.npos;
}

void HttpGate::State::start_tunnel(std::string_view reason) {
    write_event("http_tunnel", {{"state", "\"observed\""}}, reason);
    open_tunnel(reason);
}

void HttpGate::State::start_watched_tunnel() {
    tunnel_is_watched = judge.enforcing();
    start_tunnel("not HTTP");
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

// Until the server has answered in its own protocol, nothing goes to it that could be a request of HTTP.
void HttpGate::State::take_tunnelled_client(std::string_view bytes) {
    size_t end = bytes.size();
    for (size_t i = 0; tunnel_is_watched && i < end; ++i) {
        if (bytes[i] != kHttp[tunnel_version_bytes]) tunnel_version_bytes = 0;
        if (bytes[i] == kHttp[tunnel_version_bytes]) ++tunnel_version_bytes;
        if (tunnel_version_bytes == kHttp.size()) end = i;
    }
    counts.foreign_bytes += end;
    to_server.append(bytes.substr(0, end));
    if (end < bytes.size()) cut("the client sent a request of HTTP behind what is none");
}

// An HTTP server that skips what is no HTTP, and answers what comes after it, was not meant by "another protocol".
void HttpGate::State::take_tunnelled_server(std::string_view bytes) {
    if (!tunnel_is_watched) {
        to_client.append(bytes);
        return;
    }
    tunnel_head.append(bytes);
    if (tunnel_head.starts_with(kHttp)) return cut("the server took for HTTP what is none");
    if (kHttp.starts_with(tunnel_head)) return;
    tunnel_is_watched = false;
    to_client.append(std::exchange(tunnel_head, {}));
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
