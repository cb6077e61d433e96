#include "restart/http_state.h"

#include <algorithm>
#include <cerrno>

#include "enforce/http_sessions.h"
#include "restart/session_state.h"
#include "restart/state_blob.h"
#include "restart/state_json.h"

namespace callgate {
namespace {

using namespace state_json;

// A member is named once, for both directions: members_of(writer, value) and members_of(reader, value).
class Writer {
  public:
    explicit Writer(json& object) : object_(object) {}
    template <typename T>
    void operator()(const char* key, const T& value, const T& otherwise = T()) {
        put(object_, key, value, otherwise);
    }
    void bytes(const char* key, const std::string& value) { put_raw(object_, key, value); }
    template <typename T, typename Members>
    void part(const char* key, const T& value, const Members& members) {
        json part = json::object();
        Writer writer(part);
        members(writer, value);
        if (!part.empty()) object_[key] = std::move(part);
    }
    template <typename T, typename Members>
    void optional(const char* key, const std::optional<T>& value, const Members& members) {
        if (!value) return;
        json& place = object_[key] = json::object();
        Writer writer(place);
        members(writer, *value);
    }
    template <typename T, typename Members>
    void list(const char* key, const std::vector<T>& all, const Members& members) {
        json list = json::array();
        for (const T& each : all) {
            json& place = list.emplace_back(json::object());
            Writer writer(place);
            members(writer, each);
        }
        if (!list.empty()) object_[key] = std::move(list);
    }
    template <typename T, typename Write, typename Read>
    void other(const char* key, const T& value, const Write& write, const Read&) {
        object_[key] = write(value);
    }

  private:
    json& object_;
};

class Reader {
  public:
    explicit Reader(const json& object) : object_(object) {}
    template <typename T>
    void operator()(const char* key, T& value, const T& otherwise = T()) {
        value = otherwise;
        take(object_, key, value);
    }
    void bytes(const char* key, std::string& value) { value = raw_of(object_, key); }
    template <typename T, typename Members>
    void part(const char* key, T& value, const Members& members) {
        const json none = json::object();
        const auto found = object_.find(key);
        Reader reader(found == object_.end() ? none : *found);
        members(reader, value);
    }
    template <typename T, typename Members>
    void optional(const char* key, std::optional<T>& value, const Members& members) {
        const auto found = object_.find(key);
        if (found == object_.end()) return;
        Reader reader(*found);
        members(reader, value.emplace());
    }
    template <typename T, typename Members>
    void list(const char* key, std::vector<T>& all, const Members& members) {
        const auto found = object_.find(key);
        if (found == object_.end()) return;
        for (const json& each : *found) {
            Reader reader(each);
            members(reader, all.emplace_back());
        }
    }
    template <typename T, typename Write, typename Read>
    void other(const char* key, T& value, const Write&, const Read& read) {
        const auto found = object_.find(key);
        if (found != object_.end()) read(*found, value);
    }

  private:
    const json& object_;
};

const auto of_counts = [](auto& each, const char* key, auto& counts) {
    each.other(key, counts, counts_state, [](const json& from, FrameCounts& to) { to = counts_of(from); });
};
const auto of_pending = [](auto& each, auto& pending) { each.other("pending", pending, pending_json, take_pending); };

const auto of_body = [](auto& each, auto& body) {
    each("kind", body.framing.kind);
    each("length", body.framing.length);
    each("extensions", body.extensions);
    each("place", body.place);
    each("digits", body.digits);
    each("extension_began", body.extension_began);
    each("in_quotes", body.in_quotes);
    each("escaped", body.escaped);
    each("left", body.left);
    each("payload_bytes", body.payload_bytes);
    each("raw_bytes", body.raw_bytes);
    each("line_bytes", body.line_bytes);
};
const auto of_finder = [](auto& each, auto& finder) {
    each("until", finder.until);
    each("place", finder.place);
    each("matched", finder.matched);
    each("is_first_of_target", finder.is_first_of_target);
};
const auto of_sse = [](auto& each, auto& sse) {
    each.bytes("rest", sse.rest);
    each("mark_bytes", sse.mark_bytes);
    each("at_start", sse.at_start, true);
    each("item_empty", sse.item_empty, true);
    each("first_line", sse.first_line, true);
    each("line_empty", sse.line_empty, true);
    each("comment", sse.comment);
    each("after_cr", sse.after_cr);
    each("oversize", sse.oversize);
};
const auto of_exchange = [](auto& each, auto& exchange) {
    each("number", exchange.number);
    each("request", exchange.request);
    each("response", exchange.response);
    each.bytes("head", exchange.head);
    each.part("body", exchange.body, of_body);
    each.part("hidden_request", exchange.hidden_request, of_finder);
    each.bytes("raw", exchange.raw);
    each.bytes("text", exchange.text);
    each("governed", exchange.governed);
    each("claims_mcp", exchange.claims_mcp);
    each("continue_sent", exchange.continue_sent);
    each("body_decoded", exchange.body_decoded);
    each("refuse_status", exchange.refuse_status);
    each("refuse_reason", exchange.refuse_reason);
    each("sent", exchange.sent);
    each("canonical", exchange.canonical);
    each("has_messages", exchange.has_messages);
    each("opens_session", exchange.opens_session);
    each("session_end", exchange.session_end);
    each("session", exchange.session);
    each("waiting_ids", exchange.waiting_ids);
    each("is_array", exchange.is_array);
    each.bytes("answer_head", exchange.answer_head);
    each("answer_keeps_alive", exchange.answer_keeps_alive, true);
    each.part("answer_body", exchange.answer_body, of_body);
    each.bytes("answer_raw", exchange.answer_raw);
    each.bytes("answer_text", exchange.answer_text);
    each("answer_begun", exchange.answer_begun);
    each("chunks_out", exchange.chunks_out);
    each("is_resumable", exchange.is_resumable);
};
const auto of_wait = [](auto& each, auto& wait) {
    each("deadline_ns", wait.deadline_ns);
    each("read_ns", wait.read_ns);
};
const auto of_lines = [](auto& each, auto& lines) {
    each.other("gate", lines.gate, gate_json, take_gate);
    each("session", lines.session);
    of_counts(each, "counts_before", lines.counts_before);
};
const auto of_gate = [](auto& each, auto& gate) {
    of_counts(each, "counts", gate.counts);
    each("passed", gate.passed);
    each("closing", gate.closing);
    each("client_ended", gate.client_ended);
    each("server_ended", gate.server_ended);
    each("server_wanted", gate.server_wanted);
    each("first_message", gate.first_message, true);
    each.bytes("waiting", gate.waiting);
    each.bytes("response_waiting", gate.response_waiting);
    each.optional("exchange", gate.exchange, of_exchange);
    each.optional("wait", gate.wait, of_wait);
    each("streams_session", gate.streams_session);
    each.part("sse", gate.sse, of_sse);
    each("inside_event", gate.inside_event);
    each.bytes("events_waiting", gate.events_waiting);
    each("passage", gate.passage);
    each("passage_reason", gate.passage_reason);
    each.bytes("blind_held", gate.blind_held);
    each.bytes("tunnel_head", gate.tunnel_head);
    each("tunnel_is_watched", gate.tunnel_is_watched);
    each("tunnel_line_begins", gate.tunnel_line_begins);
    each.part("tunnel_request", gate.tunnel_request, of_finder);
    each("tunnel_version_bytes", gate.tunnel_version_bytes);
    each.optional("lines", gate.lines, of_lines);
};
const auto of_facts = [](auto& each, auto& facts) {
    each.other("server", facts.server, server_json, take_server);
    each.other("peer", facts.peer, peer_json, take_peer);
    each("peer_address", facts.peer_address);
    each("grant", facts.grant);
    each("listen", facts.listen);
    each("listener", facts.listener);
};
const auto of_exempt = [](auto& each, auto& exempt) {
    each("netns", exempt.server.netns);
    each("family", exempt.server.family);
    each("port", exempt.server.port);
    each("client_port", exempt.client_port);
    each.other(
        "address", exempt.server.bytes,
        [](const __u8(&bytes)[16]) {
            return raw({std::begin(bytes), std::end(bytes)});
        },
        [](const json& from, __u8(&bytes)[16]) {
            const auto& binary = from.get_binary();
            std::copy_n(binary.begin(), std::min(binary.size(), std::size(bytes)), bytes);
        });
};
const auto of_connection = [](auto& each, auto& connection) {
    each.optional("exempt", connection.exempt, of_exempt);
    each.other("replacement", connection.replacement, channel_json, [](const json& from, cg_channel_key& channel) {
        channel.inode = from.at(0).get<uint64_t>();
        channel.device = from.at(1).get<uint32_t>();
    });
    each.bytes("to_server", connection.to_server);
    each.bytes("to_client", connection.to_client);
    each("client_spoke", connection.client_spoke);
    each("lingers", connection.lingers);
    each.optional("gate", connection.gate, of_gate);
    each("policy", connection.policy);
    each.part("facts", connection.facts, of_facts);
    each("http_only", connection.http_only);
};

const auto of_waiting = [](auto& each, auto& waiting) {
    each("netns", waiting.netns);
    each.bytes("unread", waiting.unread);
    each("http_only", waiting.http_only);
};

const auto of_session = [](auto& each, auto& session) {
    each("id", session.id);
    each("policy", session.policy);
    each.bytes("key", session.key);
    each("kind", session.kind);
    each.part("facts", session.facts, of_facts);
    each("client_name", session.client_name);
    each("client_version", session.client_version);
    each("grant", session.grant);
    each("path", session.path);
    each("annotations", session.annotations);
    each.other("pins", session.pins.seen, seen_json, take_seen);
    each("pins_unreadable", session.pins.is_unreadable);
    each("pins_full", session.pins.is_full);
    each("opened_ns", session.opened_ns);
    each("used_ns", session.used_ns);
    each("orphaned", session.orphaned);
    each("ended", session.ended);
    of_counts(each, "counts", session.counts);
    of_pending(each, session.pending);
};
const auto of_sessions = [](auto& each, auto& sessions) {
    each.list("sessions", sessions.sessions, of_session);
    each("paths_left", sessions.paths_left);
    each("opened", sessions.opened);
    each("exchanges", sessions.exchanges);
};

template <typename T, typename Members>
json written(const T& value, const Members& members) {
    json object = json::object();
    Writer writer(object);
    members(writer, value);
    return object;
}

template <typename T, typename Members>
Result<T> read(const json& state, const Members& members) {
    T value;
    try {
        if (!state.is_object()) return Error::invalid("state of HTTP", "is no object");
        Reader reader(state);
        members(reader, value);
    } catch (const json::exception& problem) {
        return Error::invalid("state of HTTP", problem.what());
    }
    return value;
}

Status add_copy(Bundle& bundle, const Fd& fd) {
    bundle.fds.push_back(Fd::adopt(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)));
    if (!bundle.fds.back()) return Error::system("fcntl F_DUPFD_CLOEXEC", "connection", errno);
    return {};
}

}  // namespace

json to_json(const SavedHttpSessions& sessions) { return written(sessions, of_sessions); }

Result<SavedHttpSessions> http_sessions_from(const json& state) {
    auto sessions = TRY(read<SavedHttpSessions>(state, of_sessions));
    for (const SavedHttpSession& each : sessions.sessions)
        if (each.kind > static_cast<uint8_t>(HttpSessionKind::peer) || each.id.empty())
            return Error::invalid("state of HTTP", "has a session that is none");
    return sessions;
}

json to_json(const SavedHttpConnection& connection) {
    json state = written(connection, of_connection);
    state["has_server"] = connection.server.valid();
    return state;
}

Result<SavedHttpConnection> http_connection_from(const json& state) { return read<SavedHttpConnection>(state, of_connection); }

Result<Bundle> to_bundle(const SavedHttpSessions& sessions, uint64_t cut) {
    Bundle bundle{kHttpSessionsLabel, {}};
    json state = to_json(sessions);
    state["cut"] = cut;
    const bool is_any_full = std::any_of(sessions.sessions.begin(), sessions.sessions.end(),
                                         [](const SavedHttpSession& each) { return each.pins.is_full; });
    bundle.fds.push_back(TRY(write_state(state, is_any_full ? kPinsStateFormat : kHttpStateFormat)));
    return bundle;
}

Result<Bundle> to_bundle(const SavedHttpConnection& connection) {
    Bundle bundle{kHttpLabel, {}};
    const bool has_pins = connection.gate && connection.gate->lines && !connection.gate->lines->gate.pins.empty();
    bundle.fds.push_back(TRY(write_state(to_json(connection), has_pins ? kPinsStateFormat : kHttpStateFormat)));
    TRY_VOID(add_copy(bundle, connection.client));
    if (connection.server) TRY_VOID(add_copy(bundle, connection.server));
    return bundle;
}

Result<Bundle> to_bundle(const WaitingHttpClient& waiting) {
    Bundle bundle{kHttpWaitsLabel, {}};
    bundle.fds.push_back(TRY(write_state(written(waiting, of_waiting), kHttpStateFormat)));
    TRY_VOID(add_copy(bundle, waiting.client));
    return bundle;
}

bool is_of_http(const Bundle& bundle) {
    return bundle.label == kHttpLabel || bundle.label == kHttpSessionsLabel || bundle.label == kHttpWaitsLabel;
}

Status take_bundle(Bundle bundle, LeftHttp& left) {
    if (bundle.fds.empty()) return Error::invalid("state of HTTP", "came without descriptors");
    const json state = TRY(read_state(bundle.fds.front()));
    if (bundle.label == kHttpSessionsLabel) {
        left.sessions = TRY(http_sessions_from(state));
        const auto cut = state.find("cut");
        if (cut != state.end() && cut->is_number_unsigned()) left.cut = cut->get<uint64_t>();
        return {};
    }
    const auto has = state.find("has_server");
    const bool has_server = has != state.end() && has->is_boolean() && has->get<bool>();
    if (bundle.fds.size() != (has_server ? 3u : 2u)) return Error::invalid("state of HTTP", "came without its descriptors");
    if (bundle.label == kHttpWaitsLabel) {
        left.waiting.push_back(TRY(read<WaitingHttpClient>(state, of_waiting)));
        left.waiting.back().client = std::move(bundle.fds[1]);
        return {};
    }
    left.connections.push_back(TRY(http_connection_from(state)));
    left.connections.back().client = std::move(bundle.fds[1]);
    if (has_server) left.connections.back().server = std::move(bundle.fds[2]);
    return {};
}

}  // namespace callgate
