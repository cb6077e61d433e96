// The server's direction: everything passes but hidden tools and what `methods` deny; answers are matched to what they answer.
#include <algorithm>

#include "base/clock.h"
#include "enforce/gate.h"
#include "jsonrpc/id.h"

namespace callgate {
namespace {

// A longer first line of a server confirms nothing.
constexpr size_t kServerHeadMax = size_t{1} << 20;

}  // namespace

void Gate::server_bytes(std::string_view bytes) {
    counts_.server_bytes += bytes.size();
    read_ns_ = realtime_ns();
    if (!server_spoke_ && opening_.is_foreign() && !bytes.empty()) {
        ++slow_changes_;
        size_t end = bytes.find('\n');
        server_head_.append(bytes.substr(0, end == std::string_view::npos ? end : end + 1));
        if (end != std::string_view::npos || server_head_.size() > kServerHeadMax) {
            server_spoke_ = true;
            wants_release_ = opening_.server_confirms(server_head_);
            std::string().swap(server_head_);
        }
    }
    if (server_line_open_) {
        size_t end = bytes.find('\n');
        to_client_.append(bytes.substr(0, end == std::string_view::npos ? bytes.size() : end + 1));
        if (end == std::string_view::npos) return;
        bytes.remove_prefix(end + 1);
        server_line_open_ = false;
        send_answers_waiting();
    }
    server_framer_.feed(bytes, server_lines_);
    std::string_view rest = server_framer_.rest();
    if (rest.empty()) return;
    const bool is_too_long = rest.size() > kFrameBytesMax;
    if (rest.size() <= bytes.size()) server_blanks_ = 0;  // it began in these bytes
    server_blanks_ = std::min(rest.find_first_not_of(" \t\r", server_blanks_), rest.size());
    const bool may_be_message = server_blanks_ == rest.size() || rest[server_blanks_] == '{' || rest[server_blanks_] == '[';
    const bool may_be_list = may_be_message && pending_.has_list({});
    if (is_too_long) pending_.maybe_answered();
    if (is_too_long && may_be_list) note_unreadable_list();
    const bool is_judged = opening_.decided() && judge_.looks_into_unreadable(may_be_list);
    if (is_too_long && is_judged) return withhold_server_rest(may_be_list);
    // What has come of a line is kept only if it may be a message, or where every line is looked into.
    if (is_too_long || opening_.is_foreign() || !(may_be_message || is_judged)) pass_server_fragment();
}

// A line that is longer than what can be looked into does not reach the client, nor does what comes of it yet.
void Gate::withhold_server_rest(bool may_be_list) {
    const size_t bytes = server_framer_.rest().size();
    Message message;
    message.refusal = Refusal::too_long;
    message.refusal_offset = static_cast<uint32_t>(kFrameBytesMax);
    ++counts_.server_in;
    ++slow_changes_;
    if (may_be_list) {
        deny_list(message, bytes);
    } else {
        deny_server(message, judge_.unreadable(), bytes);
    }
    server_framer_.clear();
    server_framer_.skip_on(bytes);
}

// Sends on what has come of a line; answers of ours wait for its end.
void Gate::pass_server_fragment() {
    if (server_framer_.rest().empty()) return;
    to_client_.append(server_framer_.rest());
    server_framer_.clear();
    server_line_open_ = true;
}

void Gate::server_end() {
    std::string rest(server_framer_.rest());
    server_framer_.clear();
    if (!rest.empty()) server_line(rest);
    // A line that never ended must not swallow an answer of ours.
    if (server_line_open_ && !answers_waiting_.empty()) to_client_.append("\n");
    send_answers_waiting();
}

void Gate::server_line(std::string_view line) {
    if (!opening_.decided()) {
        to_client_.append(line);  // not known to be MCP: not ours to judge or to record
        return;
    }
    const Message& message = server_parser_.parse(line);
    if (message.kind == MessageKind::invalid) return server_refused(line, message);
    ++counts_.server_in;
    follow_grant();
    const bool is_response = message.kind == MessageKind::response;
    const Verdict* const verdict =
        is_response ? judge_.judge_input_requests(message, caller_) : judge_.judge_server(message, caller_);
    if (verdict && verdict->action == Action::deny && enforcing_) {
        if (is_response) return deny_response(message, message.id_key, *verdict, line.size());
        return deny_server(message, *verdict, line.size());
    }
    ++counts_.server_forwarded;
    const Decision decision = verdict ? CallJudge::decision_of_forwarded(message, *verdict) : Decision::passed;
    MessageRecord record = server_record(message, line.size(), decision, verdict);
    PendingRequest request;
    bool is_known = is_response && match_request(message, request, record);
    log(record);
    // A response to an unknown id may answer what was asked before the take-over, one to an id that is used twice the other one.
    const bool is_list = is_known && request.method_name() == "tools/list";
    const bool may_be_list = is_response && (!is_known || is_list || request.shares_id);
    if (may_be_list) {
        ++slow_changes_;
        judge_.learn(line, is_list && !message.is_error, learning());
    }
    if (may_be_list && send_filtered(line)) return;
    send(server_framer_, line, to_client_);
}

// Not a message for us. What a server prints reaches the client, and so does what only other readers read, unless it might be
// to them what the policy denies.
void Gate::server_refused(std::string_view line, const Message& refused) {
    const bool is_message = may_be_message(line, refused);
    const bool may_be_list = is_message && pending_.may_be_list(refused.id_key);
    if (may_be_list && pending_.has_list(refused.id_key)) note_unreadable_list();
    const CallJudge::Unreadable found = judge_.look_into_unreadable(line, refused, may_be_list);
    const bool is_harmless = found == CallJudge::Unreadable::harmless;
    if (!is_message && is_harmless) return to_client_.append(line);
    pending_.maybe_answered();
    ++counts_.server_in;
    follow_grant();
    if (found == CallJudge::Unreadable::list && enforcing_) return deny_list(refused, line.size());
    const Verdict* const verdict = is_harmless ? nullptr : &judge_.unreadable();
    if (verdict && enforcing_) return deny_server(refused, *verdict, line.size());
    ++counts_.server_forwarded;
    const Decision decision = verdict ? Decision::would_deny : Decision::passed;
    log(server_record(refused, line.size(), decision, verdict));
    if (may_be_list && send_filtered(line)) return;
    send(server_framer_, line, to_client_);
}

MessageRecord Gate::server_record(const Message& message, size_t bytes, Decision decision, const Verdict* verdict) const {
    MessageRecord record;
    record.direction = Direction::server_to_client;
    record.message = &message;
    record.bytes = bytes;
    record.decision = decision;
    record.verdict = verdict;
    record.read_ns = read_ns_;
    return record;
}

// What a server may not ask of its client it is told, between two lines of the client; the client never hears of it.
void Gate::deny_server(const Message& message, const Verdict& verdict, size_t bytes) {
    ++counts_.server_denied;
    log(server_record(message, bytes, Decision::denied, &verdict));
    if (client_ended_) return;
    const size_t before = to_server_.size();
    judge_.append_denial(to_server_.text(), message, verdict, modern_);
    told_server_bytes_ += to_server_.size() - before;
}

// Instead of it the client gets our answer to what it asked.
void Gate::deny_response(const Message& response, std::string_view id_key, const Verdict& verdict, size_t bytes) {
    ++counts_.server_denied;
    MessageRecord record = server_record(response, bytes, Decision::denied, &verdict);
    PendingRequest request;
    const bool is_known = !id_key.empty() && pending_.take(id_key, request);
    if (is_known) judge_.match(response, request, record);
    log(record);
    if (is_known) judge_.append_denial_of_response(answers(), id_of_key(id_key), request, verdict, modern_);
}

// Where its id cannot be read, it answers the only request for a list that there is. If there are several the client waits.
void Gate::deny_list(const Message& refused, size_t bytes) {
    const std::string id_key =
        pending_.has_list(refused.id_key) && !refused.id_key.empty() ? std::string(refused.id_key) : pending_.only_list();
    deny_response(refused, id_key, judge_.unreadable(), bytes);
}

void Gate::note_unreadable_list() {
    ++slow_changes_;
    judge_.note_unreadable_list(learning());
}

// Finds the request that this answers. One that failed has not used up its limits.
bool Gate::match_request(const Message& response, PendingRequest& request, MessageRecord& record) {
    if (response.id_key.empty() || !pending_.take(response.id_key, request)) return false;
    judge_.match(response, request, record);
    return true;
}

// True if `line` was a list with hidden tools in it, and has been sent without them.
bool Gate::send_filtered(std::string_view line) {
    if (!judge_.append_filtered(line, to_client_.text())) return false;
    ++counts_.lists_filtered;
    return true;
}

}  // namespace callgate
