// Loads limits: the "limits" arrays of the hosted form, and "rate_limit" of the FAQ form.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "policy/limit.h"
#include "policy/object_reader.h"

namespace callgate {

// A "limits" array at `path`. `tool`: the tool's key in the policy, empty for all tools together.
void load_limits(const JsonValue& array, const std::string& path, std::string_view tool, std::vector<Limit>& limits,
                 ProblemList& problems);

// The "rate_limit" member of a tool, where it has one: one more limit, per session, beside those of "limits".
void load_rate_limit(const ObjectReader& tool, std::string_view name, std::vector<Limit>& limits);

}  // namespace callgate
