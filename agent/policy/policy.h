// Policy: one policy file, compiled. Immutable and shared between sessions; judging is a pure function of the call,
// the caller and the time, plus the counter table that it charges.
//
// Loading never throws and reports every problem of a file at once, each with file, line, column, JSON path and,
// for an unknown key, the nearest known one.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jsonrpc/message.h"
#include "policy/call.h"
#include "policy/caller.h"
#include "policy/counters.h"
#include "policy/policy_problem.h"
#include "policy/verdict.h"

namespace callgate {

// Which servers a policy governs; every given member must match (POLICY.md §5).
struct ServerMatch {
    std::string package;     // exact package name
    std::string command;     // glob (fnmatch(3), no flags) over the whole command line
    std::string exe_sha256;  // 64 hex digits
    std::string user;        // name or number
    std::string listen;      // ADDRESS:PORT or :PORT, see listen_address.h; never matches a stdio server
    std::string image;       // of its container: a name, any tag where it has none; or a pattern, see NamePattern
    std::string unit;        // of systemd, as unit_of() says it; or a pattern
    std::string path;        // only requests for it are governed; never matches a stdio server
    // How many members are given; exe_sha256 > package > image > unit > listen > path > command > user break ties of count.
    int specificity() const;
    bool empty() const;
    // True where identity alone says "this is that server" (package or exe_sha256 given); false where it is a
    // pattern that may also fit programs that are no MCP servers.
    bool is_certain() const;
    auto operator<=>(const ServerMatch&) const = default;
};

struct CompiledPolicy;
struct Judging;

enum class Mode : uint8_t { enforce, shadow, observe };
std::string_view mode_name(Mode mode);  // as in a policy file
enum class OnBlind : uint8_t { allow, kill };
// What becomes of its sessions where no agent comes to go on with them: they end, or go on ungoverned.
enum class Fail : uint8_t { closed, open };
enum class DenyAs : uint8_t { result, error };

class Policy {
  public:
    // In any dialect (dialect.h). `name` is the file name without .json, .yaml or .yml; `problems` receives everything wrong, and
    // then nothing is returned.
    static std::shared_ptr<const Policy> load(std::string_view text, std::string_view file, std::vector<PolicyProblem>& problems);
    // Denies every tool, and every request but those of the handshake, with this rule and reason.
    // `tied`: because these name its server equally well.
    static std::shared_ptr<const Policy> deny_everything(std::string name, std::string rule, std::string reason, Mode mode,
                                                         std::string tied = {});
    ~Policy();
    Policy(const Policy&) = delete;
    Policy& operator=(const Policy&) = delete;

    const std::string& name() const;
    const std::string& tied() const;      // "a, b"; "" where there is no tie
    const std::string& revision() const;  // first 16 hex digits of the file's SHA-256
    // The same file, now or before it was changed.
    bool is_version_of(const Policy& other) const { return name() == other.name(); }
    const ServerMatch& match() const;
    Mode mode() const;
    OnBlind on_blind() const;
    Fail fail() const;
    DenyAs deny_as() const;
    bool hides_any() const;
    bool is_hidden(std::string_view tool) const;

    // A condition asks for the annotations of tools: remember them.
    bool asks_for_annotations() const;

    // The definition of some tool, of this tool, is pinned.
    bool pins_any() const;
    bool pins(std::string_view tool) const;

    // Judges one tools/call and, where allowed, charges its counters. `now_ns`: realtime clock.
    Verdict judge_tool(const Call& call, const Caller& caller, int64_t now_ns, CounterTable& counters) const;
    // The same into `verdict`, whose memory is used again: allocates nothing once the counters of a caller exist.
    void judge_tool(const Call& call, const Caller& caller, int64_t now_ns, CounterTable& counters, Verdict& verdict) const;
    // Any other request or notification of a client. A method that carries calls is judged as all of them; an unknown one
    // of the tools/ family is denied under default deny.
    void judge_method(const Message& message, const Caller& caller, int64_t now_ns, CounterTable& counters,
                      Verdict& verdict) const;
    // A request or notification of the server: by what the policy says of its method.
    void judge_server_message(const Message& message, const Caller& caller, int64_t now_ns, CounterTable& counters,
                              Verdict& verdict) const;
    bool says_anything_of_methods() const;
    bool says_anything_of_method(std::string_view method) const;
    // The same of what a client sends: the calls that a method carries are judged, too.
    bool says_anything_of_clients_method(std::string_view method) const;
    // It speaks of a method that MCP does not have: its server has some of its own.
    bool names_other_methods() const;

  private:
    friend class Explainer;
    friend class GapFinder;
    Policy();
    void judge_call(const Call& call, const Judging& judging, CounterTable& counters, Verdict& verdict) const;
    void judge_carried_calls(const std::vector<PathStep>& path, const Message& message, const Caller& caller, int64_t now_ns,
                             CounterTable& counters, Verdict& verdict) const;
    std::unique_ptr<CompiledPolicy> compiled_;
};

}  // namespace callgate
