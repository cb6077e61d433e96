#include "kernel/network_namespace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <deque>
#include <optional>

#include "kernel/libbpf_error.h"
#include "kernel/process_sockets.h"
#include "kernel/namespace_sockets.h"
#include "steer.skel.h"

namespace callgate {
namespace {

// Connections that wait for the agent's loop; the kernel limits it further (net.core.somaxconn).
constexpr int kBacklog = 65535;
// A port of a connection that has ended can be had again for the same server after a second (tcp_tw_reuse, ip-sysctl): so many
// are used in turn, fewer than net.ipv4.ip_local_port_range has.
constexpr size_t kPortsInTurn = 16384;
constexpr int kPortsTriedMax = 1024;

}  // namespace

Exemption& Exemption::operator=(Exemption&& other) noexcept {
    if (this != &other) {
        end();
        map_ = std::exchange(other.map_, -1);
        key_ = other.key_;
    }
    return *this;
}

void Exemption::end() {
    if (map_ >= 0) bpf_map_delete_elem(std::exchange(map_, -1), &key_);
}

struct SteerProgram::Skeleton {
    steer_bpf* const steer = steer_bpf__open();
    Skeleton() = default;
    Skeleton(const Skeleton&) = delete;
    Skeleton& operator=(const Skeleton&) = delete;
    ~Skeleton() {
        if (steer) steer_bpf__destroy(steer);
    }
};

SteerProgram::SteerProgram(const ListenPrograms::Maps& maps) : maps_(maps) {}
SteerProgram::~SteerProgram() = default;

Result<std::unique_ptr<SteerProgram>> SteerProgram::load(const ListenPrograms::Maps& maps) {
    collect_complaints();
    std::unique_ptr<SteerProgram> program(new SteerProgram(maps));
    program->skeleton_ = std::make_unique<Skeleton>();
    steer_bpf* steer = program->skeleton_->steer;
    if (!steer) return libbpf_error("open", "steer.bpf.o", -errno);
    int error = bpf_map__reuse_fd(steer->maps.steered, maps.steered);
    if (!error) error = bpf_map__reuse_fd(steer->maps.exempt, maps.exempt);
    if (!error) error = steer_bpf__load(steer);
    if (error) return libbpf_error("load", "steer.bpf.o", error);
    return program;
}

Status SteerProgram::set_listener(uint32_t index, int socket) {
    uint64_t fd = socket;
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->steer->maps.agent_listeners), &index, &fd, BPF_ANY))
        return Error::system("bpf_map_update_elem", "agent_listeners", errno);
    return {};
}

Status SteerProgram::attach(const Fd& netns) {
    steer_bpf* steer = skeleton_->steer;
    steer->bss->netns = namespace_inode(netns);
    steer->links.steer = bpf_program__attach_netns(steer->progs.steer, netns.get());
    if (!steer->links.steer) return libbpf_error("attach", "steer.bpf.o", -errno);
    return {};
}

struct NetworkNamespace::State {
    uint32_t inode = 0;
    std::unique_ptr<SteerProgram> program;
    std::unique_ptr<NamespaceSockets> sockets;
    struct Listener {
        Fd socket;
        SocketAddress address;
    };
    Listener four, six;
    // Ports that connections to servers have had, the oldest first. The agent ends such a connection before the server does, so
    // its port stays taken for a minute (TIME_WAIT, RFC 9293 section 3.6.1): bind() to "any" would find none left after some
    // 28,000 connections in that minute, whichever servers they went to. SO_REUSEPORT lets the same user, and nobody else, have
    // such a port again.
    std::deque<uint16_t> ports;

    bool is_exempt(const cg_exempt& key) const {
        uint8_t present = 0;
        return bpf_map_lookup_elem(program->maps().exempt, &key, &present) == 0;
    }

    // Binds to a port of the server's own address that no living connection to that server has.
    Result<uint16_t> bind_upstream(int fd, const SocketAddress& server) {
        int one = 1;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one))) return Error::system("setsockopt", "SO_REUSEPORT", errno);
        SocketAddress own = server.with_port(0);
        if (ports.size() < kPortsInTurn) {
            if (bind(fd, own.raw(), own.raw_length()) == 0) {
                auto bound = SocketAddress::local_of(fd);
                if (!bound) return Error::system("getsockname", own.text(), errno);
                ports.push_back(bound->port());
                return bound->port();
            }
            if (errno != EADDRINUSE) return Error::system("bind", own.text(), errno);
        }
        cg_exempt key{};
        key.server = server.in_namespace(inode);
        for (int tries = 0; tries < kPortsTriedMax && !ports.empty(); ++tries) {
            const uint16_t port = key.client_port = ports.front();
            ports.pop_front();
            ports.push_back(port);
            own = server.with_port(port);
            if (!is_exempt(key) && bind(fd, own.raw(), own.raw_length()) == 0) return port;
        }
        return Error::system("bind", own.text(), EADDRINUSE);
    }

    Result<Listener> listen_on_loopback(int family) {
        Listener listener;
        listener.socket = TRY(sockets->take(family));
        int one = 1;
        cg_address loopback{};
        loopback.family = static_cast<uint16_t>(family);
        if (family == AF_INET) {
            loopback.bytes[0] = 127;
            loopback.bytes[3] = 1;
        } else {
            loopback.bytes[15] = 1;
            setsockopt(listener.socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
        }
        // Connections that it accepts have the server's port, and inherit this: a server that starts again may bind its
        // port while they end, as it may while its own do.
        for (int reuse : {SO_REUSEADDR, SO_REUSEPORT}) setsockopt(listener.socket.get(), SOL_SOCKET, reuse, &one, sizeof(one));
        SocketAddress at = SocketAddress::of(loopback);
        if (bind(listener.socket.get(), at.raw(), at.raw_length())) return Error::system("bind", at.text(), errno);
        if (listen(listener.socket.get(), kBacklog)) return Error::system("listen", at.text(), errno);
        auto bound = SocketAddress::local_of(listener.socket.get());
        if (!bound) return Error::system("getsockname", at.text(), errno);
        listener.address = *bound;
        return listener;
    }

    Status serve(int family, Listener& listener) {
        listener = TRY(listen_on_loopback(family));
        return program->set_listener(family == AF_INET ? 0 : 1, listener.socket.get());
    }
};

NetworkNamespace::NetworkNamespace() : state_(std::make_unique<State>()) {}
NetworkNamespace::~NetworkNamespace() = default;

Result<std::shared_ptr<NetworkNamespace>> NetworkNamespace::open(Fd netns, std::unique_ptr<SteerProgram> program) {
    std::shared_ptr<NetworkNamespace> space(new NetworkNamespace());
    State& state = *space->state_;
    state.inode = namespace_inode(netns);
    state.program = std::move(program);
    state.sockets = std::make_unique<NamespaceSockets>(netns);
    TRY_VOID(state.serve(AF_INET, state.four));
    (void)state.serve(AF_INET6, state.six);  // many containers have none
    TRY_VOID(state.program->attach(netns));
    return space;
}

uint32_t NetworkNamespace::inode() const { return state_->inode; }

int NetworkNamespace::listener(int family) const {
    return (family == AF_INET ? state_->four : state_->six).socket.get();
}

bool NetworkNamespace::is_ours(const SocketAddress& local) const {
    const SocketAddress& own = (local.family() == AF_INET ? state_->four : state_->six).address;
    return local.in_namespace(0) == own.in_namespace(0);
}

Result<UpstreamSocket> NetworkNamespace::upstream_socket(const SocketAddress& server) {
    UpstreamSocket upstream;
    upstream.socket = TRY(state_->sockets->take(server.family()));
    int fd = upstream.socket.get(), one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    cg_exempt key{};
    key.client_port = TRY(state_->bind_upstream(fd, server));
    key.server = server.in_namespace(state_->inode);
    uint8_t present = 1;
    if (bpf_map_update_elem(state_->program->maps().exempt, &key, &present, BPF_ANY))
        return Error::system("bpf_map_update_elem", "exempt", errno);
    upstream.exemption = Exemption(state_->program->maps().exempt, key);
    return upstream;
}

}  // namespace callgate
