#include "lifecycle/listen_watch.h"

#include <bpf/bpf.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "kernel/process_sockets.h"

namespace callgate {
namespace {

// A decision that takes longer than this is made after the listener was steered and let go.
constexpr int64_t kDecideNanoseconds = 5'000'000;
// How long the port of a socket that was not bound is looked for: the rest of one system call.
constexpr int64_t kPortNanoseconds = 100'000'000;
// Where servers that no policy names are denied, those on system ports are left alone: they need root to open, speak
// other protocols, and a stop of the agent must not cut an administrator's own connection.
constexpr uint16_t kSystemPortsEnd = 1024;

Listener listener_of(const cg_listen_event& event) {
    return {event.cookie,
            event.address,
            (event.flags & CG_LISTENER_DUAL) != 0,
            static_cast<pid_t>(event.tgid),
            static_cast<pid_t>(event.tid),
            event.bound_device};
}

Listener listener_of(const ListeningSocket& socket, pid_t pid) {
    return {socket.cookie, socket.address, socket.dual, pid, pid, socket.bound_device};
}

// For a listener that the kernel has not noted, or not with its port.
cg_listener entry_of(const Listener& listener) {
    return {listener.address, listener.dual ? uint32_t{CG_LISTENER_DUAL} : 0u, static_cast<uint32_t>(listener.pid)};
}

}  // namespace

ListenWatch::ListenWatch(ChannelPrograms& channels, Options options, Events events)
    : channels_(channels), options_(std::move(options)), events_(std::move(events)) {}

Result<std::unique_ptr<ListenWatch>> ListenWatch::create(ChannelPrograms& channels, Options options, Events events) {
    std::unique_ptr<ListenWatch> watch(new ListenWatch(channels, std::move(options), std::move(events)));
    watch->programs_ = TRY(ListenPrograms::start(channels, watch->options_.scope,
                                                 [raw = watch.get()](const cg_listen_event& event) { raw->heard(event); }));
    watch->steering_ = std::make_unique<Steering>(*watch->programs_, watch->events_.space);
    return watch;
}

void ListenWatch::heard(const cg_listen_event& event) {
    std::lock_guard lock(mutex_);
    bool held = event.flags & CG_LISTENER_HELD;
    if (over_) {
        if (held) channels_.release(static_cast<pid_t>(event.tid));
        return;
    }
    heard_.push_back(event);
    if (event.kind != CG_EVENT_LISTEN || !event.address.port) return;
    const bool waits = event.flags & CG_LISTENER_WAITS;
    undecided_[event.cookie] = {listener_of(event), static_cast<int64_t>(event.since_ns), held, waits};
}

void ListenWatch::enable_holds(bool enabled) {
    if (enabled) prepare();
    programs_->enable_holds(enabled);
}

// Where it fails, so does the first listener's steering, which reports it.
void ListenWatch::prepare() {
    std::lock_guard lock(mutex_);
    if (!over_) (void)steering_->prepare();
}

void ListenWatch::steer_overdue() {
    std::lock_guard lock(mutex_);
    if (undecided_.empty()) return;
    int64_t before = monotonic_ns() - kDecideNanoseconds;
    for (auto& [cookie, undecided] : undecided_) {
        if (undecided.tried || undecided.since_ns > before || undecided.listener.bound_device) continue;
        undecided.tried = true;
        events_.undecided(undecided.listener);
        undecided.steered = steering_->steer(undecided.listener).ok();
        if (undecided.steered) {
            undecided.late = !release_hold(undecided);
        } else {
            events_.gone(cookie);
        }
    }
}

// False where the kernel had let it go by itself.
bool ListenWatch::release_hold(const Undecided& undecided) {
    if (!undecided.held) return undecided.waits;
    auto hold = channels_.hold_of(undecided.listener.tid);
    if (!hold || static_cast<int64_t>(hold->since_ns) != undecided.since_ns) return false;
    channels_.release(undecided.listener.tid);
    return hold->state == CG_HOLDING;
}

void ListenWatch::work() {
    for (;;) {
        cg_listen_event next;
        {
            std::lock_guard lock(mutex_);
            if (heard_.empty()) break;
            next = heard_.front();
            heard_.pop_front();
        }
        next.kind == CG_EVENT_LISTEN ? on_listen(next) : on_gone(next);
    }
    look_for_ports();
    if (governs_any()) prepare();
}

void ListenWatch::on_listen(const cg_listen_event& event) {
    if (!event.address.port) {
        std::lock_guard lock(mutex_);
        unbound_.push_back({event, monotonic_ns() + kPortNanoseconds});
        return;
    }
    if (!decide(listener_of(event), false) && !options_.names_address()) programs_->let_listen(event);
}

void ListenWatch::on_gone(const cg_listen_event& event) {
    std::lock_guard lock(mutex_);
    undecided_.erase(event.cookie);
    governed_.erase(event.cookie);
    if (!steering_->is_steered(event.cookie)) return;
    steering_->removed(event.cookie);
    events_.gone(event.cookie);
}

bool ListenWatch::is_impatient() {
    std::lock_guard lock(mutex_);
    return !unbound_.empty();
}

void ListenWatch::look_for_ports() {
    std::vector<Unbound> waiting;
    {
        std::lock_guard lock(mutex_);
        waiting.swap(unbound_);
    }
    for (const Unbound& each : waiting) {
        bool found = false;
        for (ListeningSocket& socket : listening_sockets(static_cast<pid_t>(each.event.tgid))) {
            if (socket.cookie != each.event.cookie || !socket.address.port) continue;
            found = true;
            Listener listener = listener_of(socket, static_cast<pid_t>(each.event.tgid));
            if (programs_->update(socket.cookie, entry_of(listener))) decide(listener, false);
        }
        if (found || monotonic_ns() > each.until_ns) continue;
        std::lock_guard lock(mutex_);
        unbound_.push_back(each);
    }
}

void ListenWatch::scan() {
    for (pid_t pid : processes_in_scope(options_.scope)) {
        for (ListeningSocket& socket : listening_sockets(pid)) {
            Listener listener = listener_of(socket, pid);
            {
                std::lock_guard lock(mutex_);
                if (steering_->is_steered(socket.cookie) || undecided_.count(socket.cookie)) continue;
            }
            if (programs_->add(socket.cookie, entry_of(listener))) decide(listener, true);
        }
        work();
    }
}

// False where no policy names the program.
bool ListenWatch::decide(const Listener& listener, bool adopted) {
    auto server = identify_server(listener.pid);
    PolicyStore::Match match;
    if (server) {
        server->listens = {text_of(listener.address)};
        match = options_.find_policy(*server);
    }
    const bool is_left_alone = match.policy && match.policy == options_.for_unnamed && listener.address.port < kSystemPortsEnd;
    if (!match.policy || is_left_alone) {
        let_go(listener);
    } else {
        govern({listener, std::move(*server), match.policy, adopted});
    }
    return !server || match.policy;
}

void ListenWatch::policies_changed() { programs_->forget_unnamed(); }

void ListenWatch::govern(GovernedListener governed) {
    const Listener listener = governed.listener;
    std::string blind;
    {
        std::lock_guard lock(mutex_);
        if (over_) return;
        auto known = undecided_.extract(listener.cookie);
        Status steered;
        if (listener.bound_device) {
            steered = Error::invalid("", "the listener is bound to one device, where the agent cannot reach it");
        } else {
            events_.governed(governed);
            steered = steering_->steer(listener);
            if (!steered) events_.gone(listener.cookie);
        }
        if (steered) governed_[listener.cookie] = governed;
        // What it accepts past the steering, now or later (an address of one device, connections that wait already).
        channels_.decide_reader({listener.address.port, static_cast<uint32_t>(listener.pid), 0}, {CG_WATCH, 0, 0, 0, 0});
        bool late = known && (known.mapped().steered ? known.mapped().late : !release_hold(known.mapped()));
        if (!steered) {
            if (steered.error().kind != ErrorKind::gone) blind = steered.error().text();
        } else if (late) {
            blind = "listen() went on before its connections were steered: the first may not be judged";
        }
    }
    if (!blind.empty()) report_blind(std::move(governed), std::move(blind));
}

void ListenWatch::let_go(const Listener& listener) {
    std::lock_guard lock(mutex_);
    auto known = undecided_.extract(listener.cookie);
    if (!known) return;
    if (known.mapped().steered) {
        steering_->release(listener.cookie);
        events_.let_go(listener.cookie);
    } else {
        release_hold(known.mapped());
    }
}

void ListenWatch::report_blind(GovernedListener governed, std::string reason) {
    BlindListener blind{{}, std::move(governed), std::move(reason), false};
    {
        std::lock_guard lock(mutex_);
        blind.id = ids_.next(realtime_ns() / 1'000'000).view();
    }
    if (blind.governed.policy->on_blind() == OnBlind::kill) {
        if (auto pidfd = open_pidfd(blind.governed.listener.pid))
            blind.killed = syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0) == 0;
    }
    events_.blind(std::move(blind));
}

bool ListenWatch::governs_any() {
    std::lock_guard lock(mutex_);
    return !governed_.empty();
}

bool ListenWatch::passed_by(uint32_t netns, const SocketAddress& server, const SocketAddress& client) {
    std::lock_guard lock(mutex_);
    const cg_address address = server.in_namespace(netns);
    return steering_->covers(address) && !steering_->is_exempt(address, client.port());
}

Exemption ListenWatch::exempt(const cg_exempt& connection) const {
    uint8_t present = 1;
    const int map = programs_->maps().exempt;
    return bpf_map_update_elem(map, &connection, &present, BPF_ANY) ? Exemption() : Exemption(map, connection);
}

void ListenWatch::note_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server, pid_t pid) {
    std::lock_guard lock(mutex_);
    if (!steering_->covers(server.in_namespace(netns))) return;
    const auto uid = static_cast<uint32_t>(status_value(pid, "Uid"));
    programs_->add_peer(netns, client, server, {static_cast<uint32_t>(pid), uid, 0, 0, 0});
}

void ListenWatch::report_blind_connection(uint32_t netns, const SocketAddress& server, std::string reason) {
    const cg_address address = server.in_namespace(netns);
    std::optional<GovernedListener> asked;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [cookie, governed] : governed_)
            for (const cg_address& each : governed.listener.addresses())
                if (each == address || each == any_address(address)) asked = governed;
    }
    if (asked) report_blind(std::move(*asked), std::move(reason));
}

ListenWatch::Way ListenWatch::way_to(pid_t pid, uint32_t netns, const SocketAddress& server, const SocketAddress& client) {
    const cg_address address = server.in_namespace(netns);
    auto is_covered = [&] {
        std::lock_guard lock(mutex_);
        return !over_ && steering_->covers(address);
    };
    {
        std::lock_guard lock(mutex_);
        if (steering_->is_exempt(address, client.port())) return {Way::none, true, {}};
    }
    if (is_covered()) return {Way::through_listener, false, {}};
    for (ListeningSocket& socket : listening_sockets(pid)) {
        Listener listener = listener_of(socket, pid);
        std::vector<cg_address> own = listener.addresses();
        bool there =
            std::any_of(own.begin(), own.end(), [&](auto& each) { return each == address || each == any_address(address); });
        if (!there || listener.bound_device || !programs_->add(socket.cookie, entry_of(listener))) continue;
        decide(listener, false);
        if (is_covered()) return {Way::through_listener, false, {}};
    }
    auto identity = identify_server(pid);
    if (!identity) return {};
    identity->listens = {server.text()};
    PolicyStore::Match match = options_.find_policy(*identity);
    if (!match.policy || (match.policy == options_.for_unnamed && address.port < kSystemPortsEnd))
        return {Way::none, options_.names_port(address.port), {}};
    Listener listener;
    listener.address = address;
    listener.pid = listener.tid = pid;
    return {Way::to_reader, false, GovernedListener{listener, std::move(*identity), match.policy, false}};
}

void ListenWatch::stop(Steered how) {
    programs_->enable_holds(false);
    std::lock_guard lock(mutex_);
    over_ = true;
    for (auto& [cookie, undecided] : undecided_) {
        if (undecided.steered && how == Steered::released) events_.let_go(cookie);
        release_hold(undecided);
    }
    undecided_.clear();
    heard_.clear();
    unbound_.clear();
    governed_.clear();
    if (how == Steered::released) steering_->release_all();
}

}  // namespace callgate
