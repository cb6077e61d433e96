#include "enforce/http_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace callgate {
namespace {

// How often it is looked whether a client has everything that it was sent, before its connection is closed.
constexpr std::chrono::milliseconds kAcknowledgeInterval{2};

Fd duplicate(const Fd& fd) { return Fd::adopt(fd ? fcntl(fd.get(), F_DUPFD_CLOEXEC, 0) : -1); }

// After an end of file a socket can still be written to; after a reset it is closed already. AF_UNIX has no resets.
bool was_reset(int fd) {
    tcp_info info{};
    socklen_t length = sizeof(info);
    if (fd < 0) return true;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length)) return errno != EOPNOTSUPP;
    return info.tcpi_state == TCP_CLOSE;
}

// Its close will be a reset.
void make_abortive(int fd) {
    linger at_once{1, 0};
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

}  // namespace

HttpConnection::HttpConnection(Ring& ring, Ends ends, std::optional<HttpGateOptions> options, HttpSessions& sessions,
                               CounterTable& counters, AuditLog& audit, Ended ended)
    : ring_(ring),
      exemption_(std::move(ends.upstream.exemption)),
      exempt_(exemption_.key()),
      replacement_(ends.replacement),
      connected_(ends.upstream.connected),
      unread_(std::move(ends.unread)),
      ended_(std::move(ended)),
      client_source_(ring, duplicate(ends.client), true,
                     {.bytes = [this](std::string_view bytes) { client_bytes(bytes); },
                      .end = [this] { client_ended(); },
                      .failed = [this] { out_of_memory(); }}),
      server_source_(ring, duplicate(ends.upstream.socket), true,
                     {.bytes = [this](std::string_view bytes) { server_bytes(bytes); },
                      .end = [this] { server_ended(); },
                      .failed = [this] { out_of_memory(); }}),
      server_sink_(ring, std::move(ends.upstream.socket), true,
                   {.written = [this] { pump(); },
                    .gone = [this] { server_gone(); },
                    .finished = [this] { end_if_over(); },
                    .failed = [this] { out_of_memory(); }},
                   Sink::Owner::others),
      client_sink_(ring, std::move(ends.client), true,
                   {.written = [this] { pump(); },
                    .gone = [this] { reset(); },
                    .finished = [this] { end_if_over(); },
                    .failed = [this] { out_of_memory(); }},
                   Sink::Owner::others) {
    if (!options) return;
    on_blind_ = options->policy->on_blind();
    gate_.emplace(std::move(*options), sessions, counters, audit, server_sink_.pending().text(), client_sink_.pending().text());
    gate_->on_output = [this] { pump(); };
}

bool HttpConnection::idle() const {
    return !connect_in_flight_ && client_source_.idle() && server_source_.idle() && client_sink_.idle() && server_sink_.idle();
}

void HttpConnection::start() {
    if (server_sink_.fd() < 0) {
        connected(-ENOTCONN);
        return;
    }
    state_ = connected_ ? Server::connected : Server::connecting;
    connect_in_flight_ = !connected_;
    if (!connected_) ring_.poll_writable(server_sink_.fd(), &connecting_);
    if (!unread_.empty()) client_bytes(std::exchange(unread_, {}));
    pump();
}

void HttpConnection::connection_made(int result) {
    int error = 0;
    socklen_t length = sizeof(error);
    if (result >= 0) getsockopt(server_sink_.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    connected(result < 0 ? result : -error);
}

void HttpConnection::connected(int result) {
    connect_in_flight_ = false;
    if (ended_already_ || suspended_) return;
    if (result == 0) {
        state_ = Server::connected;
        return pump();
    }
    state_ = Server::over;
    exemption_.end();
    server_source_.close();
    server_sink_.close();
    // A client that has asked for nothing yet sees what it would have seen without us, a moment later.
    if (!gate_ || (gate_->is_quiet() && !client_spoke_)) return reset();
    gate_->server_failed();
    pump();
}

void HttpConnection::client_bytes(std::string_view bytes) {
    if (lingering_ || ended_already_) return;
    client_spoke_ = true;
    if (gate_) {
        gate_->client_bytes(bytes);
    } else {
        server_sink_.pending().append(bytes);
    }
    pump();
}

void HttpConnection::server_bytes(std::string_view bytes) {
    if (lingering_ || ended_already_) return;
    if (gate_) {
        gate_->server_bytes(bytes);
    } else {
        client_sink_.pending().append(bytes);
    }
    pump();
}

void HttpConnection::client_ended() {
    if (lingering_) return close();
    if (was_reset(client_source_.fd())) return reset();
    if (gate_) gate_->client_end();
    pump();
    end_if_over();
}

void HttpConnection::server_ended() {
    server_reset_ = was_reset(server_source_.fd());
    if (gate_) gate_->server_end();
    // HTTP is over when the server has ended; in a tunnel it may still listen.
    half_open_tunnel_ = gate_ && !gate_->tunnel_reason().empty();
    pump();
    end_if_over();
}

// It does not read any more; what it has said before still goes to the client.
void HttpConnection::server_gone() { pump(); }

void HttpConnection::pump() {
    if (pumping_) {
        pump_again_ = true;
        return;
    }
    if (suspended_) return;
    pumping_ = true;
    do {
        pump_again_ = false;
        if (!ended_already_) pump_once();
    } while (pump_again_);
    pumping_ = false;
}

void HttpConnection::pump_once() {
    if (gate_ && !lingering_) obey_gate();
    if (ended_already_) return;
    client_sink_.flush();
    if (state_ == Server::connected) server_sink_.flush();
    if (ended_already_) return;
    if (lingering_) return client_source_.resume();
    choose_readers();

    bool server_over = state_ == Server::over || (state_ == Server::connected && !server_source_.open());
    bool all_said = client_sink_.pending_bytes() == 0;
    if (server_reset_ && all_said) return reset();
    bool client_over = !client_source_.open();
    bool server_has_all = state_ == Server::connected && server_sink_.pending_bytes() == 0;
    bool passes = !gate_ || half_open_tunnel_;
    const bool is_over = (passes && server_over && client_over) || (gate_ && gate_->close_client());
    if (all_said && is_over) return close_client_gently();
    if (server_has_all && (passes ? client_over : gate_->ends_server())) server_sink_.finish();
    if (!all_said) return;
    if (passes && server_over) client_sink_.finish();
    if (draining_ && is_quiet()) {
        close_client_gently();
        close_when_all_has_arrived();
    }
}

void HttpConnection::choose_readers() {
    bool to_client_full = client_sink_.pending_bytes() > kOutputBytesHigh;
    bool to_server_full = server_sink_.pending_bytes() > kOutputBytesHigh;
    bool client_wanted = !gate_ || gate_->wants_client();
    if (client_wanted && !to_server_full && !to_client_full) {
        client_source_.resume();
    } else {
        client_source_.pause();
        // It may go away meanwhile, which nothing else would tell.
        client_sink_.watch_hangup();
    }
    if (state_ != Server::connected) return;
    // It may have to write before it reads on, but for what fills its input because of what it writes.
    const uint64_t told = gate_ ? gate_->told_server_bytes() : 0;
    if (server_sink_.pending_bytes() == 0) told_and_written_ = told;
    const bool must_wait = to_client_full || told > told_and_written_ + kOutputBytesHigh;
    must_wait ? server_source_.pause() : server_source_.resume();
}

void HttpConnection::obey_gate() {
    if (gate_->blind_reason().empty() || !gate_->tunnel_reason().empty()) return;
    on_blind_ == OnBlind::allow ? gate_->pass_blind() : reset();
}

// Nobody waits for an answer, and no request is on its way as far as one can see.
bool HttpConnection::is_quiet() const {
    int unread = 0;
    return gate_ && gate_->is_quiet() && server_sink_.pending_bytes() == 0 && (client_spoke_ || drain_is_old_) &&
           ioctl(client_source_.fd(), FIONREAD, &unread) == 0 && unread == 0;
}

// A close while the client's bytes are unread would reset the connection, and the client might lose its answer: it is
// given time to read it and to close.
void HttpConnection::close_client_gently() {
    if (lingering_) return;
    lingering_ = true;
    exemption_.end();
    server_source_.close();
    server_sink_.close();
    state_ = Server::over;
    if (!client_source_.open()) return close();
    client_sink_.finish();
    client_source_.resume();
    ring_.after(kHttpLinger, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) close();
    });
}

// Between two exchanges nothing is worth waiting for but what the client has been sent.
void HttpConnection::close_when_all_has_arrived() {
    if (ended_already_) return;
    int unacknowledged = 0;
    if (ioctl(client_sink_.fd(), SIOCOUTQ, &unacknowledged) || unacknowledged == 0) return close();
    ring_.after(kAcknowledgeInterval, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) close_when_all_has_arrived();
    });
}

void HttpConnection::drain() {
    draining_ = true;
    if (gate_) gate_->end_waiting();
    pump();
    if (ended_already_ || client_spoke_) return;
    ring_.after(kHttpLinger, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        drain_is_old_ = true;
        pump();
    });
}

void HttpConnection::use_policy(std::shared_ptr<const Policy> policy) {
    if (!gate_) return;
    on_blind_ = policy->on_blind();
    gate_->use_policy(std::move(policy));
}

void HttpConnection::reset() {
    make_abortive(client_sink_.fd());
    make_abortive(server_sink_.fd());
    close();
}

// Of what was in hand nothing can be said any more.
void HttpConnection::out_of_memory() {
    if (gate_) gate_->give_up();
    reset();
}

void HttpConnection::end_if_over() {
    if (ended_already_ || lingering_ || suspended_) return;
    bool client_over = !client_source_.open(), server_over = state_ == Server::over || !server_source_.open();
    if (client_over && server_over && client_sink_.pending_bytes() == 0) close();
}

void HttpConnection::close() {
    if (ended_already_) return;
    ended_already_ = true;
    alive_.reset();
    if (gate_) {
        gate_->on_output = {};
        gate_->drop_held();
    }
    exemption_.end();
    if (connect_in_flight_) ring_.cancel(&connecting_);
    client_source_.close();
    server_source_.close();
    server_sink_.close();
    client_sink_.close();
    ended_(*this);
}

}  // namespace callgate
