#include "policy/compiled_policy.h"

#include "policy/glob.h"
#include "policy/known_keys.h"
#include "policy/nearest_key.h"

namespace callgate {

std::string_view ToolEntry::pattern() const {
    return std::string_view(key).substr(kGlobPrefix.size());
}

std::string ToolEntry::subject() const {
    if (method.empty()) return key.empty() ? "This tool" : "Tool " + in_quotes(key);
    if (key == method) return "Method " + in_quotes(method);
    return "Name " + in_quotes(key) + " of method " + in_quotes(method);
}

std::string ToolEntry::limits_name() const {
    if (method.empty()) return key;
    return key == method ? "method " + method : "method " + method + " " + key;
}

const ToolEntry* EntryTable::find_exact(std::string_view name) const {
    const auto found = exact.find(name);
    return found == exact.end() ? nullptr : &found->second;
}

const ToolEntry* EntryTable::find_governing(std::string_view name, const ToolEntry* own) const {
    if (own && own->listed) return own;
    for (const ToolEntry& entry : patterns) {
        if (glob_match(entry.pattern(), name)) return &entry;
    }
    return nullptr;
}

std::string_view CompiledPolicy::own_name(std::string_view tool) const {
    if (aliases.empty()) return tool;
    const auto found = aliases.find(tool);
    return found == aliases.end() ? tool : std::string_view(found->second);
}

bool CompiledPolicy::is_hidden(std::string_view tool, const ToolEntry* exact) const {
    if (!hides_any) return false;
    if (hide_all || (exact && exact->hidden)) return true;
    for (const std::string& pattern : hidden_patterns) {
        if (glob_match(pattern, tool)) return true;
    }
    return false;
}

const MethodEntry* CompiledPolicy::find_method(std::string_view method) const {
    if (const auto found = methods.find(method); found != methods.end()) return &found->second;
    for (const MethodEntry& family : method_families) {
        const std::string_view begin = std::string_view(family.own.key).substr(0, family.own.key.size() - 1);
        if (method.starts_with(begin)) return &family;
    }
    return nullptr;
}

const std::vector<PathStep>* CompiledPolicy::find_carrier(std::string_view method) const {
    if (carriers.empty()) return nullptr;
    const auto found = carriers.find(method);
    return found == carriers.end() ? nullptr : &found->second;
}

}  // namespace callgate
