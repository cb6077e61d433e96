#include "policy/unrecorded.h"

#include <algorithm>

#include "policy/condition_path.h"
#include "policy/judge_entry.h"

namespace callgate {
namespace {

constexpr std::string_view kArguments = "arguments", kAnnotations = "annotations", kClient = "clientInfo", kGrant = "grant",
                           kServerUser = "server.user";

bool has(const std::vector<std::string>& keys, std::string_view key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// How far judging has come: on, or at its end, by a rule that is certain or for want of a fact.
struct Progress {
    bool is_over = false;
    std::string_view missing = {};
    bool asks_a_human = false;  // a denial that comes later goes before
};

}  // namespace

// Goes the way of judge.cpp and judge_method.cpp, and asks at each rule whether it can be told.
class GapFinder {
  public:
    GapFinder(const Policy& policy, const Trial& trial, const RecordedFacts& facts)
        : policy_(*policy.compiled_), message_(trial.message()), caller_(trial.caller(policy)), facts_(facts) {}

    std::string_view find(bool from_server) {
        if (policy_.blanket && !from_server) return {};
        if (!from_server && message_.method == "tools/call") return tool({message_.name, message_.arguments});
        return method(from_server);
    }

  private:
    std::string_view tool(const Call& call) {
        const std::string_view own = policy_.own_name(call.name);
        if (policy_.is_hidden(own) || policy_.is_hidden(call.name)) return {};
        const ToolEntry* entry = policy_.tools.find_governing(own, policy_.tools.find_exact(own));
        if (entry == nullptr && !policy_.default_allow) return {};
        const Progress progress = entry ? rules(*entry, call) : Progress();
        if (progress.is_over && !(progress.asks_a_human && progress.missing.empty())) return progress.missing;
        const Progress of_all = rules(policy_.all_tools, call);
        if (progress.is_over || of_all.is_over) return of_all.missing;
        const std::string_view missing = entry ? amounts(entry->limits) : std::string_view();
        return missing.empty() ? amounts(policy_.all_tools.limits) : missing;
    }

    std::string_view method(bool from_server) {
        if (policy_.is_nearly_known(message_.method)) return {};
        const MethodEntry* entry = policy_.find_method(message_.method);
        if (entry != nullptr) {
            const Progress progress = method_rules(*entry);
            if (progress.is_over) return progress.missing;
        }
        // Which calls it carries is known with its params alone.
        const bool carries = !from_server && policy_.find_carrier(message_.method) != nullptr;
        return carries && !facts_.has_values ? kArguments : std::string_view();
    }
    Progress method_rules(const MethodEntry& entry) {
        const Call call = call_of(message_);
        Progress progress = rules(entry.own, call);
        if (progress.is_over) return progress;
        std::string_view missing = amounts(entry.own.limits);
        if (entry.has_names) {
            if (!facts_.has_name && !facts_.has_values) return {true, kArguments};
            const ToolEntry* named = entry.names.find_governing(call.name, entry.names.find_exact(call.name));
            if (named == nullptr && !policy_.default_allow) return {true, {}};
            if (named != nullptr) {
                progress = rules(*named, call);
                if (progress.is_over) return progress;
                if (missing.empty()) missing = amounts(named->limits);
            }
        }
        return {!missing.empty(), missing};
    }

    Progress rules(const ToolEntry& entry, const Call& call) {
        if (entry.denial) return {true, {}};
        if (entry.rules) {
            const std::vector<uint8_t> met = entry.rules->met_by(call, caller_);
            for (const ConditionRule& rule : entry.rules->rules) {
                const Progress progress = one_rule(*entry.rules, rule, met);
                if (progress.is_over) return progress;
            }
        }
        return {entry.approval.has_value(), {}, true};
    }
    Progress one_rule(const RuleSet& set, const ConditionRule& rule, const std::vector<uint8_t>& met) {
        std::string_view missing;
        for (uint32_t i = rule.first; i < rule.first + rule.count; ++i) {
            const std::string_view lacks = missing_for(set.conditions[i]);
            if (!lacks.empty()) {
                // Of `require` the first that does not hold decides, and this may be it.
                if (rule.kind == RuleKind::require) return {true, lacks};
                if (missing.empty()) missing = lacks;
            } else if (!set.holds(i, met)) {
                return {rule.kind == RuleKind::require, {}};
            }
        }
        if (rule.kind == RuleKind::require) return {};
        return {true, missing, rule.kind == RuleKind::require_approval};  // all that can be told holds
    }

    std::string_view missing_for(const Condition& condition) const {
        std::string problem;
        const std::optional<ConditionPath> path = parse_condition_path(condition.path, problem);
        if (!path) return kArguments;  // cannot be: the loader has read it
        switch (path->root) {
            case PathRoot::annotations: return kAnnotations;
            case PathRoot::caller:
                if (path->fact == CallerFact::client_name || path->fact == CallerFact::client_version) {
                    return facts_.has_client ? std::string_view() : kClient;
                }
                if (path->fact == CallerFact::grant_name || path->fact == CallerFact::grant_label) {
                    return knows_grant() ? std::string_view() : kGrant;
                }
                return path->fact == CallerFact::server_user && !facts_.has_server_user ? kServerUser : std::string_view();
            case PathRoot::args: break;
        }
        if (facts_.has_values) return {};
        const PathStep& first = path->steps.front();
        const bool is_member = path->steps.size() == 1 && !first.any;
        if (facts_.has_uri && is_member && first.name == "uri") return {};
        if (!facts_.has_keys) return kArguments;
        if (first.any ? facts_.keys.empty() : !has(facts_.keys, first.name)) return {};  // nothing is there
        return is_member && condition.op == Operator::exists ? std::string_view() : kArguments;
    }

    // What grants.json said of a named one is not recorded; the key of a default one has a colon, which no name has.
    bool knows_grant() const { return caller_.named_grant != nullptr || caller_.grant.find(':') != caller_.grant.npos; }

    std::string_view amounts(const std::vector<Limit>& limits) const {
        for (const Limit& limit : limits) {
            if (!limit.sums() || facts_.has_values) continue;
            // An amount that is not there is denied, whatever else is said.
            if (!facts_.has_keys || has(facts_.keys, limit.amount_path.front())) return kArguments;
        }
        return {};
    }

    const CompiledPolicy& policy_;
    const Message& message_;
    Caller caller_;
    const RecordedFacts& facts_;
};

std::string_view missing_facts(const Policy& policy, const Trial& trial, const RecordedFacts& facts, bool from_server) {
    return GapFinder(policy, trial, facts).find(from_server);
}

}  // namespace callgate
