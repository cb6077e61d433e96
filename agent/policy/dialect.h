// Which dialect a policy file is written in, and its tree in the native one, which alone the loader knows.
//
// The syntax goes by the name: *.yaml and *.yml are YAML, everything else is JSON. The dialect goes by the
// content: a tool that has "rules" makes it the YAML dialect of POLICY.md §3 (intercept_dialect.h), in
// whatever syntax.
#pragma once
#include <optional>
#include <string_view>

#include "policy/json_document.h"

namespace callgate {

// Nothing where the text cannot be read. `problems` knows from then on how the native places are written in
// the file.
std::optional<JsonValue> read_policy_tree(std::string_view text, std::string_view file, ProblemList& problems);

}  // namespace callgate
