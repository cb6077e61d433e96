#include "policy/rule_set.h"

namespace callgate {
namespace {

// One per thread: reused by every call, so that judging allocates nothing.
struct Scratch {
    std::vector<uint8_t> met;
    bool is_clear = true;
    std::string digits;
};
thread_local Scratch scratch;

}  // namespace

void RuleSet::add(Condition condition, const ConditionPath& path) {
    const auto index = static_cast<uint32_t>(conditions.size());
    switch (path.root) {
        case PathRoot::args:
            arguments.add(path.steps, index, condition.op);
            break;
        case PathRoot::annotations:
            annotations.add(path.steps, index, condition.op);
            break;
        case PathRoot::caller:
            facts.push_back({index, path.fact, path.label});
            break;
    }
    wanted.push_back(condition.holds(true) ? 1 : 0);
    conditions.push_back(std::move(condition));
}

const std::vector<uint8_t>& RuleSet::met_by(const Call& call, const Caller& caller) const {
    scratch.met.assign(conditions.size(), 0);
    scratch.is_clear = true;
    if (!arguments.empty() && !call.arguments.empty()) scratch.is_clear = arguments.walk(call.arguments, conditions, scratch.met);
    if (!annotations.empty() && caller.annotations != nullptr) {
        const std::string_view known = caller.annotations->of(call.name);
        if (!known.empty()) static_cast<void>(annotations.walk(known, conditions, scratch.met));
    }
    for (const auto& [index, fact, label] : facts) {
        const SeenValue value = fact_of(fact, caller, scratch.digits, label);
        scratch.met[index] = value.kind != ValueKind::absent && conditions[index].is_met_by(value);
    }
    return scratch.met;
}

bool RuleSet::is_clear() { return scratch.is_clear; }

std::string_view RuleSet::denial_of(const ConditionRule& rule, const std::vector<uint8_t>& met) const {
    for (uint32_t i = rule.first; i < rule.first + rule.count; ++i) {
        if (holds(i, met)) continue;
        return rule.kind == RuleKind::require ? std::string_view(conditions[i].rule) : std::string_view();
    }
    return rule.kind == RuleKind::require ? std::string_view() : std::string_view(rule.rule);
}

RuleSet::Finding RuleSet::first_denial(const Call& call, const Caller& caller) const {
    const std::vector<uint8_t>& met = met_by(call, caller);
    if (!is_clear()) return {nullptr, {}, false};
    for (const ConditionRule& rule : rules) {
        const std::string_view name = denial_of(rule, met);
        if (!name.empty()) return {&rule, name};
    }
    return {};
}

}  // namespace callgate
