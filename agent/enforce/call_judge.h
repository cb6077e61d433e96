// CallJudge: what every gate does with one message, whatever transport it came over: ask the policy, say how a denial is
// answered, and match the server's answers to what was asked.
//
//   judge(tools/call "rm")          ->  denied, "(default deny)"
//   append_denial(out, …)           ->  {"jsonrpc":"2.0","id":7,"result":{…"isError":true…}}\n
//   match(response to a call that was charged, an error)  ->  the record says what it answers; the charge is given back
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "audit/log.h"
#include "enforce/pending.h"
#include "jsonrpc/message.h"
#include "policy/approval_desk.h"
#include "policy/policy.h"
#include "policy/session_pins.h"

namespace callgate {

// A text of the server that was refused, and that another reader may take for a message.
bool may_be_message(std::string_view text, const Message& refused);

// When a call that has to wait is tried again, and for the last time; monotonic.
struct WaitTime {
    int64_t due_ns, deadline_ns;
};
// Nothing where waiting is in vain: its time is over, or there is no room before that. `deadline_ns`: of a call that waits
// already.
std::optional<WaitTime> wait_time(const Verdict& verdict, int64_t now_ns, std::optional<int64_t> deadline_ns);

class CallJudge {
  public:
    // `approvals`: who is asked whether a human has approved a call; null: nobody, and it is denied.
    CallJudge(std::shared_ptr<const Policy> policy, CounterTable& counters, ApprovalDesk* approvals)
        : policy_(std::move(policy)), counters_(counters), approvals_(approvals), enforcing_(policy_->mode() == Mode::enforce) {}

    // From the next message on.
    void use(std::shared_ptr<const Policy> policy) {
        policy_ = std::move(policy);
        enforcing_ = policy_->mode() == Mode::enforce;
        verdict_.reset();
    }
    const Policy& policy() const { return *policy_; }
    bool enforcing() const { return enforcing_; }
    CounterTable& counters() const { return counters_; }
    // For the caller of what is judged: a policy that only looks on asks nobody.
    ApprovalDesk* approvals() const { return enforcing_ ? approvals_ : nullptr; }

    // What the policy says of a client's message, and charges for it. Valid until the next call. Where it is allowed, its
    // approvals are used.
    const Verdict& judge(const Message& message, const Caller& caller, const PendingTable& pending);
    // What that has come to, also where memory ran out in it.
    const Verdict& verdict() const { return verdict_; }
    // The same of one of several that go on together or not at all: use_approvals() of each, or give_back().
    const Verdict& judge_part(const Message& message, const Caller& caller, const PendingTable& pending);
    // From here on no other call goes on with these approvals, whatever becomes of the agent. False where that cannot be
    // recorded: then they are given back.
    bool use_approvals(std::span<const ApprovalId> approvals);
    // What is said of a call whose approvals cannot be used; its charge is given back.
    void deny_unrecorded(Verdict& verdict);
    // The same of a server's request or notification; null where the policy has nothing to say of it.
    const Verdict* judge_server(const Message& message, const Caller& caller);
    // The same of what a response asks of the client: the first of it that is denied, else the last.
    const Verdict* judge_input_requests(const Message& response, const Caller& caller);
    // What a client with another parser could take a text of the server for that the parser refused. A request that `methods`
    // speaks of, and a list with a hidden tool that cannot be cut out of it, may not go on: unreadable() says why.
    enum class Unreadable : uint8_t { harmless, request, list };
    // `is_list`: it may be a list of tools.
    Unreadable look_into_unreadable(std::string_view text, const Message& refused, bool is_list) const;
    // Where that may say no: then what is too long to be looked into is as bad.
    bool looks_into_unreadable(bool is_list) const {
        return enforcing_ && (policy_->says_anything_of_methods() || (is_list && policy_->hides_any()));
    }
    const Verdict& unreadable();
    // How the record calls a message that goes on.
    static Decision decision_of_forwarded(const Message& message, const Verdict& verdict);
    // The answer to a denied request, or to an unreadable one with an id; one line. Nothing for a notification.
    void append_denial(std::string& out, const Message& request, const Verdict& verdict, bool modern) const;
    // The same in place of the server's response to `request`, which is not passed on.
    void append_denial_of_response(std::string& out, std::string_view id_token, const PendingRequest& request,
                                   const Verdict& verdict, bool modern) const;
    // What is remembered of a request that goes on.
    static PendingRequest pending_request(const Message& request, const RecordId& record, const Verdict& verdict,
                                          int64_t forwarded_ns);

    // `request` was taken from its table and `response` answers it: completes the record, and gives back what a call
    // that failed was charged. Never at the caller's word: only where it is certain which call the server means.
    void match(const Message& response, const PendingRequest& request, MessageRecord& record);
    // The same without a response of its own. A request that shares its id gives nothing back.
    void settle(const PendingRequest& request, CallEnd end);
    // Of a message that goes on and that nobody answers: it is in flight for no time at all.
    void release(const Verdict& verdict) { counters_.release(verdict.charged); }
    // Of a call that was judged and then not forwarded.
    void give_back(const Verdict& verdict);
    // What a list of tools says of each, where a condition of the policy asks for it, and how it defines those that are
    // pinned. `response` may be no list; `is_list`: it answers the request for one.
    struct Learning {
        ToolAnnotations& annotations;
        SessionPins& pins;
        AuditLog& audit;
        const std::shared_ptr<const AuditSession>& session;
    };
    void learn(std::string_view response, bool is_list, const Learning& what) const;
    // The server's answer to a request for a list cannot be read, and its client may read it all the same.
    void note_unreadable_list(const Learning& what) const;
    // Appends a list without its hidden tools; false where nothing is to be hidden in it, and then nothing is appended.
    bool append_filtered(std::string_view response, std::string& out) const;

  private:
    std::shared_ptr<const Policy> policy_;
    CounterTable& counters_;
    ApprovalDesk* approvals_;
    bool enforcing_;
    Verdict verdict_;
};

}  // namespace callgate
