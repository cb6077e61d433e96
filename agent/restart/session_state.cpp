#include "restart/session_state.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "restart/state_blob.h"

namespace callgate {
namespace {

using nlohmann::json;

// Bytes of a stream: not text, whatever they look like.
json raw(const std::string& bytes) { return json::binary({bytes.begin(), bytes.end()}); }

std::string raw_of(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end()) return {};
    const auto& bytes = found->get_binary();
    return {bytes.begin(), bytes.end()};
}

template <typename T>
void take(const json& object, const char* key, T& value) {
    if (const auto found = object.find(key); found != object.end()) value = found->get<T>();
}

// What has its default is left out, since the reader has that anyway: a thousand states are read while clients wait.
template <typename T>
void put(json& object, const char* key, const T& value, const T& otherwise = T()) {
    if (value != otherwise) object[key] = value;
}

void put_raw(json& object, const char* key, const std::string& bytes) {
    if (!bytes.empty()) object[key] = raw(bytes);
}

json channel_json(const cg_channel_key& key) { return {key.inode, key.device}; }

void take_channel(const json& object, const char* key, cg_channel_key& channel) {
    const auto found = object.find(key);
    if (found == object.end()) return;
    channel.inode = found->at(0).get<uint64_t>();
    channel.device = found->at(1).get<uint32_t>();
}

json process_json(const ProcessFacts& process) {
    const ProcessFacts none;
    json object = json::object();
    put(object, "pid", process.pid, none.pid);
    put(object, "parent", process.parent_pid, none.parent_pid);
    put(object, "start_time", process.start_time, none.start_time);
    put(object, "uid", process.uid, none.uid);
    put(object, "gid", process.gid, none.gid);
    put(object, "groups", process.groups);
    put(object, "user", process.user);
    put(object, "exe", process.exe);
    put(object, "cwd", process.cwd);
    put(object, "cgroup", process.cgroup);
    put(object, "argv", process.argv);
    put(object, "comm", process.comm);
    return object;
}

void take_process(const json& object, ProcessFacts& process) {
    take(object, "pid", process.pid);
    take(object, "parent", process.parent_pid);
    take(object, "start_time", process.start_time);
    take(object, "uid", process.uid);
    take(object, "gid", process.gid);
    take(object, "groups", process.groups);
    take(object, "user", process.user);
    take(object, "exe", process.exe);
    take(object, "cwd", process.cwd);
    take(object, "cgroup", process.cgroup);
    take(object, "argv", process.argv);
    take(object, "comm", process.comm);
}

json server_json(const ServerIdentity& server) {
    json package = json::object();
    put(package, "ecosystem", server.package.ecosystem);
    put(package, "name", server.package.name);
    put(package, "version", server.package.version);
    put(package, "root", server.package.root);
    json object = {{"process", process_json(server.process)}, {"package", std::move(package)}};
    put(object, "command", server.command);
    put(object, "exe_sha256", server.exe_sha256);
    put(object, "listens", server.listens);
    return object;
}

void take_server(const json& object, ServerIdentity& server) {
    take_process(object.at("process"), server.process);
    take(object, "command", server.command);
    const json& package = object.at("package");
    take(package, "ecosystem", server.package.ecosystem);
    take(package, "name", server.package.name);
    take(package, "version", server.package.version);
    take(package, "root", server.package.root);
    take(object, "exe_sha256", server.exe_sha256);
    take(object, "listens", server.listens);
}

json client_json(const PeerIdentity& client) {
    json parents = json::array();
    for (const Ancestor& each : client.parents) parents.push_back({{"pid", each.pid}, {"comm", each.comm}, {"exe", each.exe}});
    return {{"process", process_json(client.process)}, {"parents", parents}};
}

void take_client(const json& object, PeerIdentity& client) {
    take_process(object.at("process"), client.process);
    for (const json& each : object.at("parents")) {
        Ancestor& parent = client.parents.emplace_back();
        take(each, "pid", parent.pid);
        take(each, "comm", parent.comm);
        take(each, "exe", parent.exe);
    }
}

json use_json(const KeptUse& kept) {
    const CounterUse &use = kept.use, none;
    json object = json::object();
    put(object, "key", kept.key);
    put(object, "counter", kept.counter);
    put(object, "window_start_s", use.window_start_s, none.window_start_s);
    put(object, "amount", use.amount, none.amount);
    put(object, "count_after", use.count_after, none.count_after);
    put(object, "max", use.max, none.max);
    put(object, "slice", use.slice, none.slice);
    put(object, "scale", use.scale, none.scale);
    put(object, "keeps_failed", use.keeps_failed, none.keeps_failed);
    put(object, "returns_unanswered", use.returns_unanswered, none.returns_unanswered);
    put(object, "in_flight", use.is_in_flight, none.is_in_flight);
    return object;
}

KeptUse use_of(const json& object) {
    KeptUse kept;
    take(object, "key", kept.key);
    take(object, "counter", kept.counter);
    take(object, "window_start_s", kept.use.window_start_s);
    take(object, "amount", kept.use.amount);
    take(object, "count_after", kept.use.count_after);
    take(object, "max", kept.use.max);
    take(object, "slice", kept.use.slice);
    take(object, "scale", kept.use.scale);
    take(object, "keeps_failed", kept.use.keeps_failed);
    take(object, "returns_unanswered", kept.use.returns_unanswered);
    take(object, "in_flight", kept.use.is_in_flight);
    return kept;
}

json pending_json(const std::vector<PendingState>& pending) {
    json list = json::array();
    for (const PendingState& each : pending) {
        json charged = json::array();
        for (const KeptUse& kept : each.charged) charged.push_back(use_json(kept));
        json object = {{"charged", std::move(charged)}};
        put(object, "id", each.id_key);
        put(object, "record", each.record);
        put(object, "method", each.method);
        put(object, "tool", each.tool);
        put(object, "forwarded_ns", each.forwarded_ns);
        put(object, "shares_id", each.shares_id);
        list.push_back(std::move(object));
    }
    return list;
}

void take_pending(const json& gate, std::vector<PendingState>& pending) {
    for (const json& each : gate.at("pending")) {
        PendingState& state = pending.emplace_back();
        take(each, "id", state.id_key);
        take(each, "record", state.record);
        take(each, "method", state.method);
        take(each, "tool", state.tool);
        take(each, "forwarded_ns", state.forwarded_ns);
        take(each, "shares_id", state.shares_id);
        for (const json& use : each.at("charged")) state.charged.push_back(use_of(use));
    }
}

json opening_json(const OpeningState& opening) {
    const OpeningState none;
    json object = json::object();
    put(object, "phase", opening.phase, none.phase);
    put(object, "certain", opening.certain, none.certain);
    put(object, "tail_open", opening.tail_open, none.tail_open);
    put(object, "foreign_call", opening.foreign_call, none.foreign_call);
    put_raw(object, "held", opening.held);
    put_raw(object, "line_passed", opening.line_passed);
    return object;
}

json gate_json(const GateState& gate) {
    json held = json::array();
    for (const HeldState& each : gate.held)
        held.push_back({{"line", raw(each.line)}, {"read_ns", each.read_ns}, {"deadline_ns", each.deadline_ns}});
    json object = {{"counts", counts_state(gate.counts)},
                   {"opening", opening_json(gate.opening)},
                   {"pending", pending_json(gate.pending)},
                   {"held", std::move(held)}};
    put_raw(object, "client_rest", gate.client_rest);
    put(object, "client_skipped", gate.client_skipped);
    put_raw(object, "server_rest", gate.server_rest);
    put(object, "server_skipped", gate.server_skipped);
    put_raw(object, "answers_waiting", gate.answers_waiting);
    put_raw(object, "server_head", gate.server_head);
    put(object, "server_line_open", gate.server_line_open);
    put(object, "server_spoke", gate.server_spoke);
    put(object, "wants_release", gate.wants_release);
    put(object, "modern", gate.modern);
    put(object, "client_name", gate.client_name);
    put(object, "client_version", gate.client_version);
    put(object, "annotations", gate.annotations);
    return object;
}

void take_gate(const json& object, GateState& gate) {
    gate.counts = counts_of(object.at("counts"));
    const json& opening = object.at("opening");
    take(opening, "phase", gate.opening.phase);
    take(opening, "certain", gate.opening.certain);
    take(opening, "tail_open", gate.opening.tail_open);
    take(opening, "foreign_call", gate.opening.foreign_call);
    gate.opening.held = raw_of(opening, "held");
    gate.opening.line_passed = raw_of(opening, "line_passed");
    gate.client_rest = raw_of(object, "client_rest");
    take(object, "client_skipped", gate.client_skipped);
    gate.server_rest = raw_of(object, "server_rest");
    take(object, "server_skipped", gate.server_skipped);
    gate.answers_waiting = raw_of(object, "answers_waiting");
    gate.server_head = raw_of(object, "server_head");
    take(object, "server_line_open", gate.server_line_open);
    take(object, "server_spoke", gate.server_spoke);
    take(object, "wants_release", gate.wants_release);
    take(object, "modern", gate.modern);
    take(object, "client_name", gate.client_name);
    take(object, "client_version", gate.client_version);
    take(object, "annotations", gate.annotations);
    take_pending(object, gate.pending);
    for (const json& each : object.at("held")) {
        HeldState& held = gate.held.emplace_back();
        held.line = raw_of(each, "line");
        take(each, "read_ns", held.read_ns);
        take(each, "deadline_ns", held.deadline_ns);
    }
}

constexpr const char* kEndNames[] = {"from_client", "to_server", "from_server", "to_client"};

// In the order of kEndNames.
std::array<Fd*, 4> ends_of(TakenEnds& ends) { return {&ends.from_client, &ends.to_server, &ends.from_server, &ends.to_client}; }

}  // namespace

SessionLedger::Form ledger_form() {
    return {[](const GateState& gate) {
                std::string text;
                json::to_cbor(gate_json(gate), text);
                return text;
            },
            [](std::string_view text) -> Result<GateState> {
                GateState gate;
                try {
                    take_gate(json::from_cbor(text), gate);
                } catch (const json::exception& problem) {
                    return Error::invalid("state of a session", problem.what());
                }
                return gate;
            }};
}

json counts_state(const FrameCounts& counts) {
    json object = json::object();
    put(object, "in", counts.in);
    put(object, "forwarded", counts.forwarded);
    put(object, "denied", counts.denied);
    put(object, "refused", counts.refused);
    put(object, "held", counts.held);
    put(object, "blank", counts.blank);
    put(object, "server_in", counts.server_in);
    put(object, "server_forwarded", counts.server_forwarded);
    put(object, "server_denied", counts.server_denied);
    put(object, "lists_filtered", counts.lists_filtered);
    put(object, "foreign_bytes", counts.foreign_bytes);
    put(object, "client_bytes", counts.client_bytes);
    put(object, "server_bytes", counts.server_bytes);
    return object;
}

FrameCounts counts_of(const json& object) {
    FrameCounts counts;
    take(object, "in", counts.in);
    take(object, "forwarded", counts.forwarded);
    take(object, "denied", counts.denied);
    take(object, "refused", counts.refused);
    take(object, "held", counts.held);
    take(object, "blank", counts.blank);
    take(object, "server_in", counts.server_in);
    take(object, "server_forwarded", counts.server_forwarded);
    take(object, "server_denied", counts.server_denied);
    take(object, "lists_filtered", counts.lists_filtered);
    take(object, "foreign_bytes", counts.foreign_bytes);
    take(object, "client_bytes", counts.client_bytes);
    take(object, "server_bytes", counts.server_bytes);
    return counts;
}

json to_json(const SessionState& session) {
    const TakenEnds& ends = session.relay.ends;
    const WatchedSession& watched = session.watched;
    json present = json::array();
    const Fd* all[] = {&ends.from_client, &ends.to_server, &ends.from_server, &ends.to_client};
    for (size_t i = 0; i < std::size(all); ++i)
        if (all[i]->valid()) present.push_back(kEndNames[i]);
    json state = {{"id", session.id},
                  {"server", server_json(session.server)},
                  {"client", client_json(session.client)},
                  {"watched",
                   {{"pids", watched.pids},
                    {"input", channel_json(watched.input)},
                    {"output", channel_json(watched.output)},
                    {"new_input", channel_json(watched.new_input)},
                    {"new_output", channel_json(watched.new_output)}}},
                  {"input_kind", static_cast<uint32_t>(ends.input_kind)},
                  {"output_kind", static_cast<uint32_t>(ends.output_kind)},
                  {"ends", present},
                  {"gate", gate_json(session.relay.gate)}};
    put(state, "started", session.started);
    put(state, "policy", session.policy);
    put(state, "fails_open", session.fail == Fail::open);
    put(state, "remark", session.remark);
    put_raw(state, "to_server", session.relay.to_server);
    put_raw(state, "to_client", session.relay.to_client);
    return state;
}

Result<SessionState> session_from(const json& state) {
    SessionState session;
    try {
        take(state, "id", session.id);
        take(state, "started", session.started);
        take(state, "policy", session.policy);
        take(state, "remark", session.remark);
        bool fails_open = false;
        take(state, "fails_open", fails_open);
        session.fail = fails_open ? Fail::open : Fail::closed;
        take_server(state.at("server"), session.server);
        take_client(state.at("client"), session.client);
        const json& watched = state.at("watched");
        session.watched.id = session.id;
        take(watched, "pids", session.watched.pids);
        take_channel(watched, "input", session.watched.input);
        take_channel(watched, "output", session.watched.output);
        take_channel(watched, "new_input", session.watched.new_input);
        take_channel(watched, "new_output", session.watched.new_output);
        TakenEnds& ends = session.relay.ends;
        ends.input_kind = static_cast<ChannelKind>(state.at("input_kind").get<uint32_t>());
        ends.output_kind = static_cast<ChannelKind>(state.at("output_kind").get<uint32_t>());
        ends.input = session.watched.input;
        ends.output = session.watched.output;
        ends.new_input = session.watched.new_input;
        ends.new_output = session.watched.new_output;
        session.relay.to_server = raw_of(state, "to_server");
        session.relay.to_client = raw_of(state, "to_client");
        take_gate(state.at("gate"), session.relay.gate);
    } catch (const json::exception& problem) {
        return Error::invalid("state of a session", problem.what());
    }
    for (ChannelKind kind : {session.relay.ends.input_kind, session.relay.ends.output_kind})
        if (kind != ChannelKind::pipe && kind != ChannelKind::unix_socket)
            return Error::invalid("state of a session", "has no kind of channel");
    if (session.id.empty()) return Error::invalid("state of a session", "has no id");
    return session;
}

Result<Bundle> to_bundle(const SessionState& session) {
    Bundle bundle{kSessionLabel, {}};
    bundle.fds.push_back(TRY(write_state(to_json(session))));
    const TakenEnds& ends = session.relay.ends;
    for (const Fd* end : {&ends.from_client, &ends.to_server, &ends.from_server, &ends.to_client}) {
        if (!end->valid()) continue;
        Fd copy = Fd::adopt(fcntl(end->get(), F_DUPFD_CLOEXEC, 0));
        if (!copy) return Error::system("fcntl F_DUPFD_CLOEXEC", "session " + session.id, errno);
        bundle.fds.push_back(std::move(copy));
    }
    return bundle;
}

Result<SessionState> session_of(Bundle bundle) {
    if (bundle.fds.empty()) return Error::invalid("state of a session", "came without descriptors");
    const json state = TRY(read_state(bundle.fds.front()));
    SessionState session = TRY(session_from(state));
    const json present = state.value("ends", json::array());
    size_t next = 1;
    const std::array<Fd*, 4> ends = ends_of(session.relay.ends);
    for (size_t i = 0; i < ends.size(); ++i) {
        if (!present.is_array() || std::find(present.begin(), present.end(), kEndNames[i]) == present.end()) continue;
        if (next >= bundle.fds.size()) return Error::invalid("state of a session", "came without all of its descriptors");
        *ends[i] = std::move(bundle.fds[next++]);
    }
    if (next != bundle.fds.size()) return Error::invalid("state of a session", "came with more descriptors than it names");
    return session;
}

}  // namespace callgate
