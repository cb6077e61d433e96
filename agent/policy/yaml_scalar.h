// What a plain scalar of YAML is, where every reader of YAML says the same of it. What readers of 1.1 and
// of 1.2 take for different things is no value: its author has to say which one is meant.
//
//   true Null ~ 12 -1.5 1e3   ->  boolean, null, null, numbers (as JSON writes them)
//   5/hour  args.amount       ->  strings
//   yes  on  010  1_000  .5  1:30  2026-01-01   ->  a problem: "… write it in quotes …"
#pragma once
#include <string>
#include <string_view>

#include "policy/json_document.h"

namespace callgate {

// kind, boolean, integer and string of the value. `problem` is set where it could be read in two ways.
JsonValue plain_yaml_scalar(std::string_view text, std::string& problem);

}  // namespace callgate
