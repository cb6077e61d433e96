// Calls that wait for room in a counter (on_exceed: delay), or for a human's decision (hold_ms). Until then they are counted as
// held, and have no record.
#include <algorithm>

#include "base/clock.h"
#include "enforce/gate.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleCancelled = "(cancelled while it waited)";
constexpr std::string_view kReasonCancelled = "The client cancelled the call while it waited.";
constexpr std::string_view kRuleEnded = "(session ended while it waited)";
constexpr std::string_view kReasonEnded = "The session ended while the call waited.";

}  // namespace

// False where it has to be denied at once. A notification cannot be cancelled, so it does not wait.
bool Gate::hold(std::string_view line, const Message& message, const Verdict& verdict) {
    const bool fits = held_.size() < kDelayedCallsMax && held_bytes_ + line.size() <= kDelayedBytesMax;
    if (message.kind != MessageKind::request || !may_wait_ || !fits) return false;
    const std::optional<WaitTime> time = wait_time(verdict, monotonic_ns(), std::nullopt);
    if (!time) return false;
    auto made = std::make_unique<HeldCall>(*this);
    HeldCall& call = *made;
    call.line = line;
    call.id_key = message.id_key;
    call.read_ns = read_ns_;
    call.arrived_ns = arrived_ns_;
    held_.push_back(std::move(made));
    held_bytes_ += line.size();
    ++slow_changes_;
    ++counts_.held;
    counters_.waiting().wait(verdict.delay_key, call, time->due_ns, time->deadline_ns);
    return true;
}

// Called by other sessions' calls, too: what runs out here ends this session, and not theirs.
void Gate::HeldCall::turn(std::string_view key, int64_t now_ns) {
    Gate& owner = gate;
    try {
        owner.try_again(*this, key, now_ns);
    } catch (const std::bad_alloc&) {
        if (!owner.on_no_memory) throw;
        owner.on_no_memory();
    }
}

void Gate::try_again(HeldCall& call, std::string_view key, int64_t now_ns) {
    const AuditLog::Turn turn(audit_);
    std::optional<CounterTable::Turn> charges;
    if (pending_.makes_notes()) charges.emplace(counters_);  // else nobody commits before the call goes on
    const Message& message = held_parser_.parse(call.line);
    if (message.has_client_info) remember_client(message);
    follow_grant();
    caller_.turn = key;
    const int64_t start = monotonic_ns();
    in_hand_ = &judge_.verdict();
    const Verdict& verdict = judge_.judge(message, caller_, pending_);
    mark_ns_ = monotonic_ns();
    caller_.turn = {};
    const bool is_denied = verdict.action == Action::deny && enforcing_;
    if (is_denied) in_hand_ = nullptr;
    if (is_denied && verdict.max_delay_ms > 0 && may_wait_) {
        const std::optional<WaitTime> time = wait_time(verdict, now_ns, call.deadline_ns());
        if (time) return counters_.waiting().wait(verdict.delay_key, call, time->due_ns, time->deadline_ns);
    }
    read_ns_ = call.read_ns;
    queue_ns_ = start - call.arrived_ns;
    judge_ns_ = mark_ns_ - start;
    std::unique_ptr<HeldCall> gone = take_out(call);
    if (is_denied) {
        ++counts_.denied;
        write_record(message, call.line.size(), Decision::denied, &verdict);
        deny(message, verdict);
    } else {
        ++counts_.forwarded;
        const Decision decision = CallJudge::decision_of_forwarded(message, verdict);
        const RecordId record = write_record(message, call.line.size(), decision, &verdict);
        wait_for_answer(message, verdict, record);
        to_server_.append(call.line);
    }
    gone.reset();
    if (on_output) on_output();
}

// It is held no more.
std::unique_ptr<Gate::HeldCall> Gate::take_out(HeldCall& call) {
    ++slow_changes_;
    --counts_.held;
    held_bytes_ -= call.line.size();
    const auto place = std::find_if(held_.begin(), held_.end(), [&](const auto& each) { return each.get() == &call; });
    std::unique_ptr<HeldCall> taken = std::move(*place);
    held_.erase(place);
    return taken;
}

void Gate::drop(HeldCall& call, std::string_view rule, std::string_view reason) {
    const Message& message = held_parser_.parse(call.line);
    Verdict verdict;
    verdict.deny(kCodeDenied, rule, reason);
    read_ns_ = call.read_ns;
    queue_ns_ = monotonic_ns() - call.arrived_ns;
    judge_ns_ = 0;
    const std::unique_ptr<HeldCall> gone = take_out(call);
    ++counts_.denied;
    write_record(message, gone->line.size(), Decision::denied, &verdict);
}

// The server has not seen what is cancelled, and will not. The notification goes on: it may mean another call of that id.
void Gate::cancel_held(const Message& notification) {
    if (notification.cancelled_id_key.empty()) return;
    const int64_t read_ns = read_ns_, queue_ns = queue_ns_, judge_ns = judge_ns_;
    const auto found =
        std::find_if(held_.begin(), held_.end(), [&](const auto& call) { return call->id_key == notification.cancelled_id_key; });
    if (found != held_.end()) drop(**found, kRuleCancelled, kReasonCancelled);
    read_ns_ = read_ns;
    queue_ns_ = queue_ns;
    judge_ns_ = judge_ns;
}

void Gate::drop_held() {
    may_wait_ = false;
    while (!held_.empty()) drop(*held_.front(), kRuleEnded, kReasonEnded);
}

void Gate::end_waiting() {
    may_wait_ = false;
    while (!held_.empty()) try_again(*held_.front(), {}, monotonic_ns());
}

}  // namespace callgate
