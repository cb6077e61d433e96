#include "enforce/relay_session.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "base/clock.h"
#include "base/fault_point.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

// How long a hand-back waits for the rest of a line that has begun.
constexpr int64_t kLineNanoseconds = 200'000'000;
// And behind its time for what is under way to be cancelled.
constexpr int64_t kCancelNanoseconds = 2'000'000'000;

bool peer_has_hung_up(int fd) {
    pollfd poll{fd, 0, 0};
    return ::poll(&poll, 1, 0) == 1 && (poll.revents & (POLLHUP | POLLERR));
}

}  // namespace

RelaySession::RelaySession(Ring& ring, TakenEnds ends, GateOptions options, CounterTable& counters, AuditLog& audit,
                           Events events)
    : ring_(ring),
      audit_(audit),
      counters_(counters),
      input_is_socket_(ends.input_kind == ChannelKind::unix_socket),
      output_is_socket_(ends.output_kind == ChannelKind::unix_socket),
      events_(std::move(events)),
      client_source_(ring, std::move(ends.from_client), input_is_socket_,
                     {[this](std::string_view bytes) { client_bytes(bytes); }, [this] { client_ended(); },
                      [this] { return gate_.client_room(); }, [this] { ends_changed(); }, [this] { leave_ledger(); },
                      [this] { out_of_memory(); }}),
      server_source_(ring, std::move(ends.from_server), output_is_socket_,
                     {[this](std::string_view bytes) { server_bytes(bytes); }, [this] { server_ended(); },
                      [this] { return gate_.server_room(); }, [this] { ends_changed(); }, [this] { leave_ledger(); },
                      [this] { out_of_memory(); }}),
      server_sink_(ring, std::move(ends.to_server), input_is_socket_,
                   {[this] { pump(); }, [this] { reader_gone(client_source_); }, [this] { end_if_over(); },
                    [this] { ends_changed(); }, [this] { out_of_memory(); }},
                   Sink::Owner::agent),
      client_sink_(ring, std::move(ends.to_client), output_is_socket_,
                   {[this] { pump(); }, [this] { reader_gone(server_source_); }, [this] { end_if_over(); },
                    [this] { ends_changed(); }, [this] { out_of_memory(); }},
                   Sink::Owner::others),
      unread_(std::move(ends.unread)),
      gate_(std::move(options), counters, audit, server_sink_.pending(), client_sink_.pending()) {
    gate_.on_output = [this] { pump(); };
    gate_.on_no_memory = [this] { out_of_memory(); };
}

void RelaySession::begin_ledger(std::unique_ptr<SessionLedger> ledger) {
    use_ledger(std::move(ledger));
    if (!add_lines_begun()) return leave_ledger();
    commit();
    if (ledger_ && !ledger_->bytes().add(Ledger::kToServer, unread_)) leave_ledger();
}

// Of a session that was without one for a time: they have been seen, and are in the memory of this process alone.
bool RelaySession::add_lines_begun() {
    if (gate_.client_line_bytes() + gate_.server_line_bytes() == 0) return true;
    const GateState begun = gate_.save();
    Ledger& bytes = ledger_->bytes();
    return bytes.add(Ledger::kToServer, begun.client_rest) && bytes.add(Ledger::kToClient, begun.server_rest);
}

void RelaySession::use_ledger(std::unique_ptr<SessionLedger> ledger) {
    ledger_ = std::move(ledger);
    Ledger& bytes = ledger_->bytes();
    client_source_.use_ledger(bytes, Ledger::kToServer);
    server_sink_.use_ledger(bytes, Ledger::kToServer);
    server_source_.use_ledger(bytes, Ledger::kToClient);
    client_sink_.use_ledger(bytes, Ledger::kToClient);
    gate_.note_changes();
}

void RelaySession::or_fail(const auto& work) {
    try {
        work();
    } catch (const std::bad_alloc&) {
        out_of_memory();
    }
}

// Of what has come nothing can be said any more but that it went nowhere.
void RelaySession::out_of_memory() {
    out_of_memory_ = true;
    feeding_ = false;
    gate_.give_up();
    close();
}

void RelaySession::start() {
    const Turn turn(*this);
    or_fail([this] {
        server_sink_.watch_hangup();
        client_sink_.watch_hangup();
        feed_unseen();
        pump();
        end_if_over();
    });
}

void RelaySession::late_client_bytes(std::string_view bytes) {
    if (handed_over_) return;
    const Turn turn(*this);
    or_fail([&] {
        arrived_otherwise(bytes);
        pump();
    });
}

void RelaySession::arrived_otherwise(std::string_view bytes) {
    if (ledger_ && !ledger_->bytes().add(Ledger::kToServer, bytes)) leave_ledger();
    feed_client_bytes(bytes);
}

// What had come in before, and led to nothing that lasted.
void RelaySession::feed_unseen() {
    std::string from_client = std::exchange(unread_, {}), from_server;
    if (ledger_) {
        from_client = ledger_->bytes().unseen(Ledger::kToServer);
        from_server = ledger_->bytes().unseen(Ledger::kToClient);
    }
    feeding_ = true;
    if (!from_client.empty()) gate_.client_bytes(from_client);
    if (!from_server.empty()) gate_.server_bytes(from_server);
    feeding_ = false;
}

void RelaySession::feed_client_bytes(std::string_view bytes) {
    feeding_ = true;
    gate_.client_bytes(bytes);
    feeding_ = false;
}

void RelaySession::client_bytes(std::string_view bytes) {
    const Turn turn(*this);
    feed_client_bytes(bytes);
    pump();
}

void RelaySession::server_bytes(std::string_view bytes) {
    const Turn turn(*this);
    feeding_ = true;
    gate_.server_bytes(bytes);
    feeding_ = false;
    pump();
}

void RelaySession::ends_changed() {
    if (ledger_ && events_.ends_changed) events_.ends_changed(*this);
}

// What nobody reads any more is dropped, as without a ledger.
void RelaySession::commit() {
    if (!ledger_) return counters_.write_turn();
    for (Sink* sink : {&server_sink_, &client_sink_})
        if (!sink->open()) sink->pending().clear();
    const std::string_view charges = counters_.turn_text(Ledger::kEffectsBytesMax);
    if (!charges.empty()) fault_point("charged");
    if (!ledger_->commit(gate_, server_sink_.pending(), client_sink_.pending(), charges, goes_back_)) return leave_ledger();
    if (!charges.empty()) fault_point("charges committed");
    counters_.write_turn();
}

void RelaySession::leave_ledger() {
    server_sink_.leave_ledger();
    client_sink_.leave_ledger();
    client_source_.leave_ledger();
    server_source_.leave_ledger();
    if (events_.ledger_left) events_.ledger_left(*this);
    left_ledger_ = std::move(ledger_);
}

void RelaySession::pump() {
    if (ended_ || suspended_ || feeding_ || handed_over_) return;
    commit();
    server_sink_.flush();
    client_sink_.flush();
    if (ended_) return;
    if (client_at_end_ && !gate_.holds_calls()) {
        client_at_end_ = false;
        server_sink_.finish();
        end_if_over();
        if (ended_) return;
    }
    if (!quiescing_ || gate_.client_line_open()) client_must_wait() ? client_source_.pause() : client_source_.resume();
    server_must_wait() ? server_source_.pause() : server_source_.resume();
    if (gate_.wants_release() && !release_asked_) {
        release_asked_ = true;
        events_.wants_release(*this);
    }
}

bool RelaySession::client_must_wait() const {
    return server_sink_.pending_bytes() > kOutputBytesHigh || client_sink_.pending_bytes() > kOutputBytesHigh ||
           gate_.answers_waiting_bytes() > kOutputBytesHigh;
}

// It does not wait for room in its own input, but where what fills that is what we told it: it might have to write before it
// reads on.
bool RelaySession::server_must_wait() {
    if (server_sink_.pending_bytes() == 0) told_and_written_ = gate_.told_server_bytes();
    return client_sink_.pending_bytes() > kOutputBytesHigh || gate_.told_server_bytes() - told_and_written_ > kOutputBytesHigh;
}

void RelaySession::client_ended() {
    const Turn turn(*this);
    gate_.client_end();
    client_at_end_ = true;
    pump();
    end_if_over();
}

void RelaySession::server_ended() {
    const Turn turn(*this);
    gate_.server_end();
    commit();
    // A server that has gone closes; one that only says "no more" shuts down, and so does what it had before.
    if (output_is_socket_ && peer_has_hung_up(server_source_.fd())) client_sink_.end_by_closing();
    client_sink_.finish();
    end_if_over();
}

// What waits for it reaches nobody.
void RelaySession::reader_gone(Source& writer) {
    if (handed_over_) return;
    gate_.drop_held();
    writer.close();
    end_if_over();
}

void RelaySession::end_if_over() {
    if (ended_ || handed_over_ || suspended_) return;
    bool from_client_over = !client_source_.open();
    bool from_server_over = !server_source_.open();
    bool to_client_over = !client_sink_.open() || (from_server_over && client_sink_.pending_bytes() == 0);
    bool to_server_over = !server_sink_.open() || (from_client_over && !gate_.holds_calls() && server_sink_.pending_bytes() == 0);
    if (from_client_over && from_server_over && to_client_over && to_server_over) close();
}

// Before anything says that the session is gone: who goes on with it after a kill would give the same back again.
void RelaySession::give_back_unanswered() {
    if (handed_over_) return;
    try {
        gate_.session_ended();
        if (!out_of_memory_) commit();
    } catch (const std::bad_alloc&) {
        out_of_memory_ = true;
    }
}

void RelaySession::close() {
    const Turn turn(*this);
    if (!std::exchange(ended_, true)) {
        *alive_ = false;
        give_back_unanswered();
        client_source_.close();
        server_source_.close();
        server_sink_.close();
        client_sink_.close();
    }
    if (end_told_) return;
    gate_.drop_held();
    end_told_ = true;
    events_.ended(*this);
}

void RelaySession::close_behind_output() {
    const Turn turn(*this);
    or_fail([this] {
        server_sink_.flush();
        client_sink_.flush();
    });
    close();
}

std::string RelaySession::failure() const {
    if (out_of_memory_) return "the agent's memory ran out";
    const std::pair<int, const char*> all[] = {{client_source_.error(), "reading from the client"},
                                               {server_sink_.error(), "writing to the server"},
                                               {server_source_.error(), "reading from the server"},
                                               {client_sink_.error(), "writing to the client"}};
    for (const auto& [error, what] : all)
        if (error != 0 && error != EPIPE && error != ECONNRESET) return std::string(what) + ": " + strerror(error);
    return {};
}

void RelaySession::suspend() {
    if (ended_ || handed_over_) return;
    suspended_ = true;
    quiesced_ = nullptr;
    client_source_.stop();
    server_source_.stop();
    server_sink_.suspend();
    client_sink_.suspend();
}

bool RelaySession::rests_in_ledger() {
    commit();
    return ledger_ != nullptr;
}

RelayState RelaySession::leave() {
    RelayState state;
    state.gate = gate_.save();
    state.to_server = server_sink_.unwritten();
    state.to_client = client_sink_.unwritten();
    state.ends.input_kind = input_is_socket_ ? ChannelKind::unix_socket : ChannelKind::pipe;
    state.ends.output_kind = output_is_socket_ ? ChannelKind::unix_socket : ChannelKind::pipe;
    state.ends.from_client = client_source_.take_fd();
    state.ends.to_server = server_sink_.take_fd();
    state.ends.from_server = server_source_.take_fd();
    state.ends.to_client = client_sink_.take_fd();
    ended_ = true;
    *alive_ = false;
    return state;
}

bool RelaySession::restore(RelayState state) {
    if (!gate_.restore(std::move(state.gate))) return false;
    if (state.ledger) {
        use_ledger(std::move(state.ledger));
        ledger_->go_on_with(gate_);
    }
    server_sink_.pending().append(state.to_server);
    client_sink_.pending().append(state.to_client);
    return true;
}

size_t unread_behind(int fd, bool is_socket) {
    int count = 0;
    if (fd < 0 || ioctl(fd, is_socket ? SIOCOUTQ : FIONREAD, &count)) return 0;
    return count;
}

size_t RelaySession::unread_by_server() const {
    return server_sink_.pending_bytes() + unread_behind(server_sink_.fd(), input_is_socket_);
}

Result<Unwritten> RelaySession::unwritten_to_client() const {
    if (client_sink_.pending_bytes() == 0) return Unwritten{};
    if (client_sink_.idle()) return Unwritten{client_sink_.unwritten()};
    return Error::refused("hand-back", "of " + std::to_string(client_sink_.pending_bytes()) +
                                           " bytes of the server's output it is not known whether they have reached the client");
}

bool RelaySession::output_delivered() const {
    if (client_sink_.fd() < 0) return true;
    if (!server_source_.open() || client_sink_.pending_bytes()) return false;
    pollfd poll{server_source_.fd(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 0;
}

void RelaySession::quiesce(std::chrono::milliseconds patience, std::function<void(bool)> ready) {
    if (ended_ || quiescing_ || suspended_) return;
    quiescing_ = true;
    fault_point("hand-back asked for");
    gate_.end_waiting();
    if (ended_) return;
    quiesced_ = std::move(ready);
    int64_t now = monotonic_ns();
    patience_ns_ = std::chrono::nanoseconds(patience).count();
    quiesce_deadline_ns_ = now + patience_ns_;
    line_deadline_ns_ = now + kLineNanoseconds;
    quiesce_step();
}

bool RelaySession::release_waits() {
    if (hurries_ || !gate_.wants_release() || !gate_.client_line_open()) return false;
    return client_source_.open() || client_source_.go_on();
}

void RelaySession::quiesce_step() {
    if (ended_ || suspended_) return;
    int64_t now = monotonic_ns();
    if (release_waits()) {
        quiesce_deadline_ns_ = now + patience_ns_;
        return quiesce_on();
    }
    if (client_source_.open() && (!gate_.client_line_open() || now > line_deadline_ns_)) client_source_.stop();
    bool client_stopped = !client_source_.open() && client_source_.idle();
    if (client_stopped) {
        goes_back_ = true;
        gate_.flush_unjudged();
        commit();
        fault_point("goes back");
        server_sink_.flush();
        client_sink_.flush();
        if (ended_) return;
    }
    bool server_has_all = client_stopped && server_sink_.pending_bytes() == 0 && unread_by_server() == 0;
    if (server_has_all && server_source_.open()) server_source_.stop();
    bool drained = server_has_all && server_source_.idle() && client_sink_.pending_bytes() == 0;
    if (drained || now > quiesce_deadline_ns_) {
        server_source_.stop();
        if (!server_source_.idle() && now < quiesce_deadline_ns_ + 1'000'000'000) {
            // its read is being cancelled: one more turn
        } else {
            goes_back_ = true;
            gate_.flush_unjudged();
            commit();
            handed_over_ = true;
            server_sink_.suspend();
            client_sink_.suspend();
            return tell_quiet(drained);
        }
    }
    quiesce_on();
}

void RelaySession::quiesce_on() {
    ring_.after(1ms, [this, alive = alive_] {
        if (*alive) or_fail([this] { quiesce_step(); });
    });
}

// How much has been written is known when the last write has ended: it is being cancelled.
void RelaySession::tell_quiet(bool drained) {
    const auto is_known = [](const Sink& sink) { return sink.pending_bytes() == 0 || sink.idle(); };
    if ((!is_known(server_sink_) || !is_known(client_sink_)) && monotonic_ns() < quiesce_deadline_ns_ + kCancelNanoseconds) {
        ring_.after(1ms, [this, drained, alive = alive_] {
            if (*alive) or_fail([&] { tell_quiet(drained); });
        });
        return;
    }
    fault_point("quiet");
    std::exchange(quiesced_, nullptr)(drained);
}

}  // namespace callgate
