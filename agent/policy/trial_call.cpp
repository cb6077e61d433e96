#include "policy/trial_call.h"

#include "jsonrpc/answer.h"

namespace callgate {
namespace {

std::string message_text(const TrialCall& call) {
    if (!call.message.empty()) return call.message;
    std::string out = R"({"jsonrpc":"2.0","id":1,"method":)";
    append_json_string(out, call.method);
    out += R"(,"params":)";
    if (!call.params.empty()) return out + call.params + "}";
    out += R"({"name":)";
    append_json_string(out, call.name);
    if (!call.arguments.empty()) out += R"(,"arguments":)" + call.arguments;
    return out + "}}";
}

}  // namespace

std::string_view name(TrialOutcome outcome) {
    switch (outcome) {
        case TrialOutcome::allow: return "allow";
        case TrialOutcome::deny: return "deny";
        case TrialOutcome::limit: return "limit";
        case TrialOutcome::approval: return "approval";
        case TrialOutcome::refuse: return "refuse";
    }
    return "";
}

Trial::Trial(const TrialCall& call) : call_(call), text_(message_text(call)) {
    message_ = &parser_.parse(text_, JsonText::document);
    if (!call.annotations.empty()) annotations_.remember(message_->name, call.annotations);
}

Caller Trial::caller(const Policy& policy) const {
    Caller caller{call_.grant, call_.session, policy.name(), &call_.server, &call_.peer};
    const bool says_client = message_->has_client_info && call_.client_name.empty();
    caller.client_name = says_client ? message_->client_name : std::string_view(call_.client_name);
    caller.client_version = says_client ? message_->client_version : std::string_view(call_.client_version);
    caller.annotations = &annotations_;
    if (call_.named_grant) {
        caller.named_grant = &*call_.named_grant;
        caller.grant = call_.named_grant->name;
    }
    return caller;
}

void Trial::judge(const Policy& policy, int64_t now_ns, CounterTable& counters, Verdict& verdict) const {
    verdict.reset();
    const Message& message = *message_;
    if (message.kind != MessageKind::request && message.kind != MessageKind::notification) return;
    const Caller who = caller(policy);
    if (call_.from_server) {
        policy.judge_server_message(message, who, now_ns, counters, verdict);
    } else if (message.method == "tools/call") {
        policy.judge_tool({message.name, message.arguments, message.params}, who, now_ns, counters, verdict);
    } else {
        policy.judge_method(message, who, now_ns, counters, verdict);
    }
}

TrialOutcome outcome_of(const Message& message, const Verdict& verdict) {
    if (message.kind == MessageKind::invalid) return TrialOutcome::refuse;
    if (verdict.action == Action::allow) return TrialOutcome::allow;
    if (verdict.code == kCodeApproval) return TrialOutcome::approval;
    return verdict.code == kCodeOverLimit ? TrialOutcome::limit : TrialOutcome::deny;
}

}  // namespace callgate
