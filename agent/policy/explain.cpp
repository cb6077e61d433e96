#include "policy/explain.h"

#include <re2/re2.h>

#include <utility>

#include "policy/judge_entry.h"
#include "policy/nearest_key.h"
#include "policy/params_reader.h"
#include "policy/problem_list.h"

namespace callgate {
namespace {

std::string value_text(const Condition& condition) {
    if (condition.op == Operator::exists) return condition.expected ? "true" : "false";
    if (condition.op == Operator::regex) return in_quotes(condition.pattern->pattern(), 200);
    std::string out;
    for (const Constant& constant : condition.values) {
        if (!out.empty()) out += ", ";
        out += constant.kind == ValueKind::string ? in_quotes(constant.text) : constant.text;
    }
    const bool is_list = condition.op == Operator::in || condition.op == Operator::not_in;
    return is_list ? "[" + out + "]" : out;
}

// Which conditions have a value at their path: the same paths, asked whether anything is there.
std::vector<uint8_t> values_there(const RuleSet& rules, const Call& call, const Caller& caller) {
    RuleSet asked;
    for (const Condition& condition : rules.conditions) {
        std::string problem;
        Condition there;
        there.op = Operator::exists;
        asked.add(std::move(there), *parse_condition_path(condition.path, problem));
    }
    return asked.met_by(call, caller);
}

}  // namespace

class Explainer {
  public:
    Explainer(const Policy& policy, const Trial& trial)
        : policy_(*policy.compiled_), message_(trial.message()), caller_(trial.caller(policy)) {}

    std::vector<ExplainedStep> explain(bool from_server) {
        if (policy_.blanket && !from_server) {
            say(policy_.blanket->rule, "denies", true);
        } else if (!from_server && message_.method == "tools/call") {
            tool({message_.name, message_.arguments}, "");
        } else {
            method(from_server);
        }
        return std::move(steps_);
    }

  private:
    bool decided() const { return !steps_.empty() && steps_.back().decides; }
    void say(std::string at, std::string outcome, bool decides = false) {
        steps_.push_back({std::move(at), std::move(outcome), {}, decides});
    }

    void tool(const Call& call, const std::string& prefix) {
        const std::string_view own = policy_.own_name(call.name);
        if (own != call.name) say(prefix + "aliases", in_quotes(call.name) + " is another name of " + in_quotes(own));
        const bool hidden = policy_.is_hidden(own) || policy_.is_hidden(call.name);
        say(prefix + "hidden", hidden ? "yes: denied" : "no", hidden);
        if (hidden) return;
        const ToolEntry* entry = policy_.tools.find_governing(own, policy_.tools.find_exact(own));
        if (policy_.pins(entry)) {
            say(prefix + (entry && entry->pin ? entry->pin->rule : "/pin"),
                "denies where the tool is defined otherwise than when it was pinned");
        }
        if (entry) {
            rules_of(*entry, prefix + join_pointer("/tools", entry->key), call);
        } else {
            say(prefix + "default", policy_.default_allow ? "not listed: allowed" : "not listed: denied", !policy_.default_allow);
        }
        if (!decided()) rules_of_all(prefix, call);
        ask_for_approval(prefix);
        if (!decided()) limits_of(entry ? entry->limits : std::vector<Limit>(), policy_.all_tools.limits);
    }
    // What all tools have in common.
    void rules_of_all(const std::string& prefix, const Call& call) {
        const ToolEntry& all = policy_.all_tools;
        if (all.denial || all.approval || all.rules) rules_of(all, prefix + "/all_tools", call);
    }

    void method(bool from_server) {
        if (policy_.is_nearly_known(message_.method))
            return say("methods", in_quotes(message_.method) + " is nearly another one, which the policy decides about: denied",
                       true);
        const MethodEntry* entry = policy_.find_method(message_.method);
        const std::string at = entry ? join_pointer("/methods", entry->own.key) : std::string("methods");
        if (entry) {
            method_rules(*entry, at);
        } else {
            say(at, "nothing is said of " + in_quotes(message_.method));
        }
        if (from_server || decided()) return;
        if (const std::vector<PathStep>* path = policy_.find_carrier(message_.method)) return carried(*path);
        const bool is_unknown = !entry && message_.method.starts_with("tools/") && message_.method != "tools/list";
        if (is_unknown && !policy_.default_allow) say("default", "an unknown method of tools: denied", true);
    }
    void method_rules(const MethodEntry& entry, const std::string& at) {
        const Call call = call_of(message_);
        rules_of(entry.own, at, call);
        if (decided()) return;
        const ToolEntry* named = nullptr;
        if (entry.has_names) {
            if (!call.has_clear_name) return say(at + "/names", "servers may find another name than others: denied", true);
            named = entry.names.find_governing(call.name, entry.names.find_exact(call.name));
            if (named == nullptr) {
                say(at + "/names",
                    in_quotes(call.name) + (policy_.default_allow ? " is not listed: allowed" : " is not listed: denied"),
                    !policy_.default_allow);
            } else {
                rules_of(*named, join_pointer(at + "/names", named->key), call);
            }
        }
        ask_for_approval("");
        if (!decided()) limits_of(named ? named->limits : std::vector<Limit>(), entry.own.limits);
    }
    void carried(const std::vector<PathStep>& path) {
        size_t number = 0;
        const bool readable = read_calls(message_.params, path, [&](const Call& call) {
            tool(call, "call " + std::to_string(++number) + ", " + in_quotes(call.name) + ": ");
            return !decided();
        });
        if (!readable && !decided())
            say(join_pointer("/call_methods", message_.method), "the calls cannot be read: denied", true);
    }

    void rules_of(const ToolEntry& entry, const std::string& at, const Call& call) {
        say(at, "governs");
        if (entry.denial) return say(entry.denial->rule, "denies every call", true);
        if (entry.rules) conditions_of(entry, call);
        if (decided() || !entry.approval) return;
        say(entry.approval->rule, "a human must approve every call");
        remember_approval(entry);
    }
    // It is asked for only where nothing else denies the call.
    void remember_approval(const ToolEntry& entry) {
        if (!approval_.empty()) return;
        const int64_t timeout_s = entry.approval_timeout_s > 0 ? entry.approval_timeout_s : policy_.approvals.timeout_s;
        if (entry.approval_hold_ms > 0)
            approval_ = "the call waits " + std::to_string(entry.approval_hold_ms) + " ms for the decision; ";
        approval_ +=
            "without one it is answered with -32003 and an id to approve, which is good for " + std::to_string(timeout_s) + " s";
    }
    void ask_for_approval(const std::string& prefix) {
        const std::string how = std::exchange(approval_, {});
        if (!decided() && !how.empty()) say(prefix + "approval", how, true);
    }
    void conditions_of(const ToolEntry& entry, const Call& call) {
        const RuleSet& rules = *entry.rules;
        const std::vector<uint8_t> there = values_there(rules, call, caller_);
        const std::vector<uint8_t> met = rules.met_by(call, caller_);
        if (!RuleSet::is_clear()) {
            return say("arguments", "one has nearly the name, or nearly the value, that a condition looks for: denied", true);
        }
        for (const ConditionRule& rule : rules.rules) {
            const bool denies = !rules.denial_of(rule, met).empty();
            const bool asks = denies && rule.kind == RuleKind::require_approval;
            ExplainedStep step{rule.place,
                               !denies ? "does not deny"
                               : asks  ? "a human must approve"
                                       : "denies",
                               {},
                               denies && !asks};
            for (uint32_t i = rule.first; i < rule.first + rule.count; ++i) {
                const Condition& condition = rules.conditions[i];
                step.conditions.push_back(
                    {condition.path, std::string(name(condition.op)), value_text(condition), rules.holds(i, met), there[i] != 0});
            }
            steps_.push_back(std::move(step));
            if (asks) return remember_approval(entry);
            if (denies) return;
        }
    }
    void limits_of(const std::vector<Limit>& own, const std::vector<Limit>& all) {
        for (const std::vector<Limit>* limits : {&own, &all}) {
            for (const Limit& limit : *limits) {
                const std::string most = "at most " + std::to_string(limit.max) + " in " + std::to_string(limit.window_s) + " s";
                say(limit.rule, limit.max > 0 ? most : most + ": denied", limit.max == 0);
                if (limit.max == 0) return;
            }
        }
    }

    const CompiledPolicy& policy_;
    const Message& message_;
    Caller caller_;
    std::vector<ExplainedStep> steps_;
    std::string approval_;  // how it would be asked for; "" where it would not
};

std::vector<ExplainedStep> explain(const Policy& policy, const Trial& trial, bool from_server) {
    return Explainer(policy, trial).explain(from_server);
}

}  // namespace callgate
