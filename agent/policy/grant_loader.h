// What other files have in the form of grants.json: labels.
#pragma once
#include <string>
#include <vector>

#include "policy/grant.h"
#include "policy/json_document.h"

namespace callgate {

// `object`: {"team": "payments", "tier": 2}; `path` is its JSON Pointer.
std::vector<GrantLabel> load_labels(const JsonValue& object, const std::string& path, ProblemList& problems);

// Whether a file that is to be checked is a grants.json: by its name, or by what is in it.
bool is_grants_file(std::string_view path, std::string_view text);

}  // namespace callgate
