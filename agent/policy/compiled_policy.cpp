#include "policy/compiled_policy.h"

#include "policy/glob.h"
#include "policy/known_keys.h"
#include "policy/nearest_key.h"

namespace callgate {

std::string_view ToolEntry::pattern() const {
    return std::string_view(key).substr(kGlobPrefix.size());
}

std::string ToolEntry::subject() const {
    return "Tool " + in_quotes(key);
}

const ToolEntry* CompiledPolicy::find_exact(std::string_view tool) const {
    const auto found = tools.find(tool);
    return found == tools.end() ? nullptr : &found->second;
}

bool CompiledPolicy::is_hidden(std::string_view tool, const ToolEntry* exact) const {
    if (!hides_any) return false;
    if (hide_all || (exact && exact->hidden)) return true;
    for (const std::string& pattern : hidden_patterns) {
        if (glob_match(pattern, tool)) return true;
    }
    return false;
}

const ToolEntry* CompiledPolicy::find_governing(std::string_view tool, const ToolEntry* exact) const {
    if (exact && exact->listed) return exact;
    for (const ToolEntry& entry : patterns) {
        if (glob_match(entry.pattern(), tool)) return &entry;
    }
    return nullptr;
}

}  // namespace callgate
