#include "restart/session_state.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "restart/state_blob.h"
#include "restart/state_json.h"

namespace callgate {
namespace {

using namespace state_json;
using nlohmann::json;

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

json to_json(const SessionState& session) {
    const TakenEnds& ends = session.relay.ends;
    const WatchedSession& watched = session.watched;
    json present = json::array();
    const Fd* all[] = {&ends.from_client, &ends.to_server, &ends.from_server, &ends.to_client};
    for (size_t i = 0; i < std::size(all); ++i)
        if (all[i]->valid()) present.push_back(kEndNames[i]);
    json state = {{"id", session.id},
                  {"server", server_json(session.server)},
                  {"client", peer_json(session.client)},
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
        take_peer(state.at("client"), session.client);
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
    const uint32_t format = session.relay.gate.pins.empty() ? kSessionStateFormat : kPinsStateFormat;
    bundle.fds.push_back(TRY(write_state(to_json(session), format)));
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
