#include "lifecycle/watcher.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <signal.h>

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
    state.holds.find = [&state](pid_t tid) { return state.programs->hold_of(tid); };
    state.holds.release = [&state](pid_t tid) { state.programs->release(tid); };
    return watcher;
}

void Watcher::run() {
    State& state = *state_;
    std::promise<void> scanned;
    state.thread = std::thread([&state, &scanned] {
        // A held thread occupies its processor: whoever lets it go must not wait for one.
        sched_param priority{1};
        (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
        state.programs->enable_holds(true);
        state.scan();
        scanned.set_value();
        while (!state.stopping) {
            pollfd waiting[2] = {{state.programs->ring_fd(), POLLIN, 0}, {state.wake.get(), POLLIN, 0}};
            ::poll(waiting, 2, 1000);
            state.programs->poll();
            state.run_commands();
        }
        state.programs->enable_holds(false);
    });
    pthread_setname_np(state.thread.native_handle(), "callgate-watch");
    scanned.get_future().wait();
}

void Watcher::stop_taking() {
    state_->post([state = state_.get()] {
        state->taking = false;
        state->programs->enable_holds(false);
    });
}

void Watcher::stop() {
    if (!state_->thread.joinable()) return;
    state_->stopping = true;
    state_->post([] {});
    state_->thread.join();
}

void Watcher::hand_back(HandBackJob job) {
    state_->post([state = state_.get(), job = std::move(job)]() mutable { state->jobs.push_back(std::move(job)); });
}

void Watcher::session_ended(std::string session_id) {
    state_->post([state = state_.get(), id = std::move(session_id)] { state->forget_session(id); });
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
    return figures;
}

}  // namespace callgate
