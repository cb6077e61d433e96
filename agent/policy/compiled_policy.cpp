#include "policy/compiled_policy.h"

#include <algorithm>
#include <array>

#include "jsonrpc/case_fold.h"
#include "jsonrpc/keys.h"
#include "policy/glob.h"
#include "policy/known_keys.h"
#include "policy/nearest_key.h"

namespace callgate {
namespace {

std::string_view without_blanks(std::string_view text) {
    const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

std::string_view family_begin(const MethodEntry& family) {
    return std::string_view(family.own.key).substr(0, family.own.key.size() - 1);
}

// Nothing is hashed for an empty table, and most policies say nothing of methods.
template <typename T>
const T* find_in(const ByName<T>& table, std::string_view name) {
    if (table.empty()) return nullptr;
    const auto found = table.find(name);
    return found == table.end() ? nullptr : &found->second;
}

}  // namespace

std::string_view ToolEntry::pattern() const { return std::string_view(key).substr(kGlobPrefix.size()); }

std::string ToolEntry::subject() const {
    if (method.empty()) return key.empty() ? "This tool" : "Tool " + in_quotes(key);
    if (key == method) return "Method " + in_quotes(method);
    return "Name " + in_quotes(key) + " of method " + in_quotes(method);
}

std::string ToolEntry::limits_name() const {
    if (method.empty()) return key;
    return key == method ? "method " + method : "method " + method + " " + key;
}

const ToolEntry* EntryTable::find_exact(std::string_view name) const { return find_in(exact, name); }

const ToolEntry* EntryTable::find_governing(std::string_view name, const ToolEntry* own) const {
    if (own && own->listed) return own;
    for (const ToolEntry& entry : patterns) {
        if (glob_match(entry.pattern(), name)) return &entry;
    }
    return nullptr;
}

std::string_view CompiledPolicy::own_name(std::string_view tool) const {
    const std::string* found = find_in(aliases, tool);
    return found ? std::string_view(*found) : tool;
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
    if (const MethodEntry* found = find_in(methods, method)) return found;
    for (const MethodEntry& family : method_families) {
        if (method.starts_with(family_begin(family))) return &family;
    }
    return nullptr;
}

bool CompiledPolicy::is_nearly_known(std::string_view method) const {
    constexpr std::array<std::string_view, 2> kOfTools = {"tools/call", "tools/list"};
    const bool is_known = find_in(methods, method) || find_in(carriers, method) ||
                          std::find(kOfTools.begin(), kOfTools.end(), method) != kOfTools.end();
    if (is_known) return false;
    const std::string_view bare = without_blanks(method);
    const auto is_near = [bare](std::string_view known) { return bare == known || is_lenient_match(bare, {known}); };
    const auto is_near_key = [&](const auto& entry) { return is_near(entry.first); };
    if (std::any_of(kOfTools.begin(), kOfTools.end(), is_near) || std::any_of(methods.begin(), methods.end(), is_near_key) ||
        std::any_of(carriers.begin(), carriers.end(), is_near_key)) {
        return true;
    }
    for (const MethodEntry& family : method_families) {
        const std::string_view begin = family_begin(family);
        if (method.starts_with(begin)) return false;
        if (folded_prefix(bare, begin)) return true;
    }
    // Under default deny all of these are.
    constexpr std::string_view kTools = "tools/";
    return !default_allow && !method.starts_with(kTools) && folded_prefix(bare, kTools);
}

const std::vector<PathStep>* CompiledPolicy::find_carrier(std::string_view method) const { return find_in(carriers, method); }

}  // namespace callgate
