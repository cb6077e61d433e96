#include "replay/replay.h"

#include <algorithm>

#include "policy/server_match.h"
#include "policy/store.h"

namespace callgate {
namespace {

constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;
// As the relay calls what is denied because of another message of its array.
constexpr std::string_view kRuleBatch = "(batch)";

std::string subject_of(const AuditRecord& record, const Message& message) {
    if (record.call.method == "tools/call") return record.call.name;
    const std::string_view named = !message.name.empty() ? message.name : message.uri;
    return named.empty() ? record.call.method : record.call.method + " " + std::string(named);
}

CallEnd end_of(const std::string& outcome) {
    if (outcome == "error") return CallEnd::error;
    return outcome == "tool_error" ? CallEnd::tool_error : CallEnd::done;
}

}  // namespace

void Replay::take(AuditRecord record) {
    if (!array_.empty() && !belongs_to_array(record)) judge_array();
    report_.lost += record.lost;
    if (record.type == "session_start") clients_.try_emplace(record.session);
    if (record.type == "session_end") end_session(record.session);
    if (record.type != "message") return;
    if (!record.answers.empty()) settle(record.answers, end_of(record.outcome));
    if (record.is_refused) ++report_.refused;
    if (!record.is_asked) return;
    remember_client(record);
    if (!governs(record)) {
        ++report_.other_servers;
        return;
    }
    array_.push_back(std::move(record));
}

const ReplayReport& Replay::finish() {
    judge_array();
    return report_;
}

bool Replay::governs(const AuditRecord& record) const {
    const ServerMatch& match = policy_->match();
    if (scope_.any_server || match.empty() || record.policy == policy_->name()) return true;
    // Neither the program's hash nor the path of a request is recorded.
    ServerMatch recorded = match;
    recorded.path.clear();
    const ServerIdentity& server = record.call.server;
    const bool has_image = match.image.empty() || image_matches(match.image, server.image.value_or(""));
    return match.exe_sha256.empty() && has_image && matches_without_files(recorded, server);
}

// What came in one read shares its time; over HTTP that is one body.
bool Replay::belongs_to_array(const AuditRecord& record) const {
    const AuditRecord& first = array_.front();
    return record.type == "message" && record.is_asked && record.transport == "http" && !record.call.from_server &&
           !first.call.from_server && record.time_ns == first.time_ns && record.session == first.session;
}

void Replay::remember_client(AuditRecord& record) {
    if (record.says_client) {
        clients_[record.session] = {record.call.client_name, record.call.client_version};
        return;
    }
    // Earlier agents did not record who the client is.
    if (record.call.method == "initialize") clients_.erase(record.session);
    const auto known = clients_.find(record.session);
    record.facts.has_client = known != clients_.end();
    if (known == clients_.end()) return;
    record.call.client_name = known->second.name;
    record.call.client_version = known->second.version;
}

void Replay::judge_array() {
    std::vector<Judged> all;
    bool stops = false;
    for (AuditRecord& record : array_) {
        all.push_back(judge(std::move(record)));
        stops = stops || (all.back().missing.empty() && all.back().now != TrialOutcome::allow);
    }
    array_.clear();
    const auto is_unknown = [](const Judged& judged) { return !judged.missing.empty(); };
    const auto unknown = std::find_if(all.begin(), all.end(), is_unknown);
    for (Judged& judged : all) {
        if (all.size() > 1 && stops && judged.now == TrialOutcome::allow) {
            counters_.roll_back(judged.verdict.charged);
            judged.verdict.charged.clear();
            judged.now = TrialOutcome::deny;
            judged.rule = kRuleBatch;
            judged.missing = {};
        } else if (all.size() > 1 && unknown != all.end() && judged.missing.empty() && judged.now == TrialOutcome::allow) {
            judged.missing = unknown->missing;  // it may stop this one, too
        }
        count(judged);
    }
}

Replay::Judged Replay::judge(AuditRecord record) {
    Judged judged;
    judged.record = std::move(record);
    const TrialCall& call = judged.record.call;
    const Trial trial(call);
    const MessageKind kind = trial.message().kind;
    judged.is_counted = kind == MessageKind::request || kind == MessageKind::notification;
    if (!judged.is_counted) return judged;
    judged.missing = missing_facts(*policy_, trial, judged.record.facts, call.from_server);
    if (!judged.missing.empty()) return judged;
    trial.judge(*policy_, judged.record.time_ns, counters_, judged.verdict);
    wait_for_room(trial, judged.record.time_ns, judged.verdict);
    judged.now = outcome_of(trial.message(), judged.verdict);
    judged.rule = judged.verdict.rule;
    // Which answer of the client belongs to a server's request is not recorded.
    if (call.from_server) counters_.settle(judged.verdict.charged, CallEnd::done);
    return judged;
}

void Replay::wait_for_room(const Trial& trial, int64_t now_ns, Verdict& verdict) {
    constexpr int kTriesMax = 16;  // each of its counters may make it wait once more
    const int64_t until_ns = now_ns + verdict.max_delay_ms * kNanosecondsPerMillisecond;
    int64_t at_ns = now_ns;
    for (int i = 0; i < kTriesMax && verdict.action == Action::deny && verdict.max_delay_ms > 0 && verdict.retry_after_ms; ++i) {
        at_ns += std::max<int64_t>(*verdict.retry_after_ms, 1) * kNanosecondsPerMillisecond;
        if (at_ns > until_ns) return;
        trial.judge(*policy_, at_ns, counters_, verdict);
    }
}

void Replay::count(const Judged& judged) {
    const AuditRecord& record = judged.record;
    if (!judged.is_counted) {
        ++report_.unreadable;
        return;
    }
    ++report_.judged;
    const bool was_made = record.was == TrialOutcome::allow && !record.call.from_server;
    if (was_made && !judged.verdict.charged.empty()) {
        in_flight_[record.id] = {judged.verdict.charged, record.session};
    } else {
        counters_.release(judged.verdict.charged);  // nobody knows how long it would have taken
    }
    const bool is_unknown = !judged.missing.empty();
    if (!is_unknown && judged.now == record.was) return;
    if (!is_unknown && judged.now == TrialOutcome::approval && record.is_decided_by_human) return;  // it would be asked for again
    ++(is_unknown ? report_.unknown : report_.different);
    const Trial trial(record.call);
    Difference difference{subject_of(record, trial.message()),
                          record.was,
                          is_unknown ? "unknown" : std::string(name(judged.now)),
                          is_unknown            ? std::string(judged.missing) + " not recorded"
                          : judged.rule.empty() ? record.rule
                                                : judged.rule,
                          record.id,
                          record.time};
    const auto [row, is_new] =
        rows_.try_emplace({difference.subject, difference.was, difference.now, difference.rule}, report_.table.size());
    if (is_new) {
        report_.table.push_back(difference);
    } else {
        ++report_.table[row->second].count;
    }
    if (scope_.keep_each) report_.each.push_back(std::move(difference));
}

void Replay::settle(const std::string& request, CallEnd end) {
    const auto charge = in_flight_.find(request);
    if (charge == in_flight_.end()) return;
    counters_.settle(charge->second.uses, end);
    in_flight_.erase(charge);
}

void Replay::end_session(const std::string& session) {
    clients_.erase(session);
    std::erase_if(in_flight_, [&](const auto& entry) {
        if (entry.second.session != session) return false;
        counters_.settle(entry.second.uses, CallEnd::unanswered);
        return true;
    });
}

}  // namespace callgate
