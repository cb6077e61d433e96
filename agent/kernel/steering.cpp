#include "kernel/steering.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include "kernel/proc.h"
#include "kernel/process_sockets.h"

namespace callgate {

namespace {

cg_listener entry_of(const Listener& listener, uint32_t flags) {
    if (listener.dual) flags |= CG_LISTENER_DUAL;
    return {listener.address, flags, static_cast<uint32_t>(listener.pid)};
}

}  // namespace

std::vector<cg_address> Listener::addresses() const {
    if (!dual) return {address};
    cg_address four = any_address(address);
    four.family = AF_INET;
    return {address, four};
}

Steering::Steering(ListenPrograms& programs, Events events)
    : programs_(programs),
      events_(std::move(events)),
      own_(Fd::adopt(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC))),
      own_netns_(namespace_inode(own_)) {}

Status Steering::prepare() {
    if (own_ && !spaces_.count(own_netns_)) TRY_VOID(open_space(std::move(own_)));
    if (!next_) next_ = TRY(SteerProgram::load(programs_.maps()));
    return {};
}

Result<std::shared_ptr<NetworkNamespace>> Steering::open_space(Fd netns) {
    auto program = next_ ? std::move(next_) : TRY(SteerProgram::load(programs_.maps()));
    auto space = TRY(NetworkNamespace::open(std::move(netns), std::move(program)));
    spaces_[space->inode()] = space;
    events_.opened(space);
    return space;
}

Result<std::shared_ptr<NetworkNamespace>> Steering::space_of(const Listener& listener) {
    auto known = spaces_.find(listener.address.netns);
    if (known != spaces_.end()) return known->second;
    Fd netns = TRY(open_namespace(listener.pid, listener.tid, listener.address.netns, listener.cookie));
    return open_space(std::move(netns));
}

// The kernel counts down by itself when a listener goes; what is written here is always the whole truth.
void Steering::write_count(const cg_address& address) {
    auto found = counts_.find(address);
    if (found != counts_.end() && found->second) {
        cg_steered value{found->second, 0};
        bpf_map_update_elem(programs_.maps().steered, &address, &value, BPF_ANY);
    } else {
        bpf_map_delete_elem(programs_.maps().steered, &address);
        if (found != counts_.end()) counts_.erase(found);
    }
}

void Steering::write_port(uint16_t port) {
    auto found = ports_.find(port);
    if (found != ports_.end() && found->second) {
        bpf_map_update_elem(programs_.maps().steered_ports, &port, &found->second, BPF_ANY);
    } else {
        bpf_map_delete_elem(programs_.maps().steered_ports, &port);
        if (found != ports_.end()) ports_.erase(found);
    }
}

Status Steering::steer(const Listener& listener) {
    if (listeners_.count(listener.cookie)) return {};
    if (counts_.size() + 2 > CG_STEERED_MAX) return Error{ErrorKind::limit, 0, "steering", "too many listeners"};
    auto space = TRY(space_of(listener));
    if (space->listener(listener.address.family) < 0) {
        close_if_unused(listener.address.netns);
        return Error::invalid(text_of(listener.address), "the agent cannot listen in that family there");
    }
    listeners_[listener.cookie] = listener;
    ++used_[listener.address.netns];
    ++ports_[listener.address.port];
    write_port(listener.address.port);
    for (const cg_address& address : listener.addresses()) {
        ++counts_[address];
        write_count(address);
    }
    if (programs_.update(listener.cookie, entry_of(listener, CG_LISTENER_STEERED))) return {};
    forget(listener.cookie);
    return Error{ErrorKind::gone, 0, text_of(listener.address), "the listener has gone"};
}

void Steering::forget(uint64_t cookie) {
    auto found = listeners_.find(cookie);
    if (found == listeners_.end()) return;
    Listener listener = found->second;
    listeners_.erase(found);
    for (const cg_address& address : listener.addresses()) {
        --counts_[address];
        write_count(address);
    }
    --ports_[listener.address.port];
    write_port(listener.address.port);
    --used_[listener.address.netns];
    close_if_unused(listener.address.netns);
}

void Steering::release(uint64_t cookie) {
    auto found = listeners_.find(cookie);
    if (found == listeners_.end()) return;
    programs_.update(cookie, entry_of(found->second, 0));
    forget(cookie);
}

bool Steering::is_exempt(const cg_address& server, uint16_t client_port) const {
    cg_exempt key{};
    key.server = server;
    key.client_port = client_port;
    uint32_t present = 0;
    return bpf_map_lookup_elem(programs_.maps().exempt, &key, &present) == 0;
}

void Steering::removed(uint64_t cookie) { forget(cookie); }

void Steering::release_all() {
    while (!listeners_.empty()) release(listeners_.begin()->first);
}

void Steering::close_if_unused(uint32_t netns) {
    if (used_[netns]) return;
    used_.erase(netns);
    if (netns == own_netns_) return;
    if (spaces_.erase(netns)) events_.closed(netns);
}

}  // namespace callgate
