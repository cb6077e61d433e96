#include "lifecycle/watcher.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <future>

#include "base/clock.h"
#include "base/fault_point.h"
#include "lifecycle/watch_state.h"

namespace callgate {

Watcher::Watcher() : state_(std::make_unique<State>()) {}

Watcher::~Watcher() { stop(); }

Result<std::unique_ptr<Watcher>> Watcher::create(Options options, Events events) {
    std::unique_ptr<Watcher> watcher(new Watcher());
    State& state = *watcher->state_;
    state.options = std::move(options);
    state.events = std::move(events);
    state.wake = Fd::adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!state.wake) return Error::system("eventfd", "", errno);
    for (State::Half& half : state.halves) {
        half.nudge = Fd::adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!half.nudge) return Error::system("eventfd", "", errno);
    }
    state.programs = TRY(ChannelPrograms::start(state.options.scope, [&state](const cg_event& event) { state.on_event(event); }));
    state.cgroups = TRY(ScopeCgroups::start(state.options.scope.cgroups, state.programs->shared_maps().scope_cgroups));
    if (state.options.deny_unnamed)
        state.for_unnamed = Policy::deny_everything(
            "(no policy)", "(no policy)", "No policy names this server, and this host denies such servers.", Mode::enforce);
    ListenWatch::Options listening{state.options.scope, [&state](ServerIdentity& server) { return state.find_policy(server); },
                                   [&state](uint16_t port) { return state.names_port(port); },
                                   [&state] { return state.names_address(); }, state.for_unnamed};
    state.listeners = TRY(ListenWatch::create(*state.programs, std::move(listening), state.events.listeners));
    state.earlier = std::make_unique<EarlierConnections>(*state.programs, *state.listeners, state.help,
                                                         state.events_of_earlier_connections());
    state.unix_servers = std::make_unique<UnixServers>(*state.programs, state.help_for_unix_servers(), state.events.unix_servers);
    state.help.while_waiting = [&state](std::chrono::nanoseconds pause, bool in_vain) {
        state.listen();
        if (!pause.count()) return;
        if (in_vain) state.disturb_other_half();
        state.wait(pause);
        state.listen();
    };
    state.help.caught = [&state](pid_t tid) -> std::optional<cg_event> {
        state.listen();
        auto lock = state.hear();
        auto found = state.caught.extract(tid);
        return found ? std::optional<cg_event>(found.mapped()) : std::nullopt;
    };
    state.help.look_at_later = [&state](const cg_event& event, StoppedThread thread, std::chrono::nanoseconds wait) {
        auto lock = state.hear();
        const int64_t not_before_ns = monotonic_ns() + wait.count();
        state.halves[State::own_half].work.push_back({event, std::move(thread), std::nullopt, not_before_ns});
    };
    state.help.swap_begins = [&state](const cg_channel_key& replacement, const cg_channel& mark) {
        if (!state.programs->watch(replacement, mark)) state.swap_unwatched = true;
    };
    state.help.swap_ends = [&state](const cg_channel_key& replacement) { state.programs->forget(replacement); };
    state.help.take_back_waiting = [&state](pid_t pid, const cg_channel_key& channel) {
        return state.take_back_waiting(pid, channel);
    };
    return watcher;
}

namespace {

// Every second processor this process may use, beginning with the first or the second; all where there is but one.
cpu_set_t every_second_processor(int first) {
    cpu_set_t allowed, half;
    CPU_ZERO(&half);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    if (CPU_COUNT(&allowed) < 2) return allowed;
    int seen = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed) && seen++ % 2 == first) CPU_SET(cpu, &half);
    return half;
}

// How long a program that has started waits for the half that it was left to. After that its processor is taken to be
// occupied, by a held thread for instance.
constexpr std::chrono::milliseconds kPatience{1};
// Programs that have started and wait in each half; one more is left out, and what runs is looked at again. Its first read is
// held all the same.
constexpr size_t kStartedMax = 4096;
// The thread that works listens in between. The longest that it does not is a look at all descriptors of a large host.
constexpr int64_t kStandstillMax = 5'000'000'000;

}  // namespace

// A held thread keeps its processor busy and cannot be preempted there, and a real-time thread that wakes goes to the
// processor it ran on last: if that is the same one, the hold runs out. So there are two threads on disjoint halves
// of the processors; both are woken, and the one that runs first does the work. A take-over begins and ends on one.
void Watcher::run() {
    State& state = *state_;
    std::promise<void> scanned;
    for (int half = 0; half < State::kHalves; ++half) state.halves[half].processors = every_second_processor(half);
    for (int half = 0; half < State::kHalves; ++half) {
        std::thread& thread = state.halves[half].thread;
        thread = std::thread([&state, &scanned, half] {
            sched_param priority{1};
            (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
            const cpu_set_t& processors = state.halves[half].processors;
            (void)pthread_setaffinity_np(pthread_self(), sizeof(processors), &processors);
            State::own_half = half;
            state.programs->answered_from_here(half);
            if (half == 0) {
                std::lock_guard turn(state.turn);
                state.programs->enable_holds(true);
                state.hold_as_needed();
                state.scan();
                state.has_scanned = true;
                scanned.set_value();
            }
            state.watch();
        });
        pthread_setname_np(thread.native_handle(), "callgate-watch");
    }
    scanned.get_future().wait();
}

thread_local int Watcher::State::own_half = 0;

void Watcher::State::watch() {
    while (!stopping) {
        bool soon = listeners->is_impatient() || earlier->is_impatient();
        {
            auto lock = hear();
            soon |= !halves[1 - own_half].programs_started.empty() || !halves[own_half].work.empty();
        }
        soon |= Tracee::let_go_of_those_left_behind();
        wait(soon ? kPatience : std::chrono::seconds(1), wake.get());
        const int64_t woken_ns = GovernedUntil::now_ns();
        listen();
        if (own_half == 0) fault_point("turn of the first half");
        std::unique_lock held(turn, std::defer_lock);
        take_turn(held);
        turn_once();
        find_what_was_missed();
        follow_cgroups();
        if (taking) forget_what_is_gone();
        if (taking && has_scanned && options.until) options.until->note(woken_ns);
        run_commands();
    }
    {
        std::unique_lock held(turn, std::defer_lock);
        take_turn(held);
        run_commands();  // somebody waits for each hand-back
    }
    post([] {});  // the other thread may have slept through the end
}

// For an event, a nudge, or, where `commands_fd` is given, for a command or a cgroup that comes or goes.
void Watcher::State::wait(std::chrono::nanoseconds limit, int commands_fd) {
    int nudge = halves[own_half].nudge.get();
    programs->sleeps_here(own_half);
    const int cgroups_fd = commands_fd < 0 ? -1 : cgroups->fd();
    pollfd waiting[4] = {{programs->ring_fd(), POLLIN, 0}, {nudge, POLLIN, 0}, {commands_fd, POLLIN, 0}, {cgroups_fd, POLLIN, 0}};
    timespec time{limit / std::chrono::seconds(1), limit % std::chrono::seconds(1) / std::chrono::nanoseconds(1)};
    ::ppoll(waiting, 4, &time, nullptr);
    uint64_t count = 0;
    if (waiting[1].revents) (void)!::read(nudge, &count, sizeof(count));
}

// While the other thread works it may be waiting for a processor that a held thread occupies: somebody must listen.
void Watcher::State::take_turn(std::unique_lock<std::mutex>& held) {
    Standstill other(halves[1 - own_half].pulse);
    while (!held.try_lock()) {
        wait(std::chrono::milliseconds(1));
        listen();
        take_back_wanted();
        if (other.nanoseconds(monotonic_ns()) > kStandstillMax) let_go_of_stopped();
        (void)Tracee::let_go_of_those_left_behind();
    }
}

// The other thread hangs. Whoever waits in a stop of this one goes on, as where a hold has run out.
void Watcher::State::let_go_of_stopped() {
    std::vector<StoppedThread> stopped;  // which listens where it ends
    auto lock = hear();
    std::deque<Work>& mine = halves[own_half].work;
    for (Work& each : std::exchange(mine, {})) {
        const bool was_stopped = each.thread.tracee != nullptr;
        if (was_stopped) stopped.push_back(std::exchange(each.thread, {}));
        if (was_stopped && each.event.kind == CG_EVENT_READ) {
            each.went_on();
            put_in(std::move(each));
        } else {
            mine.push_back(std::move(each));
        }
    }
}

bool Watcher::State::WantedReads::is_of(const Work& work) const {
    return work.event.kind == CG_EVENT_READ && work.thread.tracee && static_cast<pid_t>(work.event.tgid) == pid &&
           work.event.channel == channel;
}

// Both halves may have stopped such threads: this one asks, and the other one looks while it waits for its turn.
std::vector<ReadPiece> Watcher::State::take_back_waiting(pid_t pid, const cg_channel_key& channel) {
    listen();
    {
        auto lock = hear();
        wanted = {pid, channel, {}, 0};
    }
    const int64_t deadline = monotonic_ns() + std::chrono::nanoseconds(Tracee::kStopTimeout).count();
    for (;;) {
        take_back_wanted();
        auto lock = hear();
        const std::deque<Work>& others = halves[1 - own_half].work;
        const bool awaited =
            wanted.under_way || std::any_of(others.begin(), others.end(), [&](auto& each) { return wanted.is_of(each); });
        if (!awaited || monotonic_ns() > deadline) {
            wanted.pid = 0;
            return std::move(wanted.pieces);
        }
        lock.unlock();
        help.while_waiting(std::chrono::microseconds(20), true);
    }
}

void Watcher::State::take_back_wanted() {
    for (;;) {
        auto lock = hear();
        std::deque<Work>& mine = halves[own_half].work;
        auto found =
            wanted.pid ? std::find_if(mine.begin(), mine.end(), [&](auto& each) { return wanted.is_of(each); }) : mine.end();
        if (found == mine.end()) return;
        Work work = std::move(*found);
        mine.erase(found);
        ++wanted.under_way;
        lock.unlock();
        const bool stopped = work.thread.tracee->await_stop().ok();
        const bool in_time = stopped && was_in_time(work.thread);
        ++(stopped ? late_reads : failed);
        auto piece = in_time ? take_back_read(std::move(work.thread)) : Error{ErrorKind::limit, 0, "read", "was over"};
        work.thread = {};
        lock.lock();
        --wanted.under_way;
        if (piece) wanted.pieces.push_back(std::move(*piece));
        if (piece || !stopped) continue;
        work.went_on();
        mine.push_back(std::move(work));
    }
}

void Watcher::State::nudge(int half) {
    uint64_t one = 1;
    (void)!::write(halves[half].nudge.get(), &one, sizeof(one));
}

// A program that has just started still has to reach its first instruction before it can be stopped. A thread of ours
// that waited for that on the same processor would keep it from it, so the half on other processors takes it over.
void Watcher::State::leave_to_other_half(const cg_event& event) {
    int half = event.cpu < CPU_SETSIZE && CPU_ISSET(event.cpu, &halves[0].processors) ? 1 : 0;
    auto& started = halves[half].programs_started;
    auto same = std::find_if(started.rbegin(), started.rend(), [&](const Half::Started& each) {
        return each.event.tgid == event.tgid && each.event.channel == event.channel && each.event.output == event.output;
    });
    if (same != started.rend()) return;  // who it is is asked when its turn comes
    if (started.size() >= kStartedMax) {
        ++left.programs;
        return;
    }
    started.push_back({event, monotonic_ns()});
    nudge(half);
}

// A thread that does not get its turn on a busy processor is chosen sooner where the scheduler has to choose more often:
// each short run of our other thread there makes it do so.
void Watcher::State::disturb_other_half() { nudge(1 - own_half); }

// The next program for this half, or one that the other half has not got to.
std::optional<cg_event> Watcher::State::next_program() {
    auto lock = hear();
    for (int half : {own_half, 1 - own_half}) {
        auto& started = halves[half].programs_started;
        if (started.empty()) continue;
        std::chrono::nanoseconds waited(monotonic_ns() - started.front().heard_ns);
        if (half != own_half && waited < kPatience) continue;
        cg_event event = started.front().event;
        started.pop_front();
        return event;
    }
    return std::nullopt;
}

void Watcher::stop_taking(ListenWatch::Steered how, std::function<void()> done) {
    state_->post([state = state_.get(), how, done = std::move(done)] {
        state->taking = false;
        state->programs->enable_holds(false);
        state->listeners->stop(how);
        done();
    });
}

std::optional<cg_peer> Watcher::take_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server) const {
    return state_->listeners->take_peer(netns, client, server);
}

void Watcher::stop() {
    if (!state_->halves[0].thread.joinable()) return;
    state_->stopping = true;
    state_->post([] {});
    for (State::Half& half : state_->halves) half.thread.join();
    state_->programs->enable_holds(false);
}

void Watcher::hand_back(HandBackJob job) {
    state_->post([state = state_.get(), job = std::move(job)]() mutable { state->jobs.push_back(std::move(job)); });
}

void Watcher::session_ended(std::string session_id) {
    state_->post([state = state_.get(), id = std::move(session_id)] { state->forget_session(id, false); });
}

bool Watcher::is_alive(int calls_max) {
    bool all = true;
    for (State::Half& half : state_->halves) all &= half.pulse.is_alive(calls_max);
    return all || state_->stopping;
}

Watcher::Figures Watcher::figures() const {
    Figures figures = state_->durations.figures();
    figures.kernel = state_->programs->counters();
    // What was sent and found no room here is lost as well.
    for (const auto& [sent, lost] :
         {std::pair(CG_COUNT_EXEC_SENT, &state_->left.programs), std::pair(CG_COUNT_UNSEEN_SENT, &state_->left.unseen),
          std::pair(CG_COUNT_EXPIRED_SENT, &state_->left.expired)}) {
        const uint64_t number = *lost;
        figures.kernel.values[sent] -= number;
        figures.kernel.values[CG_COUNT_RING_FULL] += number;
    }
    figures.left_out = state_->left_out;
    figures.on_events = state_->programs->on_events();
    figures.identified = state_->identified;
    figures.taken = state_->taken;
    figures.failed = state_->failed;
    figures.released = state_->released;
    figures.late_reads = state_->late_reads;
    figures.expired = state_->expired;
    figures.exits_held = state_->exits_held;
    figures.exits_expired = state_->exits_expired;
    figures.exits_unheld = state_->exits_unheld + figures.kernel[CG_COUNT_EXIT_UNHELD];
    return figures;
}

}  // namespace callgate
