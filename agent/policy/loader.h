// The loader: checks the tree of a policy file, key by key, and compiles it.
#pragma once
#include "policy/compiled_policy.h"
#include "policy/json_document.h"
#include "policy/problem_list.h"

namespace callgate {

// Adds every problem of the file to `problems`; what it compiled is to be used only where there was none.
void load_document(const JsonValue& root, CompiledPolicy& policy, ProblemList& problems);

// One member of "tools"; `path` is its JSON Pointer. entry.key is set by the caller.
void load_tool(const JsonValue& value, const std::string& path, ToolEntry& entry, ProblemList& problems);

// A "limits" array. `tool`: the tool's key in the policy, empty for all tools together.
void load_limits(const JsonValue& array, const std::string& path, std::string_view tool,
                 std::vector<Limit>& limits, ProblemList& problems);

}  // namespace callgate
