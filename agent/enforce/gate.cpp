// The client's direction.
#include "enforce/gate.h"

#include "base/clock.h"

namespace callgate {
namespace {

const GrantsInForce kNoGrants;

}  // namespace

Gate::Gate(GateOptions options, CounterTable& counters, AuditLog& audit, Outbox& to_server, Outbox& to_client)
    : options_(std::move(options)),
      audit_(audit),
      to_server_(to_server),
      to_client_(to_client),
      caller_{options_.grant, options_.session_id, options_.policy->name(), &options_.server, &options_.peer, {}, {},
              &annotations_},
      pins_(options_.pins ? SessionPins(*options_.pins, pin_server_key(options_.server)) : SessionPins()),
      grant_(options_.grants ? *options_.grants : kNoGrants, options_.grant, options_.peer),
      judge_(options_.policy, counters, options_.approvals),
      enforcing_(judge_.enforcing()),
      opening_(options_.start, options_.certain, options_.frame_bytes_max, options_.policy),
      client_framer_(options_.frame_bytes_max),
      server_framer_(size_t{1} << 40),
      counters_(counters) {
    caller_.approvals = judge_.approvals();
    pending_.charged_to(counters);
    grant_.apply_to(caller_);
    caller_.pins = &pins_;
}

// The client may have said another name, or grants.json may have changed.
void Gate::follow_grant() {
    const bool is_other = grant_.know_client(client_name_);
    grant_.apply_to(caller_);
    if (is_other && options_.describe) options_.audit_session = options_.describe(grant_.key());
}

const std::string& Gate::grant() {
    follow_grant();
    return grant_.key();
}

void Gate::use_policy(std::shared_ptr<const Policy> policy, std::shared_ptr<const AuditSession> audit_session) {
    options_.policy = std::move(policy);
    options_.audit_session = std::move(audit_session);
    caller_.server = options_.policy->name();
    judge_.use(options_.policy);
    opening_.use(options_.policy);
    enforcing_ = judge_.enforcing();
    caller_.approvals = judge_.approvals();
}

void Gate::client_bytes(std::string_view bytes) {
    counts_.client_bytes += bytes.size();
    read_ns_ = realtime_ns();
    arrived_ns_ = mark_ns_ = monotonic_ns();
    if (!opening_.decided()) {
        ++slow_changes_;
        size_t before = to_server_.size();
        opening_.feed(bytes, to_server_.text(), judge_from_opening_);
        counts_.foreign_bytes += to_server_.size() - before;
        client_framer_.feed(judge_from_opening_, client_lines_);
        std::string().swap(judge_from_opening_);
        return;
    }
    client_framer_.feed(bytes, client_lines_);
}

void Gate::client_end() {
    read_ns_ = realtime_ns();
    arrived_ns_ = mark_ns_ = monotonic_ns();
    if (!opening_.decided()) {
        ++slow_changes_;
        opening_.finish(to_server_.text(), judge_from_opening_);
        client_framer_.feed(judge_from_opening_, client_lines_);
    }
    std::string rest(client_framer_.rest());
    client_framer_.clear();
    if (!rest.empty()) client_line(rest);
    client_ended_ = true;
}

void Gate::client_line(std::string_view line) {
    int64_t start = mark_ns_;
    const Message& message = client_parser_.parse(line);
    if (message.refusal == Refusal::empty) {
        ++counts_.blank;
        return;
    }
    ++counts_.in;
    queue_ns_ = start - arrived_ns_;
    if (message.kind == MessageKind::invalid) {
        mark_ns_ = monotonic_ns();
        judge_ns_ = mark_ns_ - start;
        return refuse(line, message, message.refusal);
    }
    client_message(line, message);
    in_hand_ = nullptr;
}

void Gate::client_message(std::string_view line, const Message& message) {
    if (message.has_meta_protocol_version) modern_ = true;
    if (message.has_client_info) remember_client(message);
    follow_grant();
    int64_t start = mark_ns_;
    in_hand_ = &judge_.verdict();
    const Verdict& verdict = judge_.judge(message, caller_, pending_);
    mark_ns_ = monotonic_ns();
    judge_ns_ = mark_ns_ - start;
    bool asked = message.kind != MessageKind::response;
    if (!held_.empty() && message.kind == MessageKind::notification) cancel_held(message);
    if (verdict.action == Action::deny && enforcing_) {
        if (verdict.max_delay_ms > 0 && hold(line, message, verdict)) return;
        ++counts_.denied;
        write_record(message, line.size(), Decision::denied, &verdict);
        return deny(message, verdict);
    }
    Decision decision = CallJudge::decision_of_forwarded(message, verdict);
    forward(line, message, verdict, write_record(message, line.size(), decision, asked ? &verdict : nullptr));
}

// In revision 2026-07-28 each message says it anew.
void Gate::remember_client(const Message& message) {
    if (message.method != "initialize" && !message.has_meta_protocol_version) return;
    const std::string_view name = std::string_view(message.client_name).substr(0, kNameBytesMax);
    const std::string_view version = std::string_view(message.client_version).substr(0, kNameBytesMax);
    if (name == client_name_ && version == client_version_) return;
    ++slow_changes_;
    client_name_ = name;
    client_version_ = version;
    caller_.client_name = client_name_;
    caller_.client_version = client_version_;
}

void Gate::deny(const Message& message, const Verdict& verdict) {
    if (message.kind == MessageKind::request) judge_.append_denial(answers(), message, verdict, modern_);
}

void Gate::refuse(std::string_view line, const Message& message, Refusal refusal) {
    if (!enforcing_) {
        ++counts_.forwarded;
        write_record(message, line.size(), Decision::would_deny, nullptr);
        to_server_.append(line);
        return;
    }
    ++counts_.refused;
    write_record(message, line.size(), Decision::refused, nullptr);
    if (!message.id_token.empty()) append_refusal(answers(), message.id_token, refusal, message.refusal_offset);
}

void Gate::client_oversize(std::string_view head) {
    ++counts_.in;
    ++counts_.refused;
    Message message;
    message.refusal = Refusal::too_long;
    message.refusal_offset = static_cast<uint32_t>(head.size());
    write_record(message, head.size(), Decision::refused, nullptr);
}

void Gate::forward(std::string_view line, const Message& message, const Verdict& verdict, const RecordId& record) {
    ++counts_.forwarded;
    if (message.kind == MessageKind::request) {
        wait_for_answer(message, verdict, record);
    } else {
        in_hand_ = nullptr;
        judge_.release(verdict);
        if (!message.cancelled_id_key.empty()) pending_.cancel(message.cancelled_id_key);
    }
    send(client_framer_, line, to_server_);
}

void Gate::wait_for_answer(const Message& message, const Verdict& verdict, const RecordId& record) {
    pending_.add(message.id_key, CallJudge::pending_request(message, record, verdict, mark_ns_));
    in_hand_ = nullptr;
}

void Gate::give_up() {
    if (const Verdict* const verdict = std::exchange(in_hand_, nullptr)) judge_.give_back(*verdict);
    counts_.refused += counts_.in - (counts_.forwarded + counts_.denied + counts_.refused + counts_.held);
    counts_.server_denied += counts_.server_in - (counts_.server_forwarded + counts_.server_denied);
}

// A long line is handed over instead of being copied.
void Gate::send(LineFramer& framer, std::string_view line, Outbox& to) {
    if (line.size() > kReadBytes) {
        to.adopt(framer.take(line));
    } else {
        to.append(line);
    }
}

RecordId Gate::write_record(const Message& message, size_t bytes, Decision decision, const Verdict* verdict) {
    MessageRecord record;
    record.direction = Direction::client_to_server;
    record.message = &message;
    record.bytes = bytes;
    record.decision = decision;
    record.verdict = verdict;
    record.read_ns = read_ns_;
    record.queue_ns = queue_ns_;
    record.judge_ns = judge_ns_;
    return log(record);
}

RecordId Gate::log(MessageRecord record) {
    record.number = ++records_;
    return audit_.message(options_.audit_session, record);
}

void Gate::flush_unjudged() {
    ++slow_changes_;
    if (!opening_.decided()) {
        std::string judge;
        opening_.finish(to_server_.text(), judge);
        to_server_.append(judge);
    }
    to_server_.append(client_framer_.rest());
    client_framer_.clear();
    pass_server_fragment();
    send_answers_waiting();
}

void Gate::send_answers_waiting() {
    if (answers_waiting_.empty()) return;
    ++slow_changes_;
    to_client_.append(answers_waiting_);
    answers_waiting_.clear();
}

}  // namespace callgate
