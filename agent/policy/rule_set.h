// RuleSet: the conditions of one tool, in the form in which calls are judged: what denies it, what it requires, what a
// human must approve.
//
// One walk over the arguments answers all conditions; then the rules are gone through in the order of the file.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/call.h"
#include "policy/caller.h"
#include "policy/condition.h"
#include "policy/path_tree.h"

namespace callgate {

enum class RuleKind : uint8_t {
    deny_if,          // denies where all conditions hold
    require,          // denies where one does not
    require_approval  // as deny_if, but a human may allow it
};

struct ConditionRule {
    RuleKind kind = RuleKind::deny_if;
    uint32_t first = 0, count = 0;  // of its conditions
    std::string place;              // JSON Pointer in the file, as its dialect writes it
    std::string rule;               // of require: that of the condition that fails
    std::string reason;
};

struct RuleSet {
    std::vector<Condition> conditions;
    std::vector<uint8_t> wanted;       // of each: what met_by() says where it holds
    std::vector<ConditionRule> rules;  // in the order in which they are asked: deny_if, require, require_approval
    PathTree arguments, annotations;
    struct AboutCaller {
        uint32_t condition;
        CallerFact fact;
        std::string label;
    };
    std::vector<AboutCaller> facts;

    void add(Condition condition, const ConditionPath& path);
    // Of the conditions that were added since the last one.
    void add_rule(ConditionRule rule);
    // One byte for each condition: it was met by a value. Valid until this thread asks again.
    const std::vector<uint8_t>& met_by(const Call& call, const Caller& caller) const;
    // Whether every reader finds the same arguments of that call; of whom met_by() was asked last.
    static bool is_clear();
    bool holds(uint32_t condition, const std::vector<uint8_t>& met) const { return met[condition] == wanted[condition]; }

    struct Finding {
        const ConditionRule* rule = nullptr;  // null: nothing denies the call
        std::string_view name;                // of the rule
        bool is_clear = true;                 // else the call is to be denied, whatever the rules say
    };
    // The first rule that denies the call.
    Finding first_denial(const Call& call, const Caller& caller) const;
    // The condition that decides whether `rule` denies: of require the first that does not hold; else the first of all.
    // Nothing where the rule does not deny.
    std::string_view denial_of(const ConditionRule& rule, const std::vector<uint8_t>& met) const;

  private:
    void meet_annotations(const Call& call, const ToolAnnotations& listed) const;
    // Of each condition what met_by() says where its rule may deny, else kNever: a rule of require denies where one of its
    // conditions does not hold, any other only where its first one does. Eight are looked at at once, so there are always a
    // multiple of that.
    std::vector<uint8_t> telling_;
    std::vector<uint32_t> rule_of_;  // of each condition
};

}  // namespace callgate
