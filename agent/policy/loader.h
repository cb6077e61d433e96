// The loader: checks the tree of a policy file, key by key, and compiles it.
#pragma once
#include "policy/compiled_policy.h"
#include "policy/condition_loader.h"
#include "policy/json_document.h"
#include "policy/problem_list.h"

namespace callgate {

// Adds every problem of the file to `problems`; what it compiled is to be used only where there was none.
void load_document(const JsonValue& root, CompiledPolicy& policy, ProblemList& problems);

// One member of "tools", or "all_tools"; `path` is its JSON Pointer. entry.key and entry.method are set by the caller.
void load_tool(const JsonValue& value, const std::string& path, ToolEntry& entry, LoadBudget& budget, ProblemList& problems,
               const KnownKeys& keys = known::kTool);
// The members of "tools", or of the "names" of a method (`method` "" for tools).
void load_entries(const JsonValue& object, const std::string& path, std::string_view method, EntryTable& table,
                  LoadBudget& budget, ProblemList& problems);

}  // namespace callgate
