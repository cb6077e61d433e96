#include "lifecycle/config.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "base/trusted_path.h"
#include "kernel/proc.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"
#include "policy/webhook_url.h"
#include "session/users.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr std::string_view kTopKeys[] = {"scope",     "audit",           "control",        "state_directory", "unnamed",
                                         "approvals", "frame_bytes_max", "stop_timeout_s", "$comment"};
constexpr std::string_view kScopeKeys[] = {"trees", "cgroups", "users"};
constexpr std::string_view kAuditKeys[] = {"file", "arguments"};
constexpr std::string_view kControlKeys[] = {"socket"};
constexpr std::string_view kApprovalsKeys[] = {"webhook"};
constexpr std::string_view kWebhookKeys[] = {"url", "secret_file"};
constexpr KnownKeys kTop{"config", kTopKeys, {}};
constexpr KnownKeys kScope{"scope", kScopeKeys, {}};
constexpr KnownKeys kAudit{"audit", kAuditKeys, {}};
constexpr KnownKeys kControl{"control", kControlKeys, {}};
constexpr KnownKeys kApprovals{"approvals", kApprovalsKeys, {}};
constexpr KnownKeys kWebhook{"webhook", kWebhookKeys, {}};
constexpr std::array<std::pair<std::string_view, AuditArguments>, 2> kArguments = {
    {{"hash", AuditArguments::hash}, {"full", AuditArguments::full}}};
constexpr std::array<std::pair<std::string_view, bool>, 2> kUnnamed = {{{"observe", false}, {"deny", true}}};

std::optional<uid_t> user_of(const JsonValue& value) {
    if (value.kind == Kind::integer && value.integer >= 0 && value.integer < int64_t{UINT32_MAX}) {
        return static_cast<uid_t>(value.integer);
    }
    return value.kind == Kind::string ? user_id(value.string) : std::nullopt;
}

void load_scope(const JsonValue& value, Scope& scope, ProblemList& problems) {
    ObjectReader reader(value, "/scope", kScope, problems);
    if (const JsonValue* trees = reader.member("trees", Kind::array))
        for (const JsonValue& each : trees->items) {
            if (each.kind == Kind::integer && each.integer > 0 && each.integer <= INT32_MAX) {
                scope.trees.push_back(static_cast<pid_t>(each.integer));
            } else {
                problems.add(each.offset, "/scope/trees", "expected a process id");
            }
        }
    if (const JsonValue* cgroups = reader.member("cgroups", Kind::array))
        for (const JsonValue& each : cgroups->items) {
            if (each.kind == Kind::string && each.string.starts_with('/')) {
                scope.cgroups.push_back(each.string);
            } else {
                problems.add(each.offset, "/scope/cgroups", "expected the path of a cgroup v2 directory");
            }
        }
    if (const JsonValue* users = reader.member("users", Kind::array))
        for (const JsonValue& each : users->items) {
            if (const std::optional<uid_t> uid = user_of(each)) {
                scope.users.push_back(*uid);
            } else {
                problems.add(each.offset, "/scope/users", "expected the name or number of a user of this host");
            }
        }
}

void load_webhook(const JsonValue& approvals, Config& config, ProblemList& problems) {
    const ObjectReader reader(approvals, "/approvals", kApprovals, problems);
    const JsonValue* webhook = reader.member("webhook", Kind::object);
    if (!webhook) return;
    const ObjectReader members(*webhook, "/approvals/webhook", kWebhook, problems);
    members.require("url");
    config.webhook_url = members.text("url").value_or("");
    if (std::string problem = webhook_url_problem(config.webhook_url); members.has("url") && !problem.empty())
        members.problem("url", std::move(problem));
    config.webhook_secret_file = members.word("secret_file", 4096).value_or("");
    if (!config.webhook_secret_file.empty() && !config.webhook_secret_file.starts_with('/'))
        members.problem("secret_file", "give the whole path, beginning with \"/\"");
}

}  // namespace

Result<Config> load_config(const std::string& directory, std::vector<PolicyProblem>& found) {
    Config config;
    std::string path = directory + "/callgate.json";
    std::string text = TRY(read_small_file(path, size_t{1} << 20));
    if (const Status trusted = check_trusted_path(path); !trusted) {
        found.push_back({trusted.error().where, 0, 0, "", trusted.error().what});
        return config;
    }
    ProblemList problems;
    if (auto root = parse_json(text, problems); root && expect(Kind::object, *root, "", problems)) {
        ObjectReader reader(*root, "", kTop, problems);
        if (const JsonValue* scope = reader.member("scope", Kind::object)) load_scope(*scope, config.scope, problems);
        if (const JsonValue* audit = reader.member("audit", Kind::object)) {
            ObjectReader members(*audit, "/audit", kAudit, problems);
            config.audit_file = members.word("file", 4096).value_or(config.audit_file);
            config.audit_arguments = members.choice("arguments", kArguments).value_or(AuditArguments::hash);
        }
        if (const JsonValue* control = reader.member("control", Kind::object)) {
            ObjectReader members(*control, "/control", kControl, problems);
            config.control_socket = members.word("socket", 107).value_or(config.control_socket);
        }
        if (const JsonValue* approvals = reader.member("approvals", Kind::object)) load_webhook(*approvals, config, problems);
        config.state_directory = reader.word("state_directory", 4096).value_or(config.state_directory);
        config.deny_unnamed = reader.choice("unnamed", kUnnamed).value_or(false);
        config.frame_bytes_max = reader.integer("frame_bytes_max", 1024, int64_t{kFrameBytesMax}).value_or(kFrameBytesDefault);
        config.stop_timeout_s = static_cast<int>(reader.integer("stop_timeout_s", 0, 3600).value_or(60));
    }
    problems.report(text, path, found);
    return config;
}

// An unknown key may be "scope", misspelt.
bool scope_is_clear(const std::vector<PolicyProblem>& problems) {
    constexpr std::string_view kScopeKey[] = {"scope"};
    return std::none_of(problems.begin(), problems.end(), [&](const PolicyProblem& each) {
        const std::string_view key = std::string_view(each.path).substr(0, each.path.find('/', 1));
        return key.empty() || !nearest(key.substr(1), kScopeKey).empty();
    });
}

}  // namespace callgate
