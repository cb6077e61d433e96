// The watcher's commands, hand-backs and figures.
#include <algorithm>

#include "lifecycle/hand_backs.h"
#include "lifecycle/watch_state.h"

namespace callgate {
void Durations::add(int64_t nanoseconds) {
    std::lock_guard lock(mutex_);
    auto value = static_cast<uint32_t>(std::clamp<int64_t>(nanoseconds / 1000, 0, UINT32_MAX));
    if (microseconds_.size() < kKept) {
        microseconds_.push_back(value);
    } else {
        microseconds_[next_++ % kKept] = value;
    }
}

Watcher::Figures Durations::figures() const {
    Watcher::Figures figures;
    std::lock_guard lock(mutex_);
    if (microseconds_.empty()) return figures;
    std::vector<uint32_t> sorted = microseconds_;
    std::sort(sorted.begin(), sorted.end());
    figures.takeover_p50_us = sorted[sorted.size() / 2];
    figures.takeover_p99_us = sorted[std::min(sorted.size() - 1, sorted.size() * 99 / 100)];
    return figures;
}

void Watcher::State::post(std::function<void()> command) {
    {
        std::lock_guard lock(mutex);
        commands.push_back(std::move(command));
    }
    uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof(one));
}

void Watcher::State::run_commands() {
    uint64_t count = 0;
    (void)!::read(wake.get(), &count, sizeof(count));
    std::vector<std::function<void()>> now;
    {
        std::lock_guard lock(mutex);
        now.swap(commands);
    }
    for (auto& command : now) command();
    run_jobs();
}

void Watcher::State::hold_as_needed() {
    // Where no policy can name a server, nobody is made to wait.
    const bool any = for_unnamed || !options.policies->policies().empty();
    listeners->enable_holds(any);
    programs->watch_accepted(any);
}

void Watcher::use_policies(std::shared_ptr<const PolicyStore> policies) {
    state_->post([&state = *state_, policies = std::move(policies)] {
        state.options.policies = policies;
        state.listeners->policies_changed();
        if (state.taking) state.hold_as_needed();
    });
}

// Who holds the replacement still: a number of then may be another process by now.
void Watcher::resume(std::vector<ResumedServer> sessions, const std::vector<cg_channel_key>& replacements) {
    for (const cg_channel_key& each : replacements) state_->by_replacement[each];
    for (ResumedServer& each : sessions) {
        WatchedSession& watched = each.watched;
        const pid_t first = watched.pids.empty() ? 0 : watched.pids.front();
        std::erase_if(watched.pids, [&](pid_t pid) {
            auto held = find_descriptors(pid, watched.new_input, watched.new_output);
            return !held || held->channels.empty();
        });
        cg_channel mark{CG_WATCH, static_cast<uint32_t>(each.input_kind), static_cast<uint32_t>(first), 0, watched.output};
        (void)state_->programs->watch(watched.input, mark);
        state_->by_original[watched.input] = watched.id;
        state_->by_replacement[watched.new_input] = watched.id;
        state_->by_replacement[watched.new_output] = watched.id;
        for (pid_t pid : watched.pids) state_->govern(watched.id, pid);
        state_->sessions[watched.id] = {watched.id,        watched.pids,       watched.input,          watched.output,
                                        watched.new_input, watched.new_output, std::move(each.server), std::move(each.match)};
    }
}

Exemption Watcher::exempt(const cg_exempt& connection) const { return state_->listeners->exempt(connection); }

void Watcher::replacement_gone(const cg_channel_key& replacement) const {
    state_->post([state = state_.get(), replacement] { state->by_replacement.erase(replacement); });
}

void Watcher::list_sessions(std::function<void(std::vector<WatchedSession>)> done) {
    state_->post([state = state_.get(), done = std::move(done)] {
        std::vector<WatchedSession> list;
        for (const auto& [id, session] : state->sessions)
            list.push_back({id, session.pids, session.input, session.output, session.new_input, session.new_output});
        done(std::move(list));
    });
}

void Watcher::State::run_jobs() {
    if (jobs.empty()) return;
    std::vector<HandBackJob> batch;
    batch.swap(jobs);
    give_back(std::move(batch), help.while_waiting, [this](const HandBackJob& job, bool lives_on) {
        // In the same turn: from here on what the server reads from the original is its own, not a late read of ours.
        forget_session(job.session_id, lives_on);
    });
}

}  // namespace callgate
