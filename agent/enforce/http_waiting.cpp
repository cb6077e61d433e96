// A body that waits for room in a limit (on_exceed: delay), or for a human's decision (hold_ms): the request in hand is not
// answered, and nothing of it has gone to the server. Requests behind it on this connection wait too, as HTTP/1.1 wants; others
// do not.
#include <algorithm>

#include "base/clock.h"
#include "enforce/http_gate_state.h"
#include "jsonrpc/answer.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleCancelled = "(cancelled while it waited)";
constexpr std::string_view kReasonCancelled = "The client cancelled the call while it waited.";
constexpr std::string_view kRuleEnded = "(session ended while it waited)";
constexpr std::string_view kReasonEnded = "The connection ended while the call waited.";

}  // namespace

// After it was judged, and what it was charged given back. False where it has to be denied at once: something in it is
// denied for another reason, or there is no room in time. An array waits as a whole.
bool HttpGate::State::hold_judged_body(std::string_view text) {
    const Outcome* waits = nullptr;
    for (size_t i = 0; i < outcomes.size(); ++i) {
        const Outcome& outcome = outcomes[i];
        if (outcome.is_malformed || !outcome.disagreement.empty()) return false;
        if (outcome.verdict.action != Action::deny) continue;
        if (outcome.verdict.max_delay_ms == 0 || message_of(i).kind != MessageKind::request) return false;
        if (!waits) waits = &outcome;
    }
    HttpSession& session = *exchange.session;
    const bool fits = is_held || (session.held.size() < kDelayedCallsMax && session.held_bytes + text.size() <= kDelayedBytesMax);
    if (!waits || !may_wait || client_ended || session.ended || !fits) return false;
    const std::optional<int64_t> deadline_ns = is_held ? std::optional(held_deadline_ns) : std::nullopt;
    const std::optional<WaitTime> time = wait_time(waits->verdict, monotonic_ns(), deadline_ns);
    if (!time) return false;
    if (!std::exchange(is_held, true)) {
        held_size = text.size();
        held_deadline_ns = time->deadline_ns;
        held_read_ns = read_ns;
        held_arrived_ns = arrived_ns;
        session.held.push_back(&gate);
        session.held_bytes += held_size;
    }
    judge.counters().waiting().wait(waits->delay_key, held_body, time->due_ns, time->deadline_ns);
    return true;
}

void HttpGate::State::try_again(std::string_view key, int64_t now_ns) {
    if (exchange.session->ended) {
        drop_held(kRuleEnded, kReasonEnded);
        answer_refusal(404, kReasonEnded);
    } else {
        read_ns = held_read_ns;
        arrived_ns = held_arrived_ns;
        turn = key;
        const bool may_wait_later = std::exchange(may_wait, may_wait && now_ns < held_deadline_ns);
        judge_body(exchange.content());
        may_wait = may_wait_later;
        turn = {};
        if (is_held) return;
    }
    resume_client();
    if (gate.on_output) gate.on_output();
}

// Nobody gets an answer.
void HttpGate::State::drop_held(std::string_view rule, std::string_view reason) {
    leave_line();
    Verdict verdict;
    verdict.deny(kCodeDenied, rule, reason);
    read_ns = held_read_ns;
    queue_ns = monotonic_ns() - held_arrived_ns;
    judge_ns = 0;
    for (size_t i = 0; i < body.messages.size(); ++i) {
        const Message& message = message_of(i);
        count([](FrameCounts& books) { ++books.in, ++books.denied; });
        write_record(message, body.messages[i].size(), Decision::denied, &verdict);
    }
}

void HttpGate::State::leave_line() {
    if (!std::exchange(is_held, false)) return;
    judge.counters().waiting().leave(held_body);
    HttpSession& session = *exchange.session;
    std::erase(session.held, &gate);
    session.held_bytes -= held_size;
}

void HttpGate::State::end_waiting() {
    if (lines) {
        lines->gate.end_waiting();
        move_lines();
    }
    if (is_held) {
        const bool waits = std::exchange(may_wait, false);
        try_again({}, monotonic_ns());
        may_wait = waits;
    }
}

// What waits in an array waits with others, which were not cancelled.
bool HttpGate::State::cancel_held(std::string_view id_key) {
    if (!is_held || body.messages.size() != 1 || message_of(0).id_key != id_key) return false;
    drop_held(kRuleCancelled, kReasonCancelled);
    answer_accepted();
    resume_client();
    if (gate.on_output) gate.on_output();
    return true;
}

void HttpGate::State::cancel_elsewhere(const Message& notification) {
    if (notification.cancelled_id_key.empty()) return;
    exchange.session->pending.cancel(notification.cancelled_id_key);
    const std::vector<HttpGate*> held = exchange.session->held;
    (void)std::any_of(held.begin(), held.end(), [&](HttpGate* each) { return each->cancel_held(notification.cancelled_id_key); });
}

void HttpGate::end_waiting() {
    state_->may_wait = false;
    if (state_->lines) state_->end_waiting();
    if (!state_->is_held) return;
    state_->try_again({}, monotonic_ns());
}

void HttpGate::drop_held() {
    if (state_->lines) {
        state_->lines->gate.drop_held();
        state_->move_lines();
    }
    if (state_->is_held) state_->drop_held(kRuleEnded, kReasonEnded);
}

bool HttpGate::cancel_held(std::string_view id_key) { return state_->cancel_held(id_key); }

}  // namespace callgate
