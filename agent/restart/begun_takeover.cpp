#include "restart/begun_takeover.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "restart/state_blob.h"

namespace callgate {
namespace {

using nlohmann::json;

json channel_json(const cg_channel_key& key) { return {key.inode, key.device}; }

cg_channel_key channel_from(const json& value) {
    cg_channel_key key{};
    key.inode = value.at(0).get<uint64_t>();
    key.device = value.at(1).get<uint32_t>();
    return key;
}

// Numbers of `made` that the process still has for what they were made for.
std::vector<int> still_there(const BegunTakeover& begun) {
    const TakenEnds& ends = begun.ends;
    const cg_channel_key ours[] = {channel_of(getpid(), ends.to_server.get()).channel,
                                   channel_of(getpid(), ends.from_server.get()).channel, ends.new_input, ends.new_output};
    std::vector<int> there;
    for (const int number : begun.made) {
        const cg_channel_key channel = channel_of(begun.pid, number).channel;
        if (std::find(std::begin(ours), std::end(ours), channel) != std::end(ours)) there.push_back(number);
    }
    return there;
}

}  // namespace

Result<Bundle> to_bundle(const BegunTakeover& begun, const TakenEnds& ends) {
    const json state = {{"id", begun.id},
                        {"policy", begun.policy},
                        {"remark", begun.remark},
                        {"fail_open", begun.fail == Fail::open},
                        {"certain", begun.certain},
                        {"start", static_cast<int>(begun.start)},
                        {"pid", begun.pid},
                        {"start_time", begun.start_time},
                        {"made", begun.made},
                        {"input", channel_json(ends.input)},
                        {"output", channel_json(ends.output)},
                        {"new_input", channel_json(ends.new_input)},
                        {"new_output", channel_json(ends.new_output)},
                        {"input_kind", static_cast<uint32_t>(ends.input_kind)},
                        {"output_kind", static_cast<uint32_t>(ends.output_kind)},
                        {"one_socket", ends.one_socket},
                        {"unread", json::binary({ends.unread.begin(), ends.unread.end()})}};
    Bundle bundle{kBegunLabel, {}};
    bundle.fds.push_back(TRY(write_state(state)));
    for (const Fd* each : {&ends.from_client, &ends.to_server, &ends.from_server, &ends.to_client}) {
        bundle.fds.push_back(Fd::adopt(fcntl(each->get(), F_DUPFD_CLOEXEC, 0)));
        if (!bundle.fds.back()) return Error::system("fcntl F_DUPFD_CLOEXEC", "end of a session", errno);
    }
    return bundle;
}

Result<BegunTakeover> begun_of(Bundle bundle) {
    if (bundle.label != kBegunLabel || bundle.fds.size() != 5)
        return Error::invalid("take-over of an earlier agent", "came without its descriptors");
    const json state = TRY(read_state(bundle.fds[0]));
    BegunTakeover begun;
    TakenEnds& ends = begun.ends;
    try {
        begun.id = state.at("id").get<std::string>();
        begun.policy = state.at("policy").get<std::string>();
        begun.remark = state.at("remark").get<std::string>();
        begun.fail = state.at("fail_open").get<bool>() ? Fail::open : Fail::closed;
        begun.certain = state.at("certain").get<bool>();
        begun.start = static_cast<Opening::Start>(state.at("start").get<int>());
        begun.pid = state.at("pid").get<pid_t>();
        begun.start_time = state.at("start_time").get<uint64_t>();
        begun.made = state.at("made").get<std::vector<int>>();
        ends.input = channel_from(state.at("input"));
        ends.output = channel_from(state.at("output"));
        ends.new_input = channel_from(state.at("new_input"));
        ends.new_output = channel_from(state.at("new_output"));
        ends.input_kind = static_cast<ChannelKind>(state.at("input_kind").get<uint32_t>());
        ends.output_kind = static_cast<ChannelKind>(state.at("output_kind").get<uint32_t>());
        ends.one_socket = state.at("one_socket").get<bool>();
        const auto& unread = state.at("unread").get_binary();
        ends.unread.assign(unread.begin(), unread.end());
    } catch (const json::exception& problem) {
        return Error::invalid("take-over of an earlier agent", problem.what());
    }
    Fd* const places[] = {&ends.from_client, &ends.to_server, &ends.from_server, &ends.to_client};
    for (size_t i = 0; i < std::size(places); ++i) *places[i] = std::move(bundle.fds[i + 1]);
    return begun;
}

Result<Settled> settle(const BegunTakeover& begun) {
    auto process = read_process(begun.pid);
    if (!process || process->start_time != begun.start_time)
        return Error{ErrorKind::gone, 0, "process " + std::to_string(begun.pid), "has ended"};
    const std::vector<int> there = still_there(begun);
    if (there.empty() || there.front() != begun.made.front()) {
        // What had been made the process may have closed again by itself, before anything was replaced.
        auto held = find_descriptors(begun.pid, begun.ends.new_input, begun.ends.new_output);
        if (!held || held->channels.size() <= there.size()) return Settled::undone;
        if (!there.empty()) TRY_VOID(close_made(begun.pid, there, {}));
        set_blocking(begun.ends.to_server.get());
        set_blocking(begun.ends.from_server.get());
        return Settled::taken_over;
    }
    const TakenEnds& ends = begun.ends;
    HandBack back{ends.new_input, ends.new_output, ends.from_client.get(), ends.to_client.get(), ends.from_server.get()};
    back.made = there;
    TRY_VOID(hand_back(begun.pid, back, {}));
    return Settled::undone;
}

}  // namespace callgate
