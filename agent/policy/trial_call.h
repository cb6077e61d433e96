// TrialCall: a message that nobody sent, judged as if somebody had: for `callgate explain` and `callgate test`.
//
// It is written out and read by the same parser as a message of the relay, so that what would be refused there is refused
// here.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "jsonrpc/message.h"
#include "policy/grant.h"
#include "policy/policy.h"

namespace callgate {

struct TrialCall {
    std::string message;  // JSON: the whole message; else it is made of the following
    std::string method = "tools/call";
    std::string name;       // params.name
    std::string arguments;  // JSON: params.arguments; "" where there are none
    std::string params;     // JSON: instead of name and arguments
    bool from_server = false;
    std::string grant;                 // its key; "" where `named_grant` says it
    std::optional<Grant> named_grant;  // of grants.json
    std::string client_name, client_version;
    std::string session = "trial";
    PeerIdentity peer;  // pid 0: nothing is known of it
    ServerIdentity server;
    std::string annotations;  // JSON: what the server says of the tool
};

enum class TrialOutcome : uint8_t { allow, deny, limit, approval, refuse };
std::string_view name(TrialOutcome outcome);

// Views into the call, which must stay.
class Trial {
  public:
    explicit Trial(const TrialCall& call);
    // Of kind invalid where the relay would refuse it.
    const Message& message() const { return *message_; }
    const std::string& text() const { return text_; }  // of the message
    Caller caller(const Policy& policy) const;
    void judge(const Policy& policy, int64_t now_ns, CounterTable& counters, Verdict& verdict) const;

  private:
    const TrialCall& call_;
    std::string text_;
    MessageParser parser_;
    const Message* message_ = nullptr;
    ToolAnnotations annotations_;
};

TrialOutcome outcome_of(const Message& message, const Verdict& verdict);

}  // namespace callgate
