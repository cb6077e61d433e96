#include "lifecycle/watcher.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <future>

#include "base/clock.h"
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
    state.programs = TRY(ChannelPrograms::start(state.options.scope, [&state](const cg_event& event) { state.on_event(event); }));
    state.help.while_waiting = [&state] { state.listen(); };
    state.help.caught = [&state](pid_t tid) -> std::optional<cg_hold> {
        state.listen();
        std::lock_guard lock(state.hearing);
        auto found = state.caught.extract(tid);
        return found ? std::optional<cg_hold>(found.mapped()) : std::nullopt;
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

}  // namespace

// A held thread keeps its processor busy and cannot be preempted there, and a real-time thread that wakes goes to the
// processor it ran on last: if that is the same one, the hold runs out. So there are two threads on disjoint halves
// of the processors; both are woken, and the one that runs first does the work. A take-over begins and ends on one.
void Watcher::run() {
    State& state = *state_;
    std::promise<void> scanned;
    for (int half = 0; half < State::kThreads; ++half) {
        state.threads[half] = std::thread([&state, &scanned, half] {
            sched_param priority{1};
            (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
            cpu_set_t processors = every_second_processor(half);
            (void)pthread_setaffinity_np(pthread_self(), sizeof(processors), &processors);
            if (half == 0) {
                std::lock_guard turn(state.turn);
                state.programs->enable_holds(true);
                state.scan();
                scanned.set_value();
            }
            while (!state.stopping) {
                pollfd waiting[2] = {{state.programs->ring_fd(), POLLIN, 0}, {state.wake.get(), POLLIN, 0}};
                ::poll(waiting, 2, state.some_exiting ? 1 : 1000);
                state.listen();
                std::unique_lock turn(state.turn, std::defer_lock);
                state.take_turn(turn);
                state.turn_once();
                state.run_commands();
                if (state.some_exiting) state.reap();
            }
            state.post([] {});  // the other thread may have slept through the end
        });
        pthread_setname_np(state.threads[half].native_handle(), "callgate-watch");
    }
    scanned.get_future().wait();
}

void Watcher::stop_taking() {
    state_->post([state = state_.get()] {
        state->taking = false;
        state->programs->enable_holds(false);
    });
}

void Watcher::stop() {
    if (!state_->threads[0].joinable()) return;
    state_->stopping = true;
    state_->post([] {});
    for (std::thread& thread : state_->threads) thread.join();
    state_->programs->enable_holds(false);
}

void Watcher::hand_back(HandBackJob job) {
    state_->post([state = state_.get(), job = std::move(job)]() mutable { state->jobs.push_back(std::move(job)); });
}

void Watcher::session_ended(std::string session_id, bool released_alive) {
    state_->post([state = state_.get(), id = std::move(session_id), released_alive] {
        state->forget_session(id, released_alive);
    });
}

void Watcher::session_drained(std::string session_id) {
    state_->post([state = state_.get(), id = std::move(session_id)] { state->session_drained(id); });
}

Watcher::Figures Watcher::figures() const {
    Figures figures = state_->durations.figures();
    figures.kernel = state_->programs->counters();
    figures.identified = state_->identified;
    figures.taken = state_->taken;
    figures.failed = state_->failed;
    figures.released = state_->released;
    figures.late_reads = state_->late_reads;
    figures.expired = state_->expired;
    figures.exits_unheld = state_->exits_unheld + figures.kernel[CG_COUNT_EXIT_UNHELD];
    figures.exits_overdue = state_->exits_overdue;
    return figures;
}

}  // namespace callgate
