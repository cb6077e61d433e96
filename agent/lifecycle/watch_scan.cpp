// What runs already when the agent starts.
#include <sys/syscall.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "kernel/stdio_channels.h"
#include "lifecycle/watch_state.h"

namespace callgate {
namespace {

// Some thread sleeps until this channel can be read. One that is in poll or select may wait for it: it counts.
bool waits_for(pid_t pid, const cg_channel_key& channel) {
    auto held = find_descriptors(pid, channel, channel);
    if (!held) return false;
    auto is_channel = [&](uint64_t fd) {
        return std::any_of(held->channels.begin(), held->channels.end(), [&](auto& each) { return uint64_t(each.number) == fd; });
    };
    auto is_epoll = [&](uint64_t fd) {
        return std::any_of(held->registrations.begin(), held->registrations.end(),
                           [&](auto& each) { return uint64_t(each.epoll) == fd; });
    };
    for (pid_t tid : threads_of(pid)) {
        BlockedSyscall blocked = blocked_syscall(pid, tid);
        switch (blocked.number) {
            case SYS_read:
            case SYS_readv:
            case SYS_preadv2:
            case SYS_recvfrom:
            case SYS_recvmsg:
            case SYS_recvmmsg:
                if (is_channel(blocked.arguments[0])) return true;
                break;
            case SYS_epoll_wait:
            case SYS_epoll_pwait:
            case SYS_epoll_pwait2:
                if (is_epoll(blocked.arguments[0])) return true;
                break;
            case SYS_poll:
            case SYS_ppoll:
            case SYS_select:
            case SYS_pselect6:
                if (!held->channels.empty()) return true;
                break;
            default: break;
        }
    }
    return false;
}

}  // namespace

// Of several processes with the same input (npx, sh, node; or a server and its workers) the one that waits for it is
// the server, and among equals the youngest, for the others started it. Those that the same policy names share the
// session: any of them may be the next to read.
void Watcher::State::scan() {
    struct Running {
        ServerIdentity server;
        PolicyStore::Match match;
        StdioChannels channels;
        bool waits = false;
    };
    std::vector<Running> running;
    listeners->scan();
    auto between = [this] {
        listen();
        listeners->work();
    };
    earlier->scan(options.scope, between);
    unix_servers->scan(options.scope, between);
    for (pid_t pid : processes_in_scope(options.scope)) {
        listen();
        listeners->work();
        auto server = identify_server(pid);
        if (!server) continue;
        auto channels = standard_channels(pid);
        if (!channels && input_is_out_of_reach(pid)) {
            on_input_out_of_reach(pid, std::move(*server));
            continue;
        }
        bool may_have_moved = channels ? !channels->has_output() : channel_of(pid, 0).kind == ChannelKind::none;
        if (!channels && !may_have_moved) continue;
        PolicyStore::Match match = find_policy(*server);
        if (!match.policy) continue;
        if (may_have_moved) {
            if (auto moved = moved_channels(pid)) channels = moved;
        }
        if (channels) running.push_back({std::move(*server), match, *channels, waits_for(pid, channels->input)});
    }
    std::sort(running.begin(), running.end(), [](const Running& a, const Running& b) {
        const ProcessFacts &x = a.server.process, &y = b.server.process;
        // started within the same clock tick: the higher number is the younger, but for one wrap-around
        return std::tie(a.waits, x.start_time, x.pid) > std::tie(b.waits, y.start_time, y.pid);
    });
    for (Running& each : running) {
        const cg_channel_key& input = each.channels.input;
        if (by_replacement.count(input) || candidates.count(input)) continue;
        pid_t pid = each.server.process.pid;
        if (auto known = by_original.find(input); known != by_original.end()) {
            const Session& session = sessions[known->second];
            if (session.has(pid) || !session.match.policy->is_version_of(*each.match.policy)) continue;
        }
        if (names_a_program(*each.match.policy) && each.channels.has_output()) {
            Plan plan{pid, input, each.channels.output, Opening::Start::midway, monotonic_ns(), {}, {}};
            take(plan, {}, std::move(each.server), each.match);
            continue;
        }
        watch_candidate(input, static_cast<uint32_t>(each.channels.kind), pid,
                        {std::move(each.server), each.match, each.channels.output});
    }
}

// The kernel's buffer was full, since the agent had not listened for long, or not quickly enough, or a queue of ours was; or a
// program was left out.
void Watcher::State::find_what_was_missed() {
    const uint64_t lost = programs->counter(CG_COUNT_RING_FULL) + left.sum() + (left_out = programs->left_out());
    if (lost == events_lost) return;
    const uint64_t more = lost - std::exchange(events_lost, lost);
    if (taking) {
        programs->look_through_trees(options.scope);
        listen();
        scan();
    }
    programs->forget_expired_holds();
    events.lost(more);
}

// A cgroup of the scope that was made, again or for the first time: what runs there already was not seen.
void Watcher::State::follow_cgroups() {
    if (cgroups->follow() && taking) scan();
}

// Programs that were watched, or connections, and that ended before they showed what they are.
void Watcher::State::forget_what_is_gone() {
    unix_servers->forget_what_is_gone();
    earlier->forget_what_is_gone();
    gone_candidates.erase_from(candidates, [this](const cg_channel_key& channel) {
        if (!by_original.count(channel)) programs->forget(channel);
    });
}

}  // namespace callgate
