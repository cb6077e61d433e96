#include "restart/state_json.h"

#include <algorithm>

#include "restart/session_state.h"

namespace callgate {

using namespace state_json;

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

namespace state_json {
namespace {

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

json opening_json(const OpeningState& opening) {
    const OpeningState none;
    json object = json::object();
    put(object, "phase", opening.phase, none.phase);
    put(object, "certain", opening.certain, none.certain);
    put(object, "tail_open", opening.tail_open, none.tail_open);
    put_raw(object, "foreign_id", opening.foreign_id);
    put_raw(object, "held", opening.held);
    put_raw(object, "line_passed", opening.line_passed);
    return object;
}

}  // namespace

json raw(const std::string& bytes) { return json::binary({bytes.begin(), bytes.end()}); }

std::string raw_of(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end()) return {};
    const auto& bytes = found->get_binary();
    return {bytes.begin(), bytes.end()};
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

json peer_json(const PeerIdentity& client) {
    json parents = json::array();
    for (const Ancestor& each : client.parents) parents.push_back({{"pid", each.pid}, {"comm", each.comm}, {"exe", each.exe}});
    return {{"process", process_json(client.process)}, {"parents", parents}};
}

void take_peer(const json& object, PeerIdentity& client) {
    take_process(object.at("process"), client.process);
    for (const json& each : object.at("parents")) {
        Ancestor& parent = client.parents.emplace_back();
        take(each, "pid", parent.pid);
        take(each, "comm", parent.comm);
        take(each, "exe", parent.exe);
    }
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
        put(object, "exchange", each.exchange);
        list.push_back(std::move(object));
    }
    return list;
}

void take_pending(const json& list, std::vector<PendingState>& pending) {
    for (const json& each : list) {
        PendingState& state = pending.emplace_back();
        take(each, "id", state.id_key);
        take(each, "record", state.record);
        take(each, "method", state.method);
        take(each, "tool", state.tool);
        take(each, "forwarded_ns", state.forwarded_ns);
        take(each, "shares_id", state.shares_id);
        take(each, "exchange", state.exchange);
        for (const json& use : each.at("charged")) state.charged.push_back(use_of(use));
    }
}

// A tool for which there was no room has no hash.
json seen_json(const decltype(SessionPins::Saved::seen)& seen) {
    json list = json::array();
    for (const auto& [tool, hash] : seen) {
        json each = {{"tool", tool}};
        if (hash) each["hash"] = raw({hash->begin(), hash->end()});
        list.push_back(std::move(each));
    }
    return list;
}

void take_seen(const json& list, decltype(SessionPins::Saved::seen)& seen) {
    for (const json& each : list) {
        auto& [tool, hash] = seen.emplace_back();
        take(each, "tool", tool);
        const std::string bytes = raw_of(each, "hash");
        if (bytes.empty()) continue;
        hash.emplace();
        std::copy_n(bytes.begin(), std::min(bytes.size(), hash->size()), hash->begin());
    }
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
    if (!gate.pins.seen.empty()) object["pins"] = seen_json(gate.pins.seen);
    put(object, "pins_unreadable", gate.pins.is_unreadable);
    put(object, "pins_full", gate.pins.is_full);
    return object;
}

void take_gate(const json& object, GateState& gate) {
    gate.counts = counts_of(object.at("counts"));
    const json& opening = object.at("opening");
    take(opening, "phase", gate.opening.phase);
    take(opening, "certain", gate.opening.certain);
    take(opening, "tail_open", gate.opening.tail_open);
    gate.opening.foreign_id = raw_of(opening, "foreign_id");
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
    if (const auto found = object.find("pins"); found != object.end()) take_seen(*found, gate.pins.seen);
    take(object, "pins_unreadable", gate.pins.is_unreadable);
    take(object, "pins_full", gate.pins.is_full);
    take_pending(object.at("pending"), gate.pending);
    for (const json& each : object.at("held")) {
        HeldState& held = gate.held.emplace_back();
        held.line = raw_of(each, "line");
        take(each, "read_ns", held.read_ns);
        take(each, "deadline_ns", held.deadline_ns);
    }
}

}  // namespace state_json
}  // namespace callgate
