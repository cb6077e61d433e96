// The connection's part in a planned restart. The sockets say themselves who has ended, and what is shut down.
#include "enforce/http_connection.h"

namespace callgate {

void HttpConnection::suspend() {
    if (ended_already_ || suspended_) return;
    suspended_ = true;
    if (connect_in_flight_) ring_.cancel(&connecting_);
    client_source_.stop();
    server_source_.stop();
    client_sink_.suspend();
    server_sink_.suspend();
}

std::string_view HttpConnection::why_not_to_leave() const {
    if (!idle()) return "what was being read or written did not end";
    if (state_ == Server::connecting) return "its server had not accepted it yet";
    return {};
}

SavedHttpConnection HttpConnection::leave() {
    SavedHttpConnection saved;
    saved.to_server = server_sink_.unwritten();
    saved.to_client = client_sink_.unwritten();
    saved.client = client_sink_.take_fd();
    if (state_ == Server::connected) saved.server = server_sink_.fd() >= 0 ? server_sink_.take_fd() : server_source_.take_fd();
    saved.exempt = exempt_;
    saved.replacement = replacement_;
    saved.client_spoke = client_spoke_;
    saved.lingers = lingering_;
    if (gate_) {
        saved.policy = gate_->policy().name();
        saved.facts = gate_->facts();
        saved.http_only = gate_->http_only();
        gate_->on_output = {};
        saved.gate = gate_->leave();
    }
    exemption_.end();
    ended_already_ = true;
    alive_.reset();
    return saved;
}

bool HttpConnection::restore(SavedHttpConnection saved) {
    exempt_ = saved.exempt;
    replacement_ = saved.replacement;
    client_spoke_ = saved.client_spoke;
    lingering_ = saved.lingers;
    state_ = server_sink_.fd() >= 0 ? Server::connected : Server::over;
    if (gate_.has_value() != saved.gate.has_value() || client_sink_.fd() < 0) return false;
    if (gate_ && !gate_->restore(std::move(*saved.gate))) return false;
    server_sink_.pending().append(saved.to_server);
    client_sink_.pending().append(saved.to_client);
    return true;
}

void HttpConnection::go_on() {
    if (ended_already_) return;
    const bool lingered = std::exchange(lingering_, false);
    lingered ? close_client_gently() : pump();
}

}  // namespace callgate
