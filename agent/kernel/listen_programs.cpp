#include "kernel/listen_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/limits.h"
#include "kernel/libbpf_error.h"
#include "kernel/scope_programs.h"
#include "listen.skel.h"

namespace callgate {

struct ListenPrograms::State {
    listen_bpf* skeleton = nullptr;
    ChannelPrograms* channels = nullptr;
    int listeners = -1, peers = -1, unnamed = -1;
    Maps maps;

    ~State() {
        if (channels) channels->on_listen({});
        if (skeleton) listen_bpf__destroy(skeleton);
    }
};

ListenPrograms::ListenPrograms() : state_(std::make_unique<State>()) {}
ListenPrograms::~ListenPrograms() = default;

Result<std::unique_ptr<ListenPrograms>> ListenPrograms::start(ChannelPrograms& channels, const Scope& scope,
                                                              std::function<void(const cg_listen_event&)> on_event) {
    constexpr char kObject[] = "listen.bpf.o";
    TRY_VOID(check_scope(scope));
    collect_complaints();
    std::unique_ptr<ListenPrograms> programs(new ListenPrograms());
    State& state = *programs->state_;
    state.skeleton = listen_bpf__open();
    if (!state.skeleton) return libbpf_error("open", kObject, -errno);
    write_scope(*state.skeleton->rodata, scope);
    state.skeleton->rodata->hold_ns_max = kHoldNanoseconds;
    state.skeleton->rodata->preemptible = channels.on_events();
    auto& own = state.skeleton->maps;
    ChannelPrograms::SharedMaps shared = channels.shared_maps();
    for (auto [map, fd] : {std::pair(own.holds, shared.holds), std::pair(own.scope_pids, shared.scope_pids),
                           std::pair(own.scope_cgroups, shared.scope_cgroups), std::pair(own.events, shared.events),
                           std::pair(own.counters, shared.counters), std::pair(own.judged_connections, shared.judged_connections),
                           std::pair(own.unheld_listens, shared.unheld_listens)})
        if (int error = bpf_map__reuse_fd(map, fd)) return libbpf_error("share a map", kObject, error);
    if (int error = listen_bpf__load(state.skeleton)) return libbpf_error("load", kObject, error);
    state.listeners = bpf_map__fd(own.listeners);
    state.peers = bpf_map__fd(own.peers);
    state.unnamed = bpf_map__fd(own.unnamed);
    state.maps = {bpf_map__fd(own.steered), bpf_map__fd(own.exempt), bpf_map__fd(own.steered_ports)};
    state.channels = &channels;
    channels.on_listen(std::move(on_event));
    if (int error = listen_bpf__attach(state.skeleton)) return libbpf_error("attach", kObject, error);
    return programs;
}

void ListenPrograms::enable_holds(bool enabled) { state_->skeleton->bss->hold_enabled = enabled; }

void ListenPrograms::let_listen(const cg_listen_event& event) {
    bpf_map_update_elem(state_->unnamed, &event.tgid, &event.program, BPF_ANY);
}

void ListenPrograms::forget_unnamed() { ++state_->skeleton->bss->answers_round; }

Status ListenPrograms::add(uint64_t cookie, const cg_listener& listener) {
    if (bpf_map_update_elem(state_->listeners, &cookie, &listener, BPF_ANY))
        return Error::system("bpf_map_update_elem", "listeners", errno);
    return {};
}

bool ListenPrograms::update(uint64_t cookie, const cg_listener& listener) {
    return bpf_map_update_elem(state_->listeners, &cookie, &listener, BPF_EXIST) == 0;
}

namespace {

cg_connection key_of(const SocketAddress& client, const SocketAddress& server) {
    cg_connection key{};
    key.family = static_cast<uint16_t>(client.family());
    key.client_port = client.port();
    key.server_port = server.port();
    client.bytes(key.client);
    server.bytes(key.server);
    return key;
}

}  // namespace

void ListenPrograms::add_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server, const cg_peer& peer) {
    cg_connection key = key_of(client, server);
    key.netns = netns;
    (void)bpf_map_update_elem(state_->peers, &key, &peer, BPF_ANY);
}

std::optional<cg_peer> ListenPrograms::take_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server) const {
    cg_connection key = key_of(client, server);
    auto take = [&](uint32_t of_namespace) -> std::optional<cg_peer> {
        key.netns = of_namespace;
        cg_peer peer;
        if (bpf_map_lookup_and_delete_elem(state_->peers, &key, &peer)) return std::nullopt;
        return peer.tgid ? std::optional(peer) : std::nullopt;
    };
    auto near = take(netns);
    // A connection to a loopback address does not leave its namespace.
    if (server.is_loopback()) return near;
    auto far = take(0);
    return near ? near : far;
}

ListenPrograms::Maps ListenPrograms::maps() const { return state_->maps; }

}  // namespace callgate
