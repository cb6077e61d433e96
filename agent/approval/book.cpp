#include "approval/book.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "approval/parties.h"
#include "base/clock.h"
#include "base/limits.h"
#include "jsonrpc/answer.h"
#include "policy/caller.h"

namespace callgate {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr std::string_view kRuleUnreadable = "(arguments cannot be read)";
constexpr std::string_view kRuleTooLong = "(arguments too long to approve)";
constexpr std::string_view kRuleTooMany = "(too many approvals)";
constexpr std::string_view kRuleTwice = "(approved once)";
constexpr std::string_view kRuleNotKept = "(approval not recorded)";
constexpr int64_t kNoUser = -1;  // clients on other hosts: all of them are one

ApprovalId new_id() {
    static constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    ApprovalId id;
    std::array<unsigned char, std::tuple_size_v<decltype(id.text)>> random;
    randombytes_buf(random.data(), random.size());
    std::transform(random.begin(), random.end(), id.text.begin(), [](unsigned char byte) { return kAlphabet[byte & 31]; });
    return id;
}

// Less is a clock that runs at another speed for a while.
constexpr int64_t kClockStep = kNanoseconds;

// Whose request it is, where all of a user's programs are counted together.
int64_t user_of(const Caller& caller) {
    return caller.peer == nullptr || caller.peer->process.pid == 0 ? kNoUser : int64_t{caller.peer->process.uid};
}

ApprovalEvent event_of(ApprovalState decision) {
    switch (decision) {
        case ApprovalState::pending: return ApprovalEvent::requested;
        case ApprovalState::approved: return ApprovalEvent::approved;
        case ApprovalState::denied: return ApprovalEvent::denied;
        case ApprovalState::revoked: return ApprovalEvent::revoked;
    }
    return ApprovalEvent::requested;
}

}  // namespace

std::string_view name(ApprovalEvent event) {
    switch (event) {
        case ApprovalEvent::requested: return "requested";
        case ApprovalEvent::approved: return "approved";
        case ApprovalEvent::denied: return "denied";
        case ApprovalEvent::revoked: return "revoked";
        case ApprovalEvent::used: return "used";
        case ApprovalEvent::expired: return "expired";
    }
    return "";
}

size_t ApprovalBook::Hash::operator()(const std::array<char, 32>& hash) const {
    size_t first;
    std::memcpy(&first, hash.data(), sizeof first);
    return first;
}

Status ApprovalBook::keep_in(Database& database, int64_t now_ns) {
    std::unique_ptr<ApprovalTable> table = TRY(ApprovalTable::open(database));
    int64_t newest_ns = now_ns;
    TRY_VOID(table->each([&](ApprovalRecord record) {
        newest_ns = std::max({newest_ns, record.requested_ns, record.done_ns()});
        add(std::move(record));
    }));
    table_ = std::move(table);
    // The clock was set back while no agent ran: by so much at least.
    ahead_ns_ = newest_ns - steady_ns_();
    sweep(now_ns);
    return {};
}

void ApprovalBook::follow_clock(int64_t now_ns) {
    const int64_t ahead_ns = now_ns - steady_ns_();
    if (ahead_ns_ == INT64_MIN || ahead_ns_ - ahead_ns < kClockStep) {
        ahead_ns_ = std::max(ahead_ns_, ahead_ns);
        return;
    }
    const int64_t back_ns = ahead_ns_ - ahead_ns;
    ahead_ns_ = ahead_ns;
    for (const auto& [id, record] : records_) record->set_back(back_ns);
    if (!table_ || records_.empty()) return;
    if (Status set = table_->set_back(back_ns); !set)
        trouble_.begin("the times of approvals cannot be set back: " + set.error().text());
}

ApprovalRecord& ApprovalBook::add(ApprovalRecord made) {
    auto owned = std::make_unique<ApprovalRecord>(std::move(made));
    ApprovalRecord& record = *owned;
    record.wait_key = "approval\x1f" + std::string(record.id.view());
    if (record.state == ApprovalState::pending) count_pending(record, 1);
    by_fingerprint_[record.fingerprint] = &record;
    records_[std::string(record.id.view())] = std::move(owned);
    wake_at(record.gone_ns());
    return record;
}

void ApprovalBook::count_pending(const ApprovalRecord& record, int by) {
    const auto count = [more = static_cast<size_t>(by)](auto& counts, const auto& key) {
        const auto found = counts.try_emplace(key, 0).first;
        if ((found->second += more) == 0) counts.erase(found);
    };
    pending_ += static_cast<size_t>(by);
    count(pending_of_grant_, record.grant);
    count(pending_of_user_, record.uid);
}

bool ApprovalBook::is_approved(const ApprovalQuestion& question, int64_t now_ns, Verdict& verdict) {
    follow_clock(now_ns);
    if (question.arguments.size() > kApprovalArgumentsBytesMax || question.params.size() > kApprovalParamsBytesMax)
        return deny_too_long(question, verdict);
    const std::optional<CallFingerprint> fingerprint = fingerprint_of(question);
    if (!fingerprint) {
        verdict.deny(kCodeDenied, kRuleUnreadable, question.reason);
        return false;
    }
    if (fingerprint->other_params.size() > kApprovalArgumentsBytesMax) return deny_too_long(question, verdict);
    ApprovalRecord* record = current(fingerprint->hash, now_ns);
    if (record == nullptr) {
        record = ask(question, *fingerprint, now_ns, verdict);
        if (record == nullptr) return false;
    }
    if (record->state != ApprovalState::approved) {
        deny(question, *record, verdict);
        return false;
    }
    if (record->taken && !record->in_window(now_ns)) {
        sentence_.assign(question.reason)
            .append(" It was approved once, and stands in the same message twice: send one of the two.");
        verdict.deny(kCodeDenied, kRuleTwice, sentence_);
        return false;
    }
    record->taken = true;
    verdict.approvals.push_back(record->id);
    return true;
}

bool ApprovalBook::deny_too_long(const ApprovalQuestion& question, Verdict& verdict) {
    sentence_.assign(question.reason).append(" Its arguments are longer than what a human can be shown.");
    verdict.deny(kCodeDenied, kRuleTooLong, sentence_);
    return false;
}

// What is known of the call; null where nothing is that is of any use now.
ApprovalRecord* ApprovalBook::current(const Fingerprint& fingerprint, int64_t now_ns) {
    const auto found = by_fingerprint_.find(fingerprint);
    if (found == by_fingerprint_.end()) return nullptr;
    ApprovalRecord* record = found->second;
    if (record->gone_ns() <= now_ns) {
        sweep(now_ns);
        return nullptr;
    }
    return record->is_spent(now_ns) ? nullptr : record;
}

ApprovalRecord* ApprovalBook::ask(const ApprovalQuestion& question, const CallFingerprint& fingerprint, int64_t now_ns,
                                  Verdict& verdict) {
    if (!has_room(question, verdict)) return nullptr;
    const Caller& caller = *question.caller;
    ApprovalRecord made;
    do made.id = new_id();
    while (records_.contains(std::string(made.id.view())));
    made.fingerprint = fingerprint.hash;
    made.policy = question.policy;
    made.revision = question.revision;
    made.method = question.method;
    made.tool = question.tool;
    made.grant = caller.grant;
    made.session = caller.session;
    made.server = server_name(caller);
    made.server_process = server_process(caller);
    made.client = client_process(caller);
    made.client_claim = client_claim(caller);
    made.uid = user_of(caller);
    made.arguments = question.arguments.empty() ? "{}" : question.arguments;
    made.other_params = fingerprint.other_params;
    made.rule = question.rule;
    made.reason = question.reason;
    made.webhook_url = question.rules->webhook_url;
    made.requested_ns = now_ns;
    made.expires_ns = now_ns + question.timeout_s * kNanoseconds;
    made.dedupe_ns = question.rules->dedupe_window_s * kNanoseconds;
    Status kept = table_ ? table_->insert(made) : Status(Error::refused("state.db", "is not open"));
    if (!kept) {
        trouble_.begin("a request for approval cannot be kept: " + kept.error().text());
        fail("The agent cannot keep requests for approval now; an administrator finds the reason with \"callgate status\".",
             verdict, question);
        return nullptr;
    }
    trouble_.end();
    ApprovalRecord& record = add(std::move(made));
    tell(ApprovalEvent::requested, record);
    return &record;
}

// Only what is done with makes room.
bool ApprovalBook::has_room(const ApprovalQuestion& question, Verdict& verdict) {
    const auto of_grant = pending_of_grant_.find(std::string(question.caller->grant));
    const auto of_user = pending_of_user_.find(user_of(*question.caller));
    std::string_view because;
    if (of_grant != pending_of_grant_.end() && of_grant->second >= kApprovalsPendingPerGrantMax) {
        because = " Too many calls of this client wait for approval: have some of them decided first.";
    } else if (of_user != pending_of_user_.end() && of_user->second >= kApprovalsPendingPerUserMax) {
        because = " Too many calls of this user wait for approval: have some of them decided first.";
    } else if (pending_ >= kApprovalsPendingMax) {
        because = " Too many calls wait for approval: have some of them decided first.";
    } else if (records_.size() >= kApprovalsKeptMax) {
        const ApprovalRecord* oldest = nullptr;
        for (const auto& [id, record] : records_) {
            const bool is_used = record->state == ApprovalState::approved && record->used > 0;
            const bool is_done = (is_used || record->state == ApprovalState::revoked) && !record->taken;
            if (is_done && (oldest == nullptr || record->done_ns() < oldest->done_ns())) oldest = record.get();
        }
        if (oldest != nullptr)
            remove({oldest});
        else
            because = " Too many approvals are open: some must expire first.";
    }
    if (because.empty()) return true;
    sentence_.assign(question.reason).append(because);
    verdict.deny(kCodeOverLimit, kRuleTooMany, sentence_);
    return false;
}

void ApprovalBook::fail(std::string_view because, Verdict& verdict, const ApprovalQuestion& question) {
    sentence_.assign(question.reason).append(" ").append(because);
    verdict.deny(kCodeDenied, kRuleNotKept, sentence_);
}

// A model reads it.
void ApprovalBook::deny(const ApprovalQuestion& question, const ApprovalRecord& record, Verdict& verdict) {
    const std::string id(record.id.view());
    sentence_.assign(question.reason);
    if (record.state == ApprovalState::denied) {
        sentence_.append(" A human has denied it (approval ").append(id).append(")");
        if (!record.decision_reason.empty()) sentence_.append(": ").append(record.decision_reason);
        sentence_.append(". Do not repeat it.");
        verdict.deny(kCodeDenied, question.rule, sentence_);
        verdict.approval_expires_ns = record.gone_ns();
    } else {
        sentence_.append(" Approval ")
            .append(id)
            .append(" is waiting for a decision: a human must run \"callgate approvals approve ");
        sentence_.append(id).append("\" on this host before ").append(utc_text(record.expires_ns));
        sentence_.append("; then repeat exactly the same call.");
        verdict.deny(kCodeApproval, question.rule, sentence_);
        verdict.approval_expires_ns = record.expires_ns;
        verdict.max_delay_ms = question.hold_ms;
        verdict.delay_key = record.wait_key;
    }
    verdict.approval = record.id;
}

Status ApprovalBook::use(std::span<const ApprovalId> approvals, int64_t now_ns, std::string_view turn) {
    follow_clock(now_ns);
    // One in its window may be there several times, for several calls.
    std::vector<ApprovalTable::Use> uses;
    for (const ApprovalId& id : approvals) {
        ApprovalRecord* record = find_mutable(id.view());
        // Nothing removes what is taken.
        if (record == nullptr) return Error::refused("approval " + std::string(id.view()), "is not known");
        const auto same = std::find_if(uses.begin(), uses.end(), [&](const auto& each) { return each.record == record; });
        if (same != uses.end())
            ++same->times;
        else
            uses.push_back({record, 1});
    }
    Status kept = table_ ? table_->add_use(uses, now_ns, turn) : Status(Error::refused("state.db", "is not open"));
    give_back(approvals);
    if (!kept) {
        trouble_.begin("the use of an approval cannot be recorded: " + kept.error().text());
        return kept;
    }
    trouble_.end();
    for (const ApprovalTable::Use& each : uses) {
        ApprovalRecord& record = *find_mutable(each.record->id.view());
        record.used_in_turn = each.times + (record.used_turn == turn ? record.used_in_turn : 0);
        record.used_turn = turn;
        record.used += each.times;
        record.used_ns = now_ns;
        tell(ApprovalEvent::used, record);
    }
    return {};
}

Status ApprovalBook::take_back(std::string_view turn) {
    if (!table_ || turn.empty()) return {};
    const auto is_of_turn = [&](const auto& each) { return each.second->used_turn == turn; };
    if (std::none_of(records_.begin(), records_.end(), is_of_turn)) return {};
    TRY_VOID(table_->take_back(turn));
    for (const auto& [id, record] : records_) {
        if (record->used_turn != turn) continue;
        record->used -= record->used_in_turn;
        record->used_turn.clear();
        record->used_in_turn = 0;
    }
    return {};
}

void ApprovalBook::give_back(std::span<const ApprovalId> approvals) {
    for (const ApprovalId& id : approvals) {
        if (ApprovalRecord* record = find_mutable(id.view())) record->taken = false;
    }
}

Result<const ApprovalRecord*> ApprovalBook::decide(std::string_view id, ApprovalState decision, ApprovalDecider by,
                                                   std::string reason, int64_t now_ns) {
    sweep(now_ns);
    ApprovalRecord* record = find_mutable(id);
    const std::string which = "approval " + std::string(id);
    if (record == nullptr)
        return Error::refused(which, "there is none, or it has expired; \"callgate approvals list\" lists those that are open");
    if (!record->can_become(decision, now_ns)) {
        if (record->state == ApprovalState::pending) return Error::refused(which, "is pending: approve or deny it");
        return Error::refused(which, "is " + std::string(state_name(*record)) + " already, by " + record->by.user + " at " +
                                         utc_text(record->decided_ns));
    }
    ApprovalRecord decided = *record;
    decided.state = decision;
    decided.decided_ns = now_ns;
    decided.by = std::move(by);
    decided.decision_reason = std::move(reason);
    if (!table_) return Error::refused("state.db", "is not open");
    TRY_VOID(table_->update_decision(decided));
    if (record->state == ApprovalState::pending) count_pending(*record, -1);
    *record = std::move(decided);
    tell(event_of(decision), *record);
    waiting_.room_made(record->wait_key);
    return record;
}

void ApprovalBook::end_outdated(const std::function<bool(std::string_view, std::string_view)>& is_current) {
    std::vector<const ApprovalRecord*> gone;
    for (const auto& [id, record] : records_) {
        if (record->taken || is_current(record->policy, record->revision)) continue;
        record->cause = "the policy has changed";
        gone.push_back(record.get());
    }
    end(gone);
}

void ApprovalBook::end(const std::vector<const ApprovalRecord*>& gone) {
    if (gone.empty()) return;
    for (const ApprovalRecord* record : gone) {
        const bool was_open =
            record->state == ApprovalState::pending || (record->state == ApprovalState::approved && record->used == 0);
        if (was_open) tell(ApprovalEvent::expired, *record);
    }
    remove(gone);
}

void ApprovalBook::sweep(int64_t now_ns) {
    follow_clock(now_ns);
    armed_for_ns_ = INT64_MAX;
    std::vector<const ApprovalRecord*> gone;
    int64_t next_ns = INT64_MAX;
    for (const auto& [id, record] : records_) {
        if (record->gone_ns() <= now_ns && !record->taken)
            gone.push_back(record.get());
        else
            next_ns = std::min(next_ns, record->gone_ns());
    }
    end(gone);
    if (next_ns != INT64_MAX) wake_at(next_ns);
}

// A record that stays in the file for now has expired all the same, and goes when the next agent opens it.
void ApprovalBook::remove(const std::vector<const ApprovalRecord*>& gone) {
    std::vector<ApprovalId> ids;
    for (const ApprovalRecord* record : gone) ids.push_back(record->id);
    if (table_) {
        if (Status removed = table_->remove(ids); !removed)
            trouble_.begin("old approvals cannot be removed: " + removed.error().text());
    }
    for (const ApprovalId& id : ids) {
        const auto found = records_.find(std::string(id.view()));
        const ApprovalRecord& record = *found->second;
        if (record.state == ApprovalState::pending) count_pending(record, -1);
        const auto newest = by_fingerprint_.find(record.fingerprint);
        if (newest != by_fingerprint_.end() && newest->second == &record) by_fingerprint_.erase(newest);
        waiting_.room_made(record.wait_key);
        records_.erase(found);
    }
}

ApprovalRecord* ApprovalBook::find_mutable(std::string_view id) {
    const auto found = records_.find(std::string(id));
    return found == records_.end() ? nullptr : found->second.get();
}

const ApprovalRecord* ApprovalBook::find(std::string_view id) const {
    const auto found = records_.find(std::string(id));
    return found == records_.end() ? nullptr : found->second.get();
}

std::vector<const ApprovalRecord*> ApprovalBook::records() const {
    std::vector<const ApprovalRecord*> all;
    for (const auto& [id, record] : records_) all.push_back(record.get());
    std::sort(all.begin(), all.end(), [](const ApprovalRecord* a, const ApprovalRecord* b) {
        return a->requested_ns != b->requested_ns ? a->requested_ns < b->requested_ns : a->id.view() < b->id.view();
    });
    return all;
}

void ApprovalBook::wake_at(int64_t at_ns) {
    if (at_ns >= armed_for_ns_) return;
    armed_for_ns_ = at_ns;
    if (wake) wake(at_ns);
}

}  // namespace callgate
