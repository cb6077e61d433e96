// CompiledPolicy: a policy file in the form in which calls are judged. Filled by the loader, then never
// changed.
//
// Every rule name and almost every sentence is made at loading, so that judging makes no strings.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/limit.h"
#include "policy/policy.h"
#include "policy/rule_set.h"

namespace callgate {

// A rule that denies without looking at the call.
struct FixedDenial {
    std::string rule, reason;
};

// What a policy says of one tool, or of the tools that one pattern matches.
struct ToolEntry {
    std::string key;      // as in the policy, "glob:" included
    bool hidden = false;  // by its exact name
    bool listed = false;  // under "tools"; an entry that is only hidden is not
    std::optional<FixedDenial> denial;
    std::optional<FixedDenial> approval;  // by a human, whatever the call says
    std::unique_ptr<const RuleSet> rules;  // null where no condition looks at the call
    std::vector<Limit> limits;

    std::string_view pattern() const;  // of an entry under "glob:"
    std::string subject() const;       // `Tool "x"`: begins a sentence
};

struct CompiledPolicy {
    struct NameHash {
        using is_transparent = void;
        size_t operator()(std::string_view tool) const { return std::hash<std::string_view>{}(tool); }
    };

    std::string name, revision;
    ServerMatch match;
    Mode mode = Mode::enforce;
    OnBlind on_blind = OnBlind::allow;
    DenyAs deny_as = DenyAs::result;
    bool default_allow = false;
    bool asks_for_annotations = false;

    bool hide_all = false;
    bool hides_any = false;
    std::vector<std::string> hidden_patterns;

    std::unordered_map<std::string, ToolEntry, NameHash, std::equal_to<>> tools;  // by exact name
    std::vector<ToolEntry> patterns;                                              // most specific first
    std::vector<Limit> all_limits;
    // Where set it goes before everything else: every tool and every request but the handshake's is denied.
    std::optional<FixedDenial> blanket;

    // Null where the policy does not mention the exact name.
    const ToolEntry* find_exact(std::string_view tool) const;
    // `exact`: what find_exact() gave for it.
    bool is_hidden(std::string_view tool, const ToolEntry* exact) const;
    // The entry that governs a tool: its own, else the first pattern that matches; null where there is none.
    const ToolEntry* find_governing(std::string_view tool, const ToolEntry* exact) const;
};

}  // namespace callgate
