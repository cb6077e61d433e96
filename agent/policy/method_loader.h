// Loads what a policy says of other doors than tools/call: "methods", "call_methods" and "aliases".
#pragma once
#include "policy/loader.h"

namespace callgate {

void load_methods(const JsonValue& object, const std::string& path, CompiledPolicy& policy, LoadBudget& budget,
                  ProblemList& problems);
void load_call_methods(const JsonValue& object, const std::string& path, CompiledPolicy& policy, ProblemList& problems);
// After the tools, which they must name.
void load_aliases(const JsonValue& object, const std::string& path, CompiledPolicy& policy, ProblemList& problems);

}  // namespace callgate
