// The rules of one tool of the YAML dialect as that tool's native entry. See intercept_dialect.h.
#pragma once
#include <string>

#include "policy/json_document.h"

namespace callgate {

// Where a tool stands.
struct InterceptPlace {
    std::string path;    // JSON Pointer in the file: "/tools/create_charge", "/tools/*"
    std::string native;  // and in the native tree: "/tools/create_charge", "/all_tools"
    std::string scope;   // what its counters are called by: state.create_charge.daily, state._global.calls
};

JsonValue native_tool(const JsonValue& tool, const InterceptPlace& place, ProblemList& problems);

}  // namespace callgate
