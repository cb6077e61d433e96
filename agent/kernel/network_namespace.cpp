#include "kernel/network_namespace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <optional>

#include "kernel/libbpf_error.h"
#include "kernel/local_ports.h"
#include "kernel/namespace_sockets.h"
#include "kernel/process_sockets.h"
#include "steer.skel.h"

namespace callgate {
namespace {

// Connections that wait for the agent's loop; the kernel limits it further (net.core.somaxconn).
constexpr int kBacklog = 65535;
// Ports that a connection to one server is tried from: others have it or had it a moment ago.
constexpr int kConnectTriesMax = 64;

// Of a socket that does not block: 0 where it is connected, or errno. On one host the handshake is over when
// the first call returns, though that cannot know it yet; the second one says so.
int begin_connection(int fd, const SocketAddress& server) {
    const auto connect = [&] { return ::connect(fd, server.raw(), server.raw_length()) ? errno : 0; };
    const int begun = connect();
    if (begun != EINPROGRESS) return begun;
    const int known = connect();
    return known == EALREADY ? EINPROGRESS : known;
}

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

int SteerProgram::attachment() const { return bpf_link__fd(skeleton_->steer->links.steer); }

struct NetworkNamespace::State {
    uint32_t inode = 0;
    std::unique_ptr<SteerProgram> program;
    std::unique_ptr<NamespaceSockets> sockets;
    std::optional<LocalPorts> ports;
    struct Listener {
        Fd socket;
        SocketAddress address;
    };
    Listener four, six, alive;
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
        setsockopt(listener.socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));  // inherited too
        set_blocking(listener.socket.get());
        SocketAddress at = SocketAddress::of(loopback);
        if (bind(listener.socket.get(), at.raw(), at.raw_length())) return Error::system("bind", at.text(), errno);
        if (listen(listener.socket.get(), kBacklog)) return Error::system("listen", at.text(), errno);
        auto bound = SocketAddress::local_of(listener.socket.get());
        if (!bound) return Error::system("getsockname", at.text(), errno);
        listener.address = *bound;
        return listener;
    }

    Status serve(uint32_t index, int family, Listener& listener) {
        listener = TRY(listen_on_loopback(family));
        return program->set_listener(index, listener.socket.get());
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
    state.ports.emplace(state.sockets->port_range(), state.sockets->reserved_ports());
    TRY_VOID(state.serve(0, AF_INET, state.four));
    (void)state.serve(1, AF_INET6, state.six);  // many containers have none
    TRY_VOID(state.serve(2, AF_INET, state.alive));
    TRY_VOID(state.program->attach(netns));
    return space;
}

uint32_t NetworkNamespace::inode() const { return state_->inode; }

int NetworkNamespace::listener(int family) const { return (family == AF_INET ? state_->four : state_->six).socket.get(); }

bool NetworkNamespace::is_ours(const SocketAddress& local) const {
    const SocketAddress& own = (local.family() == AF_INET ? state_->four : state_->six).address;
    return local.in_namespace(0) == own.in_namespace(0);
}

Result<UpstreamSocket> NetworkNamespace::connect(const SocketAddress& server) {
    LocalPorts::Choice choice = LocalPorts::Choice::in_turn;
    for (int tries = kConnectTriesMax; tries; --tries, choice = LocalPorts::Choice::fresh) {
        UpstreamSocket upstream;
        upstream.socket = TRY(state_->sockets->take(server.family()));
        const int fd = upstream.socket.get();
        cg_exempt key{};
        key.client_port = TRY(state_->ports->bind(fd, server, choice));
        key.server = server.in_namespace(state_->inode);
        uint8_t present = 1;
        if (bpf_map_update_elem(state_->program->maps().exempt, &key, &present, BPF_NOEXIST)) {
            if (errno == EEXIST) continue;  // a living connection's
            return Error::system("bpf_map_update_elem", "exempt", errno);
        }
        upstream.exemption = Exemption(state_->program->maps().exempt, key);
        int yes = 1, no = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        const int error = begin_connection(fd, server);
        ioctl(fd, FIONBIO, &no);  // the ring waits on descriptors that block
        upstream.connected = !error;
        if (!error || error == EINPROGRESS) return upstream;
        if (error != EADDRNOTAVAIL) return Error::system("connect", server.text(), error);
    }
    return Error::system("connect", server.text(), EADDRNOTAVAIL);
}

Result<std::vector<Fd>> NetworkNamespace::holding() const {
    std::vector<Fd> copies;
    for (const int fd : {state_->program->attachment(), listener(AF_INET), listener(AF_INET6)}) {
        if (fd < 0) continue;
        copies.push_back(Fd::adopt(fcntl(fd, F_DUPFD_CLOEXEC, 0)));
        if (!copies.back()) return Error::system("fcntl F_DUPFD_CLOEXEC", "steering", errno);
    }
    return copies;
}

}  // namespace callgate
