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

#include "policy/approval_desk.h"
#include "policy/limit.h"
#include "policy/policy.h"
#include "policy/rule_set.h"

namespace callgate {

// A rule that denies without looking at the call.
struct FixedDenial {
    std::string rule, reason;
};

// What a policy says of one tool, or of the tools that one pattern matches; likewise of a method, or of names within it.
struct ToolEntry {
    std::string key;      // as in the policy, "glob:" included; "" of all tools together
    std::string method;   // "" of a tool; key is the same where the entry is the method's own
    bool hidden = false;  // by its exact name
    bool listed = false;  // under "tools"; an entry that is only hidden is not
    std::optional<FixedDenial> denial;
    std::optional<FixedDenial> approval;   // by a human, whatever the call says
    int64_t approval_timeout_s = 0;        // 0: the policy's
    int64_t approval_hold_ms = 0;          // so long a call waits for the decision; 0: it is answered at once
    std::unique_ptr<const RuleSet> rules;  // null where no condition looks at the call
    std::vector<Limit> limits;
    std::optional<FixedDenial> pin;  // when its definition has changed; nothing where it says nothing of pins, or no
    bool is_never_pinned = false;    // it says no

    std::string_view pattern() const;  // of an entry under "glob:"
    std::string subject() const;       // `Tool "x"`: begins a sentence
    std::string limits_name() const;   // what its counters belong to
};

struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
};
template <typename T>
using ByName = std::unordered_map<std::string, T, NameHash, std::equal_to<>>;

// Entries by name and by pattern; only one governs a name.
struct EntryTable {
    ByName<ToolEntry> exact;
    std::vector<ToolEntry> patterns;  // most specific first

    // Null where the policy does not mention the exact name.
    const ToolEntry* find_exact(std::string_view name) const;
    // The entry that governs a name: its own, else the first pattern that matches; null where there is none. `own`: what
    // find_exact() gave for it.
    const ToolEntry* find_governing(std::string_view name, const ToolEntry* own) const;
};

// What a policy says of a method other than tools/call.
struct MethodEntry {
    ToolEntry own;
    bool has_names = false;  // then `names` must allow what is named, under default deny
    EntryTable names;
};

struct CompiledPolicy {
    std::string name, revision;
    std::string tied;  // names of policies: of one that stands for several
    ServerMatch match;
    Mode mode = Mode::enforce;
    OnBlind on_blind = OnBlind::allow;
    Fail fail = Fail::closed;
    DenyAs deny_as = DenyAs::result;
    bool default_allow = false;
    bool asks_for_annotations = false;
    ApprovalRules approvals;

    bool pins_all = false;  // but for tools that say no
    bool pins_any = false;

    bool hide_all = false;
    bool hides_any = false;
    std::vector<std::string> hidden_patterns;

    EntryTable tools;
    ByName<std::string> aliases;  // to names of tools
    ToolEntry all_tools;          // rules of every call of a tool, beside those of its own entry; its key is ""
    ByName<MethodEntry> methods;
    std::vector<MethodEntry> method_families;  // "tasks/*", longest first
    ByName<std::vector<PathStep>> carriers;    // methods that carry calls: the path of a call's name in params
    // Where set it goes before everything else: every tool and every request but the handshake's is denied.
    std::optional<FixedDenial> blanket;

    // The tool that `tool` is another name of; itself where it is none.
    std::string_view own_name(std::string_view tool) const;
    // `exact`: what tools.find_exact() gave for it.
    bool is_hidden(std::string_view tool, const ToolEntry* exact) const;
    bool is_hidden(std::string_view tool) const { return is_hidden(tool, tools.find_exact(tool)); }
    // `entry`: the one that governs the tool, or null.
    bool pins(const ToolEntry* entry) const {
        return entry && (entry->pin || entry->is_never_pinned) ? entry->pin.has_value() : pins_all;
    }
    // Null where the policy says nothing of it.
    const MethodEntry* find_method(std::string_view method) const;
    const std::vector<PathStep>* find_carrier(std::string_view method) const;
    // The method is none that the policy decides about, but a server that reads names loosely may take it for one: "Tools/call",
    // "tools/call ".
    bool is_nearly_known(std::string_view method) const;
};

}  // namespace callgate
