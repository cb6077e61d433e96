#include "policy/rule_set.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace callgate {
namespace {

constexpr size_t kBlock = sizeof(uint64_t);
constexpr uint8_t kNever = 2;  // met_by() says 0 or 1

constexpr size_t whole_blocks(size_t bytes) { return (bytes + kBlock - 1) / kBlock * kBlock; }

// The lowest bit of each of eight bytes at `a` that is the same at `b`; both hold small numbers.
uint64_t equal_bytes(const uint8_t* a, const uint8_t* b) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    uint64_t left, right;
    memcpy(&left, a, kBlock);
    memcpy(&right, b, kBlock);
    const uint64_t differ = left ^ right;
    return ~(differ | differ >> 1) & kOnes;
}

// The place in memory of the byte that the lowest bit of `marks` is in.
size_t first_byte(uint64_t marks) {
    const bool is_little = std::endian::native == std::endian::little;
    return static_cast<size_t>(is_little ? std::countr_zero(marks) : std::countl_zero(marks)) / 8;
}

// One per thread: reused by every call, so that judging allocates nothing.
struct Scratch {
    std::vector<uint8_t> met;
    std::vector<uint8_t> of_other_name;
    bool is_clear = true;
    std::string digits;
};
thread_local Scratch scratch;

}  // namespace

void RuleSet::add(Condition condition, const ConditionPath& path) {
    const auto index = static_cast<uint32_t>(conditions.size());
    switch (path.root) {
        case PathRoot::args: arguments.add(path.steps, index, condition.op); break;
        case PathRoot::annotations: annotations.add(path.steps, index, condition.op); break;
        case PathRoot::caller: facts.push_back({index, path.fact, path.label}); break;
    }
    wanted.push_back(condition.holds(true) ? 1 : 0);
    conditions.push_back(std::move(condition));
    telling_.resize(whole_blocks(conditions.size()), kNever);
}

void RuleSet::add_rule(ConditionRule rule) {
    assert(rule.count > 0 && rule.first + rule.count == conditions.size());
    rule_of_.resize(conditions.size(), static_cast<uint32_t>(rules.size()));
    for (uint32_t i = rule.first; i < conditions.size(); ++i) {
        if (rule.kind == RuleKind::require) telling_[i] = wanted[i] ^ 1;
        if (rule.kind != RuleKind::require && i == rule.first) telling_[i] = wanted[i];
    }
    rules.push_back(std::move(rule));
}

const std::vector<uint8_t>& RuleSet::met_by(const Call& call, const Caller& caller) const {
    scratch.met.assign(telling_.size(), 0);
    scratch.is_clear = true;
    if (!annotations.empty() && caller.annotations != nullptr) meet_annotations(call, *caller.annotations);
    if (!arguments.empty() && !call.arguments.empty()) scratch.is_clear = arguments.walk(call.arguments, conditions, scratch.met);
    for (const auto& [index, fact, label] : facts) {
        const SeenValue value = fact_of(fact, caller, scratch.digits, label);
        scratch.met[index] = value.kind != ValueKind::absent && conditions[index].is_met_by(value);
    }
    return scratch.met;
}

// By its other name it is the same tool. What is listed of both counts where it denies: of require what does not hold, of any
// other rule what does.
void RuleSet::meet_annotations(const Call& call, const ToolAnnotations& listed) const {
    const std::string_view known = listed.of(call.name);
    const std::string_view other = call.own_name.empty() ? std::string_view() : listed.of(call.own_name);
    if (!known.empty()) static_cast<void>(annotations.walk(known, conditions, scratch.met));
    if (other.empty()) return;
    if (known.empty()) return static_cast<void>(annotations.walk(other, conditions, scratch.met));
    scratch.of_other_name.assign(telling_.size(), 0);
    static_cast<void>(annotations.walk(other, conditions, scratch.of_other_name));
    for (size_t i = 0; i < conditions.size(); ++i) {
        const bool is_required = i < rule_of_.size() && rules[rule_of_[i]].kind == RuleKind::require;
        const uint8_t what_denies = is_required ? wanted[i] ^ 1 : wanted[i];
        if (scratch.of_other_name[i] == what_denies) scratch.met[i] = what_denies;
    }
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
    for (size_t block = 0; block < met.size(); block += kBlock) {
        for (uint64_t tell = equal_bytes(&met[block], &telling_[block]); tell != 0; tell &= tell - 1) {
            const ConditionRule& rule = rules[rule_of_[block + first_byte(tell)]];
            const std::string_view name = denial_of(rule, met);
            if (!name.empty()) return {&rule, name};
        }
    }
    return {};
}

}  // namespace callgate
